//! Entry 12: topic aliases that are wrong, or of another connection.

use std::num::NonZeroU16;

use mqtt_session::proto::{
    Encoder, Flow, Outbox, Packet, PacketType, Properties, QoS, Sender, Version,
};
use mqtt_session::{ConnectionError, QueueId, Violation};

use crate::pair::message;
use crate::pair::raw::Raw;
use crate::{NONE, assert_all_given_back, assert_next_is_clean, ids, lasting};

fn takes(max: u16) -> Properties {
    let properties = Properties::builder().topic_alias_maximum(max);
    properties.build().expect("good properties")
}

/// A PUBLISH of QoS 0 with an alias, with its topic or without.
fn feed(raw: &mut Raw, topic: Option<&str>, alias: u16) {
    let alias = NonZeroU16::new(alias).expect("not 0");
    let encoder = Encoder::new(Version::V5, Sender::Server);
    let publish = message(topic.unwrap_or("unsaid"), b"x");
    let (mut out, flow) = (Outbox::new(), Flow::AtMostOnce);
    match topic {
        Some(_) => encoder.publish(&publish, flow, Some(alias), &mut out),
        None => encoder.publish_by_alias(&publish, flow, alias, &mut out),
    }
    .expect("a good message");
    raw.bytes_in(&out.to_vec());
}

fn assert_ended(raw: &mut Raw, said: &str, expected: Option<Violation>) {
    assert_eq!(raw.lines(), [said]);
    match (raw.last_loss(), expected) {
        (ConnectionError::Protocol { violation, .. }, Some(expected)) => {
            assert_eq!(violation, expected);
        }
        (ConnectionError::Decode { .. }, None) => {}
        (error, _) => panic!("{error}"),
    }
    assert!(raw.session.poll_message(QueueId::DEFAULT).is_none());
    assert_next_is_clean(raw, true);
}

#[test]
fn alias_0_one_above_the_maximum_and_an_unknown_one_end_the_connection() {
    let mut raw = Raw::connected(lasting(Version::V5));
    raw.bytes_in(&[0x30, 7, 0, 1, b'a', 3, 0x23, 0, 0]);
    assert_ended(&mut raw, "DISCONNECT 0x94", None);
    let mut raw = Raw::connected(lasting(Version::V5));
    feed(&mut raw, Some("sensors/1"), 17);
    let above = Violation::TopicAlias { alias: 17, max: 16 };
    assert_ended(&mut raw, "DISCONNECT 0x94", Some(above));
    let mut raw = Raw::connected(lasting(Version::V5));
    feed(&mut raw, None, 16);
    let alias = NonZeroU16::new(16).expect("not 0");
    let unknown = Violation::UnknownTopicAlias { alias };
    assert_ended(&mut raw, "DISCONNECT 0x82", Some(unknown));
}

#[test]
fn an_alias_of_an_earlier_connection_is_unknown() {
    let mut raw = Raw::connected(lasting(Version::V5));
    feed(&mut raw, Some("sensors/1"), 3);
    feed(&mut raw, None, 3);
    for _ in 0..2 {
        let received = raw.take(QueueId::DEFAULT);
        assert_eq!(received.publish.topic(), "sensors/1");
        raw.session
            .ack(raw.now, received.ticket)
            .expect("a fresh ticket");
    }
    raw.reconnect(true, NONE);
    raw.packets();
    feed(&mut raw, None, 3);
    let alias = NonZeroU16::new(3).expect("not 0");
    let unknown = Violation::UnknownTopicAlias { alias };
    assert_ended(&mut raw, "DISCONNECT 0x82", Some(unknown));
}

#[test]
fn a_message_that_went_out_by_its_alias_alone_is_sent_again_with_its_topic_and_does_not_loop() {
    for max in [0, 1, 10] {
        for present in [true, false] {
            let mut raw = Raw::connected_with(lasting(Version::V5), takes(10));
            let tokens: Vec<_> = (0..4)
                .map(|_| raw.publish_to("sensors/1", QoS::AtLeastOnce, b""))
                .collect();
            raw.packets();
            raw.closed(mqtt_session::Cause::Eof);
            let offline = raw.publish_to("sensors/1", QoS::AtLeastOnce, b"");
            raw.wait_for_dial();
            raw.open();
            raw.accept(present, takes(max));
            let packets = raw.packets();
            let Packet::Publish(first) = &packets[0] else {
                panic!("{packets:?}")
            };
            assert_eq!(first.topic(), "sensors/1");
            assert_eq!(packets.len(), 5);
            for packet in &packets {
                let Packet::Publish(publish) = packet else {
                    panic!("{packet:?}")
                };
                let alias = publish.topic_alias().map_or(0, NonZeroU16::get);
                assert!(alias <= max, "{alias}");
                assert!(alias > 0 || publish.topic() == "sensors/1");
                let id = publish.packet_id().expect("QoS 1").get();
                raw.feed_ack(PacketType::PubAck, id);
            }
            for token in tokens.into_iter().chain([offline]) {
                assert!(raw.outcome(token).is_some_and(|o| o.is_success()));
            }
            assert_all_given_back(&raw);
            assert_eq!(ids(&raw.lines()), Vec::<u16>::new());
        }
    }
}
