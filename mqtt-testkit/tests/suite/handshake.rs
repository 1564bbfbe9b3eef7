use core::num::{NonZeroU16, NonZeroU32};

use mqtt_proto::{Packet, Properties, QoS, ReasonCode, Version, Will};
use mqtt_testkit::BrokerConfig;

use crate::client::{ALL_VERSIONS, World, clean, message, props, qos1, resuming, topic};

#[test]
fn a_valid_connect_is_accepted_in_every_version() {
    for version in ALL_VERSIONS {
        let mut world = World::new();
        let (client, connack) = world.connect_with_ack(clean(version, "c"));
        assert!(!connack.session_present);
        assert!(connack.properties.is_empty());
        assert_eq!(world.broker.client_id(client.conn), Some("c"));
        assert_eq!(world.broker.connection_of("c"), Some(client.conn));
        world.expect_no_violation();
    }
}

#[test]
fn a_kept_session_is_present_after_a_reconnect_and_gone_after_a_clean_start() {
    for version in ALL_VERSIONS {
        let mut world = World::new();
        let client = world.connect(resuming(version, "c"));
        client.cut(&mut world);
        let (client, connack) = world.connect_with_ack(resuming(version, "c"));
        // 3.1 has no way to say so.
        assert_eq!(connack.session_present, version != Version::V3_1);
        client.cut(&mut world);
        let (client, connack) = world.connect_with_ack(clean(version, "c"));
        assert!(!connack.session_present);
        client.cut(&mut world);
        assert!(world.broker.session("c").is_none());
    }
}

#[test]
fn limits_stand_in_connack_from_the_next_connection_on() {
    let mut world = World::new();
    let first = world.connect(clean(Version::V5, "first"));
    *world.broker.config_mut() = BrokerConfig {
        receive_maximum: 3,
        maximum_packet_size: Some(200),
        maximum_qos: QoS::AtLeastOnce,
        retain_available: false,
        topic_alias_maximum: 4,
        wildcards_available: false,
        subscription_identifiers_available: false,
        shared_subscriptions_available: false,
        server_keep_alive: Some(9),
        maximum_session_expiry: Some(100),
        ..BrokerConfig::default()
    };
    let (_, connack) = world.connect_with_ack(resuming(Version::V5, "second"));
    let expected = props(|p| {
        p.session_expiry_interval(100)
            .receive_maximum(NonZeroU16::new(3).unwrap())
            .maximum_qos(true)
            .retain_available(false)
            .maximum_packet_size(NonZeroU32::new(200).unwrap())
            .topic_alias_maximum(4)
            .wildcard_subscription_available(false)
            .subscription_identifier_available(false)
            .shared_subscription_available(false)
            .server_keep_alive(9)
    });
    assert_eq!(connack.properties, expected);
    assert!(!world.broker.wants_close(first.conn));
}

#[test]
fn an_empty_client_id_gets_one_assigned_where_the_version_allows() {
    let mut world = World::new();
    let (client, connack) = world.connect_with_ack(clean(Version::V5, ""));
    let assigned = connack.properties.view().assigned_client_identifier();
    assert_eq!(assigned, world.broker.client_id(client.conn));
    assert!(assigned.is_some());
    world.connect(clean(Version::V3_1_1, ""));
    world.expect_no_violation();
}

#[test]
fn an_empty_client_id_with_a_session_to_keep_is_refused_in_3_1_1() {
    let mut world = World::new();
    let mut client = world.open(Version::V3_1_1);
    // CONNECT of 3.1.1 without flags, keep alive 0, client id of length 0: the codec refuses to write it.
    let bytes = [0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 0, 0, 0, 0, 0];
    client.send_raw(&mut world, &bytes);
    let Packet::ConnAck(connack) = client.receive_one(&mut world) else {
        panic!("no CONNACK")
    };
    assert_eq!(connack.reason, ReasonCode::CLIENT_IDENTIFIER_NOT_VALID);
    assert!(world.broker.wants_close(client.conn));
    assert_eq!(world.broker.violations()[0].rule, "MQTT-3.1.3-7");
}

#[test]
fn an_unknown_protocol_level_is_refused_and_no_violation() {
    let mut world = World::new();
    let mut client = world.open(Version::V5);
    let bytes = [0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 6, 2, 0, 0, 0, 0, 0];
    client.send_raw(&mut world, &bytes);
    let Packet::ConnAck(connack) = client.receive_one(&mut world) else {
        panic!("no CONNACK")
    };
    assert_eq!(connack.reason, ReasonCode::UNSUPPORTED_PROTOCOL_VERSION);
    assert!(world.broker.wants_close(client.conn));
    world.expect_no_violation();
}

#[test]
fn a_packet_before_connect_closes_the_connection_without_disconnect() {
    let mut world = World::new();
    let mut client = world.open(Version::V5);
    client.send(&mut world, Packet::PingReq);
    client.expect_nothing(&mut world);
    assert!(world.broker.wants_close(client.conn));
    assert_eq!(world.broker.violations()[0].rule, "MQTT-3.1.0-1");
}

#[test]
fn a_second_connect_is_a_violation() {
    let mut world = World::new();
    let connect = clean(Version::V5, "c");
    let mut client = world.connect(connect.clone());
    client.send(&mut world, Packet::Connect(connect.into()));
    let code = ReasonCode::PROTOCOL_ERROR;
    world.expect_violation(&mut client, "MQTT-3.1.0-2", code);
}

