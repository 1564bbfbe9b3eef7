//! What comes out as records, and what waits for them.

use super::*;

#[test]
fn without_durability_there_are_no_records() {
    let mut raw = Raw::connected(pair::config(Version::V5));
    raw.publish(QoS::ExactlyOnce, b"1");
    assert_eq!(take(&mut raw), []);
    assert_eq!(raw.session.snapshot(), None);
    assert!(!raw.session.has_record());
    let error = try_restore(pair::config(Version::V5), []).expect_err("it is off");
    assert_eq!(error, RestoreError::Off);
}

#[test]
fn qos_0_is_not_recorded_and_waits_for_nothing() {
    let (mut raw, _) = connected(ahead());
    raw.publish(QoS::AtMostOnce, b"1");
    assert_eq!(raw.lines(), ["PUBLISH"]);
    assert_eq!(take(&mut raw), []);
    // Nor where it waits for a connection.
    raw.closed(Cause::Eof);
    raw.publish(QoS::AtMostOnce, b"2");
    assert_eq!(take(&mut raw), []);
    raw.publish(QoS::AtLeastOnce, b"3");
    assert_eq!(take(&mut raw).len(), 1);
}

#[test]
fn behind_nothing_waits_and_each_change_comes_out_under_the_next_number() {
    let mut raw = Raw::connected(config(Durability::Behind));
    let token = raw.publish(QoS::ExactlyOnce, b"1");
    assert_eq!(raw.lines(), ["CONNECT", "PUBLISH 1"][1..]);
    raw.feed_ack(PacketType::PubRec, 1);
    raw.feed_ack(PacketType::PubComp, 1);
    assert_eq!(raw.lines(), ["PUBREL 1"]);
    assert!(raw.session.has_record());
    let records = take(&mut raw);
    assert!(!raw.session.has_record());
    let seqs: Vec<_> = records.iter().map(|(seq, _)| seq.get()).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5, 6]);
    let kinds = records.iter().map(|(_, record)| match record {
        Record::Identity(_) => "identity",
        Record::SessionBegan => "session began",
        Record::Accepted(accepted) if accepted.token == token => "accepted",
        Record::Sent { token: t, id: i } if (*t, *i) == (token, id(1)) => "sent",
        Record::PubRec { token: t, .. } if *t == token => "pubrec",
        Record::Finished { token: t, .. } if *t == token => "finished",
        other => panic!("{other:?}"),
    });
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        [
            "identity",
            "session began",
            "accepted",
            "sent",
            "pubrec",
            "finished"
        ]
    );
}

#[test]
fn publish_waits_for_the_message_and_its_identifier() {
    let (mut raw, _) = connected(ahead());
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let token = raw.publish(qos, b"1");
        assert_eq!(raw.lines(), Vec::<String>::new());
        let records = take(&mut raw);
        let [(accepted, Record::Accepted(_)), (sent, Record::Sent { .. })] = &records[..] else {
            panic!("{records:?}");
        };
        raw.session.handle_stored(raw.now, *accepted);
        assert_eq!(raw.lines(), Vec::<String>::new());
        let told = |event: &Event| matches!(event, Event::Stored { token: t } if *t == token);
        assert!(raw.events.iter().any(told), "{:?}", raw.events);
        raw.session.handle_stored(raw.now, *sent);
        assert_eq!(raw.lines().len(), 1);
    }
}

#[test]
fn pubrel_waits_for_the_pubrec() {
    let (mut raw, _) = connected(ahead());
    let token = raw.publish(QoS::ExactlyOnce, b"1");
    store(&mut raw);
    assert_eq!(raw.lines(), ["PUBLISH 1"]);
    raw.feed_ack(PacketType::PubRec, 1);
    assert_eq!(raw.lines(), Vec::<String>::new());
    store(&mut raw);
    assert_eq!(raw.lines(), ["PUBREL 1"]);
    raw.feed_ack(PacketType::PubComp, 1);
    assert_eq!(raw.outcome(token), Some(ACKNOWLEDGED));
}

/// [MQTT-4.3.3-10]
#[test]
fn pubrec_waits_for_the_identifier_and_pubcomp_for_its_release() {
    let (mut raw, _) = connected(ahead());
    raw.feed_publish("a", exactly_once(5), b"1");
    raw.take_and_ack();
    assert_eq!(raw.lines(), Vec::<String>::new());
    assert_eq!(store(&mut raw), [Record::Recorded { id: id(5) }]);
    assert_eq!(raw.lines(), ["PUBREC 5"]);
    raw.feed_ack(PacketType::PubRel, 5);
    assert_eq!(raw.lines(), Vec::<String>::new());
    assert_eq!(store(&mut raw), [Record::Released { id: id(5) }]);
    assert_eq!(raw.lines(), ["PUBCOMP 5"]);
}

#[test]
fn puback_waits_for_nothing() {
    let (mut raw, _) = connected(ahead());
    raw.publish(QoS::ExactlyOnce, b"not stored");
    raw.feed_publish("a", pair::raw::at_least_once(3), b"1");
    raw.take_and_ack();
    assert_eq!(raw.lines(), ["PUBACK 3"]);
}

