//! What a session that is restored from its records goes on with.

use super::*;

#[test]
fn a_restored_session_goes_on_under_the_same_identifiers_and_in_the_same_order() {
    let (mut raw, mut log) = connected(ahead());
    let tokens = [
        QoS::ExactlyOnce,
        QoS::ExactlyOnce,
        QoS::AtLeastOnce,
        QoS::ExactlyOnce,
    ]
    .map(|qos| raw.publish(qos, b"x"));
    log.extend(store(&mut raw));
    // The second PUBREC comes first.
    raw.feed_ack(PacketType::PubRec, 2);
    raw.feed_ack(PacketType::PubRec, 1);
    log.extend(store(&mut raw));

    let mut next = restore(ahead(), log);
    let restored: Vec<_> = next.session.restored().map(|(token, _)| token).collect();
    assert_eq!(restored, tokens);
    next.session.connect(next.now);
    let Packet::Connect(connect) = next.open() else {
        panic!("no CONNECT");
    };
    assert!(!connect.clean_start, "the session goes on");
    next.accept(true, NONE);
    assert_eq!(
        next.lines(),
        ["PUBREL 2", "PUBREL 1", "PUBLISH 3 DUP", "PUBLISH 4 DUP"]
    );
    let later = next.publish(QoS::AtLeastOnce, b"y");
    assert!(later > tokens[3]);
    store(&mut next);
    assert_eq!(next.lines(), ["PUBLISH 5"]);
    next.feed_ack(PacketType::PubComp, 2);
    next.feed_ack(PacketType::PubAck, 3);
    assert_eq!(next.outcome(tokens[1]), Some(ACKNOWLEDGED));
    assert_eq!(next.outcome(tokens[2]), Some(ACKNOWLEDGED));
    assert_eq!(next.session.restored().count(), 2);
}

/// Semantics of a lost session, section 4.1 and [MQTT-3.2.2-5].
#[test]
fn where_the_server_has_lost_the_session_of_a_restored_one_its_messages_are_published_anew() {
    let (mut raw, mut log) = connected(ahead());
    let taken = raw.publish(QoS::ExactlyOnce, b"1");
    let sent = raw.publish(QoS::ExactlyOnce, b"2");
    log.extend(store(&mut raw));
    raw.feed_ack(PacketType::PubRec, 1);
    log.extend(store(&mut raw));
    let mut next = restore(ahead(), log);
    next.session.connect(next.now);
    next.open();
    next.accept(false, NONE);
    store(&mut next);
    store(&mut next);
    assert_eq!(next.lines(), ["PUBLISH 1"]);
    next.feed_ack(PacketType::PubRec, 1);
    store(&mut next);
    next.feed_ack(PacketType::PubComp, 1);
    let outcome = |completed, republished| Outcome::Acknowledged {
        reason: ReasonCode::SUCCESS,
        republished,
        completed,
    };
    assert_eq!(next.outcome(taken), Some(outcome(false, false)));
    assert_eq!(next.outcome(sent), Some(outcome(true, true)));
}

#[test]
fn a_recorded_identifier_is_a_duplicate_after_a_restart_until_it_is_released() {
    let (mut raw, mut log) = connected(ahead());
    raw.feed_publish("a", exactly_once(5), b"1");
    raw.take_and_ack();
    log.extend(store(&mut raw));
    let mut next = resumed(ahead(), log);
    let again = mqtt_session::proto::Flow::ExactlyOnce {
        id: id(5),
        dup: true,
    };
    next.feed_publish("a", again, b"1");
    store(&mut next);
    assert_eq!(next.lines(), ["PUBREC 5"]);
    assert!(next.session.poll_message(QueueId::DEFAULT).is_none());
    next.feed_ack(PacketType::PubRel, 5);
    store(&mut next);
    assert_eq!(next.lines(), ["PUBCOMP 5"]);
    next.feed_publish("a", exactly_once(5), b"2");
    assert_eq!(next.take_and_ack(), b"2");
}

