//! Every accepted message has exactly one outcome, and one that is not accepted comes back whole.

mod pair;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use mqtt_session::proto::{
    Ack, Disconnect, Outbox, Packet, PacketType, Properties, Publish, QoS, ReasonCode, Version,
};
use mqtt_session::{
    Cause, Event, Limits, Offline, Outcome, PublishRefused, QueueId, Released, Token,
};
use pair::raw::{Raw, at_least_once};
use pair::{ACKNOWLEDGED, QOS, VERSIONS, config, message};

const NONE: Properties = Properties::new();

/// One message of each QoS in flight, one of each waiting.
fn busy(version: Version) -> (Raw, Vec<Token>) {
    let mut limits = Limits::default();
    limits.max_in_flight = 2u16.try_into().expect("not 0");
    limits.max_in_flight_v3 = limits.max_in_flight;
    let mut raw = Raw::connected(config(version).limits(limits));
    let mut tokens: Vec<_> = QOS.map(|qos| raw.publish(qos, b"in flight")).into();
    raw.packets();
    tokens.extend(
        [QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::AtMostOnce]
            .map(|qos| raw.publish(qos, b"waiting")),
    );
    (raw, tokens)
}

/// The outcome of each token, of which each must have exactly one.
fn outcomes(raw: &mut Raw, tokens: &[Token]) -> Vec<Outcome> {
    let told = raw.outcomes().len();
    assert_eq!(told, tokens.len(), "{:?}", raw.events);
    tokens
        .iter()
        .map(|token| raw.outcome(*token).expect("an outcome"))
        .collect()
}

#[test]
fn disconnecting_without_drain_ends_what_is_not_done_as_closed() {
    use Outcome::{Closed, Written};
    for version in VERSIONS {
        let (mut raw, tokens) = busy(version);
        raw.session
            .disconnect(raw.now, Disconnect::default(), Duration::ZERO)
            .expect("a good DISCONNECT");
        raw.hang_up();
        assert_eq!(
            outcomes(&mut raw, &tokens),
            [Written, Closed, Closed, Closed, Closed, Closed]
        );
        assert!(matches!(raw.events.last(), Some(Event::Closed)));
    }
}

#[test]
fn disconnecting_with_drain_waits_for_the_outcomes_and_no_longer() {
    use Outcome::{Closed, Written};
    for version in VERSIONS {
        let (mut raw, tokens) = busy(version);
        raw.session
            .disconnect(raw.now, Disconnect::default(), Duration::from_secs(5))
            .expect("a good DISCONNECT");
        raw.feed_ack(PacketType::PubAck, 1);
        raw.feed_ack(PacketType::PubRec, 2);
        raw.advance(Duration::from_secs(5));
        raw.hang_up();
        // The server has taken the QoS 2 message over, though its PUBCOMP did not come.
        let released = Outcome::Acknowledged {
            reason: ReasonCode::SUCCESS,
            republished: false,
            completed: false,
        };
        assert_eq!(
            outcomes(&mut raw, &tokens),
            [Written, ACKNOWLEDGED, released, Closed, Closed, Closed]
        );
    }
}

#[test]
fn a_server_that_refuses_for_good_ends_everything_as_closed() {
    for version in VERSIONS {
        let (mut raw, tokens) = busy(version);
        raw.closed(Cause::ConnectionReset);
        raw.wait_for_dial();
        raw.open();
        let not_authorized = if version.is_v5() {
            &[0x20, 3, 0, 0x87, 0][..]
        } else {
            &[0x20, 2, 0, 5]
        };
        raw.bytes_in(not_authorized);
        raw.hang_up();
        let outcomes = outcomes(&mut raw, &tokens);
        assert_eq!(outcomes[0], Outcome::Written);
        assert!(
            outcomes[1..]
                .iter()
                .all(|outcome| *outcome == Outcome::Closed),
            "{outcomes:?}"
        );
        assert!(raw.session.is_closed());
    }
}

