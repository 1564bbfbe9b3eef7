//! What becomes of messages, told to those who have asked and to those who ask later.

use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use mqtt_session::client::{Delivery, DeliveryError};
use mqtt_session::proto::{Ack, ConnAck, Packet, PacketType, Properties, QoS, ReasonCode, Version};
use mqtt_session::{Outcome, Poisonous, PublishOptions, PublishRefused, SessionLost};

use crate::acknowledge;
use crate::driver::Driver;
use crate::pair::hand::{Hand, poll, ready};
use crate::pair::raw::ack;
use crate::pair::{ACKNOWLEDGED, config, message};
use crate::woken::Task;

fn publish(hand: &Hand, payload: &'static str) -> Delivery {
    ready(hand.client.publish("a", QoS::AtLeastOnce, payload)).unwrap()
}

fn connected() -> Hand {
    Hand::connected(config(Version::V5))
}

#[test]
fn a_delivery_tells_its_outcome_whenever_and_however_often_it_is_asked() {
    let mut hand = connected();
    let [mut asked, mut awaited, mut late] = ["1", "2", "3"].map(|n| publish(&hand, n));
    assert!(asked.token() < awaited.token() && awaited.token() < late.token());
    let task = Task::new();
    for delivery in [&mut asked, &mut awaited] {
        assert_eq!(delivery.outcome(), None);
    }
    assert!(task.poll(Pin::new(&mut awaited)).is_pending());
    assert_eq!(acknowledge(&mut hand), 3);
    assert_eq!(task.woken(), 1);
    for delivery in [&mut asked, &mut awaited, &mut late] {
        for _ in 0..2 {
            assert_eq!(
                task.poll(Pin::new(&mut *delivery)),
                Poll::Ready(Ok(ACKNOWLEDGED))
            );
            assert_eq!(delivery.outcome(), Some(ACKNOWLEDGED));
        }
    }
    assert!(!task.is_awaited());
    // Nor does the end of the client change it.
    drop(hand);
    assert_eq!(asked.outcome(), Some(ACKNOWLEDGED));
    assert_eq!(ready(late), Ok(ACKNOWLEDGED));
}

#[test]
fn the_task_that_asked_last_is_woken_and_no_other() {
    let mut hand = connected();
    let (mut delivery, tasks) = (publish(&hand, "1"), [Task::new(), Task::new()]);
    for task in [0, 1, 1, 0, 1] {
        assert!(tasks[task].poll(Pin::new(&mut delivery)).is_pending());
    }
    assert!(!tasks[0].is_awaited());
    acknowledge(&mut hand);
    assert_eq!(tasks.each_ref().map(Task::woken), [0, 1]);
}

#[test]
fn a_delivery_that_is_dropped_keeps_no_waker_and_changes_nothing_for_its_message() {
    let mut hand = connected();
    let (mut delivery, task) = (publish(&hand, "1"), Task::new());
    assert!(task.poll(Pin::new(&mut delivery)).is_pending());
    drop(delivery);
    assert!(!task.is_awaited());
    drop(publish(&hand, "2"));
    assert_eq!(acknowledge(&mut hand), 2);
    assert_eq!(task.woken(), 0);
    assert_eq!(hand.client.stats().acknowledged, 2);
}

fn failed(delivery: Delivery) -> DeliveryError {
    let error = ready(delivery).unwrap_err();
    assert_eq!(format!("{error:?}"), error.to_string());
    assert!(format!("{error:#?}").starts_with("DeliveryError {"));
    error
}

#[test]
fn a_message_that_the_server_rejects_says_what_to_check() {
    let mut hand = connected();
    for (qos, reason, words) in [
        (
            QoS::AtLeastOnce,
            ReasonCode::NOT_AUTHORIZED,
            "the server rejected the message: 0x87 Not authorized (check what the server's access rules allow this user)",
        ),
        (
            QoS::ExactlyOnce,
            ReasonCode::QUOTA_EXCEEDED,
            "the server rejected the message: 0x97 Quota exceeded",
        ),
    ] {
        let delivery = ready(hand.client.publish("a", qos, "x")).unwrap();
        let packets = hand.packets();
        let [Packet::Publish(publish)] = packets.as_slice() else {
            panic!("{packets:?}")
        };
        let id = publish.packet_id().unwrap();
        hand.feed(&match qos {
            QoS::ExactlyOnce => ack(PacketType::PubRec, id.get(), reason),
            _ => Packet::PubAck(Ack::new(id).with_reason(reason)),
        });
        let error = failed(delivery);
        assert_eq!(error.outcome, Outcome::Rejected(reason));
        assert_eq!(error.to_string(), words);
    }
}

#[test]
fn a_message_that_a_later_server_can_not_take_says_why() {
    let mut hand = Hand::new(config(Version::V5));
    hand.client.start();
    let delivery = publish(&hand, "x");
    hand.open();
    let properties = Properties::builder().maximum_qos(false);
    hand.feed(&Packet::ConnAck(ConnAck {
        properties: properties.build().unwrap(),
        ..ConnAck::default()
    }));
    let error = failed(delivery);
    let max = QoS::AtMostOnce;
    let refused = PublishRefused::QoSNotSupported { max };
    assert_eq!(error.outcome, Outcome::Refused(refused));
    assert_eq!(
        error.to_string(),
        format!("the message could not be sent to this server: {refused}")
    );
}

