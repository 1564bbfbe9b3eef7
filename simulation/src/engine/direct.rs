//! The session itself, without handles.

use std::collections::BTreeMap;
use std::time::Duration;

use mqtt_session::auth::{AuthAnswer, AuthError};
use mqtt_session::client::Report;
use mqtt_session::proto::{Disconnect, Properties, Publish, QoS, SubscribeOptions, TopicFilter};
use mqtt_session::{
    Attempt, Config, Connection, Event, Instant, PublishOptions, PublishRefused, QueueId,
    ReauthenticateError, Received, Record, RestoreError, Seq, Servers, Session, Stale,
    SubscribeError, Ticket, Token, WallClock,
};

use crate::app::number;

use super::{Accepted, Claim, Io, Notice, Taken};

#[derive(Debug)]
pub(crate) struct Direct {
    connection: Connection,
    queues: Vec<QueueId>,
    publishes: BTreeMap<Token, u32>,
    requests: BTreeMap<Token, u32>,
}

impl Direct {
    pub(crate) fn new(config: Config, endpoint: Servers, seed: u64, queues: u64) -> Self {
        Self::of(Session::new(config, endpoint, seed), queues)
    }

    fn of(mut session: Session, queues: u64) -> Self {
        let mut all = vec![QueueId::DEFAULT];
        for _ in 1..queues {
            all.push(session.open_queue());
        }
        Self {
            connection: Connection::new(session),
            queues: all,
            publishes: BTreeMap::new(),
            requests: BTreeMap::new(),
        }
    }

    pub(crate) fn session(&self) -> &Session {
        self.connection.session()
    }

    pub(crate) fn connect(&mut self, now: Instant) {
        self.connection.session_mut().start(now);
    }

    pub(crate) fn handle_auth(
        &mut self,
        now: Instant,
        attempt: Attempt,
        answer: Result<AuthAnswer, AuthError>,
    ) {
        self.connection.handle_auth(now, attempt, answer);
    }

    pub(crate) fn reauthenticate(&mut self, now: Instant) -> Result<(), ReauthenticateError> {
        self.connection.session_mut().reauthenticate(now).map(drop)
    }

    /// Of the records of an earlier process.
    pub(crate) fn restore(
        config: Config,
        endpoint: Servers,
        seed: u64,
        queues: u64,
        clock: WallClock,
        records: Vec<Record>,
    ) -> Result<Self, RestoreError> {
        let session = Session::restore(config, endpoint, seed, clock, records)?;
        Ok(Self::of(session, queues))
    }

    pub(crate) fn set_wall_clock(&mut self, clock: WallClock) {
        self.connection.session_mut().handle_wall_clock(clock);
    }

    pub(crate) fn poll_record(&mut self) -> Option<(Seq, Record)> {
        self.connection.session_mut().poll_record()
    }

    pub(crate) fn handle_stored(&mut self, now: Instant, seq: Seq) {
        self.connection.session_mut().handle_stored(now, seq);
    }

    pub(crate) fn restored(&mut self) -> Vec<u32> {
        let restored = self.connection.session().restored();
        let named = restored.filter_map(|(token, tag)| Some((token, number(tag?)?)));
        self.publishes = named.collect();
        self.publishes.values().copied().collect()
    }

    pub(crate) fn turn(&mut self, now: Instant, io: &mut Io) -> bool {
        let connection = &mut self.connection;
        let mut any = io.written > 0 || !io.reports.is_empty();
        if io.written > 0 {
            connection.handle_written(now, std::mem::take(&mut io.written));
        }
        if !io.input.is_empty() && connection.wants_read() {
            let before = io.input.len();
            connection.handle_input(now, &mut io.input);
            any |= io.input.len() != before;
        }
        for report in io.reports.drain(..) {
            match report {
                Report::Credentials(attempt, given) => {
                    connection.handle_credentials(now, attempt, given);
                }
                Report::Resolved(attempt, found) => connection.handle_resolved(now, attempt, found),
                Report::Opened(attempt) => connection.handle_opened(now, attempt),
                Report::Auth(attempt, answer) => connection.handle_auth(now, attempt, answer),
                Report::Closed(attempt, cause) => connection.handle_closed(now, attempt, cause),
            }
        }
        if connection.poll_timeout().is_some_and(|at| at <= now) {
            connection.handle_timeout(now);
            any = true;
        }
        while let Some(action) = connection.poll_action() {
            io.actions.push(action);
            any = true;
        }
        if io.output.is_empty() {
            any |= connection.poll_transmit(now, &mut io.output);
        }
        io.deadline = connection.poll_timeout();
        any |= !io.wants_read && connection.wants_read();
        io.wants_read = connection.wants_read();
        any
    }

