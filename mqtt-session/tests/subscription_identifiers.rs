//! Subscription identifiers: given by the session, and used to route.

mod pair;

use mqtt_session::proto::{
    Encoder, Flow, Outbox, Packet, Properties, QoS, ReasonCode, Sender, SubAck, UnsubAck, Version,
};
use mqtt_session::{QueueId, SubscribeError};
use mqtt_testkit::BrokerConfig;
use pair::raw::{Raw, at_least_once, id};
use pair::{Pair, config, message};

const NONE: Properties = Properties::new();

fn not_available() -> Properties {
    Properties::builder()
        .subscription_identifier_available(false)
        .build()
        .expect("good")
}

/// The identifiers and filters of each SUBSCRIBE that went out.
fn subscribes(raw: &mut Raw) -> Vec<(Option<u32>, Vec<String>)> {
    raw.packets()
        .iter()
        .map(|packet| {
            let Packet::Subscribe(subscribe) = packet else {
                panic!("{packet:?}")
            };
            let identifier = subscribe
                .properties
                .view()
                .subscription_identifiers()
                .next();
            let filters = subscribe.filters.iter();
            (
                identifier,
                filters.map(|(filter, _)| filter.to_string()).collect(),
            )
        })
        .collect()
}

fn grant(raw: &mut Raw, number: u16, count: usize) {
    raw.feed(&Packet::SubAck(SubAck {
        id: id(number),
        codes: vec![ReasonCode(2); count],
        properties: NONE,
    }));
}

/// A message with these identifiers.
fn feed(raw: &mut Raw, topic: &str, flow: Flow, identifiers: &[u32]) {
    let properties = identifiers
        .iter()
        .fold(Properties::builder(), |builder, identifier| {
            builder.subscription_identifier(*identifier)
        });
    let publish =
        message(topic, topic.as_bytes()).with_properties(properties.build().expect("good"));
    let mut out = Outbox::new();
    Encoder::new(raw.version, Sender::Server)
        .publish(&publish, flow, None, &mut out)
        .expect("a good message");
    let bytes = out.to_vec();
    raw.bytes_in(&bytes);
}

/// Takes and acknowledges what a queue has.
fn take(raw: &mut Raw, queue: QueueId) -> Vec<String> {
    let mut taken = Vec::new();
    while let Some(received) = raw.session.poll_message(queue) {
        taken.push(received.publish.topic().to_string());
        raw.session.ack(raw.now, received.ticket).expect("fresh");
    }
    taken
}

/// Queues for `a/+` and `a/#`, with the identifiers of each.
fn two() -> (Raw, [QueueId; 2], [u32; 2]) {
    let mut raw = Raw::connected(config(Version::V5));
    let queues = [raw.session.open_queue(), raw.session.open_queue()];
    raw.subscribe("a/+", queues[0]);
    raw.subscribe("a/#", queues[1]);
    let sent = subscribes(&mut raw);
    let [(Some(one), _), (Some(other), _)] = sent.as_slice() else {
        panic!("{sent:?}")
    };
    let identifiers = [*one, *other];
    grant(&mut raw, 65535, 1);
    grant(&mut raw, 65534, 1);
    (raw, queues, identifiers)
}

#[test]
fn each_subscribe_has_an_identifier_of_its_own_where_the_server_can() {
    let (_, _, [one, other]) = two();
    assert_ne!(one, other);
    let mut raw = Raw::connected_with(config(Version::V5), not_available());
    raw.subscribe("a", QueueId::DEFAULT);
    assert_eq!(subscribes(&mut raw), [(None, vec!["a".to_owned()])]);
    let mut raw = Raw::connected(config(Version::V3_1_1));
    raw.subscribe("a", QueueId::DEFAULT);
    assert_eq!(subscribes(&mut raw), [(None, vec!["a".to_owned()])]);
}

