//! The loop between a byte stream and a client, on a runtime that is a fake: it is polled when it was woken, and at no other time.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use mqtt_session::client::{ClientEvent, Events};
use mqtt_session::proto::{QoS, Version};
use mqtt_session::{Cause, ConnectionError, Endpoint, Outcome, Phase};

use crate::fake::{Driven, open, wire};
use crate::limits;
use crate::pair::config;
use crate::pair::hand::{poll, ready};

fn connected() -> Driven {
    let driven = Driven::connected(config(Version::V5));
    driven.written();
    driven.at_wire().flushes = 0;
    driven
}

fn lost(events: &mut Events) -> ConnectionError {
    match ready(events.next()) {
        Some(ClientEvent::Lost { error, .. }) => error,
        other => panic!("{other:?}"),
    }
}

fn cause_of(error: ConnectionError) -> Cause {
    match error {
        ConnectionError::Closed { cause, .. }
        | ConnectionError::Dial { cause, .. }
        | ConnectionError::Resolve { cause, .. }
        | ConnectionError::Unanswered { cause, .. } => cause,
        other => panic!("{other:?}"),
    }
}

/// A QoS 0 message to "a".
fn message(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x30];
    let mut len = 4 + payload.len();
    while len >= 128 {
        bytes.push((len % 128) as u8 | 128);
        len /= 128;
    }
    bytes.push(len as u8);
    bytes.extend([0, 1, b'a', 0]);
    bytes.extend(payload);
    bytes
}

#[test]
fn a_name_is_looked_up_and_its_addresses_are_dialled_until_one_opens() {
    let server = Endpoint::new("broker.example", 1884);
    let mut driven = Driven::to(config(Version::V5), server);
    let mut events = driven.client.events();
    driven.run();
    assert!(
        driven.net.lock().unwrap().lookups.is_empty(),
        "nobody asked"
    );
    driven.client.start();
    driven.run();
    let addrs: Vec<SocketAddr> = (1..=2).map(|n| ([192, 0, 2, n], 1884).into()).collect();
    let gate = {
        let net = driven.net.lock().unwrap();
        let [(host, port, gate)] = &net.lookups[..] else {
            panic!("one lookup")
        };
        assert_eq!((host.as_str(), *port), ("broker.example", 1884));
        Arc::clone(gate)
    };
    open(&gate, Ok(addrs.clone()));
    driven.run();
    assert_eq!(driven.net.lock().unwrap().dials.len(), 1);
    // It is silent, and so the next is dialled beside it.
    driven.advance(Duration::from_millis(250));
    {
        let net = driven.net.lock().unwrap();
        assert_eq!(
            net.dials.iter().map(|dial| dial.0).collect::<Vec<_>>(),
            addrs
        );
        assert!(
            !net.dials
                .iter()
                .any(|dial| dial.1.lock().unwrap().is_dropped)
        );
    }
    driven.open(1);
    {
        let net = driven.net.lock().unwrap();
        assert!(
            net.dials[0].1.lock().unwrap().is_dropped,
            "the other is given up"
        );
    }
    assert!(!driven.at_wire().is_dropped);
    driven.receive(&[0x20, 3, 0, 0, 0]);
    let Some(ClientEvent::Connected { addr, .. }) = ready(events.next()) else {
        panic!("connected")
    };
    assert_eq!(addr.to_string(), addrs[1].to_string());
}

#[test]
fn of_two_dials_that_open_at_the_same_time_one_is_kept() {
    let server = Endpoint::new("broker.example", 1884);
    let mut driven = Driven::to(config(Version::V5), server);
    driven.client.start();
    driven.run();
    let gate = Arc::clone(&driven.net.lock().unwrap().lookups[0].2);
    open(
        &gate,
        Ok((1..=2).map(|n| ([192, 0, 2, n], 1884).into()).collect()),
    );
    driven.run();
    driven.advance(Duration::from_millis(250));
    let other = wire();
    let gate = Arc::clone(&driven.net.lock().unwrap().dials[1].1);
    open(&gate, Ok(Arc::clone(&other)));
    driven.open(0);
    let wires = [&driven.wire, &other];
    let begun = wires.map(|wire| wire.lock().unwrap().written.len());
    assert!(
        begun.contains(&0) && begun.iter().sum::<usize>() > 0,
        "{begun:?}"
    );
    assert_eq!(driven.client.phase(), Phase::Handshaking);
    let kept = usize::from(begun[0] == 0);
    assert!(!wires[kept].lock().unwrap().is_dropped);
    assert!(begun[1] == 0, "the first that was looked at");
}

