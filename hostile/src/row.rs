//! A row of the table: what a server sends, when, and what comes of it at each level.

use std::panic::{AssertUnwindSafe, catch_unwind};

use mqtt_session::ConnectionError;
use mqtt_session::Fault;
use mqtt_session::Violation;
use mqtt_session::proto::{DecodeError, PacketId, QoS, ReasonCode, Version};

use crate::Script;

/// One input.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which entry of the list it belongs to.
    pub entry: u8,
    /// What it is.
    pub name: String,
    /// The version that is spoken.
    pub version: Version,
    /// Where the connection stands.
    pub before: Before,
    /// What the server sends then.
    pub bytes: Script,
    /// Our Maximum Packet Size, where it is not the usual one.
    pub limit: Option<u32>,
    /// What comes of it.
    pub then: Then,
}

/// Where a connection stands when the server sends what it should not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// CONNECT is not answered.
    Connecting,
    /// Nothing is under way.
    Connected,
    /// SUBSCRIBE to two filters is not answered.
    Subscribing,
    /// UNSUBSCRIBE of two filters is not answered.
    Unsubscribing,
    /// A PUBLISH of QoS 1 or 2 is not answered.
    Publishing(QoS),
    /// A PUBREL is not answered.
    Released,
}

/// What comes of it.
#[derive(Clone, Debug)]
pub enum Then {
    /// The connection is ended from here, and this is told of it.
    Ends(Told),
    /// The connection stays, and these are the answers.
    Stays {
        /// The bytes that the client writes.
        answers: Script,
        /// How many PUBLISH packets there are among those that came.
        publishes: u64,
    },
    /// Nothing happens: there is more to come, for which the peer is given the usual time.
    Waits,
}

/// What an application is told of the end.
#[derive(Clone, Copy, Debug)]
pub enum Told {
    /// The bytes are no packet.
    Decode(DecodeError),
    /// They are of another protocol. The decoder, which does not know where it stands, has this to say.
    Other(&'static str, DecodeError),
    /// The packet may not come here.
    Violation(fn(PacketId) -> Violation),
    /// It is the server that ends the connection, with this reason.
    Disconnected(ReasonCode),
    /// The server refuses the connection, with this reason.
    Refused(ReasonCode),
}

impl Row {
    /// Fails where the error is not the one that this row says, in its kind, its words, and whose fault it is.
    ///
    /// # Panics
    ///
    /// Then.
    pub fn check(&self, error: &ConnectionError, peer: &str, id: Option<PacketId>) {
        let case = self.title();
        let text = error.to_string();
        let (is_kind, fault, begin) = match &self.then {
            Then::Ends(Told::Decode(wanted)) => (
                matches!(error, ConnectionError::Decode { error, .. } if error == wanted),
                Fault::Peer,
                format!("{peer} sent what is no valid packet: {wanted}"),
            ),
            Then::Ends(Told::Other(wanted, _)) => (
                matches!(error, ConnectionError::OtherProtocol { protocol, .. } if protocol == wanted),
                Fault::Peer,
                format!("{peer} speaks {wanted}, not what is asked of it"),
            ),
            Then::Ends(Told::Violation(wanted)) => {
                let wanted = wanted(id.unwrap_or(PacketId::MIN));
                (
                    matches!(error, ConnectionError::Protocol { violation, .. } if *violation == wanted),
                    Fault::Peer,
                    format!("{peer} broke the protocol: {wanted}"),
                )
            }
            Then::Ends(Told::Disconnected(wanted)) => (
                matches!(error, ConnectionError::Disconnected { reason, .. } if reason == wanted),
                Fault::Peer,
                format!("{peer} disconnected: {wanted}"),
            ),
            Then::Ends(Told::Refused(wanted)) => (
                matches!(error, ConnectionError::Refused { reason, .. } if reason == wanted)
                    && text.contains(&wanted.to_string()),
                Fault::Peer,
                format!("{peer} refused the connection after "),
            ),
            Then::Stays { .. } | Then::Waits if self.before == Before::Connecting => (
                matches!(error, ConnectionError::Unanswered { .. }),
                Fault::Network,
                format!("the connection to {peer} ended after "),
            ),
            Then::Stays { .. } | Then::Waits => (
                matches!(error, ConnectionError::Closed { .. }),
                Fault::Network,
                format!("the connection to {peer} was lost after "),
            ),
        };
        assert!(is_kind, "{case}: {error:?}");
        assert_eq!(error.fault(), fault, "{case}: {error:?}");
        assert!(text.starts_with(&begin), "{case}: {text}\nnot: {begin}");
    }

    /// The bytes that the client writes.
    pub fn answers(&self, id: Option<PacketId>) -> Vec<u8> {
        let reason = match &self.then {
            Then::Stays { answers, .. } => return answers.with(id),
            Then::Ends(Told::Decode(error)) => error.reason(),
            Then::Ends(Told::Violation(wanted)) => wanted(id.unwrap_or(PacketId::MIN)).reason(),
            _ => return Vec::new(),
        };
        if self.version.is_v5() {
            vec![0xE0, 1, reason.0]
        } else {
            // In 3.x DISCONNECT would withdraw the will.
            Vec::new()
        }
    }

    /// For whoever reads that it failed.
    pub fn title(&self) -> String {
        format!("{}. {}, {}", self.entry, self.name, self.version)
    }

    /// Whether the connection is ended from here.
    pub fn ends(&self) -> bool {
        matches!(self.then, Then::Ends(_))
    }
}

/// Runs each of these, and fails at the end where any has failed: which, each has said by then.
///
/// # Panics
///
/// Then.
pub fn each(rows: &[Row], run: impl Fn(&Row)) {
    let fails = |row: &&Row| catch_unwind(AssertUnwindSafe(|| run(row))).is_err();
    let failed: Vec<_> = rows.iter().filter(fails).map(Row::title).collect();
    assert!(!rows.is_empty(), "there is no row");
    assert_eq!(failed, Vec::<String>::new(), "of {} rows", rows.len());
}
