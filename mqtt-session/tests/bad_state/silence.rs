//! Entries 16 and 19: links that are half open, servers that do not read, applications that do not read.

use std::time::Duration;

use bytes::Buf;
use mqtt_session::proto::{Flow, Outbox, Packet, PacketType, QoS, ReasonCode};
use mqtt_session::{ConnectionError, Fault, InboxFull, Limits, Phase, QueueId};

use crate::pair::raw::{Raw, ack, exactly_once};
use crate::pair::{VERSIONS, message};
use crate::{assert_next_is_clean, lasting};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_link_that_swallows_everything_is_found_out_although_we_publish_all_the_time() {
    for version in VERSIONS {
        let mut raw = Raw::connected(lasting(version).keep_alive(seconds(60)));
        for _ in 0..60 {
            raw.advance(seconds(1));
            let _ = raw.offer(QoS::AtMostOnce, message("a", b""));
        }
        let error = raw.last_loss();
        assert!(
            matches!(error, ConnectionError::NoPingResp { .. }),
            "{error}"
        );
        assert_eq!(error.fault(), Fault::Network);
        assert_next_is_clean(&mut raw, true);
        // The new connection has a ping of its own.
        raw.advance(seconds(46));
        assert!(raw.lines().contains(&"PINGREQ".to_owned()));
        assert_eq!(raw.session.phase(), Phase::Connected);
    }
}

#[test]
fn a_server_that_floods_and_does_not_read_costs_a_bounded_outbox_and_then_its_connection() {
    for version in VERSIONS {
        let limits = Limits::default();
        let mut raw = Raw::connected(lasting(version).keep_alive(seconds(60)));
        let question = raw.encode(&ack(PacketType::PubRel, 7, ReasonCode::SUCCESS));
        let mut held = Outbox::new();
        let mut waited = 0;
        while raw.session.phase() == Phase::Connected {
            waited += 1;
            assert!(waited < 200, "{version}: it waits for ever");
            raw.now = raw.now + seconds(1);
            raw.session.handle_timeout(raw.now);
            // The driver has what it was given first, and can't write it.
            if held.is_empty() {
                raw.session.poll_transmit(raw.now, &mut held);
            }
            for _ in 0..100 {
                if raw.session.wants_read() {
                    raw.input.extend_from_slice(&question.repeat(10_000));
                    raw.session.handle_input(raw.now, &mut raw.input);
                }
            }
        }
        assert!(held.remaining() <= limits.outbox_bytes + 100);
        raw.input.clear();
        let error = raw.last_loss();
        assert!(
            matches!(error, ConnectionError::NoPingResp { .. }),
            "{version}: {error}"
        );
        assert_next_is_clean(&mut raw, true);
    }
}

#[test]
fn an_application_that_does_not_read_costs_a_bounded_inbox_and_pings_go_on() {
    for version in VERSIONS {
        for full in [InboxFull::Pause, InboxFull::DropOldest] {
            let mut limits = Limits::default();
            limits.inbox_bytes = 50_000;
            let config = lasting(version).limits(limits).inbox_full(full);
            let mut raw = Raw::connected(config.keep_alive(seconds(60)));
            let publish = raw.encode_publish("a", Flow::AtMostOnce, &[7; 1000]);
            let mut pings = 0;
            for _ in 0..300 {
                raw.advance(seconds(1));
                for _ in 0..20 {
                    if raw.session.wants_read() {
                        raw.bytes_in(&publish);
                    }
                }
                if raw.lines().contains(&"PINGREQ".to_owned()) {
                    pings += 1;
                    raw.feed(&Packet::PingResp);
                }
            }
            assert!(pings >= 5, "{version} {full:?}: {pings}");
            assert_eq!(raw.session.phase(), Phase::Connected);
            let held = std::iter::from_fn(|| raw.session.poll_message(QueueId::DEFAULT));
            let bytes: usize = held.map(|received| received.publish.size()).sum();
            assert!(bytes <= 50_000 + 1010, "{version} {full:?}: {bytes}");
        }
    }
}

#[test]
fn a_server_that_goes_silent_inside_a_packet_is_found_out_and_the_part_is_forgotten() {
    for version in VERSIONS {
        let mut raw = Raw::connected(lasting(version).keep_alive(seconds(60)));
        let publish = raw.encode_publish("a", exactly_once(3), &[7; 1000]);
        raw.bytes_in(&publish[..500]);
        // Three quarters of the interval, then ten seconds.
        raw.advance(seconds(55));
        let error = raw.last_loss();
        assert!(
            matches!(error, ConnectionError::NoPingResp { .. }),
            "{error}"
        );
        assert_next_is_clean(&mut raw, true);
        assert_eq!(raw.session.stats().received, 1);
    }
}
