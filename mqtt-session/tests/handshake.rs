//! From looking the name up to CONNACK: what can go wrong, what is said about it, and whether it is tried again.

mod pair;

use std::time::Duration;

use mqtt_session::proto::{ConnAck, Packet, Properties, ReasonCode, Version};
use mqtt_session::{Cause, ConnectionError, Event, Fault, Phase, Timer, Violation};
use pair::raw::Raw;
use pair::{VERSIONS, config};

const NONE: Properties = Properties::new();
const MS: Duration = Duration::from_millis(1);

fn refusal(reason: ReasonCode) -> Packet {
    Packet::ConnAck(ConnAck {
        session_present: false,
        reason,
        properties: NONE,
    })
}

#[test]
fn reasons_that_asking_again_can_not_change_end_the_session_and_all_others_are_tried_again() {
    use ReasonCode as R;
    let give_up = [
        R::UNSUPPORTED_PROTOCOL_VERSION,
        R::CLIENT_IDENTIFIER_NOT_VALID,
        R::BAD_USER_NAME_OR_PASSWORD,
        R::NOT_AUTHORIZED,
        R::BANNED,
        R::BAD_AUTHENTICATION_METHOD,
    ];
    let retry = [
        R::UNSPECIFIED_ERROR,
        R::MALFORMED_PACKET,
        R::PROTOCOL_ERROR,
        R::IMPLEMENTATION_SPECIFIC_ERROR,
        R::SERVER_UNAVAILABLE,
        R::SERVER_BUSY,
        R::TOPIC_NAME_INVALID,
        R::PACKET_TOO_LARGE,
        R::QUOTA_EXCEEDED,
        R::PAYLOAD_FORMAT_INVALID,
        R::RETAIN_NOT_SUPPORTED,
        R::QOS_NOT_SUPPORTED,
        R::USE_ANOTHER_SERVER,
        R::SERVER_MOVED,
        R::CONNECTION_RATE_EXCEEDED,
    ];
    let table = give_up
        .map(|reason| (reason, false))
        .into_iter()
        .chain(retry.map(|reason| (reason, true)));
    for (reason, again) in table {
        let mut raw = Raw::new(config(Version::V5));
        raw.session.start(raw.now);
        raw.open();
        raw.advance(MS * 30);
        raw.feed(&refusal(reason));
        let (error, retry_in) = raw.losses().pop().expect("a loss");
        let ConnectionError::Refused {
            after,
            reason: told,
            ..
        } = &error
        else {
            panic!("{error:?}")
        };
        assert_eq!((*after, *told), (MS * 30, reason));
        assert_eq!(error.fault(), Fault::Peer);
        assert_eq!(retry_in.is_some(), again, "{reason:?}");
        assert!(!raw.hang_up());
        assert_eq!(
            raw.session.phase(),
            if again { Phase::Waiting } else { Phase::Closed },
            "{reason:?}"
        );
    }
}

#[test]
fn the_return_codes_of_3_x_mean_the_same() {
    for version in [Version::V3_1, Version::V3_1_1] {
        for (code, again) in [(1, false), (2, false), (3, true), (4, false), (5, false)] {
            let mut raw = Raw::new(config(version));
            raw.session.start(raw.now);
            raw.open();
            raw.bytes_in(&[0x20, 2, 0, code]);
            assert!(matches!(raw.last_loss(), ConnectionError::Refused { .. }));
            assert_eq!(raw.losses()[0].1.is_some(), again, "{version} {code}");
        }
    }
}

#[test]
fn disconnect_with_session_taken_over_gives_up_and_shutting_down_does_not() {
    for (reason, again) in [
        (ReasonCode::SESSION_TAKEN_OVER, false),
        (ReasonCode::SERVER_SHUTTING_DOWN, true),
    ] {
        let mut raw = Raw::connected(config(Version::V5));
        raw.feed(&Packet::Disconnect(mqtt_session::proto::Disconnect::new(
            reason,
        )));
        let (error, retry_in) = raw.losses().pop().expect("a loss");
        assert!(
            matches!(error, ConnectionError::Disconnected { reason: told, .. } if told == reason)
        );
        assert_eq!(retry_in.is_some(), again);
        assert!(!raw.hang_up());
        assert_eq!(
            raw.lines(),
            Vec::<String>::new(),
            "DISCONNECT is not answered"
        );
    }
}

