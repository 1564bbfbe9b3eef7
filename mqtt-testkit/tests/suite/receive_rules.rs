//! What the broker sends, and what a client must keep to when it acknowledges.

use core::num::{NonZeroU16, NonZeroU32};

use mqtt_proto::{Connect, Flow, Packet, PacketType, QoS, ReasonCode, Version};
use mqtt_testkit::BrokerConfig;

use crate::client::{
    ALL_VERSIONS, Client, World, ack, clean, message, props, qos1, qos2, resuming,
};

const PROTOCOL_ERROR: ReasonCode = ReasonCode::PROTOCOL_ERROR;
const QOS_1: QoS = QoS::AtLeastOnce;
const QOS_2: QoS = QoS::ExactlyOnce;

fn subscribed(world: &mut World, connect: Connect) -> Client {
    let mut client = world.connect(connect);
    client.subscribe(world, "t/#", QOS_2);
    client
}

fn publish(world: &mut World, payload: &'static str, qos: QoS) {
    let now = world.now();
    world.broker.publish(now, &message("t/1", payload), qos);
}

fn flows(packets: &[Packet]) -> Vec<Flow> {
    let flows = packets.iter().map(|packet| match packet {
        Packet::Publish(view) => view.flow(),
        other => panic!("{other:?} instead of PUBLISH"),
    });
    flows.collect()
}

#[test]
fn every_qos_is_delivered_and_completed() {
    for version in ALL_VERSIONS {
        let mut world = World::new();
        let mut client = subscribed(&mut world, clean(version, "c"));
        publish(&mut world, "0", QoS::AtMostOnce);
        publish(&mut world, "1", QOS_1);
        publish(&mut world, "2", QOS_2);
        let packets = client.receive(&mut world);
        assert_eq!(
            flows(&packets),
            [Flow::AtMostOnce, qos1(1, false), qos2(2, false)]
        );
        client.ack(&mut world, PacketType::PubAck, 1);
        client.ack(&mut world, PacketType::PubRec, 2);
        client.expect_ack(&mut world, PacketType::PubRel, 2);
        client.ack(&mut world, PacketType::PubComp, 2);
        let counts = world.broker.counts("c");
        assert_eq!((counts.sent, counts.delivered), ([1, 1, 1], [1, 1, 1]));
        assert!(world.broker.session("c").unwrap().sending.is_empty());
        world.expect_no_violation();
    }
}

#[test]
fn pubacks_and_pubrecs_each_have_their_own_order() {
    let mut world = World::new();
    let client = subscribed(&mut world, clean(Version::V5, "c"));
    for qos in [QOS_1, QOS_2, QOS_1, QOS_2] {
        publish(&mut world, "x", qos);
    }
    client.ack(&mut world, PacketType::PubRec, 2);
    client.ack(&mut world, PacketType::PubAck, 1);
    client.ack(&mut world, PacketType::PubAck, 3);
    client.ack(&mut world, PacketType::PubRec, 4);
    world.expect_no_violation();
}

#[test]
fn acknowledgements_out_of_order_are_violations() {
    for (qos, packet_type, rule) in [
        (QOS_1, PacketType::PubAck, "MQTT-4.6.0-2"),
        (QOS_2, PacketType::PubRec, "MQTT-4.6.0-3"),
    ] {
        let mut world = World::new();
        let mut client = subscribed(&mut world, clean(Version::V5, "c"));
        publish(&mut world, "a", qos);
        publish(&mut world, "b", qos);
        client.ack(&mut world, packet_type, 2);
        world.expect_violation(&mut client, rule, PROTOCOL_ERROR);
    }
}

#[test]
fn acknowledgements_of_nothing_are_violations() {
    for packet_type in [PacketType::PubAck, PacketType::PubRec, PacketType::PubComp] {
        let mut world = World::new();
        let mut client = subscribed(&mut world, clean(Version::V3_1_1, "c"));
        client.ack(&mut world, packet_type, 1);
        world.expect_violation(&mut client, "MQTT-2.2.1-5", PROTOCOL_ERROR);
    }
}

