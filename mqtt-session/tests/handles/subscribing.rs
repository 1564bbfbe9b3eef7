//! Asking the server to begin and to end subscriptions, and what becomes of that where nobody waits for the answer.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use mqtt_session::client::{ClientEvent, SubscribeFailed, Subscription};
use mqtt_session::proto::{
    ConnAck, Packet, Properties, QoS, ReasonCode, SubAck, SubscribeOptions, TopicError,
    TopicFilter, UnsubAck, Version,
};
use mqtt_session::{ConnectionError, Phase, QueueId, SubscribeError};

use crate::limits;
use crate::pair::config;
use crate::pair::hand::{Hand, poll, ready};
use crate::pair::raw::at_least_once;
use crate::woken::Task;

const GRANTED: ReasonCode = ReasonCode(1);
const REFUSED: ReasonCode = ReasonCode::NOT_AUTHORIZED;

fn connected() -> Hand {
    Hand::connected(config(Version::V5))
}

fn filters<const N: usize>(names: [&str; N]) -> [(TopicFilter, SubscribeOptions); N] {
    names.map(|name| (name.try_into().unwrap(), QoS::AtLeastOnce.into()))
}

/// What was asked for since the last call.
fn asked(hand: &mut Hand) -> Vec<String> {
    let packets = hand.packets();
    let asked = packets.iter().filter_map(|packet| match packet {
        Packet::Subscribe(subscribe) => {
            let names: Vec<_> = subscribe
                .filters
                .iter()
                .map(|(name, _)| name.to_string())
                .collect();
            Some(format!("+{}", names.join(" ")))
        }
        Packet::Unsubscribe(unsubscribe) => {
            let names: Vec<_> = unsubscribe
                .filters
                .iter()
                .map(ToString::to_string)
                .collect();
            Some(format!("-{}", names.join(" ")))
        }
        _ => None,
    });
    asked.collect()
}

/// Answers the one request that was made.
fn answer(hand: &mut Hand, codes: &[ReasonCode]) -> Packet {
    let packets = hand.packets();
    let [request] = packets.as_slice() else {
        panic!("{packets:?}")
    };
    let (codes, properties) = (codes.to_vec(), Properties::new());
    hand.feed(&match request {
        Packet::Subscribe(subscribe) => Packet::SubAck(SubAck {
            id: subscribe.id,
            codes,
            properties,
        }),
        Packet::Unsubscribe(unsubscribe) => Packet::UnsubAck(UnsubAck {
            id: unsubscribe.id,
            codes,
            properties,
        }),
        other => panic!("{other:?}"),
    });
    request.clone()
}

