//! Handlers instead of streams, and the other ways to subscribe that a client has.
#![cfg(feature = "client")]

mod pair;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use mqtt_session::SubscribeError;
use mqtt_session::client::{AckMode, ClientEvent, HandlerPanicked, SubscribeFailed};
use mqtt_session::proto::{
    Flow, Packet, Properties, QoS, ReasonCode, SubAck, SubscribeOptions, Version,
};
use pair::config;
use pair::hand::{Hand, poll, ready};
use pair::raw::at_least_once;

fn connected() -> Hand {
    Hand::connected(config(Version::V5))
}

fn publish(hand: &mut Hand, topic: &str, number: u16) {
    hand.feed_publish(topic, at_least_once(number), &number.to_be_bytes());
}

/// The identifiers that were acknowledged since the last call.
fn acknowledged(hand: &mut Hand) -> Vec<u16> {
    let packets = hand.packets();
    let ids = packets.iter().filter_map(|packet| match packet {
        Packet::PubAck(ack) => Some(ack.id.get()),
        _ => None,
    });
    ids.collect()
}

fn number(payload: &[u8]) -> u16 {
    u16::from_be_bytes(payload.try_into().expect("two bytes"))
}

/// Runs without the report of a panic that is meant.
fn quietly<R>(run: impl FnOnce() -> R) -> R {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = run();
    std::panic::set_hook(before);
    result
}

#[test]
fn a_handler_gets_each_message_and_its_return_acknowledges() {
    let mut hand = connected();
    let subscription = hand.subscribe("a/#", QoS::AtLeastOnce);
    let handled = RefCell::new(Vec::new());
    let mut running = pin!(subscription.for_each(|message| {
        handled.borrow_mut().push(number(message.payload()));
    }));
    publish(&mut hand, "a/1", 1);
    publish(&mut hand, "a/2", 2);
    assert!(poll(running.as_mut()).is_pending());
    assert_eq!(*handled.borrow(), [1, 2]);
    assert_eq!(acknowledged(&mut hand), [1, 2]);
    let client = hand.client.clone();
    let mut leaving = pin!(client.disconnect(std::time::Duration::ZERO));
    assert!(poll(leaving.as_mut()).is_pending());
    hand.turn();
    assert_eq!(ready(running), Ok(()));
}

#[test]
fn a_panic_of_a_handler_ends_its_subscription_alone_and_leaves_the_message_unacknowledged() {
    let mut hand = connected();
    let subscription = hand.subscribe("a", QoS::AtLeastOnce);
    let mut other = hand.subscribe("b", QoS::AtLeastOnce);
    let mut running = pin!(subscription.for_each(|message| {
        assert!(number(message.payload()) != 2, "two is too much");
    }));
    for n in 1..=3 {
        publish(&mut hand, "a", n);
    }
    publish(&mut hand, "b", 4);
    let Poll::Ready(Err(error)) = quietly(|| poll(running.as_mut())) else {
        panic!("it has panicked")
    };
    assert_eq!(error.filters, ["a"]);
    assert!(error.to_string().contains("two is too much"), "{error}");
    assert_eq!(acknowledged(&mut hand), [1]);
    assert_eq!(number(ready(other.next()).expect("a message").payload()), 4);
    // Those that it has not dealt with are there for others, in their order.
    let mut unclaimed = hand.client.messages();
    for n in [2, 3] {
        let message = ready(unclaimed.next()).expect("a message");
        assert_eq!(number(message.payload()), n);
    }
    drop((unclaimed, other));
    assert_eq!(acknowledged(&mut hand), [2, 3, 4]);
}

