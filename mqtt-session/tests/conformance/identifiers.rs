//! Packet identifiers (section 2.2.1).

use std::collections::BTreeSet;
use std::num::NonZeroU16;

use mqtt_session::proto::{Packet, PacketType, QoS};
use mqtt_session::{Limits, QueueId};

use crate::pair::raw::Raw;
use crate::pair::{Pair, config};
use crate::runner::Cases;
use crate::sessions::ids;
use crate::support::{NONE, flow, lasting, sent_id, unsuback};

pub(crate) fn add(cases: &mut Cases) {
    cases.both(
        &["MQTT-2.2.1-3", "MQTT-4.3.2-1", "MQTT-4.3.3-1"],
        &["MQTT-2.3.1-1", "MQTT-2.3.1-2"],
        "with all 65,535 identifiers in use none is 0 and none is there twice, and one is used again when it is free",
        |version| {
            let mut limits = Limits::default();
            limits.max_in_flight = NonZeroU16::MAX;
            limits.max_in_flight_v3 = NonZeroU16::MAX;
            limits.max_requests = 10;
            limits.max_queued = 100_000;
            let mut raw = Raw::connected(lasting(version).limits(limits));
            for _ in 0..3 {
                raw.subscribe("a", QueueId::DEFAULT);
                raw.session
                    .unsubscribe(raw.now, vec!["b".try_into().expect("a filter")], NONE)
                    .expect("accepted");
            }
            for n in 0..65_535 {
                let qos = [QoS::AtLeastOnce, QoS::ExactlyOnce][n % 2];
                raw.publish(qos, b"");
            }
            let used: Vec<_> = raw.packets().iter().map(identifier).collect();
            let distinct: BTreeSet<_> = used.iter().copied().collect();
            // `PacketId` has no 0: the decoder would have refused it.
            assert_eq!((used.len(), distinct.len()), (65_535, 65_535));
            raw.publish(QoS::ExactlyOnce, b"");
            assert_eq!(raw.lines(), Vec::<String>::new(), "none is free");
            let first = used[6];
            raw.feed_ack(PacketType::PubAck, first);
            assert_eq!(sent_id(&mut raw), first, "the one that is free");
        },
    );
    cases.both(
        &["MQTT-2.2.1-3"],
        &["MQTT-2.3.1-2"],
        "SUBSCRIBE, UNSUBSCRIBE and PUBLISH do not share identifiers, as the broker sees it, over reconnects",
        |version| {
            let mut pair = Pair::connected(lasting(version));
            for held in [PacketType::PubAck, PacketType::SubAck, PacketType::UnsubAck] {
                pair.broker.hold(held);
            }
            for round in 0..20 {
                pair.publish("a", QoS::AtLeastOnce, b"");
                pair.subscribe("a", QoS::AtLeastOnce);
                pair.session
                    .unsubscribe(pair.now(), vec!["b".try_into().expect("a filter")], NONE)
                    .expect("accepted");
                pair.publish("a", QoS::ExactlyOnce, b"");
                pair.run();
                if round % 5 == 4 {
                    pair.cut();
                    pair.run_for(std::time::Duration::from_secs(200));
                }
            }
            pair.check();
        },
    );
    cases.v5(
        &["MQTT-2.2.1-4"],
        "a message whose identifier is 0 ends the connection",
        || {
            packet_id_0(
                mqtt_session::proto::Version::V5,
                &[0x32, 6, 0, 1, b'a', 0, 0, 0],
            )
        },
    );
    cases.v311(
        &["MQTT-2.3.1-4"],
        "a message whose identifier is 0 ends the connection",
        || {
            packet_id_0(
                mqtt_session::proto::Version::V3_1_1,
                &[0x32, 5, 0, 1, b'a', 0, 0],
            )
        },
    );
    cases.both(
        &["MQTT-2.2.1-4"],
        &["MQTT-2.3.1-4"],
        "an identifier that the server uses again before it is free is no second message",
        |version| {
            let mut raw = Raw::connected(config(version));
            raw.feed_publish("a", flow(QoS::AtLeastOnce, 7, false), b"one");
            raw.feed_publish("a", flow(QoS::AtLeastOnce, 7, false), b"two");
            assert_eq!(raw.take_and_ack(), b"one");
            assert!(raw.session.poll_message(QueueId::DEFAULT).is_none());
            assert_eq!(raw.lines(), ["PUBACK 7"]);
            // Now it is free.
            raw.feed_publish("a", flow(QoS::AtLeastOnce, 7, false), b"three");
            assert_eq!(raw.take_and_ack(), b"three");
        },
    );
    cases.both(
        &["MQTT-2.2.1-5"],
        &["MQTT-2.3.1-6"],
        "each acknowledgement repeats the identifier of its message, in both directions",
        |version| {
            let mut raw = Raw::connected(lasting(version));
            for number in [1, 300, 65_535] {
                raw.feed_publish("a", flow(QoS::AtLeastOnce, number, false), b"");
                raw.take_and_ack();
                assert_eq!(raw.lines(), [format!("PUBACK {number}")]);
                raw.feed_publish("a", flow(QoS::ExactlyOnce, number, false), b"");
                raw.take_and_ack();
                assert_eq!(raw.lines(), [format!("PUBREC {number}")]);
                raw.feed_ack(PacketType::PubRel, number);
                assert_eq!(raw.lines(), [format!("PUBCOMP {number}")]);
            }
            // Ours: an answer ends the message that it names and no other.
            let tokens = [(); 3].map(|()| raw.publish(QoS::ExactlyOnce, b""));
            let sent = ids(&raw.lines());
            raw.feed_ack(PacketType::PubRec, sent[1]);
            assert_eq!(raw.lines(), [format!("PUBREL {}", sent[1])]);
            raw.feed_ack(PacketType::PubComp, sent[1]);
            let done = tokens.map(|token| raw.outcome(token).is_some());
            assert_eq!(done, [false, true, false]);
        },
    );
    cases.both(
        &["MQTT-2.2.1-6", "MQTT-3.8.4-2", "MQTT-3.10.4-5"],
        &["MQTT-2.3.1-7", "MQTT-3.8.4-2"],
        "SUBACK and UNSUBACK answer the request that they name, in any order, and none where they name none",
        |version| {
            use mqtt_session::proto::{ReasonCode, SubAck};
            let mut raw = Raw::connected(config(version));
            let first = raw.subscribe("a", QueueId::DEFAULT);
            let second = raw.subscribe("b", QueueId::DEFAULT);
            let third = raw
                .session
                .unsubscribe(raw.now, vec!["c".try_into().expect("a filter")], NONE)
                .expect("accepted");
            let sent: Vec<_> = raw.packets().iter().map(identifier).collect();
            let suback = |number, code| {
                Packet::SubAck(SubAck {
                    id: crate::pair::raw::id(number),
                    codes: vec![ReasonCode(code)],
                    properties: NONE,
                })
            };
            raw.feed(&suback(9, 0));
            assert_eq!(answered(&raw), []);
            raw.feed(&suback(sent[1], 2));
            assert_eq!(answered(&raw), [second]);
            raw.feed(&unsuback(version, crate::pair::raw::id(sent[2])));
            raw.feed(&suback(sent[0], 1));
            assert_eq!(answered(&raw), [second, third, first]);
            // An answer of the other kind is none.
            raw.subscribe("d", QueueId::DEFAULT);
            let id = identifier(&raw.packets()[0]);
            raw.feed(&unsuback(version, crate::pair::raw::id(id)));
            crate::support::assert_violated(&mut raw, 0x82);
        },
    );
}

fn packet_id_0(version: mqtt_session::proto::Version, bytes: &[u8]) {
    let mut raw = Raw::connected(config(version));
    raw.bytes_in(bytes);
    crate::support::assert_ended(&mut raw, 0x82);
    assert!(raw.session.poll_message(QueueId::DEFAULT).is_none());
}

fn identifier(packet: &Packet) -> u16 {
    match packet {
        Packet::Publish(publish) => publish.packet_id(),
        Packet::Subscribe(subscribe) => Some(subscribe.id),
        Packet::Unsubscribe(unsubscribe) => Some(unsubscribe.id),
        other => panic!("{other:?}"),
    }
    .expect("an identifier")
    .get()
}

/// The requests that were answered, in the order of their answers.
fn answered(raw: &Raw) -> Vec<mqtt_session::Token> {
    use mqtt_session::Event::{Subscribed, Unsubscribed};
    let tokens = raw.events.iter().filter_map(|event| match event {
        Subscribed { token, .. } | Unsubscribed { token, .. } => Some(*token),
        _ => None,
    });
    tokens.collect()
}
