//! Servers that do not speak 5.0.

mod pair;

use std::time::Duration;

use mqtt_session::proto::{
    ConnAck, Connect, Packet, Properties, QoS, ReasonCode, SubscribeOptions, Version, Will,
};
use mqtt_session::{
    Cause, ConfigBuilder, ConfigError, ConnectionError, Endpoint, Event, Outcome, Phase,
    PublishRefused, QueueId, Servers, SubscribeError,
};
use pair::config;
use pair::raw::Raw;

const NONE: Properties = Properties::new();
/// CONNACK of 3.x: unacceptable protocol version.
const OLD_REFUSAL: [u8; 4] = [0x20, 2, 0, 1];

fn falling_back() -> ConfigBuilder {
    config(Version::V5).fall_back(true)
}

fn started(config: ConfigBuilder) -> Raw {
    let mut raw = Raw::of(config, Endpoint::new("192.0.2.1", 1883));
    raw.session.start(raw.now);
    raw
}

/// Answers the dial; what is written is in this version.
fn opened(raw: &mut Raw, version: Version) -> Connect {
    raw.version = version;
    let Packet::Connect(connect) = raw.open() else {
        panic!("no CONNECT")
    };
    assert_eq!(connect.version, version);
    *connect
}

fn refusal() -> Packet {
    Packet::ConnAck(ConnAck {
        session_present: false,
        reason: ReasonCode::UNSUPPORTED_PROTOCOL_VERSION,
        properties: NONE,
    })
}

fn refused_in_5_0(raw: &mut Raw) {
    opened(raw, Version::V5);
    raw.feed(&refusal());
    raw.hang_up();
}

fn user_property() -> Properties {
    let properties = Properties::builder().user_property("k", "v");
    properties.build().expect("good properties")
}

#[test]
fn a_refusal_of_the_version_in_either_dialect_or_a_close_before_connack_leads_to_3_1_1_at_once() {
    type Refuse = fn(&mut Raw);
    let refusals: [Refuse; 4] = [
        |raw| {
            raw.feed(&refusal());
            raw.hang_up();
        },
        |raw| {
            raw.bytes_in(&OLD_REFUSAL);
            raw.hang_up();
        },
        |raw| raw.closed(Cause::Eof),
        |raw| raw.closed(Cause::ConnectionReset),
    ];
    for refuse in refusals {
        let mut raw = started(falling_back());
        opened(&mut raw, Version::V5);
        assert_eq!(raw.session.version(), Version::V5);
        refuse(&mut raw);
        assert_eq!(raw.losses()[0].1, Some(Duration::ZERO));
        let connect = opened(&mut raw, Version::V3_1_1);
        assert!(connect.properties.is_empty());
        raw.accept(false, NONE);
        assert_eq!(raw.session.phase(), Phase::Connected);
        assert_eq!(raw.session.version(), Version::V3_1_1);
        // And so it stays with this server.
        raw.closed(Cause::Eof);
        assert_eq!(raw.session.version(), Version::V3_1_1);
        raw.wait_for_dial();
        opened(&mut raw, Version::V3_1_1);
    }
}

#[test]
fn who_did_not_ask_for_it_gets_the_refusal() {
    for by_old_server in [false, true] {
        let mut raw = started(config(Version::V5));
        opened(&mut raw, Version::V5);
        if by_old_server {
            raw.bytes_in(&OLD_REFUSAL);
        } else {
            raw.feed(&refusal());
        }
        raw.hang_up();
        let ConnectionError::Refused { reason, .. } = raw.last_loss() else {
            panic!("{:?}", raw.losses())
        };
        assert_eq!(reason, ReasonCode::UNSUPPORTED_PROTOCOL_VERSION);
        assert!(raw.session.is_closed());
    }
}

#[test]
fn a_server_that_has_spoken_5_0_before_is_not_asked_for_less() {
    let mut raw = started(falling_back());
    opened(&mut raw, Version::V5);
    raw.accept(false, NONE);
    for _ in 0..3 {
        raw.closed(Cause::Eof);
        raw.wait_for_dial();
        opened(&mut raw, Version::V5);
    }
    // Not even where it says so.
    raw.feed(&refusal());
    raw.hang_up();
    assert!(raw.session.is_closed());
}

#[test]
fn where_neither_version_is_accepted_each_round_begins_with_5_0_again() {
    let mut raw = started(falling_back());
    for _ in 0..3 {
        opened(&mut raw, Version::V5);
        raw.closed(Cause::Eof);
        opened(&mut raw, Version::V3_1_1);
        raw.closed(Cause::Eof);
        assert_eq!(raw.session.phase(), Phase::Waiting);
        assert_eq!(raw.session.version(), Version::V5);
        raw.wait_for_dial();
    }
    // A refusal of both is the end.
    refused_in_5_0(&mut raw);
    opened(&mut raw, Version::V3_1_1);
    raw.feed(&refusal());
    raw.hang_up();
    assert!(raw.session.is_closed());
}

