//! Received messages: the order of acknowledgements, what a ticket is worth, queues, and bounds.

mod pair;

use mqtt_session::proto::{Flow, Packet, PacketType, Properties, QoS, ReasonCode, SubAck, Version};
use mqtt_session::{Cause, ConfigBuilder, Event, Phase, QueueId, Received, Stale};
use pair::raw::{Raw, at_least_once, exactly_once, id};
use pair::{VERSIONS, config};

const NONE: Properties = Properties::new();

fn lasting(version: Version) -> ConfigBuilder {
    config(version).clean_start(false)
}

fn again(number: u16, qos: QoS) -> Flow {
    match qos {
        QoS::ExactlyOnce => Flow::ExactlyOnce {
            id: id(number),
            dup: true,
        },
        _ => Flow::AtLeastOnce {
            id: id(number),
            dup: true,
        },
    }
}

fn granted(raw: &mut Raw, filter: &str, queue: QueueId) {
    raw.subscribe(filter, queue);
    let packets = raw.packets();
    let Some(Packet::Subscribe(subscribe)) = packets.last() else {
        panic!("{packets:?}")
    };
    let codes = vec![ReasonCode::GRANTED_QOS_2];
    raw.feed(&Packet::SubAck(SubAck {
        id: subscribe.id,
        codes,
        properties: NONE,
    }));
}

fn take_all(raw: &mut Raw) -> Vec<Received> {
    std::iter::from_fn(|| raw.session.poll_message(QueueId::DEFAULT)).collect()
}

fn give_back(raw: &mut Raw, received: Received) -> Result<(), Stale> {
    raw.session.ack(raw.now, received.ticket)
}

#[test]
fn tickets_given_back_out_of_order_are_acknowledged_in_the_order_of_arrival() {
    for version in VERSIONS {
        for (qos, name) in [(QoS::AtLeastOnce, "PUBACK"), (QoS::ExactlyOnce, "PUBREC")] {
            let mut raw = Raw::connected(config(version));
            for number in [7, 3, 9] {
                let flow = if qos == QoS::ExactlyOnce {
                    exactly_once(number)
                } else {
                    at_least_once(number)
                };
                raw.feed_publish("a", flow, b"");
            }
            let mut taken = take_all(&mut raw);
            give_back(&mut raw, taken.remove(2)).expect("fresh");
            assert_eq!(raw.lines(), Vec::<String>::new());
            give_back(&mut raw, taken.remove(0)).expect("fresh");
            assert_eq!(raw.lines(), [format!("{name} 7")]);
            give_back(&mut raw, taken.remove(0)).expect("fresh");
            assert_eq!(raw.lines(), [format!("{name} 3"), format!("{name} 9")]);
        }
    }
}

#[test]
fn a_qos_1_message_that_waits_does_not_hold_back_a_pubrec_nor_the_other_way_round() {
    let mut raw = Raw::connected(config(Version::V5));
    raw.feed_publish("a", at_least_once(1), b"");
    raw.feed_publish("a", exactly_once(2), b"");
    raw.feed_publish("a", at_least_once(3), b"");
    let mut taken = take_all(&mut raw);
    give_back(&mut raw, taken.remove(1)).expect("fresh");
    assert_eq!(raw.lines(), ["PUBREC 2"]);
    raw.feed_publish("a", exactly_once(4), b"");
    give_back(&mut raw, taken.remove(0)).expect("fresh");
    assert_eq!(raw.lines(), ["PUBACK 1"]);
    // Neither does what waits hold back PUBCOMP.
    raw.feed_ack(PacketType::PubRel, 2);
    assert_eq!(raw.lines(), ["PUBCOMP 2"]);
}

