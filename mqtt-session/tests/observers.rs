//! Who only watches: what is told, what never is, and what it costs when nobody does.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod pair;

use mqtt_session::proto::{
    ConnAck, Flow, Packet, PacketType, Properties, QoS, ReasonCode, SubAck, UnsubAck, Version,
};
use mqtt_session::{
    Cause, ConfigBuilder, ConnectionError, Direction, Limits, Observation, PacketSummary, QueueId,
};
use pair::exchange::{CONTINUE, answer, authenticating, challenge, opened};
use pair::raw::{Raw, at_least_once, exactly_once, id};
use pair::{VERSIONS, config};

fn observed(raw: &mut Raw) -> Vec<Observation> {
    raw.poll();
    std::iter::from_fn(|| raw.session.poll_observation()).collect()
}

fn packets(raw: &mut Raw) -> Vec<PacketSummary> {
    let packets = observed(raw)
        .into_iter()
        .filter_map(|observation| match observation {
            Observation::Packet(summary) => Some(summary),
            _ => None,
        });
    packets.collect()
}

fn line(summary: &PacketSummary) -> String {
    let way = match summary.direction {
        Direction::Sent => "->",
        Direction::Received => "<-",
    };
    let id = summary.id.map(|id| format!(" {id}")).unwrap_or_default();
    let qos = summary.qos.map(|qos| format!(" {qos}")).unwrap_or_default();
    let dup = if summary.dup { " DUP" } else { "" };
    format!("{way} {}{id}{qos}{dup}", summary.packet_type)
}

fn watched(config: ConfigBuilder) -> Raw {
    let mut raw = Raw::new(config);
    raw.session.keep_observations();
    raw.session.connect(raw.now);
    raw.open();
    raw.accept(false, Properties::new());
    raw
}

#[test]
fn every_packet_of_both_directions_is_told_in_its_order_with_its_size() {
    for version in VERSIONS {
        let mut raw = watched(config(version).clean_start(false));
        raw.subscribe("a", QueueId::DEFAULT);
        raw.publish(QoS::AtMostOnce, b"");
        raw.publish(QoS::AtLeastOnce, b"0123456789");
        raw.feed_publish("a", at_least_once(3), b"x");
        raw.take_and_ack();
        raw.feed_publish("a", exactly_once(4), b"x");
        raw.take_and_ack();
        raw.feed_ack(PacketType::PubRel, 4);
        raw.advance(std::time::Duration::from_secs(46));
        raw.bytes_in(&[0xD0, 0]);
        let told = packets(&mut raw);
        let sent: usize = told
            .iter()
            .filter(|summary| summary.direction == Direction::Sent)
            .map(|summary| summary.size)
            .sum();
        assert_eq!(sent, raw.wire.len(), "{version}");
        let received: usize = told
            .iter()
            .filter(|summary| summary.direction == Direction::Received)
            .map(|summary| summary.size)
            .sum();
        assert_eq!(received as u64, raw.session.stats().bytes_received);
        let mut lines: Vec<_> = told.iter().map(line).collect();
        // The identifier of our PUBLISH is drawn from the seed where a session is to be resumed.
        let number = told.iter().find(|s| s.qos == Some(QoS::AtLeastOnce));
        let number = number.unwrap().id.unwrap();
        let request = told
            .iter()
            .find(|s| s.packet_type == PacketType::Subscribe)
            .unwrap();
        let request = request.id.unwrap();
        lines.iter_mut().for_each(|line| {
            *line = line
                .replace(&format!(" {number} "), " N ")
                .replace(&format!(" {request}"), " R");
        });
        let expected = [
            "-> CONNECT",
            "<- CONNACK",
            "-> SUBSCRIBE R",
            "-> PUBLISH QoS 0",
            "-> PUBLISH N QoS 1",
            "<- PUBLISH 3 QoS 1",
            "-> PUBACK 3",
            "<- PUBLISH 4 QoS 2",
            "-> PUBREC 4",
            "<- PUBREL 4",
            "-> PUBCOMP 4",
            "-> PINGREQ",
            "<- PINGRESP",
        ];
        assert_eq!(lines, expected, "{version}");
        raw.reconnect(true, Properties::new());
        let again = packets(&mut raw);
        assert!(again.iter().any(|summary| summary.dup), "{again:?}");
    }
}

#[test]
fn requests_and_their_answers_are_told_with_their_identifiers() {
    for version in VERSIONS {
        let mut raw = watched(config(version));
        packets(&mut raw);
        raw.subscribe("a", QueueId::DEFAULT);
        raw.feed(&Packet::SubAck(SubAck {
            id: id(65535),
            codes: vec![ReasonCode::GRANTED_QOS_2],
            properties: Properties::new(),
        }));
        let filters = vec!["a".try_into().unwrap()];
        raw.session
            .unsubscribe(raw.now, filters, Properties::new())
            .unwrap();
        let codes = match version {
            Version::V5 => vec![ReasonCode::SUCCESS],
            _ => Vec::new(),
        };
        raw.feed(&Packet::UnsubAck(UnsubAck {
            id: id(65535),
            codes,
            properties: Properties::new(),
        }));
        let lines: Vec<_> = packets(&mut raw).iter().map(line).collect();
        let expected = [
            "-> SUBSCRIBE 65535",
            "<- SUBACK 65535",
            "-> UNSUBSCRIBE 65535",
            "<- UNSUBACK 65535",
        ];
        assert_eq!(lines, expected, "{version}");
    }
}

