//! What tests can make the broker do.

use bytes::BytesMut;
use mqtt_proto::{Packet, PacketType, QoS, ReasonCode, Version};

use crate::client::{ALL_VERSIONS, World, ack, clean, message, props, qos1, qos2, resuming};

#[test]
fn withheld_acknowledgements_come_in_order_when_released() {
    let mut world = World::new();
    world.broker.hold(PacketType::PubAck);
    let mut client = world.connect(clean(Version::V5, "c"));
    for id in 1..=3 {
        client.publish(&mut world, &message("t", "x"), qos1(id, false));
    }
    client.publish(&mut world, &message("t", "x"), qos2(4, false));
    client.expect_ack(&mut world, PacketType::PubRec, 4);
    assert_eq!(world.broker.held(PacketType::PubAck), 3);
    let now = world.now();
    world.broker.release_some(now, PacketType::PubAck, 1);
    client.expect_ack(&mut world, PacketType::PubAck, 1);
    world.broker.release(now, PacketType::PubAck);
    let acks = [2, 3].map(|id| ack(PacketType::PubAck, id, ReasonCode::SUCCESS));
    assert_eq!(client.receive(&mut world), acks);
    client.publish(&mut world, &message("t", "x"), qos1(1, false));
    client.expect_ack(&mut world, PacketType::PubAck, 1);
    world.expect_no_violation();
}

#[test]
fn every_answer_can_be_withheld() {
    let mut world = World::new();
    for packet_type in [
        PacketType::SubAck,
        PacketType::PingResp,
        PacketType::PubComp,
    ] {
        world.broker.hold(packet_type);
    }
    let mut client = world.connect(clean(Version::V5, "c"));
    client.publish(&mut world, &message("t", "x"), qos2(1, false));
    client.expect_ack(&mut world, PacketType::PubRec, 1);
    client.ack(&mut world, PacketType::PubRel, 1);
    client.send(&mut world, Packet::PingReq);
    let options = QoS::AtMostOnce.into();
    client.subscribe_with(&mut world, "t", options, Default::default());
    client.expect_nothing(&mut world);
    let now = world.now();
    for packet_type in [
        PacketType::SubAck,
        PacketType::PingResp,
        PacketType::PubComp,
    ] {
        world.broker.release(now, packet_type);
        assert_eq!(client.receive_one(&mut world).packet_type(), packet_type);
    }
}

#[test]
fn a_withheld_connack_holds_everything_back() {
    let mut world = World::new();
    world.broker.hold(PacketType::ConnAck);
    let mut client = world.open(Version::V5);
    client.send(&mut world, Packet::Connect(clean(Version::V5, "c").into()));
    client.send(&mut world, Packet::PingReq);
    client.expect_nothing(&mut world);
    let now = world.now();
    world.broker.release(now, PacketType::ConnAck);
    let packets = client.receive(&mut world);
    assert!(matches!(
        packets[..],
        [Packet::ConnAck(_), Packet::PingResp]
    ));
}

#[test]
fn the_next_connect_is_refused_with_the_given_code() {
    for version in ALL_VERSIONS {
        let mut world = World::new();
        world.broker.refuse_next(ReasonCode::NOT_AUTHORIZED);
        let mut client = world.open(version);
        client.send(&mut world, Packet::Connect(clean(version, "c").into()));
        let Packet::ConnAck(connack) = client.receive_one(&mut world) else {
            panic!("no CONNACK")
        };
        assert_eq!(connack.reason, ReasonCode::NOT_AUTHORIZED);
        assert!(world.broker.wants_close(client.conn));
        world.connect(clean(version, "c"));
    }
}

#[test]
fn a_code_that_3_1_1_does_not_know_closes_without_connack() {
    let mut world = World::new();
    world.broker.refuse_next(ReasonCode::QUOTA_EXCEEDED);
    let mut client = world.open(Version::V3_1_1);
    client.send(
        &mut world,
        Packet::Connect(clean(Version::V3_1_1, "c").into()),
    );
    client.expect_nothing(&mut world);
    assert!(world.broker.wants_close(client.conn));
}