#[test]
fn a_redelivered_message_joins_the_one_that_is_held_and_is_acknowledged_once_it_is_given_back() {
    for version in VERSIONS {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let mut raw = Raw::connected(lasting(version));
            let flow = if qos == QoS::ExactlyOnce {
                exactly_once(1)
            } else {
                at_least_once(1)
            };
            raw.feed_publish("a", flow, b"x");
            let received = raw.take(QueueId::DEFAULT);
            raw.reconnect(true, NONE);
            raw.packets();
            raw.feed_publish("a", again(1, qos), b"x");
            assert!(
                raw.session.poll_message(QueueId::DEFAULT).is_none(),
                "it was delivered twice"
            );
            assert_eq!(raw.session.stats().duplicates, 1);
            assert_eq!(raw.lines(), Vec::<String>::new());
            give_back(&mut raw, received).expect("the session goes on");
            let name = if qos == QoS::ExactlyOnce {
                "PUBREC 1"
            } else {
                "PUBACK 1"
            };
            assert_eq!(raw.lines(), [name]);
        }
    }
}

#[test]
fn a_message_that_was_dealt_with_while_offline_is_acknowledged_when_it_comes_again() {
    let mut raw = Raw::connected(lasting(Version::V5));
    raw.feed_publish("a", at_least_once(1), b"x");
    let received = raw.take(QueueId::DEFAULT);
    raw.closed(Cause::Eof);
    give_back(&mut raw, received).expect("the session goes on");
    raw.wait_for_dial();
    raw.open();
    raw.accept(true, NONE);
    assert_eq!(
        raw.lines(),
        Vec::<String>::new(),
        "nothing is acknowledged before it comes again"
    );
    raw.feed_publish("a", again(1, QoS::AtLeastOnce), b"x");
    assert_eq!(raw.lines(), ["PUBACK 1"]);
    assert!(raw.session.poll_message(QueueId::DEFAULT).is_none());
    // Now the identifier is new [MQTT-4.3.2-5].
    raw.feed_publish("a", at_least_once(1), b"y");
    assert_eq!(raw.take_and_ack(), b"y");
}

#[test]
fn a_ticket_of_a_lost_session_is_stale_and_acknowledges_nothing() {
    let mut raw = Raw::connected(lasting(Version::V5));
    raw.feed_publish("a", at_least_once(1), b"old");
    let received = raw.take(QueueId::DEFAULT);
    raw.reconnect(false, NONE);
    raw.packets();
    raw.feed_publish("a", at_least_once(1), b"new");
    assert_eq!(give_back(&mut raw, received), Err(Stale));
    assert_eq!(raw.lines(), Vec::<String>::new());
    assert_eq!(raw.take_and_ack(), b"new");
    assert_eq!(raw.lines(), ["PUBACK 1"]);
}

#[test]
fn an_identifier_that_comes_without_dup_after_a_reconnect_is_another_message() {
    let mut raw = Raw::connected(lasting(Version::V5));
    raw.feed_publish("a", at_least_once(1), b"old");
    let old = raw.take(QueueId::DEFAULT);
    raw.reconnect(true, NONE);
    raw.packets();
    raw.feed_publish("a", at_least_once(1), b"new");
    assert_eq!(
        give_back(&mut raw, old),
        Err(Stale),
        "its identifier belongs to the other message"
    );
    assert_eq!(raw.lines(), Vec::<String>::new());
    assert_eq!(raw.take_and_ack(), b"new");
    assert_eq!(raw.lines(), ["PUBACK 1"]);
}

#[test]
fn a_qos_2_message_that_comes_again_before_pubrel_is_recorded_again_and_delivered_once() {
    for version in VERSIONS {
        for dup in [false, true] {
            let mut raw = Raw::connected(lasting(version));
            raw.feed_publish("a", exactly_once(1), b"x");
            assert_eq!(raw.take_and_ack(), b"x");
            assert_eq!(raw.lines(), ["PUBREC 1"]);
            raw.feed_publish("a", Flow::ExactlyOnce { id: id(1), dup }, b"x");
            assert_eq!(raw.lines(), ["PUBREC 1"]);
            assert!(raw.session.poll_message(QueueId::DEFAULT).is_none());
            raw.reconnect(true, NONE);
            raw.packets();
            raw.feed_publish("a", again(1, QoS::ExactlyOnce), b"x");
            assert_eq!(raw.lines(), ["PUBREC 1"], "{version}");
            raw.feed_ack(PacketType::PubRel, 1);
            assert_eq!(raw.lines(), ["PUBCOMP 1"]);
            raw.feed_publish("a", exactly_once(1), b"y");
            assert_eq!(raw.take_and_ack(), b"y");
        }
    }
}

