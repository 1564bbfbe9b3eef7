//! What a client must keep to when it goes on with a session: what is resent, in which order, and with which flags.

use mqtt_proto::{Packet, PacketType, QoS, ReasonCode, Version};

use crate::client::{ALL_VERSIONS, Client, World, ack, message, props, qos1, qos2, resuming};

const PROTOCOL_ERROR: ReasonCode = ReasonCode::PROTOCOL_ERROR;

fn reconnect(world: &mut World, client: Client) -> Client {
    let version = client.version;
    client.cut(world);
    world.connect(resuming(version, "c"))
}

/// A client that has published 1 and 3 with QoS 1 and 2 with QoS 2, without any answer, and has lost its connection then.
fn three_unanswered(world: &mut World, version: Version) -> Client {
    world.broker.hold(PacketType::PubAck);
    world.broker.hold(PacketType::PubRec);
    let client = world.connect(resuming(version, "c"));
    client.publish(world, &message("t", "1"), qos1(1, false));
    client.publish(world, &message("t", "2"), qos2(2, false));
    client.publish(world, &message("t", "3"), qos1(3, false));
    let client = reconnect(world, client);
    let now = world.now();
    world.broker.release(now, PacketType::PubAck);
    world.broker.release(now, PacketType::PubRec);
    client
}

#[test]
fn what_is_resent_in_order_with_dup_is_taken_and_qos_2_not_twice() {
    for version in ALL_VERSIONS {
        let mut world = World::new();
        let mut client = three_unanswered(&mut world, version);
        client.publish(&mut world, &message("t", "1"), qos1(1, true));
        client.expect_ack(&mut world, PacketType::PubAck, 1);
        client.publish(&mut world, &message("t", "2"), qos2(2, true));
        client.expect_ack(&mut world, PacketType::PubRec, 2);
        client.publish(&mut world, &message("t", "3"), qos1(3, true));
        client.ack(&mut world, PacketType::PubRel, 2);
        client.publish(&mut world, &message("t", "4"), qos1(4, false));
        world.expect_no_violation();
        let counts = world.broker.counts("c");
        assert_eq!(counts.accepted, [0, 5, 1]);
        assert_eq!((counts.duplicates, counts.resent), (1, 3));
    }
}

#[test]
fn resending_in_another_order_is_a_violation() {
    let mut world = World::new();
    let mut client = three_unanswered(&mut world, Version::V5);
    client.publish(&mut world, &message("t", "2"), qos2(2, true));
    client.publish(&mut world, &message("t", "1"), qos1(1, true));
    world.expect_violation(&mut client, "MQTT-4.6.0-1", PROTOCOL_ERROR);
}

#[test]
fn resending_without_dup_is_a_violation() {
    for flow in [qos1(1, false), qos2(2, false)] {
        let mut world = World::new();
        let mut client = three_unanswered(&mut world, Version::V3_1_1);
        if flow.packet_id() == qos2(2, false).packet_id() {
            client.publish(&mut world, &message("t", "1"), qos1(1, true));
        }
        client.publish(&mut world, &message("t", "x"), flow);
        world.expect_violation(&mut client, "MQTT-3.3.1-1", PROTOCOL_ERROR);
    }
}

#[test]
fn resending_with_another_qos_is_a_violation() {
    let mut world = World::new();
    let mut client = three_unanswered(&mut world, Version::V5);
    client.publish(&mut world, &message("t", "1"), qos2(1, true));
    world.expect_violation(&mut client, "MQTT-4.4.0-1", PROTOCOL_ERROR);
}

#[test]
fn a_new_message_before_everything_is_resent_is_a_violation() {
    let mut world = World::new();
    let mut client = three_unanswered(&mut world, Version::V5);
    client.publish(&mut world, &message("t", "1"), qos1(1, true));
    client.publish(&mut world, &message("t", "4"), qos1(4, false));
    world.expect_violation(&mut client, "MQTT-4.4.0-1", PROTOCOL_ERROR);
}

#[test]
fn a_resend_after_new_messages_is_a_violation() {
    let mut world = World::new();
    let client = world.connect(resuming(Version::V5, "c"));
    // The acknowledgement of 1 may be lost with the connection or not.
    client.publish(&mut world, &message("t", "1"), qos1(1, false));
    let mut client = reconnect(&mut world, client);
    client.publish(&mut world, &message("t", "2"), qos1(2, false));
    world.expect_no_violation();
    client.publish(&mut world, &message("t", "1"), qos1(1, true));
    world.expect_violation(&mut client, "MQTT-4.4.0-1", PROTOCOL_ERROR);
}

#[test]
fn a_request_under_an_identifier_that_waits_to_be_resent_is_a_violation() {
    let mut world = World::new();
    world.broker.hold(PacketType::PubAck);
    let client = world.connect(resuming(Version::V5, "c"));
    client.publish(&mut world, &message("t", "1"), qos1(60_000, false));
    let mut client = reconnect(&mut world, client);
    let options = QoS::AtMostOnce.into();
    client.subscribe_with(&mut world, "t", options, Default::default());
    world.expect_violation(&mut client, "MQTT-2.2.1-3", PROTOCOL_ERROR);
}

#[test]
fn a_lost_acknowledgement_of_qos_1_may_have_arrived_or_not() {
    for dup in [true, false] {
        let mut world = World::new();
        let client = world.connect(resuming(Version::V5, "c"));
        client.publish(&mut world, &message("t", "1"), qos1(1, false));
        let mut client = reconnect(&mut world, client);
        client.publish(&mut world, &message("t", "?"), qos1(1, dup));
        client.expect_ack(&mut world, PacketType::PubAck, 1);
        world.expect_no_violation();
        assert_eq!(world.broker.counts("c").accepted, [0, 2, 0]);
    }
}

