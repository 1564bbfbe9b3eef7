//! What received messages hold in memory, by an allocator that counts: the read buffers that they keep alive are counted in.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod counted;
mod pair;

use std::time::Duration;

use bytes::BytesMut;
use counted::{ALLOCATOR, held, one_at_a_time};
use mqtt_session::proto::{Flow, Outbox, PacketType, QoS, ReasonCode};
use mqtt_session::{ConfigBuilder, InboxFull, Limits, Phase, QueueId, Received};
use pair::raw::{Raw, ack, at_least_once, exactly_once};
use pair::{VERSIONS, config};
use stats_alloc::Region;

/// What a driver reads at once.
const READ: usize = 64 * 1024;

fn bounded(version: mqtt_session::proto::Version, bytes: usize) -> ConfigBuilder {
    let mut limits = Limits::default();
    limits.inbox_bytes = bytes;
    limits.receive_maximum = std::num::NonZeroU16::MAX;
    config(version).clean_start(false).limits(limits)
}

/// The input as a driver brings it: read into what is left of a buffer, or into a new one.
struct Socket {
    input: BytesMut,
}

impl Socket {
    const fn new(input: BytesMut) -> Self {
        Self { input }
    }

    fn read(&mut self, raw: &mut Raw, bytes: &[u8]) {
        self.input.reserve(READ);
        self.input.extend_from_slice(bytes);
        while raw.session.wants_read() && !self.input.is_empty() {
            let before = self.input.len();
            raw.session.handle_input(raw.now, &mut self.input);
            if self.input.len() == before {
                break;
            }
        }
        raw.poll();
        raw.wire.clear();
        raw.events.clear();
    }
}

/// A large message that is taken at once, and a small one behind it that is not.
fn large_and_small(raw: &Raw, small: Flow) -> Vec<u8> {
    let mut bytes = raw.encode_publish("large", Flow::AtMostOnce, &[1; 60_000]);
    bytes.extend(raw.encode_publish("small", small, &[2; 10]));
    bytes
}

fn flow(qos: QoS, number: u16) -> Flow {
    match qos {
        QoS::AtMostOnce => Flow::AtMostOnce,
        QoS::AtLeastOnce => at_least_once(number),
        QoS::ExactlyOnce => exactly_once(number),
    }
}

#[test]
fn small_messages_each_the_last_of_a_large_read_hold_no_more_than_the_bound() {
    one_at_a_time();
    const BOUND: usize = 100_000;
    for version in VERSIONS {
        for qos in pair::QOS {
            for full in [InboxFull::Pause, InboxFull::DropOldest] {
                let mut raw = Raw::connected(bounded(version, BOUND).inbox_full(full));
                let large = raw.session.open_queue();
                raw.subscribe("large", large);
                raw.packets();
                let mut socket = Socket::new(BytesMut::new());
                let region = Region::new(ALLOCATOR);
                let mut most = 0;
                for number in 1..=3000 {
                    if raw.session.phase() != Phase::Connected || !raw.session.wants_read() {
                        break;
                    }
                    let bytes = large_and_small(&raw, flow(qos, number));
                    socket.read(&mut raw, &bytes);
                    drop(bytes);
                    while let Some(received) = raw.session.poll_message(large) {
                        raw.session.ack(raw.now, received.ticket).unwrap();
                    }
                    most = most.max(held(&region));
                }
                // The read that was made last is the driver's.
                assert!(
                    most <= BOUND + BOUND / 8 + 2 * READ,
                    "{version} {qos} {full:?}: {most} bytes are held"
                );
                let waiting =
                    std::iter::from_fn(|| raw.session.poll_message(QueueId::DEFAULT)).count();
                assert!(waiting > 100, "{waiting} messages are no backlog");
            }
        }
    }
}

/// The server sends without an end, and the application takes nothing.
#[test]
fn a_flood_that_nobody_reads_is_bounded() {
    one_at_a_time();
    const BOUND: usize = 400_000;
    for version in VERSIONS {
        for qos in pair::QOS {
            for full in [InboxFull::Pause, InboxFull::DropOldest] {
                for size in [0, 100, 20_000] {
                    let mut raw = Raw::connected(bounded(version, BOUND).inbox_full(full));
                    let mut socket = Socket::new(BytesMut::new());
                    let region = Region::new(ALLOCATOR);
                    let mut most = 0;
                    let mut number = 0;
                    while number < 10_000 {
                        let mut bytes = Vec::new();
                        while bytes.len() < READ && number < 10_000 {
                            number += 1;
                            let flow = flow(qos, number);
                            bytes.extend(raw.encode_publish("a", flow, &vec![1; size]));
                        }
                        if raw.session.phase() != Phase::Connected || !raw.session.wants_read() {
                            break;
                        }
                        socket.read(&mut raw, &bytes);
                        drop(bytes);
                        most = most.max(held(&region));
                    }
                    assert!(
                        most <= BOUND + BOUND / 8 + 5 * READ,
                        "{version} {qos} {full:?} {size}: {most} bytes are held"
                    );
                }
            }
        }
    }
}