#[test]
fn an_acknowledgement_of_the_wrong_kind_is_a_violation() {
    let mut world = World::new();
    let mut client = subscribed(&mut world, clean(Version::V5, "c"));
    publish(&mut world, "2", QOS_2);
    client.ack(&mut world, PacketType::PubAck, 1);
    world.expect_violation(&mut client, "MQTT-2.2.1-5", PROTOCOL_ERROR);
}

#[test]
fn an_acknowledgement_of_what_an_earlier_connection_brought_is_a_violation() {
    let mut world = World::new();
    let client = subscribed(&mut world, resuming(Version::V5, "c"));
    publish(&mut world, "1", QOS_1);
    client.cut(&mut world);
    world.broker.hold(PacketType::Publish);
    let mut client = world.connect(resuming(Version::V5, "c"));
    client.ack(&mut world, PacketType::PubAck, 1);
    world.expect_violation(&mut client, "MQTT-2.2.1-5", PROTOCOL_ERROR);
}

#[test]
fn a_client_that_forgets_what_it_has_just_received_is_a_violation() {
    let mut world = World::new();
    let mut client = subscribed(&mut world, clean(Version::V5, "c"));
    publish(&mut world, "2", QOS_2);
    client.ack(&mut world, PacketType::PubRec, 1);
    let not_found = ReasonCode::PACKET_IDENTIFIER_NOT_FOUND;
    client.send(&mut world, ack(PacketType::PubComp, 1, not_found));
    world.expect_violation(&mut client, "MQTT-4.3.3-10", PROTOCOL_ERROR);
}

#[test]
fn everything_in_flight_is_resent_in_order_upon_a_reconnect() {
    for version in ALL_VERSIONS {
        let mut world = World::new();
        let client = subscribed(&mut world, resuming(version, "c"));
        for qos in [QOS_1, QOS_2, QOS_2] {
            publish(&mut world, "x", qos);
        }
        client.ack(&mut world, PacketType::PubRec, 2);
        client.cut(&mut world);
        publish(&mut world, "offline", QOS_1);
        publish(&mut world, "offline, and gone", QoS::AtMostOnce);
        assert_eq!(world.broker.session("c").unwrap().queued, 1);
        let mut client = world.open(version);
        client.send(&mut world, Packet::Connect(resuming(version, "c").into()));
        let packets = client.receive(&mut world);
        let released = ack(PacketType::PubRel, 2, ReasonCode::SUCCESS);
        assert_eq!(packets[2], released);
        assert_eq!(flows(&packets[1..2]), [qos1(1, true)]);
        assert_eq!(flows(&packets[3..]), [qos2(3, true), qos1(4, false)]);
        // The PUBREL was a repetition: a client that has forgotten the message may say so.
        let reason = if version.is_v5() {
            ReasonCode::PACKET_IDENTIFIER_NOT_FOUND
        } else {
            ReasonCode::SUCCESS
        };
        client.send(&mut world, ack(PacketType::PubComp, 2, reason));
        world.expect_no_violation();
    }
}

#[test]
fn a_publish_that_was_withheld_until_the_cut_comes_without_dup() {
    let mut world = World::new();
    let client = subscribed(&mut world, resuming(Version::V5, "c"));
    world.broker.hold(PacketType::Publish);
    publish(&mut world, "1", QOS_1);
    client.cut(&mut world);
    let now = world.now();
    world.broker.release(now, PacketType::Publish);
    let mut client = world.open(Version::V5);
    client.send(
        &mut world,
        Packet::Connect(resuming(Version::V5, "c").into()),
    );
    assert_eq!(flows(&client.receive(&mut world)[1..]), [qos1(1, false)]);
}

