//! Message Expiry Interval and time to live of what is published (section 3.3.2.3.3).

mod pair;

use std::num::NonZeroU16;
use std::time::Duration;

use mqtt_session::proto::{
    Outbox, Packet, PacketType, Properties, Publish, QoS, ReasonCode, Version,
};
use mqtt_session::{Cause, Event, Outcome, Phase, PublishOptions, Timeouts, Timer, Token};
use pair::raw::Raw;
use pair::{ACKNOWLEDGED, QOS, VERSIONS, config, message};

const SECOND: Duration = Duration::from_secs(1);

fn resuming(version: Version) -> mqtt_session::ConfigBuilder {
    let builder = config(version).keep_alive(Duration::ZERO);
    if version.is_v5() {
        builder
    } else {
        builder.clean_start(false)
    }
}

fn expiring(seconds: u32) -> Publish {
    let user = Properties::builder().user_property("before", "the interval");
    let properties = user
        .message_expiry_interval(seconds)
        .content_type("behind it");
    message("a", b"x").with_properties(properties.build().expect("good"))
}

fn living(raw: &mut Raw, qos: QoS, time: Duration) -> Token {
    let options = PublishOptions::new().with_time_to_live(time);
    let publish = message("a", b"x");
    raw.session
        .publish_with(raw.now, qos, publish, &options)
        .expect("accepted")
}

/// The Message Expiry Interval of each PUBLISH that was written.
fn intervals(raw: &mut Raw) -> Vec<Option<u32>> {
    let packets = raw.packets();
    let publishes = packets.iter().filter_map(|packet| match packet {
        Packet::Publish(publish) => Some(publish.properties()),
        _ => None,
    });
    publishes
        .map(|properties| properties.message_expiry_interval())
        .collect()
}

/// A session that has lost its connection, and does not come back by itself for a while.
fn offline(version: Version) -> Raw {
    let backoff = mqtt_session::Backoff {
        first: Duration::from_secs(1000),
        longest: Duration::from_secs(1000),
        jitter_percent: 0,
        ..Default::default()
    };
    let mut raw = Raw::connected(resuming(version).backoff(backoff));
    raw.closed(Cause::Eof);
    raw
}

fn come_back(raw: &mut Raw, session_present: bool) {
    raw.wait_for_dial();
    raw.open();
    raw.accept(session_present, Properties::new());
}

#[test]
fn a_message_that_expires_in_the_queue_ends_when_its_time_is_over() {
    for (version, qos) in VERSIONS.into_iter().flat_map(|v| QOS.map(|qos| (v, qos))) {
        let mut raw = offline(version);
        let token = living(&mut raw, qos, 5 * SECOND);
        let other = living(&mut raw, qos, 7 * SECOND);
        let immortal = raw.publish(qos, b"x");
        raw.poll();
        let deadline = raw.now + 5 * SECOND;
        assert_eq!(raw.session.next_timer(), Some((Timer::Expiry, deadline)));
        raw.advance(5 * SECOND - Duration::from_nanos(1));
        assert_eq!(raw.outcome(token), None);
        raw.advance(Duration::from_nanos(1));
        assert_eq!(raw.outcome(token), Some(Outcome::Expired));
        assert_eq!(raw.outcome(other), None);
        raw.advance(2 * SECOND);
        assert_eq!(raw.outcome(other), Some(Outcome::Expired));
        raw.advance(100 * SECOND);
        assert_eq!(raw.outcome(immortal), None);
        let capacity = raw.session.publish_capacity();
        let most = mqtt_session::Limits::default().max_queued;
        assert_eq!(capacity.messages, most - 1, "what expired holds no room");
        come_back(&mut raw, true);
        assert_eq!(raw.lines().len(), 1, "nothing of what expired is sent");
    }
}

#[test]
fn the_configured_time_to_live_is_for_those_that_say_none() {
    let mut raw = Raw::new(resuming(Version::V3_1_1).time_to_live(3 * SECOND));
    let configured = raw.publish(QoS::AtLeastOnce, b"x");
    let own = living(&mut raw, QoS::AtLeastOnce, 6 * SECOND);
    let forever = living(&mut raw, QoS::AtLeastOnce, Duration::MAX);
    raw.advance(3 * SECOND);
    assert_eq!(raw.outcomes(), [(configured, Outcome::Expired)]);
    raw.advance(3 * SECOND);
    assert_eq!(raw.outcome(own), Some(Outcome::Expired));
    raw.advance(Duration::from_secs(1 << 32));
    assert_eq!(raw.outcome(forever), None);
}