#[test]
fn what_fails_on_the_way_to_a_stream_is_told_with_its_cause() {
    let server = Endpoint::new("broker.example", 1884);
    let mut driven = Driven::to(config(Version::V5), server);
    let mut events = driven.client.events();
    driven.client.start();
    driven.run();
    let gate = Arc::clone(&driven.net.lock().unwrap().lookups[0].2);
    open(&gate, Err(ErrorKind::TimedOut.into()));
    driven.run();
    assert_eq!(cause_of(lost(&mut events)), Cause::TimedOut);

    let mut driven = Driven::new(config(Version::V5));
    let mut events = driven.client.events();
    driven.client.start();
    driven.run();
    let gate = Arc::clone(&driven.net.lock().unwrap().dials[0].1);
    open(&gate, Err(ErrorKind::ConnectionRefused.into()));
    driven.run();
    assert_eq!(cause_of(lost(&mut events)), Cause::ConnectionRefused);
    // And the timer is set for the next attempt.
    assert_eq!(driven.client.phase(), Phase::Waiting);
    driven.advance(Duration::from_secs(3600));
    assert_eq!(driven.net.lock().unwrap().dials.len(), 2);
}

#[test]
fn a_runtime_that_has_no_streams_but_sockets_says_so() {
    let mut driven = Driven::new(config(Version::V5).own_dialer(true));
    let mut events = driven.client.events();
    driven.client.start();
    driven.run();
    assert_eq!(
        cause_of(lost(&mut events)),
        Cause::Other("there are no byte streams of this kind here".to_owned())
    );
}

#[test]
fn a_stream_that_takes_little_at_a_time_gets_everything_in_order() {
    let mut driven = connected();
    driven.at_wire().write_at_most = 3;
    driven.at_wire().room = 10;
    let client = driven.client.clone();
    let mut first = ready(client.publish("a", QoS::AtMostOnce, "1234")).unwrap();
    let mut second = ready(client.publish("a", QoS::AtMostOnce, "5678")).unwrap();
    driven.run();
    assert_eq!(driven.at_wire().written.len(), 10);
    assert_eq!(driven.at_wire().flushes, 0, "there is more to write");
    assert_eq!(
        (first.outcome(), second.outcome()),
        (Some(Outcome::Written), None)
    );
    let mut third = ready(client.publish("a", QoS::AtMostOnce, "9")).unwrap();
    // More of it is no reason to wake one that waits for the stream.
    assert!(!driven.task.is_woken());
    driven.make_room(9);
    assert_eq!((second.outcome(), third.outcome()), (None, None));
    driven.make_room(1);
    assert_eq!(
        (second.outcome(), third.outcome()),
        (Some(Outcome::Written), None)
    );
    driven.make_room(usize::MAX);
    assert_eq!(third.outcome(), Some(Outcome::Written));
    let expected = [message(b"1234"), message(b"5678"), message(b"9")].concat();
    assert_eq!(driven.written(), expected);
    assert_eq!(driven.at_wire().flushes, 1, "once, when all is written");
}

#[test]
fn a_stream_that_gives_little_at_a_time_or_can_not_tell_is_read_to_its_end() {
    for (at_most, blind) in [(1, false), (1, true), (7, false), (usize::MAX, true)] {
        let mut driven = connected();
        driven.at_wire().read_at_most = at_most;
        driven.at_wire().blind = blind;
        driven.task.waker.wake_by_ref();
        driven.run();
        let mut messages = driven.client.messages();
        for n in 0..100_u8 {
            driven.send(&message(&[n; 20]));
        }
        driven.run();
        assert!(driven.at_wire().input.is_empty());
        for n in 0..100 {
            let message = messages.try_next().expect("all of them");
            assert_eq!(message.payload(), [n; 20]);
        }
        assert!(messages.try_next().is_none());
    }
}

#[test]
fn the_end_of_a_stream_is_told_with_its_cause_behind_what_came_before() {
    for (end, cause) in [
        (Ok(()), Cause::Eof),
        (Err(ErrorKind::ConnectionReset), Cause::ConnectionReset),
    ] {
        let mut driven = connected();
        let (mut events, mut messages) = (driven.client.events(), driven.client.messages());
        driven.send(&message(b"last"));
        driven.end(end);
        assert_eq!(cause_of(lost(&mut events)), cause);
        assert_eq!(ready(messages.next()).unwrap().payload(), b"last");
        assert!(driven.at_wire().is_dropped);
        assert_eq!(driven.client.phase(), Phase::Waiting);
        // The half of a packet that came last is not taken for the beginning of the next stream.
        driven.wire = wire();
        driven.advance(Duration::from_secs(3600));
        driven.open(1);
        driven.receive(&[0x20, 3, 0, 0, 0]);
        assert_eq!(driven.client.phase(), Phase::Connected);
    }
}

