//! Publishing and receiving: outcomes, waits that are given up, room, threads, and connections that are cut.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod server;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mqtt_blocking::{
    AckMode, Client, Limits, Outcome, Publish, PublishOptions, PublishRefused, QoS, ReasonCode,
    SendError, SubscribeFailed, SubscribeOptions, Subscription, Topic, TopicFilter, WaitError,
    build, connect,
};
use mqtt_testkit::BrokerConfig;
use server::{LONG, Result, Server, VERSIONS, config, until};

const ALL_QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
/// Long enough to see that nothing comes.
const SHORT: Duration = Duration::from_millis(30);

impl Server {
    /// Sends messages to whoever subscribes.
    fn send(&self, topic: &str, qos: QoS, payloads: std::ops::Range<u32>) {
        let topic = Topic::try_from(topic).unwrap();
        self.with(|broker, now| {
            payloads.for_each(|n| {
                broker.publish(now, &Publish::new(topic.clone(), n.to_string()), qos);
            });
        });
    }
}

fn next(subscription: &mut Subscription) -> u32 {
    let message = subscription.next_timeout(LONG).unwrap().expect("a message");
    std::str::from_utf8(message.payload())
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn handles_may_be_sent_to_other_threads_and_shared() {
    fn send<T: Send + 'static>() {}
    fn sync<T: Sync>() {}
    send::<(
        Client,
        mqtt_blocking::Delivery,
        mqtt_blocking::Driver,
        mqtt_blocking::Events,
        Subscription,
    )>();
    sync::<(
        Client,
        mqtt_blocking::Delivery,
        mqtt_blocking::Events,
        Subscription,
    )>();
}

#[test]
fn each_qos_goes_both_ways_in_each_version() -> Result {
    for version in VERSIONS {
        let server = Server::start()?;
        let client = connect(&server.url, config("client").version(version).build()?)?;
        for qos in ALL_QOS {
            let topic = format!("of/{}", qos.as_u8());
            let mut messages = client.subscribe(&*topic, qos)?;
            let mut delivery = client.publish(&*topic, qos, "0")?;
            let outcome = delivery.wait_timeout(LONG)?;
            assert_eq!(delivery.outcome(), Some(outcome));
            match qos {
                QoS::AtMostOnce => assert_eq!(outcome, Outcome::Written),
                _ => assert!(
                    matches!(
                        outcome,
                        Outcome::Acknowledged {
                            republished: false,
                            ..
                        }
                    ),
                    "{outcome:?}"
                ),
            }
            assert_eq!(next(&mut messages), 0, "its own");
            server.send(&topic, qos, 1..1000);
            for n in 1..1000 {
                assert_eq!(next(&mut messages), n, "{qos} of {version:?}");
            }
            assert!(messages.try_next().is_none());
        }
        client.disconnect(Duration::from_secs(5));
        server.assert_no_violations();
    }
    Ok(())
}

#[test]
fn a_rejected_message_fails_with_the_servers_reason() -> Result {
    let server = Server::start()?;
    let client = server.connect()?;
    server.with(|broker, _| broker.answer_next_publish(ReasonCode::QUOTA_EXCEEDED));
    let error = client
        .publish("a", QoS::AtLeastOnce, "x")?
        .wait()
        .unwrap_err();
    assert_eq!(error.outcome, Outcome::Rejected(ReasonCode::QUOTA_EXCEEDED));
    Ok(())
}

#[test]
fn a_delivery_that_is_not_known_in_time_may_be_waited_for_again() -> Result {
    let server = Server::start()?;
    let client = server.connect()?;
    let puback = mqtt_blocking::PacketType::PubAck;
    server.with(|broker, _| broker.hold(puback));
    let mut delivery = client.publish("a", QoS::AtLeastOnce, "x")?;
    let error = delivery.wait_timeout(SHORT).unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(error.to_string(), "nothing came within 30ms");
    assert_eq!(delivery.outcome(), None);
    server.with(|broker, now| broker.release(now, puback));
    assert!(delivery.wait()?.is_success());
    Ok(())
}

#[test]
fn a_publish_that_finds_no_room_in_time_gives_the_message_back() -> Result {
    let mut limits = Limits::default();
    limits.max_queued = 1;
    let config = config("client").limits(limits).build()?;
    let (client, _driver) = build("mqtt://127.0.0.1:1", config)?;
    let _first = client.publish_timeout("a", QoS::AtLeastOnce, "first", Duration::ZERO)?;
    for timeout in [Duration::ZERO, SHORT] {
        let message = Publish::new(Topic::try_from("b")?, "second").with_retain(true);
        let begin = Instant::now();
        let error = client
            .publish_with_timeout(
                QoS::ExactlyOnce,
                message.clone(),
                PublishOptions::new(),
                timeout,
            )
            .unwrap_err();
        assert!(begin.elapsed() >= timeout);
        assert!(error.refused().is_some_and(PublishRefused::is_full));
        assert_eq!(error.into_publish(), Some(message));
    }
    let error = client.publish("a/#", QoS::AtMostOnce, "").unwrap_err();
    assert!(matches!(error, SendError::Topic(_)), "{error:?}");
    Ok(())
}

#[test]
fn a_publish_waits_for_room_and_a_slow_server_slows_it_down() -> Result {
    const MESSAGES: usize = 300;
    let broker = BrokerConfig {
        receive_maximum: 10,
        ..BrokerConfig::default()
    };
    let server = Server::start_with(broker)?;
    let mut limits = Limits::default();
    limits.max_queued = 20;
    let client = connect(&server.url, config("client").limits(limits).build()?)?;
    let puback = mqtt_blocking::PacketType::PubAck;
    server.with(|broker, _| broker.hold(puback));
    let publisher = thread::spawn({
        let client = client.clone();
        move || {
            for n in 0..MESSAGES {
                client
                    .publish("a", QoS::AtLeastOnce, n.to_string())
                    .unwrap();
            }
        }
    });
    server.until("the window is full", |broker| broker.held(puback) == 10);
    until("the queue is full", || client.stats().queued == 20);
    let before = client.stats();
    thread::sleep(SHORT);
    assert!(!publisher.is_finished());
    assert!(client.try_publish("a", QoS::AtLeastOnce, "").is_err());
    assert_eq!(client.stats().accepted, before.accepted);
    while !publisher.is_finished() {
        server.with(|broker, now| broker.release_some(now, puback, 10));
        thread::sleep(Duration::from_millis(1));
    }
    publisher.join().unwrap();
    server.with(|broker, now| broker.release(now, puback));
    client.disconnect(LONG);
    server.with(|broker, _| {
        let payloads = broker.received().iter().map(|r| r.message.payload());
        let expected = (0..MESSAGES).map(|n| n.to_string());
        assert!(payloads.eq(expected.map(String::into_bytes)));
    });
    server.assert_no_violations();
    Ok(())
}

#[test]
fn many_threads_publish_at_once() -> Result {
    const THREADS: u32 = 16;
    const MESSAGES: u32 = 500;
    for version in VERSIONS {
        let server = Server::start()?;
        let client = connect(&server.url, config("client").version(version).build()?)?;
        let mut messages = client.subscribe("many/+", QoS::ExactlyOnce)?;
        let client = Arc::new(client);
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let client = Arc::clone(&client);
                thread::spawn(move || {
                    let topic = Topic::try_from(format!("many/{thread}")).unwrap();
                    let qos = ALL_QOS[thread as usize % 3];
                    for n in 0..MESSAGES {
                        let message = (thread * MESSAGES + n).to_string();
                        let delivery = client.publish(topic.clone(), qos, message).unwrap();
                        if n % 50 == 0 {
                            delivery.wait().unwrap();
                        }
                    }
                })
            })
            .collect();
        let mut expected: Vec<u32> = (0..THREADS).map(|thread| thread * MESSAGES).collect();
        for _ in 0..THREADS * MESSAGES {
            let n = next(&mut messages);
            let of_thread = &mut expected[(n / MESSAGES) as usize];
            assert_eq!(n, *of_thread, "in the order of each thread");
            *of_thread += 1;
        }
        for thread in threads {
            thread.join().unwrap();
        }
        client.disconnect(Duration::from_secs(5));
        server.assert_no_violations();
    }
    Ok(())
}

