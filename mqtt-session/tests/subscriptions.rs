//! Subscriptions over reconnects, and requests that are taken back.

mod pair;

use std::time::Duration;

use mqtt_session::proto::{
    Packet, Properties, QoS, ReasonCode, SubAck, SubscribeOptions, UnsubAck, Version,
};
use mqtt_session::{Cause, ConfigBuilder, Event, Limits, QueueId};
use pair::raw::{Raw, at_least_once, id};
use pair::{Pair, config};

const NONE: Properties = Properties::new();

/// A configuration whose session outlives a connection in each version.
fn lasting(version: Version) -> ConfigBuilder {
    config(version).clean_start(false)
}

fn suback(number: u16, codes: &[u8]) -> Packet {
    let codes = codes.iter().map(|code| ReasonCode(*code)).collect();
    Packet::SubAck(SubAck {
        id: id(number),
        codes,
        properties: NONE,
    })
}

fn unsuback(number: u16) -> Packet {
    Packet::UnsubAck(UnsubAck {
        id: id(number),
        codes: vec![ReasonCode::SUCCESS],
        properties: NONE,
    })
}

#[test]
fn granted_subscriptions_are_asked_for_again_when_the_server_has_no_session_and_only_then() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.subscribe("a/+", QueueId::DEFAULT);
    raw.subscribe("refused", QueueId::DEFAULT);
    assert_eq!(
        raw.lines(),
        ["SUBSCRIBE 65535 a/+", "SUBSCRIBE 65534 refused"]
    );
    raw.feed(&suback(65535, &[2]));
    raw.feed(&suback(65534, &[0x87]));
    raw.reconnect(true, NONE);
    assert_eq!(raw.lines(), Vec::<String>::new());
    raw.reconnect(false, NONE);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a/+"]);
    raw.feed(&suback(65535, &[2]));
    let subscribed = raw
        .events
        .iter()
        .filter(|event| matches!(event, Event::Subscribed { .. }))
        .count();
    assert_eq!(subscribed, 2, "nobody asked for the third");
}

#[test]
fn a_subscription_that_the_server_refuses_anew_is_reported() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.subscribe("a", QueueId::DEFAULT);
    raw.feed(&suback(65535, &[1]));
    raw.reconnect(false, NONE);
    raw.packets();
    raw.feed(&suback(65535, &[0x87]));
    let lost = raw.events.iter().find_map(|event| match event {
        Event::SubscriptionLost { filter, reason } => Some((filter.to_string(), *reason)),
        _ => None,
    });
    assert_eq!(lost, Some(("a".to_owned(), ReasonCode::NOT_AUTHORIZED)));
    raw.reconnect(false, NONE);
    assert_eq!(raw.lines(), Vec::<String>::new());
}

#[test]
fn subscribing_anew_goes_on_when_the_connection_is_lost_before_its_suback() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.subscribe("a", QueueId::DEFAULT);
    raw.feed(&suback(65535, &[1]));
    raw.reconnect(false, NONE);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"]);
    // The server has a session now, and perhaps never got the SUBSCRIBE.
    raw.reconnect(true, NONE);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"]);
    // And once is enough when it has lost it again.
    raw.reconnect(false, NONE);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"]);
    raw.feed(&suback(65535, &[1]));
    raw.reconnect(true, NONE);
    assert_eq!(raw.lines(), Vec::<String>::new());
}

#[test]
fn subscriptions_that_changed_while_offline_are_right_after_the_reconnect() {
    for session_present in [true, false] {
        let mut pair = Pair::connected(lasting(Version::V5));
        pair.subscribe("kept", QoS::AtLeastOnce);
        pair.subscribe("dropped", QoS::AtLeastOnce);
        pair.run();
        pair.network = pair::Network::Refuses;
        pair.cut();
        pair.subscribe("new", QoS::AtLeastOnce);
        let filters = vec!["dropped".try_into().expect("a filter")];
        pair.session
            .unsubscribe(pair.now(), filters, NONE)
            .expect("accepted");
        if !session_present {
            pair.broker.restart(pair.clock.now(), false);
        }
        pair.network = pair::Network::Up;
        pair.run_for(Duration::from_secs(10));
        let subscriptions = pair
            .broker
            .session("client")
            .expect("a session")
            .subscriptions;
        let mut filters: Vec<_> = subscriptions
            .iter()
            .map(|(filter, _)| filter.to_string())
            .collect();
        filters.sort();
        assert_eq!(filters, ["kept", "new"], "{}", pair.broker.ladder());
        pair.check();
    }
}