/// The record may be missing that the identifier was released, or that the server has begun another session.
#[test]
fn after_a_restart_a_recorded_identifier_that_comes_without_dup_is_another_message() {
    for config in [config(Durability::Behind), ahead()] {
        let (mut raw, mut log) = connected(config.clone());
        raw.feed_publish("a", exactly_once(5), b"1");
        raw.take_and_ack();
        log.extend(store(&mut raw));
        let mut next = resumed(config.clone(), log.clone());
        next.feed_publish("a", exactly_once(5), b"2");
        // A crash before it is taken does not lose it.
        let released = take(&mut next).into_iter().map(|(_, record)| record);
        log.extend(released);
        let mut third = resumed(config, log);
        let again = mqtt_session::proto::Flow::ExactlyOnce {
            id: id(5),
            dup: true,
        };
        third.feed_publish("a", again, b"2");
        assert_eq!(third.take_and_ack(), b"2");
    }
}

/// [MQTT-4.3.3-10]: the server may hold messages under identifiers of which the records have nothing.
#[test]
fn behind_new_messages_do_not_take_the_identifiers_that_come_next() {
    let (mut raw, mut log) = connected(config(Durability::Behind));
    raw.publish(QoS::ExactlyOnce, b"1");
    log.extend(store(&mut raw));
    let mut next = resumed(config(Durability::Behind), log.clone());
    next.publish(QoS::ExactlyOnce, b"2");
    let lines = next.lines();
    assert_eq!(lines[0], "PUBLISH 1 DUP");
    let own: u16 = lines[1]
        .trim_start_matches("PUBLISH ")
        .parse()
        .expect("a number");
    assert!(own > 100, "{lines:?}");
    // Nor does a session that waits for its records from now on.
    let mut next = resumed(ahead(), log);
    next.publish(QoS::ExactlyOnce, b"2");
    store(&mut next);
    store(&mut next);
    assert_eq!(next.lines()[1], lines[1]);
}

#[test]
fn an_assigned_client_identifier_is_that_of_the_restored_session() {
    let config = || {
        mqtt_session::Config::builder("")
            .durability(Durability::WriteAhead)
            .clean_start(false)
    };
    let mut raw = Raw::new(config());
    raw.session.connect(raw.now);
    raw.open();
    let assigned = Properties::builder().assigned_client_identifier("chosen");
    raw.accept(false, assigned.build().expect("good"));
    let log = store(&mut raw);
    let mut next = restore(config(), log.clone());
    next.session.connect(next.now);
    let Packet::Connect(connect) = next.open() else {
        panic!("no CONNECT");
    };
    assert_eq!(connect.client_id.as_str(), "chosen");
    // Without the record of it, the session of that identifier is forgotten, too.
    let mut next = restore(config(), log.into_iter().take(1));
    next.session.connect(next.now);
    let Packet::Connect(connect) = next.open() else {
        panic!("no CONNECT");
    };
    assert_eq!(connect.client_id.as_str(), "");
}