#[test]
fn a_message_that_was_not_kept_waiting_carries_its_whole_interval() {
    let mut raw = Raw::connected(config(Version::V5));
    for qos in QOS {
        for seconds in [0, 1, 60, u32::MAX] {
            raw.offer(qos, expiring(seconds)).expect("accepted");
            assert_eq!(intervals(&mut raw), [Some(seconds)]);
        }
    }
}

#[test]
fn what_waited_is_sent_with_the_rest_of_its_interval() {
    for (waited, left) in [(0, 60), (1, 59), (1_000, 59), (1_001, 58), (59_000, 1)] {
        let mut timeouts = Timeouts::default();
        timeouts.connack = Duration::from_secs(100);
        let mut raw = Raw::new(config(Version::V5).timeouts(timeouts));
        raw.offer(QoS::AtLeastOnce, expiring(60)).expect("accepted");
        raw.session.connect(raw.now);
        raw.open();
        // CONNACK takes its time.
        raw.advance(Duration::from_millis(waited));
        raw.accept(false, Properties::new());
        let packets = raw.packets();
        let Some(Packet::Publish(publish)) = packets.first() else {
            panic!("{waited}: {packets:?}");
        };
        let properties = publish.properties();
        assert_eq!(properties.message_expiry_interval(), Some(left), "{waited}");
        // The others are as they were.
        assert_eq!(
            properties
                .content_type()
                .map(|text| text.to_string())
                .as_deref(),
            Some("behind it")
        );
        assert_eq!(
            properties.user_properties().collect::<Vec<_>>(),
            [("before", "the interval")]
        );
    }
}

#[test]
fn a_message_with_less_than_a_second_left_has_expired() {
    let mut raw = offline(Version::V5);
    let token = raw.offer(QoS::AtLeastOnce, expiring(60)).expect("accepted");
    raw.advance(59 * SECOND);
    assert_eq!(raw.outcome(token), None);
    raw.advance(Duration::from_nanos(1));
    assert_eq!(raw.outcome(token), Some(Outcome::Expired));
}

#[test]
fn the_shorter_of_interval_and_time_to_live_counts() {
    for (interval, time, expected) in [(60, 10, 10), (10, 60, 10)] {
        let mut raw = offline(Version::V5);
        let options = PublishOptions::new().with_time_to_live(Duration::from_secs(time));
        let publish = expiring(interval);
        let token = raw
            .session
            .publish_with(raw.now, QoS::AtMostOnce, publish, &options);
        let token = token.expect("accepted");
        raw.advance(Duration::from_secs(expected - 1));
        assert_eq!(raw.outcome(token), None);
        raw.advance(SECOND);
        assert_eq!(raw.outcome(token), Some(Outcome::Expired));
    }
}

#[test]
fn a_time_to_live_is_not_told_to_the_server() {
    let mut raw = Raw::connected(config(Version::V5));
    living(&mut raw, QoS::AtMostOnce, 5 * SECOND);
    assert_eq!(intervals(&mut raw), [None]);
}

#[test]
fn a_time_to_live_of_zero_is_for_what_can_be_sent_at_once() {
    for version in VERSIONS {
        let mut raw = Raw::connected(resuming(version));
        raw.advance(SECOND);
        let sent = living(&mut raw, QoS::AtMostOnce, Duration::ZERO);
        raw.poll();
        assert_eq!(raw.outcome(sent), Some(Outcome::Written));
        raw.closed(Cause::Eof);
        let late = living(&mut raw, QoS::AtMostOnce, Duration::ZERO);
        raw.advance(Duration::ZERO);
        assert_eq!(raw.outcome(late), Some(Outcome::Expired));
    }
}

/// A message in flight may have been taken: its time is looked at when it would be sent again.
#[test]
fn an_expired_message_in_flight_is_not_sent_again() {
    for version in VERSIONS {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let mut raw = Raw::connected(resuming(version));
            let token = living(&mut raw, qos, 30 * SECOND);
            let other = raw.publish(qos, b"x");
            assert_eq!(raw.lines().len(), 2);
            raw.advance(31 * SECOND);
            assert_eq!(
                raw.outcome(token),
                None,
                "its acknowledgement may still come"
            );
            raw.reconnect(true, Properties::new());
            let lines = raw.lines();
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert!(lines[0].ends_with("DUP"), "{lines:?}");
            assert_eq!(raw.outcome(token), Some(Outcome::Expired));
            assert_eq!(raw.outcome(other), None);
        }
    }
}