#[test]
fn connect_ends_after_the_first_failed_round_and_start_tries_again() {
    for persistent in [false, true] {
        let mut raw = Raw::new(config(Version::V5));
        if persistent {
            raw.session.start(raw.now);
        } else {
            raw.session.connect(raw.now);
        }
        raw.poll();
        raw.closed(Cause::ConnectionRefused);
        assert_eq!(raw.losses()[0].1.is_some(), persistent);
        assert_eq!(raw.session.is_closed(), !persistent);
        assert_eq!(
            raw.events
                .iter()
                .any(|event| matches!(event, Event::Closed)),
            !persistent
        );
    }
}

#[test]
fn after_a_first_success_also_connect_tries_again() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.closed(Cause::ConnectionReset);
    raw.wait_for_dial();
    raw.closed(Cause::ConnectionRefused);
    assert_eq!(raw.session.phase(), Phase::Waiting);
}

#[test]
fn a_connack_that_does_not_come_ends_the_attempt() {
    for version in VERSIONS {
        let mut raw = Raw::new(config(version));
        raw.session.start(raw.now);
        raw.open();
        assert_eq!(
            raw.session.next_timer().map(|(timer, _)| timer),
            Some(Timer::ConnAck)
        );
        raw.advance(Duration::from_secs(10));
        let error = raw.last_loss();
        assert!(
            matches!(error, ConnectionError::NoConnAck { after, .. } if after == Duration::from_secs(10))
        );
        assert_eq!(
            error.to_string(),
            "192.0.2.1:1883 took the connection but sent no CONNACK within 10 s"
        );
        assert!(!raw.hang_up());
    }
}

#[test]
fn anything_before_connack_is_a_protocol_error() {
    for version in VERSIONS {
        let packets: [(&[u8], &str); 3] = [
            (&[0x30, 4, 0, 1, b'a', 0], "PUBLISH"),
            (&[0xD0, 0], "PINGRESP"),
            (&[0x40, 2, 0, 1], "PUBACK"),
        ];
        for (bytes, name) in packets {
            let mut raw = Raw::new(config(version));
            raw.session.start(raw.now);
            raw.open();
            raw.bytes_in(bytes);
            let text = format!("192.0.2.1:1883 broke the protocol: {name} came before CONNACK");
            assert_eq!(raw.last_loss().to_string(), text);
            assert_eq!(raw.hang_up(), version.is_v5());
        }
    }
}

#[test]
fn a_second_connack_is_a_protocol_error() {
    for version in VERSIONS {
        let mut raw = Raw::connected(config(version));
        raw.accept(false, NONE);
        let error = raw.last_loss();
        assert!(matches!(
            error,
            ConnectionError::Protocol {
                violation: Violation::SecondConnAck,
                ..
            }
        ));
        let expected: &[&str] = if version.is_v5() {
            &["DISCONNECT 0x82"]
        } else {
            &[]
        };
        assert_eq!(raw.lines(), expected);
    }
}

#[test]
fn a_session_that_is_present_against_a_clean_start_ends_the_connection() {
    for version in [Version::V3_1_1, Version::V5] {
        let mut raw = Raw::new(config(version));
        raw.session.start(raw.now);
        raw.open();
        raw.accept(true, NONE);
        let error = raw.last_loss();
        assert!(matches!(
            error,
            ConnectionError::Protocol {
                violation: Violation::SessionPresent,
                ..
            }
        ));
        // Who asked to resume takes it, also in a new process [MQTT-3.2.2-4].
        let mut raw = Raw::new(config(version).clean_start(false));
        raw.session.start(raw.now);
        raw.open();
        raw.accept(true, NONE);
        assert_eq!(raw.session.phase(), Phase::Connected);
    }
}