#[test]
fn records_of_another_session_are_refused_and_the_field_is_named() {
    let (_, log) = connected(ahead());
    let other = mqtt_session::Config::builder("another").durability(Durability::WriteAhead);
    let expiry = ahead().session_expiry(Duration::from_secs(7));
    let version = ahead().version(Version::V3_1_1);
    for (config, field, recorded, configured) in [
        (other, "client identifier", "client", "another"),
        (expiry, "session expiry", "3600", "7"),
        (version, "protocol version", "MQTT 5.0", "MQTT 3.1.1"),
    ] {
        let error = try_restore(config, log.clone()).expect_err("another session");
        let (recorded, configured) = (recorded.into(), configured.into());
        let expected = RestoreError::Mismatch {
            field,
            recorded,
            configured,
        };
        assert_eq!(error, expected);
    }
    let elsewhere = Endpoint::new("192.0.2.9", 1883);
    let config = ahead().build().expect("good");
    let error = Session::restore(config, elsewhere, 7, CLOCK, log).expect_err("another server");
    assert!(
        matches!(
            error,
            RestoreError::Mismatch {
                field: "server group",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn records_that_fit_nowhere_are_refused_with_their_number() {
    let (mut raw, mut log) = connected(ahead());
    raw.publish(QoS::ExactlyOnce, b"1");
    log.extend(store(&mut raw));
    let sent = log.iter().position(is_sent).expect("sent");
    for (twisted, index) in [
        (log[1..].to_vec(), 0),
        (
            log.iter()
                .filter(|r| !matches!(r, Record::Accepted(_)))
                .cloned()
                .collect(),
            sent - 1,
        ),
        ([&log[..], &log[sent..=sent]].concat(), log.len()),
        (
            [&log[..], &[Record::Released { id: id(9) }]].concat(),
            log.len(),
        ),
        (
            [&log[..], &[Record::Freed { id: id(1) }]].concat(),
            log.len(),
        ),
    ] {
        let error = try_restore(ahead(), twisted).expect_err("it does not fit");
        assert!(
            matches!(error, RestoreError::Misfit { index: at, .. } if at == index),
            "{error}"
        );
    }
}

#[test]
fn a_snapshot_says_the_same_as_all_records() {
    let (mut raw, mut log) = connected(ahead());
    for qos in [
        QoS::ExactlyOnce,
        QoS::AtLeastOnce,
        QoS::ExactlyOnce,
        QoS::ExactlyOnce,
    ] {
        raw.publish(qos, b"x");
    }
    log.extend(store(&mut raw));
    raw.feed_ack(PacketType::PubRec, 4);
    raw.feed_ack(PacketType::PubRec, 1);
    raw.feed_publish("a", exactly_once(5), b"1");
    raw.take_and_ack();
    log.extend(store(&mut raw));
    // One more waits for a connection.
    raw.closed(mqtt_session::Cause::Eof);
    raw.publish(QoS::ExactlyOnce, b"y");
    log.extend(store(&mut raw));
    // And one can't be sent to this server any more: its identifier is kept.
    raw.wait_for_dial();
    raw.open();
    let small = Properties::builder()
        .maximum_qos(false)
        .build()
        .expect("good");
    raw.accept(true, small);
    log.extend(store(&mut raw));

    let snapshot = raw.session.snapshot().expect("a snapshot").records;
    assert!(snapshot.len() < log.len());
    let from_log = restore(ahead(), log).session.snapshot();
    let from_snapshot = restore(ahead(), snapshot.clone()).session.snapshot();
    assert_eq!(from_log.as_ref().map(|s| &s.records), Some(&snapshot));
    assert_eq!(from_log, from_snapshot);
    assert!(
        snapshot.contains(&Record::Kept { id: id(3) }),
        "{snapshot:?}"
    );
}

#[test]
fn a_snapshot_has_all_identifiers_that_are_recorded() {
    let (mut raw, _) = connected(ahead());
    let numbers = [1, 63, 64, 500, 65_535];
    for number in numbers {
        raw.feed_publish("a", exactly_once(number), b"x");
        raw.take_and_ack();
    }
    store(&mut raw);
    let snapshot = raw.session.snapshot().expect("a snapshot").records;
    let recorded: Vec<_> = snapshot
        .iter()
        .filter_map(|record| match record {
            Record::Recorded { id } => Some(id.get()),
            _ => None,
        })
        .collect();
    assert_eq!(recorded, numbers);
}

#[test]
fn what_a_closed_session_leaves_goes_on_in_the_next_process() {
    let (mut raw, mut log) = connected(ahead());
    let token = raw.publish(QoS::ExactlyOnce, b"1");
    log.extend(store(&mut raw));
    raw.session
        .disconnect(raw.now, Disconnect::default(), Duration::ZERO)
        .expect("a good DISCONNECT");
    raw.hang_up();
    assert_eq!(raw.outcome(token), Some(Outcome::Closed));
    assert_eq!(raw.session.snapshot(), None);
    log.extend(store(&mut raw));
    let mut next = resumed(ahead(), log);
    assert_eq!(next.lines(), ["PUBLISH 1 DUP"]);
    next.feed_ack(PacketType::PubRec, 1);
    store(&mut next);
    next.feed_ack(PacketType::PubComp, 1);
    assert_eq!(next.outcome(token), Some(ACKNOWLEDGED));
}

#[test]
fn a_server_that_asks_for_answers_without_end_while_the_store_stalls_is_not_read() {
    let mut limits = Limits::default();
    limits.outbox_bytes = 100;
    let (mut raw, _) = connected(ahead().limits(limits));
    raw.publish(QoS::ExactlyOnce, b"1");
    store(&mut raw);
    raw.lines();
    let pubrec = raw.encode(&pair::raw::ack(PacketType::PubRec, 1, ReasonCode::SUCCESS));
    raw.bytes_in(&pubrec.repeat(1000));
    assert!(!raw.session.wants_read());
    assert!(raw.input.len() > 900 * pubrec.len(), "{}", raw.input.len());
    // It goes on where the store does.
    let mut rounds = 0;
    while !raw.input.is_empty() {
        store(&mut raw);
        raw.bytes_in(&[]);
        rounds += 1;
    }
    assert!(rounds > 10, "{rounds}");
}

#[test]
fn a_restored_message_has_its_tag_until_its_outcome() {
    let (mut raw, mut log) = connected(ahead());
    let options = PublishOptions::new().with_tag("row 7");
    let publish = |raw: &mut Raw, options: &PublishOptions| {
        let now = raw.now;
        raw.session
            .publish_with(now, QoS::AtLeastOnce, message("a", b"x"), options)
    };
    let token = publish(&mut raw, &options).expect("accepted");
    let long = PublishOptions::new().with_tag(vec![0; 256]);
    let refused = publish(&mut raw, &long).expect_err("too long");
    let (len, max) = (256, 255);
    assert_eq!(refused.reason, PublishRefused::TagTooLong { len, max });
    log.extend(store(&mut raw));
    let from_log = restore(ahead(), log);
    let snapshot = from_log.session.snapshot().expect("a snapshot");
    let mut next = resumed(ahead(), snapshot.records);
    let restored: Vec<_> = next.session.restored().collect();
    assert_eq!(restored, [(token, options.tag.as_ref())]);
    next.feed_ack(PacketType::PubAck, 1);
    assert_eq!(next.session.restored().count(), 0);
}

/// [MQTT-3.3.2-6] and semantics of Message Expiry Interval, section 3.3.2.3.3: the time waited counts over the restart.
#[test]
fn a_message_ages_while_there_is_no_process() {
    let (mut raw, mut log) = connected(ahead());
    let clock = WallClock {
        now: raw.now,
        ..CLOCK
    };
    raw.session.handle_wall_clock(clock);
    raw.advance(Duration::from_secs(10));
    let expiring = Properties::builder().message_expiry_interval(100);
    let publish = message("a", b"x").with_properties(expiring.build().expect("good"));
    let sent = raw.offer(QoS::ExactlyOnce, publish).expect("accepted");
    let options = PublishOptions::new().with_time_to_live(Duration::from_secs(50));
    let short = raw
        .session
        .publish_with(raw.now, QoS::AtLeastOnce, message("a", b"y"), &options)
        .expect("accepted");
    log.extend(store(&mut raw));

    // A minute after it was accepted by the clock on the wall, by way of two restarts.
    let at = |seconds: u64| WallClock {
        now: Instant::from_nanos(5_000_000_000),
        time: UnixTime::from_millis(CLOCK.time.as_millis() + seconds * 1000),
    };
    let server = || Endpoint::new("192.0.2.1", 1883);
    let config = || ahead().build().expect("good");
    let first = Session::restore(config(), server(), 7, at(30), log).expect("good records");
    let log = first.snapshot().expect("a snapshot").records;
    let mut next = Raw::new(ahead());
    next.session = Session::restore(config(), server(), 7, at(70), log).expect("good records");
    next.now = at(70).now;
    next.session.connect(next.now);
    next.open();
    next.accept(true, NONE);
    store(&mut next);
    let packets = next.packets();
    let [Packet::Publish(publish)] = &packets[..] else {
        panic!("{packets:?}");
    };
    assert_eq!(publish.properties().message_expiry_interval(), Some(40));
    assert_eq!(next.outcome(short), Some(Outcome::Expired));
    assert_eq!(next.outcome(sent), None);
}

#[test]
fn a_message_that_expires_while_its_record_is_stored_is_not_sent_and_gives_its_identifier_back() {
    let (mut raw, mut log) = connected(ahead());
    let options = PublishOptions::new().with_time_to_live(Duration::from_secs(1));
    let token = raw
        .session
        .publish_with(raw.now, QoS::ExactlyOnce, message("a", b"x"), &options)
        .expect("accepted");
    raw.advance(Duration::from_secs(2));
    log.extend(store(&mut raw));
    assert_eq!(raw.lines(), Vec::<String>::new());
    assert_eq!(raw.outcome(token), Some(Outcome::Expired));
    log.extend(store(&mut raw));
    raw.publish(QoS::ExactlyOnce, b"y");
    log.extend(store(&mut raw));
    assert_eq!(raw.lines(), ["PUBLISH 1"]);
    assert_eq!(resumed(ahead(), log).lines(), ["PUBLISH 1 DUP"]);
}

/// Whatever a store makes of the log, it is an error or a session that works.
#[test]
fn no_order_of_records_makes_it_panic() {
    let mut log = Vec::new();
    let mut raw = Raw::connected(ahead());
    raw.subscribe("a", QueueId::DEFAULT);
    log.extend(store(&mut raw));
    raw.feed(&Packet::SubAck(SubAck {
        id: id(65_535),
        codes: vec![ReasonCode::GRANTED_QOS_2],
        properties: NONE,
    }));
    for n in 1..=4 {
        raw.publish(QoS::ExactlyOnce, b"x");
        raw.publish(QoS::AtLeastOnce, b"x");
        log.extend(store(&mut raw));
        raw.feed_ack(PacketType::PubRec, 2 * n - 1);
        raw.feed_publish("a", exactly_once(n), b"1");
        raw.take_and_ack();
        log.extend(store(&mut raw));
        if n == 4 {
            raw.feed_ack(PacketType::PubComp, 2 * n - 1);
            raw.feed_ack(PacketType::PubRel, n);
        }
        log.extend(store(&mut raw));
    }
    raw.reconnect(false, NONE);
    log.extend(store(&mut raw));
    log.extend(store(&mut raw));
    log.extend(raw.session.snapshot().expect("a snapshot").records);
    log.extend([
        Record::Kept { id: id(60_000) },
        Record::Freed { id: id(60_000) },
    ]);

    let mut rng = Rng::new(1);
    let mut good = 0;
    for _ in 0..3_000 {
        let mut twisted = log.clone();
        for _ in 0..rng.below(4) {
            let [a, b] = [(); 2].map(|()| rng.below(twisted.len() as u64) as usize);
            match rng.below(4) {
                0 => twisted.swap(a, b),
                1 if twisted.len() > 1 => drop(twisted.remove(a)),
                2 => twisted.truncate(a + 1),
                _ => twisted.insert(a, rng.pick(&log).clone()),
            }
        }
        let keep = rng.below(twisted.len() as u64 + 1) as usize;
        twisted.truncate(keep);
        let Ok(session) = try_restore(ahead(), twisted) else {
            continue;
        };
        good += 1;
        let mut pair = Pair::new(ahead());
        pair.replace_session(session);
        pair.session.start(pair.now());
        for _ in 0..20 {
            pair.run();
            let mut last = Seq::default();
            while let Some((seq, _)) = pair.session.poll_record() {
                last = seq;
            }
            pair.session.handle_stored(pair.now(), last);
        }
        assert_eq!(pair.session.restored().count(), 0);
        pair.check();
    }
    assert!(good > 200, "{good}");
}

/// [MQTT-2.2.1-3], wherever numbers begin now.
#[test]
fn behind_nothing_takes_an_identifier_that_an_earlier_process_has_in_use() {
    let mut limits = Limits::default();
    limits.max_queued = 70_000;
    limits.unstored_records = usize::MAX;
    let config = config(Durability::Behind).limits(limits);
    let (mut raw, mut log) = connected(config.clone());
    let mut tokens: Vec<_> = (0..200)
        .map(|_| raw.publish(QoS::ExactlyOnce, b"1"))
        .collect();
    log.extend(store(&mut raw));
    // Every third is still in use.
    for number in (1..=200).filter(|number| number % 3 != 0) {
        raw.feed_ack_with(PacketType::PubRec, number, ReasonCode::QUOTA_EXCEEDED);
    }
    log.extend(store(&mut raw));
    tokens = (3..=200).step_by(3).map(|n: usize| tokens[n - 1]).collect();
    for seed in 0..20 {
        let mut next = Raw::new(config.clone());
        let built = config.clone().build().expect("good");
        let server = Endpoint::new("192.0.2.1", 1883);
        next.session =
            Session::restore(built, server, seed, CLOCK, log.clone()).expect("good records");
        next.session.connect(next.now);
        next.open();
        next.accept(true, NONE);
        let lines = next.lines();
        let again: Vec<_> = (3..=200)
            .step_by(3)
            .map(|number| format!("PUBLISH {number} DUP"))
            .collect();
        assert_eq!(lines, again, "seed {seed}");
        for _ in 0..3 {
            next.subscribe("a", QueueId::DEFAULT);
        }
        for _ in 0..66_000 {
            next.publish(QoS::AtLeastOnce, b"2");
        }
        let lines = next.lines();
        let requests = lines.iter().filter(|line| line.starts_with("SUBSCRIBE"));
        assert_eq!(requests.count(), 3, "seed {seed}");
        assert!(
            lines.len() > 10_000,
            "seed {seed}: {} are sent",
            lines.len()
        );
        let mut ids: Vec<u16> = lines
            .iter()
            .filter_map(|line| line.split(' ').nth(1)?.parse().ok())
            .chain((3..=200).step_by(3))
            .collect();
        let len = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), len, "seed {seed}: one is used twice");
        for (token, number) in tokens.iter().zip((3..=200).step_by(3)) {
            next.feed_ack(PacketType::PubRec, number);
            next.feed_ack(PacketType::PubComp, number);
            assert_eq!(next.outcome(*token), Some(ACKNOWLEDGED), "seed {seed}");
        }
    }
}

/// Its messages go to the new one, whose server knows nothing of them.
#[test]
fn records_of_another_client_identifier_are_of_another_session() {
    let config = |client_id: &str| {
        mqtt_session::Config::builder(client_id).durability(Durability::WriteAhead)
    };
    let (mut raw, mut log) = connected(config("one"));
    raw.publish(QoS::AtLeastOnce, b"x");
    log.extend(store(&mut raw));
    assert_eq!(raw.lines(), ["PUBLISH 1"]);
    let Some(Record::Identity(mut identity)) = log.first().cloned() else {
        panic!("no identity: {log:?}");
    };
    // The same again changes nothing.
    log.push(Record::Identity(identity.clone()));
    assert_eq!(
        resumed(config("one"), log.clone()).lines(),
        ["PUBLISH 1 DUP"]
    );
    identity.client_id = "two".to_owned();
    log.push(Record::Identity(identity));
    let mut next = restore(config("two"), log);
    next.session.connect(next.now);
    next.open();
    next.accept(false, NONE);
    store(&mut next);
    store(&mut next);
    assert_eq!(next.lines(), ["PUBLISH 1"]);
}