#[test]
fn a_flood_beyond_receive_maximum_is_ended_with_its_reason_before_it_holds_more() {
    one_at_a_time();
    let mut limits = Limits::default();
    limits.receive_maximum = 10.try_into().unwrap();
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut raw = Raw::connected(config(VERSIONS[2]).limits(limits));
        let region = Region::new(ALLOCATOR);
        let mut bytes = Vec::new();
        for number in 1..=10_000 {
            bytes.extend(raw.encode_publish("a", flow(qos, number), &[1; 10]));
        }
        raw.bytes_in(&bytes);
        drop(bytes);
        assert_eq!(raw.lines(), ["DISCONNECT 0x93"]);
        assert!(raw.input.is_empty());
        raw.hang_up();
        raw.input = BytesMut::new();
        raw.session.handle_timeout(raw.now);
        let held = held(&region);
        assert!(held < 20 * 1024, "{qos}: {held} bytes are held");
        assert_eq!(raw.session.stats().inbox_messages, 10);
    }
}

#[test]
fn a_backlog_that_fills_its_buffers_is_not_copied() {
    one_at_a_time();
    let mut raw = Raw::connected(bounded(VERSIONS[2], 16 << 20));
    let one = raw.encode_publish("a", Flow::AtMostOnce, &[1; 500]);
    let bytes = one.repeat(READ / one.len());
    let mut socket = Socket::new(BytesMut::new());
    for _ in 0..20 {
        socket.input.reserve(READ);
        socket.input.extend_from_slice(&bytes);
        let buffer = socket.input.as_ptr() as usize..socket.input.as_ptr() as usize + READ;
        raw.session.handle_input(raw.now, &mut socket.input);
        // Read from the oldest while the next reads come in.
        for _ in 0..100 {
            let received = raw.take(QueueId::DEFAULT);
            raw.session.ack(raw.now, received.ticket).unwrap();
        }
        assert!(buffer.contains(&(socket.input.as_ptr() as usize - 1)));
    }
    let region = Region::new(ALLOCATOR);
    socket.input.reserve(READ);
    socket.input.extend_from_slice(&one);
    raw.session.handle_input(raw.now, &mut socket.input);
    assert!(
        region.change().allocations <= 2,
        "{:?}: a buffer, and a place",
        region.change()
    );
}

/// A PUBLISH of QoS 0 with the topic alias 1.
fn under_an_alias(topic: &str, payload: &[u8]) -> Vec<u8> {
    let topic = [&(topic.len() as u16).to_be_bytes(), topic.as_bytes()].concat();
    let alias = [3, 0x23, 0, 1];
    let mut len = topic.len() + alias.len() + payload.len();
    let mut frame = vec![0x30];
    while len > 127 {
        frame.push(len as u8 | 0x80);
        len >>= 7;
    }
    frame.push(len as u8);
    frame.extend([&topic, &alias[..], payload].concat());
    frame
}

/// What gets its topic from an alias is copied to where the topic is, and holds nothing of the buffer that it came in.
#[test]
fn messages_under_an_alias_do_not_count_as_a_part_of_the_buffer_that_others_hold() {
    one_at_a_time();
    const BOUND: usize = 400_000;
    let mut raw = Raw::connected(bounded(VERSIONS[2], BOUND));
    raw.bytes_in(&under_an_alias("large", &[]));
    let mut bytes = raw.encode_publish("small", Flow::AtMostOnce, &[2; 10]);
    bytes.extend(under_an_alias("", &[1; 60_000]));
    let region = Region::new(ALLOCATOR);
    let mut socket = Socket::new(BytesMut::new());
    while raw.session.wants_read() {
        socket.read(&mut raw, &bytes);
    }
    let held = held(&region);
    assert!(
        held <= BOUND + BOUND / 8 + 2 * READ,
        "{held} bytes are held"
    );
    assert!(raw.session.stats().inbox_messages > 10);
}