#[test]
fn a_message_that_expires_says_that_the_server_may_have_it() {
    let mut hand = Hand::new(config(Version::V5));
    let options = PublishOptions::new().with_time_to_live(Duration::from_secs(1));
    let client = hand.client.clone();
    let publish = client.publish_with(QoS::AtLeastOnce, message("a", b"x"), options);
    let mut delivery = ready(publish).unwrap();
    let task = Task::new();
    assert!(task.poll(Pin::new(&mut delivery)).is_pending());
    hand.advance(Duration::from_secs(1));
    assert_eq!(task.woken(), 1);
    let error = failed(delivery);
    assert_eq!(error.outcome, Outcome::Expired);
    assert_eq!(
        error.to_string(),
        "the message expired before it was sent or acknowledged; if it had been sent, the server may have it"
    );
}

#[test]
fn a_message_at_which_connections_end_says_how_many() {
    let config = config(Version::V5).clean_start(false);
    let mut hand = Hand::connected(config.poisonous(Poisonous::Fail));
    let delivery = publish(&hand, "x");
    hand.turn();
    for _ in 0..3 {
        hand.lose();
        hand.advance(Duration::from_secs(3600));
        hand.open();
        hand.feed(&Packet::ConnAck(ConnAck {
            session_present: true,
            ..ConnAck::default()
        }));
    }
    hand.lose();
    let error = failed(delivery);
    assert_eq!(error.outcome, Outcome::Poisonous { connections: 3 });
    assert_eq!(
        error.to_string(),
        "3 connections in a row ended before the message was acknowledged"
    );
}

#[test]
fn a_message_in_flight_in_a_session_that_is_lost_says_so_where_that_is_configured() {
    let config = config(Version::V5).clean_start(false);
    let mut hand = Hand::connected(config.session_lost(SessionLost::Fail));
    let delivery = publish(&hand, "x");
    hand.turn();
    hand.lose();
    hand.advance(Duration::from_secs(3600));
    hand.accept();
    let error = failed(delivery);
    assert_eq!(error.outcome, Outcome::SessionLost);
    assert_eq!(
        error.to_string(),
        "the server lost the session that the message was in flight in"
    );
}

#[test]
fn a_message_of_which_a_part_has_left_is_lost_with_its_connection() {
    let mut driver = Driver::connected(config(Version::V5));
    let delivery = ready(driver.client.publish("a", QoS::AtMostOnce, "12345")).unwrap();
    driver.turn(None);
    driver.written = 3;
    driver.turn(None);
    driver.lose();
    let error = failed(delivery);
    assert_eq!(error.outcome, Outcome::ConnectionLost);
    assert_eq!(
        error.to_string(),
        "the connection was lost while the message was being written"
    );
}

#[test]
fn a_message_that_the_end_of_the_client_has_overtaken_says_what_ended_it() {
    let mut hand = connected();
    let delivery = publish(&hand, "x");
    hand.turn();
    let _ = poll(pin!(hand.client.disconnect(Duration::ZERO)));
    hand.turn();
    let error = failed(delivery);
    assert_eq!(error.outcome, Outcome::Closed);
    assert_eq!(error.closed.as_ref().unwrap().error, None);
    assert_eq!(
        error.to_string(),
        "the session was closed before the message was acknowledged"
    );
    // Other outcomes have no such reason.
    let mut hand = connected();
    let delivery = publish(&hand, "x");
    hand.packets();
    hand.feed(&ack(PacketType::PubAck, 1, ReasonCode::QUOTA_EXCEEDED));
    assert_eq!(failed(delivery).closed, None);
}

/// Many are kept for long while others come and go: none is confused with another.
#[test]
fn deliveries_that_are_kept_keep_their_own_outcomes_while_many_others_come_and_go() {
    let mut hand = connected();
    let mut kept = vec![publish(&hand, "first")];
    hand.packets();
    let mut ids = vec![1];
    for round in 0..20 {
        for n in 0..100 {
            let delivery = publish(&hand, "x");
            let packets = hand.packets();
            let [Packet::Publish(sent)] = packets.as_slice() else {
                panic!("{packets:?}")
            };
            let id = sent.packet_id().unwrap().get();
            if n == 50 {
                kept.push(delivery);
                ids.push(id);
            } else {
                if n % 3 == 0 {
                    drop(delivery);
                    hand.feed(&ack(PacketType::PubAck, id, ReasonCode::SUCCESS));
                } else {
                    hand.feed(&ack(PacketType::PubAck, id, ReasonCode::SUCCESS));
                    assert_eq!(ready(delivery), Ok(ACKNOWLEDGED), "{round} {n}");
                }
            }
        }
    }
    for (at, delivery) in kept.iter_mut().enumerate() {
        assert_eq!(delivery.outcome(), None, "{at}");
    }
    for (at, id) in ids.iter().enumerate() {
        let reason = if at % 2 == 0 {
            ReasonCode::SUCCESS
        } else {
            ReasonCode::QUOTA_EXCEEDED
        };
        hand.feed(&ack(PacketType::PubAck, *id, reason));
        for (other, delivery) in kept.iter_mut().enumerate().rev() {
            let known = (other <= at).then_some(match other % 2 {
                0 => ACKNOWLEDGED,
                _ => Outcome::Rejected(ReasonCode::QUOTA_EXCEEDED),
            });
            // Those that are not asked stay where they are.
            if other % 5 != 4 || at + 1 == ids.len() {
                assert_eq!(delivery.outcome(), known, "{other} at {at}");
            }
        }
    }
}
