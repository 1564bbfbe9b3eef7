//! Messages at which connection after connection ends.

mod pair;

use bytes::BytesMut;
use mqtt_session::proto::{Outbox, Packet, PacketType, Properties, QoS, Version};
use mqtt_session::{
    Cause, ConfigBuilder, ConnectionError, Durability, Event, Limits, Outcome, Poisonous,
    PublishOptions, QueueId, Received, Token,
};
use pair::raw::{Raw, at_least_once};
use pair::{ACKNOWLEDGED, VERSIONS, config};

fn resuming(version: Version) -> ConfigBuilder {
    let builder = config(version);
    if version.is_v5() {
        builder
    } else {
        builder.clean_start(false)
    }
}

/// What was told of poisonous messages: which, and after how many connections.
fn told(raw: &mut Raw) -> Vec<(Token, u32)> {
    raw.poll();
    let events = raw.events.iter().filter_map(|event| match event {
        Event::Poisonous { token, connections } => Some((*token, *connections)),
        _ => None,
    });
    events.collect()
}

/// The next connection, on which the session sends again what it has.
fn again(raw: &mut Raw, session_present: bool) -> Vec<String> {
    raw.reconnect(session_present, Properties::new());
    raw.lines()
}

const QOS: [QoS; 2] = [QoS::AtLeastOnce, QoS::ExactlyOnce];

#[test]
fn the_third_connection_that_ends_at_a_message_names_it() {
    for (version, qos) in VERSIONS.into_iter().flat_map(|v| QOS.map(|qos| (v, qos))) {
        let mut raw = Raw::connected(resuming(version));
        let poison = raw.publish(qos, b"poison");
        let other = raw.publish(qos, b"other");
        raw.poll();
        for connections in 1..=5 {
            assert_eq!(again(&mut raw, true).len(), 2, "both are sent again");
            raw.closed(Cause::ConnectionReset);
            let expected: Vec<_> = (3..=connections).map(|n| (poison, n)).collect();
            assert_eq!(told(&mut raw), expected, "{version} {qos}");
            raw.wait_for_dial();
            raw.open();
            raw.closed(Cause::Eof);
        }
        assert_eq!(raw.outcome(poison), None, "it is kept");
        assert_eq!(raw.outcome(other), None);
    }
}

#[test]
fn a_poisonous_message_ends_after_three_connections_where_that_is_configured() {
    for (version, qos) in VERSIONS.into_iter().flat_map(|v| QOS.map(|qos| (v, qos))) {
        let mut raw = Raw::connected(resuming(version).poisonous(Poisonous::Fail));
        let poison = raw.publish(qos, b"poison");
        let other = raw.publish(qos, b"other");
        raw.poll();
        for _ in 0..3 {
            assert_eq!(raw.outcome(poison), None);
            again(&mut raw, true);
            raw.closed(Cause::ConnectionReset);
        }
        assert_eq!(told(&mut raw), [(poison, 3)]);
        assert_eq!(
            raw.outcome(poison),
            Some(Outcome::Poisonous { connections: 3 })
        );
        assert_eq!(raw.outcome(other), None);
        raw.wait_for_dial();
        raw.open();
        raw.accept(true, Properties::new());
        assert_eq!(raw.lines().len(), 1, "the other one is sent again alone");
    }
}

#[test]
fn an_acknowledgement_of_the_first_message_clears_it() {
    for version in VERSIONS {
        let mut raw = Raw::connected(resuming(version).poisonous(Poisonous::Fail));
        let tokens: Vec<_> = (0..6)
            .map(|_| raw.publish(QoS::AtLeastOnce, b"x"))
            .collect();
        let mut packets = raw.packets();
        for token in tokens {
            let Some(Packet::Publish(publish)) = packets.first() else {
                panic!("{packets:?}");
            };
            let first = publish.packet_id().expect("an identifier").get();
            // Each connection ends soon, but the server comes one message further.
            raw.reconnect(true, Properties::new());
            raw.feed_ack(PacketType::PubAck, first);
            packets = raw.packets().split_off(1);
            assert_eq!(raw.outcome(token), Some(ACKNOWLEDGED));
        }
        assert_eq!(told(&mut raw), []);
    }
}

