use mqtt_proto::{Flow, Packet, PublishView, QoS, RetainHandling, SubscribeOptions, Version};
use mqtt_testkit::BrokerConfig;

use crate::client::{ALL_VERSIONS, Client, World, clean, message, props, qos2};

const QOS_0: QoS = QoS::AtMostOnce;
const QOS_1: QoS = QoS::AtLeastOnce;
const QOS_2: QoS = QoS::ExactlyOnce;

fn views(packets: Vec<Packet>) -> Vec<PublishView> {
    let views = packets.into_iter().filter_map(|packet| match packet {
        Packet::Publish(view) => Some(view),
        _ => None,
    });
    views.collect()
}

fn subscribe(world: &mut World, client: &Client, filter: &str, options: SubscribeOptions) {
    client.subscribe_with(world, filter, options, Default::default());
}

#[test]
fn clients_of_all_versions_reach_each_other() {
    for from in ALL_VERSIONS {
        for to in ALL_VERSIONS {
            let mut world = World::new();
            let mut subscriber = world.connect(clean(to, "to"));
            subscriber.subscribe(&mut world, "a/+", QOS_1);
            let publisher = world.connect(clean(from, "from"));
            publisher.publish(&mut world, &message("a/b", "x"), qos2(1, false));
            publisher.publish(
                &mut world,
                &message("a/b/c", "not matched"),
                Flow::AtMostOnce,
            );
            let view = subscriber.receive_message(&mut world);
            assert_eq!((view.topic().as_str(), view.qos()), ("a/b", QOS_1));
            assert_eq!(view.payload(), b"x");
        }
    }
}

#[test]
fn properties_are_forwarded_unchanged_and_in_order() {
    let mut world = World::new();
    let mut subscriber = world.connect(clean(Version::V5, "to"));
    subscriber.subscribe(&mut world, "a", QOS_1);
    let publisher = world.connect(clean(Version::V5, "from"));
    let properties = props(|p| {
        p.user_property("b", "1")
            .payload_format_indicator(true)
            .content_type("text/plain")
            .response_topic("reply/to")
            .correlation_data(b"id")
            .user_property("a", "2")
    });
    let message = message("a", "x").with_properties(properties.clone());
    publisher.publish(&mut world, &message, Flow::AtMostOnce);
    let view = subscriber.receive_message(&mut world);
    assert_eq!(view.properties(), properties.view());
}

#[test]
fn overlapping_subscriptions_give_one_copy_with_the_highest_qos_and_all_identifiers() {
    for copies in [false, true] {
        let mut world = World::with(BrokerConfig {
            copy_per_subscription: copies,
            ..BrokerConfig::default()
        });
        let mut client = world.connect(clean(Version::V5, "c"));
        for (filter, qos, id) in [("a/#", QOS_2, 7), ("a/b", QOS_1, 8), ("c", QOS_1, 9)] {
            let properties = props(|p| p.subscription_identifier(id));
            client.subscribe_with(&mut world, filter, qos.into(), properties);
        }
        client.receive(&mut world);
        let now = world.now();
        world.broker.publish(now, &message("a/b", "x"), QOS_2);
        let received: Vec<_> = views(client.receive(&mut world))
            .iter()
            .map(|view| {
                let ids = view.properties().subscription_identifiers();
                (view.qos(), ids.collect::<Vec<_>>())
            })
            .collect();
        if copies {
            assert_eq!(received, [(QOS_2, vec![7]), (QOS_1, vec![8])]);
        } else {
            assert_eq!(received, [(QOS_2, vec![7, 8])]);
        }
    }
}

#[test]
fn no_local_keeps_a_clients_own_messages_from_it() {
    let mut world = World::new();
    let mut client = world.connect(clean(Version::V5, "c"));
    let options = SubscribeOptions {
        no_local: true,
        ..QOS_1.into()
    };
    subscribe(&mut world, &client, "a", options);
    client.receive(&mut world);
    client.publish(&mut world, &message("a", "own"), Flow::AtMostOnce);
    client.expect_nothing(&mut world);
    let now = world.now();
    world.broker.publish(now, &message("a", "another's"), QOS_0);
    client.receive_message(&mut world);
}

