//! What an idle session holds in memory, by an allocator that counts.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod pair;

use std::alloc::System;

use mqtt_session::proto::{Flow, Packet, PacketType, QoS, Version};
use mqtt_session::{Phase, Session};
use pair::raw::{Raw, at_least_once, exactly_once};
use pair::{VERSIONS, config};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn held(region: &Region<'_, System>) -> usize {
    let change = region.change();
    change
        .bytes_allocated
        .saturating_sub(change.bytes_deallocated)
}

/// What a session may hold, connected and idle.
const MOST: usize = 2048;

/// Without what the test keeps.
fn alone(raw: Raw) -> Session {
    raw.session
}

/// What it holds on the heap.
fn idle(version: Version) -> usize {
    let mut config = config(version).credentials("user", "password");
    config = config.will_message("will", QoS::AtLeastOnce, "gone");
    let region = Region::new(ALLOCATOR);
    let mut raw = Raw::connected(config);
    // Something happens in it, of each kind.
    for qos in pair::QOS {
        raw.publish(qos, b"x");
    }
    for packet in raw.packets() {
        let Packet::Publish(publish) = packet else {
            panic!("{packet:?}")
        };
        match publish.flow() {
            Flow::AtMostOnce => {}
            Flow::AtLeastOnce { id, .. } => raw.feed_ack(PacketType::PubAck, id.get()),
            Flow::ExactlyOnce { id, .. } => {
                raw.feed_ack(PacketType::PubRec, id.get());
                raw.feed_ack(PacketType::PubComp, id.get());
            }
        }
    }
    raw.feed_publish("a", at_least_once(1), b"x");
    raw.take_and_ack();
    raw.feed_publish("a", exactly_once(1), b"x");
    raw.take_and_ack();
    raw.feed_ack(PacketType::PubRel, 1);
    // The keep-alive looks around, and all is quiet.
    raw.now = raw.session.poll_timeout().unwrap();
    raw.session.handle_timeout(raw.now);
    raw.packets();
    raw.bytes_in(&[0xD0, 0]);
    let session = alone(raw);
    assert_eq!(session.phase(), Phase::Connected);
    held(&region)
}

#[test]
fn an_idle_connected_session_holds_at_most_two_kibibytes() {
    let itself = size_of::<Session>();
    for version in VERSIONS {
        // The least of some: the count is of the whole process, and what runs the test allocates, too.
        let heap = (0..5).map(|_| idle(version)).min().unwrap();
        assert!(
            heap + itself <= MOST,
            "{version}: {itself} bytes and {heap} on the heap"
        );
    }
}