#[test]
fn the_clients_receive_maximum_is_kept_and_pubrel_passes_it() {
    let mut world = World::new();
    let mut connect = resuming(Version::V5, "c");
    let two = NonZeroU16::new(2).unwrap();
    connect.properties = props(|p| p.session_expiry_interval(100).receive_maximum(two));
    let mut client = subscribed(&mut world, connect.clone());
    for _ in 0..4 {
        publish(&mut world, "x", QOS_2);
    }
    publish(&mut world, "QoS 0 is not counted", QoS::AtMostOnce);
    let received = flows(&client.receive(&mut world));
    assert_eq!(received, [qos2(1, false), qos2(2, false), Flow::AtMostOnce]);
    client.ack(&mut world, PacketType::PubRec, 1);
    client.expect_ack(&mut world, PacketType::PubRel, 1);
    client.ack(&mut world, PacketType::PubComp, 1);
    assert_eq!(flows(&client.receive(&mut world)), [qos2(3, false)]);
    client.ack(&mut world, PacketType::PubRec, 2);
    client.ack(&mut world, PacketType::PubRec, 3);
    client.cut(&mut world);

    let one = NonZeroU16::new(1).unwrap();
    connect.properties = props(|p| p.session_expiry_interval(100).receive_maximum(one));
    let mut client = world.open(Version::V5);
    client.send(&mut world, Packet::Connect(connect.into()));
    let packets = client.receive(&mut world);
    let release = |id| ack(PacketType::PubRel, id, ReasonCode::SUCCESS);
    assert_eq!(packets[1..3], [release(2), release(3)]);
    assert_eq!(flows(&packets[3..]), [qos2(4, false)]);
    world.expect_no_violation();
}

#[test]
fn a_refused_message_is_not_sent_again() {
    for (qos, packet_type) in [(QOS_1, PacketType::PubAck), (QOS_2, PacketType::PubRec)] {
        let mut world = World::new();
        let mut client = subscribed(&mut world, resuming(Version::V5, "c"));
        publish(&mut world, "x", qos);
        client.receive(&mut world);
        client.send(&mut world, ack(packet_type, 1, ReasonCode::QUOTA_EXCEEDED));
        client.expect_nothing(&mut world);
        client.cut(&mut world);
        world.connect(resuming(Version::V5, "c"));
        world.expect_no_violation();
    }
}

#[test]
fn what_is_too_large_for_the_client_counts_as_delivered() {
    let mut world = World::new();
    let mut connect = clean(Version::V5, "c");
    connect.properties = props(|p| p.maximum_packet_size(NonZeroU32::new(20).unwrap()));
    let mut client = subscribed(&mut world, connect);
    publish(&mut world, "far too large for twenty bytes", QOS_1);
    client.expect_nothing(&mut world);
    assert_eq!(world.broker.counts("c").dropped, 1);
    assert!(world.broker.session("c").unwrap().sending.is_empty());
    publish(&mut world, "small", QOS_1);
    client.receive_message(&mut world);
}

#[test]
fn the_broker_uses_aliases_within_the_clients_maximum_if_told_to() {
    let mut world = World::with(BrokerConfig {
        send_topic_aliases: true,
        ..BrokerConfig::default()
    });
    let mut connect = clean(Version::V5, "c");
    connect.properties = props(|p| p.topic_alias_maximum(1));
    let mut client = world.connect(connect);
    client.subscribe(&mut world, "#", QOS_1);
    let mut sent = Vec::new();
    for topic in ["one", "one", "two"] {
        let now = world.now();
        world
            .broker
            .publish(now, &message(topic, "x"), QoS::AtMostOnce);
        let view = client.receive_message(&mut world);
        sent.push((
            view.topic().to_string(),
            view.topic_alias().map(NonZeroU16::get),
        ));
    }
    let expected = [("one", Some(1)), ("", Some(1)), ("two", None)];
    assert_eq!(
        sent,
        expected.map(|(topic, alias)| (topic.to_owned(), alias))
    );
}

#[test]
fn an_expired_message_is_not_sent_and_a_waiting_one_has_less_time_left() {
    let mut world = World::new();
    let client = subscribed(&mut world, resuming(Version::V5, "c"));
    client.cut(&mut world);
    for seconds in [10, 30] {
        let message =
            message("t/1", "x").with_properties(props(|p| p.message_expiry_interval(seconds)));
        let now = world.now();
        world.broker.publish(now, &message, QOS_1);
    }
    world.wait(12);
    let mut client = world.open(Version::V5);
    client.send(
        &mut world,
        Packet::Connect(resuming(Version::V5, "c").into()),
    );
    let packets = client.receive(&mut world);
    let [Packet::ConnAck(_), Packet::Publish(view)] = &packets[..] else {
        panic!("{packets:?}")
    };
    assert_eq!(view.properties().message_expiry_interval(), Some(18));
}
