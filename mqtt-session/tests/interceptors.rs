//! Code of the application that alters or refuses messages on their way.

#![cfg(feature = "client")]
#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod pair;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mqtt_session::Limits;
use mqtt_session::client::{AckMode, Client, Hooks, Interceptor, Refusal, SendError};
use mqtt_session::proto::{Packet, Publish, PublishView, QoS, Version};
use pair::hand::{Hand, poll, ready};
use pair::raw::at_least_once;
use pair::{VERSIONS, config, message};

fn hooked(version: Version, interceptor: impl Interceptor + 'static) -> Hand {
    let mut hand = Hand::new(config(version));
    let hooks = Hooks::new().interceptor(interceptor);
    hand.client.set_hooks(hooks).unwrap();
    hand.connect();
    hand
}

/// Says a word more in the payload of each message.
struct Says(&'static str);

impl Interceptor for Says {
    fn outgoing(&self, _: &mut QoS, publish: &mut Publish) -> Result<(), Refusal> {
        let payload = [publish.payload(), self.0.as_bytes()].concat();
        *publish = message(publish.topic().as_str(), &payload);
        Ok(())
    }

    fn incoming(&self, message: &mut PublishView) -> Result<(), Refusal> {
        let payload = [message.payload(), self.0.as_bytes()].concat();
        message.set_payload(&payload);
        Ok(())
    }
}

/// Lets nothing pass whose payload says `no`.
struct Refuses;

impl Interceptor for Refuses {
    fn outgoing(&self, _: &mut QoS, publish: &mut Publish) -> Result<(), Refusal> {
        if publish.payload() == b"no" {
            return Err("not this one".into());
        }
        Ok(())
    }

    fn incoming(&self, message: &mut PublishView) -> Result<(), Refusal> {
        if message.payload() == b"no" {
            return Err(format!("no {}", message.topic()).into());
        }
        Ok(())
    }
}

fn payloads(hand: &mut Hand) -> Vec<Vec<u8>> {
    let packets = hand.packets();
    let published = packets.iter().filter_map(|packet| match packet {
        Packet::Publish(publish) => Some(publish.payload().to_vec()),
        _ => None,
    });
    published.collect()
}

fn acked(hand: &mut Hand) -> Vec<u16> {
    let packets = hand.packets();
    let acks = packets.iter().filter_map(|packet| match packet {
        Packet::PubAck(ack) => Some(ack.id.get()),
        _ => None,
    });
    acks.collect()
}

#[test]
fn several_alter_outgoing_messages_in_their_order_and_incoming_ones_in_the_reverse() {
    for version in VERSIONS {
        let mut hand = Hand::new(config(version));
        let hooks = Hooks::new().interceptor(Says("1")).interceptor(Says("2"));
        hand.client.set_hooks(hooks).unwrap();
        hand.connect();
        ready(hand.client.publish("a", QoS::AtMostOnce, "x")).unwrap();
        hand.client.try_publish("a", QoS::AtMostOnce, "y").unwrap();
        assert_eq!(payloads(&mut hand), [b"x12", b"y12"]);
        let mut stream = hand.subscribe("b", QoS::AtLeastOnce);
        hand.feed_publish("b", at_least_once(1), b"z");
        let received = stream.try_next().unwrap();
        assert_eq!(received.payload(), b"z21");
        assert_eq!(received.topic().as_str(), "b");
        assert_eq!(received.qos(), QoS::AtLeastOnce);
    }
}

#[test]
fn an_interceptor_may_change_the_qos() {
    struct Sure;

    impl Interceptor for Sure {
        fn outgoing(&self, qos: &mut QoS, _: &mut Publish) -> Result<(), Refusal> {
            *qos = QoS::AtLeastOnce;
            Ok(())
        }
    }

    let mut hand = hooked(Version::V5, Sure);
    ready(hand.client.publish("a", QoS::AtMostOnce, "x")).unwrap();
    let packets = hand.packets();
    assert!(
        matches!(packets.as_slice(), [Packet::Publish(publish)] if publish.qos() == QoS::AtLeastOnce)
    );
}

#[test]
fn a_refused_outgoing_message_is_given_back_with_the_reason_and_nothing_is_sent() {
    let mut hand = hooked(Version::V5, Refuses);
    for _ in 0..2 {
        let error = ready(hand.client.publish("a", QoS::AtLeastOnce, "no")).unwrap_err();
        let SendError::Intercepted(intercepted) = &error else {
            panic!("{error:?}")
        };
        assert_eq!(intercepted.refusal.reason, "not this one");
        assert_eq!(
            error.to_string(),
            "an interceptor refused the message: not this one"
        );
        assert_eq!(error.into_publish().unwrap().payload(), b"no");
    }
    assert!(hand.client.try_publish("a", QoS::AtMostOnce, "no").is_err());
    assert_eq!(payloads(&mut hand), Vec::<Vec<u8>>::new());
    let stats = hand.client.stats();
    assert_eq!((stats.refused_out, stats.accepted), (3, 0));
}

#[test]
fn a_refused_incoming_message_is_acknowledged_in_its_turn_and_counted() {
    for mode in [AckMode::Taken, AckMode::Queued, AckMode::Manual] {
        let mut hand = hooked(Version::V5, Refuses);
        let mut stream = hand.subscribe("a", QoS::AtLeastOnce).with_ack_mode(mode);
        for (number, payload) in [(1, b"no"), (2, b"ok"), (3, b"no")] {
            hand.feed_publish("a", at_least_once(number), payload);
        }
        let mut received = stream.try_next().unwrap();
        assert_eq!(received.payload(), b"ok");
        let first = acked(&mut hand);
        // Under `Queued` as many as were taken over.
        assert!(
            first == [1] || mode == AckMode::Queued,
            "{mode:?}: {first:?}"
        );
        if let Some(acker) = received.take_acker() {
            acker.ack().unwrap();
        }
        assert!(stream.try_next().is_none());
        let rest = acked(&mut hand);
        assert_eq!([first, rest].concat(), [1, 2, 3], "{mode:?}");
        let stats = hand.client.stats();
        assert_eq!((stats.refused_in, stats.inbox_bytes), (2, 0), "{mode:?}");
    }
}

#[test]
fn an_interceptor_runs_without_the_lock_and_may_publish() {
    /// Answers in the same task, which takes the lock; not to its own answers.
    struct Answers(Client);

    impl Interceptor for Answers {
        fn incoming(&self, message: &mut PublishView) -> Result<(), Refusal> {
            let payload = message.payload_bytes();
            ready(self.0.publish("answer", QoS::AtMostOnce, payload)).unwrap();
            Ok(())
        }
    }

    let mut hand = Hand::new(config(Version::V5));
    let answers = Answers(hand.client.clone());
    hand.client
        .set_hooks(Hooks::new().interceptor(answers))
        .unwrap();
    hand.connect();
    let mut stream = hand.subscribe("a", QoS::AtLeastOnce);
    hand.feed_publish("a", at_least_once(1), b"x");
    assert!(stream.try_next().is_some());
    assert_eq!(payloads(&mut hand), [b"x"]);
}

struct Panics;

impl Interceptor for Panics {
    fn outgoing(&self, _: &mut QoS, publish: &mut Publish) -> Result<(), Refusal> {
        if publish.payload() == b"panic" {
            resume_unwind(Box::new("of the test"));
        }
        Ok(())
    }

    fn incoming(&self, message: &mut PublishView) -> Result<(), Refusal> {
        if message.payload() == b"panic" {
            resume_unwind(Box::new("of the test"));
        }
        Ok(())
    }
}

#[test]
fn a_panic_at_an_outgoing_message_reaches_the_publisher_and_harms_nothing_else() {
    let mut hand = hooked(Version::V5, Panics);
    // A future that is not polled publishes nothing.
    drop(hand.client.publish("a", QoS::AtLeastOnce, "panic"));
    let publishing = || drop(ready(hand.client.publish("a", QoS::AtLeastOnce, "panic")));
    assert!(catch_unwind(AssertUnwindSafe(publishing)).is_err());
    ready(hand.client.publish("a", QoS::AtLeastOnce, "x")).unwrap();
    assert_eq!(payloads(&mut hand), [b"x"]);
    assert_eq!(hand.client.stats().accepted, 1);
}

#[test]
fn a_message_at_which_an_interceptor_panics_is_not_lost_with_its_stream() {
    let mut hand = hooked(Version::V5, Panics);
    let mut rest = hand.client.messages();
    let stream = hand.subscribe("a", QoS::AtLeastOnce);
    hand.feed_publish("a", at_least_once(1), b"panic");
    let dies = AssertUnwindSafe(|| {
        let mut stream = stream;
        stream.try_next()
    });
    assert!(catch_unwind(dies).is_err());
    assert_eq!(acked(&mut hand), [0_u16; 0], "it is not dealt with");
    assert!(catch_unwind(AssertUnwindSafe(|| rest.try_next())).is_err());
    assert_eq!(hand.client.stats().inbox_messages, 0, "it was there");
}

#[test]
fn hooks_are_set_once() {
    let mut hand = hooked(Version::V5, Refuses);
    let again = hand.client.set_hooks(Hooks::new().interceptor(Says("x")));
    assert!(again.is_err());
    ready(hand.client.publish("a", QoS::AtMostOnce, "y")).unwrap();
    assert_eq!(payloads(&mut hand), [b"y"]);
}

/// Counts, and says a word more each time.
struct Counts(Arc<AtomicUsize>);

impl Interceptor for Counts {
    fn outgoing(&self, qos: &mut QoS, publish: &mut Publish) -> Result<(), Refusal> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Says("+").outgoing(qos, publish)
    }
}