#[test]
fn the_older_connection_is_ended_when_another_takes_its_session_over() {
    let mut world = World::new();
    let mut older = world.connect(resuming(Version::V5, "c"));
    let (newer, connack) = world.connect_with_ack(resuming(Version::V5, "c"));
    assert!(connack.session_present);
    let Packet::Disconnect(disconnect) = older.receive_one(&mut world) else {
        panic!("no DISCONNECT")
    };
    assert_eq!(disconnect.reason, ReasonCode::SESSION_TAKEN_OVER);
    assert!(world.broker.wants_close(older.conn));
    older.cut(&mut world);
    assert_eq!(world.broker.connection_of("c"), Some(newer.conn));
    world.expect_no_violation();
}

#[test]
fn a_will_above_the_limits_is_refused() {
    let config = BrokerConfig {
        maximum_qos: QoS::AtMostOnce,
        retain_available: false,
        ..BrokerConfig::default()
    };
    for (qos, retain, code) in [
        (QoS::AtLeastOnce, false, ReasonCode::QOS_NOT_SUPPORTED),
        (QoS::AtMostOnce, true, ReasonCode::RETAIN_NOT_SUPPORTED),
    ] {
        let mut world = World::with(config.clone());
        let mut client = world.open(Version::V5);
        let will = Will {
            topic: topic("will"),
            payload: "x".into(),
            qos,
            retain,
            properties: Properties::new(),
        };
        let mut connect = clean(Version::V5, "c");
        connect.will = Some(will);
        client.send(&mut world, Packet::Connect(connect.into()));
        let Packet::ConnAck(connack) = client.receive_one(&mut world) else {
            panic!("no CONNACK")
        };
        assert_eq!(connack.reason, code);
        assert!(world.broker.wants_close(client.conn));
    }
}

#[test]
fn a_malformed_packet_is_a_violation_with_the_codecs_reason() {
    let mut world = World::new();
    let mut client = world.connect(clean(Version::V5, "c"));
    client.send_raw(&mut world, &[0x36, 0x00]);
    let code = ReasonCode::MALFORMED_PACKET;
    world.expect_violation(&mut client, "MQTT-4.13.1-1", code);
}

#[test]
fn bytes_in_any_split_give_the_same_result() {
    let mut world = World::new();
    let mut client = world.connect(clean(Version::V5, "c"));
    let mut bytes = bytes::BytesMut::new();
    for byte in [0x32, 8, 0, 1, b't', 0, 7, 0, b'h', b'i'] {
        client.expect_nothing(&mut world);
        bytes.extend_from_slice(&[byte]);
        world.broker.input(world.now(), client.conn, &mut bytes);
    }
    assert!(bytes.is_empty());
    client.expect_ack(&mut world, mqtt_proto::PacketType::PubAck, 7);
    assert_eq!(world.broker.received()[0].message, message("t", "hi"));
}

#[test]
fn anything_after_disconnect_is_a_violation() {
    for version in ALL_VERSIONS {
        let mut world = World::new();
        let mut client = world.connect(clean(version, "c"));
        client.send(
            &mut world,
            Packet::Disconnect(mqtt_proto::Disconnect::default()),
        );
        assert!(world.broker.wants_close(client.conn));
        world.expect_no_violation();
        client.publish(&mut world, &message("t", "late"), qos1(1, false));
        client.expect_nothing(&mut world);
        assert_eq!(world.broker.violations()[0].rule, "MQTT-3.14.4-1");
        assert!(world.broker.received().is_empty());
    }
}

#[test]
fn a_session_expiry_that_was_zero_can_not_be_raised_with_disconnect() {
    let mut world = World::new();
    let mut client = world.connect(clean(Version::V5, "c"));
    let disconnect = mqtt_proto::Disconnect {
        reason: ReasonCode::SUCCESS,
        properties: props(|p| p.session_expiry_interval(5)),
    };
    client.send(&mut world, Packet::Disconnect(disconnect));
    let code = ReasonCode::PROTOCOL_ERROR;
    world.expect_violation(&mut client, "3.14.2.2.2", code);
}

#[test]
fn a_client_of_3_1_1_that_sends_too_much_is_closed_and_not_accused() {
    let mut world = World::with(BrokerConfig {
        maximum_packet_size: Some(20),
        ..BrokerConfig::default()
    });
    let client = world.connect(clean(Version::V3_1_1, "c"));
    let large = message("t", "far too large for twenty bytes");
    client.publish(&mut world, &large, qos1(1, false));
    assert!(world.broker.wants_close(client.conn));
    world.expect_no_violation();
}

#[test]
fn no_bytes_make_the_broker_panic() {
    let mut rng = mqtt_testkit::Rng::new(11);
    for version in ALL_VERSIONS {
        for _ in 0..3000 {
            let mut world = World::new();
            let mut client = world.connect(clean(version, "c"));
            client.subscribe(&mut world, "#", QoS::ExactlyOnce);
            // Mostly the shape of a packet: a type, a length that fits, small values.
            for _ in 0..4 {
                let len = rng.below(12) as u8;
                let mut bytes = vec![(rng.below(256) as u8), len];
                bytes.extend((0..len).map(|_| rng.below(if len < 6 { 4 } else { 64 }) as u8));
                client.send_raw(&mut world, &bytes);
            }
            assert_eq!(world.broker.connections().count(), 1);
        }
    }
}