#[test]
fn a_first_connection_that_fails_ends_everything_as_closed() {
    let mut raw = Raw::new(config(Version::V5));
    let tokens = QOS.map(|qos| raw.publish(qos, b""));
    raw.session.connect(raw.now);
    raw.poll();
    raw.closed(Cause::ConnectionRefused);
    assert_eq!(outcomes(&mut raw, &tokens), [Outcome::Closed; 3]);
}

#[test]
fn a_session_that_never_connected_closes_at_once() {
    let mut raw = Raw::new(config(Version::V5));
    let tokens = QOS.map(|qos| raw.publish(qos, b""));
    raw.session
        .disconnect(raw.now, Disconnect::default(), Duration::from_secs(60))
        .expect("a good DISCONNECT");
    assert_eq!(outcomes(&mut raw, &tokens), [Outcome::Closed; 3]);
}

#[test]
fn a_closed_or_closing_session_gives_messages_and_requests_back() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.publish(QoS::AtLeastOnce, b"");
    raw.session
        .disconnect(raw.now, Disconnect::default(), Duration::from_secs(5))
        .expect("a good DISCONNECT");
    for _ in 0..2 {
        let publish = message("a", b"x");
        let error = raw
            .offer(QoS::AtLeastOnce, publish.clone())
            .expect_err("closing");
        assert_eq!(
            (error.reason, error.publish, error.qos),
            (PublishRefused::Closed, publish, QoS::AtLeastOnce)
        );
        let filters = vec![("a".try_into().expect("a filter"), QoS::AtMostOnce.into())];
        let error = raw
            .session
            .subscribe(raw.now, filters, NONE, QueueId::DEFAULT)
            .expect_err("closing");
        assert_eq!(
            error.to_string(),
            "the session is closed (`Client::closed` tells why)"
        );
        raw.advance(Duration::from_secs(10));
    }
    assert!(raw.session.is_closed());
}

#[test]
fn who_waits_for_room_is_told_nothing_behind_the_end() {
    let mut limits = Limits::default();
    limits.max_queued = 1;
    let mut raw = Raw::new(config(Version::V5).limits(limits));
    raw.publish(QoS::AtLeastOnce, b"");
    raw.offer(QoS::AtLeastOnce, message("a", b""))
        .expect_err("full");
    raw.session
        .disconnect(raw.now, Disconnect::default(), Duration::ZERO)
        .expect("a good DISCONNECT");
    raw.poll();
    // A driver that asks once more.
    raw.session.poll_transmit(raw.now, &mut Outbox::new());
    raw.poll();
    assert!(
        matches!(raw.events.last(), Some(Event::Closed)),
        "{:?}",
        raw.events
    );
}

#[test]
fn a_full_queue_gives_the_message_back_and_tells_when_there_is_room() {
    let mut limits = Limits::default();
    limits.max_queued = 3;
    let mut raw = Raw::new(config(Version::V5).limits(limits));
    for _ in 0..3 {
        raw.publish(QoS::AtLeastOnce, b"");
    }
    assert_eq!(raw.session.publish_capacity().messages, 0);
    let publish = message("a", b"x");
    let error = raw
        .offer(QoS::ExactlyOnce, publish.clone())
        .expect_err("full");
    assert_eq!((error.publish, error.qos), (publish, QoS::ExactlyOnce));
    assert!(error.reason.is_full());
    assert_eq!(
        error.reason.to_string(),
        "the queue is full: limits.max_queued is 3"
    );
    raw.poll();
    assert!(!raw.events.iter().any(|event| matches!(event, Event::Room)));
    raw.session.connect(raw.now);
    raw.open();
    raw.accept(false, NONE);
    assert_eq!(
        raw.events
            .iter()
            .filter(|event| matches!(event, Event::Room))
            .count(),
        1
    );
    raw.publish(QoS::ExactlyOnce, b"");
}

