//! What follows on which reason code: semantics of retry, next server and give up.

mod pair;

use std::time::Duration;

use mqtt_session::proto::{
    ConnAck, Disconnect, Packet, PacketType, Properties, ReasonCode, Sender, Version,
};
use mqtt_session::{ConfigBuilder, ConnectionError, Endpoint, Phase, Servers, Verdict};
use pair::raw::Raw;
use pair::{VERSIONS, config};

const NONE: Properties = Properties::new();

const GIVE_UP: [ReasonCode; 7] = [
    ReasonCode::UNSUPPORTED_PROTOCOL_VERSION,
    ReasonCode::CLIENT_IDENTIFIER_NOT_VALID,
    ReasonCode::BAD_USER_NAME_OR_PASSWORD,
    ReasonCode::NOT_AUTHORIZED,
    ReasonCode::BANNED,
    ReasonCode::BAD_AUTHENTICATION_METHOD,
    ReasonCode::SESSION_TAKEN_OVER,
];

const NEXT_SERVER: [ReasonCode; 6] = [
    ReasonCode::SERVER_UNAVAILABLE,
    ReasonCode::SERVER_BUSY,
    ReasonCode::SERVER_SHUTTING_DOWN,
    ReasonCode::USE_ANOTHER_SERVER,
    ReasonCode::SERVER_MOVED,
    ReasonCode::CONNECTION_RATE_EXCEEDED,
];

fn expected(reason: ReasonCode) -> Verdict {
    if GIVE_UP.contains(&reason) {
        Verdict::GiveUp
    } else if NEXT_SERVER.contains(&reason) {
        Verdict::NextServer
    } else {
        Verdict::Retry
    }
}

fn two() -> Servers {
    Servers::new(Endpoint::new("192.0.2.1", 1883)).or(Endpoint::new("192.0.2.2", 1883))
}

fn connack(reason: ReasonCode) -> Packet {
    Packet::ConnAck(ConnAck {
        session_present: false,
        reason,
        properties: NONE,
    })
}

fn allowed(packet: PacketType, version: Version) -> impl Iterator<Item = ReasonCode> {
    let all = ReasonCode::ALL.iter().copied();
    all.filter(move |reason| reason.allowed_in(packet, Sender::Server, version))
}

/// Where the session dials next, by the last number of the server, unless it is at its end.
fn next(raw: &mut Raw) -> Option<u8> {
    if raw.session.is_closed() {
        return None;
    }
    raw.wait_for_dial();
    match raw.dials().last()?.ip() {
        std::net::IpAddr::V4(ip) => Some(ip.octets()[3]),
        std::net::IpAddr::V6(ip) => panic!("{ip}"),
    }
}

#[test]
fn every_reason_code_of_connack_in_each_version_has_its_verdict() {
    for version in VERSIONS {
        for reason in allowed(PacketType::ConnAck, version).filter(|reason| reason.is_error()) {
            let mut raw = Raw::of(config(version), Endpoint::new("192.0.2.1", 1883));
            raw.session.start(raw.now);
            raw.open();
            raw.feed(&connack(reason));
            raw.hang_up();
            let gives_up = expected(reason) == Verdict::GiveUp;
            assert_eq!(raw.session.is_closed(), gives_up, "{version} {reason:?}");
            let (error, retry_in) = raw.losses().pop().expect("told");
            assert_eq!(retry_in.is_none(), gives_up);
            assert_eq!(error.verdict(), expected(reason));
            assert_eq!(error.reason(), Some(reason));
        }
    }
}

#[test]
fn every_reason_code_of_disconnect_has_its_verdict() {
    for reason in allowed(PacketType::Disconnect, Version::V5) {
        let mut raw = Raw::of(config(Version::V5), two());
        raw.session.start(raw.now);
        raw.open();
        raw.accept(false, NONE);
        raw.feed(&Packet::Disconnect(Disconnect::new(reason)));
        raw.hang_up();
        let expected = match expected(reason) {
            Verdict::Retry => Some(1),
            Verdict::NextServer => Some(2),
            _ => None,
        };
        assert_eq!(next(&mut raw), expected, "{reason:?}");
    }
}

#[test]
fn the_configuration_may_decide_otherwise_for_a_reason_code() {
    let with = |config: ConfigBuilder| {
        let mut raw = Raw::of(config, Endpoint::new("192.0.2.1", 1883));
        raw.session.start(raw.now);
        raw.open();
        raw.feed(&connack(ReasonCode::BAD_USER_NAME_OR_PASSWORD));
        raw.hang_up();
        raw.session.phase()
    };
    let reason = ReasonCode::BAD_USER_NAME_OR_PASSWORD;
    assert_eq!(with(config(Version::V3_1_1)), Phase::Closed);
    let patient = config(Version::V3_1_1)
        .verdict(reason, Verdict::GiveUp)
        .verdict(reason, Verdict::Retry);
    assert_eq!(with(patient), Phase::Waiting);
}

#[test]
fn what_the_network_does_is_tried_again() {
    let dial = ConnectionError::Dial {
        addr: std::net::SocketAddr::from(([192, 0, 2, 1], 1883)).into(),
        after: Duration::ZERO,
        cause: mqtt_session::Cause::TimedOut,
    };
    assert_eq!((dial.verdict(), dial.reason()), (Verdict::Retry, None));
}
