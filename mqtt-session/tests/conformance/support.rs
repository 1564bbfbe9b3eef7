use mqtt_session::proto::{
    Connect, Flow, Packet, PacketId, PacketType, Properties, PropertiesBuilder, QoS, ReasonCode,
    UnsubAck, Version,
};
use mqtt_session::{Action, ConfigBuilder, ConnectionError, Fault, Phase, Received, Violation};
use mqtt_testkit::{Direction, Summary};

use crate::pair::raw::{Raw, id};
use crate::pair::{Pair, config};

pub(crate) const NONE: Properties = Properties::new();

/// A session that outlives its connection in each version.
pub(crate) fn lasting(version: Version) -> ConfigBuilder {
    config(version).clean_start(false)
}

pub(crate) fn properties(set: impl FnOnce(PropertiesBuilder) -> PropertiesBuilder) -> Properties {
    set(Properties::builder()).build().expect("good properties")
}

/// A session whose stream is open and whose CONNECT is with the server.
pub(crate) fn handshaking(config: ConfigBuilder) -> Raw {
    let mut raw = Raw::new(config);
    raw.session.start(raw.now);
    raw.open();
    raw
}

/// Opens the stream and gives the CONNECT.
pub(crate) fn open(raw: &mut Raw) -> Connect {
    match raw.open() {
        Packet::Connect(connect) => *connect,
        other => panic!("{other:?}"),
    }
}

/// The session has ended the connection: with this DISCONNECT in 5.0, in 3.x without a word. It says that the server is to blame, and
/// comes back.
pub(crate) fn assert_ended(raw: &mut Raw, reason: u8) -> ConnectionError {
    let sent = raw.lines();
    let expected: &[String] = if raw.version.is_v5() {
        &[format!("DISCONNECT 0x{reason:02X}")]
    } else {
        &[]
    };
    let mut losses = raw.losses();
    assert_eq!(losses.len(), 1, "{losses:?}");
    let (error, retry_in) = losses.remove(0);
    assert_eq!(sent, expected, "{error}");
    assert_eq!(error.fault(), Fault::Peer, "{error}");
    assert!(retry_in.is_some(), "{error}");
    assert!(
        raw.actions
            .iter()
            .any(|action| matches!(action, Action::Hangup { .. })),
        "{error}"
    );
    assert_eq!(raw.session.phase(), Phase::Closing);
    error
}

/// The same for a breach that no decoder sees; tells which.
pub(crate) fn assert_violated(raw: &mut Raw, reason: u8) -> Violation {
    match assert_ended(raw, reason) {
        ConnectionError::Protocol { violation, .. } => violation,
        other => panic!("{other}"),
    }
}

pub(crate) fn flow(qos: QoS, number: u16, dup: bool) -> Flow {
    let id = id(number);
    match qos {
        QoS::AtMostOnce => Flow::AtMostOnce,
        QoS::AtLeastOnce => Flow::AtLeastOnce { id, dup },
        QoS::ExactlyOnce => Flow::ExactlyOnce { id, dup },
    }
}

/// The packet identifier of the one packet that the session wrote since the last look.
pub(crate) fn sent_id(raw: &mut Raw) -> u16 {
    let lines = raw.lines();
    let [line] = &lines[..] else {
        panic!("{lines:?}")
    };
    let word = line.split(' ').nth(1).expect("an identifier");
    word.parse().expect("a number")
}

/// What went to the broker, of one type.
pub(crate) fn sent(pair: &Pair, packet_type: PacketType) -> Vec<&Summary> {
    logged(pair, Direction::ToBroker, packet_type)
}

/// What the broker sent, of one type.
pub(crate) fn answered(pair: &Pair, packet_type: PacketType) -> Vec<&Summary> {
    logged(pair, Direction::ToClient, packet_type)
}

fn logged(pair: &Pair, direction: Direction, packet_type: PacketType) -> Vec<&Summary> {
    pair.broker
        .log()
        .iter()
        .filter_map(|entry| entry.packet(direction))
        .filter(|summary| summary.packet_type == packet_type)
        .collect()
}

/// Gives a message's ticket back.
pub(crate) fn ack(raw: &mut Raw, received: Received) {
    raw.session
        .ack(raw.now, received.ticket)
        .expect("a fresh ticket");
}

/// The answer to an UNSUBSCRIBE of one filter. 3.x has no codes in it.
pub(crate) fn unsuback(version: Version, id: PacketId) -> Packet {
    let codes = if version.is_v5() {
        vec![ReasonCode::SUCCESS]
    } else {
        Vec::new()
    };
    Packet::UnsubAck(UnsubAck {
        id,
        codes,
        properties: NONE,
    })
}