#[test]
fn a_subscribe_that_is_withdrawn_unsent_vanishes() {
    let mut raw = Raw::new(config(Version::V5));
    let token = raw.subscribe("a", QueueId::DEFAULT);
    raw.session.withdraw(raw.now, token);
    raw.session.connect(raw.now);
    raw.open();
    raw.accept(false, NONE);
    assert_eq!(raw.lines(), Vec::<String>::new());
    assert!(
        !raw.events
            .iter()
            .any(|event| matches!(event, Event::Subscribed { .. }))
    );
}

#[test]
fn a_subscribe_that_is_withdrawn_after_it_was_sent_is_unsubscribed_after_its_suback() {
    let mut raw = Raw::connected(config(Version::V5));
    let token = raw.subscribe("a", QueueId::DEFAULT);
    raw.packets();
    raw.session.withdraw(raw.now, token);
    assert_eq!(raw.lines(), Vec::<String>::new());
    raw.feed(&suback(65535, &[1]));
    assert_eq!(raw.lines(), ["UNSUBSCRIBE 65535 a"]);
    assert!(
        !raw.events
            .iter()
            .any(|event| matches!(event, Event::Subscribed { .. }))
    );
}

#[test]
fn a_withdrawn_subscribe_is_undone_also_when_the_connection_is_lost_before_its_suback() {
    let mut raw = Raw::connected(config(Version::V5));
    let token = raw.subscribe("a", QueueId::DEFAULT);
    raw.packets();
    raw.session.withdraw(raw.now, token);
    raw.reconnect(true, NONE);
    assert_eq!(raw.lines(), ["UNSUBSCRIBE 65535 a"]);
    // The same before the UNSUBACK.
    raw.reconnect(true, NONE);
    assert_eq!(raw.lines(), ["UNSUBSCRIBE 65535 a"]);
    raw.feed(&unsuback(65535));
    raw.reconnect(true, NONE);
    assert_eq!(raw.lines(), Vec::<String>::new());
}

#[test]
fn a_withdrawn_subscribe_needs_no_undoing_where_the_server_has_lost_the_session() {
    let mut raw = Raw::connected(config(Version::V5));
    let token = raw.subscribe("a", QueueId::DEFAULT);
    raw.packets();
    raw.session.withdraw(raw.now, token);
    raw.reconnect(false, NONE);
    assert_eq!(raw.lines(), Vec::<String>::new());
}

/// Two queues that were subscribed before the answer to the first came.
fn asked_for_by_two() -> (Raw, [QueueId; 2]) {
    let mut raw = Raw::connected(config(Version::V5));
    let queues = [raw.session.open_queue(), raw.session.open_queue()];
    queues.iter().for_each(|queue| {
        raw.subscribe("a", *queue);
    });
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a", "SUBSCRIBE 65534 a"]);
    raw.feed(&suback(65535, &[2]));
    (raw, queues)
}

#[test]
fn a_subscription_of_one_queue_stays_granted_when_it_is_refused_to_another() {
    let (mut raw, [first, _]) = asked_for_by_two();
    raw.feed(&suback(65534, &[0x87]));
    raw.reconnect(false, NONE);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"]);
    raw.feed_publish("a", at_least_once(1), b"x");
    assert_eq!(raw.take(first).publish.payload(), b"x");
}

#[test]
fn what_was_granted_to_a_queue_that_is_closed_is_not_granted_to_one_that_still_waits() {
    let (mut raw, [first, second]) = asked_for_by_two();
    raw.session.close_queue(raw.now, first);
    raw.reconnect(false, NONE);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"], "its own, and no other");
    raw.feed_publish("a", at_least_once(1), b"x");
    assert_eq!(raw.take(second).publish.payload(), b"x");
}

#[test]
fn what_was_sent_and_not_answered_is_sent_again_in_its_order() {
    let mut raw = Raw::connected(config(Version::V5));
    let queue = raw.session.open_queue();
    raw.subscribe("a", queue);
    raw.feed(&suback(65535, &[0]));
    let filter = || "a".try_into().expect("a filter");
    let accepted = raw.session.unsubscribe(raw.now, vec![filter()], NONE);
    accepted.expect("accepted");
    let filters = vec![(filter(), SubscribeOptions::default())];
    let accepted = raw
        .session
        .declare_subscription(raw.now, filters, NONE, queue);
    accepted.expect("accepted");
    raw.packets();
    raw.reconnect(true, NONE);
    assert_eq!(raw.lines(), ["UNSUBSCRIBE 65535 a", "SUBSCRIBE 65534 a"]);
}

