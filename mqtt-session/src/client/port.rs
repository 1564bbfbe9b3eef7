//! The driver's side of the shared state.

use std::boxed::Box;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::vec::Vec;

use bytes::BytesMut;
use mqtt_proto::Outbox;

use crate::auth::{AuthAnswer, AuthError};
use crate::{Action, Attempt, Cause, Connection, Credentials, Instant, Observation, Record, Seq};

use super::answers::Answers;
use super::shared::Shared;
use super::state::State;
use super::wake::Wakes;

/// Where a driver is joined to its [`Client`](super::Client): everything passes through [`turn`](Self::turn).
///
/// Dropping it, which happens when a runtime drops the driver's task, ends the session at once: what is pending ends as closed, and nobody is
/// left waiting.
#[derive(Debug)]
pub struct Port {
    shared: Arc<Shared>,
    /// Where the application has any, or is asked all the same: most clients are idle, and have none.
    answers: Option<Box<Answers>>,
    /// Kept for its memory.
    wakes: Wakes,
    /// For the observer: filled under the lock, told after it.
    observations: Vec<Observation>,
    /// A clone of the driver's waker, made before the lock is taken.
    waker: Option<Waker>,
}

/// What a driver brings to a turn, and where it takes things from. `Debug` shows of bytes how many there are.
pub struct Turn<'a> {
    /// What time it is.
    pub now: Instant,
    /// What was read and is not taken yet. Whole packets are taken from the front.
    pub input: &'a mut BytesMut,
    /// How many bytes the operating system took since the last turn.
    pub written: usize,
    /// How the actions of earlier turns ended. Drained, after input and written bytes.
    pub reports: &'a mut Vec<Report>,
    /// What is still to be written. Filled only where it is empty.
    pub output: &'a mut Outbox,
    /// What is to be done. Appended to.
    pub actions: &'a mut Vec<Action>,
    /// The driver's waker, if it has nothing else to do and would sleep after this turn.
    pub idle: Option<&'a Waker>,
}

impl fmt::Debug for Turn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn")
            .field("now", &self.now)
            // Payloads are among them, and a password may be.
            .field("input_len", &self.input.len())
            .field("written", &self.written)
            .field("reports", &self.reports)
            .field("output_len", &self.output.len())
            .field("actions", &self.actions)
            .field("idle", &self.idle.is_some())
            .finish()
    }
}

/// How an action ended, or a connection.
#[derive(Debug)]
pub enum Report {
    /// What the application answered to [`Action::Credentials`].
    Credentials(Attempt, Result<Credentials, Cause>),
    /// What the application answered to [`Action::Authenticate`].
    Auth(Attempt, Result<AuthAnswer, AuthError>),
    /// The lookup of [`Action::Resolve`] ended.
    Resolved(Attempt, Result<Vec<SocketAddr>, Cause>),
    /// The dial of [`Action::Dial`] succeeded.
    Opened(Attempt),
    /// The dial failed, or the byte stream is closed.
    Closed(Attempt, Cause),
}

/// What a driver does after a turn.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Next {
    /// When to take another turn at the latest.
    pub deadline: Option<Instant>,
    /// Whether to read from the socket.
    pub wants_read: bool,
    /// Whether to sleep until the socket, the deadline or the waker calls: there is nothing to do, and whoever changes that
    /// will wake the driver. Never set without [`Turn::idle`].
    pub sleep: bool,
    /// Whether the session is closed. When the byte stream is closed, too, the driver is done.
    pub closed: bool,
}

/// What is known under the lock of a driver that sleeps.
#[derive(Debug, Default)]
pub(super) struct Sleeper {
    /// It is at work, or was woken. It is not before its first turn.
    awake: bool,
    waker: Option<Waker>,
    /// When it will wake up by itself.
    deadline: Option<Instant>,
    /// It waits for the socket to take output, so more of it is no news.
    writing: bool,
    /// It waits for the socket to have input.
    reading: bool,
    /// There will be nothing more to do.
    pub(super) finished: bool,
}

impl Port {
    pub(super) fn new(shared: Arc<Shared>, answers: Answers) -> Self {
        Self {
            shared,
            answers: answers.has_any().then(|| Box::new(answers)),
            wakes: Wakes::default(),
            observations: Vec::new(),
            waker: None,
        }
    }

    /// The time by the clock that the client was built with.
    pub fn now(&self) -> Instant {
        self.shared.now()
    }

    /// Polls what the application is asked for by [`Answers`], and adds to `reports` what it has answered. To be called before each
    /// [`turn`](Self::turn), with the waker that wakes the driver.
    pub fn poll_answers(&mut self, context: &mut Context<'_>, reports: &mut Vec<Report>) {
        if let Some(answers) = &mut self.answers {
            answers.poll(context, reports);
        }
    }

    /// Carries everything in and everything out under one lock, then wakes those whom it concerns.
    ///
    /// A turn that changes nothing is allowed at any time. It may leave reports, for the next turn.
    pub fn turn(&mut self, turn: Turn<'_>) -> Next {
        if let Some(waker) = turn.idle
            && !self
                .waker
                .as_ref()
                .is_some_and(|clone| clone.will_wake(waker))
        {
            self.waker = Some(waker.clone());
        }
        let now = turn.now;
        let mut wakes = std::mem::take(&mut self.wakes);
        let mut state = self.shared.lock_between_others();
        self.shared.forget_noted(&mut state);
        let (actions, reports) = (turn.actions, turn.reports);
        let turn = Turn {
            actions: &mut *actions,
            reports: &mut *reports,
            ..turn
        };
        let next = state.turn(turn, &mut self.waker, &mut wakes);
        if state.observed {
            let session = state.connection.session_mut();
            self.observations
                .extend(std::iter::from_fn(|| session.poll_observation()));
        }
        self.shared.unlock(state);
        if !self.observations.is_empty() {
            self.observe(now);
        }
        // Their code is the application's: not under the lock.
        if self.answers.is_some() || actions.iter().any(Answers::concerns) {
            let answers = self.answers.get_or_insert_default();
            answers.ask(actions, reports);
        }
        self.shared.driver_has_its_turn();
        self.wakes = wakes.wake();
        next
    }