#[test]
fn half_a_packet_is_gone_with_its_stream() {
    let mut driven = connected();
    driven.receive(&message(b"half")[..5]);
    driven.end(Ok(()));
    driven.wire = wire();
    driven.advance(Duration::from_secs(3600));
    driven.open(1);
    driven.receive(&[0x20, 3, 0, 0, 0]);
    assert_eq!(driven.client.phase(), Phase::Connected);
}

#[test]
fn a_stream_is_not_read_while_there_is_no_room_for_what_it_has() {
    let limits = limits(|limits| limits.inbox_bytes = 20_000);
    let mut driven = Driven::connected(config(Version::V5).limits(limits));
    let mut messages = driven.client.messages();
    let one = message(&[7; 900]);
    for _ in 0..1000 {
        driven.send(&one);
    }
    driven.run();
    let left = driven.at_wire().input.len();
    assert!(left > 900 * one.len(), "{left}");
    // A poll for another reason reads no more either.
    driven.task.waker.wake_by_ref();
    driven.run();
    assert_eq!(driven.at_wire().input.len(), left);
    let mut taken = 0;
    while taken < 1000 {
        assert!(messages.try_next().is_some(), "after {taken}");
        taken += 1;
        driven.run();
    }
    assert!(driven.at_wire().input.is_empty());
    assert!(messages.try_next().is_none());
}

/// A server that sends without an end keeps no other task from running.
#[test]
fn one_poll_takes_a_bounded_part_of_what_there_is_and_asks_for_another() {
    // At most so many bytes, and turns.
    for (at_most, bytes) in [(usize::MAX, 512 * 1024), (1, 64)] {
        let limits = limits(|limits| limits.inbox_bytes = 1 << 30);
        let mut driven = Driven::connected(config(Version::V5).limits(limits));
        let one = message(&[7; 9_000]);
        for _ in 0..1000 {
            driven.send(&one);
        }
        driven.at_wire().read_at_most = at_most;
        let total = driven.at_wire().input.len();
        assert!(driven.poll(), "it asks for another");
        let taken = total - driven.at_wire().input.len();
        assert!((1..=bytes).contains(&taken), "{taken}");
        driven.at_wire().read_at_most = usize::MAX;
        driven.run();
        assert!(driven.at_wire().input.is_empty());
        assert_eq!(driven.client.stats().received, 1000);
    }
}

#[test]
fn a_read_has_more_room_where_much_comes_and_less_after_a_while_of_little() {
    let mut driven = connected();
    let mut messages = driven.client.messages();
    let mut burst = |driven: &mut Driven, bytes: usize| -> usize {
        driven.at_wire().reads.clear();
        // Small enough that none of them spans many reads.
        driven.receive(&message(&[7; 93]).repeat(bytes / 100));
        while messages.try_next().is_some() {}
        driven.run();
        // A few bytes more are for the piece of a packet that a read leaves.
        1 << driven.at_wire().reads[0].ilog2()
    };
    let first = burst(&mut driven, 100);
    assert!((4_000..8_000).contains(&first), "{first}");
    // Each that fills its room makes it larger, up to a bound.
    assert_eq!(burst(&mut driven, 200_000), first);
    let most = burst(&mut driven, 500_000);
    assert!((60_000..=128 * 1024).contains(&most), "{most}");
    assert!(
        driven
            .at_wire()
            .reads
            .iter()
            .all(|room| *room <= 128 * 1024)
    );
    // Some small ones change nothing, as one that is not small does in between.
    for _ in 0..10 {
        for _ in 0..10 {
            assert_eq!(burst(&mut driven, 1000), most);
        }
        assert_eq!(burst(&mut driven, 40_000), most);
    }
    let mut sizes = vec![most];
    for _ in 0..200 {
        let size = burst(&mut driven, 500);
        if Some(&size) != sizes.last() {
            sizes.push(size);
        }
    }
    assert_eq!(*sizes.last().unwrap(), first, "{sizes:?}");
    assert!(sizes.is_sorted_by(|a, b| a > b), "{sizes:?}");
    assert!(sizes.len() > 2, "step by step: {sizes:?}");
}