#[test]
fn an_unsubscribe_that_a_granted_subscription_has_overtaken_is_not_sent_again() {
    let mut raw = Raw::connected(config(Version::V5));
    let queue = raw.session.open_queue();
    // Of its own accord, since the first subscribe is taken back; then because the application asked for it.
    let withdrawn = raw.subscribe("a", queue);
    raw.packets();
    raw.session.withdraw(raw.now, withdrawn);
    raw.feed(&suback(65535, &[0]));
    assert_eq!(raw.lines(), ["UNSUBSCRIBE 65535 a"]);
    raw.subscribe("a", queue);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65534 a"]);
    raw.feed(&suback(65534, &[0]));
    raw.reconnect(true, NONE);
    assert_eq!(raw.lines(), Vec::<String>::new());

    let filters = vec!["a".try_into().expect("a filter")];
    let token = raw.session.unsubscribe(raw.now, filters, NONE);
    let token = token.expect("accepted");
    raw.subscribe("a", queue);
    assert_eq!(raw.lines(), ["UNSUBSCRIBE 65535 a", "SUBSCRIBE 65534 a"]);
    raw.feed(&suback(65534, &[0]));
    raw.reconnect(true, NONE);
    assert_eq!(raw.lines(), Vec::<String>::new());
    let told = raw.events.iter().any(|event| {
        matches!(event, Event::Unsubscribed { token: of, result: Ok(codes) }
            if *of == token && codes[..] == [ReasonCode::SUCCESS])
    });
    assert!(told, "{:?}", raw.events);
    raw.reconnect(false, NONE);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"]);
}

#[test]
fn an_unsubscribe_is_overtaken_though_others_wait_behind_it() {
    let mut raw = Raw::connected(config(Version::V5));
    let queue = raw.session.open_queue();
    raw.subscribe("a", queue);
    raw.subscribe("b", queue);
    raw.packets();
    raw.feed(&suback(65535, &[0]));
    raw.feed(&suback(65534, &[0]));
    for filter in ["a", "b"] {
        let filters = vec![filter.try_into().expect("a filter")];
        let token = raw.session.unsubscribe(raw.now, filters, NONE);
        token.expect("accepted");
    }
    raw.subscribe("a", queue);
    let sent = raw.lines();
    assert_eq!(sent.len(), 3, "{sent:?}");
    let Some(number) = sent[2].strip_prefix("SUBSCRIBE ") else {
        panic!("{sent:?}")
    };
    let number = number.strip_suffix(" a").and_then(|n| n.parse().ok());
    raw.feed(&suback(number.expect("an identifier"), &[0]));
    raw.reconnect(true, NONE);
    assert_eq!(raw.lines(), ["UNSUBSCRIBE 65535 b"]);
}

/// A SUBSCRIBE that is sent a second time, as the answer to the first one was lost.
fn sent_again() -> (Raw, mqtt_session::Token) {
    let mut raw = Raw::connected(config(Version::V5));
    let queue = raw.session.open_queue();
    let token = raw.subscribe("a", queue);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"]);
    raw.reconnect(true, NONE);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"]);
    (raw, token)
}

#[test]
fn a_subscribe_that_is_refused_at_its_second_sending_is_undone_as_the_first_may_have_been_granted()
{
    let (mut raw, token) = sent_again();
    raw.feed(&suback(65535, &[0x87]));
    let told = raw.events.iter().any(|event| {
        matches!(event, Event::Subscribed { token: of, result: Ok(codes) }
            if *of == token && codes[..] == [ReasonCode::NOT_AUTHORIZED])
    });
    assert!(told);
    assert_eq!(raw.lines(), ["UNSUBSCRIBE 65535 a"]);
    raw.feed(&unsuback(65535));
    raw.reconnect(true, NONE);
    assert_eq!(raw.lines(), Vec::<String>::new());
}

#[test]
fn a_withdrawn_subscribe_is_undone_also_when_its_second_sending_is_refused() {
    let (mut raw, token) = sent_again();
    raw.session.withdraw(raw.now, token);
    raw.feed(&suback(65535, &[0x87]));
    assert_eq!(raw.lines(), ["UNSUBSCRIBE 65535 a"]);
}

#[test]
fn a_subscribe_that_is_refused_at_its_first_sending_needs_no_undoing() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.subscribe("a", QueueId::DEFAULT);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"]);
    raw.feed(&suback(65535, &[0x87]));
    assert_eq!(raw.lines(), Vec::<String>::new());
}

