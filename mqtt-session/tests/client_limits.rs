//! Handles at limits of next to nothing: nobody waits for what will not come, and nothing that is asked for once is forgotten.
#![cfg(feature = "client")]

mod pair;

use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use mqtt_session::client::{ClientEvent, Delivery, SendError};
use mqtt_session::proto::{
    ConnAck, Disconnect, EncodeError, Flow, Packet, Properties, QoS, ReasonCode, UnsubAck, Version,
};
use mqtt_session::{ConnectionError, Limits, Offline, Phase, PublishRefused};
use pair::config;
use pair::hand::{Hand, poll, ready};
use pair::raw::at_least_once;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Tells whether somebody was woken.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn refusal(polled: Poll<Result<Delivery, SendError>>) -> PublishRefused {
    match polled {
        Poll::Ready(Err(error)) => *error.refused().expect("by the session"),
        other => panic!("{other:?}"),
    }
}

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

#[test]
fn a_publish_that_waits_for_room_is_refused_when_the_connection_is_lost_and_offline_refuses() {
    let limits = limits(|limits| limits.outgoing_bytes = 100);
    let config = config(Version::V5).limits(limits).offline(Offline::Refuse);
    let mut hand = Hand::connected(config);
    let client = hand.client.clone();
    let first = ready(client.publish("a", QoS::AtLeastOnce, vec![0; 60])).expect("accepted");
    hand.turn();
    let mut waiting = pin!(client.publish("a", QoS::AtMostOnce, vec![0; 60]));
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&flag));
    let mut context = Context::from_waker(&waker);
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    hand.lose();
    assert!(flag.0.load(Ordering::Relaxed), "it is told");
    let polled = waiting.as_mut().poll(&mut context);
    assert_eq!(refusal(polled), PublishRefused::Offline);
    drop(first);
}

#[test]
fn a_publish_that_waits_for_room_is_refused_when_a_new_server_can_not_take_it() {
    let limits = limits(|limits| limits.outgoing_bytes = 100);
    let mut hand = Hand::connected(config(Version::V5).limits(limits));
    let client = hand.client.clone();
    let first = ready(client.publish("a", QoS::AtLeastOnce, vec![0; 30])).expect("accepted");
    hand.turn();
    let mut waiting = pin!(client.publish("a", QoS::AtMostOnce, vec![0; 80]));
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&flag));
    let mut context = Context::from_waker(&waker);
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    hand.lose();
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    flag.0.store(false, Ordering::Relaxed);
    hand.advance(std::time::Duration::from_secs(2));
    let max = 50.try_into().expect("not 0");
    let small = Properties::builder().maximum_packet_size(max);
    hand.open();
    hand.feed(&Packet::ConnAck(ConnAck {
        session_present: true,
        properties: small.build().expect("good"),
        ..ConnAck::default()
    }));
    assert!(flag.0.load(Ordering::Relaxed), "it is told");
    let polled = waiting.as_mut().poll(&mut context);
    let refused = refusal(polled);
    assert!(
        matches!(
            refused,
            PublishRefused::Encode(EncodeError::PacketTooLarge { max: 50, .. })
        ),
        "{refused:?}"
    );
    drop(first);
}

#[test]
fn a_dropped_subscription_is_unsubscribed_though_there_are_as_many_requests_as_there_may_be() {
    for version in [Version::V3_1_1, Version::V5] {
        let limits = limits(|limits| limits.max_requests = 1);
        let mut hand = Hand::connected(config(version).limits(limits));
        let first = hand.subscribe("a", QoS::AtLeastOnce);
        let second = hand.subscribe("b", QoS::AtLeastOnce);
        let client = hand.client.clone();
        let mut third = pin!(client.subscribe("c", QoS::AtLeastOnce));
        assert!(poll(third.as_mut()).is_pending());
        drop((
            first.unsubscribe_on_drop(true),
            second.unsubscribe_on_drop(true),
        ));
        let mut asked = Vec::new();
        for packet in hand.packets() {
            if let Packet::Unsubscribe(unsubscribe) = packet {
                asked.extend(unsubscribe.filters.iter().map(ToString::to_string));
                hand.feed(&Packet::UnsubAck(UnsubAck {
                    id: unsubscribe.id,
                    codes: if version.is_v5() {
                        vec![ReasonCode::SUCCESS]
                    } else {
                        Vec::new()
                    },
                    properties: Properties::new(),
                }));
            }
        }
        assert_eq!(asked, ["a", "b"], "{version}");
        assert_eq!(client.stats().requests, 1, "{version}: that for c");
    }
}