#[test]
fn clean_start_is_asked_for_once_in_5_0_and_at_every_connection_in_3_x() {
    for (version, again) in [(Version::V3_1_1, true), (Version::V5, false)] {
        let mut raw = Raw::new(config(version));
        raw.session.connect(raw.now);
        for expected in [true, again, again] {
            let Packet::Connect(connect) = raw.open() else {
                panic!("no CONNECT")
            };
            assert_eq!(connect.clean_start, expected, "{version}");
            raw.accept(false, NONE);
            raw.closed(Cause::Eof);
            raw.wait_for_dial();
        }
    }
}

#[test]
fn an_assigned_client_identifier_is_used_from_then_on() {
    let mut raw = Raw::new(mqtt_session::Config::builder(""));
    raw.session.connect(raw.now);
    let Packet::Connect(connect) = raw.open() else {
        panic!("no CONNECT")
    };
    assert_eq!(connect.client_id.as_str(), "");
    let assigned = Properties::builder()
        .assigned_client_identifier("srv-1")
        .build()
        .expect("good properties");
    raw.accept(false, assigned);
    raw.closed(Cause::Eof);
    raw.wait_for_dial();
    let Packet::Connect(connect) = raw.open() else {
        panic!("no CONNECT")
    };
    assert_eq!(connect.client_id.as_str(), "srv-1");
    raw.accept(true, NONE);
    assert_eq!(raw.session.phase(), Phase::Connected);
}

#[test]
fn an_empty_client_identifier_needs_an_assigned_one_in_5_0() {
    let mut raw = Raw::new(mqtt_session::Config::builder(""));
    raw.session.start(raw.now);
    raw.open();
    raw.accept(false, NONE);
    let text = "192.0.2.1:1883 broke the protocol: the client identifier was empty, and CONNACK assigned none";
    assert_eq!(raw.last_loss().to_string(), text);
    // 3.1.1 can't tell the client.
    let mut raw = Raw::new(mqtt_session::Config::builder("").version(Version::V3_1_1));
    raw.session.start(raw.now);
    raw.open();
    raw.accept(false, NONE);
    assert_eq!(raw.session.phase(), Phase::Connected);
}

#[test]
fn errors_say_where_after_how_long_and_why() {
    let mut raw = Raw::new(config(Version::V5));
    raw.session.start(raw.now);
    raw.open();
    raw.advance(MS * 12);
    let properties = Properties::builder()
        .reason_string("come back later")
        .build()
        .expect("good properties");
    let reason = ReasonCode::SERVER_BUSY;
    raw.feed(&Packet::ConnAck(ConnAck {
        session_present: false,
        reason,
        properties,
    }));
    let text =
        "192.0.2.1:1883 refused the connection after 12 ms: 0x89 Server busy: come back later";
    assert_eq!(raw.last_loss().to_string(), text);
    raw.hang_up();
    raw.wait_for_dial();
    raw.open();
    raw.advance(MS * 3);
    raw.closed(Cause::Eof);
    let text = "the connection to 192.0.2.1:1883 ended after 3 ms, before CONNECT was answered: the peer closed the connection; ";
    let shown = raw.last_loss().to_string();
    assert!(shown.starts_with(text), "{shown}");
}

#[test]
fn connecting_twice_does_nothing_and_a_closed_session_stays_closed() {
    let mut raw = Raw::new(config(Version::V5));
    raw.session.connect(raw.now);
    raw.session.connect(raw.now);
    raw.session.start(raw.now);
    raw.poll();
    assert_eq!(raw.actions.len(), 1);
    raw.closed(Cause::ConnectionRefused);
    assert!(raw.session.is_closed());
    raw.actions.clear();
    raw.session.start(raw.now);
    raw.poll();
    assert_eq!(raw.actions, []);
    assert_eq!(raw.session.poll_timeout(), None);
}
