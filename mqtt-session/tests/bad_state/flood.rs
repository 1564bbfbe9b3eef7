//! Floods: more than was agreed, and more than fits.

use mqtt_session::proto::{Flow, QoS, Version};
use mqtt_session::{ConnectionError, InboxFull, Limits, Phase, QueueId, Violation};

use crate::pair::VERSIONS;
use crate::pair::raw::{Raw, at_least_once};
use crate::{assert_next_is_clean, lasting};

#[test]
fn a_flood_beyond_receive_maximum_is_cut_off_and_what_came_before_is_not_lost() {
    let max = Limits::default().receive_maximum.get();
    let mut raw = Raw::connected(lasting(Version::V5));
    for number in 1..=max {
        raw.feed_publish("a", at_least_once(number), &number.to_be_bytes());
    }
    for number in max + 1..max + 1000 {
        raw.feed_publish("a", at_least_once(number), b"beyond");
    }
    assert_eq!(raw.lines(), ["DISCONNECT 0x93"]);
    let error = raw.last_loss();
    let exceeded = matches!(
        error,
        ConnectionError::Protocol {
            violation: Violation::ReceiveMaximum { .. },
            ..
        }
    );
    assert!(exceeded, "{error}");
    let held: Vec<_> = std::iter::from_fn(|| raw.session.poll_message(QueueId::DEFAULT)).collect();
    assert_eq!(held.len(), usize::from(max));
    for (number, received) in (1..=max).zip(held) {
        assert_eq!(received.publish.payload(), number.to_be_bytes());
        raw.session
            .ack(raw.now, received.ticket)
            .expect("the session lasts");
    }
    assert_next_is_clean(&mut raw, true);
}

#[test]
fn a_flood_of_qos_0_that_nobody_reads_stays_within_the_inbox() {
    for version in VERSIONS {
        for full in [InboxFull::Pause, InboxFull::DropOldest] {
            let mut limits = Limits::default();
            limits.inbox_bytes = 100_000;
            let mut raw = Raw::connected(lasting(version).limits(limits).inbox_full(full));
            // While it waits for an answer it may not pause.
            raw.publish(QoS::AtLeastOnce, b"");
            raw.packets();
            let flood = raw
                .encode_publish("a", Flow::AtMostOnce, &[7; 500])
                .repeat(1000);
            for _ in 0..10 {
                raw.bytes_in(&flood);
                assert!(raw.input.is_empty(), "it reads on");
            }
            let held = std::iter::from_fn(|| raw.session.poll_message(QueueId::DEFAULT));
            let (count, bytes) = held.fold((0, 0), |(count, bytes), received| {
                (count + 1, bytes + received.publish.size())
            });
            assert!(bytes <= 100_000 + 510, "{version} {full:?}: {bytes}");
            assert_eq!(raw.session.stats().dropped + count, 10_000);
            assert_eq!(raw.session.phase(), Phase::Connected);
        }
    }
}

#[test]
fn a_flood_of_qos_1_in_3_x_that_nobody_reads_ends_the_connection_when_the_inbox_is_full() {
    for version in [Version::V3_1, Version::V3_1_1] {
        let mut limits = Limits::default();
        limits.inbox_bytes = 100_000;
        let mut raw = Raw::connected(lasting(version).limits(limits));
        raw.publish(QoS::AtLeastOnce, b"");
        raw.packets();
        let mut number = 0;
        while raw.session.phase() == Phase::Connected {
            number += 1;
            raw.feed_publish("a", at_least_once(number), &[7; 500]);
        }
        assert!(number < 210, "{number}");
        let error = raw.last_loss();
        assert!(
            matches!(error, ConnectionError::InboxFull { .. }),
            "{error}"
        );
        raw.hang_up();
        assert_eq!(raw.lines(), Vec::<String>::new());
        // The next attempt waits until there is room.
        raw.advance(std::time::Duration::from_secs(3600));
        assert_eq!(raw.session.phase(), Phase::Waiting);
        while let Some(received) = raw.session.poll_message(QueueId::DEFAULT) {
            raw.session
                .ack(raw.now, received.ticket)
                .expect("the session lasts");
        }
        raw.poll();
        assert_eq!(raw.session.phase(), Phase::Connecting);
        raw.closed(mqtt_session::Cause::ConnectionRefused);
        assert_next_is_clean(&mut raw, true);
    }
}

#[test]
fn a_packet_above_the_maximum_is_refused_by_its_length_alone() {
    for version in VERSIONS {
        let mut raw = Raw::connected(lasting(version));
        let max = Limits::default().max_packet_size;
        // A length one above what is left beside a header of four bytes.
        let length = max - 4 + 1;
        let bytes = [
            0x30,
            (length & 0x7F) as u8 | 0x80,
            (length >> 7 & 0x7F) as u8 | 0x80,
            (length >> 14 & 0x7F) as u8,
        ];
        raw.bytes_in(&bytes);
        let error = raw.last_loss();
        assert!(matches!(error, ConnectionError::Decode { .. }), "{error}");
        let said: &[&str] = if version.is_v5() {
            &["DISCONNECT 0x95"]
        } else {
            &[]
        };
        assert_eq!(raw.lines(), said);
        assert_next_is_clean(&mut raw, true);
    }
}
