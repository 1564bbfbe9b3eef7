//! Bytes pass both ways, in any pieces, and wait where nobody wants them.

use std::time::Duration;
use std::vec::Vec;

use mqtt_proto::QoS;

use super::veil::{Kind, PONG, ping};
use super::*;
use crate::{Limits, Phase, QueueId};

const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// Messages of all kinds and sizes, both ways.
fn converse(mut tower: Tower) {
    tower.subscribe();
    let mut sent = Vec::new();
    for (number, qos) in (0..30_u8).zip(QOS.into_iter().cycle()) {
        let len = [1, 100, 5000, 40_000][usize::from(number) % 4];
        let payload = alloc::vec![number; len];
        tower.publish(qos, &payload);
        sent.push(payload);
        if number % 5 == 0 {
            tower.run();
        }
    }
    tower.run();
    let (mut accepted, mut came) = (tower.accepted(), tower.take_all());
    // QoS 2 has its turn later.
    for list in [&mut sent, &mut accepted, &mut came] {
        list.sort();
    }
    assert!(sent == accepted, "{} of {}", accepted.len(), sent.len());
    assert!(sent == came, "{} of {}", came.len(), sent.len());
    tower.check();
    assert!(tower.losses().is_empty(), "{:?}", tower.losses());
}

#[test]
fn messages_pass_both_ways_through_one_layer_and_through_several() {
    converse(connected(tower()));
    converse(connected(over_two()));
    converse(connected(over_all()));
}

#[test]
fn bytes_may_come_one_by_one() {
    for mut tower in [tower(), over_two(), over_all()] {
        tower.pieces = 1;
        let mut tower = connected(tower);
        tower.subscribe();
        for qos in QOS {
            tower.publish(qos, b"in pieces");
        }
        tower.run();
        assert_eq!(tower.take_all().len(), 3);
        tower.check();
    }
}

#[test]
fn a_layer_that_has_nothing_to_do_any_more_is_taken_away() {
    let mut alone = Tower::new(
        config(|| alloc::vec![Box::new(Gate::default())]),
        server(),
        || Box::new(GateKeeper::before(Unveiled::default())),
    );
    alone.start();
    assert_eq!(alone.connection.session().phase(), Phase::Connected);
    assert!(alone.connection.is_plain());
    converse(alone);
    let mut below = over_all();
    below.start();
    assert!(!below.connection.is_plain());
}

#[test]
fn a_layer_answers_for_itself() {
    let mut tower = connected(tower());
    tower.wire().sent.clear();
    tower.wire().coming.extend_from_slice(&ping());
    tower.run();
    assert_eq!(tower.wire().sent, veil::frame(Kind::Low, PONG, &[]));
    assert!(!tower.connection.has_transmit());
}

#[test]
fn what_the_session_does_not_want_yet_waits_and_needs_no_new_bytes_to_be_taken() {
    let mut config = {
        let limits = Limits {
            inbox_bytes: 4096,
            ..Limits::default()
        };
        Config::builder("client").limits(limits).build().unwrap()
    };
    with_layers(&mut config, two);
    let mut tower = connected(Tower::new(config, server(), || Box::new(Unveiled::two())));
    tower.subscribe();
    let message = crate::proto::Publish::new("a".try_into().unwrap(), alloc::vec![7; 1000]);
    for _ in 0..20 {
        tower.broker.publish(tower.now, &message, QoS::AtLeastOnce);
    }
    tower.run();
    assert!(!tower.connection.wants_read(), "the inbox is full");
    assert!(!tower.connection.has_input());
    assert!(tower.wire().coming.is_empty(), "the driver has read all");
    let waiting = tower.connection.session().stats().inbox_messages;
    assert!((1..20).contains(&waiting), "{waiting}");
    // Room, and nothing else, lets the rest in.
    let mut taken = 0;
    while let Some(received) = tower.connection.poll_message(QueueId::DEFAULT) {
        let now = tower.at();
        let session = tower.connection.session_mut();
        session.ack(now, received.ticket).unwrap();
        taken += 1;
        if tower.connection.has_input() {
            assert!(tower.input.is_empty());
            tower.connection.handle_input(now, &mut tower.input);
        }
    }
    assert_eq!(taken, 20);
    tower.run();
    tower.check();
}

#[test]
fn what_nobody_writes_stays_with_the_session_but_for_64_kib() {
    for tower in [tower(), over_two()] {
        let mut tower = connected(tower);
        tower.takes = 0;
        for number in 0..100_u8 {
            tower.publish(QoS::AtMostOnce, &[number; 10_000]);
            tower.run();
            // A driver that asks again gets no more.
            let now = tower.at();
            tower.connection.poll_transmit(now, &mut tower.output);
        }
        let ahead = tower.output.len();
        assert!((64 * 1024..96 * 1024).contains(&ahead), "{ahead}");
        assert!(!tower.connection.has_transmit());
        let queued = tower.connection.session().stats().queued;
        assert!(queued > 60, "{queued} wait as messages");
        tower.takes = usize::MAX;
        tower.run();
        let accepted = tower.accepted();
        let numbers: Vec<u8> = accepted.iter().map(|payload| payload[0]).collect();
        assert_eq!(numbers, (0..100).collect::<Vec<u8>>());
        tower.check();
    }
}

#[test]
fn an_idle_connection_holds_no_buffers() {
    let mut tower = connected(over_two());
    tower.subscribe();
    for _ in 0..10 {
        tower.publish(QoS::AtLeastOnce, &[1; 30_000]);
        tower.run();
        tower.take_all();
    }
    tower.run_for(Duration::from_secs(200));
    let held = tower.connection.held_by_layers();
    assert!(held < 256, "{held} bytes");
}
