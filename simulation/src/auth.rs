//! Enhanced authentication: a method that counts, at both ends, and what can go wrong with it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mqtt_session::Attempt;
use mqtt_session::auth::{AuthAnswer, AuthError, AuthInput, Authenticator};
use mqtt_session::proto::ReasonCode;
use mqtt_testkit::{AuthStep, ConnId, Time};

pub(crate) const METHOD: &str = "COUNT";

/// The client's side: answers each number with the next one.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    last: u8,
}

impl Counter {
    fn take(&mut self, input: AuthInput<'_>) -> Result<(), AuthError> {
        match input.data() {
            Some([number]) if *number == self.last.wrapping_add(1) => {
                self.last = *number;
                Ok(())
            }
            _ => Err(AuthError::Signature),
        }
    }

    fn next(&mut self) -> AuthAnswer {
        self.last += 1;
        AuthAnswer::new(Bytes::copy_from_slice(&[self.last]))
    }
}

impl Authenticator for Counter {
    fn method(&self) -> &str {
        METHOD
    }

    fn begin(&mut self, _again: bool) -> Result<AuthAnswer, AuthError> {
        self.last = 0;
        Ok(self.next())
    }

    fn challenge(&mut self, input: AuthInput<'_>) -> Result<AuthAnswer, AuthError> {
        self.take(input)?;
        Ok(self.next())
    }

    fn verify(&mut self, input: AuthInput<'_>) -> Result<(), AuthError> {
        self.take(input)
    }
}

/// What the broker does at its next steps.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// How many times it asks.
    rounds: u8,
    /// What goes wrong with the next step: 1 it refuses, 2 its number is wrong, 3 it asks for ever, or so.
    fault: u64,
    /// What the client sent that it should not have.
    wrong: Option<String>,
}

/// The broker's side.
#[derive(Debug)]
pub(crate) struct Verifier {
    script: Arc<Mutex<Script>>,
    /// How many times it has asked on each connection: one that the client has left may still have something on the way.
    asked: BTreeMap<ConnId, u8>,
}

impl mqtt_testkit::Authenticator for Verifier {
    fn step(&mut self, conn: ConnId, first: bool, _: &str, data: Option<&[u8]>) -> AuthStep {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = self.asked.entry(conn).or_default();
        if first {
            *asked = 0;
        }
        let expected = 2 * *asked + 1;
        if data != Some(&[expected]) {
            script.wrong = Some(format!("{data:?} instead of {expected}"));
        }
        let next = match std::mem::take(&mut script.fault) {
            1 => return AuthStep::Refuse(ReasonCode::NOT_AUTHORIZED),
            2 => expected + 7,
            _ => expected + 1,
        };
        let data = Bytes::copy_from_slice(&[next]);
        if *asked < script.rounds {
            *asked += 1;
            AuthStep::Continue(data)
        } else {
            AuthStep::Accept(Some(data))
        }
    }
}

/// The client's authenticator, and its answers that are under way.
#[derive(Debug, Default)]
pub(crate) struct Authentication {
    counter: Counter,
    script: Arc<Mutex<Script>>,
    pending: Vec<(Time, Attempt, Result<AuthAnswer, AuthError>)>,
    /// The client's next step never ends.
    pub(crate) stuck: bool,
    /// The method was made to fail.
    pub(crate) failed: bool,
}

impl Authentication {
    /// For this many rounds.
    pub(crate) fn new(rounds: u64) -> Self {
        let new = Self::default();
        new.lock().rounds = rounds as u8;
        new
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn verifier(&self) -> Verifier {
        let script = Arc::clone(&self.script);
        let asked = BTreeMap::new();
        Verifier { script, asked }
    }

    /// Something goes wrong with the next step.
    pub(crate) fn fail(&mut self, how: u64) {
        self.failed = true;
        if how % 3 == 2 {
            self.stuck = true;
        } else {
            self.lock().fault = how % 3 + 1;
        }
    }

    /// A step of the client, which takes its time.
    pub(crate) fn begin(
        &mut self,
        now: Time,
        attempt: Attempt,
        step: &mqtt_session::auth::AuthStep,
    ) {
        let answer = self.counter.answer(step);
        if !std::mem::take(&mut self.stuck) {
            let at = now + Duration::from_millis(u64::from(self.counter.last % 3) * 40);
            self.pending.push((at, attempt, answer));
        }
    }

    /// A step that has ended.
    pub(crate) fn ended(&mut self, now: Time) -> Option<(Attempt, Result<AuthAnswer, AuthError>)> {
        let at = self.pending.iter().position(|(at, ..)| *at <= now)?;
        let (_, attempt, answer) = self.pending.remove(at);
        Some((attempt, answer))
    }

    /// Nobody waits for an answer any more.
    pub(crate) fn forget(&mut self) {
        self.pending.clear();
        self.stuck = false;
    }

    pub(crate) fn next_time(&self) -> Option<Time> {
        self.pending.iter().map(|(at, ..)| *at).min()
    }

    /// What the client sent that it should not have.
    pub(crate) fn wrong(&self) -> Option<String> {
        self.lock().wrong.take()
    }
}
