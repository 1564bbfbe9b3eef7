//! A strict model of an MQTT broker, as a pure state machine.

mod auth;
mod config;
mod connection;
mod handshake;
mod inbound;
mod log;
mod message;
mod outbound;
mod publish;
mod qos;
mod receive;
mod script;
mod send;
mod session;
mod subscribe;
mod timers;
mod traffic;
mod violation;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;
use mqtt_proto::{Publish, QoS, Topic};

use crate::Time;
use connection::Connection;
use message::Message;
use script::Script;
use session::Session;

pub use auth::{AuthStep, Authenticator};
pub use config::BrokerConfig;
pub use connection::ConnId;
pub use log::{Ladder, LogEntry, LogEvent, Summary};
pub use session::SessionInfo;
pub use traffic::Traffic;
pub use violation::Violation;

/// A strict model of an MQTT broker for 3.1, 3.1.1 and 5.0.
///
/// It owns no socket and no clock. The test tells it what happens ([`open`](Self::open), [`input`](Self::input),
/// [`closed`](Self::closed), [`timeout`](Self::timeout)), takes what it sends ([`output`](Self::output)), closes the network when it
/// [wants that](Self::wants_close), and calls again at [`next_timeout`](Self::next_timeout). An earlier time than the latest seen
/// counts as that one. Calls with a connection that is gone do nothing.
///
/// Every breach of the protocol by a client ends its connection, in 5.0 with the right DISCONNECT, and is kept: a test
/// ends with `assert!(broker.violations().is_empty())`. Further methods script its behaviour.
///
/// PUBLISH of QoS 1 that is resent is passed on again, of QoS 2 it is not. Acknowledgements are written as soon as the packet came,
/// unless they are [held](Self::hold).
#[derive(Debug)]
pub struct Broker {
    config: BrokerConfig,
    now: Time,
    last_conn: u64,
    last_session: u64,
    assigned_ids: u64,
    connections: BTreeMap<ConnId, Connection>,
    sessions: BTreeMap<Arc<str>, Session>,
    retained: BTreeMap<Topic, Message>,
    /// Whose turn it is, for each shared subscription.
    turns: BTreeMap<publish::SharedKey, Arc<str>>,
    script: Script,
    log: Vec<LogEntry>,
    violations: Vec<Violation>,
    counts: BTreeMap<Arc<str>, Counts>,
    received: Vec<Received>,
    traffic: Traffic,
}

/// What the broker has counted for a client. The arrays are indexed by QoS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Messages from the client that were taken and passed on, those of QoS 1 as often as they came.
    pub accepted: [u64; 3],
    /// PUBLISH packets that came with DUP.
    pub resent: u64,
    /// Messages of QoS 2 that came again while the broker held them, and were not passed on.
    pub duplicates: u64,
    /// Messages that were refused with a reason code, because a test said so.
    pub refused: u64,
    /// PUBLISH packets that were written to the client, with resending.
    pub sent: [u64; 3],
    /// Messages to the client that it has acknowledged to the end; those of QoS 0 when they are written.
    pub delivered: [u64; 3],
    /// Messages that were too large for the client, or more than the queue holds.
    pub dropped: u64,
}

/// A message that the broker has accepted from a client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// When it came.
    pub time: Time,
    /// Who published it.
    pub client_id: Arc<str>,
    /// The QoS.
    pub qos: QoS,
    /// The DUP flag.
    pub dup: bool,
    /// Topic, payload, RETAIN flag and properties.
    pub message: Publish,
}

impl Broker {
    /// A broker without sessions.
    pub fn new(config: BrokerConfig) -> Self {
        Self {
            config,
            now: Time::ZERO,
            last_conn: 0,
            last_session: 0,
            assigned_ids: 0,
            connections: BTreeMap::new(),
            sessions: BTreeMap::new(),
            retained: BTreeMap::new(),
            turns: BTreeMap::new(),
            script: Script::default(),
            log: Vec::new(),
            violations: Vec::new(),
            counts: BTreeMap::new(),
            received: Vec::new(),
            traffic: Traffic::default(),
        }
    }

    /// A client has connected on the network.
    pub fn open(&mut self, now: Time) -> ConnId {
        self.advance(now);
        self.last_conn += 1;
        let conn = ConnId(self.last_conn);
        let connection = Connection::new(conn, self.now, self.config.clone());
        self.connections.insert(conn, connection);
        conn
    }

