//! What a client must keep to when it publishes, within one connection.

use mqtt_proto::{Flow, Packet, PacketType, QoS, ReasonCode, Unsubscribe, Version};
use mqtt_testkit::BrokerConfig;

use crate::client::{ALL_VERSIONS, World, ack, clean, id, message, qos1, qos2};

const PROTOCOL_ERROR: ReasonCode = ReasonCode::PROTOCOL_ERROR;

#[test]
fn a_publish_is_answered_as_its_qos_asks() {
    for version in ALL_VERSIONS {
        let mut world = World::new();
        let mut client = world.connect(clean(version, "c"));
        client.publish(&mut world, &message("t", "0"), Flow::AtMostOnce);
        client.expect_nothing(&mut world);
        client.publish(&mut world, &message("t", "1"), qos1(1, false));
        client.expect_ack(&mut world, PacketType::PubAck, 1);
        client.publish(&mut world, &message("t", "2"), qos2(2, false));
        client.expect_ack(&mut world, PacketType::PubRec, 2);
        client.ack(&mut world, PacketType::PubRel, 2);
        client.expect_ack(&mut world, PacketType::PubComp, 2);
        assert_eq!(world.broker.counts("c").accepted, [1, 1, 1]);
        let received = world.broker.received().iter().map(|r| r.message.payload());
        assert_eq!(received.collect::<Vec<_>>(), [b"0", b"1", b"2"]);
        world.expect_no_violation();
    }
}

#[test]
fn an_identifier_is_free_again_after_its_last_acknowledgement() {
    let mut world = World::new();
    let client = world.connect(clean(Version::V5, "c"));
    for _ in 0..2 {
        client.publish(&mut world, &message("t", "1"), qos1(1, false));
        client.publish(&mut world, &message("t", "2"), qos2(2, false));
        client.ack(&mut world, PacketType::PubRel, 2);
    }
    assert_eq!(world.broker.counts("c").accepted, [0, 2, 2]);
    world.expect_no_violation();
}

#[test]
fn a_first_sending_with_dup_is_a_violation() {
    for (flow, rule) in [
        (qos1(1, true), "MQTT-4.3.2-2"),
        (qos2(1, true), "MQTT-4.3.3-2"),
    ] {
        let mut world = World::new();
        let mut client = world.connect(clean(Version::V5, "c"));
        client.publish(&mut world, &message("t", "x"), flow);
        world.expect_violation(&mut client, rule, PROTOCOL_ERROR);
    }
}

#[test]
fn a_new_message_with_dup_under_an_identifier_that_was_used_before_is_a_violation() {
    let mut world = World::new();
    let mut client = world.connect(clean(Version::V5, "c"));
    client.publish(&mut world, &message("t", "1"), qos1(1, false));
    client.publish(&mut world, &message("t", "2"), qos1(1, true));
    world.expect_violation(&mut client, "MQTT-4.3.2-2", PROTOCOL_ERROR);
}

#[test]
fn an_identifier_that_is_in_flight_can_not_be_used_for_another_message() {
    for flow in [qos1(1, false), qos2(1, false)] {
        let mut world = World::new();
        world.broker.hold(PacketType::PubAck);
        let mut client = world.connect(clean(Version::V5, "c"));
        client.publish(&mut world, &message("t", "1"), flow);
        client.publish(&mut world, &message("t", "2"), flow);
        world.expect_violation(&mut client, "MQTT-2.2.1-3", PROTOCOL_ERROR);
    }
}

#[test]
fn an_identifier_that_is_in_flight_can_not_be_used_for_a_request() {
    let mut world = World::new();
    world.broker.hold(PacketType::PubAck);
    let mut client = world.connect(clean(Version::V3_1_1, "c"));
    client.publish(&mut world, &message("t", "1"), qos1(1, false));
    let unsubscribe = Unsubscribe {
        id: id(1),
        filters: vec!["t".parse().unwrap()],
        properties: Default::default(),
    };
    client.send(&mut world, Packet::Unsubscribe(unsubscribe));
    world.expect_violation(&mut client, "MQTT-2.2.1-3", PROTOCOL_ERROR);
}

#[test]
fn an_identifier_of_an_unanswered_request_can_not_be_used_for_a_message() {
    let mut world = World::new();
    world.broker.hold(PacketType::SubAck);
    let mut client = world.connect(clean(Version::V5, "c"));
    client.subscribe_with(&mut world, "t", QoS::AtMostOnce.into(), Default::default());
    client.publish(&mut world, &message("t", "1"), qos1(60_000, false));
    world.expect_violation(&mut client, "MQTT-2.2.1-3", PROTOCOL_ERROR);
}

