//! What a restored session takes over from the process before it, and what not.

use super::*;

/// [MQTT-2.2.1-3]: each that is free may be used.
#[test]
fn a_message_that_an_earlier_process_left_in_flight_does_not_narrow_the_window() {
    for earlier in [2, 6, 65] {
        let (mut raw, mut log) = connected(ahead());
        for _ in 0..earlier {
            raw.publish(QoS::AtLeastOnce, b"x");
        }
        log.extend(store(&mut raw));
        assert_eq!(raw.lines().len(), usize::from(earlier));
        (1..earlier).for_each(|number| raw.feed_ack(PacketType::PubAck, number));
        log.extend(store(&mut raw));
        let mut next = resumed(ahead(), log);
        store(&mut next);
        assert_eq!(next.lines(), [format!("PUBLISH {earlier} DUP")]);
        for _ in 0..200 {
            next.publish(QoS::AtLeastOnce, b"y");
        }
        store(&mut next);
        assert_eq!(next.lines().len(), 200);
    }
}

#[test]
fn records_of_another_client_identifier_or_server_are_of_another_session() {
    let (mut raw, mut log) = connected(ahead());
    raw.publish(QoS::AtLeastOnce, b"x");
    log.extend(store(&mut raw));
    let Some(Record::Identity(identity)) = log.first().cloned() else {
        panic!("{log:?}")
    };
    // The process died before it was recorded what the new session was to know: the server has begun it.
    for (client_id, group) in [("other", "192.0.2.1:1883"), ("client", "192.0.2.2:1883")] {
        let mut log = log.clone();
        let mut other = identity.clone();
        other.client_id = client_id.into();
        other.group = group.into();
        log.push(Record::Identity(other));
        let server = Servers::new(Endpoint::new("192.0.2.1", 1883));
        let server = server.or(Endpoint::new("192.0.2.2", 1883));
        let config = Config::builder(client_id).durability(Durability::WriteAhead);
        let built = config.clone().build().expect("a good configuration");
        let mut next = Raw::of(config, server.clone());
        next.session = Session::restore(built, server, 7, CLOCK, log).expect("good records");
        next.session.connect(next.now);
        let Packet::Connect(connect) = next.open() else {
            panic!("no CONNECT");
        };
        assert!(!connect.clean_start, "{client_id} {group}");
        next.accept(true, NONE);
        store(&mut next);
        next.poll();
        store(&mut next);
        assert_eq!(next.lines(), ["PUBLISH 1"], "anew");
    }
}

#[test]
fn what_is_recorded_from_now_on_is_as_configured_now() {
    let (mut raw, mut log) = connected(config(Durability::Behind));
    raw.publish(QoS::AtLeastOnce, b"x");
    log.extend(store(&mut raw));
    let mut next = resumed(ahead(), log);
    let records = store(&mut next);
    let [Record::Identity(identity)] = &records[..] else {
        panic!("{records:?}")
    };
    assert!(identity.write_ahead);
    assert_eq!(next.lines().len(), 1, "what was in flight");
    next.publish(QoS::AtLeastOnce, b"y");
    assert_eq!(next.lines(), Vec::<String>::new());
    store(&mut next);
    assert_eq!(next.lines().len(), 1);
}

/// [MQTT-4.3.3-10]
#[test]
fn a_snapshot_knows_which_messages_of_qos_2_the_application_has_though_no_pubrec_was_sent() {
    let (mut raw, _) = connected(ahead());
    for number in [5, 6, 700] {
        raw.feed_publish("a", exactly_once(number), &number.to_be_bytes());
    }
    raw.closed(Cause::Eof);
    // Of the others the application has one, and has not dealt with it.
    let received = raw.take(QueueId::DEFAULT);
    let _unfinished = raw.take(QueueId::DEFAULT).ticket;
    let last = raw.take(QueueId::DEFAULT);
    for received in [received, last] {
        raw.session.ack(raw.now, received.ticket).expect("fresh");
    }
    take(&mut raw);
    let snapshot = raw.session.snapshot().expect("it is recorded");
    let mut next = resumed(ahead(), snapshot.records);
    for number in [5, 6, 700] {
        let flow = mqtt_session::proto::Flow::ExactlyOnce {
            id: id(number),
            dup: true,
        };
        next.feed_publish("a", flow, &number.to_be_bytes());
    }
    let payload = next.take(QueueId::DEFAULT).publish.payload().to_vec();
    assert_eq!(payload, 6u16.to_be_bytes());
    assert!(next.session.poll_message(QueueId::DEFAULT).is_none());
}

/// [MQTT-4.3.3-9]: the server has not taken it, and does not hold its identifier.
#[test]
fn the_identifier_of_a_message_that_was_rejected_is_free_after_a_restart() {
    let (mut raw, mut log) = connected(ahead());
    raw.publish(QoS::ExactlyOnce, b"x");
    log.extend(store(&mut raw));
    raw.feed_ack_with(PacketType::PubRec, 1, ReasonCode::NOT_AUTHORIZED);
    log.extend(store(&mut raw));
    let mut next = resumed(ahead(), log);
    next.publish(QoS::ExactlyOnce, b"y");
    store(&mut next);
    assert_eq!(next.lines(), ["PUBLISH 1"]);
}

#[test]
fn what_an_earlier_process_had_in_flight_far_apart_is_sent_again_over_each_connection() {
    let (mut raw, mut log) = connected(ahead());
    for _ in 0..200 {
        raw.publish(QoS::AtLeastOnce, b"x");
    }
    log.extend(store(&mut raw));
    raw.poll();
    for number in (1..=199).filter(|number| *number != 100) {
        raw.feed_ack(PacketType::PubAck, number);
    }
    log.extend(store(&mut raw));
    let mut next = resumed(ahead(), log);
    for _ in 0..3 {
        store(&mut next);
        assert_eq!(next.lines(), ["PUBLISH 100 DUP", "PUBLISH 200 DUP"]);
        next.reconnect(true, NONE);
    }
}