    /// Bytes from the client. What is no whole packet yet is left in `input`, and so is everything while the broker does
    /// not [read](Self::wants_read).
    pub fn input(&mut self, now: Time, conn: ConnId, input: &mut BytesMut) {
        self.advance(now);
        self.read(conn, input);
    }

    /// Appends what is to be sent on the connection to `out`, and returns how much that is.
    pub fn output(&mut self, conn: ConnId, out: &mut Vec<u8>) -> usize {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return 0;
        };
        let count = connection.out.len();
        out.append(&mut connection.out);
        count
    }

    /// Whether [`output`](Self::output) has something.
    pub fn has_output(&self, conn: ConnId) -> bool {
        self.connections
            .get(&conn)
            .is_some_and(|c| !c.out.is_empty())
    }

    /// The network connection is gone.
    pub fn closed(&mut self, now: Time, conn: ConnId) {
        self.advance(now);
        self.lose(conn, true);
        if self.connections.remove(&conn).is_some() {
            self.note(conn, "the network is gone");
        }
    }

    /// Whether the broker is done with the connection: take the last output, then close the network.
    pub fn wants_close(&self, conn: ConnId) -> bool {
        self.connections
            .get(&conn)
            .is_none_or(Connection::is_closing)
    }

    /// Whether the broker takes input. A test can [stop](Self::set_reading) it.
    pub fn wants_read(&self, conn: ConnId) -> bool {
        self.connections.get(&conn).is_none_or(|c| c.reads)
    }

    /// When [`timeout`](Self::timeout) is to be called next.
    pub fn next_timeout(&self) -> Option<Time> {
        self.earliest_deadline()
    }

    /// Does what is due by `now`: keep-alive, wills, the end of sessions. Nothing where it comes too early.
    pub fn timeout(&mut self, now: Time) {
        self.advance(now);
        self.expire();
    }

    /// What clients did wrong, in order.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// The same, and forgets it.
    pub fn take_violations(&mut self) -> Vec<Violation> {
        core::mem::take(&mut self.violations)
    }

    /// All packets and events so far, in order.
    pub fn log(&self) -> &[LogEntry] {
        &self.log
    }

    /// The log in a form that prints readably.
    pub fn ladder(&self) -> Ladder<'_> {
        Ladder { entries: &self.log }
    }

    /// What was counted for a client identifier, over all its sessions.
    pub fn counts(&self, client_id: &str) -> Counts {
        self.counts.get(client_id).copied().unwrap_or_default()
    }

    /// The messages that were accepted from clients, in order.
    pub fn received(&self) -> &[Received] {
        &self.received
    }

    /// How many packets of each type have passed, and with which reason codes.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// The session of a client identifier, if there is one.
    pub fn session(&self, client_id: &str) -> Option<SessionInfo> {
        let session = self.sessions.get(client_id)?;
        let connection = session.conn.and_then(|conn| self.connections.get(&conn));
        let lasts = connection.is_none_or(|connection| connection.session_expiry > 0);
        Some(session.info(lasts))
    }

    /// The retained messages, by topic.
    pub fn retained(&self) -> impl Iterator<Item = Publish> {
        self.retained.values().map(Message::as_published)
    }

    /// The client identifier of a connection, once its CONNECT was accepted.
    pub fn client_id(&self, conn: ConnId) -> Option<&str> {
        self.connections.get(&conn)?.client_id.as_deref()
    }

    /// The connection of a client that is online.
    pub fn connection_of(&self, client_id: &str) -> Option<ConnId> {
        self.sessions.get(client_id)?.conn
    }

    /// The connections whose network is not gone.
    pub fn connections(&self) -> impl Iterator<Item = ConnId> {
        self.connections.keys().copied()
    }

    /// What connections are accepted with from now on.
    pub fn config_mut(&mut self) -> &mut BrokerConfig {
        &mut self.config
    }

    fn advance(&mut self, now: Time) {
        self.now = self.now.max(now);
    }

    fn note(&mut self, conn: ConnId, text: impl Into<String>) {
        if self.config.log {
            let (time, event) = (self.now, LogEvent::Note(text.into()));
            self.log.push(LogEntry { time, conn, event });
        }
    }

    /// A connection together with the session that it uses.
    fn pair(&mut self, conn: ConnId) -> Option<(&mut Connection, &mut Session)> {
        let connection = self.connections.get_mut(&conn)?;
        let session = self.sessions.get_mut(connection.client_id.as_ref()?)?;
        (session.conn == Some(conn)).then_some((connection, session))
    }

    fn count(&mut self, client_id: &Arc<str>) -> &mut Counts {
        self.counts.entry(client_id.clone()).or_default()
    }
}
