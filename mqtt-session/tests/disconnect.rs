//! The orderly end.

mod pair;

use std::time::Duration;

use mqtt_session::proto::{
    Disconnect, Flow, Packet, PacketType, Properties, QoS, ReasonCode, Version, Will,
};
use mqtt_session::{Action, Cause, Event, Outcome, Phase, Timer};
use mqtt_testkit::Direction;
use pair::raw::Raw;
use pair::{ACKNOWLEDGED, Pair, VERSIONS, config};

const NONE: Properties = Properties::new();
const DRAIN: Duration = Duration::from_secs(5);

fn leave(raw: &mut Raw, drain: Duration) {
    raw.session
        .disconnect(raw.now, Disconnect::default(), drain)
        .expect("a good DISCONNECT");
    raw.poll();
}

fn with_will(version: Version) -> Pair {
    let will = Will {
        topic: "will".try_into().expect("a topic"),
        payload: "gone".into(),
        qos: QoS::AtMostOnce,
        retain: true,
        properties: NONE,
    };
    Pair::connected(config(version).will(will))
}

#[test]
fn an_idle_session_says_disconnect_at_once_and_nothing_after_it() {
    for version in VERSIONS {
        let mut raw = Raw::connected(config(version));
        leave(&mut raw, DRAIN);
        assert_eq!(raw.lines(), ["DISCONNECT 0x00"]);
        assert!(raw.offer(QoS::AtMostOnce, pair::message("a", b"")).is_err());
        raw.feed_publish("a", Flow::AtMostOnce, b"x");
        raw.advance(Duration::from_millis(999));
        assert_eq!(raw.lines(), Vec::<String>::new());
        assert!(raw.hang_up());
        assert!(raw.session.is_closed());
        assert_eq!(raw.session.poll_timeout(), None);
        assert!(raw.losses().is_empty(), "nothing was lost");
    }
}

#[test]
fn draining_ends_as_soon_as_everything_is_acknowledged() {
    let mut raw = Raw::connected(config(Version::V5));
    let one = raw.publish(QoS::AtLeastOnce, b"");
    let two = raw.publish(QoS::ExactlyOnce, b"");
    raw.packets();
    leave(&mut raw, DRAIN);
    assert_eq!(raw.lines(), Vec::<String>::new());
    raw.feed_ack(PacketType::PubAck, 1);
    raw.feed_ack(PacketType::PubRec, 2);
    assert_eq!(raw.lines(), ["PUBREL 2"]);
    raw.feed_ack(PacketType::PubComp, 2);
    assert_eq!(raw.lines(), ["DISCONNECT 0x00"]);
    assert_eq!(raw.outcome(one), Some(ACKNOWLEDGED));
    assert_eq!(raw.outcome(two), Some(ACKNOWLEDGED));
}

#[test]
fn draining_ends_when_its_time_is_over() {
    let mut raw = Raw::connected(config(Version::V5));
    let token = raw.publish(QoS::AtLeastOnce, b"");
    raw.packets();
    leave(&mut raw, DRAIN);
    assert_eq!(
        raw.session.next_timer().map(|(timer, _)| timer),
        Some(Timer::Drain)
    );
    raw.advance(DRAIN);
    assert_eq!(raw.lines(), ["DISCONNECT 0x00"]);
    raw.hang_up();
    assert_eq!(raw.outcome(token), Some(Outcome::Closed));
}

#[test]
fn draining_goes_on_over_a_reconnect() {
    let mut raw = Raw::connected(config(Version::V5));
    let token = raw.publish(QoS::AtLeastOnce, b"");
    raw.packets();
    leave(&mut raw, DRAIN);
    raw.reconnect(true, NONE);
    assert_eq!(raw.lines(), ["PUBLISH 1 DUP"]);
    raw.feed_ack(PacketType::PubAck, 1);
    assert_eq!(raw.lines(), ["DISCONNECT 0x00"]);
    raw.hang_up();
    assert_eq!(raw.outcome(token), Some(ACKNOWLEDGED));
}