#[test]
fn a_message_larger_than_the_whole_queue_is_refused_for_good() {
    let mut limits = Limits::default();
    limits.outgoing_bytes = 100;
    let mut raw = Raw::connected(config(Version::V5).limits(limits));
    let publish = message("a", &[0; 200]);
    let (size, max) = (publish.size(), 100);
    let error = raw.offer(QoS::AtLeastOnce, publish).expect_err("too large");
    assert_eq!(error.reason, PublishRefused::AboveLimit { size, max });
    assert!(!error.reason.is_full());
}

#[test]
fn qos_0_without_a_connection_waits_or_is_refused_as_configured() {
    let mut raw = Raw::new(config(Version::V5).offline(Offline::Refuse));
    let error = raw
        .offer(QoS::AtMostOnce, message("a", b""))
        .expect_err("offline");
    assert_eq!(error.reason, PublishRefused::Offline);
    raw.publish(QoS::AtLeastOnce, b"");
    raw.session.connect(raw.now);
    raw.open();
    raw.accept(false, NONE);
    raw.publish(QoS::AtMostOnce, b"");
    assert_eq!(raw.lines(), ["PUBLISH 1", "PUBLISH"]);

    let mut raw = Raw::new(config(Version::V5));
    let token = raw.publish(QoS::AtMostOnce, b"");
    raw.session.connect(raw.now);
    raw.open();
    raw.accept(false, NONE);
    assert_eq!(raw.outcome(token), Some(Outcome::Written));
}

#[test]
fn the_servers_reason_is_the_outcome() {
    for (qos, answer) in [
        (QoS::AtLeastOnce, PacketType::PubAck),
        (QoS::ExactlyOnce, PacketType::PubRec),
    ] {
        let mut raw = Raw::connected(config(Version::V5));
        let token = raw.publish(qos, b"");
        raw.packets();
        raw.feed_ack_with(answer, 1, ReasonCode::NOT_AUTHORIZED);
        assert_eq!(
            raw.outcome(token),
            Some(Outcome::Rejected(ReasonCode::NOT_AUTHORIZED))
        );
        assert_eq!(
            raw.lines(),
            Vec::<String>::new(),
            "no PUBREL [MQTT-4.3.3-4]"
        );

        let token = raw.publish(qos, b"");
        raw.packets();
        raw.feed_ack_with(answer, 1, ReasonCode::NO_MATCHING_SUBSCRIBERS);
        raw.packets();
        if qos == QoS::ExactlyOnce {
            raw.feed_ack(PacketType::PubComp, 1);
        }
        let reason = ReasonCode::NO_MATCHING_SUBSCRIBERS;
        let outcome = Outcome::Acknowledged {
            reason,
            republished: false,
            completed: true,
        };
        assert_eq!(raw.outcome(token), Some(outcome));
    }
}

#[test]
fn tokens_count_up_over_all_kinds_of_request_and_over_reconnects() {
    let mut raw = Raw::connected(config(Version::V5));
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(raw.publish(QoS::AtLeastOnce, b""));
        tokens.push(raw.subscribe("a", QueueId::DEFAULT));
        let filters = vec!["a".try_into().expect("a filter")];
        tokens.push(
            raw.session
                .unsubscribe(raw.now, filters, NONE)
                .expect("accepted"),
        );
        raw.packets();
        raw.reconnect(false, NONE);
    }
    assert!(tokens.is_sorted_by(|a, b| a < b), "{tokens:?}");
}

#[test]
fn requests_that_were_not_answered_are_told_the_end() {
    let mut raw = Raw::connected(config(Version::V5));
    let sent = raw.subscribe("a", QueueId::DEFAULT);
    raw.packets();
    raw.session
        .disconnect(raw.now, Disconnect::default(), Duration::ZERO)
        .expect("a good DISCONNECT");
    raw.hang_up();
    let told = raw.events.iter().any(
        |event| matches!(event, Event::Subscribed { token, result: Err(_) } if *token == sent),
    );
    assert!(told, "{:?}", raw.events);
}