#[test]
fn a_message_that_waits_for_room_is_seen_once_and_one_whose_future_is_not_used_never() {
    let mut limits = Limits::default();
    limits.max_queued = 1;
    let mut hand = Hand::new(config(Version::V5).limits(limits));
    let seen = Arc::new(AtomicUsize::new(0));
    let count = || seen.load(Ordering::Relaxed);
    let counts = Counts(Arc::clone(&seen));
    hand.client
        .set_hooks(Hooks::new().interceptor(counts))
        .unwrap();
    let client = hand.client.clone();
    drop(client.publish("a", QoS::AtMostOnce, "unused"));
    assert_eq!(count(), 0);
    // There is room for one until it is sent.
    client.publish("a", QoS::AtMostOnce, "1").give_up().unwrap();
    let mut second = Box::pin(client.publish("a", QoS::AtMostOnce, "2"));
    let mut dropped = Box::pin(client.publish("a", QoS::AtMostOnce, "dropped"));
    let mut given_up = Box::pin(client.publish("a", QoS::AtMostOnce, "given up"));
    for _ in 0..3 {
        for publishing in [&mut second, &mut dropped, &mut given_up] {
            assert!(poll(publishing.as_mut()).is_pending());
        }
    }
    assert_eq!(count(), 4);
    drop(dropped);
    let error = Pin::into_inner(given_up).give_up().unwrap_err();
    assert_eq!(error.into_publish().unwrap().payload(), b"given up+");
    hand.connect();
    ready(second).unwrap();
    assert_eq!(payloads(&mut hand), [b"1+", b"2+"]);
    assert_eq!((count(), hand.client.stats().accepted), (4, 2));
}