#[test]
fn a_message_that_is_left_alone_lets_its_read_buffer_go_after_a_while() {
    one_at_a_time();
    for version in VERSIONS {
        let mut raw = Raw::connected(bounded(version, 16 << 20));
        let large = raw.session.open_queue();
        raw.subscribe("large", large);
        raw.packets();
        let region = Region::new(ALLOCATOR);
        let mut socket = Socket::new(BytesMut::new());
        let bytes = large_and_small(&raw, at_least_once(1));
        socket.read(&mut raw, &bytes);
        drop((bytes, socket));
        let received = raw.take(large);
        raw.session.ack(raw.now, received.ticket).unwrap();
        drop(received.publish);
        assert!(held(&region) > READ / 2, "the small one holds the buffer");
        // Until the keep-alive looks around: default 60 s.
        raw.advance(Duration::from_secs(45));
        assert!(held(&region) < 4096, "{} bytes are held", held(&region));
        assert_eq!(raw.session.stats().copied, 1);
        assert_eq!(raw.take_and_ack(), [2; 10]);
    }
}

#[test]
fn a_small_message_of_a_very_large_buffer_is_copied_when_it_is_taken() {
    one_at_a_time();
    let mut raw = Raw::connected(bounded(VERSIONS[2], 16 << 20));
    let region = Region::new(ALLOCATOR);
    let mut bytes = raw.encode_publish("a", Flow::AtMostOnce, &[1; 900_000]);
    bytes.extend(raw.encode_publish("a", Flow::AtMostOnce, &[2; 10]));
    raw.session
        .handle_input(raw.now, &mut BytesMut::from(bytes.as_slice()));
    drop(bytes);
    let take = |raw: &mut Raw| {
        let Received { publish, ticket } = raw.take(QueueId::DEFAULT);
        raw.session.ack(raw.now, ticket).unwrap();
        publish
    };
    drop(take(&mut raw));
    assert_eq!(raw.session.stats().copied, 0);
    let small = take(&mut raw);
    assert_eq!(small.payload(), [2; 10]);
    assert_eq!(raw.session.stats().copied, 1);
    assert!(held(&region) < 4096, "{} bytes are held", held(&region));
}

/// Takes what the session writes, and forgets it.
fn write(raw: &mut Raw) {
    let mut out = Outbox::new();
    while raw.session.poll_transmit(raw.now, &mut out) {
        raw.session.handle_written(raw.now, out.len());
        out.clear();
    }
    while raw.session.poll_event().is_some() {}
}

#[test]
fn the_queues_memory_is_given_back_when_a_burst_is_over() {
    one_at_a_time();
    for version in VERSIONS {
        for qos in pair::QOS {
            let mut raw = Raw::connected(bounded(version, 64 << 20));
            let region = Region::new(ALLOCATOR);
            let feed = |raw: &mut Raw, bytes: &[u8]| {
                raw.session
                    .handle_input(raw.now, &mut BytesMut::from(bytes));
                write(raw);
            };
            for number in 1..=5_000 {
                let bytes = raw.encode_publish("a", flow(qos, number), &[1; 10]);
                feed(&mut raw, &bytes);
            }
            while let Some(received) = raw.session.poll_message(QueueId::DEFAULT) {
                raw.session.ack(raw.now, received.ticket).unwrap();
                write(&mut raw);
            }
            for number in 1..=5_000 {
                if qos == QoS::ExactlyOnce {
                    let bytes = raw.encode(&ack(PacketType::PubRel, number, ReasonCode::SUCCESS));
                    feed(&mut raw, &bytes);
                }
            }
            assert!(held(&region) > 50_000, "the queues have grown");
            raw.now = raw.session.poll_timeout().unwrap();
            raw.session.handle_timeout(raw.now);
            write(&mut raw);
            let left = held(&region);
            assert!(left < 4096, "{version} {qos}: {left} bytes are held");
        }
    }
}

#[cfg(feature = "client")]
mod client {
    use mqtt_session::client::AckMode;

    use super::pair::hand::Hand;
    use super::*;