#[test]
fn resending_without_a_reconnect_is_a_violation() {
    for (flow, again) in [
        (qos1(1, false), qos1(1, true)),
        (qos2(1, false), qos2(1, true)),
    ] {
        let mut world = World::new();
        world.broker.hold(PacketType::PubAck);
        world.broker.hold(PacketType::PubRec);
        let mut client = world.connect(clean(Version::V5, "c"));
        client.publish(&mut world, &message("t", "1"), flow);
        client.publish(&mut world, &message("t", "1"), again);
        world.expect_violation(&mut client, "MQTT-4.4.0-1", PROTOCOL_ERROR);
    }
}

#[test]
fn a_message_in_flight_too_many_is_a_violation() {
    let config = BrokerConfig {
        receive_maximum: 2,
        ..BrokerConfig::default()
    };
    let mut world = World::with(config);
    world.broker.hold(PacketType::PubAck);
    let mut client = world.connect(clean(Version::V5, "c"));
    client.publish(&mut world, &message("t", "1"), qos1(1, false));
    client.publish(&mut world, &message("t", "2"), qos2(2, false));
    client.ack(&mut world, PacketType::PubRel, 2);
    client.publish(&mut world, &message("t", "0"), Flow::AtMostOnce);
    client.publish(&mut world, &message("t", "3"), qos2(3, false));
    world.expect_no_violation();
    client.publish(&mut world, &message("t", "4"), qos1(4, false));
    let code = ReasonCode::RECEIVE_MAXIMUM_EXCEEDED;
    world.expect_violation(&mut client, "MQTT-3.3.4-7", code);
}

#[test]
fn a_release_of_what_was_never_published_is_a_violation() {
    let mut world = World::new();
    let mut client = world.connect(clean(Version::V5, "c"));
    client.ack(&mut world, PacketType::PubRel, 5);
    world.expect_violation(&mut client, "MQTT-2.2.1-5", PROTOCOL_ERROR);
}

#[test]
fn a_release_of_a_message_of_qos_1_is_a_violation() {
    let mut world = World::new();
    let mut client = world.connect(clean(Version::V5, "c"));
    client.publish(&mut world, &message("t", "1"), qos1(1, false));
    client.ack(&mut world, PacketType::PubRel, 1);
    world.expect_violation(&mut client, "MQTT-2.2.1-5", PROTOCOL_ERROR);
}

#[test]
fn a_release_before_pubrec_is_a_violation() {
    let mut world = World::new();
    world.broker.hold(PacketType::PubRec);
    let mut client = world.connect(clean(Version::V5, "c"));
    client.publish(&mut world, &message("t", "1"), qos2(1, false));
    client.ack(&mut world, PacketType::PubRel, 1);
    world.expect_violation(&mut client, "MQTT-4.3.3-4", PROTOCOL_ERROR);
}

#[test]
fn a_release_after_a_pubrec_that_refuses_is_a_violation() {
    let mut world = World::new();
    world.broker.answer_next_publish(ReasonCode::QUOTA_EXCEEDED);
    let mut client = world.connect(clean(Version::V5, "c"));
    client.publish(&mut world, &message("t", "1"), qos2(1, false));
    client.ack(&mut world, PacketType::PubRel, 1);
    world.expect_violation(&mut client, "MQTT-4.3.3-4", PROTOCOL_ERROR);
}

#[test]
fn a_release_twice_without_a_reconnect_is_a_violation() {
    for hold in [false, true] {
        let mut world = World::new();
        if hold {
            world.broker.hold(PacketType::PubComp);
        }
        let mut client = world.connect(clean(Version::V5, "c"));
        client.publish(&mut world, &message("t", "1"), qos2(1, false));
        client.ack(&mut world, PacketType::PubRel, 1);
        client.ack(&mut world, PacketType::PubRel, 1);
        world.expect_violation(&mut client, "MQTT-4.4.0-1", PROTOCOL_ERROR);
    }
}

#[test]
fn a_publish_after_its_release_is_a_violation() {
    let mut world = World::new();
    world.broker.hold(PacketType::PubComp);
    let mut client = world.connect(clean(Version::V5, "c"));
    client.publish(&mut world, &message("t", "1"), qos2(1, false));
    client.ack(&mut world, PacketType::PubRel, 1);
    client.publish(&mut world, &message("t", "1"), qos2(1, true));
    world.expect_violation(&mut client, "MQTT-4.3.3-6", PROTOCOL_ERROR);
}