#[test]
fn a_message_that_is_given_up_before_its_future_is_polled_is_refused_as_another_is() {
    let mut hand = hooked(Version::V5, Refuses);
    let refused = hand.client.publish("a", QoS::AtLeastOnce, "no").give_up();
    assert!(matches!(refused, Err(SendError::Intercepted(_))));
    let accepted = hand.client.publish("a", QoS::AtLeastOnce, "yes").give_up();
    assert!(accepted.is_ok());
    assert_eq!(payloads(&mut hand), [b"yes"]);
    assert_eq!(hand.client.stats().refused_out, 1);
}

/// Whoever catches the panic and goes on does not publish it unseen.
#[test]
fn a_message_at_which_an_interceptor_panics_is_not_accepted_later() {
    let mut hand = hooked(Version::V5, Panics);
    let client = hand.client.clone();
    let mut publishing = Box::pin(client.publish("a", QoS::AtLeastOnce, "panic"));
    for _ in 0..2 {
        let polls = AssertUnwindSafe(|| poll(publishing.as_mut()));
        assert!(catch_unwind(polls).is_err());
    }
    let gives_up = AssertUnwindSafe(|| Pin::into_inner(publishing).give_up());
    assert!(catch_unwind(gives_up).is_err());
    assert!(payloads(&mut hand).is_empty());
}
