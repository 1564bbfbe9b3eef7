//! Many subscriptions: where messages go, and how they are asked for anew.

mod pair;

use std::num::NonZeroU32;

use mqtt_session::proto::{Flow, Packet, Properties, QoS, ReasonCode, SubAck, UnsubAck, Version};
use mqtt_session::{Event, QueueId, QueueOptions};
use pair::config;
use pair::raw::{Raw, at_least_once, id};

const NONE: Properties = Properties::new();

fn grant(raw: &mut Raw, number: u16, count: usize) {
    raw.feed(&Packet::SubAck(SubAck {
        id: id(number),
        codes: vec![ReasonCode(2); count],
        properties: NONE,
    }));
}

fn take(raw: &mut Raw, queue: QueueId) -> Vec<String> {
    let mut taken = Vec::new();
    while let Some(received) = raw.session.poll_message(queue) {
        taken.push(received.publish.topic().to_string());
        raw.session.ack(raw.now, received.ticket).expect("fresh");
    }
    taken
}

/// A session with these filters, each with a queue of its own, all granted.
fn subscribed(version: Version, filters: &[&str]) -> (Raw, Vec<QueueId>) {
    let mut raw = Raw::connected(config(version));
    let mut queues = Vec::new();
    for filter in filters {
        let queue = raw.session.open_queue();
        raw.subscribe(filter, queue);
        raw.packets();
        grant(&mut raw, 65535, 1);
        queues.push(queue);
    }
    (raw, queues)
}

#[test]
fn every_filter_that_matches_gets_a_message_however_many_there_are() {
    let filters = [
        "a/b",
        "a/+",
        "a/#",
        "#",
        "+/b",
        "x",
        "$share/g/a/b",
        "a/b/#",
        "$SYS/#",
        "b",
    ];
    // With few filters, and with so many that there is a tree.
    for count in [1, 2, 4, 5, 10] {
        let (mut raw, queues) = subscribed(Version::V5, &filters[..count]);
        for topic in ["a/b", "a", "$SYS/b", "x"] {
            raw.feed_publish(topic, Flow::AtMostOnce, b"x");
            for (filter, queue) in filters.iter().zip(&queues) {
                let filter = mqtt_session::proto::TopicFilter::try_from(*filter).expect("good");
                let name = mqtt_session::proto::Topic::try_from(topic).expect("good");
                let wanted = usize::from(filter.matches(name.view()));
                assert_eq!(take(&mut raw, *queue).len(), wanted, "{topic} for {filter}");
            }
            take(&mut raw, QueueId::DEFAULT);
        }
    }
}

#[test]
fn a_message_for_several_is_acknowledged_when_the_last_has_taken_it() {
    let (mut raw, queues) = subscribed(Version::V3_1_1, &["a", "+", "#", "a/#", "$share/g/a", "b"]);
    raw.feed_publish("a", at_least_once(1), b"x");
    for queue in &queues[..4] {
        assert_eq!(take(&mut raw, *queue), ["a"]);
        assert_eq!(raw.lines(), Vec::<String>::new());
    }
    assert_eq!(take(&mut raw, queues[4]), ["a"]);
    assert_eq!(raw.lines(), ["PUBACK 1"]);
}