/// The message was not acknowledged in time, but it is us who ended the connection. Only where that goes on and on is it to blame: else a
/// server that fills the inbox and breaks at the message would never be found out.
#[test]
fn a_message_is_not_to_blame_for_our_own_full_inbox() {
    for (version, qos) in VERSIONS.into_iter().flat_map(|v| QOS.map(|qos| (v, qos))) {
        let mut limits = Limits::default();
        limits.inbox_bytes = 3 * (Received::OVERHEAD + 120);
        let config = resuming(version).limits(limits);
        let mut raw = Raw::connected(config.poisonous(Poisonous::Fail));
        let innocent = raw.publish(qos, b"innocent");
        raw.poll();
        raw.closed(Cause::Eof);
        for connection in 0..12 {
            assert_eq!(raw.outcome(innocent), None, "{version} {qos}");
            raw.wait_for_dial();
            raw.open();
            raw.accept(true, Properties::new());
            assert_eq!(raw.lines().len(), 1, "it is sent again");
            for number in 1..=5 {
                // Each time other messages: those of before were acknowledged.
                raw.feed_publish("a", at_least_once(10 * connection + number), &[0; 100]);
            }
            assert!(
                matches!(raw.last_loss(), ConnectionError::InboxFull { .. }),
                "{version}"
            );
            raw.hang_up();
            while let Some(received) = raw.session.poll_message(QueueId::DEFAULT) {
                let _ = raw.session.ack(raw.now, received.ticket);
            }
        }
        assert_eq!(told(&mut raw), [(innocent, 12)], "{version} {qos}");
    }
}

#[test]
fn a_server_that_breaks_at_a_pubrel_is_found_out() {
    for (version, policy) in VERSIONS
        .into_iter()
        .flat_map(|v| [(v, Poisonous::Keep), (v, Poisonous::Fail)])
    {
        let mut raw = Raw::connected(resuming(version).poisonous(policy));
        let poison = raw.publish(QoS::ExactlyOnce, b"x");
        let Some(Packet::Publish(publish)) = raw.packets().pop() else {
            panic!("a PUBLISH");
        };
        let id = publish.packet_id().expect("an identifier").get();
        raw.feed_ack(PacketType::PubRec, id);
        for _ in 0..3 {
            assert_eq!(again(&mut raw, true), [format!("PUBREL {id}")]);
            raw.closed(Cause::ConnectionReset);
        }
        assert_eq!(told(&mut raw), [(poison, 3)]);
        // The server has the message.
        let outcome = (policy == Poisonous::Fail).then_some(Outcome::Acknowledged {
            reason: mqtt_session::proto::ReasonCode::SUCCESS,
            republished: false,
            completed: false,
        });
        assert_eq!(raw.outcome(poison), outcome);
        raw.wait_for_dial();
        raw.open();
        raw.accept(true, Properties::new());
        let expected = if policy == Poisonous::Fail { 0 } else { 1 };
        assert_eq!(raw.lines().len(), expected);
        // The server may still know the identifier [MQTT-4.3.3-10].
        raw.publish(QoS::ExactlyOnce, b"next");
        assert_ne!(raw.lines(), [format!("PUBLISH {id}")]);
    }
}

/// PUBREC is progress: it counts anew with the PUBREL.
#[test]
fn a_pubrec_clears_the_publish_but_not_what_comes_after_it() {
    let mut raw = Raw::connected(resuming(Version::V5));
    let poison = raw.publish(QoS::ExactlyOnce, b"x");
    raw.poll();
    for _ in 0..2 {
        again(&mut raw, true);
        raw.closed(Cause::ConnectionReset);
        raw.wait_for_dial();
        raw.open();
        raw.closed(Cause::Eof);
    }
    raw.wait_for_dial();
    raw.open();
    raw.accept(true, Properties::new());
    raw.poll();
    raw.feed_ack(PacketType::PubRec, 1);
    raw.closed(Cause::ConnectionReset);
    assert_eq!(told(&mut raw), []);
    for connections in 1..=3 {
        raw.wait_for_dial();
        raw.open();
        raw.accept(true, Properties::new());
        raw.poll();
        raw.closed(Cause::ConnectionReset);
        let expected: &[_] = if connections == 3 {
            &[(poison, 3)]
        } else {
            &[]
        };
        assert_eq!(told(&mut raw), expected);
    }
}