/// Granted, then unsubscribed and subscribed to again, with neither answered.
fn left_and_asked_for_again() -> (Raw, QueueId) {
    let mut raw = Raw::connected(config(Version::V5));
    let queue = raw.session.open_queue();
    raw.subscribe("a", queue);
    raw.feed(&suback(65535, &[1]));
    raw.session
        .unsubscribe(raw.now, vec!["a".try_into().expect("a filter")], NONE)
        .expect("accepted");
    raw.subscribe("a", queue);
    (raw, queue)
}

#[test]
fn subscribing_again_before_the_unsuback_came_keeps_the_new_subscription() {
    let (mut raw, queue) = left_and_asked_for_again();
    raw.packets();
    raw.feed(&unsuback(65535));
    raw.feed(&suback(65534, &[1]));
    raw.feed_publish("a", at_least_once(1), b"x");
    assert_eq!(raw.take(queue).publish.payload(), b"x");
    raw.reconnect(false, NONE);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"]);
}

#[test]
fn what_is_granted_again_before_the_unsuback_came_is_asked_for_anew_whatever_else_waits() {
    let (mut raw, queue) = left_and_asked_for_again();
    raw.subscribe("b", queue);
    raw.packets();
    raw.feed(&suback(65534, &[1]));
    raw.feed(&unsuback(65535));
    raw.reconnect(false, NONE);
    let mut filters: Vec<_> = raw
        .lines()
        .iter()
        .map(|line| line.split(' ').next_back().map(str::to_owned))
        .collect();
    filters.sort_unstable();
    assert_eq!(filters, [Some("a".to_owned()), Some("b".to_owned())]);
}

#[test]
fn what_is_granted_again_before_the_unsuback_came_stays_though_another_has_taken_its_subscribe_back()
 {
    let mut raw = Raw::connected(config(Version::V5));
    let [queue, another] = [0; 2].map(|_| raw.session.open_queue());
    raw.subscribe("a", queue);
    raw.feed(&suback(65535, &[1]));
    raw.session
        .unsubscribe(raw.now, vec!["a".try_into().expect("a filter")], NONE)
        .expect("accepted");
    raw.subscribe("a", queue);
    raw.feed(&suback(65534, &[1]));
    raw.packets();
    let token = raw.subscribe("a", another);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65534 a"]);
    raw.session.withdraw(raw.now, token);
    raw.feed(&unsuback(65535));
    raw.reconnect(false, NONE);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"]);
    raw.feed_publish("a", at_least_once(1), b"x");
    assert_eq!(raw.take(queue).publish.payload(), b"x");
}

/// A subscribe that was answered, and an unsubscribe and another subscribe behind it that were not.
fn granted_until_it_ends() -> (Raw, QueueId) {
    let mut raw = Raw::connected(config(Version::V5));
    let queue = raw.session.open_queue();
    raw.subscribe("a", queue);
    raw.session
        .unsubscribe(raw.now, vec!["a".try_into().expect("a filter")], NONE)
        .expect("accepted");
    raw.subscribe("a", queue);
    let lines = [
        "SUBSCRIBE 65535 a",
        "UNSUBSCRIBE 65534 a",
        "SUBSCRIBE 65533 a",
    ];
    assert_eq!(raw.lines(), lines);
    raw.feed(&suback(65535, &[1]));
    (raw, queue)
}

#[test]
fn what_an_unsubscribe_under_way_will_end_is_not_shared() {
    let (mut raw, _) = granted_until_it_ends();
    let another = raw.session.open_queue();
    let token = raw.subscribe("a", another);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"]);
    let told = |raw: &Raw| {
        let mut events = raw.events.iter();
        events.any(|event| matches!(event, Event::Subscribed { token: of, .. } if *of == token))
    };
    assert!(!told(&raw));
    raw.feed(&unsuback(65534));
    raw.feed(&suback(65533, &[0x87]));
    raw.feed(&suback(65535, &[1]));
    assert!(told(&raw));
    raw.feed_publish("a", at_least_once(1), b"x");
    assert_eq!(raw.take(another).publish.payload(), b"x");
}

#[test]
fn what_an_unsubscribe_under_way_will_end_is_not_asked_for_anew() {
    let (mut raw, _) = granted_until_it_ends();
    raw.reconnect(false, NONE);
    assert_eq!(raw.lines(), ["UNSUBSCRIBE 65535 a", "SUBSCRIBE 65534 a"]);
}