#[test]
fn filters_that_come_and_go_leave_the_others_where_they_are() {
    let names: Vec<_> = (0..40).map(|n| format!("topic/{n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let (mut raw, queues) = subscribed(Version::V5, &names);
    for name in names.iter().step_by(2) {
        let filters = vec![(*name).try_into().expect("a filter")];
        raw.session
            .unsubscribe(raw.now, filters, NONE)
            .expect("accepted");
        raw.packets();
        raw.feed(&Packet::UnsubAck(mqtt_session::proto::UnsubAck {
            id: id(65535),
            codes: vec![ReasonCode::SUCCESS],
            properties: NONE,
        }));
    }
    for (n, name) in names.iter().enumerate() {
        raw.feed_publish(name, at_least_once(1), b"x");
        let mine = take(&mut raw, queues[n]);
        let unclaimed = take(&mut raw, QueueId::DEFAULT);
        assert_eq!((mine.len(), unclaimed.len()), (n % 2, 1 - n % 2), "{name}");
    }
    raw.packets();
    raw.reconnect(false, NONE);
    let again = raw.packets().len();
    assert_eq!(again, 20);
}

#[test]
fn a_topic_that_comes_again_goes_to_whom_it_is_for_by_then() {
    let publish = |raw: &mut Raw| raw.feed_publish("a/b", Flow::AtMostOnce, b"x");
    let (mut raw, mut queues) = subscribed(Version::V5, &["a/+"]);
    publish(&mut raw);
    publish(&mut raw);
    assert_eq!(take(&mut raw, queues[0]).len(), 2);
    // Another filter for it, and another handle on the first.
    for filter in ["a/#", "a/+"] {
        let queue = raw.session.open_queue();
        raw.subscribe(filter, queue);
        raw.packets();
        grant(&mut raw, 65535, 1);
        queues.push(queue);
        publish(&mut raw);
        for queue in &queues {
            assert_eq!(take(&mut raw, *queue), ["a/b"], "with {filter}");
        }
    }
    // The first filter goes, and then its place is another one's.
    raw.session.close_queue(raw.now, queues[0]);
    raw.session.close_queue(raw.now, queues[2]);
    publish(&mut raw);
    publish(&mut raw);
    assert_eq!(take(&mut raw, queues[1]).len(), 2);
    let other = raw.session.open_queue();
    raw.subscribe("x", other);
    publish(&mut raw);
    assert_eq!(take(&mut raw, queues[1]), ["a/b"]);
    assert_eq!(take(&mut raw, other), Vec::<String>::new());
}

#[test]
fn what_is_asked_for_anew_is_split_until_the_server_takes_it() {
    let mut raw = Raw::connected(config(Version::V3_1_1));
    let long = |n: usize| format!("{n}/{}", "x".repeat(50));
    for n in 0..10 {
        raw.subscribe(&long(n), QueueId::DEFAULT);
        raw.packets();
        grant(&mut raw, 65535, 1);
    }
    raw.reconnect(false, NONE);
    assert_eq!(raw.packets().len(), 1, "one SUBSCRIBE takes all of them");
    // The same in 5.0, from a server that takes 200 bytes at a time.
    let small = Properties::builder()
        .maximum_packet_size(200u32.try_into().expect("not 0"))
        .subscription_identifier_available(false)
        .build()
        .expect("good");
    let mut raw = Raw::connected_with(config(Version::V5), small.clone());
    for n in 0..10 {
        raw.subscribe(&long(n), QueueId::DEFAULT);
        raw.packets();
        grant(&mut raw, 65535, 1);
    }
    raw.reconnect(false, small);
    let packets = raw.packets();
    let asked: Vec<_> = packets
        .iter()
        .flat_map(|packet| match packet {
            Packet::Subscribe(subscribe) => subscribe.filters.clone(),
            other => panic!("{other:?}"),
        })
        .map(|(filter, _)| filter.to_string())
        .collect();
    assert_eq!(asked, (0..10).map(long).collect::<Vec<_>>());
    assert!(packets.len() < 10, "{} packets", packets.len());
    let lost = |event: &Event| matches!(event, Event::SubscriptionLost { .. });
    assert!(!raw.events.iter().any(lost));
}

#[test]
fn each_subscription_that_a_lesser_server_cannot_do_ends_with_an_event_and_the_others_go_on() {
    let mut raw = Raw::connected(config(Version::V5));
    for filter in ["plain", "wild/+", "$share/g/work", "other"] {
        raw.subscribe(filter, QueueId::DEFAULT);
        raw.packets();
        grant(&mut raw, 65535, 1);
    }
    let less = Properties::builder()
        .wildcard_subscription_available(false)
        .shared_subscription_available(false)
        .subscription_identifier_available(false)
        .build()
        .expect("good");
    raw.reconnect(false, less);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 plain,other"]);
    let lost: Vec<_> = raw
        .events
        .iter()
        .filter_map(|event| match event {
            Event::SubscriptionLost { filter, reason } => Some((filter.to_string(), *reason)),
            _ => None,
        })
        .collect();
    assert_eq!(
        lost,
        [
            (
                "wild/+".to_owned(),
                ReasonCode::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED
            ),
            (
                "$share/g/work".to_owned(),
                ReasonCode::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED
            ),
        ]
    );
}

#[test]
fn routes_are_there_before_the_suback_and_a_declared_subscription_before_the_connection() {
    let mut raw = Raw::new(config(Version::V5).clean_start(false));
    let queue = raw.session.open_queue();
    let filters = vec![("a/#".try_into().expect("a filter"), QoS::AtLeastOnce.into())];
    raw.session
        .declare_subscription(raw.now, filters, NONE, queue)
        .expect("accepted");
    raw.session.connect(raw.now);
    raw.open();
    // What the server kept for an earlier process comes right behind CONNACK.
    raw.accept(true, NONE);
    raw.feed_publish("a/b", at_least_once(1), b"x");
    assert_eq!(take(&mut raw, queue), ["a/b"]);
    let packets = raw.packets();
    let [Packet::Subscribe(subscribe), Packet::PubAck(_)] = packets.as_slice() else {
        panic!("{packets:?}")
    };
    grant(&mut raw, subscribe.id.get(), 1);
    let answered = |event: &Event| matches!(event, Event::Subscribed { .. });
    assert!(!raw.events.iter().any(answered), "nobody asked");
    // It is one like others from now on.
    raw.reconnect(false, NONE);
    assert!(raw.lines()[0].ends_with(" a/#"));
}

#[test]
fn a_declared_subscription_outlives_a_server_without_a_session_and_a_refusal_is_told() {
    let mut raw = Raw::new(config(Version::V5));
    let queue = raw.session.open_queue();
    let filters = vec![("a".try_into().expect("a filter"), QoS::AtLeastOnce.into())];
    raw.session
        .declare_subscription(raw.now, filters, NONE, queue)
        .expect("accepted");
    raw.session.connect(raw.now);
    raw.open();
    raw.accept(false, NONE);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"]);
    raw.reconnect(false, NONE);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"]);
    raw.feed(&Packet::SubAck(SubAck {
        id: id(65535),
        codes: vec![ReasonCode::NOT_AUTHORIZED],
        properties: NONE,
    }));
    assert!(raw.events.iter().any(|event| matches!(
        event,
        Event::SubscriptionLost {
            reason: ReasonCode::NOT_AUTHORIZED,
            ..
        }
    )));
}

/// What was told of unclaimed messages since the last call.
fn unclaimed(raw: &mut Raw) -> Vec<String> {
    raw.poll();
    let events = std::mem::take(&mut raw.events);
    let topics = events.into_iter().filter_map(|event| match event {
        Event::Unclaimed { topic } => Some(topic),
        _ => None,
    });
    topics.collect()
}

/// A resumed session in which nobody is expected to look into the default queue.
fn resumed() -> Raw {
    let mut raw = Raw::new(config(Version::V5).clean_start(false));
    raw.session.keep_unclaimed(false);
    raw.session.connect(raw.now);
    raw.open();
    raw.accept(true, NONE);
    raw
}

#[test]
fn what_no_route_claims_is_held_unacknowledged_and_told_once_until_a_subscription_claims_it() {
    let mut raw = resumed();
    raw.feed_publish("old/1", at_least_once(1), b"x");
    raw.feed_publish("old/2", at_least_once(2), b"x");
    raw.feed_publish("other", at_least_once(3), b"x");
    assert_eq!(unclaimed(&mut raw), ["old/1"]);
    assert_eq!(raw.lines(), Vec::<String>::new());
    let queue = raw.session.open_queue();
    raw.subscribe("old/+", queue);
    assert_eq!(take(&mut raw, queue), ["old/1", "old/2"]);
    raw.packets();
    // It is told anew when all were claimed in between.
    assert_eq!(take(&mut raw, QueueId::DEFAULT), ["other"]);
    assert_eq!(raw.lines(), ["PUBACK 3"]);
    raw.feed_publish("other", at_least_once(4), b"x");
    assert_eq!(unclaimed(&mut raw), ["other"]);
}

#[test]
fn unclaimed_messages_of_qos_0_are_dropped_and_counted_where_nobody_looks() {
    let mut raw = resumed();
    raw.feed_publish("old", Flow::AtMostOnce, b"x");
    assert_eq!(unclaimed(&mut raw), Vec::<String>::new());
    assert!(take(&mut raw, QueueId::DEFAULT).is_empty());
    let stats = raw.session.stats();
    assert_eq!((stats.dropped, stats.dropped_unclaimed), (1, 1));
}

#[test]
fn what_waited_for_the_last_handle_is_told_as_unclaimed_when_that_is_closed() {
    let mut raw = resumed();
    let queue = raw.session.open_queue();
    raw.subscribe("a", queue);
    raw.feed_publish("a", at_least_once(1), b"x");
    assert_eq!(unclaimed(&mut raw), Vec::<String>::new());
    raw.session.close_queue(raw.now, queue);
    assert_eq!(unclaimed(&mut raw), ["a"]);
    // The same when nobody looks any more into the default queue.
    raw.session.keep_unclaimed(true);
    raw.session.keep_unclaimed(false);
    assert_eq!(unclaimed(&mut raw), ["a"]);
    raw.session.keep_unclaimed(true);
    raw.feed_publish("b", at_least_once(2), b"x");
    assert_eq!(unclaimed(&mut raw), Vec::<String>::new(), "somebody looks");
}

fn at_most(max: usize) -> QueueOptions {
    let mut options = QueueOptions::default();
    options.max_at_most_once = std::num::NonZeroUsize::new(max);
    options
}

fn on_arrival() -> QueueOptions {
    let mut options = QueueOptions::default();
    options.ack_on_arrival = true;
    options
}

#[test]
fn the_bound_of_a_subscription_drops_the_oldest_of_qos_0_and_counts() {
    let (mut raw, queues) = subscribed(Version::V5, &["a/+", "#"]);
    raw.session.set_queue(raw.now, queues[0], at_most(2));
    raw.feed_publish("a/kept", at_least_once(1), b"x");
    for topic in ["a/1", "a/2", "a/3", "a/4"] {
        raw.feed_publish(topic, Flow::AtMostOnce, b"x");
    }
    raw.feed_publish("a/kept too", at_least_once(2), b"x");
    assert_eq!(raw.session.dropped_of(queues[0]), 2);
    assert_eq!(raw.session.stats().dropped, 2);
    let taken = take(&mut raw, queues[0]);
    assert_eq!(taken, ["a/kept", "a/3", "a/4", "a/kept too"]);
    // Another one that matches has a bound of its own, or none.
    assert_eq!(raw.session.dropped_of(queues[1]), 0);
    assert_eq!(take(&mut raw, queues[1]).len(), 6);
    assert_eq!(raw.session.stats().inbox_bytes, 0);
    // A smaller bound applies to what waits.
    for topic in ["a/1", "a/2"] {
        raw.feed_publish(topic, Flow::AtMostOnce, b"x");
    }
    raw.session.set_queue(raw.now, queues[0], at_most(1));
    assert_eq!(take(&mut raw, queues[0]), ["a/2"]);
    assert_eq!(raw.session.dropped_of(queues[0]), 3);
    assert_eq!(raw.session.stats().dropped, 3);
    for topic in ["a/1", "a/2", "a/3"] {
        raw.feed_publish(topic, Flow::AtMostOnce, b"x");
    }
    assert_eq!(raw.session.stats().dropped, 5);
}

#[test]
fn a_queue_that_acknowledges_on_arrival_does_so_before_anybody_takes_the_message() {
    for version in [Version::V3_1_1, Version::V5] {
        let (mut raw, queues) = subscribed(version, &["a", "b", "+"]);
        raw.session.set_queue(raw.now, queues[0], on_arrival());
        raw.session.close_queue(raw.now, queues[2]);
        raw.feed_publish("a", at_least_once(1), b"x");
        raw.feed_publish("a", pair::raw::exactly_once(2), b"x");
        assert_eq!(raw.lines(), ["PUBACK 1", "PUBREC 2"]);
        // It keeps its place in the order of acknowledgements.
        raw.feed_publish("b", at_least_once(3), b"x");
        raw.feed_publish("a", at_least_once(4), b"x");
        assert_eq!(raw.lines(), Vec::<String>::new());
        assert_eq!(take(&mut raw, queues[1]), ["b"]);
        assert_eq!(raw.lines(), ["PUBACK 3", "PUBACK 4"]);
        assert!(raw.session.stats().inbox_bytes > 0, "their room is taken");
        assert_eq!(take(&mut raw, queues[0]), ["a", "a", "a"]);
        assert_eq!(raw.session.stats().inbox_bytes, 0);
        assert_eq!(raw.lines(), Vec::<String>::new());
    }
}

#[test]
fn a_message_for_a_queue_of_each_kind_is_acknowledged_by_the_ticket() {
    let (mut raw, queues) = subscribed(Version::V3_1_1, &["a", "+"]);
    raw.session.set_queue(raw.now, queues[0], on_arrival());
    raw.feed_publish("a", at_least_once(1), b"x");
    assert_eq!(take(&mut raw, queues[0]), ["a"]);
    assert_eq!(raw.lines(), Vec::<String>::new());
    assert_eq!(take(&mut raw, queues[1]), ["a"]);
    assert_eq!(raw.lines(), ["PUBACK 1"]);
}

#[test]
fn what_waits_is_acknowledged_when_its_queue_is_told_to_do_so_on_arrival() {
    let (mut raw, queues) = subscribed(Version::V5, &["a"]);
    for number in 1..=3 {
        raw.feed_publish("a", at_least_once(number), b"x");
    }
    let first = raw.take(queues[0]);
    raw.session.set_queue(raw.now, queues[0], on_arrival());
    assert_eq!(raw.lines(), Vec::<String>::new(), "the first one is taken");
    raw.session.ack(raw.now, first.ticket).expect("fresh");
    assert_eq!(raw.lines(), ["PUBACK 1", "PUBACK 2", "PUBACK 3"]);
    assert!(raw.session.stats().inbox_bytes > 0, "their room is taken");
    // To take them then acknowledges nothing that came later.
    for number in 4..=6 {
        raw.feed_publish("b", at_least_once(number), b"x");
    }
    let full = raw.session.stats().inbox_bytes;
    assert_eq!(take(&mut raw, queues[0]), ["a", "a"]);
    assert_eq!(raw.lines(), Vec::<String>::new());
    let left = raw.session.stats().inbox_bytes;
    assert!(left < full && left > 0, "{left} of {full}");
    assert_eq!(take(&mut raw, QueueId::DEFAULT).len(), 3);
    assert_eq!(raw.session.stats().inbox_bytes, 0);
    // A message of a session that is lost acknowledges nothing of the next one.
    let (mut raw, queues) = subscribed(Version::V5, &["a"]);
    raw.feed_publish("a", at_least_once(1), b"x");
    raw.reconnect(false, NONE);
    raw.packets();
    raw.feed_publish("b", at_least_once(1), b"x");
    raw.session.set_queue(raw.now, queues[0], on_arrival());
    assert_eq!(raw.lines(), Vec::<String>::new());
}

#[test]
fn a_queue_that_unsubscribes_from_one_filter_leaves_its_others_when_it_closes() {
    let mut raw = Raw::connected(config(Version::V5));
    let queue = raw.session.open_queue();
    for filter in ["a", "b", "c"] {
        raw.subscribe(filter, queue);
        raw.packets();
        grant(&mut raw, 65535, 1);
    }
    let filters = vec!["b".try_into().expect("a filter")];
    raw.session
        .unsubscribe(raw.now, filters, NONE)
        .expect("accepted");
    raw.packets();
    raw.feed(&Packet::UnsubAck(UnsubAck {
        id: id(65535),
        codes: vec![ReasonCode::SUCCESS],
        properties: NONE,
    }));
    raw.session.close_queue(raw.now, queue);
    // Another queue has its place now, and none of its filters.
    let next = raw.session.open_queue();
    for topic in ["a", "b", "c"] {
        raw.feed_publish(topic, at_least_once(1), b"x");
        assert_eq!(take(&mut raw, next), Vec::<String>::new());
        assert_eq!(take(&mut raw, queue), Vec::<String>::new());
        assert_eq!(take(&mut raw, QueueId::DEFAULT), [topic]);
    }
}

#[test]
fn a_subscription_that_is_too_long_for_the_next_server_ends_with_an_event() {
    let mut raw = Raw::connected(config(Version::V5));
    let long = "long/".repeat(30);
    for filter in [&long, "short"] {
        raw.subscribe(filter, QueueId::DEFAULT);
        raw.packets();
        grant(&mut raw, 65535, 1);
    }
    let less = Properties::builder().maximum_packet_size(NonZeroU32::new(100).expect("not 0"));
    raw.reconnect(false, less.build().expect("good"));
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 short"]);
    let lost = raw.events.iter().find_map(|event| match event {
        Event::SubscriptionLost { filter, reason } => Some((filter.to_string(), *reason)),
        _ => None,
    });
    assert_eq!(lost, Some((long, ReasonCode::PACKET_TOO_LARGE)));
}

#[test]
fn what_a_subscription_claims_that_came_before_it_counts_against_its_bound() {
    let mut raw = Raw::connected(config(Version::V5));
    for topic in ["a/1", "a/2", "a/3"] {
        raw.feed_publish(topic, Flow::AtMostOnce, b"x");
    }
    let queue = raw.session.open_queue();
    raw.session.set_queue(raw.now, queue, at_most(3));
    raw.subscribe("a/+", queue);
    raw.feed_publish("a/4", Flow::AtMostOnce, b"x");
    assert_eq!(raw.session.dropped_of(queue), 1);
    assert_eq!(take(&mut raw, queue), ["a/2", "a/3", "a/4"]);
}

#[test]
fn what_waits_when_nobody_looks_any_more_stays_where_it_fills_no_more_than_half() {
    let mut raw = Raw::connected(config(Version::V5));
    for topic in ["a", "b", "c"] {
        raw.feed_publish(topic, Flow::AtMostOnce, b"x");
    }
    raw.session.keep_unclaimed(false);
    assert_eq!(take(&mut raw, QueueId::DEFAULT), ["a", "b", "c"]);
    assert_eq!(raw.session.stats().dropped, 0);
}

#[test]
fn a_queue_that_one_filter_was_refused_for_gives_up_the_others_when_it_closes() {
    let mut raw = Raw::connected(config(Version::V5));
    let queue = raw.session.open_queue();
    raw.subscribe("a", queue);
    raw.subscribe("b", queue);
    raw.packets();
    grant(&mut raw, 65535, 1);
    raw.feed(&Packet::SubAck(SubAck {
        id: id(65534),
        codes: vec![ReasonCode::NOT_AUTHORIZED],
        properties: NONE,
    }));
    raw.session.close_queue(raw.now, queue);
    raw.feed_publish("a", at_least_once(1), b"x");
    assert_eq!(take(&mut raw, QueueId::DEFAULT), ["a"]);
    raw.reconnect(false, NONE);
    assert_eq!(raw.lines(), Vec::<String>::new(), "nobody wants any");
}