#[test]
fn releases_in_another_order_than_their_pubrecs_are_a_violation() {
    let mut world = World::new();
    let mut client = world.connect(clean(Version::V5, "c"));
    client.publish(&mut world, &message("t", "1"), qos2(1, false));
    client.publish(&mut world, &message("t", "2"), qos2(2, false));
    client.ack(&mut world, PacketType::PubRel, 2);
    world.expect_no_violation();
    client.ack(&mut world, PacketType::PubRel, 1);
    world.expect_violation(&mut client, "MQTT-4.6.0-4", PROTOCOL_ERROR);
}

#[test]
fn what_connack_ruled_out_is_a_violation() {
    let config = BrokerConfig {
        maximum_qos: QoS::AtLeastOnce,
        retain_available: false,
        maximum_packet_size: Some(40),
        ..BrokerConfig::default()
    };
    let large = message("t", "forty bytes are not enough for all of this");
    for (message, flow, rule, code) in [
        (
            message("t", "x"),
            qos2(1, false),
            "MQTT-3.2.2-11",
            ReasonCode::QOS_NOT_SUPPORTED,
        ),
        (
            message("t", "x").with_retain(true),
            Flow::AtMostOnce,
            "MQTT-3.2.2-14",
            ReasonCode::RETAIN_NOT_SUPPORTED,
        ),
        (
            large,
            Flow::AtMostOnce,
            "MQTT-3.2.2-15",
            ReasonCode::PACKET_TOO_LARGE,
        ),
    ] {
        let mut world = World::with(config.clone());
        let mut client = world.connect(clean(Version::V5, "c"));
        client.publish(&mut world, &message, flow);
        world.expect_violation(&mut client, rule, code);
    }
}

#[test]
fn topic_aliases_stand_for_topics_within_the_maximum() {
    let config = BrokerConfig {
        topic_alias_maximum: 2,
        ..BrokerConfig::default()
    };
    let mut world = World::with(config);
    let mut client = world.connect(clean(Version::V5, "c"));
    client.publish_alias(&mut world, Some("one"), 1);
    client.publish_alias(&mut world, Some("two"), 2);
    client.publish_alias(&mut world, None, 1);
    client.publish_alias(&mut world, Some("three"), 1);
    client.publish_alias(&mut world, None, 1);
    let topics = world.broker.received().iter().map(|r| r.message.topic());
    let expected = ["one", "two", "one", "three", "three"];
    assert!(topics.eq(expected.iter().copied()));
    world.expect_no_violation();
    client.publish_alias(&mut world, Some("four"), 3);
    let code = ReasonCode::TOPIC_ALIAS_INVALID;
    world.expect_violation(&mut client, "MQTT-3.2.2-17", code);
}

#[test]
fn a_topic_alias_of_an_earlier_connection_stands_for_nothing() {
    let config = BrokerConfig {
        topic_alias_maximum: 2,
        ..BrokerConfig::default()
    };
    let mut world = World::with(config);
    let client = world.connect(clean(Version::V5, "c"));
    client.publish_alias(&mut world, Some("one"), 1);
    client.cut(&mut world);
    let mut client = world.connect(clean(Version::V5, "c"));
    client.publish_alias(&mut world, None, 1);
    world.expect_violation(&mut client, "3.3.2.3.4", PROTOCOL_ERROR);
}

#[test]
fn silence_beyond_one_and_a_half_intervals_is_a_violation() {
    let mut world = World::new();
    let mut connect = clean(Version::V5, "c");
    connect.keep_alive = 10;
    let mut client = world.connect(connect);
    for _ in 0..4 {
        world.wait(14);
        client.send(&mut world, Packet::PingReq);
        assert_eq!(client.receive_one(&mut world), Packet::PingResp);
    }
    world.expect_no_violation();
    world.wait(15);
    let code = ReasonCode::KEEP_ALIVE_TIMEOUT;
    world.expect_violation(&mut client, "MQTT-3.1.2-20", code);
}

#[test]
fn server_keep_alive_replaces_the_clients_in_5_0_alone() {
    let config = BrokerConfig {
        server_keep_alive: Some(0),
        ..BrokerConfig::default()
    };
    let mut world = World::with(config);
    for (version, closes) in [(Version::V5, false), (Version::V3_1_1, true)] {
        let mut connect = clean(version, "c");
        connect.keep_alive = 10;
        let client = world.connect(connect);
        world.wait(100);
        assert_eq!(world.broker.wants_close(client.conn), closes);
        client.cut(&mut world);
    }
}

#[test]
fn a_pubcomp_that_answers_nothing_is_a_violation() {
    let mut world = World::new();
    let mut client = world.connect(clean(Version::V5, "c"));
    client.send(&mut world, ack(PacketType::PubComp, 1, ReasonCode::SUCCESS));
    world.expect_violation(&mut client, "MQTT-2.2.1-5", PROTOCOL_ERROR);
}
