//! DISCONNECT, and how a connection ends (sections 3.14 and 4.13).

use std::time::Duration;

use mqtt_session::proto::{Disconnect, Flow, Packet, PacketType, QoS, ReasonCode, Sender, Version};
use mqtt_session::{ConnectionError, Phase, QueueId};

use crate::pair::raw::Raw;
use crate::pair::{config, message};
use crate::runner::Cases;
use crate::support::{NONE, assert_ended, flow, handshaking, lasting};

pub(crate) fn add(cases: &mut Cases) {
    cases.both(
        &["MQTT-3.14.4-1"],
        &["MQTT-3.14.4-2"],
        "nothing is sent after DISCONNECT, whatever comes and whatever is asked for",
        |version| {
            let mut raw = Raw::connected(lasting(version));
            raw.publish(QoS::ExactlyOnce, b"");
            raw.feed_publish("a", flow(QoS::AtLeastOnce, 9, false), b"");
            raw.packets();
            raw.session
                .disconnect(raw.now, Disconnect::default(), Duration::ZERO)
                .expect("a good DISCONNECT");
            assert_eq!(raw.lines(), ["DISCONNECT 0x00"]);
            everything_happens(&mut raw);
            assert_eq!(raw.lines(), Vec::<String>::new());
            assert!(raw.hang_up());
            assert_eq!(raw.lines(), Vec::<String>::new());
        },
    );
    cases.v5(
        &["MQTT-3.14.4-1"],
        "nothing is sent after the DISCONNECT that answers a breach",
        || {
            let mut raw = Raw::connected(lasting(Version::V5));
            raw.publish(QoS::ExactlyOnce, b"");
            raw.packets();
            raw.bytes_in(&[0x20, 3, 0, 0, 0]);
            assert_eq!(raw.lines(), ["DISCONNECT 0x82"]);
            everything_happens(&mut raw);
            raw.bytes_in(&[0x20, 3, 0, 0, 0]);
            assert_eq!(raw.lines(), Vec::<String>::new());
        },
    );
    cases.v5(
        &["MQTT-3.14.4-1", "MQTT-4.13.2-1"],
        "a DISCONNECT from the server ends the connection at any reason, without an answer, and is told",
        || {
            for code in 0..=255_u8 {
                let reason = ReasonCode(code);
                if !reason.allowed_in(PacketType::Disconnect, Sender::Server, Version::V5) {
                    continue;
                }
                let mut raw = Raw::connected(lasting(Version::V5));
                raw.publish(QoS::AtLeastOnce, b"");
                raw.packets();
                raw.feed(&Packet::Disconnect(Disconnect::new(reason)));
                let error = raw.last_loss();
                let told = matches!(error, ConnectionError::Disconnected { reason: told, .. } if told == reason);
                assert!(told, "{error}");
                everything_happens(&mut raw);
                assert!(!raw.hang_up(), "{error}");
                assert_eq!(raw.lines(), Vec::<String>::new());
                assert_ne!(raw.session.phase(), Phase::Connected);
            }
        },
    );
    cases.v5(
        &["MQTT-4.13.2-1"],
        "a CONNACK that refuses ends the connection at any reason",
        || {
            for code in 0x80..=255_u8 {
                let reason = ReasonCode(code);
                if !reason.allowed_in(PacketType::ConnAck, Sender::Server, Version::V5) {
                    continue;
                }
                let mut raw = handshaking(config(Version::V5));
                raw.bytes_in(&[0x20, 3, 0, code, 0]);
                assert!(!raw.hang_up());
                assert_eq!(raw.lines(), Vec::<String>::new());
                assert_ne!(raw.session.phase(), Phase::Connected);
            }
        },
    );
    cases.v311(
        &["MQTT-4.8.0-1"],
        "a breach of the protocol closes the connection that it came on, without a word, so that the will is published",
        || {
            let breaches: &[&[u8]] = &[
                &[0x20, 2, 0, 0],
                &[0x36, 5, 0, 1, b'a', 0, 1],
                &[0xC0, 0],
                &[0xE0, 0],
                &[0xF0, 0],
                &[0x41, 2, 0, 1],
            ];
            for bytes in breaches {
                let mut raw = Raw::connected(config(Version::V3_1_1));
                raw.bytes_in(bytes);
                assert_ended(&mut raw, 0);
                assert!(!raw.hang_up());
                raw.wait_for_dial();
                raw.open();
                raw.accept(false, NONE);
                assert_eq!(raw.session.phase(), Phase::Connected);
            }
        },
    );
    cases.v311(
        &["MQTT-4.8.0-2"],
        "a message that can't be taken for want of room closes the connection, and comes again when there is room",
        || {
            let mut limits = mqtt_session::Limits::default();
            limits.inbox_bytes = 100;
            let mut raw = Raw::connected(lasting(Version::V3_1_1).limits(limits));
            // While an answer of the server is awaited, reading can't pause.
            raw.publish(QoS::AtLeastOnce, b"");
            raw.packets();
            raw.feed_publish("a", flow(QoS::AtLeastOnce, 1, false), &[1; 90]);
            raw.feed_publish("a", flow(QoS::AtLeastOnce, 2, false), &[2; 90]);
            raw.feed_publish("a", flow(QoS::AtLeastOnce, 3, false), &[3; 90]);
            let error = raw.last_loss();
            assert!(matches!(error, ConnectionError::InboxFull { .. }), "{error}");
            raw.hang_up();
            assert_eq!(raw.lines(), Vec::<String>::new());
            while let Some(received) = raw.session.poll_message(QueueId::DEFAULT) {
                raw.session
                    .ack(raw.now, received.ticket)
                    .expect("the session lasts");
            }
            raw.wait_for_dial();
            raw.open();
            raw.accept(true, NONE);
            raw.packets();
            raw.feed_publish("a", flow(QoS::AtLeastOnce, 3, true), &[3; 90]);
            assert_eq!(raw.take_and_ack(), [3; 90]);
        },
    );
}

/// What could make a session write, if anything still could.
fn everything_happens(raw: &mut Raw) {
    let _ = raw.offer(QoS::AtMostOnce, message("a", b""));
    let _ = raw.offer(QoS::AtLeastOnce, message("a", b""));
    let filter = vec![("b".try_into().expect("a filter"), QoS::AtMostOnce.into())];
    let _ = raw
        .session
        .subscribe(raw.now, filter, NONE, QueueId::DEFAULT);
    while let Some(received) = raw.session.poll_message(QueueId::DEFAULT) {
        let _ = raw.session.ack(raw.now, received.ticket);
    }
    raw.feed_publish("a", Flow::AtMostOnce, b"");
    raw.feed_publish("a", flow(QoS::AtLeastOnce, 1, false), b"");
    raw.feed_ack(PacketType::PubRel, 2);
    raw.feed_ack(PacketType::PubRec, 1);
    raw.session
        .disconnect(raw.now, Disconnect::default(), Duration::ZERO)
        .expect("a good DISCONNECT");
}