#[test]
fn a_publish_is_answered_with_the_given_code_and_goes_nowhere() {
    let mut world = World::new();
    let mut client = world.connect(clean(Version::V5, "c"));
    client.subscribe(&mut world, "#", QoS::AtMostOnce);
    world.broker.answer_next_publish(ReasonCode::QUOTA_EXCEEDED);
    let filter = "secret/#".parse().unwrap();
    world
        .broker
        .answer_publishes(filter, ReasonCode::NOT_AUTHORIZED);
    let mut answers = Vec::new();
    for (topic, flow) in [
        ("a", qos1(1, false)),
        ("secret/a", qos2(1, false)),
        ("secret/b", qos1(1, false)),
    ] {
        client.publish(&mut world, &message(topic, "x"), flow);
        match client.receive_one(&mut world) {
            Packet::PubAck(ack) | Packet::PubRec(ack) => answers.push(ack.reason.0),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(answers, [0x97, 0x87, 0x87]);
    world.broker.refuse_nothing();
    client.publish(&mut world, &message("secret/a", "x"), qos1(1, false));
    assert_eq!(client.receive(&mut world).len(), 2);
    let counts = world.broker.counts("c");
    assert_eq!((counts.refused, counts.accepted), (3, [0, 1, 0]));
    world.expect_no_violation();
}

#[test]
fn a_code_that_is_no_failure_lets_the_message_pass() {
    let mut world = World::new();
    let mut client = world.connect(clean(Version::V5, "c"));
    let none_match = ReasonCode::NO_MATCHING_SUBSCRIBERS;
    world.broker.answer_next_publish(none_match);
    client.publish(&mut world, &message("t", "x"), qos2(1, false));
    let pubrec = ack(PacketType::PubRec, 1, none_match);
    assert_eq!(client.receive_one(&mut world), pubrec);
    client.ack(&mut world, PacketType::PubRel, 1);
    client.expect_ack(&mut world, PacketType::PubComp, 1);
    assert_eq!(world.broker.received().len(), 1);
}

#[test]
fn injected_bytes_come_as_they_are() {
    let mut world = World::new();
    let client = world.connect(clean(Version::V5, "c"));
    let now = world.now();
    world.broker.inject(now, client.conn, &[0xFF, 0x00]);
    assert!(
        world
            .broker
            .inject_packet(now, client.conn, &Packet::PingResp)
    );
    let mut out = Vec::new();
    assert_eq!(world.broker.output(client.conn, &mut out), 4);
    assert_eq!(out, [0xFF, 0x00, 0xD0, 0x00]);
    assert!(!world.broker.has_output(client.conn));
}

#[test]
fn session_present_can_be_a_lie() {
    let mut world = World::new();
    world.broker.claim_session_present(true);
    let (client, connack) = world.connect_with_ack(resuming(Version::V5, "c"));
    assert!(connack.session_present);
    // A client that believes it goes on where it was.
    client.ack(&mut world, PacketType::PubRel, 9);
    client.publish(&mut world, &message("t", "x"), qos2(1, true));
    world.expect_no_violation();
    client.cut(&mut world);
    world.broker.claim_session_present(false);
    let (client, connack) = world.connect_with_ack(resuming(Version::V5, "c"));
    assert!(!connack.session_present);
    client.publish(&mut world, &message("t", "anew"), qos2(1, false));
    world.expect_no_violation();
    assert_eq!(world.broker.received().len(), 2);
    client.cut(&mut world);
    world.broker.claim_session_present(false);
    world.broker.claim_nothing();
    let (_, connack) = world.connect_with_ack(resuming(Version::V5, "c"));
    assert!(connack.session_present);
}

#[test]
fn a_restart_loses_connections_and_perhaps_sessions() {
    for keep_state in [true, false] {
        let mut world = World::new();
        let mut client = world.connect(resuming(Version::V5, "c"));
        client.send(&mut world, Packet::PingReq);
        let now = world.now();
        world.broker.restart(now, keep_state);
        client.expect_nothing(&mut world);
        assert!(world.broker.wants_close(client.conn));
        client.cut(&mut world);
        let (_, connack) = world.connect_with_ack(resuming(Version::V5, "c"));
        assert_eq!(connack.session_present, keep_state);
    }
}

#[test]
fn a_broker_that_stops_reading_leaves_bytes_where_they_are_and_forgives_the_silence() {
    let mut world = World::new();
    let mut connect = clean(Version::V5, "c");
    connect.keep_alive = 10;
    let mut client = world.connect(connect);
    let now = world.now();
    world.broker.set_reading(now, client.conn, false);
    assert!(!world.broker.wants_read(client.conn));
    let mut input = BytesMut::from(&[0xC0, 0x00][..]);
    world.broker.input(now, client.conn, &mut input);
    assert_eq!(input.len(), 2);
    world.wait(1000);
    let now = world.now();
    world.broker.set_reading(now, client.conn, true);
    world.broker.input(now, client.conn, &mut input);
    assert_eq!(client.receive_one(&mut world), Packet::PingResp);
    world.expect_no_violation();
}

#[test]
fn the_broker_disconnects_with_a_reason_in_5_0_and_closes_plainly_in_3_1_1() {
    for version in [Version::V5, Version::V3_1_1] {
        let mut world = World::new();
        let mut client = world.connect(clean(version, "c"));
        let now = world.now();
        let disconnect = mqtt_proto::Disconnect {
            reason: ReasonCode::USE_ANOTHER_SERVER,
            properties: props(|p| p.server_reference("other:1883")),
        };
        world
            .broker
            .disconnect_with(now, client.conn, disconnect.clone());
        assert!(world.broker.wants_close(client.conn));
        let expected = version.is_v5().then_some(Packet::Disconnect(disconnect));
        assert_eq!(client.receive(&mut world).pop(), expected);
    }
}

#[test]
fn what_is_withheld_is_lost_with_its_connection() {
    let mut world = World::new();
    world.broker.hold(PacketType::PubAck);
    let client = world.connect(resuming(Version::V5, "c"));
    client.publish(&mut world, &message("t", "x"), qos1(1, false));
    client.cut(&mut world);
    let mut client = world.connect(resuming(Version::V5, "c"));
    let now = world.now();
    world.broker.release(now, PacketType::PubAck);
    client.expect_nothing(&mut world);
    let receiving = world.broker.session("c").unwrap().receiving;
    assert_eq!(receiving, [(crate::client::id(1), QoS::AtLeastOnce)]);
}
