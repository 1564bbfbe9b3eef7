//! What handles leave in memory behind a burst, by an allocator that counts.
#![cfg(feature = "client")]

mod counted;
mod pair;

use std::pin::Pin;
use std::time::Duration;

use counted::{ALLOCATOR, held, one_at_a_time};
use mqtt_session::client::Delivery;
use mqtt_session::proto::{Ack, ConnAck, Packet, PacketId, Properties, QoS, Version};
use mqtt_session::{Limits, Outcome};
use pair::config;
use pair::hand::{Hand, poll, ready};
use stats_alloc::Region;

const MANY: usize = 10_000;

/// One message, written, and everything that it takes the first time is there.
fn connected() -> Hand {
    let mut limits = Limits::default();
    limits.max_queued = 2 * MANY;
    let mut hand = Hand::connected(config(Version::V5).limits(limits));
    drop(publish(&hand, QoS::AtMostOnce));
    hand.packets();
    hand
}

fn publish(hand: &Hand, qos: QoS) -> Delivery {
    hand.client.try_publish("a", qos, "x").expect("room")
}

#[test]
fn the_outcomes_of_a_burst_leave_nothing_when_they_have_been_told() {
    one_at_a_time();
    let mut hand = connected();
    let region = Region::new(ALLOCATOR);
    let mut deliveries = Vec::new();
    for _ in 0..MANY {
        deliveries.push(publish(&hand, QoS::AtMostOnce));
        hand.packets();
    }
    assert!(held(&region) > MANY * 32);
    for delivery in deliveries {
        assert_eq!(ready(delivery), Ok(Outcome::Written));
    }
    // When a timer is due, which is seldom while much goes on.
    hand.advance(Duration::from_secs(60));
    hand.packets();
    let left = held(&region);
    assert!(left < 24 * 1024, "{left} bytes are held");
}

#[test]
fn deliveries_that_are_dropped_leave_nothing_though_others_are_kept() {
    one_at_a_time();
    let mut hand = connected();
    let first = publish(&hand, QoS::AtMostOnce);
    let region = Region::new(ALLOCATOR);
    // At once.
    for _ in 0..MANY {
        drop(publish(&hand, QoS::AtLeastOnce));
        hand.packets();
        hand.feed(&Packet::PubAck(Ack::new(PacketId::MIN)));
    }
    let left = held(&region);
    assert!(left < 24 * 1024, "{left} bytes are held");
    // Later, between others.
    let mut deliveries = Vec::new();
    for _ in 0..MANY {
        deliveries.push(publish(&hand, QoS::AtMostOnce));
        hand.packets();
    }
    let last = deliveries.pop().expect("many");
    drop(deliveries);
    let left = held(&region);
    assert!(left < 24 * 1024, "{left} bytes are held");
    for delivery in [first, last] {
        assert_eq!(ready(delivery), Ok(Outcome::Written));
    }
}

#[test]
fn those_who_have_waited_for_room_leave_nothing() {
    one_at_a_time();
    let mut limits = Limits::default();
    limits.max_queued = 1;
    let mut hand = Hand::new(config(Version::V5).limits(limits));
    let client = hand.client.clone();
    drop(publish(&hand, QoS::AtMostOnce));
    let region = Region::new(ALLOCATOR);
    let publish = || client.publish("a", QoS::AtMostOnce, &b"x"[..]);
    let mut waiting: Vec<_> = (0..MANY).map(|_| publish()).collect();
    for publishing in &mut waiting {
        assert!(poll(Pin::new(publishing)).is_pending());
    }
    client.start();
    // There is room, and all are woken.
    hand.accept();
    hand.packets();
    drop(waiting);
    let left = held(&region);
    assert!(left < 24 * 1024, "{left} bytes are held");
}

/// What is held after many connections whose servers say much.
fn after_connections(watched: bool) -> usize {
    let region = Region::new(ALLOCATOR);
    let mut hand = Hand::new(config(Version::V5));
    if watched {
        drop((hand.client.events(), hand.client.watch()));
    }
    hand.client.start();
    let said = "x".repeat(10_000);
    for _ in 0..20 {
        hand.open();
        let properties = Properties::builder().user_property("said", said.as_str());
        hand.feed(&Packet::ConnAck(ConnAck {
            properties: properties.build().expect("good properties"),
            ..ConnAck::default()
        }));
        hand.lose();
        hand.advance(Duration::from_secs(150));
    }
    held(&region)
}

#[test]
fn no_event_is_kept_when_the_last_who_watched_is_gone() {
    one_at_a_time();
    let never = after_connections(false);
    let no_more = after_connections(true);
    assert!(no_more < never + 4096, "{no_more} bytes for {never}");
}