#[test]
fn the_reason_of_a_connack_is_told_whatever_it_is() {
    for reason in [ReasonCode::SUCCESS, ReasonCode::NOT_AUTHORIZED] {
        let mut raw = Raw::new(config(Version::V5));
        raw.session.keep_observations();
        raw.session.connect(raw.now);
        raw.open();
        packets(&mut raw);
        raw.feed(&Packet::ConnAck(ConnAck {
            reason,
            ..ConnAck::default()
        }));
        let told = packets(&mut raw);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(line(&told[0]), "<- CONNACK");
        assert_eq!(told[0].reason, Some(reason));
    }
}

/// However they are cut into reads.
#[test]
fn packets_that_come_in_one_read_or_in_several_are_told_with_their_own_sizes() {
    let mut raw = watched(config(Version::V5));
    packets(&mut raw);
    let before = raw.session.stats().bytes_received;
    let sizes = [100, 1, 300];
    let each = sizes.map(|len| raw.encode_publish("a", Flow::AtMostOnce, &vec![7; len]));
    let bytes = each.concat();
    let expected = each.map(|one| one.len());
    for pieces in [bytes.len(), 1, 50, 110] {
        for piece in bytes.chunks(pieces) {
            raw.bytes_in(piece);
        }
        let told: Vec<_> = packets(&mut raw).iter().map(|told| told.size).collect();
        assert_eq!(told, expected, "{pieces}");
    }
    let received = raw.session.stats().bytes_received - before;
    assert_eq!(received, 4 * bytes.len() as u64);
}

#[test]
fn changes_of_the_connection_are_told_with_their_reasons() {
    let mut raw = watched(config(Version::V5));
    raw.closed(Cause::Eof);
    raw.wait_for_dial();
    raw.open();
    raw.accept(true, Properties::new());
    raw.session
        .disconnect(raw.now, Default::default(), std::time::Duration::ZERO)
        .expect("a good DISCONNECT");
    raw.hang_up();
    let told = observed(&mut raw);
    let changes: Vec<_> = told
        .iter()
        .filter(|observation| !matches!(observation, Observation::Packet(_)))
        .collect();
    assert!(
        matches!(
            changes.as_slice(),
            [
                Observation::Connected { .. },
                Observation::Lost {
                    error: ConnectionError::Closed { .. },
                    retry_in: Some(_)
                },
                Observation::Connected { .. },
                Observation::Closed
            ]
        ),
        "{changes:?}"
    );
    let goodbye = told.iter().find_map(|observation| match observation {
        Observation::Packet(summary) if summary.packet_type == PacketType::Disconnect => {
            Some(*summary)
        }
        _ => None,
    });
    assert_eq!(goodbye.unwrap().reason, Some(ReasonCode::SUCCESS));
}

#[test]
fn nothing_secret_is_told() {
    let mut raw = watched(config(Version::V5).credentials("hidden-user", "hidden-password"));
    raw.publish_to("hidden/topic", QoS::AtLeastOnce, b"hidden payload");
    raw.feed_publish("hidden/topic", at_least_once(1), b"hidden payload");
    let told = format!("{:?}", observed(&mut raw));
    assert!(told.contains("Publish"), "{told}");
    assert!(!told.contains("hidden"), "{told}");
}

#[test]
fn what_finds_no_room_is_counted_and_told_where_it_would_have_stood() {
    let mut limits = Limits::default();
    limits.observations = 5;
    let mut raw = watched(config(Version::V5).limits(limits));
    observed(&mut raw);
    for number in 1..=20 {
        raw.feed_ack(PacketType::PubRel, number);
    }
    // 40 packets: each PUBREL and its PUBCOMP.
    let told = observed(&mut raw);
    assert_eq!(told.len(), 6, "{told:?}");
    assert!(matches!(told[5], Observation::Missed { count: 35 }));
    let Observation::Packet(pubcomp) = &told[1] else {
        panic!("{told:?}")
    };
    assert_eq!(pubcomp.direction, Direction::Sent);
    let unknown = ReasonCode::PACKET_IDENTIFIER_NOT_FOUND;
    assert_eq!(pubcomp.reason, Some(unknown));
    assert!(
        matches!(told[0], Observation::Packet(PacketSummary { id: Some(first), .. }) if first == id(1))
    );
    raw.feed_ack(PacketType::PubRel, 30);
    assert_eq!(observed(&mut raw).len(), 2, "there is room again");
}

