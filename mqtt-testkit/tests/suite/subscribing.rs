use mqtt_proto::{Packet, QoS, ReasonCode, SubAck, Subscribe, UnsubAck, Unsubscribe, Version};
use mqtt_testkit::BrokerConfig;

use crate::client::{ALL_VERSIONS, Client, World, clean, id, message, props};

fn subscribe(packet_id: u16, filters: &[&str]) -> Packet {
    let filters = filters.iter();
    Packet::Subscribe(Subscribe {
        id: id(packet_id),
        filters: filters
            .map(|f| (f.parse().unwrap(), QoS::AtLeastOnce.into()))
            .collect(),
        properties: Default::default(),
    })
}

fn codes(client: &mut Client, world: &mut World) -> Vec<u8> {
    match client.receive_one(world) {
        Packet::SubAck(SubAck { codes, .. }) | Packet::UnsubAck(UnsubAck { codes, .. }) => {
            codes.iter().map(|code| code.0).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_filter_gets_its_code_in_order() {
    for version in ALL_VERSIONS {
        let mut world = World::new();
        let not_authorized = ReasonCode::NOT_AUTHORIZED;
        world
            .broker
            .refuse_subscription("secret".parse().unwrap(), not_authorized);
        let mut client = world.connect(clean(version, "c"));
        client.send(&mut world, subscribe(1, &["a", "secret", "b"]));
        let refused = if version.is_v5() { 0x87 } else { 0x80 };
        assert_eq!(codes(&mut client, &mut world), [1, refused, 1]);
        assert_eq!(world.broker.session("c").unwrap().subscriptions.len(), 2);
    }
}

#[test]
fn the_same_filter_again_replaces_the_subscription() {
    let mut world = World::new();
    let mut client = world.connect(clean(Version::V5, "c"));
    client.subscribe(&mut world, "a", QoS::ExactlyOnce);
    client.subscribe(&mut world, "a", QoS::AtMostOnce);
    let subscriptions = world.broker.session("c").unwrap().subscriptions;
    assert_eq!(subscriptions.len(), 1);
    assert_eq!(subscriptions[0].1.qos, QoS::AtMostOnce);
}

#[test]
fn unsubscribe_ends_the_subscription_and_says_whether_there_was_one() {
    for version in ALL_VERSIONS {
        let mut world = World::new();
        let mut client = world.connect(clean(version, "c"));
        client.subscribe(&mut world, "a", QoS::AtMostOnce);
        let unsubscribe = Unsubscribe {
            id: id(2),
            filters: vec!["a".parse().unwrap(), "b".parse().unwrap()],
            properties: Default::default(),
        };
        client.send(&mut world, Packet::Unsubscribe(unsubscribe));
        let expected: &[u8] = if version.is_v5() { &[0, 0x11] } else { &[] };
        assert_eq!(codes(&mut client, &mut world), expected);
        let now = world.now();
        world
            .broker
            .publish(now, &message("a", "x"), QoS::AtMostOnce);
        client.expect_nothing(&mut world);
    }
}

#[test]
fn asking_for_what_is_not_available_is_a_violation_in_5_0() {
    let config = BrokerConfig {
        wildcards_available: false,
        subscription_identifiers_available: false,
        shared_subscriptions_available: false,
        ..BrokerConfig::default()
    };
    for (filter, identifier, rule, code) in [
        ("a/#", false, "3.2.2.3.11", 0xA2),
        ("a", true, "3.2.2.3.12", 0xA1),
        ("$share/g/a", false, "3.2.2.3.13", 0x9E),
    ] {
        let mut world = World::with(config.clone());
        let mut client = world.connect(clean(Version::V5, "c"));
        let properties = props(|p| {
            if identifier {
                p.subscription_identifier(1)
            } else {
                p
            }
        });
        client.subscribe_with(&mut world, filter, QoS::AtMostOnce.into(), properties);
        world.expect_violation(&mut client, rule, ReasonCode(code));
    }
}

#[test]
fn a_wildcard_that_is_not_available_is_refused_in_3_1_1() {
    let mut world = World::with(BrokerConfig {
        wildcards_available: false,
        ..BrokerConfig::default()
    });
    let mut client = world.connect(clean(Version::V3_1_1, "c"));
    client.send(&mut world, subscribe(1, &["a/+", "a"]));
    assert_eq!(codes(&mut client, &mut world), [0x80, 1]);
    world.expect_no_violation();
}

#[test]
fn an_identifier_of_an_unanswered_request_can_not_be_used_for_another() {
    let mut world = World::new();
    let mut client = world.connect(clean(Version::V5, "c"));
    client.send(&mut world, subscribe(1, &["a"]));
    client.send(&mut world, subscribe(1, &["b"]));
    world.expect_no_violation();
    world.broker.hold(mqtt_proto::PacketType::SubAck);
    client.send(&mut world, subscribe(1, &["a"]));
    client.send(&mut world, subscribe(1, &["b"]));
    let code = ReasonCode::PROTOCOL_ERROR;
    world.expect_violation(&mut client, "MQTT-2.2.1-3", code);
}

#[test]
fn no_more_is_granted_than_the_maximum_qos() {
    let mut world = World::with(BrokerConfig {
        maximum_qos: QoS::AtMostOnce,
        ..BrokerConfig::default()
    });
    let mut client = world.connect(clean(Version::V5, "c"));
    client.send(&mut world, subscribe(1, &["a"]));
    assert_eq!(codes(&mut client, &mut world), [0]);
    world.expect_no_violation();
}