#[test]
fn the_bytes_that_wait_are_counted() {
    let mut raw = Raw::new(config(Version::V5));
    assert_eq!(raw.session.stats().outgoing_bytes, 0);
    let publish = message("a", b"0123456789");
    let size = publish.size();
    raw.offer(QoS::AtLeastOnce, publish).expect("accepted");
    let stats = raw.session.stats();
    assert!(stats.outgoing_bytes >= size, "{stats:?}");
    let capacity = raw.session.publish_capacity();
    let limit = Limits::default().outgoing_bytes;
    assert_eq!(capacity.bytes, limit - stats.outgoing_bytes);
    raw.session.connect(raw.now);
    raw.open();
    raw.accept(false, NONE);
    raw.packets();
    raw.feed_ack(PacketType::PubAck, 1);
    assert_eq!(raw.session.stats().outgoing_bytes, 0);
}

#[test]
fn only_what_the_server_or_the_system_has_is_a_success() {
    assert!(ACKNOWLEDGED.is_success());
    assert!(Outcome::Written.is_success());
    for outcome in [
        Outcome::Closed,
        Outcome::ConnectionLost,
        Outcome::Rejected(ReasonCode::QUOTA_EXCEEDED),
        Outcome::Poisonous { connections: 3 },
        Outcome::SessionLost,
    ] {
        assert!(!outcome.is_success(), "{outcome:?}");
    }
}

#[test]
fn the_counters_tell_what_was_sent_and_what_is_open() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.publish(QoS::AtMostOnce, b"0");
    raw.publish(QoS::AtLeastOnce, b"1");
    raw.feed_publish("a", at_least_once(1), b"x");
    raw.feed_publish("a", at_least_once(2), b"y");
    raw.packets();
    let stats = raw.session.stats();
    assert_eq!((stats.accepted, stats.sent), (2, 2), "{stats:?}");
    assert_eq!((stats.received, stats.receiving), (2, 2), "{stats:?}");
    assert_eq!((stats.in_flight, stats.inbox_messages), (1, 2), "{stats:?}");
    raw.take_and_ack();
    raw.feed_ack(PacketType::PubAck, 1);
    let stats = raw.session.stats();
    assert_eq!((stats.acks_sent, stats.receiving), (1, 1), "{stats:?}");
    assert_eq!((stats.acknowledged, stats.in_flight), (1, 0), "{stats:?}");
    raw.publish(QoS::AtLeastOnce, b"2");
    raw.poll();
    raw.reconnect(true, NONE);
    let stats = raw.session.stats();
    assert_eq!((stats.sent, stats.resent), (4, 1), "{stats:?}");
}

