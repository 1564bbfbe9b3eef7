//! Publishing, and waiting for room to do so.

use std::num::NonZeroU16;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use mqtt_session::client::{Client, Delivery, Publishing, SendError};
use mqtt_session::proto::{
    Ack, ConnAck, Flow, Packet, PacketId, Properties, Publish, QoS, Topic, TopicError, Version,
};
use mqtt_session::{Outcome, PublishOptions, PublishRefused};

use crate::pair::hand::{Hand, poll, ready};
use crate::pair::{config, message};
use crate::woken::Task;
use crate::{acknowledge, limits, published};

const LARGE: &[u8] = &[b'x'; 60];

/// There is room for one large message, and there is one.
fn full() -> (Hand, Delivery) {
    let limits = limits(|limits| limits.outgoing_bytes = 100);
    let mut hand = Hand::connected(config(Version::V5).limits(limits));
    let first = ready(hand.client.publish("a", QoS::AtLeastOnce, LARGE)).unwrap();
    hand.turn();
    (hand, first)
}

fn large(client: &Client) -> Publishing<'_> {
    client.publish("a", QoS::AtLeastOnce, LARGE)
}

#[test]
fn a_publish_waits_for_room_and_is_woken_when_there_is_some_and_only_then() {
    let (mut hand, first) = full();
    let (client, task) = (hand.client.clone(), Task::new());
    let mut second = pin!(large(&client));
    assert!(task.poll(second.as_mut()).is_pending());
    assert!(task.is_awaited());
    hand.feed_publish("b", Flow::AtMostOnce, b"not for it");
    hand.advance(Duration::from_secs(1));
    assert_eq!(task.woken(), 0);
    // A poll in between neither accepts it nor is answered.
    assert!(task.poll(second.as_mut()).is_pending());
    assert_eq!(task.woken(), 0);
    assert_eq!(acknowledge(&mut hand), 1);
    assert_eq!(task.woken(), 1);
    assert!(ready(first).is_ok());
    let Poll::Ready(Ok(second)) = task.poll(second.as_mut()) else {
        panic!("there is room")
    };
    assert_eq!(published(&mut hand), ["x".repeat(60)]);
    assert!(!task.is_awaited());
    drop(second);
}

#[test]
fn a_publish_that_is_dropped_while_it_waits_leaves_nothing_behind() {
    let (mut hand, _first) = full();
    let (client, task) = (hand.client.clone(), Task::new());
    {
        let mut second = pin!(large(&client));
        assert!(task.poll(second.as_mut()).is_pending());
    }
    assert!(!task.is_awaited());
    assert_eq!(acknowledge(&mut hand), 1);
    assert_eq!(task.woken(), 0);
    assert_eq!(published(&mut hand), [""; 0]);
    assert_eq!(client.stats().accepted, 1);
}