/// Nothing else may happen that makes the session look again: the deadline must be there.
#[test]
fn what_waits_to_be_sent_again_expires_in_time_for_those_behind_it() {
    let mut raw = Raw::connected(resuming(Version::V5));
    let first = raw.publish(QoS::AtLeastOnce, b"1");
    let second = living(&mut raw, QoS::AtLeastOnce, 30 * SECOND);
    raw.packets();
    raw.reconnect(
        true,
        Properties::builder()
            .receive_maximum(NonZeroU16::MIN)
            .build()
            .expect("good"),
    );
    raw.publish(QoS::AtMostOnce, b"0");
    assert_eq!(raw.lines(), ["PUBLISH 1 DUP"], "the quota is used up");
    while raw.session.poll_timeout().is_some() && raw.outcome(second).is_none() {
        raw.next_timer();
    }
    assert_eq!(raw.outcome(second), Some(Outcome::Expired));
    assert_eq!(raw.lines().len(), 1, "the one behind it");
    assert_eq!(raw.outcome(first), None);
}

#[test]
fn a_message_that_is_sent_again_carries_what_is_left() {
    let mut raw = Raw::connected(config(Version::V5).keep_alive(Duration::ZERO));
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        raw.offer(qos, expiring(100)).expect("accepted");
    }
    assert_eq!(intervals(&mut raw), [Some(100), Some(100)]);
    let first = raw.now;
    for _ in 0..3 {
        raw.advance(10 * SECOND);
        raw.reconnect(true, Properties::new());
        let waited = (raw.now - first).as_nanos().div_ceil(SECOND.as_nanos()) as u32;
        assert_eq!(intervals(&mut raw), [Some(100 - waited); 2]);
    }
}

/// [MQTT-4.3.3-10]: the server may hold a message under it.
#[test]
fn the_identifier_of_a_qos_2_message_that_expired_in_flight_stays_taken() {
    for version in VERSIONS {
        let mut raw = Raw::connected(resuming(version));
        living(&mut raw, QoS::ExactlyOnce, SECOND);
        let first = raw.lines();
        raw.advance(2 * SECOND);
        raw.reconnect(true, Properties::new());
        raw.publish(QoS::ExactlyOnce, b"next");
        let next = raw.lines();
        assert_eq!(next.len(), 1);
        assert_ne!(first, next, "{version}");
    }
}

/// [MQTT-4.3.3-7] speaks of a PUBLISH that was sent.
#[test]
fn the_interval_of_a_qos_2_message_counts_until_a_byte_of_it_has_left() {
    for (left, outcome) in [(0, Some(Outcome::Expired)), (1, None)] {
        let mut raw = Raw::connected(config(Version::V5).keep_alive(Duration::ZERO));
        raw.poll();
        let token = raw.offer(QoS::ExactlyOnce, expiring(10)).expect("accepted");
        let mut out = Outbox::new();
        raw.session.poll_transmit(raw.now, &mut out);
        raw.session.handle_written(raw.now, left);
        raw.closed(Cause::Eof);
        raw.now = raw.now + 11 * SECOND;
        raw.wait_for_dial();
        raw.open();
        raw.accept(true, Properties::new());
        assert_eq!(raw.lines().len(), left, "{left} bytes had left");
        assert_eq!(raw.outcome(token), outcome, "{left} bytes had left");
    }
}

#[test]
fn a_message_that_the_server_has_taken_over_does_not_expire() {
    for version in VERSIONS {
        let mut raw = Raw::connected(resuming(version));
        let token = living(&mut raw, QoS::ExactlyOnce, SECOND);
        let Some(Packet::Publish(publish)) = raw.packets().pop() else {
            panic!("a PUBLISH");
        };
        let id = publish.packet_id().expect("an identifier").get();
        raw.feed_ack(PacketType::PubRec, id);
        raw.advance(2 * SECOND);
        raw.reconnect(true, Properties::new());
        assert_eq!(raw.lines(), [format!("PUBREL {id}")]);
        raw.feed_ack(PacketType::PubComp, id);
        assert_eq!(raw.outcome(token), Some(ACKNOWLEDGED));
    }
}

