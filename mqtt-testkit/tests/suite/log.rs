use mqtt_proto::{Packet, PacketType, QoS, Version};
use mqtt_testkit::{BrokerConfig, Direction};

use crate::client::{World, clean, message, props, qos1};

#[test]
fn the_ladder_shows_every_packet_and_no_payload() {
    let mut world = World::new();
    let client = world.connect(clean(Version::V5, "sensor"));
    world.wait(2);
    let message = message("a/b", "secret").with_properties(props(|p| p.content_type("text")));
    client.publish(&mut world, &message.with_retain(true), qos1(7, false));
    client.send(&mut world, Packet::Disconnect(Default::default()));
    client.cut(&mut world);
    let ladder = world.broker.ladder().to_string();
    let expected = "\
\x20   0.000000   #1 ---> CONNECT (MQTT 5.0 'sensor', clean start, keep alive 0 s)
\x20   0.000000   #1 <--- CONNACK
\x20   2.000000   #1 ---> PUBLISH 7 QoS 1 RETAIN 'a/b' 6 B (Content Type 'text')
\x20   2.000000   #1 <--- PUBACK 7
\x20   2.000000   #1 ---> DISCONNECT
\x20   2.000000   #1      the network is gone
";
    assert_eq!(ladder, expected);
}

#[test]
fn the_log_can_be_searched_by_packet() {
    let mut world = World::new();
    let mut client = world.connect(clean(Version::V5, "c"));
    client.subscribe(&mut world, "#", QoS::AtMostOnce);
    client.publish(&mut world, &message("t", "x"), qos1(7, false));
    let sent = world.broker.log().iter();
    let sent = sent.filter_map(|entry| entry.packet(Direction::ToClient));
    let types: Vec<_> = sent.map(|summary| summary.packet_type).collect();
    let expected = [
        PacketType::ConnAck,
        PacketType::SubAck,
        PacketType::Publish,
        PacketType::PubAck,
    ];
    assert_eq!(types, expected);
}

#[test]
fn nothing_is_kept_where_the_configuration_says_so() {
    let mut world = World::with(BrokerConfig {
        log: false,
        keep_received: false,
        ..BrokerConfig::default()
    });
    let client = world.connect(clean(Version::V5, "c"));
    client.publish(&mut world, &message("t", "x"), qos1(7, false));
    assert!(world.broker.log().is_empty());
    assert!(world.broker.received().is_empty());
    assert_eq!(world.broker.counts("c").accepted, [0, 1, 0]);
}

#[test]
fn a_violation_says_when_who_what_and_which_rule() {
    let mut world = World::new();
    let client = world.connect(clean(Version::V5, "c"));
    world.wait(3);
    client.ack(&mut world, PacketType::PubAck, 4);
    let violation = world.broker.violations()[0].to_string();
    assert_eq!(
        violation,
        "at 3.000000 s on #1 'c', PUBACK: no message 4 is in flight to this client [MQTT-2.2.1-5]"
    );
    assert!(world.broker.ladder().to_string().contains("VIOLATION"));
}