#[test]
fn the_retain_flag_is_forwarded_only_as_published() {
    let mut world = World::new();
    for (filter, retain_as_published, expected) in [("a", false, false), ("#", true, true)] {
        let mut client = world.connect(clean(Version::V5, filter));
        let options = SubscribeOptions {
            retain_as_published,
            retain_handling: RetainHandling::DoNotSend,
            ..QOS_1.into()
        };
        subscribe(&mut world, &client, filter, options);
        client.receive(&mut world);
        let now = world.now();
        let retained = message("a", "x").with_retain(true);
        world.broker.publish(now, &retained, QOS_0);
        assert_eq!(client.receive_message(&mut world).retain(), expected);
    }
}

#[test]
fn retained_messages_are_sent_as_retain_handling_asks() {
    let mut world = World::new();
    let now = world.now();
    let retained = message("a/b", "kept").with_retain(true);
    world.broker.publish(now, &retained, QOS_1);
    world.broker.publish(now, &message("a/b", "passing"), QOS_1);
    let mut client = world.connect(clean(Version::V5, "c"));
    let mut retained_after = |world: &mut World, retain_handling| {
        let options = SubscribeOptions {
            retain_handling,
            ..QOS_1.into()
        };
        subscribe(world, &client, "a/#", options);
        views(client.receive(world)).len()
    };
    assert_eq!(retained_after(&mut world, RetainHandling::DoNotSend), 0);
    assert_eq!(retained_after(&mut world, RetainHandling::SendIfNew), 0);
    assert_eq!(retained_after(&mut world, RetainHandling::Send), 1);
    let mut other = world.connect(clean(Version::V3_1_1, "other"));
    subscribe(&mut world, &other, "a/b", QOS_1.into());
    let received = views(other.receive(&mut world));
    assert!(received[0].retain());
    assert_eq!(received[0].payload(), b"kept");
}

#[test]
fn an_empty_retained_message_deletes_and_is_passed_on() {
    let mut world = World::new();
    let mut client = world.connect(clean(Version::V5, "c"));
    client.subscribe(&mut world, "a", QOS_1);
    let now = world.now();
    for payload in ["kept", ""] {
        let retained = message("a", payload).with_retain(true);
        world.broker.publish(now, &retained, QOS_0);
        assert_eq!(
            client.receive_message(&mut world).payload(),
            payload.as_bytes()
        );
        let kept = usize::from(!payload.is_empty());
        assert_eq!(world.broker.retained().count(), kept);
    }
}

#[test]
fn members_of_a_shared_subscription_take_turns_and_offline_ones_are_passed_over() {
    let mut world = World::new();
    let mut members: Vec<_> = ["a", "b", "c"]
        .iter()
        .map(|id| {
            let mut client = world.connect(clean(Version::V5, id));
            client.subscribe(&mut world, "$share/group/t", QOS_1);
            client
        })
        .collect();
    let mut alone = world.connect(clean(Version::V5, "alone"));
    alone.subscribe(&mut world, "t", QOS_1);
    let mut counts = |world: &mut World, members: &mut [Client]| {
        for _ in 0..6 {
            let now = world.now();
            world.broker.publish(now, &message("t", "x"), QOS_0);
        }
        assert_eq!(alone.receive(world).len(), 6);
        let counts = members.iter_mut().map(|c| c.receive(world).len());
        counts.collect::<Vec<_>>()
    };
    assert_eq!(counts(&mut world, &mut members), [2, 2, 2]);
    members.remove(1).cut(&mut world);
    assert_eq!(counts(&mut world, &mut members), [3, 3]);
}

#[test]
fn a_leading_wildcard_does_not_match_a_topic_with_a_dollar() {
    let mut world = World::new();
    let mut client = world.connect(clean(Version::V5, "c"));
    client.subscribe(&mut world, "#", QOS_1);
    let now = world.now();
    world.broker.publish(now, &message("$SYS/load", "x"), QOS_0);
    client.expect_nothing(&mut world);
    client.subscribe(&mut world, "$SYS/#", QOS_1);
    world.broker.publish(now, &message("$SYS/load", "x"), QOS_0);
    client.receive_message(&mut world);
}
