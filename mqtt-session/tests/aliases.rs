//! Topic aliases, both ways (section 3.3.2.3.4).

mod pair;

use std::num::{NonZeroU16, NonZeroU32};

use mqtt_session::proto::{
    EncodeError, Encoder, Flow, Outbox, Packet, PacketType, Properties, PublishView, QoS, Sender,
    Version,
};
use mqtt_session::{
    Config, ConfigBuilder, ConnectionError, Event, Limits, Outcome, PublishRefused, QueueId,
    Violation,
};
use mqtt_testkit::BrokerConfig;
use pair::raw::{Raw, at_least_once};
use pair::{ACKNOWLEDGED, Pair, config, message};

fn maximum(max: u16) -> Properties {
    let properties = Properties::builder().topic_alias_maximum(max);
    properties.build().expect("good properties")
}

fn server(max: u16) -> Raw {
    Raw::connected_with(config(Version::V5), maximum(max))
}

/// Topic and alias of each PUBLISH that was written: `sensors/1=1` teaches, `=1` uses.
fn written(raw: &mut Raw) -> Vec<String> {
    let packets = raw.packets();
    let publishes = packets.iter().filter_map(|packet| match packet {
        Packet::Publish(publish) => Some(named(publish)),
        _ => None,
    });
    publishes.collect()
}

fn named(publish: &PublishView) -> String {
    let alias = publish.topic_alias().map(|alias| format!("={alias}"));
    format!("{}{}", publish.topic(), alias.unwrap_or_default())
}

fn send(raw: &mut Raw, topics: &[&str]) -> Vec<String> {
    for topic in topics {
        raw.publish_to(topic, QoS::AtMostOnce, b"");
    }
    written(raw)
}

#[test]
fn the_second_message_to_a_topic_goes_by_its_alias() {
    let mut raw = server(10);
    let topics = [
        "sensors/1",
        "sensors/1",
        "sensors/2",
        "sensors/1",
        "sensors/2",
    ];
    let expected = ["sensors/1=1", "=1", "sensors/2=2", "=1", "=2"];
    assert_eq!(send(&mut raw, &topics), expected);
}

/// [MQTT-3.2.2-18]
#[test]
fn a_server_that_says_no_maximum_gets_no_alias() {
    let mut raw = Raw::connected(config(Version::V5));
    assert_eq!(send(&mut raw, &["sensors/1"; 2]), ["sensors/1"; 2]);
}

#[test]
fn aliases_can_be_turned_off() {
    let mut limits = Limits::default();
    limits.topic_aliases = 0;
    let mut raw = Raw::connected_with(config(Version::V5).limits(limits), maximum(10));
    assert_eq!(send(&mut raw, &["sensors/1"; 2]), ["sensors/1"; 2]);
}

/// [MQTT-3.2.2-17], [MQTT-3.3.2-9]
#[test]
fn no_alias_is_above_the_servers_maximum_or_ours() {
    for (theirs, ours) in [(2, 16), (16, 2), (2, 2)] {
        let mut limits = Limits::default();
        limits.topic_aliases = ours;
        let mut raw = Raw::connected_with(config(Version::V5).limits(limits), maximum(theirs));
        let topics = ["sensors/1", "sensors/2", "sensors/3", "sensors/1"];
        assert_eq!(
            send(&mut raw, &topics),
            ["sensors/1=1", "sensors/2=2", "sensors/3", "=1"]
        );
    }
}

#[test]
fn a_topic_that_an_alias_would_hardly_shorten_has_none() {
    let mut raw = server(10);
    assert_eq!(send(&mut raw, &["abcdef"; 3]), ["abcdef"; 3]);
    assert_eq!(send(&mut raw, &["abcdefg"; 2]), ["abcdefg=1", "=1"]);
}

#[test]
fn a_topic_that_comes_again_takes_over_the_alias_that_was_not_used_for_longest() {
    let mut raw = server(3);
    send(
        &mut raw,
        &["topics/1", "topics/2", "topics/3", "topics/1", "topics/3"],
    );
    // Number 2 waits the longest now.
    assert_eq!(
        send(&mut raw, &["topics/4", "topics/4"]),
        ["topics/4", "topics/4=2"]
    );
    let topics = ["topics/4", "topics/1", "topics/3", "topics/2"];
    assert_eq!(send(&mut raw, &topics), ["=2", "=1", "=3", "topics/2"]);
    // And now the fourth, whose alias was used before those of the first and third.
    assert_eq!(send(&mut raw, &["topics/2"]), ["topics/2=2"]);
}