#[test]
fn publishing_from_within_the_receive_loop_does_not_lock_up() -> Result {
    let server = Server::start()?;
    let mut limits = Limits::default();
    limits.max_queued = 4;
    let client = connect(&server.url, config("client").limits(limits).build()?)?;
    let messages = client.subscribe("in", QoS::AtLeastOnce)?;
    let answers = client.subscribe("out", QoS::AtLeastOnce)?;
    server.send("in", QoS::AtLeastOnce, 0..1000);
    let responder = thread::spawn({
        let client = client.clone();
        move || {
            messages.handle(|message| {
                client
                    .publish("out", QoS::AtLeastOnce, message.payload_bytes())
                    .unwrap();
            })
        }
    });
    for (n, message) in answers.take(1000).enumerate() {
        assert_eq!(message.payload(), n.to_string().as_bytes());
    }
    client.disconnect(Duration::from_secs(5));
    responder.join().unwrap()?;
    server.assert_no_violations();
    Ok(())
}

#[test]
fn a_handler_that_panics_leaves_its_message_unacknowledged() -> Result {
    let server = Server::start()?;
    let client = server.connect()?;
    let messages = client.subscribe("a", QoS::AtLeastOnce)?;
    server.send("a", QoS::AtLeastOnce, 0..2);
    let error = messages.handle(|_| panic!("over")).unwrap_err();
    assert_eq!(error.message, "over");
    let mut unclaimed = client.messages();
    assert_eq!(next(&mut unclaimed), 0);
    assert_eq!(next(&mut unclaimed), 1);
    Ok(())
}

