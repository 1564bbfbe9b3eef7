//! Several handles on one filter, and what becomes of them.

mod pair;

use mqtt_session::proto::{Packet, Properties, QoS, ReasonCode, SubAck, SubscribeOptions, Version};
use mqtt_session::{Event, QueueId, SubscribeError, Token};
use pair::config;
use pair::raw::{Raw, at_least_once, id};

const NONE: Properties = Properties::new();

fn suback(number: u16, codes: &[u8]) -> Packet {
    let codes = codes.iter().map(|code| ReasonCode(*code)).collect();
    Packet::SubAck(SubAck {
        id: id(number),
        codes,
        properties: NONE,
    })
}

fn asked(
    filters: &[&str],
    options: SubscribeOptions,
) -> Vec<(mqtt_session::proto::TopicFilter, SubscribeOptions)> {
    let filter = |filter: &&str| ((*filter).try_into().expect("a filter"), options);
    filters.iter().map(filter).collect()
}

const EXACTLY_ONCE: SubscribeOptions = SubscribeOptions::new(QoS::ExactlyOnce);

fn codes(raw: &Raw, wanted: Token) -> Option<Vec<u8>> {
    raw.events.iter().find_map(|event| match event {
        Event::Subscribed { token, result } if *token == wanted => {
            Some(result.as_ref().ok()?.iter().map(|code| code.0).collect())
        }
        _ => None,
    })
}

fn payload(raw: &mut Raw, queue: QueueId) -> Option<Vec<u8>> {
    let received = raw.session.poll_message(queue)?;
    let payload = received.publish.payload().to_vec();
    raw.session.ack(raw.now, received.ticket).expect("fresh");
    Some(payload)
}

/// Two queues with the filter `a/+`, of which the second has shared the first one's subscription.
fn two() -> (Raw, QueueId, QueueId) {
    let mut raw = Raw::connected(config(Version::V5));
    let (one, other) = (raw.session.open_queue(), raw.session.open_queue());
    raw.subscribe("a/+", one);
    raw.packets();
    raw.feed(&suback(65535, &[2]));
    let token = raw.subscribe("a/+", other);
    assert_eq!(raw.lines(), Vec::<String>::new(), "the server has it");
    assert_eq!(codes(&raw, token), Some(vec![2]));
    (raw, one, other)
}

#[test]
fn handles_on_one_filter_share_the_servers_one_subscription() {
    let (mut raw, one, other) = two();
    raw.feed_publish("a/b", at_least_once(1), b"x");
    assert_eq!(payload(&mut raw, one).as_deref(), Some(&b"x"[..]));
    assert_eq!(
        raw.lines(),
        Vec::<String>::new(),
        "the other one has not taken it"
    );
    assert_eq!(payload(&mut raw, other).as_deref(), Some(&b"x"[..]));
    assert_eq!(raw.lines(), ["PUBACK 1"]);
    // Once is enough for both when the server has lost it.
    raw.reconnect(false, NONE);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a/+"]);
}

#[test]
fn a_handle_is_closed_without_a_word_and_the_others_go_on() {
    let (mut raw, one, other) = two();
    raw.session.close_queue(raw.now, one);
    raw.feed_publish("a/b", at_least_once(1), b"x");
    assert_eq!(payload(&mut raw, other).as_deref(), Some(&b"x"[..]));
    assert_eq!(raw.lines(), ["PUBACK 1"]);
    // The last one, too; and then nothing claims what comes.
    raw.session.close_queue(raw.now, other);
    raw.feed_publish("a/b", at_least_once(2), b"y");
    assert_eq!(raw.lines(), Vec::<String>::new());
    assert_eq!(
        payload(&mut raw, QueueId::DEFAULT).as_deref(),
        Some(&b"y"[..])
    );
    raw.reconnect(false, NONE);
    assert_eq!(
        raw.lines(),
        Vec::<String>::new(),
        "nobody wants it any more"
    );
}

#[test]
fn a_filter_whose_handles_are_gone_is_asked_for_again() {
    let (mut raw, one, other) = two();
    raw.session.close_queue(raw.now, one);
    raw.session.close_queue(raw.now, other);
    // So that the retained messages come.
    let queue = raw.session.open_queue();
    raw.subscribe("a/+", queue);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a/+"]);
}