/// The server has no session, and breaks at what is published anew.
#[test]
fn a_message_that_is_published_anew_can_be_poisonous_too() {
    for version in [Version::V3_1_1, Version::V5] {
        let mut raw = Raw::connected(config(version).poisonous(Poisonous::Fail));
        let poison = raw.publish(QoS::AtLeastOnce, b"x");
        raw.poll();
        for _ in 0..3 {
            assert_eq!(again(&mut raw, false).len(), 1);
            raw.closed(Cause::ConnectionReset);
        }
        assert_eq!(told(&mut raw), [(poison, 3)]);
        assert_eq!(
            raw.outcome(poison),
            Some(Outcome::Poisonous { connections: 3 })
        );
    }
}

#[test]
fn attempts_that_come_to_nothing_count_neither_way() {
    let mut raw = Raw::connected(resuming(Version::V5));
    raw.publish(QoS::AtLeastOnce, b"x");
    raw.poll();
    for connections in 1..=3 {
        again(&mut raw, true);
        raw.closed(Cause::ConnectionReset);
        for _ in 0..5 {
            raw.wait_for_dial();
            raw.open();
            raw.closed(Cause::Eof);
        }
        assert_eq!(told(&mut raw).len(), usize::from(connections == 3));
    }
    // What was encoded and never left did not hurt anybody.
    let mut raw = Raw::connected(resuming(Version::V5));
    raw.publish(QoS::AtLeastOnce, b"x");
    raw.poll();
    for _ in 0..5 {
        raw.closed(Cause::ConnectionReset);
        raw.wait_for_dial();
        raw.open();
        let connack = raw.encode(&Packet::ConnAck(mqtt_session::proto::ConnAck {
            session_present: true,
            ..Default::default()
        }));
        raw.input.extend_from_slice(&connack);
        raw.session.handle_input(raw.now, &mut raw.input);
        // The driver takes nothing any more.
        let attempt = raw.attempt.expect("an attempt");
        raw.session
            .handle_closed(raw.now, attempt, Cause::ConnectionReset);
    }
    assert_eq!(told(&mut raw), []);
}

#[test]
fn a_message_that_waits_for_its_record_can_be_poisonous_too_also_where_a_part_of_it_was_written() {
    fn store(raw: &mut Raw) {
        while let Some((seq, _)) = raw.session.poll_record() {
            raw.session.handle_stored(raw.now, seq);
        }
    }
    let config = config(Version::V5)
        .durability(Durability::WriteAhead)
        .poisonous(Poisonous::Fail);
    let mut raw = Raw::connected(config);
    let poison = raw.publish(QoS::AtLeastOnce, &[7; 1000]);
    store(&mut raw);
    raw.poll();
    for _ in 0..3 {
        assert_eq!(raw.outcome(poison), None);
        raw.reconnect(false, Properties::new());
        store(&mut raw);
        let mut out = Outbox::new();
        assert!(raw.session.poll_transmit(raw.now, &mut out));
        assert!(out.len() > 1000);
        raw.session.handle_written(raw.now, 500);
        raw.closed(Cause::ConnectionReset);
    }
    assert_eq!(told(&mut raw), [(poison, 3)]);
}

#[test]
fn a_message_that_waited_for_its_record_and_of_which_nothing_was_written_is_not_to_blame() {
    let config = config(Version::V5).durability(Durability::WriteAhead);
    let mut raw = Raw::connected(config);
    let stored = |raw: &mut Raw| {
        while let Some((seq, _)) = raw.session.poll_record() {
            raw.session.handle_stored(raw.now, seq);
        }
    };
    raw.publish(QoS::AtLeastOnce, &[7; 1000]);
    stored(&mut raw);
    raw.poll();
    for _ in 0..5 {
        raw.reconnect(false, Properties::new());
        stored(&mut raw);
        let mut out = Outbox::new();
        assert!(raw.session.poll_transmit(raw.now, &mut out));
        assert!(out.len() > 1000);
        raw.closed(Cause::ConnectionReset);
    }
    assert_eq!(told(&mut raw), []);
}