/// Who is woken, in order.
#[derive(Default)]
struct Log(Mutex<Vec<&'static str>>);

struct Named(&'static str, Arc<Log>);

impl Wake for Named {
    fn wake(self: Arc<Self>) {
        self.1.0.lock().unwrap().push(self.0);
    }
}

impl Log {
    fn poll<F: Future>(
        self: &Arc<Self>,
        name: &'static str,
        future: Pin<&mut F>,
    ) -> Poll<F::Output> {
        let waker = Waker::from(Arc::new(Named(name, Arc::clone(self))));
        future.poll(&mut Context::from_waker(&waker))
    }

    fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// As many as there are names wait for room, and were polled in that order.
fn waiting<'a>(client: &'a Client, log: &Arc<Log>) -> Vec<Pin<Box<Publishing<'a>>>> {
    let start = |name| {
        let mut publishing = Box::pin(large(client));
        assert!(log.poll(name, publishing.as_mut()).is_pending());
        publishing
    };
    NAMES.map(start).into()
}

/// The one that has waited for longest is woken first, and so with most runtimes gets the room. The driver may wake one more in each of its
/// turns, should the first not come, and no more.
#[test]
fn those_who_wait_for_room_are_woken_in_the_order_in_which_they_came() {
    let (mut hand, _first) = full();
    let (client, log) = (hand.client.clone(), Arc::new(Log::default()));
    let mut waiting = waiting(&client, &log);
    // One between others that gives up takes nobody's place.
    drop(waiting.remove(1));
    acknowledge(&mut hand);
    let woken = log.take();
    assert!(["a", "c", "d"].starts_with(&woken), "{woken:?}");
    assert!(log.poll("a", waiting[0].as_mut()).is_ready());
    // Who comes for nothing keeps its turn, whenever it does.
    assert!(log.poll("d", waiting[2].as_mut()).is_pending());
    assert!(log.poll("c", waiting[1].as_mut()).is_pending());
    log.take();
    acknowledge(&mut hand);
    let woken = log.take();
    assert!(["c", "d", "e"].starts_with(&woken), "{woken:?}");
    // Another waker for the same future takes the place of the one before.
    let mut first = pin!(large(&client));
    assert!(log.poll("first", first.as_mut()).is_ready());
    assert!(log.poll("c", waiting[1].as_mut()).is_pending());
    assert!(log.poll("c, elsewhere", waiting[1].as_mut()).is_pending());
    acknowledge(&mut hand);
    assert_eq!(log.take()[0], "c, elsewhere");
}

#[test]
fn who_is_woken_for_room_and_gives_up_passes_it_on() {
    let (mut hand, _first) = full();
    let (client, log) = (hand.client.clone(), Arc::new(Log::default()));
    let mut waiting = waiting(&client, &log);
    acknowledge(&mut hand);
    let woken = log.take().len();
    drop(waiting.remove(0));
    assert_eq!(log.take(), [NAMES[woken]]);
    assert!(log.poll("b", waiting[0].as_mut()).is_ready());
    assert_eq!(log.take(), [""; 0], "there is no more room");
}

#[test]
fn who_is_woken_for_room_and_does_not_come_keeps_nobody_else_from_it() {
    let (mut hand, _first) = full();
    let (client, log) = (hand.client.clone(), Arc::new(Log::default()));
    let waiting = waiting(&client, &log);
    acknowledge(&mut hand);
    for _ in NAMES {
        hand.turn();
    }
    assert_eq!(log.take(), NAMES);
    drop(waiting);
}

#[test]
fn room_for_a_smaller_message_wakes_nobody_whose_message_is_larger() {
    let (mut hand, _first) = full();
    let (client, log) = (hand.client.clone(), Arc::new(Log::default()));
    let _second = ready(client.publish("a", QoS::ExactlyOnce, "y".repeat(28))).unwrap();
    hand.turn();
    let mut large = pin!(large(&client));
    let mut small = pin!(client.publish("a", QoS::AtLeastOnce, "z".repeat(20)));
    assert!(log.poll("large", large.as_mut()).is_pending());
    assert!(log.poll("small", small.as_mut()).is_pending());
    // Only the first of the two in flight, which leaves no room for the large one but for the small one.
    let [one, two] = [1, 2].map(|id| Ack::new(PacketId::new(id).unwrap()));
    hand.bring(&Packet::PubRec(two.clone()));
    hand.bring(&Packet::PubComp(two));
    for _ in 0..5 {
        hand.turn();
    }
    assert_eq!(log.take(), [""; 0]);
    hand.bring(&Packet::PubAck(one));
    hand.turn();
    let woken = log.take();
    assert_eq!(woken.first(), Some(&"large"));
    assert!(log.poll("large", large.as_mut()).is_ready());
    assert!(log.poll("small", small.as_mut()).is_ready());
}

#[test]
fn whoever_waited_behind_a_message_that_is_given_up_gets_the_room_that_there_is() {
    let (mut hand, _first) = full();
    let (client, log) = (hand.client.clone(), Arc::new(Log::default()));
    let mut large = Box::pin(large(&client));
    let mut small = pin!(client.publish("a", QoS::AtLeastOnce, "z".repeat(38)));
    assert!(log.poll("large", large.as_mut()).is_pending());
    let written = ready(client.publish("a", QoS::AtMostOnce, "y".repeat(20))).unwrap();
    assert!(log.poll("small", small.as_mut()).is_pending());
    hand.turn();
    assert!(ready(written).is_ok());
    assert_eq!(log.take(), [""; 0], "there is room, but another is first");
    drop(large);
    assert_eq!(log.take(), ["small"]);
    assert!(log.poll("small", small.as_mut()).is_ready());
}

#[test]
fn a_crowd_that_waits_for_room_comes_one_by_one() {
    const CROWD: usize = 400;
    let limits = limits(|limits| limits.max_queued = 10);
    let mut hand = Hand::new(config(Version::V5).limits(limits));
    let (client, task) = (hand.client.clone(), Task::new());
    client.start();
    let mut polls = 0;
    let mut waiting: Vec<_> = (0..CROWD).map(|_| Box::pin(large(&client))).collect();
    waiting.retain_mut(|publishing| task.poll(publishing.as_mut()).is_pending());
    assert_eq!(waiting.len(), CROWD - 10);
    let five = NonZeroU16::new(5).unwrap();
    hand.open();
    hand.feed(&Packet::ConnAck(ConnAck {
        properties: Properties::builder().receive_maximum(five).build().unwrap(),
        ..ConnAck::default()
    }));
    while !waiting.is_empty() {
        // Each is a task of its own; the one that is woken is the first that waits.
        let woken = task.woken();
        polls += woken;
        let mut left = woken;
        waiting.retain_mut(|publishing| {
            left == 0 || {
                left -= 1;
                task.poll(publishing.as_mut()).is_pending()
            }
        });
        hand.turn();
        acknowledge(&mut hand);
    }
    assert!(polls <= 3 * CROWD, "{polls}");
}

#[test]
fn a_publish_that_waits_ends_when_the_client_does_and_the_message_comes_back() {
    let (mut hand, first) = full();
    let (client, task, closing) = (hand.client.clone(), Task::new(), Task::new());
    let mut second = pin!(large(&client));
    assert!(task.poll(second.as_mut()).is_pending());
    let mut leaving = pin!(client.disconnect(Duration::ZERO));
    assert!(closing.poll(leaving.as_mut()).is_pending());
    hand.turn();
    assert!(closing.poll(leaving.as_mut()).is_ready());
    assert!(task.woken() > 0);
    let Poll::Ready(Err(error)) = task.poll(second.as_mut()) else {
        panic!("it is closed")
    };
    assert_eq!(error.refused(), Some(&PublishRefused::Closed));
    let SendError::Closed(late) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(
        (late.qos, late.closed.error.clone()),
        (QoS::AtLeastOnce, None)
    );
    assert_eq!(error.into_publish(), Some(message("a", LARGE)));
    assert_eq!(ready(first).unwrap_err().outcome, Outcome::Closed);
}

#[test]
fn what_is_tried_without_waiting_comes_back_where_there_is_no_room() {
    let (mut hand, _first) = full();
    let client = hand.client.clone();
    let full = PublishRefused::Full {
        limit: "limits.outgoing_bytes",
        max: 100,
    };
    let topic = Topic::try_from("a").unwrap();
    let options = PublishOptions::new();
    let exactly_once = QoS::ExactlyOnce;
    for error in [
        client.try_publish("a", exactly_once, LARGE),
        client.try_publish(topic, exactly_once, LARGE),
        client.try_publish_message(exactly_once, message("a", LARGE)),
        client.try_publish_with(exactly_once, message("a", LARGE), &options),
        client.publish("a", exactly_once, LARGE).give_up(),
    ] {
        let error = error.unwrap_err();
        assert_eq!(error.refused(), Some(&full), "{error}");
        assert!(
            format!("{error:#?}").starts_with("Refused(\n"),
            "{error:#?}"
        );
        let SendError::Refused(refused) = &error else {
            panic!("{error:?}")
        };
        assert_eq!(refused.qos, exactly_once);
        assert_eq!(error.into_publish(), Some(message("a", LARGE)));
    }
    assert_eq!(client.stats().accepted, 1);
    acknowledge(&mut hand);
    assert!(client.try_publish("a", QoS::AtLeastOnce, LARGE).is_ok());
    assert_eq!(acknowledge(&mut hand), 1);
    let accepted = client.try_publish_message(QoS::AtLeastOnce, message("a", LARGE));
    assert_eq!(acknowledge(&mut hand), 1);
    assert_eq!(
        accepted
            .unwrap()
            .outcome()
            .map(|outcome| outcome.is_success()),
        Some(true)
    );
}

/// Where that takes too long for a caller.
#[test]
fn a_publish_that_is_given_up_is_accepted_if_there_is_room_by_then() {
    let (mut hand, _first) = full();
    let (client, task) = (hand.client.clone(), Task::new());
    for room in [false, true] {
        let mut waiting = Box::pin(large(&client));
        assert!(task.poll(waiting.as_mut()).is_pending());
        if room {
            acknowledge(&mut hand);
        }
        let given_up = Pin::into_inner(waiting).give_up();
        assert!(!task.is_awaited());
        match given_up {
            Ok(_) => assert!(room),
            Err(error) => {
                assert!(!room, "{error}");
                assert!(error.refused().unwrap().is_full());
                assert_eq!(error.into_publish(), Some(message("a", LARGE)));
            }
        }
    }
    assert_eq!(acknowledge(&mut hand), 1);
}

#[test]
fn a_publish_that_has_resolved_can_not_go_on() {
    let hand = Hand::connected(config(Version::V5));
    let panics = |run: Box<dyn FnOnce() + '_>| catch_unwind(AssertUnwindSafe(run)).is_err();
    let mut done = hand.client.publish("a", QoS::AtMostOnce, "x");
    assert!(poll(Pin::new(&mut done)).is_ready());
    assert!(panics(Box::new(|| drop(poll(Pin::new(&mut done))))));
    assert!(panics(Box::new(|| drop(done.give_up()))));
}

#[test]
fn a_topic_that_is_none_is_an_error_and_there_is_no_message_to_give_back() {
    let mut hand = Hand::connected(config(Version::V5));
    let client = hand.client.clone();
    for error in [
        ready(client.publish("a/#", QoS::AtMostOnce, "x")),
        client.publish("a/#", QoS::AtMostOnce, "x").give_up(),
        client.try_publish("a/#", QoS::AtMostOnce, "x"),
    ] {
        let error = error.unwrap_err();
        let SendError::Topic(topic) = &error else {
            panic!("{error:?}")
        };
        assert!(matches!(topic, TopicError::Wildcard { .. }), "{topic:?}");
        assert_eq!(error.to_string(), format!("topic: {topic}"));
        assert_eq!(format!("{error:?}"), error.to_string());
        assert!(format!("{error:#?}").starts_with("Topic(\n"), "{error:#?}");
        assert_eq!(error.refused(), None);
        assert_eq!(error.into_publish(), None);
    }
    assert_eq!(published(&mut hand), [""; 0]);
}

/// A message that can never be accepted does not wait for room that would not help.
#[test]
fn what_waiting_does_not_help_is_refused_at_once() {
    let (hand, _first) = full();
    let task = Task::new();
    let mut huge = pin!(hand.client.publish("a", QoS::AtMostOnce, vec![0; 200]));
    let Poll::Ready(Err(error)) = task.poll(huge.as_mut()) else {
        panic!("it waits")
    };
    assert!(matches!(
        error.refused(),
        Some(PublishRefused::AboveLimit { max: 100, .. })
    ));
    let words = format!("the message was not accepted: {}", error.refused().unwrap());
    assert_eq!(error.to_string(), words);
    assert!(!task.is_awaited());
}

#[test]
fn a_message_is_published_with_everything_that_it_was_given() {
    let mut hand = Hand::new(config(Version::V5));
    let client = hand.client.clone();
    let publish = Publish::new(Topic::try_from("a").unwrap(), "x").with_retain(true);
    let properties = Properties::builder().content_type("text").build().unwrap();
    let publish = publish.with_properties(properties);
    let short = PublishOptions::new().with_time_to_live(Duration::from_secs(1));
    client.start();
    let kept = ready(client.publish_message(QoS::AtLeastOnce, publish.clone())).unwrap();
    let mut expiring = [
        ready(client.publish_with(QoS::AtLeastOnce, publish.clone(), short.clone())).unwrap(),
        client
            .try_publish_with(QoS::AtLeastOnce, publish, &short)
            .unwrap(),
    ];
    assert!(expiring[0].token() < expiring[1].token());
    assert!(kept.token() < expiring[0].token());
    hand.turn();
    hand.advance(Duration::from_secs(2));
    for delivery in &mut expiring {
        assert_eq!(delivery.outcome(), Some(Outcome::Expired));
    }
    hand.accept();
    let packets = hand.packets();
    let [mqtt_session::proto::Packet::Publish(sent)] = packets.as_slice() else {
        panic!("{packets:?}")
    };
    assert_eq!((sent.topic().as_str(), sent.payload()), ("a", &b"x"[..]));
    assert!(sent.retain());
    assert_eq!(sent.properties().content_type(), Some("text"));
}

/// Else a loop that always finds room would keep its own driver from running on the same thread.
#[test]
fn a_publisher_in_a_loop_gives_way_now_and_then_and_wakes_itself() {
    const MANY: usize = 20_000;
    let limits = limits(|limits| limits.max_queued = 2 * MANY);
    let mut hand = Hand::connected(config(Version::V5).limits(limits));
    let (client, task) = (hand.client.clone(), Task::new());
    let mut gave_way = 0;
    let mut publish = |times: usize| {
        for _ in 0..times {
            let mut publishing = pin!(client.publish("a", QoS::AtMostOnce, "x"));
            while task.poll(publishing.as_mut()).is_pending() {
                assert_eq!(task.woken(), 1, "it comes again by itself");
                gave_way += 1;
            }
        }
        std::mem::take(&mut gave_way)
    };
    let times = publish(MANY);
    assert!((1..MANY / 100).contains(&times), "{times}");
    // A driver that has its turn meanwhile needs no help.
    for _ in 0..100 {
        hand.turn();
        assert_eq!(publish(100), 0);
    }
    assert!(!task.is_awaited());
    assert_eq!(client.stats().accepted, (MANY + 10_000) as u64);
}
