//! A proxy that says what the test has it say, and lets bytes pass behind that.

use std::collections::VecDeque;

use crate::tower::Far;

/// What it must be asked, and what it answers.
pub(crate) type Step = (Vec<u8>, Vec<u8>);

pub(crate) struct Scripted {
    steps: VecDeque<Step>,
    received: Vec<u8>,
    deaf: bool,
    plain: Vec<u8>,
    out: Vec<u8>,
}

impl Scripted {
    pub(crate) fn new(steps: &[Step]) -> Self {
        Self {
            steps: steps.to_vec().into(),
            received: Vec::new(),
            deaf: false,
            plain: Vec::new(),
            out: Vec::new(),
        }
    }

    /// Nothing reaches the broker.
    pub(crate) fn deaf_behind(self) -> Self {
        Self { deaf: true, ..self }
    }
}

impl Far for Scripted {
    fn receive(&mut self, raw: &[u8]) {
        self.received.extend_from_slice(raw);
        while let Some((asked, answer)) = self.steps.front() {
            let shown = String::from_utf8_lossy(&self.received);
            if self.received.len() < asked.len() {
                assert!(asked.starts_with(&self.received), "{shown:?}");
                return;
            }
            assert!(self.received.starts_with(asked), "{shown:?}");
            self.received.drain(..asked.len());
            self.out.extend_from_slice(answer);
            self.steps.pop_front();
        }
        if self.deaf {
            self.received.clear();
        }
        self.plain.append(&mut self.received);
    }

    fn plaintext(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.plain)
    }

    fn send(&mut self, plain: &[u8]) {
        self.out.extend_from_slice(plain);
    }

    fn transmit(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }
}