#[test]
fn a_server_of_3_1_that_lost_the_session_may_use_an_identifier_again_that_was_never_released() {
    let mut raw = Raw::connected(lasting(Version::V3_1));
    raw.feed_publish("a", exactly_once(1), b"old");
    assert_eq!(raw.take_and_ack(), b"old");
    raw.reconnect(false, NONE);
    raw.packets();
    // 3.1 has no Session Present: that DUP is 0 is all there is to tell.
    raw.feed_publish("a", exactly_once(1), b"new");
    assert_eq!(raw.take_and_ack(), b"new");
    assert_eq!(raw.lines(), ["PUBREC 1"]);
}

/// A server that uses an identifier at QoS 1 has nothing under it at QoS 2, and what comes next there is a message of its own: with DUP, too,
/// where the connection was lost before its first PUBLISH came.
#[test]
fn an_identifier_in_doubt_that_comes_at_qos_1_hides_no_later_message_of_qos_2() {
    for dup in [false, true] {
        let mut raw = Raw::connected(lasting(Version::V3_1));
        raw.feed_publish("a", exactly_once(8), b"old");
        assert_eq!(raw.take_and_ack(), b"old");
        raw.reconnect(false, NONE);
        raw.packets();
        raw.feed_publish("a", Flow::AtLeastOnce { id: id(8), dup }, b"other");
        assert_eq!(raw.take_and_ack(), b"other");
        assert_eq!(raw.lines(), ["PUBACK 8"]);
        raw.reconnect(false, NONE);
        raw.packets();
        raw.feed_publish("a", again(8, QoS::ExactlyOnce), b"new");
        assert_eq!(raw.take_and_ack(), b"new", "lost after DUP {dup}");
        assert_eq!(raw.lines(), ["PUBREC 8"]);
    }
}

/// The server has used the identifier of a QoS 2 message at QoS 1 before it released it, which it may not.
#[test]
fn what_waits_at_qos_1_under_an_identifier_in_doubt_is_forgotten_when_the_message_of_qos_2_comes_again()
 {
    let mut raw = Raw::connected(lasting(Version::V3_1));
    raw.feed_publish("a", exactly_once(8), b"old");
    assert_eq!(raw.take_and_ack(), b"old");
    raw.feed_publish("a", at_least_once(8), b"other");
    let other = raw.take(QueueId::DEFAULT);
    raw.reconnect(false, NONE);
    raw.packets();
    raw.feed_publish("a", again(8, QoS::ExactlyOnce), b"old");
    assert_eq!(raw.lines(), ["PUBREC 8"]);
    raw.reconnect(false, NONE);
    raw.packets();
    // What comes twice under it is delivered once, and acknowledged once.
    raw.feed_publish("a", exactly_once(8), b"new");
    raw.feed_publish("a", exactly_once(8), b"new");
    let mut waiting = take_all(&mut raw);
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    assert_eq!(give_back(&mut raw, other), Err(Stale));
    assert_eq!(raw.lines(), Vec::<String>::new());
    let new = waiting.remove(0);
    assert_eq!(new.publish.payload(), b"new");
    give_back(&mut raw, new).expect("fresh");
    assert_eq!(raw.lines(), ["PUBREC 8"]);
}

#[test]
fn pubrel_for_an_unknown_identifier_is_completed_with_the_reason_that_the_version_has() {
    for (version, expected) in [
        (Version::V3_1_1, "PUBCOMP 5"),
        (Version::V5, "PUBCOMP 5 0x92"),
    ] {
        let mut raw = Raw::connected(config(version));
        raw.feed_ack(PacketType::PubRel, 5);
        assert_eq!(raw.lines(), [expected]);
        assert_eq!(raw.session.phase(), Phase::Connected);
    }
}

