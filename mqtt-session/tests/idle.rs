//! What a session holds in memory that is idle or restored, by an allocator that counts.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod counted;
mod pair;

use counted::{ALLOCATOR, held, one_at_a_time};
use mqtt_session::proto::{Flow, Packet, PacketType, QoS, ReasonCode, Version};
use mqtt_session::{
    Durability, Endpoint, Instant, Limits, Phase, Record, Session, UnixTime, WallClock,
};
use pair::raw::{Raw, at_least_once, exactly_once};
use pair::{VERSIONS, config};
use stats_alloc::Region;

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
    one_at_a_time();
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

/// What an earlier process had in flight has its identifiers, wherever numbers begin now.
#[test]
fn a_restored_session_holds_what_is_in_flight_and_no_more() {
    one_at_a_time();
    for (durability, number) in [(Durability::Behind, 1), (Durability::WriteAhead, 60_000)] {
        let mut limits = Limits::default();
        limits.max_queued = number;
        limits.unstored_records = usize::MAX;
        let config = config(Version::V5).durability(durability).limits(limits);
        let mut raw = Raw::connected(config.clone());
        let mut log = Vec::new();
        for _ in 0..number {
            raw.publish(QoS::ExactlyOnce, b"x");
        }
        store(&mut raw, &mut log);
        // All but the last are acknowledged.
        for id in 1..number {
            raw.feed_ack_with(PacketType::PubRec, id as u16, ReasonCode::QUOTA_EXCEEDED);
        }
        store(&mut raw, &mut log);
        let config = config.build().unwrap();
        for seed in 0..10 {
            let (config, log) = (config.clone(), log.clone());
            let region = Region::new(ALLOCATOR);
            let clock = WallClock {
                now: Instant::ZERO,
                time: UnixTime::default(),
            };
            let server = Endpoint::new("192.0.2.1", 1883);
            let session = Session::restore(config, server, seed, clock, log).unwrap();
            assert_eq!(session.stats().in_flight, 1);
            let held = held(&region);
            assert!(held < 16_384, "{durability:?}: {held} bytes on the heap");
        }
    }
}

fn store(raw: &mut Raw, log: &mut Vec<Record>) {
    loop {
        raw.poll();
        let records: Vec<_> = std::iter::from_fn(|| raw.session.poll_record()).collect();
        let Some((last, _)) = records.last() else {
            return;
        };
        raw.session.handle_stored(raw.now, *last);
        log.extend(records.into_iter().map(|(_, record)| record));
    }
}