#[test]
fn topics_that_are_never_seen_again_take_no_alias_away() {
    let mut raw = server(2);
    send(&mut raw, &["topics/1", "topics/2"]);
    for n in 0..100 {
        let other = format!("passing/{n}");
        let lines = send(&mut raw, &[&other, "topics/1", "topics/2"]);
        assert_eq!(lines, [other.as_str(), "=1", "=2"]);
    }
}

#[test]
fn more_topics_in_turn_than_aliases_do_not_chase_each_other_out() {
    let mut raw = server(4);
    let topics: Vec<_> = (0..100).map(|n| format!("topics/{n}")).collect();
    let mut taught = 0;
    for _ in 0..10 {
        for topic in &topics {
            let line = send(&mut raw, &[topic]).remove(0);
            taught += usize::from(line.starts_with("topics") && line.contains('='));
        }
    }
    assert!(taught < 20, "{taught} of 1,000 messages teach an alias");
}

/// [MQTT-3.3.2-7]
#[test]
fn a_new_connection_begins_without_aliases() {
    let mut raw = server(10);
    send(&mut raw, &["sensors/1", "sensors/2", "sensors/1"]);
    raw.reconnect(true, maximum(10));
    assert_eq!(
        send(&mut raw, &["sensors/2", "sensors/2"]),
        ["sensors/2=1", "=1"]
    );
    // The next server takes none.
    raw.reconnect(true, Properties::new());
    assert_eq!(
        send(&mut raw, &["sensors/2", "sensors/2"]),
        ["sensors/2"; 2]
    );
}

#[test]
fn what_is_sent_again_says_its_topic() {
    for session_present in [true, false] {
        let mut raw = server(10);
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            raw.publish_to("sensors/1", qos, b"");
        }
        assert_eq!(written(&mut raw), ["sensors/1=1", "=1"]);
        raw.reconnect(session_present, maximum(10));
        let again = written(&mut raw);
        let expected = if session_present {
            ["sensors/1", "sensors/1"]
        } else {
            // Published anew: these are new to the server.
            ["sensors/1=1", "=1"]
        };
        assert_eq!(again, expected);
    }
}

#[test]
fn a_message_that_waited_in_the_queue_uses_the_aliases_of_its_connection() {
    let mut raw = server(10);
    send(&mut raw, &["sensors/1"]);
    raw.closed(mqtt_session::Cause::Eof);
    for _ in 0..2 {
        raw.publish_to("sensors/2", QoS::AtMostOnce, b"");
    }
    raw.wait_for_dial();
    raw.open();
    raw.accept(true, maximum(10));
    assert_eq!(written(&mut raw), ["sensors/2=1", "=1"]);
}

#[test]
fn a_message_that_is_not_taken_leaves_no_alias() {
    let mut raw = server(10);
    let too_large = message("sensors/1", &vec![0; 70 << 20]);
    let error = raw
        .offer(QoS::AtMostOnce, too_large)
        .expect_err("above outgoing_bytes");
    assert!(matches!(error.reason, PublishRefused::AboveLimit { .. }));
    assert_eq!(send(&mut raw, &["sensors/1"]), ["sensors/1=1"]);
}

fn maximum_with_size(max: u16, size: u32) -> Properties {
    let size = NonZeroU32::new(size).expect("not 0");
    let properties = Properties::builder()
        .topic_alias_maximum(max)
        .maximum_packet_size(size);
    properties.build().expect("good properties")
}

/// Fixed header 2, topic 2 + 9, properties 1, payload.
const SENSOR: u32 = 14;

#[test]
fn a_message_that_fits_without_an_alias_only_is_sent_without() {
    let mut raw = Raw::connected_with(config(Version::V5), maximum_with_size(10, SENSOR + 10));
    raw.publish_to("sensors/1", QoS::AtMostOnce, &[0; 10]);
    raw.publish_to("sensors/1", QoS::AtMostOnce, &[0; 7]);
    raw.publish_to("sensors/1", QoS::AtMostOnce, &[0; 10]);
    assert_eq!(written(&mut raw), ["sensors/1", "sensors/1=1", "=1"]);
}