#[test]
fn a_client_that_wants_none_sends_none_also_when_it_subscribes_anew_and_every_match_gets_a_message()
{
    let mut raw = Raw::connected(config(Version::V5).subscription_identifiers(false));
    let queues = [raw.session.open_queue(), raw.session.open_queue()];
    raw.subscribe("a/+", queues[0]);
    raw.subscribe("a/#", queues[1]);
    let both = [
        (None, vec!["a/+".to_owned()]),
        (None, vec!["a/#".to_owned()]),
    ];
    assert_eq!(subscribes(&mut raw), both);
    grant(&mut raw, 65535, 1);
    grant(&mut raw, 65534, 1);
    feed(&mut raw, "a/b", Flow::AtMostOnce, &[]);
    assert_eq!(take(&mut raw, queues[0]), ["a/b"]);
    assert_eq!(take(&mut raw, queues[1]), ["a/b"]);
    raw.reconnect(false, NONE);
    let again = subscribes(&mut raw);
    let filters: usize = again.iter().map(|(_, filters)| filters.len()).sum();
    assert_eq!(filters, 2);
    assert!(again.iter().all(|(identifier, _)| identifier.is_none()));
}

#[test]
fn a_message_goes_to_exactly_the_subscriptions_that_it_names() {
    let (mut raw, queues, [one, other]) = two();
    feed(&mut raw, "a/b", at_least_once(1), &[one]);
    assert_eq!(take(&mut raw, queues[0]), ["a/b"]);
    assert!(take(&mut raw, queues[1]).is_empty());
    feed(&mut raw, "a/b", at_least_once(2), &[other]);
    assert!(take(&mut raw, queues[0]).is_empty());
    assert_eq!(take(&mut raw, queues[1]), ["a/b"]);
    feed(&mut raw, "a/b", at_least_once(3), &[other, one]);
    assert_eq!(take(&mut raw, queues[0]), ["a/b"]);
    assert_eq!(
        raw.lines(),
        ["PUBACK 1", "PUBACK 2"],
        "the last has not taken it"
    );
    assert_eq!(take(&mut raw, queues[1]), ["a/b"]);
    assert_eq!(raw.lines(), ["PUBACK 3"]);
}

#[test]
fn without_identifiers_or_with_an_unknown_one_every_match_gets_it() {
    let (mut raw, queues, [one, other]) = two();
    let unknown = one + other + 1000;
    for identifiers in [&[][..], &[unknown], &[268_435_455, unknown]] {
        feed(&mut raw, "a/b", Flow::AtMostOnce, identifiers);
        assert_eq!(take(&mut raw, queues[0]), ["a/b"]);
        assert_eq!(take(&mut raw, queues[1]), ["a/b"]);
    }
    // A known one beside it is enough to know where it goes.
    feed(&mut raw, "a/b", Flow::AtMostOnce, &[unknown, one]);
    assert_eq!(take(&mut raw, queues[0]), ["a/b"]);
    assert!(take(&mut raw, queues[1]).is_empty());
}

#[test]
fn an_identifier_of_an_earlier_process_counts_only_where_the_filter_matches() {
    let (mut raw, queues, [one, _]) = two();
    // What the server has under this identifier is something else.
    feed(&mut raw, "a/b/c", at_least_once(1), &[one]);
    assert!(take(&mut raw, queues[0]).is_empty());
    assert_eq!(take(&mut raw, queues[1]), ["a/b/c"]);
    feed(&mut raw, "elsewhere", at_least_once(2), &[one]);
    assert_eq!(take(&mut raw, QueueId::DEFAULT), ["elsewhere"]);
}

#[test]
fn a_message_that_names_a_subscription_without_handles_is_claimed_by_no_other() {
    let (mut raw, queues, [one, other]) = two();
    raw.session.close_queue(raw.now, queues[0]);
    feed(&mut raw, "a/b", at_least_once(1), &[one]);
    assert!(take(&mut raw, queues[1]).is_empty());
    assert_eq!(take(&mut raw, QueueId::DEFAULT), ["a/b"]);
    feed(&mut raw, "a/b", at_least_once(2), &[other]);
    assert_eq!(take(&mut raw, queues[1]), ["a/b"]);
}