#[test]
fn a_message_for_two_queues_is_acknowledged_when_the_last_has_given_it_back() {
    let mut raw = Raw::connected(config(Version::V5));
    let (one, two) = (raw.session.open_queue(), raw.session.open_queue());
    granted(&mut raw, "a/#", one);
    granted(&mut raw, "+/b", two);
    raw.feed_publish("a/b", at_least_once(1), b"x");
    let (first, second) = (raw.take(one), raw.take(two));
    assert_eq!(
        (first.publish.payload(), second.publish.payload()),
        (&b"x"[..], &b"x"[..])
    );
    assert!(raw.session.poll_message(QueueId::DEFAULT).is_none());
    give_back(&mut raw, second).expect("fresh");
    assert_eq!(raw.lines(), Vec::<String>::new());
    give_back(&mut raw, first).expect("fresh");
    assert_eq!(raw.lines(), ["PUBACK 1"]);
}

#[test]
fn closing_a_queue_moves_what_must_be_acknowledged_to_the_default_queue_and_drops_the_rest() {
    let mut raw = Raw::connected(config(Version::V5));
    let queue = raw.session.open_queue();
    granted(&mut raw, "a", queue);
    raw.feed_publish("a", Flow::AtMostOnce, b"0");
    raw.feed_publish("a", at_least_once(1), b"1");
    raw.session.close_queue(raw.now, queue);
    assert_eq!(raw.session.stats().dropped, 1);
    assert!(raw.session.poll_message(queue).is_none());
    raw.poll();
    assert!(
        raw.events
            .iter()
            .any(|event| matches!(event, Event::Readable(QueueId::DEFAULT)))
    );
    assert_eq!(raw.take_and_ack(), b"1");
    assert_eq!(raw.lines(), ["PUBACK 1"]);
}

#[test]
fn messages_that_nothing_claims_wait_unacknowledged_until_a_later_subscription_claims_them() {
    let mut raw = Raw::connected(lasting(Version::V5));
    raw.feed_publish("a", at_least_once(1), b"a");
    raw.feed_publish("b", at_least_once(2), b"b");
    let queue = raw.session.open_queue();
    raw.subscribe("b", queue);
    raw.packets();
    assert!(
        raw.events
            .iter()
            .any(|event| matches!(event, Event::Readable(q) if *q == queue))
    );
    let claimed = raw.take(queue);
    assert_eq!(claimed.publish.payload(), b"b");
    assert_eq!(raw.take_and_ack(), b"a");
    assert_eq!(raw.lines(), ["PUBACK 1"]);
    give_back(&mut raw, claimed).expect("fresh");
    assert_eq!(raw.lines(), ["PUBACK 2"]);
}

#[test]
fn a_ticket_of_another_client_is_stale_and_changes_nothing() {
    for flow in [Flow::AtMostOnce, at_least_once(1)] {
        let mut raw = Raw::connected(config(Version::V5));
        let mut other = Raw::new(config(Version::V5));
        let endpoint = mqtt_session::Endpoint::new("192.0.2.1", 1883);
        let other_config = config(Version::V5).build().expect("a good configuration");
        other.session = mqtt_session::Session::new(other_config, endpoint, 8);
        other.session.connect(other.now);
        other.open();
        other.accept(false, NONE);
        raw.feed_publish("a", flow, b"x");
        other.feed_publish("a", flow, b"x");
        let foreign = other.take(QueueId::DEFAULT);
        let own = raw.take(QueueId::DEFAULT);
        let before = raw.session.stats();
        assert_eq!(raw.session.ack(raw.now, foreign.ticket), Err(Stale));
        assert_eq!(raw.session.stats(), before);
        assert_eq!(raw.lines(), Vec::<String>::new());
        give_back(&mut raw, own).expect("fresh");
        assert_eq!(raw.session.stats().inbox_bytes, 0);
    }
}

#[test]
fn what_a_lost_session_left_in_the_inbox_still_frees_its_room() {
    for flow in [Flow::AtMostOnce, at_least_once(1)] {
        let mut raw = Raw::connected(lasting(Version::V5));
        raw.feed_publish("a", flow, b"x");
        raw.reconnect(false, NONE);
        assert!(raw.session.stats().inbox_bytes > 0);
        let received = raw.take(QueueId::DEFAULT);
        let _ = give_back(&mut raw, received);
        assert_eq!(raw.session.stats().inbox_bytes, 0);
    }
}