/// [MQTT-3.2.2-15]
#[test]
fn a_message_that_fits_by_its_alias_only_is_refused_as_it_could_not_be_sent_again() {
    let mut raw = Raw::connected_with(config(Version::V5), maximum_with_size(10, SENSOR + 10));
    raw.publish_to("sensors/1", QoS::AtMostOnce, b"");
    assert_eq!(written(&mut raw), ["sensors/1=1"]);
    for qos in pair::QOS {
        let id = if qos == QoS::AtMostOnce { 0 } else { 2 };
        let most = 10 - id;
        let error = raw
            .offer(qos, message("sensors/1", &vec![0; most + 1]))
            .expect_err("too large");
        let (size, max) = (SENSOR as usize + 11, SENSOR + 10);
        let reason = PublishRefused::Encode(EncodeError::PacketTooLarge { size, max });
        assert_eq!(error.reason, reason);
        raw.offer(qos, message("sensors/1", &vec![0; most]))
            .expect("it fits");
        assert_eq!(written(&mut raw), ["=1"]);
    }
}

#[test]
fn an_alias_whose_message_was_thrown_away_is_not_used() {
    let mut raw = server(10);
    // Encoded, and not taken by the driver when the server breaks the protocol.
    let token = raw.publish_to("sensors/1", QoS::AtMostOnce, b"");
    raw.bytes_in(&[0xF0, 0]);
    assert_eq!(raw.outcome(token), None, "it waits for the next connection");
    raw.hang_up();
    raw.wait_for_dial();
    raw.open();
    raw.accept(true, maximum(10));
    assert_eq!(written(&mut raw), ["sensors/1=1"]);
    assert_eq!(raw.outcome(token), Some(Outcome::Written));
}

#[test]
fn the_application_can_give_no_alias() {
    let mut raw = server(10);
    let properties = Properties::builder().topic_alias(NonZeroU16::MIN);
    let publish = message("sensors/1", b"").with_properties(properties.build().expect("good"));
    let error = raw.offer(QoS::AtMostOnce, publish).expect_err("refused");
    assert!(matches!(
        error.reason,
        PublishRefused::Encode(EncodeError::PropertyNotAllowed { .. })
    ));
}

/// The model broker checks every alias, and each message has a topic that it tells apart by its payload.
#[test]
fn a_broker_understands_every_alias_over_reconnects() {
    for max in [1, 2, 3, 7, 50] {
        let broker = BrokerConfig {
            topic_alias_maximum: max,
            ..BrokerConfig::default()
        };
        let mut limits = Limits::default();
        limits.topic_aliases = 20;
        let mut pair = Pair::with_broker(config(Version::V5).limits(limits), broker);
        pair.connect();
        let mut random = u64::from(max);
        for round in 0..2_000_u32 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            // Some come often.
            let number = (random >> 33) % (1 + (random >> 50) % 30);
            let topic = format!("a/longer/topic/{number}");
            pair.publish(
                &topic,
                pair::QOS[(random >> 40) as usize % 3],
                topic.as_bytes(),
            );
            if round % 7 == 0 {
                pair.run();
            }
            if round % 400 == 399 {
                pair.run();
                pair.check();
                pair.cut();
                pair.run_for(std::time::Duration::from_secs(100));
            }
        }
        pair.run();
        pair.check();
        for received in pair.broker.received() {
            assert_eq!(
                received.message.topic().as_bytes(),
                received.message.payload()
            );
        }
        assert!(
            pair.broker.received().len() > 1_900,
            "some are lost at QoS 0 only"
        );
    }
}

fn aliased(topic: &str, alias: u16, payload: &[u8]) -> Vec<u8> {
    aliased_as(Flow::AtMostOnce, topic, alias, payload)
}

fn aliased_as(flow: Flow, topic: &str, alias: u16, payload: &[u8]) -> Vec<u8> {
    let alias = NonZeroU16::new(alias).expect("not 0");
    let encoder = Encoder::new(Version::V5, Sender::Server);
    let mut out = Outbox::new();
    let result = if topic.is_empty() {
        encoder.publish_by_alias(&message("unused", payload), flow, alias, &mut out)
    } else {
        encoder.publish(&message(topic, payload), flow, Some(alias), &mut out)
    };
    result.expect("a good message");
    out.to_vec()
}