#[test]
fn on_a_new_connection_nothing_is_sent_before_it_is_stored_that_the_session_began() {
    let mut raw = Raw::new(ahead());
    raw.subscribe("a", QueueId::DEFAULT);
    raw.publish(QoS::AtMostOnce, b"0");
    raw.publish(QoS::AtLeastOnce, b"1");
    raw.session.connect(raw.now);
    raw.open();
    raw.accept(false, NONE);
    assert_eq!(raw.lines(), Vec::<String>::new());
    let records = store(&mut raw);
    assert!(records.contains(&Record::SessionBegan));
    assert_eq!(raw.lines(), ["SUBSCRIBE 65535 a", "PUBLISH"]);
    store(&mut raw);
    assert_eq!(raw.lines(), ["PUBLISH 1"]);
}

#[test]
fn what_a_lost_connection_withheld_is_sent_on_the_next_one() {
    let (mut raw, _) = connected(ahead());
    raw.publish(QoS::ExactlyOnce, b"1");
    store(&mut raw);
    raw.feed_ack(PacketType::PubRec, 1);
    raw.publish(QoS::AtLeastOnce, b"2");
    raw.feed_publish("a", exactly_once(5), b"3");
    raw.take_and_ack();
    assert_eq!(raw.lines(), ["PUBLISH 1"]);
    raw.reconnect(true, NONE);
    assert_eq!(raw.lines(), Vec::<String>::new());
    store(&mut raw);
    assert_eq!(raw.lines(), ["PUBREL 1", "PUBLISH 2"]);
    let again = mqtt_session::proto::Flow::ExactlyOnce {
        id: id(5),
        dup: true,
    };
    raw.feed_publish("a", again, b"3");
    assert_eq!(raw.lines(), ["PUBREC 5"]);
    assert!(raw.session.poll_message(QueueId::DEFAULT).is_none());
}

#[test]
fn what_was_not_polled_can_not_be_stored() {
    let (mut raw, _) = connected(ahead());
    raw.publish(QoS::AtLeastOnce, b"1");
    let (_, last) = take(&mut raw)
        .last()
        .cloned()
        .map(|(seq, r)| (r, seq))
        .expect("records");
    raw.publish(QoS::AtLeastOnce, b"2");
    raw.session.handle_stored(raw.now, last);
    raw.session.handle_stored(raw.now, Seq::default());
    assert_eq!(raw.lines(), ["PUBLISH 1"]);
    store(&mut raw);
    assert_eq!(raw.lines(), ["PUBLISH 2"]);
}

#[test]
fn while_too_much_waits_to_be_stored_publishing_is_refused_and_reading_pauses() {
    for (records, bytes) in [(4, 1000), (1000, 4)] {
        for durability in [Durability::Behind, Durability::WriteAhead] {
            let mut limits = Limits::default();
            (limits.unstored_records, limits.unstored_bytes) = (records, bytes);
            let (mut raw, _) = connected(config(durability).limits(limits));
            raw.publish(QoS::AtLeastOnce, b"1");
            raw.publish(QoS::AtLeastOnce, b"2");
            raw.poll();
            assert!(!raw.session.wants_read());
            let capacity = raw.session.publish_capacity();
            assert!(
                capacity.messages == 0 || capacity.bytes == 0,
                "{capacity:?}"
            );
            let refused = raw
                .offer(QoS::AtLeastOnce, message("a", b"3"))
                .expect_err("full");
            assert!(
                refused.to_string().contains("limits.unstored_"),
                "{refused}"
            );
            assert!(refused.reason.is_full(), "{refused}");
            raw.publish(QoS::AtMostOnce, b"not recorded");
            assert!(!raw.events.iter().any(|event| matches!(event, Event::Room)));
            store(&mut raw);
            raw.poll();
            assert!(raw.session.wants_read());
            assert!(raw.events.iter().any(|event| matches!(event, Event::Room)));
            raw.publish(QoS::AtLeastOnce, b"3");
        }
    }
}

#[test]
fn what_was_not_handed_out_yet_can_not_have_been_stored() {
    let (mut other, _) = connected(ahead());
    for _ in 0..100 {
        other.publish(QoS::AtLeastOnce, b"x");
    }
    let (far, _) = take(&mut other).pop().expect("records");

    let (mut raw, _) = connected(ahead());
    raw.publish(QoS::AtLeastOnce, b"x");
    raw.session.handle_stored(raw.now, far);
    assert_eq!(raw.lines(), Vec::<String>::new());
    store(&mut raw);
    store(&mut raw);
    assert_eq!(raw.lines(), ["PUBLISH 1"]);
}

