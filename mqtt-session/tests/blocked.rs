//! A received message that the application does not acknowledge: what it holds back, what it does not, and who is told.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod pair;

use std::time::Duration;

use mqtt_session::proto::{PacketType, Properties, QoS, Version};
use mqtt_session::{ConfigBuilder, Event, Limits, QueueId, Timeouts};
use pair::config;
use pair::raw::{Raw, at_least_once, exactly_once};

/// A window of two messages; pings only after five minutes.
fn two() -> ConfigBuilder {
    let mut limits = Limits::default();
    limits.receive_maximum = 2.try_into().unwrap();
    config(Version::V5)
        .clean_start(false)
        .keep_alive(Duration::ZERO)
        .limits(limits)
}

fn told(raw: &mut Raw) -> Vec<(QueueId, Duration)> {
    raw.poll();
    let told = raw.events.iter().filter_map(|event| match event {
        Event::Blocked { queue, since } => Some((*queue, *since)),
        _ => None,
    });
    told.collect()
}

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn the_queue_whose_oldest_message_blocks_the_window_is_told_once_after_the_configured_time() {
    for first in [at_least_once(1), exactly_once(1)] {
        let mut raw = Raw::connected(two());
        let queue = raw.session.open_queue();
        raw.subscribe("slow", queue);
        raw.packets();
        raw.feed_publish("slow", first, b"");
        raw.advance(PATIENCE);
        assert_eq!(told(&mut raw), [], "the server may send another");
        raw.feed_publish("b", at_least_once(2), b"");
        raw.advance(PATIENCE - Duration::from_nanos(1));
        assert_eq!(told(&mut raw), []);
        raw.advance(Duration::from_nanos(1));
        assert_eq!(told(&mut raw), [(queue, PATIENCE)]);
        raw.advance(PATIENCE);
        assert_eq!(told(&mut raw).len(), 1, "once");
    }
}

#[test]
fn a_message_that_is_dealt_with_in_time_blocks_nothing() {
    let mut raw = Raw::connected(two());
    raw.feed_publish("a", at_least_once(1), b"");
    raw.feed_publish("a", at_least_once(2), b"");
    raw.advance(PATIENCE / 2);
    raw.take_and_ack();
    raw.advance(PATIENCE);
    assert_eq!(told(&mut raw), []);
    // The clock begins anew with the next that fills the window.
    raw.feed_publish("a", at_least_once(1), b"");
    raw.advance(PATIENCE);
    assert_eq!(told(&mut raw), [(QueueId::DEFAULT, PATIENCE)]);
}

#[test]
fn a_window_that_waits_for_the_servers_pubrel_is_not_the_applications_fault() {
    let mut raw = Raw::connected(two());
    for number in 1..=2 {
        raw.feed_publish("a", exactly_once(number), b"");
        raw.take_and_ack();
    }
    raw.advance(PATIENCE);
    assert_eq!(told(&mut raw), []);
}

#[test]
fn a_lost_connection_ends_the_wait_and_the_next_one_begins_its_own() {
    let mut raw = Raw::connected(two());
    raw.feed_publish("a", at_least_once(1), b"");
    raw.feed_publish("a", at_least_once(2), b"");
    raw.advance(PATIENCE / 2);
    raw.reconnect(true, Properties::new());
    raw.advance(PATIENCE);
    assert_eq!(told(&mut raw), [], "the server has sent none again");
}

#[test]
fn the_configured_time_is_a_timeout_of_its_own() {
    let mut timeouts = Timeouts::default();
    timeouts.blocked = Duration::from_secs(1);
    let mut raw = Raw::connected(two().timeouts(timeouts));
    raw.feed_publish("a", at_least_once(1), b"");
    raw.feed_publish("a", at_least_once(2), b"");
    raw.advance(Duration::from_secs(1));
    assert_eq!(told(&mut raw).len(), 1);
}

#[test]
fn what_waits_for_the_application_holds_back_no_ping_pubrel_pubcomp_and_no_acknowledgement_of_what_is_sent()
 {
    let mut raw = Raw::connected(two().keep_alive(Duration::from_secs(60)));
    raw.feed_publish("a", exactly_once(7), b"");
    raw.take_and_ack();
    raw.feed_publish("a", at_least_once(1), b"");
    raw.packets();
    // PUBREL and PUBCOMP of both directions, and what is sent.
    raw.feed_ack(PacketType::PubRel, 7);
    assert_eq!(raw.lines(), ["PUBCOMP 7"]);
    let (one, two) = (
        raw.publish(QoS::AtLeastOnce, b""),
        raw.publish(QoS::ExactlyOnce, b""),
    );
    let ids: Vec<_> = raw
        .packets()
        .iter()
        .map(|packet| match packet {
            mqtt_session::proto::Packet::Publish(publish) => publish.packet_id().unwrap().get(),
            other => panic!("{other:?}"),
        })
        .collect();
    raw.feed_ack(PacketType::PubAck, ids[0]);
    raw.feed_ack(PacketType::PubRec, ids[1]);
    assert_eq!(raw.lines(), [format!("PUBREL {}", ids[1])]);
    raw.feed_ack(PacketType::PubComp, ids[1]);
    assert_eq!(raw.outcome(one), Some(pair::ACKNOWLEDGED));
    assert_eq!(raw.outcome(two), Some(pair::ACKNOWLEDGED));
    raw.advance(Duration::from_secs(46));
    assert_eq!(raw.lines(), ["PINGREQ"]);
    raw.bytes_in(&[0xD0, 0]);
    raw.take_and_ack();
    assert_eq!(raw.lines(), ["PUBACK 1"]);
}

#[test]
fn what_a_queue_held_when_it_was_closed_blocks_as_part_of_the_default_queue() {
    let mut raw = Raw::connected(two());
    let (closed, other) = (raw.session.open_queue(), raw.session.open_queue());
    raw.subscribe("slow", closed);
    raw.subscribe("b", other);
    raw.packets();
    raw.feed_publish("slow", at_least_once(1), b"");
    raw.feed_publish("b", at_least_once(2), b"");
    raw.session.close_queue(raw.now, closed);
    raw.advance(PATIENCE);
    assert_eq!(told(&mut raw), [(QueueId::DEFAULT, PATIENCE)]);
    raw.take_and_ack();
    // The other is still where it was.
    raw.feed_publish("b", at_least_once(3), b"");
    raw.advance(PATIENCE);
    assert_eq!(told(&mut raw)[1..], [(other, PATIENCE)]);
}
