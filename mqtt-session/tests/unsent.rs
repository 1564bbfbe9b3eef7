//! Messages that were encoded, and of which no byte had left when the connection was lost.

mod pair;

use mqtt_session::proto::{Outbox, Packet, PacketType, Properties, QoS, Version};
use mqtt_session::{Cause, ConfigBuilder, Outcome, SessionLost};
use pair::raw::Raw;
use pair::{ACKNOWLEDGED, VERSIONS, config};

fn resuming(version: Version) -> ConfigBuilder {
    let builder = config(version);
    if version.is_v5() {
        builder
    } else {
        builder.clean_start(false)
    }
}

/// The driver takes everything, and the system so many bytes of it; then the connection is lost.
fn lose_after(raw: &mut Raw, bytes: usize) {
    let mut out = Outbox::new();
    raw.session.poll_transmit(raw.now, &mut out);
    raw.session.handle_written(raw.now, bytes);
    raw.closed(Cause::ConnectionReset);
}

fn come_back(raw: &mut Raw, session_present: bool) -> Vec<String> {
    raw.wait_for_dial();
    raw.open();
    raw.accept(session_present, Properties::new());
    raw.lines()
}

/// [MQTT-3.3.1-1]
#[test]
fn dup_is_set_where_a_byte_had_left_and_only_there() {
    let cases = VERSIONS
        .into_iter()
        .flat_map(|version| [QoS::AtLeastOnce, QoS::ExactlyOnce].map(|qos| (version, qos)));
    for (version, qos) in cases {
        let len = if version.is_v5() { 9 } else { 8 };
        for (bytes, expected) in [
            (0, [false, false]),
            (1, [true, false]),
            (len, [true, false]),
            (len + 1, [true, true]),
        ] {
            let mut raw = Raw::connected(resuming(version));
            raw.poll();
            raw.publish(qos, b"1");
            raw.publish(qos, b"2");
            lose_after(&mut raw, bytes);
            let lines = come_back(&mut raw, true);
            let dups: Vec<_> = lines.iter().map(|line| line.ends_with("DUP")).collect();
            assert_eq!(dups, expected, "{version} {qos} {bytes}: {lines:?}");
        }
    }
}

#[test]
fn it_stays_without_dup_until_a_byte_has_left() {
    let mut raw = Raw::connected(resuming(Version::V5));
    raw.poll();
    let token = raw.publish(QoS::AtLeastOnce, b"x");
    for _ in 0..3 {
        lose_after(&mut raw, 0);
        raw.wait_for_dial();
        raw.open();
        let connack = raw.encode(&Packet::ConnAck(mqtt_session::proto::ConnAck {
            session_present: true,
            ..Default::default()
        }));
        raw.input.extend_from_slice(&connack);
        raw.session.handle_input(raw.now, &mut raw.input);
    }
    assert_eq!(raw.lines(), ["PUBLISH 1"]);
    raw.reconnect(true, Properties::new());
    assert_eq!(raw.lines(), ["PUBLISH 1 DUP"]);
    raw.feed_ack(PacketType::PubAck, 1);
    assert_eq!(raw.outcome(token), Some(ACKNOWLEDGED));
}

#[test]
fn what_was_thrown_away_before_a_last_disconnect_has_not_left() {
    let mut raw = Raw::connected(resuming(Version::V5));
    raw.poll();
    raw.publish(QoS::AtLeastOnce, b"x");
    // A second CONNACK: the DISCONNECT that answers is longer than the message was.
    raw.bytes_in(&[0x20, 3, 0, 0, 0]);
    raw.hang_up();
    assert_eq!(come_back(&mut raw, true), ["PUBLISH 1"]);
}

/// [MQTT-3.3.1-1]
#[test]
fn what_the_driver_took_and_never_told_of_may_have_left() {
    let mut raw = Raw::connected(resuming(Version::V5));
    raw.poll();
    let once = raw.publish(QoS::AtMostOnce, b"0");
    raw.publish(QoS::AtLeastOnce, b"1");
    let mut out = Outbox::new();
    raw.session.poll_transmit(raw.now, &mut out);
    raw.publish(QoS::AtLeastOnce, b"2");
    // A second CONNACK ends the connection, and the driver never says that it has closed it.
    raw.bytes_in(&[0x20, 3, 0, 0, 0]);
    assert_eq!(come_back(&mut raw, true), ["PUBLISH 1 DUP", "PUBLISH 2"]);
    assert_eq!(raw.outcome(once), Some(Outcome::ConnectionLost));
}

#[test]
fn a_lost_session_does_not_concern_it() {
    for version in [Version::V3_1_1, Version::V5] {
        for policy in [SessionLost::Resend, SessionLost::Fail] {
            let mut raw = Raw::connected(resuming(version).session_lost(policy));
            raw.poll();
            let left = raw.publish(QoS::AtLeastOnce, b"1");
            let unsent = raw.publish(QoS::AtLeastOnce, b"2");
            lose_after(&mut raw, 5);
            let lines = come_back(&mut raw, false);
            let fails = policy == SessionLost::Fail;
            assert_eq!(lines.len(), if fails { 1 } else { 2 }, "{lines:?}");
            assert_eq!(raw.outcome(left), fails.then_some(Outcome::SessionLost));
            let Some(id) = lines.last().and_then(|line| line.split(' ').nth(1)) else {
                panic!("{lines:?}");
            };
            raw.feed_ack(PacketType::PubAck, id.parse().expect("an identifier"));
            assert_eq!(
                raw.outcome(unsent),
                Some(ACKNOWLEDGED),
                "and not republished"
            );
        }
    }
}