/// What nobody can read any more holds nobody up.
#[test]
fn messages_that_fill_the_inbox_do_not_stop_the_socket_once_their_last_stream_is_dropped() {
    for held_by_others in [0, 10] {
        let limits = limits(|limits| limits.inbox_bytes = 20_000);
        let mut hand = Hand::connected(config(Version::V5).limits(limits));
        let mut others = hand.subscribe("others", QoS::AtMostOnce);
        let unclaimed = hand.client.messages();
        for _ in 0..held_by_others {
            hand.feed_publish("others", Flow::AtMostOnce, b"x");
        }
        while hand.turn() {
            hand.feed_publish("unclaimed", Flow::AtMostOnce, &[7; 1000]);
        }
        let waited = hand.client.stats().inbox_messages - held_by_others;
        drop(unclaimed);
        assert!(hand.turn(), "there is room, and it reads");
        let stats = hand.client.stats();
        assert!(stats.inbox_bytes <= 10_000, "{stats:?}");
        let left = stats.inbox_messages - held_by_others;
        assert_eq!(stats.dropped_unclaimed, (waited - left) as u64, "{stats:?}");
        assert_eq!(stats.dropped, stats.dropped_unclaimed);
        // What a stream waits for is not touched, and what is left is for the next one.
        for _ in 0..held_by_others {
            assert!(others.try_next().is_some());
        }
        hand.feed_publish("others", Flow::AtMostOnce, b"y");
        assert_eq!(others.try_next().expect("a message").payload(), b"y");
        let mut again = hand.client.messages();
        for _ in 0..left {
            assert!(again.try_next().is_some());
        }
        assert!(again.try_next().is_none());
    }
}

#[test]
fn events_that_nobody_reads_hold_little_of_what_servers_say() {
    let said = "x".repeat(20_000);
    let mut hand = Hand::new(config(Version::V5).clean_start(false));
    let mut lagging = hand.client.events();
    hand.client.start();
    for n in 0..40 {
        hand.open();
        let properties = Properties::builder().user_property("said", said.as_str());
        hand.feed(&Packet::ConnAck(ConnAck {
            properties: properties.build().expect("good properties"),
            ..ConnAck::default()
        }));
        if n % 2 == 0 {
            hand.lose();
        } else {
            let properties = Properties::builder().reason_string(said.as_str());
            hand.feed(&Packet::Disconnect(Disconnect {
                reason: ReasonCode::SERVER_BUSY,
                properties: properties.build().expect("good properties"),
            }));
        }
        hand.advance(Duration::from_secs(150));
    }
    let mut bytes = 0;
    let mut kept = 0;
    let mut events = std::iter::from_fn(|| match poll(pin!(lagging.next())) {
        Poll::Ready(event) => event,
        Poll::Pending => None,
    });
    assert!(matches!(events.next(), Some(ClientEvent::Missed { count }) if count > 60));
    for event in events {
        kept += 1;
        bytes += match &event {
            ClientEvent::Connected { connack, .. } => connack.properties.view().as_bytes().len(),
            ClientEvent::Lost { error, .. } => error.to_string().len(),
            _ => 0,
        };
    }
    assert!((2..10).contains(&kept), "{kept} events");
    assert!(bytes <= 64 * 1024 + 1000, "{bytes} bytes");
}

/// A server that loses session after session: what came in each is kept, and can't be acknowledged any more.
#[test]
fn messages_of_lost_sessions_that_nobody_takes_fill_the_inbox_until_they_are_done_away_with() {
    let limits = limits(|limits| limits.inbox_bytes = 16 << 10);
    let mut hand = Hand::new(config(Version::V5).clean_start(false).limits(limits));
    let mut events = hand.client.events();
    hand.client.start();
    for _ in 0..8 {
        hand.accept();
        (1..=3).for_each(|id| hand.feed_publish("a", at_least_once(id), &[7; 1000]));
        hand.lose();
        hand.advance(Duration::from_secs(3600));
    }
    hand.accept();
    // It has to read on for the answer.
    let client = hand.client.clone();
    let mut subscribing = Box::pin(client.subscribe("b", QoS::AtMostOnce));
    assert!(poll(subscribing.as_mut()).is_pending());
    (1..=3).for_each(|id| hand.feed_publish("a", at_least_once(id), &[7; 1000]));
    hand.lose();
    let told = std::iter::from_fn(|| match poll(pin!(events.next())) {
        Poll::Ready(event) => event,
        Poll::Pending => None,
    });
    let full = told.filter(|event| {
        let ClientEvent::Lost { error, .. } = event else {
            return false;
        };
        matches!(error, ConnectionError::InboxFull { .. })
    });
    assert_eq!(full.count(), 1);
    hand.advance(Duration::from_secs(3600));
    assert_eq!(hand.client.phase(), Phase::Waiting);
    assert!(hand.client.discard_unclaimed() > 6);
    hand.turn();
    assert_eq!(hand.client.phase(), Phase::Connecting);
    hand.accept();
    hand.turn();
    assert_eq!(hand.client.phase(), Phase::Connected);
}
