//! What is written is told of the session's bytes when all that became of them is, and no more goes out twice than over a plain stream.

use std::time::Duration;

use mqtt_proto::QoS;

use super::*;
use crate::Outcome;

#[test]
fn a_message_is_written_when_the_last_byte_of_its_frame_is() {
    for tower in [tower(), over_two()] {
        let mut tower = connected(tower);
        tower.takes = 0;
        let token = tower.publish(QoS::AtMostOnce, b"all or nothing");
        tower.run();
        let len = tower.output.len();
        for _ in 1..len {
            tower.takes = 1;
            tower.run();
            assert_eq!(tower.outcome(token), None);
        }
        tower.takes = 1;
        tower.run();
        assert_eq!(tower.outcome(token), Some(Outcome::Written));
    }
}

#[test]
fn bytes_are_counted_as_the_session_gave_them() {
    let mut plain = Tower::new(config(Vec::new), server(), || Box::new(Unveiled::default()));
    let mut veiled = over_two();
    for tower in [&mut plain, &mut veiled] {
        tower.start();
        tower.publish(QoS::AtLeastOnce, &[3; 50_000]);
        tower.run();
    }
    let (plain, veiled) = (
        plain.connection.session().stats(),
        veiled.connection.session().stats(),
    );
    assert_eq!(plain.bytes_written, veiled.bytes_written);
    assert_eq!(plain.bytes_received, veiled.bytes_received);
}

#[test]
fn of_a_large_message_what_is_written_is_told_unit_by_unit() {
    let mut tower = connected(tower());
    let before = tower.connection.session().stats().bytes_written;
    tower.takes = 20_000;
    tower.publish(QoS::AtLeastOnce, &[3; 50_000]);
    tower.run();
    let written = tower.connection.session().stats().bytes_written - before;
    assert!((10_000..20_000).contains(&written), "{written}");
}

#[test]
fn a_message_of_which_a_part_may_have_left_is_not_sent_as_if_none_had() {
    // Cut within the frame of both messages.
    let mut torn = connected(tower());
    torn.takes = 10;
    let at_most_once = torn.publish(QoS::AtMostOnce, b"once");
    let at_least_once = torn.publish(QoS::AtLeastOnce, b"again");
    torn.run();
    assert_eq!(torn.outcome(at_most_once), None);
    torn.takes = usize::MAX;
    torn.end(Cause::ConnectionReset);
    torn.run_for(Duration::from_secs(10));
    assert_eq!(torn.outcome(at_most_once), Some(Outcome::ConnectionLost));
    assert!(matches!(
        torn.outcome(at_least_once),
        Some(Outcome::Acknowledged { .. })
    ));
    assert_eq!(torn.accepted(), [b"again"]);
    assert!(torn.broker.received()[0].dup, "it may be the second time");
}

#[test]
fn a_message_of_which_nothing_had_left_is_sent_as_if_for_the_first_time() {
    let mut untouched = connected(tower());
    untouched.takes = 0;
    let at_most_once = untouched.publish(QoS::AtMostOnce, b"once");
    untouched.publish(QoS::AtLeastOnce, b"first");
    untouched.run();
    assert!(!untouched.output.is_empty(), "the driver has it");
    untouched.takes = usize::MAX;
    untouched.end(Cause::ConnectionReset);
    untouched.run_for(Duration::from_secs(10));
    assert_eq!(untouched.outcome(at_most_once), Some(Outcome::Written));
    assert_eq!(untouched.accepted().len(), 2);
    assert!(untouched.broker.received().iter().all(|one| !one.dup));
    untouched.check();
}

#[test]
fn what_the_driver_has_of_a_later_unit_is_sent_as_if_for_the_first_time() {
    let mut torn = connected(tower());
    torn.takes = 10;
    let first = torn.publish(QoS::AtMostOnce, b"in part");
    torn.run();
    let second = torn.publish(QoS::AtMostOnce, b"not at all");
    let now = torn.at();
    torn.connection.poll_transmit(now, &mut torn.output);
    torn.takes = usize::MAX;
    torn.end(Cause::ConnectionReset);
    torn.run_for(Duration::from_secs(10));
    assert_eq!(torn.outcome(first), Some(Outcome::ConnectionLost));
    assert_eq!(torn.outcome(second), Some(Outcome::Written));
    assert_eq!(torn.accepted(), [b"not at all"]);
}

#[test]
fn what_ends_before_a_message_says_nothing_of_it() {
    let mut cut = connected(tower());
    cut.takes = 0;
    let first = cut.publish(QoS::AtMostOnce, b"written");
    cut.run();
    let whole = cut.output.len();
    let second = cut.publish(QoS::AtMostOnce, b"not at all");
    let now = cut.at();
    cut.connection.poll_transmit(now, &mut cut.output);
    assert!(cut.output.len() > whole);
    cut.takes = whole;
    cut.run();
    assert_eq!(cut.outcome(first), Some(Outcome::Written));
    cut.takes = usize::MAX;
    cut.end(Cause::ConnectionReset);
    cut.run_for(Duration::from_secs(10));
    assert_eq!(cut.outcome(second), Some(Outcome::Written));
    assert_eq!(cut.accepted(), [&b"written"[..], b"not at all"]);
}