/// Counts how often it is dropped.
struct Counted(Arc<AtomicUsize>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        b"x"
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn payloads_of_messages_that_have_their_outcome_are_dropped_by_whom_they_are_released_to() {
    for qos in QOS {
        let mut raw = Raw::connected(config(Version::V5));
        raw.session.keep_released();
        let dropped = Arc::new(AtomicUsize::new(0));
        let mut released = Released::default();
        assert!(!raw.session.poll_released(&mut released));
        for number in 1..=2 {
            let payload = Bytes::from_owner(Counted(Arc::clone(&dropped)));
            let topic = "a".try_into().expect("a topic");
            let token = raw.offer(qos, Publish::new(topic, payload));
            raw.poll();
            match qos {
                QoS::AtMostOnce => {}
                QoS::AtLeastOnce => raw.feed_ack(PacketType::PubAck, 1),
                QoS::ExactlyOnce => raw.feed_ack(PacketType::PubRec, 1),
            }
            assert!(raw.session.poll_released(&mut released), "{qos} {number}");
            assert!(!raw.session.poll_released(&mut released), "all at once");
            if qos == QoS::ExactlyOnce {
                raw.feed_ack(PacketType::PubComp, 1);
            }
            assert!(raw.outcome(token.expect("accepted")).is_some());
            assert!(!released.is_empty());
            assert_eq!(dropped.load(Ordering::Relaxed), 0, "{qos}");
        }
        assert_eq!(raw.session.stats().outgoing_bytes, 0, "{qos}");
        released.clear();
        assert!(released.is_empty());
        assert_eq!(dropped.load(Ordering::Relaxed), 2, "{qos}");
    }
}

/// What is told of tokens, in the order of telling.
fn next_told(raw: &mut Raw, most: usize) -> Vec<String> {
    std::iter::from_fn(|| raw.session.poll_event())
        .take(most)
        .map(|event| match event {
            Event::Published { token, outcome } => match outcome {
                Outcome::Acknowledged { reason, .. } => format!("{} {reason:?}", token.get()),
                other => format!("{} {other:?}", token.get()),
            },
            Event::Readable(_) => "readable".to_owned(),
            other => format!("{other:?}"),
        })
        .collect()
}

#[test]
fn outcomes_are_told_one_by_one_in_the_order_in_which_they_came_about() {
    let mut raw = Raw::connected(config(Version::V5));
    let first = raw.publish(QoS::AtLeastOnce, b"x").get();
    for _ in 1..9 {
        raw.publish(QoS::AtLeastOnce, b"x");
    }
    let packets = raw.packets();
    assert_eq!(packets.len(), 9);
    let success = ReasonCode::SUCCESS;
    let nobody = ReasonCode::NO_MATCHING_SUBSCRIBERS;
    let come = |raw: &mut Raw, acks: &[(usize, ReasonCode)], then: &[u8]| {
        for (index, reason) in acks {
            let Packet::Publish(publish) = &packets[*index] else {
                panic!("{packets:?}")
            };
            let id = publish.packet_id().expect("QoS 1");
            let ack = raw.encode(&pair::raw::ack(PacketType::PubAck, id.get(), *reason));
            raw.input.extend_from_slice(&ack);
        }
        raw.input.extend_from_slice(then);
        raw.session.handle_input(raw.now, &mut raw.input);
    };
    let told = |tokens: &[(u64, ReasonCode)]| -> Vec<String> {
        tokens
            .iter()
            .map(|(index, reason)| format!("{} {reason:?}", first + index))
            .collect()
    };
    // In a row; then one with another reason, and a message between.
    let publish = raw.encode_publish("a", at_least_once(1), b"in between");
    come(&mut raw, &[(0, success), (1, success), (2, success)], &[]);
    come(&mut raw, &[(3, nobody)], &publish);
    come(&mut raw, &[(4, success), (5, success)], &[]);
    // A part of a row is told before the rest of it comes about.
    assert_eq!(next_told(&mut raw, 2), told(&[(0, success), (1, success)]));
    assert_eq!(next_told(&mut raw, 2), told(&[(2, success), (3, nobody)]));
    assert_eq!(next_told(&mut raw, 1), ["readable"]);
    assert_eq!(next_told(&mut raw, 1), told(&[(4, success)]));
    come(&mut raw, &[(6, success), (8, success), (7, success)], &[]);
    assert_eq!(
        next_told(&mut raw, usize::MAX),
        told(&[(5, success), (6, success), (8, success), (7, success)])
    );
}

#[test]
fn the_last_byte_of_the_bound_may_be_used() {
    let size = message("a", &[7; 100]).size();
    let mut limits = Limits::default();
    limits.outgoing_bytes = 2 * size;
    let mut raw = Raw::new(config(Version::V5).limits(limits));
    let mut offer = |bytes| {
        let publish = message("a", &vec![7; bytes]);
        let offered = raw.offer(QoS::AtLeastOnce, publish);
        offered.map_err(|refused| refused.reason)
    };
    let above = offer(101 + size);
    let refused = PublishRefused::AboveLimit {
        size: 2 * size + 1,
        max: 2 * size,
    };
    assert_eq!(above, Err(refused));
    assert!(offer(100).is_ok());
    assert!(offer(100).is_ok());
    assert!(offer(0).is_err_and(|reason| reason.is_full()));
    let mut raw = Raw::new(config(Version::V5).limits(limits));
    let publish = message("a", &vec![7; 100 + size]);
    assert!(raw.offer(QoS::AtLeastOnce, publish).is_ok(), "all at once");
}

/// Section 3.4.2.2
#[test]
fn a_server_may_explain_its_acknowledgements_unless_it_was_asked_not_to() {
    let mut raw = Raw::connected(config(Version::V5));
    let token = raw.publish(QoS::AtLeastOnce, b"x");
    raw.poll();
    let words = Properties::builder().reason_string("thank you");
    let ack = Ack {
        properties: words.build().expect("good properties"),
        ..Ack::new(pair::raw::id(1))
    };
    raw.feed(&Packet::PubAck(ack));
    assert_eq!(raw.outcome(token), Some(ACKNOWLEDGED));
    assert_eq!(raw.losses().len(), 0);
}

#[test]
fn outcomes_that_come_one_after_the_other_are_each_told_as_they_are() {
    // Published anew, and for the first time.
    let mut raw = Raw::connected(config(Version::V5));
    let anew = raw.publish(QoS::AtLeastOnce, b"x");
    raw.poll();
    raw.reconnect(false, NONE);
    let first = raw.publish(QoS::AtLeastOnce, b"y");
    raw.poll();
    let acks = [1, 2].map(|number| {
        let ack = pair::raw::ack(PacketType::PubAck, number, ReasonCode::SUCCESS);
        raw.encode(&ack)
    });
    raw.bytes_in(&acks.concat());
    let republished = |raw: &mut Raw, token| match raw.outcome(token) {
        Some(Outcome::Acknowledged { republished, .. }) => republished,
        other => panic!("{other:?}"),
    };
    assert!(republished(&mut raw, anew));
    assert!(!republished(&mut raw, first));

    // Completed, and taken over by the server.
    let mut raw = Raw::connected(config(Version::V5));
    let tokens = [b"x", b"y"].map(|payload| raw.publish(QoS::ExactlyOnce, payload));
    raw.poll();
    for number in [1, 2] {
        raw.feed_ack(PacketType::PubRec, number);
    }
    let ack = pair::raw::ack(PacketType::PubComp, 1, ReasonCode::SUCCESS);
    let ack = raw.encode(&ack);
    raw.input.extend_from_slice(&ack);
    raw.session.handle_input(raw.now, &mut raw.input);
    raw.session
        .disconnect(raw.now, Disconnect::default(), Duration::ZERO)
        .expect("a good DISCONNECT");
    let attempt = raw.attempt.expect("a connection");
    raw.session.handle_closed(raw.now, attempt, Cause::HungUp);
    let completed = tokens.map(|token| match raw.outcome(token) {
        Some(Outcome::Acknowledged { completed, .. }) => completed,
        other => panic!("{other:?}"),
    });
    assert_eq!(completed, [true, false]);
}

#[test]
fn a_payload_that_never_left_is_released_like_others() {
    let mut raw = Raw::new(config(Version::V5));
    raw.session.keep_released();
    let dropped = Arc::new(AtomicUsize::new(0));
    for qos in QOS {
        let payload = Bytes::from_owner(Counted(Arc::clone(&dropped)));
        let topic = "a".try_into().expect("a topic");
        let accepted = raw.offer(qos, Publish::new(topic, payload));
        accepted.expect("accepted");
    }
    raw.session
        .disconnect(raw.now, Disconnect::default(), Duration::ZERO)
        .expect("a good DISCONNECT");
    assert_eq!(raw.outcomes().len(), 3);
    let mut released = Released::default();
    assert!(raw.session.poll_released(&mut released));
    assert_eq!(dropped.load(Ordering::Relaxed), 0);
    drop(released);
    assert_eq!(dropped.load(Ordering::Relaxed), 3);
}
