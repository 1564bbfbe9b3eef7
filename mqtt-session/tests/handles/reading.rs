//! Streams of messages: who gets which, when they are acknowledged, and how they end.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use mqtt_session::client::{AckMode, Message, Subscription};
use mqtt_session::proto::{Flow, Packet, QoS, Version};

use crate::limits;
use crate::pair::config;
use crate::pair::hand::{Hand, poll, ready};
use crate::pair::raw::{at_least_once, exactly_once};
use crate::woken::Task;

fn connected() -> Hand {
    Hand::connected(config(Version::V5))
}

fn acknowledged(hand: &mut Hand) -> Vec<u16> {
    let packets = hand.packets();
    let ids = packets.iter().filter_map(|packet| match packet {
        Packet::PubAck(ack) | Packet::PubRec(ack) => Some(ack.id.get()),
        _ => None,
    });
    ids.collect()
}

fn feed(hand: &mut Hand, topic: &str, numbers: impl IntoIterator<Item = u16>) {
    for number in numbers {
        hand.feed_publish(topic, at_least_once(number), &[number as u8]);
    }
}

fn number(message: Option<Message>) -> Option<u8> {
    message.map(|message| message.payload()[0])
}

fn taken(stream: &mut Subscription) -> Vec<u8> {
    std::iter::from_fn(|| number(stream.try_next())).collect()
}

#[test]
fn a_stream_is_woken_for_its_own_messages_and_gives_them_in_their_order() {
    let mut hand = connected();
    let mut stream = hand.subscribe("a/#", QoS::AtLeastOnce);
    let mut other = hand.subscribe("b/#", QoS::AtLeastOnce);
    let tasks = [Task::new(), Task::new()];
    assert!(tasks[0].poll(pin!(stream.next())).is_pending());
    assert!(tasks[1].poll(pin!(other.next())).is_pending());
    feed(&mut hand, "a/x", [1]);
    hand.feed_publish("a/y", Flow::AtMostOnce, &[2]);
    hand.feed_publish("a/x", exactly_once(3), &[3]);
    feed(&mut hand, "a/y", [4]);
    assert_eq!(tasks.each_ref().map(Task::woken), [1, 0]);
    for n in 1..=4 {
        assert_eq!(number(ready(stream.next())), Some(n));
    }
    assert!(tasks[0].poll(pin!(stream.next())).is_pending());
    assert_eq!(tasks.each_ref().map(Task::woken), [0, 0]);
    drop(stream);
    assert!(!tasks[0].is_awaited());
    assert!(tasks[1].is_awaited());
}

#[test]
fn a_stream_is_one_of_futures_too() {
    let mut hand = connected();
    let mut stream = hand.subscribe("a", QoS::AtLeastOnce);
    let task = Task::new();
    let mut context = Context::from_waker(&task.waker);
    assert!(Pin::new(&mut stream).poll_next(&mut context).is_pending());
    feed(&mut hand, "a", [1]);
    assert_eq!(task.woken(), 1);
    let Poll::Ready(message) = Pin::new(&mut stream).poll_next(&mut context) else {
        panic!("a message")
    };
    assert_eq!(number(message), Some(1));
    let mut events = hand.client.events();
    assert!(Pin::new(&mut events).poll_next(&mut context).is_pending());
    hand.lose();
    let Poll::Ready(Some(event)) = Pin::new(&mut events).poll_next(&mut context) else {
        panic!("an event")
    };
    assert!(format!("{event:?}").starts_with("Lost"));
    drop(hand);
    let Poll::Ready(None) = Pin::new(&mut stream).poll_next(&mut context) else {
        panic!("the end")
    };
}

#[test]
fn a_message_is_acknowledged_when_the_application_comes_back_for_the_next() {
    let mut hand = connected();
    let mut stream = hand.subscribe("a", QoS::AtLeastOnce);
    feed(&mut hand, "a", 1..=3);
    assert_eq!(number(ready(stream.next())), Some(1));
    assert_eq!(acknowledged(&mut hand), [0; 0]);
    assert_eq!(number(stream.try_next()), Some(2));
    assert_eq!(acknowledged(&mut hand), [1]);
    assert_eq!(number(stream.try_next()), Some(3));
    assert!(stream.try_next().is_none());
    assert_eq!(acknowledged(&mut hand), [2, 3]);
    // Or drops the stream.
    feed(&mut hand, "a", [4]);
    assert_eq!(number(stream.try_next()), Some(4));
    drop(stream);
    assert_eq!(acknowledged(&mut hand), [4]);
}