#[test]
fn an_iterator_ends_when_the_session_is_closed_and_all_is_taken() -> Result {
    let server = Server::start()?;
    let client = server.connect()?;
    let mut messages = client
        .subscribe("a", QoS::AtLeastOnce)?
        .with_ack_mode(AckMode::Queued);
    let waiting = thread::spawn({
        let other = client.subscribe("b", QoS::AtLeastOnce)?;
        move || other.count()
    });
    server.send("a", QoS::AtLeastOnce, 0..3);
    server.until("all have arrived", |broker| {
        broker.counts("client").delivered[1] == 3
    });
    client.disconnect(Duration::from_secs(5));
    assert_eq!(waiting.join().unwrap(), 0, "one that waited");
    assert_eq!(messages.try_iter().count(), 3);
    assert!(messages.next().is_none());
    assert!(messages.next_timeout(LONG)?.is_none(), "and stays ended");
    let error = client.subscribe("a", QoS::AtLeastOnce).unwrap_err();
    assert!(matches!(error, SubscribeFailed::Closed(_)), "{error:?}");
    Ok(())
}

#[test]
fn a_wait_for_a_message_that_is_given_up_takes_none() -> Result {
    let server = Server::start()?;
    let client = server.connect()?;
    let mut messages = client.subscribe("a", QoS::AtLeastOnce)?;
    let error = messages.next_timeout(SHORT).unwrap_err();
    assert_eq!(error.after, SHORT);
    server.send("a", QoS::AtLeastOnce, 0..2);
    assert_eq!(next(&mut messages), 0);
    assert_eq!(next(&mut messages), 1);
    Ok(())
}

#[test]
fn a_message_is_acknowledged_when_the_application_comes_back() -> Result {
    let server = Server::start()?;
    let client = server.connect()?;
    let mut messages = client.subscribe("a", QoS::AtLeastOnce)?;
    server.send("a", QoS::AtLeastOnce, 0..3);
    next(&mut messages);
    next(&mut messages);
    client.publish("sync", QoS::AtLeastOnce, "")?.wait()?;
    let acknowledged = server.received("PUBACK");
    assert_eq!(acknowledged, 1, "the first, and not the one that it is at");
    next(&mut messages);
    drop(messages);
    server.until("all are acknowledged", |broker| {
        broker.counts("client").delivered[1] == 3
    });
    server.assert_no_violations();
    Ok(())
}

#[test]
fn a_subscribe_that_is_given_up_is_withdrawn() -> Result {
    let server = Server::start()?;
    let client = server.connect()?;
    let suback = mqtt_blocking::PacketType::SubAck;
    server.with(|broker, _| broker.hold(suback));
    let error = client
        .subscribe_timeout("a", QoS::AtLeastOnce, SHORT)
        .unwrap_err();
    assert!(matches!(error, WaitError::TimedOut(_)), "{error:?}");
    server.with(|broker, now| broker.release(now, suback));
    server.until("it is unsubscribed", |broker| {
        broker.session("client").unwrap().subscriptions.is_empty()
    });

    // Without a connection it vanishes.
    server.with(|broker, _| broker.config_mut().connect_timeout = LONG);
    let (offline, _driver) = build("mqtt://127.0.0.1:1", config("offline").build()?)?;
    let error = offline
        .subscribe_timeout("a", QoS::AtLeastOnce, Duration::ZERO)
        .unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    server.assert_no_violations();
    Ok(())
}

