//! A session over its transport: what a driver sees.

use core::net::SocketAddr;

use alloc::vec::Vec;
use bytes::BytesMut;
use mqtt_proto::Outbox;

use crate::auth::{AuthAnswer, AuthError};
use crate::{Action, Attempt, Cause, Credentials, Event, Instant, QueueId, Received, Session};

/// A [`Session`] and the layers between it and the socket: socket bytes in and out, one deadline, one set of actions.
///
/// There is one transport so far, the plain one, where the bytes of the socket are the bytes of the session. A driver that is
/// written against this type needs no change when there are others.
#[derive(Debug)]
pub struct Connection {
    session: Session,
}

impl Connection {
    /// Over plain TCP.
    pub fn new(session: Session) -> Self {
        Self { session }
    }

    /// The session, to ask.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The session, to command.
    ///
    /// What the world tells comes through this connection instead: its `handle_*` methods.
    pub fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Whether bytes from the socket are welcome; see [`Session::wants_read`].
    pub fn wants_read(&self) -> bool {
        self.session.wants_read()
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) would give bytes.
    pub fn has_transmit(&self) -> bool {
        self.session.has_transmit()
    }

    /// Whether [`poll_action`](Self::poll_action) would give an action.
    pub fn has_action(&self) -> bool {
        self.session.has_action()
    }

    /// The application has answered [`Action::Credentials`].
    pub fn handle_credentials(
        &mut self,
        now: Instant,
        attempt: Attempt,
        given: Result<Credentials, Cause>,
    ) {
        self.session.handle_credentials(now, attempt, given);
    }

    /// The lookup that [`Action::Resolve`] asked for has ended.
    pub fn handle_resolved(
        &mut self,
        now: Instant,
        attempt: Attempt,
        result: Result<Vec<SocketAddr>, Cause>,
    ) {
        self.session.handle_resolved(now, attempt, result);
    }

    /// The byte stream that [`Action::Dial`] asked for is open.
    pub fn handle_opened(&mut self, now: Instant, attempt: Attempt) {
        self.session.handle_opened(now, attempt);
    }

    /// The dial has failed, or the byte stream is closed.
    pub fn handle_closed(&mut self, now: Instant, attempt: Attempt, cause: Cause) {
        self.session.handle_closed(now, attempt, cause);
    }

    /// The authenticator has taken a step; see [`Session::handle_auth`].
    pub fn handle_auth(
        &mut self,
        now: Instant,
        attempt: Attempt,
        answer: Result<AuthAnswer, AuthError>,
    ) {
        self.session.handle_auth(now, attempt, answer);
    }

    /// Bytes from the socket; see [`Session::handle_input`].
    pub fn handle_input(&mut self, now: Instant, input: &mut BytesMut) {
        self.session.handle_input(now, input);
    }

    /// The operating system took so many bytes; see [`Session::handle_written`].
    pub fn handle_written(&mut self, now: Instant, count: usize) {
        self.session.handle_written(now, count);
    }

    /// The deadline may have passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.session.handle_timeout(now);
    }

    /// What the driver shall do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.session.poll_action()
    }

    /// Bytes for the socket. Whether there were any.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Outbox) -> bool {
        self.session.poll_transmit(now, out)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.session.poll_timeout()
    }

    /// What has happened.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.session.poll_event()
    }

    /// The next message of a queue.
    pub fn poll_message(&mut self, queue: QueueId) -> Option<Received> {
        self.session.poll_message(queue)
    }
}