fn failed(result: Poll<Result<Subscription, SubscribeFailed>>) -> SubscribeFailed {
    match result {
        Poll::Ready(Err(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_subscribe_resolves_when_the_server_has_granted_it() {
    let mut hand = connected();
    let (client, task) = (hand.client.clone(), Task::new());
    let properties = Properties::builder()
        .user_property("asks", "me")
        .build()
        .unwrap();
    let many = filters(["a", "b/+"]).to_vec();
    let mut subscribing = pin!(client.subscribe_with(many, properties));
    assert!(task.poll(subscribing.as_mut()).is_pending());
    hand.turn();
    assert_eq!(task.woken(), 0);
    let Packet::Subscribe(sent) = answer(&mut hand, &[GRANTED, GRANTED]) else {
        panic!("a SUBSCRIBE")
    };
    assert_eq!(
        sent.properties.view().user_properties().next(),
        Some(("asks", "me"))
    );
    assert_eq!(task.woken(), 1);
    let Poll::Ready(Ok(subscription)) = task.poll(subscribing.as_mut()) else {
        panic!("it is granted")
    };
    assert!(!task.is_awaited());
    assert_eq!(subscription.filters(), ["a", "b/+"]);
    assert_ne!(subscription.queue(), QueueId::DEFAULT);
    let other = hand.subscribe("c", QoS::AtMostOnce);
    assert_ne!(other.queue(), subscription.queue());
    assert_eq!(client.messages().queue(), QueueId::DEFAULT);
    assert_eq!(client.messages().filters(), [""; 0]);
    // A filter may be one already.
    let filter = TopicFilter::try_from("c").unwrap();
    assert_eq!(
        ready(client.subscribe(filter, QoS::AtMostOnce))
            .unwrap()
            .filters(),
        ["c"]
    );
}

#[test]
fn a_subscribe_to_several_is_all_or_nothing() {
    let mut hand = connected();
    let (client, task) = (hand.client.clone(), Task::new());
    let mut subscribing = pin!(client.subscribe_many(filters(["a", "b", "c", "d"])));
    assert!(task.poll(subscribing.as_mut()).is_pending());
    answer(
        &mut hand,
        &[GRANTED, REFUSED, GRANTED, ReasonCode::QUOTA_EXCEEDED],
    );
    let error = failed(task.poll(subscribing.as_mut()));
    let SubscribeFailed::Refused { filter, reason } = &error else {
        panic!("{error:?}")
    };
    assert_eq!((filter.as_str(), *reason), ("b", REFUSED));
    let words = "the server refused b: 0x87 Not authorized (check what the server's access rules allow this user)";
    assert_eq!(error.to_string(), words);
    assert_eq!(format!("{error:?}"), words);
    assert!(
        format!("{error:#?}").starts_with("Refused {\n"),
        "{error:#?}"
    );
    assert_eq!(asked(&mut hand), ["-a c"]);
}

#[test]
fn a_subscribe_that_can_not_be_is_refused_at_once() {
    let limits = limits(|limits| limits.max_requests = 1);
    let mut hand = Hand::connected(config(Version::V5).limits(limits));
    let client = hand.client.clone();
    let error = failed(poll(pin!(client.subscribe("a/#/b", QoS::AtMostOnce))));
    let SubscribeFailed::Filter(inner @ TopicError::MultiLevel { .. }) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(error.to_string(), format!("topic filter: {inner}"));
    let mut first = pin!(client.subscribe("a", QoS::AtMostOnce));
    assert!(poll(first.as_mut()).is_pending());
    for error in [
        failed(poll(pin!(client.subscribe("b", QoS::AtMostOnce)))),
        ready(client.unsubscribe(vec!["b".try_into().unwrap()])).unwrap_err(),
    ] {
        let SubscribeFailed::Request(inner) = &error else {
            panic!("{error:?}")
        };
        assert_eq!(error.to_string(), inner.to_string());
        assert_eq!(format!("{error:?}"), inner.to_string());
        assert!(
            format!("{error:#?}").starts_with("Request(\n"),
            "{error:#?}"
        );
    }
    assert_eq!(asked(&mut hand), ["+a"]);
}

#[test]
fn a_subscribe_that_is_dropped_is_undone_as_far_as_it_has_gone() {
    // Never polled.
    let mut hand = Hand::new(config(Version::V5));
    let (client, task) = (hand.client.clone(), Task::new());
    drop(client.subscribe("a", QoS::AtMostOnce));
    // Not sent.
    {
        let mut subscribing = pin!(client.subscribe("a", QoS::AtMostOnce));
        assert!(task.poll(subscribing.as_mut()).is_pending());
    }
    assert!(!task.is_awaited());
    hand.connect();
    assert_eq!(asked(&mut hand), [""; 0]);
    // Sent.
    let mut subscribing = Box::pin(client.subscribe("a", QoS::AtMostOnce));
    assert!(task.poll(subscribing.as_mut()).is_pending());
    hand.turn();
    drop(subscribing);
    assert!(!task.is_awaited());
    answer(&mut hand, &[GRANTED]);
    assert_eq!(task.woken(), 0);
    answer(&mut hand, &[ReasonCode::SUCCESS]);
    assert_eq!(client.stats().requests, 0);
    // Answered, and nobody has looked yet.
    let mut subscribing = Box::pin(client.subscribe_many(filters(["a", "b", "c"])));
    assert!(task.poll(subscribing.as_mut()).is_pending());
    answer(&mut hand, &[GRANTED, REFUSED, GRANTED]);
    drop(subscribing);
    assert_eq!(asked(&mut hand), ["-a c"]);
    // Others that share it keep it.
    let shared = hand.subscribe("s", QoS::AtLeastOnce);
    let mut replacing = Box::pin(client.replace_subscription("s", QoS::ExactlyOnce));
    assert!(task.poll(replacing.as_mut()).is_pending());
    answer(&mut hand, &[ReasonCode(2)]);
    drop(replacing);
    assert_eq!(asked(&mut hand), [""; 0]);
    drop(shared);
}

#[test]
fn an_unsubscribe_resolves_with_the_answer_and_goes_its_way_without_its_future() {
    let mut hand = connected();
    let (client, task) = (hand.client.clone(), Task::new());
    let mut subscription = hand.subscribe("a", QoS::AtLeastOnce);
    let names = || vec!["a".try_into().unwrap(), "b".try_into().unwrap()];
    for (code, refused) in [(ReasonCode::SUCCESS, false), (REFUSED, true)] {
        let mut unsubscribing = pin!(client.unsubscribe(names()));
        assert!(task.poll(unsubscribing.as_mut()).is_pending());
        answer(&mut hand, &[ReasonCode::SUCCESS, code]);
        assert_eq!(task.woken(), 1);
        let Poll::Ready(result) = task.poll(unsubscribing.as_mut()) else {
            panic!("it is answered")
        };
        match result {
            Ok(()) => assert!(!refused),
            Err(error) => assert!(
                error.to_string().starts_with("the server refused b: "),
                "{error}"
            ),
        }
    }
    // The stream stays open.
    assert!(poll(pin!(subscription.next())).is_pending());
    drop(client.unsubscribe(names()));
    assert_eq!(asked(&mut hand), [""; 0]);
    {
        let mut unsubscribing = pin!(client.unsubscribe(names()));
        assert!(task.poll(unsubscribing.as_mut()).is_pending());
    }
    assert!(!task.is_awaited());
    assert_eq!(asked(&mut hand), ["-a b"]);
    assert_eq!(task.woken(), 0);
}

#[test]
fn a_subscription_unsubscribes_when_it_is_asked_to_and_only_then() {
    let mut hand = connected();
    let (client, task) = (hand.client.clone(), Task::new());
    drop(hand.subscribe("a", QoS::AtLeastOnce));
    drop(client.messages().unsubscribe_on_drop(true));
    assert_eq!(asked(&mut hand), [""; 0]);
    drop(
        hand.subscribe("b", QoS::AtLeastOnce)
            .unsubscribe_on_drop(true),
    );
    answer(&mut hand, &[ReasonCode::SUCCESS]);

    let subscription = hand
        .subscribe("c", QoS::AtLeastOnce)
        .unsubscribe_on_drop(true);
    let mut ending = pin!(subscription.unsubscribe());
    assert!(task.poll(ending.as_mut()).is_pending());
    answer(&mut hand, &[REFUSED]);
    assert_eq!(task.woken(), 1);
    let Poll::Ready(Err(error)) = task.poll(ending.as_mut()) else {
        panic!("it is refused")
    };
    assert!(
        error.to_string().starts_with("the server refused c: "),
        "{error}"
    );
    // Asked once, and the stream is gone: what comes is for others.
    assert_eq!(asked(&mut hand), [""; 0]);
    hand.feed_publish("c", at_least_once(1), b"late");
    assert_eq!(client.discard_unclaimed(), 1);

    let subscription = hand.subscribe("d", QoS::AtLeastOnce);
    {
        let mut ending = pin!(subscription.unsubscribe());
        assert!(task.poll(ending.as_mut()).is_pending());
    }
    assert!(!task.is_awaited());
    assert_eq!(asked(&mut hand), ["-d"]);
}

#[test]
fn what_is_declared_needs_no_answer_and_is_one_stream() {
    let mut hand = Hand::new(config(Version::V5));
    let client = hand.client.clone();
    let mut declared = client.declare_many(filters(["a", "b"])).unwrap();
    assert_eq!(declared.filters(), ["a", "b"]);
    let options = SubscribeOptions {
        no_local: true,
        ..SubscribeOptions::new(QoS::AtLeastOnce)
    };
    let conflict = client.declare("a", options).map(drop).unwrap_err();
    assert!(matches!(
        conflict,
        SubscribeFailed::Request(SubscribeError::Conflict { .. })
    ));
    hand.connect();
    hand.feed_publish("b", at_least_once(1), b"1");
    hand.feed_publish("a", at_least_once(2), b"2");
    for payload in [b"1", b"2"] {
        assert_eq!(ready(declared.next()).unwrap().payload(), payload);
    }
    assert_eq!(asked(&mut hand), ["+a b"]);
}

/// Ends with a full inbox, of messages that came ahead of the answer to "b".
fn overrun(hand: &mut Hand) {
    let mut number = 0;
    while hand.client.phase() == Phase::Connected {
        number += 1;
        hand.feed_publish("b", at_least_once(number), &[7; 1000]);
        assert!(number < 100);
    }
    if hand.client.phase() != Phase::Waiting {
        hand.lose();
    }
}

/// They must be read for the answer to come.
#[test]
fn a_subscribe_resolves_early_where_what_came_ahead_of_the_answer_fills_the_inbox() {
    for dropped in [false, true] {
        let limits = limits(|limits| limits.inbox_bytes = 16 << 10);
        let config = config(Version::V5).clean_start(false).limits(limits);
        let mut hand = Hand::connected(config);
        let (client, task) = (hand.client.clone(), Task::new());
        let mut events = client.events();
        let mut subscribing = Box::pin(client.subscribe("b", QoS::AtLeastOnce));
        assert!(task.poll(subscribing.as_mut()).is_pending());
        assert_eq!(asked(&mut hand), ["+b"]);
        overrun(&mut hand);
        let Some(ClientEvent::Lost { error, .. }) = ready(events.next()) else {
            panic!("it is lost")
        };
        assert!(
            matches!(error, ConnectionError::InboxFull { .. }),
            "{error}"
        );
        assert_eq!(task.woken(), 1);
        let subscription = if dropped {
            drop(subscribing);
            assert!(client.discard_unclaimed() > 10);
            None
        } else {
            let mut subscription = ready(subscribing).unwrap();
            let mut taken = 0;
            while subscription.try_next().is_some() {
                taken += 1;
            }
            assert!(taken > 10, "{taken}");
            Some(subscription)
        };
        hand.advance(Duration::from_secs(3600));
        hand.open();
        hand.feed(&Packet::ConnAck(ConnAck {
            session_present: true,
            ..ConnAck::default()
        }));
        let all = asked(&mut hand);
        if dropped {
            // The server may have granted it, or does now: it is undone in any case.
            assert_eq!(all.last().map(String::as_str), Some("-b"), "{all:?}");
        } else {
            assert_eq!(all, ["+b"]);
        }
        drop(subscription);
    }
}