#[test]
fn an_asynchronous_handler_is_awaited_before_the_message_is_acknowledged() {
    let mut hand = connected();
    let subscription = hand.subscribe("a", QoS::AtLeastOnce);
    let done = Rc::new(Cell::new(0));
    let mut running = pin!(subscription.for_each_async(|message| {
        let done = Rc::clone(&done);
        async move {
            let n = number(message.payload());
            poll_fn(|_| {
                if done.get() >= n {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
        }
    }));
    publish(&mut hand, "a", 1);
    publish(&mut hand, "a", 2);
    assert!(poll(running.as_mut()).is_pending());
    assert_eq!(acknowledged(&mut hand), Vec::<u16>::new());
    done.set(1);
    assert!(poll(running.as_mut()).is_pending());
    assert_eq!(acknowledged(&mut hand), [1]);
    done.set(2);
    assert!(poll(running.as_mut()).is_pending());
    assert_eq!(acknowledged(&mut hand), [2]);
}

#[test]
fn a_panic_in_the_future_of_a_handler_is_one_of_the_handler() {
    let mut hand = connected();
    let subscription = hand.subscribe("a", QoS::AtLeastOnce);
    let mut running = pin!(subscription.for_each_async(|message| async move {
        let mut first = true;
        poll_fn(|_| match std::mem::take(&mut first) {
            true => Poll::Pending,
            false => Poll::Ready(()),
        })
        .await;
        panic!("{} bytes", message.payload().len());
    }));
    publish(&mut hand, "a", 1);
    assert!(poll(running.as_mut()).is_pending());
    let Poll::Ready(Err(HandlerPanicked { message, .. })) = quietly(|| poll(running.as_mut()))
    else {
        panic!("it has panicked")
    };
    assert_eq!(message, "2 bytes");
    assert_eq!(acknowledged(&mut hand), Vec::<u16>::new());
}

#[test]
fn a_handler_that_is_dropped_at_a_message_leaves_it_unacknowledged() {
    let mut hand = connected();
    let subscription = hand.subscribe("a", QoS::AtLeastOnce);
    publish(&mut hand, "a", 1);
    {
        let mut running = pin!(subscription.for_each_async(|_| std::future::pending()));
        assert!(poll(running.as_mut()).is_pending());
    }
    assert_eq!(acknowledged(&mut hand), Vec::<u16>::new());
    assert_eq!(hand.client.discard_unclaimed(), 1);
    assert_eq!(acknowledged(&mut hand), [1]);
}

#[test]
fn a_handler_may_acknowledge_by_hand() {
    let mut hand = connected();
    let subscription = hand
        .subscribe("a", QoS::AtLeastOnce)
        .with_ack_mode(AckMode::Manual);
    let kept = RefCell::new(Vec::new());
    let mut running = pin!(subscription.for_each(|message| kept.borrow_mut().push(message)));
    publish(&mut hand, "a", 1);
    assert!(poll(running.as_mut()).is_pending());
    assert_eq!(acknowledged(&mut hand), Vec::<u16>::new());
    for message in kept.take() {
        message.ack().expect("fresh");
    }
    assert_eq!(acknowledged(&mut hand), [1]);
}

#[test]
fn a_subscription_that_is_declared_before_connecting_gets_what_the_server_kept() {
    let mut hand = Hand::new(config(Version::V5));
    let mut events = hand.client.events();
    let mut declared = hand
        .client
        .declare("a/#", QoS::AtLeastOnce)
        .expect("accepted");
    hand.client.start();
    hand.accept();
    // Before SUBACK.
    publish(&mut hand, "a/b", 1);
    let message = ready(declared.next()).expect("a message");
    assert_eq!(message.topic(), "a/b");
    let packets = hand.packets();
    let [Packet::Subscribe(subscribe)] = packets.as_slice() else {
        panic!("{packets:?}")
    };
    hand.feed(&Packet::SubAck(SubAck {
        id: subscribe.id,
        codes: vec![ReasonCode::NOT_AUTHORIZED],
        properties: Properties::new(),
    }));
    assert!(matches!(
        ready(events.next()),
        Some(ClientEvent::Connected { .. })
    ));
    assert!(matches!(
        ready(events.next()),
        Some(ClientEvent::SubscriptionLost {
            reason: ReasonCode::NOT_AUTHORIZED,
            ..
        })
    ));
}

#[test]
fn other_options_are_a_conflict_for_a_client_too_unless_it_replaces_them() {
    let mut hand = connected();
    let mut first = hand.subscribe("a", QoS::AtLeastOnce);
    let options = SubscribeOptions {
        no_local: true,
        ..SubscribeOptions::new(QoS::AtLeastOnce)
    };
    let client = hand.client.clone();
    let error = ready(client.subscribe("a", options)).expect_err("a conflict");
    assert!(matches!(
        error,
        SubscribeFailed::Request(SubscribeError::Conflict { .. })
    ));
    let mut replacing = pin!(client.replace_subscription("a", options));
    assert!(poll(replacing.as_mut()).is_pending());
    let packets = hand.packets();
    let [Packet::Subscribe(subscribe)] = packets.as_slice() else {
        panic!("{packets:?}")
    };
    assert_eq!(subscribe.filters[0].1, options);
    hand.feed(&Packet::SubAck(SubAck {
        id: subscribe.id,
        codes: vec![ReasonCode(1)],
        properties: Properties::new(),
    }));
    let mut second = ready(replacing).expect("granted");
    publish(&mut hand, "a", 1);
    assert!(ready(first.next()).is_some() && ready(second.next()).is_some());
    // The same options share it at once.
    let third = ready(client.subscribe("a", options)).expect("shared");
    assert!(hand.packets().is_empty());
    drop((first, second, third));
}

#[test]
fn a_client_is_told_of_what_nothing_claims_and_may_discard_it() {
    let mut hand = connected();
    let mut events = hand.client.events();
    publish(&mut hand, "old", 1);
    publish(&mut hand, "old", 2);
    let Some(ClientEvent::Unclaimed { topic }) = ready(events.next()) else {
        panic!("it is told")
    };
    assert_eq!(topic, "old");
    assert!(poll(pin!(events.next())).is_pending(), "once");
    assert_eq!(acknowledged(&mut hand), Vec::<u16>::new());
    assert_eq!(hand.client.discard_unclaimed(), 2);
    assert_eq!(acknowledged(&mut hand), [1, 2]);
    // What somebody may read needs no event.
    let mut unclaimed = hand.client.messages();
    publish(&mut hand, "old", 3);
    assert!(ready(unclaimed.next()).is_some());
    assert!(poll(pin!(events.next())).is_pending());
}

#[test]
fn a_stream_may_bound_its_messages_of_qos_0_and_acknowledge_on_arrival() {
    let mut hand = connected();
    let two = std::num::NonZeroUsize::new(2).expect("not 0");
    let mut subscription = hand
        .subscribe("a", QoS::AtLeastOnce)
        .with_max_at_most_once(two)
        .with_ack_mode(AckMode::Queued);
    for n in 1..=5u16 {
        hand.feed_publish("a", Flow::AtMostOnce, &n.to_be_bytes());
    }
    publish(&mut hand, "a", 6);
    assert_eq!(acknowledged(&mut hand), [6], "nobody has taken it");
    assert_eq!(subscription.dropped(), 3);
    for n in 4..=6 {
        let message = ready(subscription.next()).expect("a message");
        assert_eq!(number(message.payload()), n);
    }
    assert!(poll(pin!(subscription.next())).is_pending());
    assert_eq!(acknowledged(&mut hand), Vec::<u16>::new());
}

/// It has taken all of them over with the first, and they are acknowledged: the server will not send them again.
#[test]
fn what_a_dropped_stream_has_not_given_out_is_there_for_others_or_counted() {
    for mode in [AckMode::Taken, AckMode::Queued, AckMode::Manual] {
        let mut hand = connected();
        let mut subscription = hand.subscribe("a", QoS::AtLeastOnce).with_ack_mode(mode);
        let mut bytes = Vec::new();
        for n in 1..=3u16 {
            let payload = n.to_be_bytes();
            bytes.extend(hand.encode_publish("a", at_least_once(n), &payload));
            bytes.extend(hand.encode_publish("a", Flow::AtMostOnce, &payload));
        }
        hand.bytes_in(&bytes);
        let first = ready(subscription.next()).expect("a message");
        assert_eq!(number(first.payload()), 1);
        drop((subscription, first));
        assert_eq!(hand.client.stats().dropped, 3, "{mode:?}");
        let mut others = hand.client.messages();
        let rest: Vec<_> = std::iter::from_fn(|| others.try_next())
            .map(|message| (number(message.payload()), message.qos()))
            .collect();
        let expected = [2, 3].map(|n| (n, QoS::AtLeastOnce));
        assert_eq!(rest, expected, "{mode:?}");
    }
}

/// It came back unacknowledged from a stream that was dropped, is acknowledged when it is taken over, and its place is somebody else's.
#[test]
fn a_message_that_was_acknowledged_early_frees_its_room_later_and_acknowledges_no_other() {
    let mut hand = connected();
    let mut manual = hand
        .subscribe("b", QoS::AtLeastOnce)
        .with_ack_mode(AckMode::Manual);
    let dropped = hand.subscribe("a", QoS::AtLeastOnce);
    let mut early = hand.client.messages().with_ack_mode(AckMode::Queued);
    publish(&mut hand, "a", 1);
    drop(dropped);
    assert_eq!(acknowledged(&mut hand), Vec::<u16>::new());
    let message = ready(early.next()).expect("a message");
    assert_eq!(number(message.payload()), 1);
    assert_eq!(acknowledged(&mut hand), [1]);
    let held = hand.client.stats().inbox_bytes;
    assert!(held > 0, "it takes room until it is dealt with");
    publish(&mut hand, "b", 2);
    drop(message);
    assert!(poll(pin!(early.next())).is_pending());
    assert_eq!(acknowledged(&mut hand), Vec::<u16>::new());
    assert_eq!(hand.client.stats().inbox_bytes, held, "the other one's");
    let other = ready(manual.next()).expect("a message");
    assert_eq!(number(other.payload()), 2);
    assert_eq!(acknowledged(&mut hand), Vec::<u16>::new());
}