/// What the default queue has: topic and payload.
fn take(raw: &mut Raw) -> (String, Vec<u8>) {
    let received = raw.take(QueueId::DEFAULT);
    let publish = received.publish;
    raw.session
        .ack(raw.now, received.ticket)
        .expect("a fresh ticket");
    raw.poll();
    (publish.topic().to_string(), publish.payload().to_vec())
}

/// [MQTT-3.3.2-10]
#[test]
fn every_alias_up_to_our_maximum_is_understood() {
    let mut raw = Raw::connected(config(Version::V5));
    for alias in 1..=16 {
        raw.bytes_in(&aliased(&format!("t/{alias}"), alias, b"first"));
        assert_eq!(take(&mut raw), (format!("t/{alias}"), b"first".to_vec()));
    }
    for alias in (1..=16).rev() {
        raw.bytes_in(&aliased("", alias, b"second"));
        assert_eq!(take(&mut raw), (format!("t/{alias}"), b"second".to_vec()));
    }
    // It stands for another topic from now on.
    raw.bytes_in(&aliased("other", 3, b""));
    raw.bytes_in(&aliased("", 3, b""));
    assert_eq!(take(&mut raw).0, "other");
    assert_eq!(take(&mut raw).0, "other");
}

#[test]
fn a_message_keeps_its_topic_when_its_alias_stands_for_another() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.bytes_in(&aliased("one", 1, b""));
    raw.bytes_in(&aliased("", 1, b""));
    let copy = raw
        .session
        .poll_message(QueueId::DEFAULT)
        .expect("a message");
    let copy = (copy.publish, raw.take(QueueId::DEFAULT).publish);
    raw.bytes_in(&aliased("two", 1, b""));
    assert_eq!(copy.0.topic().as_str(), "one");
    assert_eq!(copy.1.topic().as_str(), "one");
    assert_eq!(
        copy.1.to_publish().expect("a topic").topic().as_str(),
        "one"
    );
}

#[test]
fn a_message_by_alias_goes_to_the_queue_of_its_subscription() {
    let mut raw = Raw::connected(config(Version::V5));
    let queue = raw.session.open_queue();
    raw.subscribe("sensors/+", queue);
    raw.bytes_in(&aliased("sensors/1", 1, b"a"));
    raw.bytes_in(&aliased("", 1, b"b"));
    for payload in [b"a", b"b"] {
        let received = raw.take(queue);
        assert_eq!(received.publish.payload(), payload);
        raw.session.ack(raw.now, received.ticket).expect("fresh");
    }
    assert!(raw.session.poll_message(QueueId::DEFAULT).is_none());
}

#[test]
fn a_message_that_comes_twice_teaches_its_alias_all_the_same() {
    let mut raw = Raw::connected(config(Version::V5));
    let first = aliased_as(at_least_once(7), "sensors/1", 1, b"");
    raw.bytes_in(&first);
    let held = raw.take(QueueId::DEFAULT);
    raw.reconnect(true, Properties::new());
    // The same message once more, over the new connection, where it is the first to name the alias.
    let mut again = first;
    again[0] |= 0b1000;
    raw.bytes_in(&again);
    raw.session.ack(raw.now, held.ticket).expect("fresh");
    raw.bytes_in(&aliased("", 1, b"new"));
    assert_eq!(take(&mut raw), ("sensors/1".to_owned(), b"new".to_vec()));
}

fn violation(raw: &mut Raw) -> (Violation, String) {
    let ConnectionError::Protocol { violation, .. } = raw.last_loss() else {
        panic!("{:?}", raw.losses());
    };
    (violation, raw.lines().pop().expect("a packet"))
}

/// [MQTT-3.1.2-26], [MQTT-3.1.2-27], [MQTT-3.3.2-11]
#[test]
fn an_alias_above_our_maximum_ends_the_connection() {
    for max in [0, 1, 16] {
        let mut limits = Limits::default();
        limits.topic_alias_maximum = max;
        let mut raw = Raw::new(config(Version::V5).limits(limits));
        raw.session.connect(raw.now);
        let Packet::Connect(connect) = raw.open() else {
            panic!("CONNECT comes first");
        };
        let told = connect.properties.view().topic_alias_maximum();
        assert_eq!(told, (max > 0).then_some(max));
        raw.accept(false, Properties::new());
        raw.poll();
        raw.bytes_in(&aliased("sensors/1", max + 1, b""));
        let expected = Violation::TopicAlias {
            alias: max + 1,
            max,
        };
        assert_eq!(
            violation(&mut raw),
            (expected, "DISCONNECT 0x94".to_owned())
        );
        assert!(raw.session.poll_message(QueueId::DEFAULT).is_none());
    }
}