    /// Each stream is read once, and then no more, while its messages come each at the end of a large read.
    #[test]
    fn what_streams_have_taken_over_is_bounded_however_many_there_are() {
        one_at_a_time();
        const BOUND: usize = 400_000;
        for mode in [AckMode::Taken, AckMode::Queued, AckMode::Manual] {
            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
                let mut hand = Hand::connected(bounded(VERSIONS[2], BOUND));
                let mut streams: Vec<_> = (0..20)
                    .map(|n| hand.subscribe(&n.to_string(), qos).with_ack_mode(mode))
                    .collect();
                let mut messages = Vec::new();
                let region = Region::new(ALLOCATOR);
                let mut most = 0;
                for (n, stream) in streams.iter_mut().enumerate() {
                    for number in 1..=10 {
                        let mut bytes =
                            hand.encode_publish("large", Flow::AtMostOnce, &[1; 60_000]);
                        let number = number + n as u16 * 10;
                        bytes.extend(hand.encode_publish(
                            &n.to_string(),
                            flow(qos, number),
                            &[2; 10],
                        ));
                        hand.input.reserve(READ);
                        hand.bytes_in(&bytes);
                        hand.packets();
                    }
                    // The application keeps a copy of the payload.
                    messages.push(stream.try_next().unwrap().payload().to_vec());
                    most = most.max(held(&region));
                }
                assert!(
                    most < BOUND + BOUND / 8 + 4 * READ,
                    "{mode:?} {qos}: {most} bytes are held"
                );
                assert!(messages.iter().all(|payload| payload == &[2; 10]));
            }
        }
    }

    #[test]
    fn messages_that_are_acknowledged_when_queued_take_their_room_until_they_are_read() {
        one_at_a_time();
        let mut hand = Hand::connected(bounded(VERSIONS[2], 100_000));
        let mut stream = hand
            .subscribe("a", QoS::AtLeastOnce)
            .with_ack_mode(AckMode::Queued);
        for number in 1..=10 {
            hand.feed_publish("a", at_least_once(number), &[1; 10]);
        }
        for number in 1..=10_u64 {
            assert!(stream.try_next().is_some());
            hand.packets();
            assert!(hand.client.stats().inbox_bytes > 0, "{number}");
        }
        assert!(stream.try_next().is_none());
        assert_eq!(hand.client.stats().inbox_bytes, 0);
    }

    /// Some were copied out of their buffers before the others came, and all of them are taken together: what waits in another queue in the
    /// buffer of those others is still known to be there.
    #[test]
    fn a_run_with_copied_messages_leaves_the_buffer_to_those_who_wait_in_it() {
        one_at_a_time();
        // So that a stream may take several at once.
        const BOUND: usize = 600_000;
        // Of which one is more than may be kept alive beyond what is counted.
        const READ: usize = 128 * 1024;
        let mut hand = Hand::connected(bounded(VERSIONS[2], BOUND));
        let mut stream = hand.subscribe("a", QoS::AtMostOnce);
        let mut other = hand.subscribe("b", QoS::AtMostOnce);
        let encode = |topic, payload: &[u8]| hand.encode_publish(topic, Flow::AtMostOnce, payload);
        let (large, small) = (encode("large", &[1; READ - 1000]), encode("a", &[2; 10]));
        let first = [&large[..], &small[..]].concat();
        let second = [&first[..], &encode("b", &[3; 10])[..]].concat();
        let region = Region::new(ALLOCATOR);
        const ROUNDS: usize = 50;
        let mut most = 0;
        for _ in 0..ROUNDS {
            for bytes in [&first, &second] {
                hand.input.reserve(READ);
                hand.bytes_in(bytes);
            }
            assert_eq!(std::iter::from_fn(|| stream.try_next()).count(), 2);
            most = most.max(held(&region));
        }
        assert!(
            most <= BOUND + BOUND / 8 + 2 * READ,
            "{most} bytes are held"
        );
        assert_eq!(std::iter::from_fn(|| other.try_next()).count(), ROUNDS);
    }

    #[test]
    fn a_message_that_is_copied_already_is_not_copied_again_with_others_of_its_run() {
        one_at_a_time();
        let mut hand = Hand::connected(bounded(VERSIONS[2], 16 << 20));
        let mut stream = hand.subscribe("a", QoS::AtMostOnce);
        let encode = |topic, payload: &[u8]| hand.encode_publish(topic, Flow::AtMostOnce, payload);
        let (large, small) = (encode("large", &[1; 900_000]), encode("a", &[2; 10]));
        let bytes = [large, small].concat();
        for _ in 0..2 {
            // A buffer of its own for each, by which what waits in the one before is copied out.
            hand.input = BytesMut::from(&bytes[..]);
            hand.turn();
        }
        assert_eq!(hand.client.stats().copied, 1);
        assert_eq!(std::iter::from_fn(|| stream.try_next()).count(), 2);
        assert_eq!(hand.client.stats().copied, 2);
    }
}