#[test]
fn what_became_of_a_message_is_recorded_with_the_servers_reason() {
    let (mut raw, _) = connected(config(Durability::Behind));
    let refused = ReasonCode::NOT_AUTHORIZED;
    let nobody = ReasonCode::NO_MATCHING_SUBSCRIBERS;
    for (packet, reason, ending) in [
        (PacketType::PubAck, nobody, Ending::Acknowledged(nobody)),
        (PacketType::PubAck, refused, Ending::Rejected(refused)),
        (PacketType::PubRec, refused, Ending::Rejected(refused)),
    ] {
        let qos = match packet {
            PacketType::PubRec => QoS::ExactlyOnce,
            _ => QoS::AtLeastOnce,
        };
        let token = raw.publish(qos, b"1");
        take(&mut raw);
        raw.feed(&pair::raw::ack(packet, 1, reason));
        let finished = Record::Finished { token, ending };
        let records: Vec<_> = take(&mut raw).into_iter().map(|(_, r)| r).collect();
        assert_eq!(records, [finished]);
    }
}

#[test]
fn a_message_that_ends_with_the_session_of_the_server_is_recorded_as_such() {
    let config = config(Durability::Behind).session_lost(SessionLost::Fail);
    let (mut raw, _) = connected(config);
    let token = raw.publish(QoS::AtLeastOnce, b"1");
    take(&mut raw);
    raw.reconnect(false, NONE);
    let ending = Ending::SessionLost;
    let records: Vec<_> = take(&mut raw).into_iter().map(|(_, r)| r).collect();
    assert!(
        records.contains(&Record::Finished { token, ending }),
        "{records:?}"
    );
}

#[test]
fn reading_goes_on_while_some_acknowledgements_wait_for_their_records() {
    let (mut raw, _) = connected(ahead());
    for number in 1..=20 {
        raw.feed_publish("a", exactly_once(number), b"x");
        raw.take_and_ack();
    }
    assert_eq!(raw.lines(), Vec::<String>::new());
    assert!(raw.session.wants_read());
    store(&mut raw);
    assert_eq!(raw.lines().len(), 20);
}

#[test]
fn what_waited_for_its_record_leaves_no_faster_than_the_driver_takes_it() {
    let mut limits = Limits::default();
    limits.outbox_bytes = 1000;
    let (mut raw, _) = connected(ahead().limits(limits));
    for _ in 0..20 {
        raw.publish(QoS::AtLeastOnce, &[7; 500]);
    }
    for _ in 0..2 {
        while let Some((seq, _)) = raw.session.poll_record() {
            raw.session.handle_stored(raw.now, seq);
        }
    }
    let mut out = Outbox::new();
    assert!(raw.session.poll_transmit(raw.now, &mut out));
    assert!(out.len() < 1000 + 600, "{} bytes at once", out.len());
    raw.session.handle_written(raw.now, out.len());
    raw.poll();
    assert_eq!(raw.session.stats().sent, 20);
}

#[test]
fn a_tag_has_255_bytes_at_most_and_what_is_stored_takes_no_room() {
    let mut limits = Limits::default();
    limits.unstored_bytes = 1;
    let (mut raw, _) = connected(config(Durability::Behind).limits(limits));
    let tagged = |raw: &mut Raw, len| {
        let options = PublishOptions::new().with_tag(vec![7; len]);
        let publish = message("a", b"x");
        let session = &mut raw.session;
        session.publish_with(raw.now, QoS::AtLeastOnce, publish, &options)
    };
    for _ in 0..3 {
        tagged(&mut raw, 255).expect("accepted");
        let refused = tagged(&mut raw, 1).expect_err("full").reason;
        assert!(refused.is_full(), "{refused}");
        store(&mut raw);
    }
    let refused = tagged(&mut raw, 256).expect_err("too long").reason;
    let expected = PublishRefused::TagTooLong { len: 256, max: 255 };
    assert_eq!(refused, expected);
}

fn short_lived() -> Publish {
    let properties = Properties::builder().message_expiry_interval(1);
    let properties = properties.build().expect("good properties");
    message("a", b"short-lived").with_properties(properties)
}

/// [MQTT-4.6.0-1]: the next process would send what has expired, if it did not know, and the server has seen what came behind it.
#[test]
fn what_is_sent_behind_an_expired_message_waits_until_its_end_is_stored() {
    for over_another_connection in [false, true] {
        let (mut raw, mut log) = connected(ahead());
        raw.offer(QoS::ExactlyOnce, short_lived())
            .expect("accepted");
        raw.publish(QoS::ExactlyOnce, b"lasting");
        let told = take(&mut raw);
        let (seq, _) = *told.last().expect("records");
        log.extend(told.into_iter().map(|(_, record)| record));
        if over_another_connection {
            raw.closed(Cause::Eof);
            raw.session.handle_stored(raw.now, seq);
            raw.advance(Duration::from_secs(2));
            raw.wait_for_dial();
            raw.open();
            raw.accept(true, NONE);
        } else {
            raw.advance(Duration::from_secs(2));
            raw.session.handle_stored(raw.now, seq);
        }
        assert_eq!(
            raw.lines(),
            Vec::<String>::new(),
            "{over_another_connection}"
        );
        log.extend(store(&mut raw));
        assert_eq!(raw.lines(), ["PUBLISH 2"], "{over_another_connection}");
        let mut next = resumed(ahead(), log);
        assert_eq!(next.lines(), ["PUBLISH 2 DUP"], "{over_another_connection}");
    }
}