/// A crash while a message is dealt with does not lose it.
#[test]
fn a_panic_that_drops_the_stream_leaves_the_message_for_others() {
    let mut hand = connected();
    let mut stream = hand.subscribe("a", QoS::AtLeastOnce);
    feed(&mut hand, "a", 1..=3);
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        assert_eq!(number(ready(stream.next())), Some(1));
        assert_eq!(number(ready(stream.next())), Some(2));
        resume_unwind(Box::new("at the second"));
    }));
    assert!(panicked.is_err());
    assert_eq!(acknowledged(&mut hand), [1]);
    let mut others = hand.client.messages();
    assert_eq!(taken(&mut others), [2, 3]);
    assert_eq!(acknowledged(&mut hand), [2, 3]);
}

#[test]
fn under_manual_acknowledgement_each_message_has_its_own_and_the_order_is_kept() {
    let mut hand = connected();
    let stream = hand.subscribe("a", QoS::AtLeastOnce);
    let mut stream = stream.with_ack_mode(AckMode::Manual);
    feed(&mut hand, "a", 1..=4);
    hand.feed_publish("a", Flow::AtMostOnce, b"0");
    let [mut first, second, third, fourth, mut once] =
        std::array::from_fn(|_| ready(stream.next()).unwrap());
    let acker = first.take_acker().unwrap();
    assert!(first.take_acker().is_none(), "there is one");
    assert!(once.take_acker().is_none(), "QoS 0 has none");
    assert!(once.ack().is_ok());
    assert!(first.ack().is_ok(), "it is the acker's now");
    second.ack().unwrap();
    assert_eq!(acknowledged(&mut hand), [0; 0], "the first is missing");
    assert!(format!("{acker:?}").starts_with("Ticket"), "{acker:?}");
    acker.ack().unwrap();
    assert_eq!(acknowledged(&mut hand), [1, 2]);
    // The view alone has no acknowledgement: that will never be.
    let view = third.into_view();
    assert_eq!((view.topic().as_str(), view.payload()), ("a", &[3][..]));
    drop((view, stream));
    fourth.ack().unwrap();
    assert_eq!(acknowledged(&mut hand), [0; 0]);
}

#[test]
fn a_message_of_a_session_that_is_gone_can_not_be_acknowledged() {
    let config = config(Version::V5).clean_start(false);
    let mut hand = Hand::connected(config);
    let stream = hand.subscribe("a", QoS::AtLeastOnce);
    let mut stream = stream.with_ack_mode(AckMode::Manual);
    feed(&mut hand, "a", 1..=2);
    let [mut first, second] = std::array::from_fn(|_| ready(stream.next()).unwrap());
    hand.lose();
    hand.advance(Duration::from_secs(3600));
    hand.accept();
    let words = "the session that this message belonged to is gone";
    assert_eq!(second.ack().unwrap_err().to_string(), words);
    assert!(first.take_acker().unwrap().ack().is_err());
    assert_eq!(acknowledged(&mut hand), [0; 0]);
}

#[test]
fn a_message_shows_what_a_view_of_it_shows() {
    let mut hand = connected();
    let mut stream = hand.subscribe("a", QoS::AtLeastOnce);
    feed(&mut hand, "a", [7]);
    let message = ready(stream.next()).unwrap();
    let shown = format!("{message:?}");
    assert_eq!(shown, format!("{:?}", message.into_view()));
    assert!(shown.contains("\"a\"") || shown.contains("a"), "{shown}");
    assert!(shown.len() > 10, "{shown}");
}

#[test]
fn what_was_received_is_read_after_the_end_and_then_the_stream_ends() {
    let mut hand = connected();
    let mut stream = hand.subscribe("a", QoS::AtLeastOnce);
    let mut silent = hand.subscribe("b", QoS::AtLeastOnce);
    let tasks = [Task::new(), Task::new()];
    assert!(tasks[1].poll(pin!(silent.next())).is_pending());
    feed(&mut hand, "a", 1..=3);
    assert_eq!(number(ready(stream.next())), Some(1));
    let Hand { client, port, .. } = hand;
    drop(port);
    assert_eq!(tasks[1].woken(), 1);
    assert!(ready(silent.next()).is_none());
    assert_eq!(number(stream.try_next()), Some(2));
    assert_eq!(number(ready(stream.next())), Some(3));
    for _ in 0..2 {
        assert!(ready(stream.next()).is_none());
        assert!(stream.try_next().is_none());
    }
    drop(client);
}