/// What is sent again over a new connection, of which so many bytes are written.
fn written_in_part(raw: &mut Raw, bytes: usize) -> usize {
    raw.closed(Cause::Eof);
    raw.wait_for_dial();
    raw.open();
    let connack = Packet::ConnAck(mqtt_session::proto::ConnAck {
        session_present: true,
        ..Default::default()
    });
    let mut input = BytesMut::from(&raw.encode(&connack)[..]);
    raw.session.handle_input(raw.now, &mut input);
    let mut out = Outbox::new();
    raw.session.poll_transmit(raw.now, &mut out);
    raw.session.handle_written(raw.now, bytes);
    out.len()
}

#[test]
fn a_message_at_whose_first_bytes_connections_end_is_poisonous() {
    let mut raw = Raw::connected(config(Version::V5));
    let poison = raw.publish(QoS::AtLeastOnce, &[7; 1000]);
    raw.poll();
    for _ in 0..3 {
        assert_eq!(told(&mut raw), []);
        assert!(written_in_part(&mut raw, 500) > 1000);
    }
    raw.closed(Cause::ConnectionReset);
    assert_eq!(told(&mut raw), [(poison, 3)]);
}

#[test]
fn a_message_that_has_expired_instead_of_being_sent_again_does_not_shield_the_next() {
    let mut raw = Raw::connected(config(Version::V5));
    let options = PublishOptions::new().with_time_to_live(std::time::Duration::from_millis(1));
    let publish = pair::message("a", b"x");
    raw.session
        .publish_with(raw.now, QoS::ExactlyOnce, publish, &options)
        .expect("accepted");
    let poison = raw.publish(QoS::AtLeastOnce, b"poison");
    raw.poll();
    for _ in 0..3 {
        assert_eq!(told(&mut raw), []);
        assert_eq!(again(&mut raw, true).len(), 1);
    }
    raw.closed(Cause::ConnectionReset);
    assert_eq!(told(&mut raw), [(poison, 3)]);
}

#[test]
fn what_is_sent_for_the_first_time_when_its_record_is_stored_was_not_sent_again() {
    let config = config(Version::V5).durability(Durability::WriteAhead);
    let mut raw = Raw::connected(config);
    let store = |raw: &mut Raw| {
        raw.poll();
        while let Some((seq, _)) = raw.session.poll_record() {
            raw.session.handle_stored(raw.now, seq);
        }
        raw.poll();
    };
    store(&mut raw);
    raw.publish(QoS::AtLeastOnce, b"x");
    store(&mut raw);
    for _ in 0..2 {
        raw.reconnect(true, Properties::new());
        store(&mut raw);
    }
    raw.closed(Cause::ConnectionReset);
    assert_eq!(told(&mut raw), [], "two connections have ended at it");
}

#[test]
fn a_message_whose_pubrel_was_given_up_is_no_longer_in_flight() {
    let mut raw = Raw::connected(config(Version::V5).poisonous(Poisonous::Fail));
    raw.publish(QoS::ExactlyOnce, b"x");
    raw.poll();
    raw.feed_ack(PacketType::PubRec, 1);
    for _ in 0..3 {
        raw.reconnect(true, Properties::new());
        assert_eq!(raw.session.stats().in_flight, 1);
    }
    raw.closed(Cause::ConnectionReset);
    assert_eq!(told(&mut raw).len(), 1);
    assert_eq!(raw.session.stats().in_flight, 0);
    // The server may yet complete it.
    raw.wait_for_dial();
    raw.open();
    raw.accept(true, Properties::new());
    raw.feed_ack(PacketType::PubComp, 1);
    assert_eq!(raw.session.stats().in_flight, 0);
}
