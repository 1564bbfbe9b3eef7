//! How connections, wills and sessions end.

use std::sync::Arc;

use mqtt_proto::{Disconnect, Packet, ReasonCode};

use super::connection::{Effect, Phase};
use super::session::Session;
use super::violation::Fault;
use super::{Broker, ConnId};
use crate::Time;

/// A session expiry of "never", in seconds.
pub(super) const NEVER: u32 = u32::MAX;

impl Broker {
    pub(super) fn earliest_deadline(&self) -> Option<Time> {
        let connections = self.connections.values().filter_map(|c| c.deadline());
        let sessions = self
            .sessions
            .values()
            .flat_map(|s| [s.expires, s.will.as_ref().map(|(at, _)| *at)]);
        connections.chain(sessions.flatten()).min()
    }

    pub(super) fn expire(&mut self) {
        let now = self.now;
        let late: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, c)| c.deadline().is_some_and(|at| at <= now))
            .map(|(conn, _)| *conn)
            .collect();
        for conn in late {
            self.give_up(conn);
        }
        let due = |s: &&Session| s.will.as_ref().is_some_and(|(at, _)| *at <= now);
        for client_id in self.clients_with(due) {
            self.publish_will(&client_id);
        }
        let over = |s: &&Session| s.expires.is_some_and(|at| at <= now);
        for client_id in self.clients_with(over) {
            self.end_session(&client_id);
        }
    }

    fn clients_with(&self, is: impl Fn(&&Session) -> bool) -> Vec<Arc<str>> {
        let sessions = self.sessions.values().filter(is);
        sessions.map(|s| s.client_id.clone()).collect()
    }

    /// Nothing came in time.
    fn give_up(&mut self, conn: ConnId) {
        let Some(connection) = self.connections.get(&conn) else {
            return;
        };
        if !connection.is_open() {
            self.note(conn, "no CONNECT in time");
            self.close(conn, None);
            return;
        }
        let interval = connection.keep_alive.unwrap_or_default();
        let fault = Fault::new(
            ReasonCode::KEEP_ALIVE_TIMEOUT,
            "MQTT-3.1.2-20",
            format!(
                "nothing came for one and a half keep-alive intervals of {} s",
                interval.as_secs()
            ),
        );
        self.violation(conn, None, fault);
    }

    /// The broker ends the connection, with DISCONNECT where there may be one [MQTT-3.14.0-1].
    pub(super) fn close(&mut self, conn: ConnId, disconnect: Option<Disconnect>) {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        if connection.is_closing() {
            return;
        }
        if let Some(disconnect) = disconnect
            && connection.version.is_v5()
            && connection.is_open()
            && connection.connack_written
        {
            let plain = Disconnect::new(disconnect.reason);
            if !self.send(conn, &Packet::Disconnect(disconnect), Effect::None) {
                self.send(conn, &Packet::Disconnect(plain), Effect::None);
            }
        }
        self.lose(conn, true);
    }

    /// The connection is of no more use: the session goes on without it, or ends. `will` says whether the will, if there still is one,
    /// is published.
    pub(super) fn lose(&mut self, conn: ConnId, will: bool) {
        let now = self.now;
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        if connection.is_closing() {
            return;
        }
        connection.phase = Phase::Closing { by_client: false };
        connection.held.clear();
        let expiry = connection.session_expiry;
        let message = connection.will.take().filter(|_| will);
        let Some(client_id) = connection.client_id.clone() else {
            return;
        };
        let Some(session) = self.sessions.get_mut(&client_id) else {
            return;
        };
        if session.conn != Some(conn) {
            return;
        }
        session.conn = None;
        session.expires = match expiry {
            NEVER => None,
            seconds => Some(now.saturating_add(Time::from_secs(seconds.into()))),
        };
        // [MQTT-3.1.2-8]: after its delay, or when the session ends, whichever is first.
        if let Some((delay, message)) = message {
            let delay = Time::from_secs(delay.min(expiry).into());
            session.will = Some((now.saturating_add(delay), message));
            if delay.is_zero() {
                self.publish_will(&client_id);
            }
        }
        if expiry == 0 {
            self.end_session(&client_id);
        }
    }

    fn publish_will(&mut self, client_id: &Arc<str>) {
        let now = self.now;
        let will = self.sessions.get_mut(client_id).and_then(|s| s.will.take());
        if let Some((_, mut message)) = will {
            // Its expiry counts from here on: until now it stands as the time that it lives.
            message.expires = message.expires.map(|lifetime| now.saturating_add(lifetime));
            self.route(message);
        }
    }

    /// Forgets a session. A will that waits is published.
    pub(super) fn end_session(&mut self, client_id: &Arc<str>) {
        self.publish_will(client_id);
        self.sessions.remove(client_id);
    }
}