#[test]
fn a_lost_pubrec_is_answered_by_publish_or_by_pubrel() {
    for arrived in [true, false] {
        let mut world = World::new();
        let client = world.connect(resuming(Version::V5, "c"));
        client.publish(&mut world, &message("t", "1"), qos2(1, false));
        let mut client = reconnect(&mut world, client);
        if !arrived {
            client.publish(&mut world, &message("t", "1"), qos2(1, true));
            client.expect_ack(&mut world, PacketType::PubRec, 1);
        }
        client.ack(&mut world, PacketType::PubRel, 1);
        client.expect_ack(&mut world, PacketType::PubComp, 1);
        world.expect_no_violation();
        assert_eq!(world.broker.counts("c").accepted, [0, 0, 1]);
    }
}

#[test]
fn a_release_whose_pubcomp_was_lost_may_come_again_upon_the_reconnect() {
    for (version, reason) in [
        (Version::V3_1_1, ReasonCode::SUCCESS),
        (Version::V5, ReasonCode::PACKET_IDENTIFIER_NOT_FOUND),
    ] {
        let mut world = World::new();
        let client = world.connect(resuming(version, "c"));
        client.publish(&mut world, &message("t", "1"), qos2(1, false));
        client.ack(&mut world, PacketType::PubRel, 1);
        let mut client = reconnect(&mut world, client);
        client.ack(&mut world, PacketType::PubRel, 1);
        let pubcomp = client.receive_one(&mut world);
        assert_eq!(pubcomp, ack(PacketType::PubComp, 1, reason));
        world.expect_no_violation();
    }
}

#[test]
fn a_publish_upon_the_reconnect_after_its_release_is_a_violation() {
    let mut world = World::new();
    world.broker.hold(PacketType::PubComp);
    let client = world.connect(resuming(Version::V5, "c"));
    client.publish(&mut world, &message("t", "1"), qos2(1, false));
    client.ack(&mut world, PacketType::PubRel, 1);
    let mut client = reconnect(&mut world, client);
    client.publish(&mut world, &message("t", "1"), qos2(1, true));
    world.expect_violation(&mut client, "MQTT-4.3.3-6", PROTOCOL_ERROR);
}

#[test]
fn a_message_whose_first_sending_was_lost_comes_with_dup_behind_the_known_ones() {
    let mut world = World::new();
    let mut client = three_unanswered(&mut world, Version::V5);
    client.publish(&mut world, &message("t", "1"), qos1(1, true));
    client.publish(&mut world, &message("t", "lost before"), qos1(9, true));
    world.expect_no_violation();
    client.publish(&mut world, &message("t", "2"), qos2(2, true));
    world.expect_violation(&mut client, "MQTT-4.6.0-1", PROTOCOL_ERROR);
}

#[test]
fn a_message_of_qos_1_that_has_expired_need_not_be_resent() {
    let mut world = World::new();
    world.broker.hold(PacketType::PubAck);
    let client = world.connect(resuming(Version::V5, "c"));
    let short = message("t", "1").with_properties(props(|p| p.message_expiry_interval(5)));
    client.publish(&mut world, &short, qos1(1, false));
    world.wait(5);
    let client = reconnect(&mut world, client);
    client.publish(&mut world, &message("t", "2"), qos1(1, false));
    world.expect_no_violation();
}

#[test]
fn nothing_may_be_resent_into_a_new_session_of_5_0() {
    let mut world = World::new();
    let client = world.connect(resuming(Version::V5, "c"));
    client.publish(&mut world, &message("t", "1"), qos1(1, false));
    let now = world.now();
    world.broker.restart(now, false);
    let mut client = reconnect(&mut world, client);
    client.publish(&mut world, &message("t", "1"), qos1(1, true));
    world.expect_violation(&mut client, "MQTT-4.3.2-2", PROTOCOL_ERROR);
}

#[test]
fn a_client_of_3_1_resends_into_a_session_that_the_broker_has_lost() {
    let mut world = World::new();
    let client = world.connect(resuming(Version::V3_1, "c"));
    client.publish(&mut world, &message("t", "1"), qos2(1, false));
    client.publish(&mut world, &message("t", "2"), qos2(2, false));
    let now = world.now();
    world.broker.restart(now, false);
    let mut client = reconnect(&mut world, client);
    client.ack(&mut world, PacketType::PubRel, 1);
    client.expect_ack(&mut world, PacketType::PubComp, 1);
    client.publish(&mut world, &message("t", "2"), qos2(2, true));
    client.expect_ack(&mut world, PacketType::PubRec, 2);
    world.expect_no_violation();
}

#[test]
fn the_receive_maximum_counts_anew_on_each_connection() {
    let mut world = World::new();
    world.broker.config_mut().receive_maximum = 3;
    let mut client = three_unanswered(&mut world, Version::V5);
    for flow in [qos1(1, true), qos2(2, true), qos1(3, true)] {
        client.publish(&mut world, &message("t", "again"), flow);
    }
    world.expect_no_violation();
    let packets = client.receive(&mut world);
    assert!(matches!(
        packets[..],
        [Packet::PubAck(_), Packet::PubRec(_), Packet::PubAck(_)]
    ));
}