#[test]
fn undoing_what_one_was_granted_leaves_those_alone_who_wait_for_something_else() {
    let mut raw = Raw::connected(config(Version::V5));
    let queues = [0; 3].map(|_| raw.session.open_queue());
    let first = raw.subscribe("a", queues[0]);
    raw.subscribe("a", queues[1]);
    raw.subscribe("b", queues[2]);
    raw.packets();
    raw.session.withdraw(raw.now, first);
    raw.feed(&suback(65535, &[1]));
    assert_eq!(raw.lines(), Vec::<String>::new(), "the second wants it");
    raw.feed(&suback(65533, &[0x87]));
    assert_eq!(raw.lines(), Vec::<String>::new(), "b was never granted");
    raw.feed(&suback(65534, &[0x87]));
    assert_eq!(raw.lines(), ["UNSUBSCRIBE 65535 a"], "the first had it");
}

#[test]
fn an_unsubscribe_that_is_not_accepted_leaves_the_subscription_alone() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.subscribe("a", QueueId::DEFAULT);
    raw.feed(&suback(65535, &[1]));
    let long = Properties::builder()
        .user_property("name", &"x".repeat(60_000))
        .build()
        .expect("good properties");
    let small = Properties::builder()
        .maximum_packet_size(1000u32.try_into().expect("not 0"))
        .build()
        .expect("good");
    raw.reconnect(true, small);
    let filter = vec!["a".try_into().expect("a filter")];
    assert!(raw.session.unsubscribe(raw.now, filter, long).is_err());
    raw.reconnect(false, NONE);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"]);
}

#[test]
fn a_subscription_keeps_its_options_when_it_is_made_anew() {
    let mut raw = Raw::connected(config(Version::V5));
    let options = SubscribeOptions {
        no_local: true,
        ..SubscribeOptions::new(QoS::AtLeastOnce)
    };
    let filters = vec![("a".try_into().expect("a filter"), options)];
    raw.session
        .subscribe(raw.now, filters, NONE, QueueId::DEFAULT)
        .expect("accepted");
    raw.packets();
    raw.feed(&suback(65535, &[1]));
    raw.reconnect(false, NONE);
    let packets = raw.packets();
    let [Packet::Subscribe(subscribe)] = packets.as_slice() else {
        panic!("{packets:?}")
    };
    assert_eq!(subscribe.filters[0].1, options);
}

/// A subscribe that is sent and taken back, and another to the same filter that waits for room in the outbox.
fn taken_back_and_wanted_again() -> (Raw, mqtt_session::Token) {
    let mut limits = Limits::default();
    limits.outbox_bytes = 1;
    let mut raw = Raw::connected(config(Version::V5).limits(limits));
    let queue = raw.session.open_queue();
    let first = raw.subscribe("a", queue);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a"]);
    raw.session.withdraw(raw.now, first);
    raw.publish(QoS::AtMostOnce, b"b");
    let second = raw.subscribe("a", queue);
    (raw, second)
}

/// Those, too, that have waited for room.
fn all_lines(raw: &mut Raw) -> Vec<String> {
    let mut lines = raw.lines();
    lines.extend(raw.lines());
    lines
}

#[test]
fn a_subscribe_that_wanted_what_one_before_it_may_have_got_undoes_that_when_it_is_taken_back() {
    let (mut raw, second) = taken_back_and_wanted_again();
    // Before it is sent for the first time.
    raw.closed(Cause::Eof);
    raw.session.withdraw(raw.now, second);
    raw.wait_for_dial();
    raw.open();
    raw.accept(true, NONE);
    assert_eq!(all_lines(&mut raw), ["UNSUBSCRIBE 65535 a", "PUBLISH"]);

    // The same where the answer to the first comes, and the second is refused.
    let (mut raw, second) = taken_back_and_wanted_again();
    raw.feed(&suback(65535, &[0]));
    raw.session.withdraw(raw.now, second);
    assert_eq!(all_lines(&mut raw), ["PUBLISH", "SUBSCRIBE 65535 a"]);
    raw.feed(&suback(65535, &[0x87]));
    assert_eq!(raw.lines(), ["UNSUBSCRIBE 65535 a"]);
}

#[test]
fn of_an_unsubscribe_that_is_overtaken_in_part_that_part_is_subscribed_to_anew() {
    let mut raw = Raw::connected(config(Version::V5));
    let queue = raw.session.open_queue();
    let filters = ["a", "b"].map(|filter| filter.try_into().expect("a filter"));
    let token = raw.session.unsubscribe(raw.now, filters.into(), NONE);
    token.expect("accepted");
    raw.subscribe("a", queue);
    assert_eq!(raw.lines(), ["UNSUBSCRIBE 65535 a,b", "SUBSCRIBE 65534 a"]);
    raw.feed(&suback(65534, &[0]));
    raw.reconnect(true, NONE);
    assert_eq!(raw.lines(), ["UNSUBSCRIBE 65535 a,b", "SUBSCRIBE 65534 a"]);
}
