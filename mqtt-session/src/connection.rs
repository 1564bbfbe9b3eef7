//! A session over its transport: what a driver sees.

use core::net::SocketAddr;

use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::BytesMut;
use mqtt_proto::Outbox;

use crate::auth::{AuthAnswer, AuthError};
use crate::transport::{Input, Stack};
use crate::{Action, Attempt, Cause, Credentials, Event, Instant, QueueId, Received, Session};

/// A [`Session`] and the layers between it and the socket: socket bytes in and out, one deadline, one set of actions.
///
/// The URL of the server decides which layers there are: TLS, WebSocket, none. A driver needs not to know: it opens byte streams, and carries
/// bytes. The bytes of the socket are the bytes of the session where there is no layer, and then nothing is paid for those that could be
/// there.
#[derive(Debug)]
pub struct Connection {
    session: Session,
    /// The layers above the byte stream that is open, where there are any.
    stack: Option<Box<Stack>>,
}

impl Connection {
    /// Over whatever the URLs of the session's servers ask for. To be called before the session is told to connect, which else refuses what needs a
    /// layer.
    pub fn new(mut session: Session) -> Self {
        session.set_layered();
        Self {
            session,
            stack: None,
        }
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
    #[inline]
    pub fn wants_read(&self) -> bool {
        // Layers shake hands whatever the session waits for.
        let shakes = |stack: &Stack| stack.deadline().is_some();
        self.stack.as_deref().is_some_and(shakes) || self.session.wants_read()
    }

    /// Whether [`handle_input`](Self::handle_input) is to be called, with or without new bytes: a layer holds some that the session did not
    /// want before, and wants now.
    #[inline]
    pub fn has_input(&self) -> bool {
        self.stack.as_deref().is_some_and(Stack::holds) && self.session.wants_read()
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) would give bytes.
    #[inline]
    pub fn has_transmit(&self) -> bool {
        match &self.stack {
            None => self.session.has_transmit(),
            Some(stack) => stack.has_transmit(&self.session),
        }
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

    /// The byte stream that [`Action::Dial`] or [`Action::Open`] asked for is open.
    pub fn handle_opened(&mut self, now: Instant, attempt: Attempt) {
        self.session.handle_dialled(now, attempt);
        if !self.session.is_shaking(attempt) {
            return;
        }
        self.stack = None;
        let (server, config) = (self.session.server(), self.session.config());
        let deadline = now + config.handshake_timeout();
        match config.transports().layers(server) {
            Ok(layers) if layers.is_empty() => self.session.handle_opened(now, attempt),
            Ok(layers) => self.stack = Some(Stack::new(attempt, layers, deadline).into()),
            Err(cause) => self.session.handle_broken(now, attempt, cause),
        }
    }

    /// The dial has failed, or the byte stream is closed.
    pub fn handle_closed(&mut self, now: Instant, attempt: Attempt, cause: Cause) {
        let stack = self.stack.take_if(|stack| stack.attempt() == attempt);
        let cause = stack.map_or(cause.clone(), |stack| stack.ended(cause));
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

    /// Bytes from the socket; see [`Session::handle_input`]. Those that a layer holds do not stay in `input`: call this where
    /// [`has_input`](Self::has_input) says so, too.
    #[inline]
    pub fn handle_input(&mut self, now: Instant, input: &mut BytesMut) {
        match self.stack {
            None => self.session.handle_input(now, input),
            Some(_) => self.input_through_layers(now, input),
        }
    }

    /// The operating system took so many bytes; see [`Session::handle_written`].
    #[inline]
    pub fn handle_written(&mut self, now: Instant, count: usize) {
        let Some(stack) = &mut self.stack else {
            return self.session.handle_written(now, count);
        };
        let (written, touched) = stack.written(count);
        self.session.handle_written(now, written);
        self.session.handle_touched(touched);
    }

    /// The deadline may have passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.session.handle_timeout(now);
        let Some(stack) = &mut self.stack else { return };
        stack.give_output_back();
        if stack.deadline().is_some_and(|deadline| deadline <= now) {
            let cause = stack.timed_out();
            self.fail(now, cause);
        }
    }

    /// What the driver shall do.
    pub fn poll_action(&mut self) -> Option<Action> {
        let mut action = self.session.poll_action();
        if let Some(Action::Hangup { attempt, flush }) = &mut action
            && let Some(stack) = &mut self.stack
            && stack.attempt() == *attempt
        {
            // Whether or not the session has something to say, the layers have.
            stack.close(core::mem::replace(flush, true));
        }
        action
    }

    /// Bytes for the socket. Whether there were any. Layers give some 64 KiB ahead of what is written, and then wait for
    /// [`handle_written`](Self::handle_written).
    #[inline]
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Outbox) -> bool {
        match self.stack {
            None => self.session.poll_transmit(now, out),
            Some(_) => self.transmit_through_layers(now, out),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let session = self.session.poll_timeout();
        match self.stack.as_deref().and_then(Stack::deadline) {
            Some(deadline) => Some(session.map_or(deadline, |at| at.min(deadline))),
            None => session,
        }
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

#[cfg(test)]
impl Connection {
    pub(crate) const fn is_plain(&self) -> bool {
        self.stack.is_none()
    }

    /// Memory of buffers, in bytes.
    pub(crate) fn held_by_layers(&self) -> usize {
        self.stack.as_deref().map_or(0, Stack::held)
    }
}

impl Connection {
    #[cold]
    fn fail(&mut self, now: Instant, cause: Cause) {
        let Some(stack) = &mut self.stack else { return };
        stack.close(false);
        self.session.handle_broken(now, stack.attempt(), cause);
    }

    fn input_through_layers(&mut self, now: Instant, input: &mut BytesMut) {
        loop {
            let Some(stack) = &mut self.stack else { return };
            if stack.is_closing() {
                // What comes behind the end means nothing.
                return input.clear();
            }
            if stack.is_ready() && !self.session.wants_read() {
                break;
            }
            let read = stack.read(input);
            if let Ok(Input::Ready) = read {
                self.session.handle_opened(now, stack.attempt());
            }
            if stack.is_ready() {
                self.session.handle_input(now, stack.plaintext(input));
            }
            // Where the session is at its end, `poll_action` closes the layers.
            match read {
                Err(cause) => return self.fail(now, cause),
                Ok(_) if stack.is_over() && self.session.wants_read() => {
                    let cause = stack.ended(Cause::Eof);
                    return self.fail(now, cause);
                }
                Ok(Input::Done) => break,
                Ok(Input::Ready | Input::More) => {}
            }
        }
        let Some(stack) = &mut self.stack else { return };
        let left = stack.is_over() || !stack.plaintext(input).is_empty() || !input.is_empty();
        stack.hold(left && !self.session.wants_read());
        stack.give_input_back();
        self.stack.take_if(|stack| stack.is_idle());
    }

    fn transmit_through_layers(&mut self, now: Instant, out: &mut Outbox) -> bool {
        let Some(stack) = &mut self.stack else {
            return false;
        };
        match stack.transmit(now, &mut self.session, out) {
            Ok(any) => any,
            Err(cause) => {
                self.fail(now, cause);
                !out.is_empty()
            }
        }
    }
}