#[test]
fn other_options_on_a_live_filter_are_a_conflict_and_nothing_is_sent() {
    let (mut raw, ..) = two();
    let queue = raw.session.open_queue();
    let mut others = [EXACTLY_ONCE; 4];
    others[0].qos = QoS::AtLeastOnce;
    others[1].no_local = true;
    others[2].retain_as_published = true;
    others[3].retain_handling = mqtt_session::proto::RetainHandling::DoNotSend;
    for options in others {
        let error = raw
            .session
            .subscribe(raw.now, asked(&["fine", "a/+"], options), NONE, queue)
            .expect_err("a conflict");
        let filter = "a/+".try_into().expect("a filter");
        assert_eq!(error, SubscribeError::Conflict { filter });
    }
    assert_eq!(raw.lines(), Vec::<String>::new());
    raw.feed_publish("a/b", at_least_once(1), b"x");
    assert!(raw.session.poll_message(queue).is_none());
}

#[test]
fn other_options_conflict_also_before_the_first_suback() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.subscribe("a", QueueId::DEFAULT);
    let other = asked(&["a"], QoS::AtMostOnce.into());
    let error = raw
        .session
        .subscribe(raw.now, other, NONE, QueueId::DEFAULT);
    assert!(matches!(error, Err(SubscribeError::Conflict { .. })));
}

#[test]
fn replace_changes_the_options_for_all_handles() {
    let (mut raw, one, other) = two();
    let queue = raw.session.open_queue();
    let options = SubscribeOptions {
        no_local: true,
        ..EXACTLY_ONCE
    };
    let token = raw
        .session
        .replace_subscription(raw.now, asked(&["a/+"], options), NONE, queue)
        .expect("accepted");
    let packets = raw.packets();
    let [Packet::Subscribe(subscribe)] = packets.as_slice() else {
        panic!("{packets:?}")
    };
    assert_eq!(subscribe.filters[0].1, options);
    raw.feed(&suback(65535, &[2]));
    assert_eq!(codes(&raw, token), Some(vec![2]));
    raw.feed_publish("a/b", at_least_once(1), b"x");
    for queue in [one, other, queue] {
        assert_eq!(payload(&mut raw, queue).as_deref(), Some(&b"x"[..]));
    }
    assert_eq!(raw.lines(), ["PUBACK 1"]);
    // The new options are those that are asked for anew.
    raw.reconnect(false, NONE);
    let packets = raw.packets();
    let [Packet::Subscribe(subscribe)] = packets.as_slice() else {
        panic!("{packets:?}")
    };
    assert_eq!(subscribe.filters[0].1, options);
}

#[test]
fn a_filter_that_is_being_unsubscribed_has_no_options_to_conflict_with() {
    let (mut raw, ..) = two();
    let filters = vec!["a/+".try_into().expect("a filter")];
    raw.session
        .unsubscribe(raw.now, filters, NONE)
        .expect("accepted");
    let queue = raw.session.open_queue();
    raw.session
        .subscribe(
            raw.now,
            asked(&["a/+"], QoS::AtMostOnce.into()),
            NONE,
            queue,
        )
        .expect("accepted");
    assert_eq!(
        raw.lines(),
        ["UNSUBSCRIBE 65535 a/+", "SUBSCRIBE 65534 a/+"]
    );
}

#[test]
fn a_second_subscribe_that_is_withdrawn_leaves_the_first_alone() {
    let mut raw = Raw::connected(config(Version::V5));
    let (one, other) = (raw.session.open_queue(), raw.session.open_queue());
    raw.subscribe("a", one);
    let second = raw.subscribe("a", other);
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a", "SUBSCRIBE 65534 a"]);
    raw.session.withdraw(raw.now, second);
    raw.feed(&suback(65535, &[2]));
    raw.feed(&suback(65534, &[2]));
    assert_eq!(
        raw.lines(),
        Vec::<String>::new(),
        "the first handle wants it"
    );
    raw.feed_publish("a", at_least_once(1), b"x");
    assert_eq!(payload(&mut raw, one).as_deref(), Some(&b"x"[..]));
    assert_eq!(raw.lines(), ["PUBACK 1"]);
}

#[test]
fn no_local_on_a_shared_subscription_is_refused_at_the_call() {
    // [MQTT-3.8.3-4]
    let mut raw = Raw::connected(config(Version::V5));
    let options = SubscribeOptions {
        no_local: true,
        ..EXACTLY_ONCE
    };
    let shared = asked(&["$share/group/a"], options);
    let error = raw
        .session
        .subscribe(raw.now, shared, NONE, QueueId::DEFAULT);
    assert_eq!(
        error,
        Err(SubscribeError::Encode(
            mqtt_session::proto::EncodeError::NoLocalOnShared
        ))
    );
    assert_eq!(raw.lines(), Vec::<String>::new());
}