#[test]
fn what_was_asked_for_at_once_has_one_identifier_and_is_asked_for_anew_with_it() {
    let mut raw = Raw::connected(config(Version::V5));
    let user = Properties::builder()
        .user_property("who", "me")
        .build()
        .expect("good");
    let filters =
        ["a", "b/#"].map(|name| (name.try_into().expect("a filter"), QoS::ExactlyOnce.into()));
    raw.session
        .subscribe(raw.now, filters.to_vec(), user, QueueId::DEFAULT)
        .expect("accepted");
    raw.subscribe("c", QueueId::DEFAULT);
    let sent = subscribes(&mut raw);
    grant(&mut raw, 65535, 2);
    grant(&mut raw, 65534, 1);
    raw.reconnect(false, NONE);
    let packets = raw.packets();
    let mut user_properties: Vec<Vec<String>> = Vec::new();
    for packet in &packets {
        let Packet::Subscribe(subscribe) = packet else {
            panic!("{packet:?}")
        };
        let user = subscribe.properties.view();
        let pairs = user.user_properties();
        user_properties.push(
            pairs
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
        );
    }
    assert_eq!(user_properties, [vec!["who=me".to_owned()], vec![]]);
    raw.reconnect(false, NONE);
    assert_eq!(subscribes(&mut raw), sent);
    // A server without them gets what it can take, also when it comes later.
    raw.reconnect(false, not_available());
    let anew = subscribes(&mut raw);
    assert!(
        anew.iter().all(|(identifier, _)| identifier.is_none()),
        "{anew:?}"
    );
    assert_eq!(anew.iter().flat_map(|(_, filters)| filters).count(), 3);
}

#[test]
fn an_identifier_of_the_applications_own_is_refused() {
    let mut raw = Raw::connected(config(Version::V5));
    let own = Properties::builder()
        .subscription_identifier(7)
        .build()
        .expect("good");
    let filters = vec![("a".try_into().expect("a filter"), QoS::AtMostOnce.into())];
    let error = raw
        .session
        .subscribe(raw.now, filters, own, QueueId::DEFAULT);
    assert_eq!(error, Err(SubscribeError::IdentifierGiven));
    assert_eq!(raw.lines(), Vec::<String>::new());
}

#[test]
fn overlapping_subscriptions_get_a_message_once_each_from_a_server_that_names_them() {
    for identified in [true, false] {
        let broker = BrokerConfig {
            subscription_identifiers_available: identified,
            ..BrokerConfig::default()
        };
        let mut pair = Pair::with_broker(config(Version::V5), broker);
        pair.connect();
        let queues = ["a/+", "a/#", "$share/g/a/b"].map(|name| {
            let queue = pair.session.open_queue();
            let filters = vec![(name.try_into().expect("a filter"), QoS::AtLeastOnce.into())];
            pair.session
                .subscribe(pair.now(), filters, NONE, queue)
                .expect("accepted");
            pair.run();
            queue
        });
        pair.broker
            .publish(pair.clock.now(), &message("a/b", b"x"), QoS::AtLeastOnce);
        pair.run();
        let counts = queues.map(|queue| {
            let mut count = 0;
            while let Some(received) = pair.session.poll_message(queue) {
                count += 1;
                pair.session
                    .ack(pair.now(), received.ticket)
                    .expect("fresh");
            }
            count
        });
        pair.run();
        pair.check();
        if identified {
            assert_eq!(counts, [1, 1, 1], "{}", pair.broker.ladder());
        } else {
            // Each copy goes to all that match.
            assert!(counts.iter().all(|count| *count >= 1), "{counts:?}");
            assert_eq!(counts[0], counts[1]);
        }
    }
}