#[test]
fn the_timer_is_set_for_the_next_deadline_and_moved_only_for_an_earlier_one() {
    let keep_alive = config(Version::V5).keep_alive(Duration::from_secs(10));
    let mut driven = Driven::connected(keep_alive);
    driven.written();
    driven.advance(Duration::from_secs(4));
    let set = driven.net.lock().unwrap().set;
    // What is written and read now puts the ping off.
    drop(ready(driven.client.publish("a", QoS::AtMostOnce, "x")));
    driven.receive(&message(b"x"));
    assert_eq!(driven.net.lock().unwrap().set, set);
    driven.written();
    driven.advance(Duration::from_secs(6));
    assert_eq!(driven.written(), [], "it was woken too early once");
    assert_eq!(driven.net.lock().unwrap().set, set + 1);
    driven.advance(Duration::from_secs(4));
    assert_eq!(driven.written(), [0xC0, 0], "PINGREQ");
    driven.receive(&[0xD0, 0]);
    let set = driven.net.lock().unwrap().set;
    let options = mqtt_session::PublishOptions::new().with_time_to_live(Duration::from_secs(1));
    let publish = crate::pair::message("a", b"x");
    driven.at_wire().room = 0;
    // It waits behind what the stream does not take, and what waits for that.
    for _ in 0..2 {
        let large = vec![0; 1 << 20];
        drop(ready(driven.client.publish("a", QoS::AtMostOnce, large)));
        driven.run();
    }
    let client = driven.client.clone();
    let waiting = client.publish_with(QoS::AtLeastOnce, publish, options);
    let mut delivery = ready(waiting).unwrap();
    driven.run();
    assert_eq!(driven.net.lock().unwrap().set, set + 1);
    driven.advance(Duration::from_secs(1));
    assert_eq!(delivery.outcome(), Some(Outcome::Expired));
}

#[test]
fn disconnecting_writes_all_and_shuts_the_stream_down_before_it_is_closed() {
    let mut driven = connected();
    let client = driven.client.clone();
    driven.at_wire().room = 0;
    let mut delivery = ready(client.publish("a", QoS::AtMostOnce, "x")).unwrap();
    driven.run();
    let mut leaving = pin!(client.disconnect(Duration::from_secs(5)));
    assert!(poll(leaving.as_mut()).is_pending());
    driven.run();
    assert_eq!(driven.at_wire().shut_down, 0);
    driven.make_room(7);
    assert_eq!(delivery.outcome(), Some(Outcome::Written));
    assert_eq!(driven.at_wire().shut_down, 0, "DISCONNECT is not written");
    driven.make_room(usize::MAX);
    assert_eq!(driven.at_wire().shut_down, 1);
    assert_eq!(driven.written(), [message(b"x"), vec![0xE0, 0]].concat());
    assert!(
        !driven.is_done && !driven.at_wire().is_dropped,
        "the server closes, too"
    );
    driven.receive(&message(b"late"));
    assert!(!driven.is_done);
    driven.end(Ok(()));
    assert!(driven.is_done && driven.at_wire().is_dropped);
    assert_eq!(driven.at_wire().shut_down, 1, "once");
    assert_eq!(ready(client.closed()).error, None);
    assert!(poll(leaving).is_ready());
}

#[test]
fn a_server_that_does_not_close_is_not_waited_for_long() {
    for blocked in [false, true] {
        let mut driven = connected();
        let client = driven.client.clone();
        if blocked {
            driven.at_wire().room = 0;
        }
        let mut leaving = pin!(client.disconnect(Duration::ZERO));
        assert!(poll(leaving.as_mut()).is_pending());
        driven.run();
        assert_eq!(driven.at_wire().shut_down, usize::from(!blocked));
        driven.advance(Duration::from_millis(400));
        assert!(!driven.is_done);
        driven.advance(Duration::from_millis(100));
        assert!(driven.is_done && driven.at_wire().is_dropped);
        assert!(poll(leaving).is_ready());
    }
}

#[test]
fn a_driver_that_is_dropped_closes_its_stream_and_its_client() {
    let driven = connected();
    let (client, wire) = (driven.client.clone(), Arc::clone(&driven.wire));
    drop(driven);
    assert!(wire.lock().unwrap().is_dropped);
    assert_eq!(client.phase(), Phase::Closed);
    assert_eq!(ready(client.closed()).error, None);
}

#[test]
fn a_driver_has_a_name() {
    assert_eq!(format!("{:?}", connected().drive), "Drive { .. }");
}

/// Whatever wakes it for nothing, it goes back to rest.
#[test]
fn a_driver_that_is_woken_for_nothing_does_nothing_and_rests() {
    let mut driven = connected();
    let (set, written) = (
        driven.net.lock().unwrap().set,
        driven.at_wire().written.len(),
    );
    for _ in 0..10 {
        assert!(!driven.poll(), "it rests");
    }
    assert_eq!(driven.net.lock().unwrap().set, set);
    assert_eq!(driven.at_wire().written.len(), written);
    assert_eq!(driven.at_wire().reads.len(), 1, "CONNACK");
}
