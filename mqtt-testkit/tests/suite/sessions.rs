//! Sessions and wills over time.

use mqtt_proto::{Connect, Disconnect, Packet, Properties, QoS, ReasonCode, Version, Will};

use crate::client::{Client, World, clean, message, props, resuming, topic};

fn with_will(connect: Connect, delay: u32) -> Connect {
    let properties = if connect.version.is_v5() {
        props(|p| p.will_delay_interval(delay).user_property("k", "v"))
    } else {
        Properties::new()
    };
    let will = Will {
        topic: topic("will"),
        payload: "gone".into(),
        qos: QoS::AtLeastOnce,
        retain: false,
        properties,
    };
    Connect {
        will: Some(will),
        ..connect
    }
}

fn watcher(world: &mut World) -> Client {
    let mut client = world.connect(clean(Version::V5, "watcher"));
    client.subscribe(world, "will", QoS::AtMostOnce);
    client
}

#[test]
fn a_session_ends_when_its_expiry_has_passed() {
    let mut world = World::new();
    let mut connect = resuming(Version::V5, "c");
    connect.properties = props(|p| p.session_expiry_interval(10));
    world.connect(connect.clone()).cut(&mut world);
    world.wait(9);
    let (client, connack) = world.connect_with_ack(connect.clone());
    assert!(connack.session_present);
    world.wait(100);
    client.cut(&mut world);
    world.wait(10);
    assert!(world.broker.session("c").is_none());
    let (_, connack) = world.connect_with_ack(connect);
    assert!(!connack.session_present);
}

#[test]
fn disconnect_can_change_the_session_expiry() {
    let mut world = World::new();
    let client = world.connect(resuming(Version::V5, "c"));
    let disconnect = Disconnect {
        reason: ReasonCode::SUCCESS,
        properties: props(|p| p.session_expiry_interval(0)),
    };
    client.send(&mut world, Packet::Disconnect(disconnect));
    assert!(world.broker.session("c").is_none());
    world.expect_no_violation();
}

#[test]
fn a_will_is_published_when_the_network_is_lost_and_not_after_disconnect() {
    for version in [Version::V3_1_1, Version::V5] {
        let mut world = World::new();
        let mut watcher = watcher(&mut world);
        let client = world.connect(with_will(clean(version, "c"), 0));
        client.send(&mut world, Packet::Disconnect(Disconnect::default()));
        client.cut(&mut world);
        watcher.expect_nothing(&mut world);
        let client = world.connect(with_will(clean(version, "c"), 0));
        client.cut(&mut world);
        let will = watcher.receive_message(&mut world);
        assert_eq!(will.payload(), b"gone");
        assert_eq!(
            will.properties().user_properties().count(),
            usize::from(version.is_v5())
        );
    }
}

#[test]
fn disconnect_with_will_publishes_the_will() {
    let mut world = World::new();
    let mut watcher = watcher(&mut world);
    let client = world.connect(with_will(clean(Version::V5, "c"), 0));
    let reason = ReasonCode::DISCONNECT_WITH_WILL;
    client.send(&mut world, Packet::Disconnect(Disconnect::new(reason)));
    watcher.receive_message(&mut world);
}

#[test]
fn a_delayed_will_waits_and_is_withdrawn_by_a_reconnect() {
    let mut world = World::new();
    let mut watcher = watcher(&mut world);
    world
        .connect(with_will(resuming(Version::V5, "c"), 10))
        .cut(&mut world);
    world.wait(9);
    watcher.expect_nothing(&mut world);
    let client = world.connect(with_will(resuming(Version::V5, "c"), 10));
    world.wait(20);
    watcher.expect_nothing(&mut world);
    client.cut(&mut world);
    world.wait(10);
    watcher.receive_message(&mut world);
}

#[test]
fn a_delayed_will_is_published_when_its_session_ends_first() {
    let mut world = World::new();
    let mut watcher = watcher(&mut world);
    world
        .connect(with_will(clean(Version::V5, "expiry 0"), 1000))
        .cut(&mut world);
    watcher.receive_message(&mut world);
    world
        .connect(with_will(resuming(Version::V5, "c"), 900))
        .cut(&mut world);
    watcher.expect_nothing(&mut world);
    world.connect(clean(Version::V5, "c"));
    watcher.receive_message(&mut world);
}

#[test]
fn messages_wait_for_a_client_of_every_version_that_is_offline() {
    for version in crate::client::ALL_VERSIONS {
        let mut world = World::new();
        let mut client = world.connect(resuming(version, "c"));
        client.subscribe(&mut world, "a", QoS::AtLeastOnce);
        client.cut(&mut world);
        let now = world.now();
        world
            .broker
            .publish(now, &message("a", "x"), QoS::ExactlyOnce);
        world.wait(500);
        let mut client = world.open(version);
        client.send(&mut world, Packet::Connect(resuming(version, "c").into()));
        let packets = client.receive(&mut world);
        assert!(matches!(
            packets[..],
            [Packet::ConnAck(_), Packet::Publish(_)]
        ));
    }
}

#[test]
fn the_broker_waits_for_connect_no_longer_than_configured() {
    let mut world = World::new();
    let client = world.open(Version::V5);
    world.wait(9);
    assert!(!world.broker.wants_close(client.conn));
    world.wait(1);
    assert!(world.broker.wants_close(client.conn));
    world.expect_no_violation();
}