    /// Moves the records that are to be stored behind those in `into`. Whether there were any. A driver that has a store takes them after each
    /// turn; it is woken for them as for output.
    pub fn poll_records(&mut self, into: &mut Vec<(Seq, Record)>) -> bool {
        let before = into.len();
        let mut state = self.shared.lock_between_others();
        let session = state.connection.session_mut();
        into.extend(std::iter::from_fn(|| session.poll_record()));
        into.len() > before
    }

    /// Everything is stored up to this record: see [`Session::handle_stored`](crate::Session::handle_stored).
    pub fn handle_stored(&mut self, now: Instant, seq: Seq) {
        self.shared.run(|state| {
            state.connection.session_mut().handle_stored(now, seq);
        });
    }
}

impl Port {
    #[cold]
    fn observe(&mut self, now: Instant) {
        let told = self.shared.hooked.observe(now, &mut self.observations);
        if told.is_err() {
            self.observations.clear();
            let mut wakes = Wakes::default();
            let mut state = self.shared.lock();
            state
                .ring
                .push(super::ClientEvent::ObserverPanicked, &mut wakes);
            drop(state);
            wakes.wake();
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        let now = self.shared.now();
        let mut wakes = Wakes::default();
        let mut state = self.shared.lock();
        state.abandon(now, &mut wakes);
        // Nobody needs it any more, handles may stay for long, and it may hold something of the system.
        let waker = state.driver.waker.take();
        drop(state);
        drop(waker);
        wakes.wake();
    }
}

impl State {
    fn turn(&mut self, turn: Turn<'_>, waker: &mut Option<Waker>, wakes: &mut Wakes) -> Next {
        let Turn {
            now,
            input,
            written,
            reports,
            output,
            actions,
            idle,
        } = turn;
        self.driver.awake = true;
        let connection = &mut self.connection;
        if written > 0 {
            connection.handle_written(now, written);
        }
        if connection.has_input() || (!input.is_empty() && connection.wants_read()) {
            connection.handle_input(now, input);
        }
        for report in reports.drain(..) {
            match report {
                Report::Credentials(attempt, given) => {
                    connection.handle_credentials(now, attempt, given)
                }
                Report::Auth(attempt, answer) => connection.handle_auth(now, attempt, answer),
                Report::Resolved(attempt, result) => {
                    connection.handle_resolved(now, attempt, result)
                }
                Report::Opened(attempt) => connection.handle_opened(now, attempt),
                Report::Closed(attempt, cause) => connection.handle_closed(now, attempt, cause),
            }
        }
        if connection
            .poll_timeout()
            .is_some_and(|deadline| deadline <= now)
        {
            connection.handle_timeout(now);
            // Timers are seldom due while much is going on.
            self.deliveries.give_memory_back();
        }
        while let Some(action) = self.connection.poll_action() {
            actions.push(action);
        }
        // Asked before more leaves: where that makes room for answers, what stayed in `input` for want of it has its turn before more is read.
        let had_room = self.connection.wants_read();
        // What is there already waits for the socket: it has room for more when that is gone.
        let writing = !output.is_empty();
        if !writing {
            self.connection.poll_transmit(now, output);
        }
        self.settle(wakes);

        let (deadline, has_room) = (self.connection.poll_timeout(), self.connection.wants_read());
        let wants_read = had_room && has_room;
        let to_write = !writing && !output.is_empty();
        let to_take = self.connection.has_input();
        let made_room = has_room && !had_room;
        let sleep = idle.is_some() && actions.is_empty() && !to_write && !to_take && !made_room;
        if sleep {
            let driver = &mut self.driver;
            driver.awake = false;
            (driver.deadline, driver.writing, driver.reading) = (deadline, writing, wants_read);
            let parked = driver.waker.as_ref().zip(idle);
            if !parked.is_some_and(|(parked, waker)| parked.will_wake(waker)) {
                std::mem::swap(&mut driver.waker, waker);
            }
        }
        Next {
            deadline,
            wants_read,
            sleep,
            closed: self.closed.is_some(),
        }
    }
}

impl Sleeper {
    /// Whether it is at work, and so will see by itself what there is to do.
    #[inline]
    pub(super) const fn is_awake(&self) -> bool {
        self.awake
    }

    /// Whether it sleeps, and there is something for it to do.
    #[inline]
    pub(super) fn is_needed(&self, connection: &Connection) -> bool {
        if self.awake || self.waker.is_none() {
            return false;
        }
        let earlier = || match (connection.poll_timeout(), self.deadline) {
            (Some(deadline), Some(known)) => deadline < known,
            (Some(_), None) => true,
            (None, _) => false,
        };
        (!self.writing && connection.has_transmit())
            || connection.has_action()
            || connection.session().has_record()
            || (!self.reading && connection.wants_read())
            || self.finished
            || earlier()
    }

    /// The driver's waker, when and only when it [is needed](Self::is_needed).
    #[inline]
    pub(super) fn rouse(&mut self, connection: &Connection) -> Option<Waker> {
        if !self.is_needed(connection) {
            return None;
        }
        self.awake = true;
        self.waker.take()
    }
}