#[test]
fn streams_of_unclaimed_messages_share_them_and_each_is_woken() {
    let limits = limits(|limits| limits.inbox_bytes = 20_000);
    let mut hand = Hand::connected(config(Version::V5).limits(limits));
    let (mut first, mut second) = (hand.client.messages(), hand.client.messages());
    let tasks = [Task::new(), Task::new()];
    assert!(tasks[0].poll(pin!(first.next())).is_pending());
    assert!(tasks[1].poll(pin!(second.next())).is_pending());
    feed(&mut hand, "a", [1]);
    assert_eq!(tasks.each_ref().map(Task::woken), [1, 1]);
    assert_eq!(number(ready(second.next())), Some(1));
    assert!(tasks[0].poll(pin!(first.next())).is_pending());
    // What one has taken and not read goes to the other when it is dropped, which is woken for it.
    assert!(second.try_next().is_none());
    feed(&mut hand, "a", [2, 3]);
    assert_eq!(tasks[0].woken(), 1);
    assert_eq!(number(second.try_next()), Some(2));
    assert!(tasks[0].poll(pin!(first.next())).is_pending() || tasks[0].woken() == 0);
    drop(second);
    assert_eq!(acknowledged(&mut hand), [1, 2]);
    let rest = taken(&mut first);
    assert!(rest.is_empty() || rest == [3], "{rest:?}");
    // While there is one of them, nothing that it may read is dropped.
    let other = hand.subscribe("b", QoS::AtMostOnce);
    drop((hand.client.messages(), other));
    let mut fed = 0;
    while hand.turn() {
        hand.feed_publish("a", Flow::AtMostOnce, &[9; 500]);
        fed += 1;
    }
    assert_eq!(hand.client.stats().dropped, 0);
    assert_eq!(taken(&mut first).len(), fed);
}

#[test]
fn a_stream_that_waits_gets_what_another_leaves_behind() {
    let mut hand = connected();
    let mut others = hand.client.messages();
    let mut stream = hand.subscribe("a", QoS::AtLeastOnce);
    let task = Task::new();
    feed(&mut hand, "a", 1..=3);
    assert_eq!(number(stream.try_next()), Some(1));
    assert!(task.poll(pin!(others.next())).is_pending());
    drop(stream);
    assert!(task.woken() > 0);
    assert_eq!(taken(&mut others), [2, 3]);
}

/// A stream does not stand in others' way: each has its messages, however many there are and whoever is dropped.
#[test]
fn many_streams_that_come_and_go_lose_no_message() {
    let mut hand = connected();
    let mut streams: Vec<_> = (0..40)
        .map(|n| hand.subscribe(&format!("t/{n}"), QoS::AtMostOnce))
        .collect();
    for round in 0..3_u8 {
        for n in 0..streams.len() {
            for part in 0..5 {
                hand.feed_publish(&format!("t/{n}"), Flow::AtMostOnce, &[round * 5 + part]);
            }
        }
        // Each takes some over, and reads one of them.
        for stream in &mut streams {
            assert_eq!(number(stream.try_next()), Some(round * 5));
        }
        for stream in &mut streams {
            let rest: Vec<_> = (1..5).map(|part| round * 5 + part).collect();
            assert_eq!(taken(stream), rest);
        }
        let dropped = streams.pop();
        drop(dropped);
        hand.turn();
    }
    assert_eq!(hand.client.stats().dropped, 0);
    assert_eq!(hand.client.stats().inbox_messages, 0);
    assert!(poll(pin!(streams[0].next())).is_pending());
}

/// How many messages of QoS 0 a stream has taken over before they are read, of so many that came for it and of which one was.
fn taken_over(hand: &mut Hand, stream: Subscription, came: usize) -> (usize, Subscription) {
    let topic = stream.filters()[0].to_string();
    let stream = stream.with_max_at_most_once(NonZeroUsize::MIN);
    hand.feed_publish(&topic, Flow::AtMostOnce, b"last");
    // Of those that had waited none has room any more.
    let waited = usize::try_from(stream.dropped()).unwrap();
    (came - 1 - waited, stream)
}

/// Taking several at once is cheap, and what is taken over is beyond the bounds of the inbox: so not all may, and nobody much.
#[test]
fn what_streams_have_taken_over_before_it_is_read_is_bounded() {
    let mut hand = connected();
    for dropped in [true, false, true] {
        let mut streams: Vec<_> = (0..100)
            .map(|n| hand.subscribe(&format!("t/{n}"), QoS::AtMostOnce))
            .collect();
        for n in 0..streams.len() {
            // In one read.
            let bytes = hand.encode_publish(&format!("t/{n}"), Flow::AtMostOnce, b"x");
            hand.bytes_in(&bytes.repeat(5));
        }
        assert!(streams.iter_mut().all(|stream| stream.try_next().is_some()));
        let mut several = 0;
        for stream in std::mem::take(&mut streams) {
            let (taken, mut stream) = taken_over(&mut hand, stream, 5);
            several += usize::from(taken > 0);
            // Dropped in between, or read to the end.
            if !dropped {
                while stream.try_next().is_some() {}
                streams.push(stream);
            }
        }
        assert!((1..50).contains(&several), "{several}, dropped: {dropped}");
    }
    let mut stream = hand.subscribe("large", QoS::AtMostOnce);
    let bytes = hand.encode_publish("large", Flow::AtMostOnce, &[7; 10_000]);
    hand.bytes_in(&bytes.repeat(60));
    assert!(stream.try_next().is_some());
    let (taken, _stream) = taken_over(&mut hand, stream, 60);
    assert!((1..30).contains(&taken), "{taken}");
}