#[test]
fn what_was_queued_while_offline_is_drained_when_the_connection_comes() {
    let mut raw = Raw::new(config(Version::V5));
    raw.session.start(raw.now);
    let token = raw.publish(QoS::AtMostOnce, b"");
    leave(&mut raw, DRAIN);
    raw.open();
    raw.accept(false, NONE);
    assert_eq!(raw.lines(), ["PUBLISH", "DISCONNECT 0x00"]);
    raw.hang_up();
    assert_eq!(raw.outcome(token), Some(Outcome::Written));
}

#[test]
fn a_second_disconnect_can_only_hurry() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.publish(QoS::AtLeastOnce, b"");
    raw.packets();
    leave(&mut raw, DRAIN);
    leave(&mut raw, DRAIN * 100);
    assert_eq!(raw.session.poll_timeout(), Some(raw.now + DRAIN));
    leave(&mut raw, Duration::ZERO);
    assert_eq!(raw.lines(), ["DISCONNECT 0x00"]);
    leave(&mut raw, Duration::ZERO);
    assert_eq!(raw.lines(), Vec::<String>::new());
}

#[test]
fn disconnecting_while_dialling_cancels_the_dial_and_while_waiting_ends_the_wait() {
    let mut raw = Raw::new(config(Version::V5));
    raw.session.start(raw.now);
    raw.poll();
    let attempt = raw.attempt.expect("an attempt");
    leave(&mut raw, DRAIN);
    assert!(raw.actions.contains(&Action::Cancel { attempt }));
    assert!(raw.session.is_closed());

    let mut raw = Raw::connected(config(Version::V5));
    raw.closed(Cause::Eof);
    assert_eq!(raw.session.phase(), Phase::Waiting);
    leave(&mut raw, DRAIN);
    assert!(raw.session.is_closed());
}

#[test]
fn disconnecting_before_connack_closes_without_disconnect() {
    let mut raw = Raw::new(config(Version::V5));
    raw.session.start(raw.now);
    raw.open();
    leave(&mut raw, DRAIN);
    assert_eq!(raw.lines(), Vec::<String>::new());
    assert!(!raw.hang_up());
    assert!(raw.session.is_closed());
}

#[test]
fn an_orderly_end_discards_the_will() {
    for version in VERSIONS {
        let mut pair = with_will(version);
        pair.session
            .disconnect(pair.now(), Disconnect::default(), DRAIN)
            .expect("a good DISCONNECT");
        pair.run();
        assert_eq!(pair.broker.retained().count(), 0, "{version}");
        assert!(pair.session.is_closed());
        pair.check();
    }
}

#[test]
fn disconnect_with_will_publishes_it_in_each_version() {
    for version in VERSIONS {
        let mut pair = with_will(version);
        let disconnect = Disconnect::new(ReasonCode::DISCONNECT_WITH_WILL);
        pair.session
            .disconnect(pair.now(), disconnect, DRAIN)
            .expect("a good DISCONNECT");
        pair.run();
        assert_eq!(
            pair.broker.retained().count(),
            1,
            "{version}\n{}",
            pair.broker.ladder()
        );
        assert!(pair.session.is_closed());
        let said = pair
            .broker
            .log()
            .iter()
            .filter_map(|entry| entry.packet(Direction::ToBroker));
        let said = said
            .filter(|packet| packet.packet_type == PacketType::Disconnect)
            .count();
        assert_eq!(
            said,
            usize::from(version.is_v5()),
            "3.x has no way to say it but to say nothing"
        );
        pair.check();
    }
}

#[test]
fn a_connection_that_the_driver_does_not_close_is_given_up_after_a_second() {
    let mut raw = Raw::connected(config(Version::V5));
    let attempt = raw.attempt.expect("an attempt");
    leave(&mut raw, DRAIN);
    assert_eq!(
        raw.session.next_timer().map(|(timer, _)| timer),
        Some(Timer::Hangup)
    );
    assert!(raw.actions.contains(&Action::Hangup {
        attempt,
        flush: true
    }));
    raw.advance(Duration::from_secs(1));
    assert!(raw.session.is_closed());
    // What comes late means nothing.
    raw.closed(Cause::HungUp);
    assert_eq!(
        raw.events
            .iter()
            .filter(|event| matches!(event, Event::Closed))
            .count(),
        1
    );
}