#[test]
fn a_dial_that_fails_or_a_silent_server_says_nothing_of_the_version() {
    let mut raw = started(falling_back());
    raw.poll();
    raw.closed(Cause::ConnectionRefused);
    raw.wait_for_dial();
    opened(&mut raw, Version::V5);
    raw.advance(Duration::from_secs(10));
    raw.hang_up();
    raw.wait_for_dial();
    opened(&mut raw, Version::V5);
}

#[test]
fn each_group_of_servers_has_its_own_version() {
    let (a, b) = (
        Endpoint::new("192.0.2.1", 1883),
        Endpoint::new("192.0.2.2", 1883),
    );
    for shares in [false, true] {
        let servers = Servers::new(a.clone());
        let servers = if shares {
            servers.or_sharing(b.clone())
        } else {
            servers.or(b.clone())
        };
        let mut raw = Raw::of(falling_back(), servers);
        raw.session.start(raw.now);
        refused_in_5_0(&mut raw);
        opened(&mut raw, Version::V3_1_1);
        raw.accept(false, NONE);
        raw.closed(Cause::Eof);
        raw.wait_for_dial();
        raw.closed(Cause::ConnectionRefused);
        assert_eq!(*raw.session.server(), b);
        let expected = if shares { Version::V3_1_1 } else { Version::V5 };
        opened(&mut raw, expected);
    }
}

#[test]
fn what_was_accepted_and_3_1_1_can_not_carry_ends_as_refused() {
    let mut raw = started(falling_back());
    let rich = pair::message("a", b"x").with_properties(user_property());
    let rich = raw.offer(QoS::AtLeastOnce, rich).expect("accepted");
    let plain = raw.publish(QoS::AtMostOnce, b"x");
    let no_local = SubscribeOptions {
        no_local: true,
        ..QoS::AtLeastOnce.into()
    };
    let filters = vec![("a".try_into().expect("a filter"), no_local)];
    let subscribed = raw
        .session
        .subscribe(raw.now, filters, NONE, QueueId::DEFAULT)
        .expect("accepted");
    refused_in_5_0(&mut raw);
    opened(&mut raw, Version::V3_1_1);
    raw.accept(false, NONE);
    assert_eq!(raw.lines(), ["PUBLISH"]);
    assert!(matches!(
        raw.outcome(rich),
        Some(Outcome::Refused(PublishRefused::Encode(_)))
    ));
    assert_eq!(raw.outcome(plain), Some(Outcome::Written));
    let failed = raw.events.iter().any(|event| {
        matches!(event, Event::Subscribed { token, result: Err(SubscribeError::Encode(_)) } if *token == subscribed)
    });
    assert!(failed, "{:?}", raw.events);
    // And new ones are refused at the call.
    let rich = pair::message("a", b"x").with_properties(user_property());
    let error = raw.offer(QoS::AtMostOnce, rich).expect_err("refused");
    assert!(matches!(error.reason, PublishRefused::Encode(_)));
}

#[test]
fn a_configuration_that_3_1_1_can_not_carry_is_refused_when_it_is_built() {
    let delayed = Will {
        topic: "will".try_into().expect("a topic"),
        payload: "gone".into(),
        qos: QoS::AtMostOnce,
        retain: false,
        properties: Properties::builder()
            .will_delay_interval(5)
            .build()
            .expect("good properties"),
    };
    let bad: [ConfigBuilder; 3] = [
        falling_back().will(delayed),
        falling_back().connect_properties(user_property()),
        falling_back().password("without a name"),
    ];
    for config in bad {
        let error = config.build().expect_err("not for 3.1.1");
        assert!(matches!(error, ConfigError::Connect(_)), "{error}");
    }
    let error = config(Version::V3_1_1).fall_back(true).build();
    let text = error.expect_err("nothing to fall back to").to_string();
    assert_eq!(
        text,
        "fall_back: goes from 5.0 to 3.1.1, but the version is MQTT 3.1.1"
    );
}

#[test]
fn what_else_is_malformed_before_connack_is_no_old_refusal() {
    let mut raw = started(falling_back());
    opened(&mut raw, Version::V5);
    raw.bytes_in(&[0x20, 2, 0, 2]);
    assert!(matches!(raw.last_loss(), ConnectionError::Decode { .. }));
}

#[test]
fn who_leaves_while_a_refused_connection_is_closed_is_not_connected_in_3_1_1() {
    let mut raw = started(falling_back());
    let token = raw.publish(QoS::AtLeastOnce, b"x");
    opened(&mut raw, Version::V5);
    raw.feed(&refusal());
    assert_eq!(
        raw.losses()[0].1,
        Some(Duration::ZERO),
        "3.1.1 would be next"
    );
    raw.session
        .disconnect(raw.now, Default::default(), Duration::ZERO)
        .expect("a good DISCONNECT");
    let dials = raw.dials().len();
    raw.hang_up();
    assert!(raw.session.is_closed());
    assert_eq!(raw.dials().len(), dials);
    assert_eq!(raw.outcome(token), Some(Outcome::Closed));
    assert!(matches!(raw.events.last(), Some(Event::Closed)));
}