#[test]
fn an_alias_that_stands_for_nothing_yet_ends_the_connection() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.bytes_in(&aliased("sensors/1", 2, b""));
    raw.poll();
    raw.bytes_in(&aliased("", 1, b""));
    let expected = Violation::UnknownTopicAlias {
        alias: NonZeroU16::MIN,
    };
    assert_eq!(
        violation(&mut raw),
        (expected, "DISCONNECT 0x82".to_owned())
    );
}

/// [MQTT-3.3.2-7]
#[test]
fn what_the_servers_aliases_stand_for_is_forgotten_with_the_connection() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.bytes_in(&aliased("sensors/1", 1, b""));
    raw.reconnect(true, Properties::new());
    raw.poll();
    raw.bytes_in(&aliased("", 1, b""));
    assert_eq!(violation(&mut raw).1, "DISCONNECT 0x82");
}

/// [MQTT-3.3.2-8]
#[test]
fn alias_0_ends_the_connection() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.poll();
    raw.bytes_in(&[0x30, 7, 0, 1, b'a', 3, 0x23, 0, 0]);
    assert_eq!(raw.lines().pop().as_deref(), Some("DISCONNECT 0x94"));
}

#[test]
fn a_topic_behind_an_alias_counts_as_memory_of_the_message() {
    let mut limits = Limits::default();
    limits.inbox_bytes = 40_000;
    let mut raw = Raw::connected(Config::builder("client").limits(limits));
    raw.subscribe("#", QueueId::DEFAULT);
    raw.poll();
    let lines = raw.lines();
    assert!(
        lines.iter().any(|line| line.starts_with("SUBSCRIBE")),
        "{lines:?}"
    );
    let long = "t".repeat(30_000);
    raw.bytes_in(&aliased(&long, 1, b""));
    take(&mut raw);
    raw.bytes_in(&aliased("", 1, b""));
    let received = raw.take(QueueId::DEFAULT);
    assert!(
        received.publish.size() > 30_000,
        "{}",
        received.publish.size()
    );
}

#[test]
fn a_broker_that_sends_aliases_is_understood() {
    let broker = BrokerConfig {
        send_topic_aliases: true,
        ..BrokerConfig::default()
    };
    let builder: ConfigBuilder = config(Version::V5);
    let mut pair = Pair::with_broker(builder, broker);
    pair.connect();
    pair.subscribe("#", QoS::ExactlyOnce);
    pair.run();
    let mut tokens = Vec::new();
    for n in 0..200_u32 {
        let topic = format!("a/topic/{}", n % 20);
        tokens.push(pair.publish(&topic, QoS::AtLeastOnce, topic.as_bytes()));
        pair.run();
        if n == 100 {
            pair.cut();
            pair.run_for(std::time::Duration::from_secs(2));
        }
    }
    let mut received = 0;
    while let Some(message) = pair.take() {
        assert_eq!(
            message.publish.topic().as_bytes(),
            message.publish.payload()
        );
        received += 1;
        pair.session.ack(pair.now(), message.ticket).expect("fresh");
        pair.run();
    }
    assert_eq!(received, 200);
    assert!(
        tokens
            .iter()
            .all(|token| pair.outcome(*token) == Some(ACKNOWLEDGED))
    );
    assert!(!pair.events.iter().any(|event| matches!(
        event,
        Event::Lost {
            error: ConnectionError::Protocol { .. },
            ..
        }
    )));
    pair.check();
}

#[test]
fn an_acknowledgement_is_no_matter_of_aliases() {
    let mut raw = server(10);
    let token = raw.publish_to("sensors/1", QoS::AtLeastOnce, b"");
    let other = raw.publish_to("sensors/1", QoS::AtLeastOnce, b"");
    assert_eq!(written(&mut raw), ["sensors/1=1", "=1"]);
    raw.feed_ack(PacketType::PubAck, 1);
    raw.feed_ack(PacketType::PubAck, 2);
    assert_eq!(raw.outcome(token), Some(ACKNOWLEDGED));
    assert_eq!(raw.outcome(other), Some(ACKNOWLEDGED));
}