#[test]
fn a_server_that_goes_first_while_we_drain_does_not_keep_the_session_open() {
    let mut raw = Raw::connected(config(Version::V5));
    let token = raw.publish(QoS::AtLeastOnce, b"");
    raw.packets();
    leave(&mut raw, DRAIN);
    raw.closed(Cause::Eof);
    for _ in 0..20 {
        if raw.session.is_closed() {
            break;
        }
        raw.next_timer();
    }
    assert!(raw.session.is_closed());
    assert!(raw.now - mqtt_session::Instant::ZERO <= DRAIN);
    assert_eq!(raw.outcome(token), Some(Outcome::Closed));
}

#[test]
fn session_expiry_can_be_changed_at_the_end_also_beside_a_reason() {
    let reason = ReasonCode::DISCONNECT_WITH_WILL;
    let later = |expiry| Disconnect {
        reason,
        properties: Properties::builder()
            .session_expiry_interval(expiry)
            .build()
            .expect("good properties"),
    };
    for (configured, expiry, kept) in [(10, 60, true), (10, 0, false)] {
        let configured = Duration::from_secs(configured);
        let mut pair = Pair::connected(config(Version::V5).session_expiry(configured));
        pair.session
            .disconnect(pair.now(), later(expiry), Duration::ZERO)
            .expect("a good DISCONNECT");
        pair.run_for(Duration::from_secs(30));
        pair.check();
        let ladder = pair.broker.ladder().to_string();
        assert!(ladder.contains("DISCONNECT 0x04"), "{ladder}");
        assert_eq!(pair.broker.session("client").is_some(), kept, "{ladder}");
    }
}

/// [MQTT-3.14.2-3]
#[test]
fn a_disconnect_that_is_too_large_for_the_server_says_less() {
    let reason = ReasonCode::DISCONNECT_WITH_WILL;
    let words = Properties::builder().reason_string("until tomorrow");
    let words = words.build().expect("good properties");
    for (max, expected) in [(100, (reason, Some("until tomorrow"))), (4, (reason, None))] {
        let max = std::num::NonZeroU32::new(max).expect("not 0");
        let says = Properties::builder().maximum_packet_size(max);
        let says = says.build().expect("good properties");
        let mut raw = Raw::connected_with(config(Version::V5), says);
        let disconnect = Disconnect {
            reason,
            properties: words.clone(),
        };
        raw.session
            .disconnect(raw.now, disconnect, Duration::ZERO)
            .expect("a good DISCONNECT");
        let packets = raw.packets();
        let [Packet::Disconnect(said)] = &packets[..] else {
            panic!("{packets:?}")
        };
        assert_eq!(
            (said.reason, said.properties.view().reason_string()),
            expected
        );
    }
}

#[test]
fn a_session_that_is_at_its_end_has_nothing_to_do_for_who_disconnects_again() {
    let mut raw = Raw::connected(config(Version::V5));
    leave(&mut raw, DRAIN);
    raw.hang_up();
    assert!(raw.session.is_closed());
    leave(&mut raw, DRAIN);
    assert_eq!(raw.session.poll_timeout(), None);
}

#[test]
fn a_second_disconnect_with_less_time_hurries_and_says_what_the_first_did() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.publish(QoS::AtLeastOnce, b"");
    raw.packets();
    let first = Disconnect::new(ReasonCode::DISCONNECT_WITH_WILL);
    raw.session
        .disconnect(raw.now, first, DRAIN)
        .expect("a good DISCONNECT");
    leave(&mut raw, DRAIN / 2);
    assert_eq!(raw.session.poll_timeout(), Some(raw.now + DRAIN / 2));
    raw.advance(DRAIN / 2);
    assert_eq!(raw.lines(), ["DISCONNECT 0x04"]);
}

#[test]
fn what_the_driver_never_took_is_not_lost_with_the_connection() {
    let mut raw = Raw::connected(config(Version::V5));
    let token = raw.publish(QoS::AtMostOnce, b"x");
    raw.session
        .disconnect(raw.now, Disconnect::default(), Duration::ZERO)
        .expect("a good DISCONNECT");
    // It neither writes nor hangs up.
    raw.now = raw.now + Duration::from_secs(1);
    raw.session.handle_timeout(raw.now);
    assert_eq!(raw.outcome(token), Some(Outcome::Closed));
}
