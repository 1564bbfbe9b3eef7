//! The session, fed by hand.

use bytes::BytesMut;
use mqtt_behaviour::Result;
use mqtt_session::proto::{Outbox, QoS};
use mqtt_session::{Action, Attempt, Endpoint, Instant, QueueId, Session};

use crate::vectors::Vector;

/// In how many ways it is fed.
pub(crate) fn ways(vector: &Vector) -> usize {
    chunks(vector).count()
}

/// Whole, byte by byte, and at every split into two.
fn chunks(vector: &Vector) -> impl Iterator<Item = Vec<&[u8]>> {
    let bytes = &vector.bytes[..];
    let splits = 1..bytes.len();
    let split = move |at| <[&[u8]; 2]>::from(bytes.split_at(at)).to_vec();
    [vec![bytes], bytes.chunks(1).collect()]
        .into_iter()
        .chain(splits.map(split))
}

/// Whether it closes. It must not matter how it is fed.
pub(crate) fn closes(vector: &Vector) -> Result<bool> {
    let mut closes = None;
    for chunks in chunks(vector) {
        let closed = feed(vector, &chunks)?;
        if *closes.get_or_insert(closed) != closed {
            return Err(format!("it depends on how it comes: {chunks:02X?}").into());
        }
    }
    closes.ok_or_else(|| "there is nothing in it".into())
}

fn feed(vector: &Vector, chunks: &[&[u8]]) -> Result<bool> {
    let mut fed = Fed::new(vector)?;
    for chunk in chunks {
        fed.take(chunk);
        if fed.closed {
            vector.check_last_words(&fed.said)?;
            return Ok(true);
        }
    }
    fed.expect(b"")?;
    fed.take(&vector.probe());
    while let Some(received) = fed.session.poll_message(QueueId::DEFAULT) {
        fed.session.ack(fed.now, received.ticket)?;
    }
    fed.poll();
    fed.expect(Vector::PROBED)?;
    Ok(false)
}

struct Fed {
    session: Session,
    now: Instant,
    attempt: Option<Attempt>,
    input: BytesMut,
    /// What the session said, and was not looked at yet.
    said: Vec<u8>,
    closed: bool,
}

impl Fed {
    /// Up to where the vector comes.
    fn new(vector: &Vector) -> Result<Self> {
        let mut fed = Self {
            session: Session::new(vector.config()?, Endpoint::new("192.0.2.1", 1883), 7),
            now: Instant::ZERO,
            attempt: None,
            input: BytesMut::new(),
            said: Vec::new(),
            closed: false,
        };
        fed.session.connect(fed.now);
        fed.poll();
        let attempt = fed.attempt.ok_or("it does not dial")?;
        fed.session.handle_opened(fed.now, attempt);
        fed.poll();
        fed.expect(&vector.connect())?;
        if vector.connack {
            fed.take(vector.connack());
            fed.expect(b"")?;
        }
        if let Some(message) = vector.message()? {
            fed.session.publish(fed.now, QoS::AtLeastOnce, message)?;
            fed.poll();
            fed.expect(&vector.published())?;
        }
        Ok(fed)
    }

    fn take(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        self.session.handle_input(self.now, &mut self.input);
        self.poll();
    }

    fn poll(&mut self) {
        let mut out = Outbox::new();
        while self.session.poll_transmit(self.now, &mut out) {
            let bytes = out.to_vec();
            out.clear();
            self.session.handle_written(self.now, bytes.len());
            self.said.extend(bytes);
        }
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Dial { attempt, .. } => self.attempt = Some(attempt),
                Action::Hangup { .. } => self.closed = true,
                _ => {}
            }
        }
        while self.session.poll_event().is_some() {}
    }

    /// It has said exactly this.
    fn expect(&mut self, bytes: &[u8]) -> Result {
        let said = std::mem::take(&mut self.said);
        if said == bytes {
            return Ok(());
        }
        Err(format!("it says {said:02X?}, and should say {bytes:02X?}").into())
    }
}