#[test]
fn a_message_that_expired_while_the_session_was_lost_is_not_published_anew() {
    for version in VERSIONS
        .into_iter()
        .filter(|version| *version != Version::V3_1)
    {
        let mut raw = Raw::connected(resuming(version));
        let token = living(&mut raw, QoS::AtLeastOnce, 5 * SECOND);
        let other = living(&mut raw, QoS::AtLeastOnce, 500 * SECOND);
        raw.poll();
        raw.advance(6 * SECOND);
        raw.reconnect(false, Properties::new());
        let lines = raw.lines();
        assert_eq!(
            lines
                .iter()
                .filter(|line| line.starts_with("PUBLISH"))
                .count(),
            1
        );
        assert_eq!(raw.outcome(token), Some(Outcome::Expired));
        assert_eq!(raw.outcome(other), None);
    }
}

/// QoS 0 of which no byte had left goes back, and its time goes on.
#[test]
fn a_message_that_goes_back_to_the_queue_keeps_its_time() {
    for version in VERSIONS {
        let mut raw = Raw::connected(resuming(version));
        raw.poll();
        let token = living(&mut raw, QoS::AtMostOnce, 5 * SECOND);
        // Encoded; the stream ends before the driver takes it.
        let attempt = raw.attempt.expect("an attempt");
        raw.session.handle_closed(raw.now, attempt, Cause::Eof);
        assert_eq!(raw.outcome(token), None);
        raw.now = raw.now + 5 * SECOND;
        raw.session.handle_timeout(raw.now);
        assert_eq!(raw.outcome(token), Some(Outcome::Expired));
    }
}

#[test]
fn there_is_room_when_a_message_has_expired() {
    let mut limits = mqtt_session::Limits::default();
    limits.max_queued = 1;
    let mut raw = Raw::new(config(Version::V5).limits(limits));
    living(&mut raw, QoS::AtLeastOnce, SECOND);
    assert!(raw.offer(QoS::AtLeastOnce, message("a", b"")).is_err());
    raw.advance(SECOND);
    assert!(raw.events.iter().any(|event| matches!(event, Event::Room)));
    raw.offer(QoS::AtLeastOnce, message("a", b""))
        .expect("there is room");
}

#[test]
fn draining_ends_when_the_last_message_has_expired() {
    let mut raw = offline(Version::V5);
    living(&mut raw, QoS::AtLeastOnce, SECOND);
    raw.session
        .disconnect(raw.now, Default::default(), 100 * SECOND)
        .expect("a good DISCONNECT");
    assert_ne!(raw.session.phase(), Phase::Closed);
    raw.advance(SECOND);
    assert_eq!(raw.session.phase(), Phase::Closed);
}

#[test]
fn a_rejected_message_is_rejected_however_late() {
    let mut raw = Raw::connected(config(Version::V5).keep_alive(Duration::ZERO));
    let token = living(&mut raw, QoS::AtLeastOnce, SECOND);
    raw.advance(10 * SECOND);
    raw.feed_ack_with(PacketType::PubAck, 1, ReasonCode::QUOTA_EXCEEDED);
    assert_eq!(
        raw.outcome(token),
        Some(Outcome::Rejected(ReasonCode::QUOTA_EXCEEDED))
    );
}

#[test]
fn messages_that_each_expire_for_themselves_all_do() {
    let mut raw = offline(Version::V5);
    let tokens: Vec<_> = (1..=1_000)
        .map(|n| living(&mut raw, QoS::AtLeastOnce, Duration::from_micros(n)))
        .collect();
    let mut wakes = 0;
    let end = raw.now + Duration::from_millis(5);
    raw.poll();
    while let Some(at) = raw.session.poll_timeout().filter(|at| *at <= end) {
        wakes += 1;
        raw.now = at;
        raw.session.handle_timeout(raw.now);
    }
    assert_eq!(raw.outcomes().len(), tokens.len());
    assert!(
        raw.outcomes()
            .iter()
            .all(|(_, outcome)| *outcome == Outcome::Expired)
    );
    assert!(wakes < 100, "{wakes}");
}

#[test]
fn a_message_that_expires_before_those_ahead_of_it_ends_in_time() {
    let mut raw = offline(Version::V5);
    let long = living(&mut raw, QoS::AtLeastOnce, 100 * SECOND);
    let short = living(&mut raw, QoS::AtLeastOnce, SECOND);
    raw.now = raw.now + SECOND;
    assert!(raw.session.poll_timeout().is_some_and(|at| at <= raw.now));
    raw.session.handle_timeout(raw.now);
    assert_eq!(raw.outcome(short), Some(Outcome::Expired));
    assert_eq!(raw.outcome(long), None);
}