#[test]
fn a_filter_that_the_server_refuses_is_an_error_with_its_code() -> Result {
    let server = Server::start()?;
    let client = server.connect()?;
    let secret = TopicFilter::try_from("secret")?;
    server.with(|broker, _| broker.refuse_subscription(secret.clone(), ReasonCode::NOT_AUTHORIZED));
    let filters = vec![
        (TopicFilter::try_from("open")?, QoS::AtMostOnce.into()),
        (secret.clone(), SubscribeOptions::new(QoS::AtMostOnce)),
    ];
    let error = client.subscribe_many(filters).unwrap_err();
    let refused = SubscribeFailed::Refused {
        filter: secret.clone(),
        reason: ReasonCode::NOT_AUTHORIZED,
    };
    assert_eq!(error, refused);
    let error = client.subscribe_timeout(secret, QoS::AtMostOnce, LONG);
    assert_eq!(error.unwrap_err(), WaitError::Failed(refused));
    Ok(())
}

#[test]
fn unsubscribing_ends_the_messages() -> Result {
    let server = Server::start()?;
    let client = server.connect()?;
    let mut kept = client.subscribe("a", QoS::AtMostOnce)?;
    let dropped = client.subscribe("b", QoS::AtMostOnce)?;
    client.unsubscribe_timeout(kept.filters().to_vec(), LONG)?;
    dropped.unsubscribe()?;
    server.with(|broker, _| {
        assert!(broker.session("client").unwrap().subscriptions.is_empty());
    });
    server.send("a", QoS::AtMostOnce, 0..1);
    assert!(kept.next_timeout(SHORT).is_err());
    server.assert_no_violations();
    Ok(())
}

#[test]
fn connections_that_are_cut_again_and_again_lose_nothing_above_qos_0() -> Result {
    const MESSAGES: u32 = 3000;
    for version in VERSIONS {
        let server = Server::start()?;
        let config = config("client").version(version).clean_start(false);
        let client = connect(&server.url, config.build()?)?;
        let mut messages = client.subscribe("echo", QoS::ExactlyOnce)?;
        let publisher = thread::spawn({
            let client = client.clone();
            move || {
                for n in 0..MESSAGES {
                    client
                        .publish("echo", QoS::ExactlyOnce, n.to_string())
                        .unwrap();
                    if n % 50 == 0 {
                        thread::sleep(Duration::from_millis(1));
                    }
                }
            }
        });
        for n in 0..MESSAGES {
            if n % 500 == 100 {
                server.cut();
            }
            assert_eq!(next(&mut messages), n);
        }
        publisher.join().unwrap();
        // Even the last cut is noticed, though all may have come before it.
        server.until("it is back", |_| client.stats().connections > 1);
        client.disconnect(Duration::from_secs(5));
        server.assert_no_violations();
    }
    Ok(())
}

#[test]
fn what_was_accepted_is_sent_when_the_last_client_is_dropped() -> Result {
    let server = Server::start()?;
    let client = server.connect()?;
    let other = client.clone();
    for n in 0..100 {
        client.publish("a", QoS::AtLeastOnce, n.to_string())?;
    }
    drop(client);
    assert!(other.publish_capacity().messages > 0);
    drop(other);
    server.until("it has disconnected", |broker| {
        broker.received().len() == 100 && broker.connection_of("client").is_none()
    });
    assert_eq!(server.received("DISCONNECT"), 1);
    server.assert_no_violations();
    Ok(())
}

#[test]
fn large_messages_pass_both_ways_at_once() -> Result {
    let server = Server::start()?;
    let client = server.connect()?;
    let mut messages = client.subscribe("large", QoS::AtLeastOnce)?;
    let payload: Vec<u8> = (0..1_000_000_u32).map(|n| n as u8).collect();
    let publisher = thread::spawn({
        let (client, payload) = (client.clone(), payload.clone());
        move || {
            for _ in 0..24 {
                client
                    .publish("large", QoS::AtLeastOnce, payload.clone())
                    .unwrap();
            }
        }
    });
    for _ in 0..24 {
        let message = messages.next_timeout(LONG)?.unwrap();
        assert!(message.payload() == payload);
    }
    publisher.join().unwrap();
    until("nothing is left", || client.stats().in_flight == 0);
    server.assert_no_violations();
    Ok(())
}