    pub(crate) fn notice(&mut self) -> Option<Notice> {
        loop {
            return Some(match self.connection.poll_event()? {
                Event::Published { token, outcome } => match self.publishes.get(&token) {
                    // Kept, so that a second outcome is told as well.
                    Some(n) => Notice::Outcome { n: *n, outcome },
                    None => continue,
                },
                Event::Stored { token } => match self.publishes.get(&token) {
                    Some(n) => Notice::Stored { n: *n },
                    None => continue,
                },
                Event::Subscribed { token, result } => match self.requests.remove(&token) {
                    Some(op) => Notice::Subscribed { op, result },
                    None => continue,
                },
                Event::Unsubscribed { token, result } => match self.requests.remove(&token) {
                    Some(op) => Notice::Unsubscribed { op, result },
                    None => continue,
                },
                Event::Connected { connack, .. } => Notice::Connected {
                    session_present: connack.session_present,
                },
                Event::Lost { error, retry_in } => Notice::Lost {
                    error,
                    retries: retry_in.is_some(),
                },
                Event::SubscriptionLost { filter, reason } => {
                    Notice::SubscriptionLost { filter, reason }
                }
                Event::Reauthenticated { result, .. } => Notice::Reauthenticated { result },
                Event::Readable(_) => Notice::Readable,
                Event::Dropping => Notice::Dropping,
                Event::Room => Notice::Room,
                Event::Closed => Notice::Closed,
                _ => continue,
            });
        }
    }

    pub(crate) fn publish(
        &mut self,
        now: Instant,
        n: u32,
        qos: QoS,
        publish: Publish,
    ) -> Result<Accepted, (Publish, PublishRefused)> {
        let options = PublishOptions::new().with_tag(n.to_be_bytes());
        let session = self.connection.session_mut();
        let token = match session.publish_with(now, qos, publish, &options) {
            Ok(token) => token,
            Err(error) => return Err((error.publish, error.reason)),
        };
        self.publishes.insert(token, n);
        Ok(Accepted::Now)
    }

    pub(crate) fn subscribe(
        &mut self,
        now: Instant,
        op: u32,
        filters: Vec<(TopicFilter, SubscribeOptions)>,
        queue: usize,
    ) -> Result<(), SubscribeError> {
        let queue = self.queues[queue];
        let session = self.connection.session_mut();
        let none = Properties::new;
        let token = match session.subscribe(now, filters.clone(), none(), queue) {
            // Other options than those that are there: they are meant.
            Err(SubscribeError::Conflict { .. }) => {
                session.replace_subscription(now, filters, none(), queue)?
            }
            result => result?,
        };
        self.requests.insert(token, op);
        Ok(())
    }

    pub(crate) fn unsubscribe(
        &mut self,
        now: Instant,
        op: u32,
        filter: TopicFilter,
    ) -> Result<(), SubscribeError> {
        let session = self.connection.session_mut();
        let token = session.unsubscribe(now, vec![filter], Properties::new())?;
        self.requests.insert(token, op);
        Ok(())
    }

    pub(crate) fn withdraw(&mut self, now: Instant, op: u32) {
        let found = self.requests.iter().find(|(_, o)| **o == op);
        if let Some(token) = found.map(|(token, _)| *token) {
            self.requests.remove(&token);
            self.connection.session_mut().withdraw(now, token);
        }
    }

    pub(crate) fn take(&mut self, queue: usize) -> Option<Taken> {
        let received = self.connection.poll_message(self.queues[queue])?;
        let Received {
            publish, ticket, ..
        } = received;
        let claim = Claim::Ticket(ticket);
        Some(Taken { publish, claim })
    }

    pub(crate) fn ack(&mut self, now: Instant, ticket: Ticket) -> Result<(), Stale> {
        self.connection.session_mut().ack(now, ticket)
    }

    pub(crate) fn disconnect(&mut self, now: Instant, drain: Duration) {
        self.connection
            .session_mut()
            .disconnect(now, Disconnect::default(), drain)
            .expect("a good DISCONNECT");
    }
}
