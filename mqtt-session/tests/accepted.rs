//! Each accepted message has one outcome, whichever way its connection ends.

mod pair;

use mqtt_session::proto::{Outbox, PacketType, Properties, QoS, Version};
use mqtt_session::{Cause, ConfigBuilder, Outcome, QueueId, SessionLost};
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

/// A QoS 0 message of which the driver has it all, and the system a part; then the server breaks the protocol.
fn hanging_up(version: Version) -> (Raw, mqtt_session::Token, usize) {
    let mut raw = Raw::connected(resuming(version));
    raw.poll();
    let token = raw.publish(QoS::AtMostOnce, b"payload");
    let mut out = Outbox::new();
    raw.session.poll_transmit(raw.now, &mut out);
    raw.session.handle_written(raw.now, 3);
    raw.input.extend_from_slice(&[0x00, 0x00]);
    raw.session.handle_input(raw.now, &mut raw.input);
    (raw, token, out.len() - 3)
}

#[test]
fn what_is_written_while_the_session_hangs_up_is_written() {
    for version in VERSIONS {
        let (mut raw, token, rest) = hanging_up(version);
        assert_eq!(raw.outcome(token), None);
        raw.session.handle_written(raw.now, rest);
        assert_eq!(raw.outcome(token), Some(Outcome::Written));
        raw.closed(Cause::HungUp);
        assert_eq!(raw.outcome(token), Some(Outcome::Written), "once");
    }
}

#[test]
fn what_was_written_in_part_when_the_session_hung_up_is_lost() {
    for version in VERSIONS {
        let (mut raw, token, rest) = hanging_up(version);
        raw.session.handle_written(raw.now, rest - 1);
        raw.closed(Cause::HungUp);
        assert_eq!(raw.outcome(token), Some(Outcome::ConnectionLost));
        raw.wait_for_dial();
        raw.open();
        raw.accept(true, Properties::new());
        assert_eq!(raw.lines(), [""; 0], "it is not sent again");
    }
}

#[test]
fn a_last_disconnect_does_not_cut_off_what_is_written() {
    for version in VERSIONS {
        let mut raw = Raw::connected(resuming(version));
        raw.poll();
        let token = raw.publish(QoS::AtMostOnce, b"payload");
        let mut out = Outbox::new();
        raw.session.poll_transmit(raw.now, &mut out);
        raw.session.handle_written(raw.now, 3);
        raw.session
            .disconnect(raw.now, Default::default(), std::time::Duration::ZERO)
            .expect("a good DISCONNECT");
        raw.session.handle_written(raw.now, out.len() - 3);
        assert_eq!(raw.outcome(token), Some(Outcome::Written));
        raw.hang_up();
        assert_eq!(raw.outcome(token), Some(Outcome::Written), "once");
    }
}

/// There is no bit that tells: what must not be missing is sent again, and DUP says that it may have been there.
#[test]
fn in_3_1_what_is_in_flight_is_sent_again_with_dup_and_subscriptions_are_asked_for_again() {
    for policy in [SessionLost::Resend, SessionLost::Fail] {
        let mut raw = Raw::connected(resuming(Version::V3_1).session_lost(policy));
        raw.subscribe("a/#", QueueId::DEFAULT);
        let lines = raw.lines();
        let id = lines[0].split(' ').nth(1).and_then(|id| id.parse().ok());
        let id = mqtt_session::proto::PacketId::new(id.expect("an identifier")).expect("not 0");
        let codes = vec![mqtt_session::proto::ReasonCode::SUCCESS];
        raw.feed(&mqtt_session::proto::Packet::SubAck(
            mqtt_session::proto::SubAck {
                id,
                codes,
                properties: Properties::new(),
            },
        ));
        let token = raw.publish(QoS::AtLeastOnce, b"x");
        let sent = raw.lines();
        raw.reconnect(false, Properties::new());
        let lines = raw.lines();
        assert!(lines.contains(&format!("{} DUP", sent[0])), "{lines:?}");
        assert!(
            lines.iter().any(|line| line.starts_with("SUBSCRIBE")),
            "{lines:?}"
        );
        let number = sent[0].split(' ').nth(1).and_then(|id| id.parse().ok());
        raw.feed_ack(PacketType::PubAck, number.expect("an identifier"));
        assert_eq!(
            raw.outcome(token),
            Some(ACKNOWLEDGED),
            "and not republished"
        );
    }
}

/// A message that was taken over is never published anew, whatever the policy.
#[test]
fn a_pubrec_outlives_the_session() {
    for version in [Version::V3_1_1, Version::V5] {
        for policy in [SessionLost::Resend, SessionLost::Fail] {
            let mut raw = Raw::connected(resuming(version).session_lost(policy));
            let token = raw.publish(QoS::ExactlyOnce, b"x");
            let line = raw.lines().remove(0);
            let id = line.split(' ').nth(1).and_then(|id| id.parse().ok());
            raw.feed_ack(PacketType::PubRec, id.expect("an identifier"));
            raw.reconnect(false, Properties::new());
            assert_eq!(raw.lines(), [""; 0], "neither PUBLISH nor PUBREL");
            let Some(Outcome::Acknowledged {
                completed,
                republished,
                ..
            }) = raw.outcome(token)
            else {
                panic!("{:?}", raw.outcome(token));
            };
            assert!(!completed && !republished);
        }
    }
}