/// There are 268,435,455 of them, and each stands for something in memory.
#[test]
fn an_identifier_is_given_again_when_nothing_is_subscribed_to_under_it_any_more() {
    let mut raw = Raw::connected(config(Version::V5));
    let mut given = Vec::new();
    for _ in 0..3 {
        raw.subscribe("a", QueueId::DEFAULT);
        given.extend(subscribes(&mut raw).into_iter().map(|(id, _)| id));
        grant(&mut raw, 65535, 1);
        let filters = vec!["a".try_into().expect("a filter")];
        let token = raw.session.unsubscribe(raw.now, filters, NONE);
        token.expect("accepted");
        raw.packets();
        raw.feed(&Packet::UnsubAck(UnsubAck {
            id: id(65535),
            codes: vec![ReasonCode::SUCCESS],
            properties: NONE,
        }));
    }
    assert_eq!(given, [Some(1); 3]);
    // The same where the options are asked for anew, again and again.
    for _ in 0..3 {
        let filters = vec![("b".try_into().expect("a filter"), QoS::AtMostOnce.into())];
        let session = &mut raw.session;
        session
            .replace_subscription(raw.now, filters, NONE, QueueId::DEFAULT)
            .expect("accepted");
        given.extend(subscribes(&mut raw).into_iter().map(|(id, _)| id));
        grant(&mut raw, 65535, 1);
    }
    assert!(given.iter().all(|id| *id <= Some(2)), "{given:?}");
}

#[test]
fn where_a_subscribe_has_no_room_for_an_identifier_it_goes_without() {
    // Header, identifier, no properties, filter and options.
    let whole = 2 + 2 + 1 + (2 + 40) + 1;
    for (max, identifier) in [(whole + 2, Some(1)), (whole, None)] {
        let max = core::num::NonZeroU32::new(max).expect("not 0");
        let says = Properties::builder().maximum_packet_size(max);
        let says = says.build().expect("good");
        let mut raw = Raw::connected_with(config(Version::V5), says);
        let filter = "a".repeat(40);
        raw.subscribe(&filter, QueueId::DEFAULT);
        assert_eq!(subscribes(&mut raw), [(identifier, vec![filter])]);
    }
}

#[test]
fn an_identifier_is_in_use_as_long_as_one_of_the_filters_is_that_were_asked_for_with_it() {
    let mut raw = Raw::connected(config(Version::V5));
    let [one, other] = [raw.session.open_queue(), raw.session.open_queue()];
    let filters = ["a/+", "a/#", "b"];
    let filters = filters.map(|filter| {
        let filter = filter.try_into().expect("a filter");
        (filter, QoS::AtMostOnce.into())
    });
    let session = &mut raw.session;
    session
        .subscribe(raw.now, filters.into(), NONE, one)
        .expect("accepted");
    let sent = subscribes(&mut raw);
    let [(Some(first), _)] = sent[..] else {
        panic!("{sent:?}")
    };
    grant(&mut raw, 65535, 3);
    let filters = vec!["a/+".try_into().expect("a filter")];
    let token = raw.session.unsubscribe(raw.now, filters, NONE);
    token.expect("accepted");
    raw.packets();
    raw.feed(&Packet::UnsubAck(UnsubAck {
        id: id(65535),
        codes: vec![ReasonCode::SUCCESS],
        properties: NONE,
    }));
    raw.subscribe("a/b", other);
    let sent = subscribes(&mut raw);
    assert!(sent[0].0.is_some_and(|second| second != first), "{sent:?}");
    grant(&mut raw, 65535, 1);
    feed(&mut raw, "a/b", Flow::AtMostOnce, &[first]);
    assert_eq!(take(&mut raw, one), ["a/b"]);
    assert_eq!(take(&mut raw, other), Vec::<String>::new());
}