#[test]
fn what_was_missed_is_told_ahead_of_what_came_after_it() {
    let mut limits = Limits::default();
    limits.observations = 3;
    let mut raw = watched(config(Version::V5).limits(limits));
    observed(&mut raw);
    // Two packets each, and of the first four there is no room for the last.
    raw.feed_ack(PacketType::PubRel, 1);
    raw.feed_ack(PacketType::PubRel, 2);
    for _ in 0..2 {
        raw.session.poll_observation();
    }
    raw.feed_ack(PacketType::PubRel, 3);
    let told = observed(&mut raw);
    let lines: Vec<_> = told
        .iter()
        .map(|observation| match observation {
            Observation::Packet(summary) => line(summary),
            Observation::Missed { count } => format!("{count} missed"),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        lines,
        ["<- PUBREL 2", "1 missed", "<- PUBREL 3", "1 missed"]
    );
}

#[test]
fn room_for_one_is_room_for_none_where_it_is_still_to_be_told_what_was_missed() {
    let mut limits = Limits::default();
    limits.observations = 3;
    let mut raw = watched(config(Version::V5).limits(limits));
    observed(&mut raw);
    raw.feed_ack(PacketType::PubRel, 1);
    raw.feed_ack(PacketType::PubRel, 2);
    raw.session.poll_observation();
    raw.feed_ack(PacketType::PubRel, 3);
    let told = observed(&mut raw);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(matches!(told[2], Observation::Missed { count: 3 }));
}

#[test]
fn nothing_is_kept_where_nobody_watches() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.feed_publish("a", at_least_once(1), b"x");
    assert!(raw.session.poll_observation().is_none());
}

#[cfg(feature = "client")]
mod client {
    use std::sync::{Arc, Mutex};

    use mqtt_session::Instant;
    use mqtt_session::client::{Client, ClientEvent, Hooks, Observer};

    use super::*;
    use pair::hand::{Hand, ready};

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<Observation>>>);

    impl Observer for Log {
        fn observe(&mut self, _: Instant, observation: Observation) {
            self.0.lock().unwrap().push(observation);
        }
    }

    #[test]
    fn the_driver_tells_the_observer_outside_of_the_lock() {
        /// Uses the client, which takes the lock.
        struct Uses(Client, Log);

        impl Observer for Uses {
            fn observe(&mut self, now: Instant, observation: Observation) {
                assert!(self.0.stats().attempts > 0);
                self.1.observe(now, observation);
            }
        }

        let log = Log::default();
        let mut hand = Hand::new(config(Version::V5));
        let uses = Uses(hand.client.clone(), log.clone());
        hand.client.set_hooks(Hooks::new().observer(uses)).unwrap();
        hand.connect();
        ready(hand.client.publish("a", QoS::AtMostOnce, "x")).unwrap();
        hand.turn();
        hand.lose();
        let told = log.0.lock().unwrap();
        let lines: Vec<_> = told
            .iter()
            .map(|observation| match observation {
                Observation::Packet(summary) => line(summary),
                Observation::Connected { .. } => "connected".to_owned(),
                Observation::Lost { .. } => "lost".to_owned(),
                other => format!("{other:?}"),
            })
            .collect();
        let expected = [
            "-> CONNECT",
            "<- CONNACK",
            "connected",
            "-> PUBLISH QoS 0",
            "lost",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn an_observer_that_panics_is_not_called_again_and_the_client_goes_on() {
        struct Panics;

        impl Observer for Panics {
            fn observe(&mut self, _: Instant, _: Observation) {
                std::panic::resume_unwind(Box::new("of the test"));
            }
        }

        let mut hand = Hand::new(config(Version::V5));
        let mut events = hand.client.events();
        hand.client
            .set_hooks(Hooks::new().observer(Panics))
            .unwrap();
        hand.connect();
        let delivery = ready(hand.client.publish("a", QoS::AtMostOnce, "x")).unwrap();
        hand.turn();
        assert!(ready(delivery).is_ok());
        let told: Vec<_> = std::iter::from_fn(|| {
            let mut next = std::pin::pin!(events.next());
            match pair::hand::poll(next.as_mut()) {
                std::task::Poll::Ready(event) => event,
                std::task::Poll::Pending => None,
            }
        })
        .collect();
        let panics = told
            .iter()
            .filter(|event| matches!(event, ClientEvent::ObserverPanicked))
            .count();
        assert_eq!(panics, 1, "{told:?}");
    }
}

#[test]
fn packets_of_an_authentication_are_told_with_their_reasons() {
    let mut raw = opened(authenticating());
    raw.session.keep_observations();
    answer(&mut raw, "hello");
    raw.feed(&challenge("who?"));
    answer(&mut raw, "me");
    let told: Vec<_> = packets(&mut raw)
        .into_iter()
        .map(|summary| (summary.direction, summary.packet_type, summary.reason))
        .collect();
    assert_eq!(
        told,
        [
            (Direction::Sent, PacketType::Connect, None),
            (Direction::Received, PacketType::Auth, Some(CONTINUE)),
            (Direction::Sent, PacketType::Auth, Some(CONTINUE)),
        ]
    );
}
