//! What an application is told: how the connection stands, that a session is lost, and why something came too late.
#![cfg(feature = "client")]
#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod pair;

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use mqtt_session::client::{ClientEvent, Closed, ConnectError, Events, SendError, SubscribeFailed};
use mqtt_session::proto::{
    ConnAck, Disconnect, Packet, Properties, QoS, ReasonCode, TopicFilter, Version,
};
use mqtt_session::{
    ConfigBuilder, Durability, Endpoint, Event, Instant, Outcome, Phase, PublishRefused, Record,
    Servers, Session, SubscribeError, UnixTime, WallClock,
};
use pair::hand::{Hand, poll, ready};
use pair::raw::Raw;
use pair::{VERSIONS, config};

fn lasting(version: Version) -> ConfigBuilder {
    config(version).clean_start(false)
}

/// The names of the events that are there, in their order.
fn names(events: &mut Events) -> Vec<String> {
    std::iter::from_fn(|| match poll(pin!(events.next())) {
        Poll::Ready(event) => event,
        Poll::Pending => None,
    })
    .map(|event| {
        let shown = format!("{event:?}");
        let end = shown.find(|c: char| !c.is_alphanumeric());
        shown[..end.unwrap_or(shown.len())].to_owned()
    })
    .collect()
}

#[test]
fn who_watches_is_told_how_the_connection_stands_and_then_what_happens() {
    let mut hand = Hand::new(config(Version::V5));
    let mut before = hand.client.watch();
    assert_eq!(names(&mut before), [""; 0]);
    hand.connect();
    hand.turn();
    let mut after = hand.client.watch();
    let Poll::Ready(Some(ClientEvent::Connected { addr, connack })) = poll(pin!(after.next()))
    else {
        panic!("it is connected")
    };
    assert_eq!(addr.to_string(), "192.0.2.1:1883");
    assert_eq!(connack, ConnAck::default());
    let mut changes = hand.client.events();

    hand.lose();
    // Whoever comes now sees what comes next, as the others do.
    let mut between = hand.client.watch();
    hand.advance(Duration::from_secs(3600));
    hand.accept();
    hand.turn();
    assert_eq!(
        names(&mut before),
        ["Connected", "Lost", "Connected", "SessionLost"]
    );
    assert_eq!(names(&mut changes), ["Lost", "Connected", "SessionLost"]);
    assert_eq!(names(&mut after), ["Lost", "Connected", "SessionLost"]);
    assert_eq!(names(&mut between), ["Connected", "SessionLost"]);

    let _ = poll(pin!(hand.client.disconnect(Duration::ZERO)));
    hand.turn();
    hand.lose();
    let mut late = hand.client.watch();
    assert_eq!(names(&mut late), ["Closed"]);
    assert!(matches!(poll(pin!(late.next())), Poll::Ready(None)));
}

/// Whether the loss of the session was told since the last call.
fn told(raw: &mut Raw) -> bool {
    raw.packets();
    let events = std::mem::take(&mut raw.events);
    let lost = events
        .iter()
        .position(|event| matches!(event, Event::SessionLost));
    if let Some(at) = lost {
        let before = at.checked_sub(1).and_then(|before| events.get(before));
        assert!(
            matches!(before, Some(Event::Connected { .. })),
            "{events:?}"
        );
    }
    lost.is_some()
}

fn again(raw: &mut Raw, session_present: bool) {
    raw.closed(mqtt_session::Cause::Eof);
    raw.wait_for_dial();
    raw.open();
    raw.accept(session_present, Properties::new());
}

#[test]
fn a_session_that_the_server_has_lost_is_told_and_nothing_else_is() {
    for version in VERSIONS {
        // Nobody knows what the server had before.
        let mut raw = Raw::connected(lasting(version));
        assert!(!told(&mut raw), "{version}");
        if version != Version::V3_1 {
            again(&mut raw, true);
            assert!(!told(&mut raw), "{version}");
        }
        again(&mut raw, false);
        // 3.1 can't tell.
        assert_eq!(told(&mut raw), version != Version::V3_1, "{version}");
        again(&mut raw, false);
        assert_eq!(told(&mut raw), version != Version::V3_1, "{version}");
    }
    // A session that was to end with its connection is not lost.
    let mut raw = Raw::connected(config(Version::V3_1_1).clean_start(true));
    again(&mut raw, false);
    assert!(!told(&mut raw));
    let mut raw = Raw::connected(config(Version::V5).session_expiry(Duration::ZERO));
    again(&mut raw, false);
    assert!(!told(&mut raw));
}

#[test]
fn a_session_that_was_left_for_another_group_of_servers_is_not_lost() {
    for version in [Version::V3_1_1, Version::V5] {
        let endpoint = |number: u8| Endpoint::new(format!("192.0.2.{number}"), 1883);
        let servers = Servers::new(endpoint(1)).or(endpoint(2));
        let mut raw = Raw::of(lasting(version), servers);
        raw.session.start(raw.now);
        raw.open();
        raw.accept(false, Properties::new());
        raw.closed(mqtt_session::Cause::Eof);
        raw.wait_for_dial();
        raw.closed(mqtt_session::Cause::ConnectionRefused);
        assert_eq!(*raw.session.server(), endpoint(2), "{version}");
        raw.actions.clear();
        raw.open();
        raw.accept(false, Properties::new());
        if version == Version::V3_1_1 {
            // That one only cleared what was there.
            raw.packets();
            assert!(raw.hang_up());
            raw.open();
            raw.accept(false, Properties::new());
        }
        assert_eq!(raw.session.phase(), Phase::Connected, "{version}");
        assert!(!told(&mut raw), "{version}");
        // From now on it is this one that can be.
        again(&mut raw, false);
        assert!(told(&mut raw), "{version}");
    }
}

#[test]
fn a_session_of_an_earlier_process_that_the_server_has_lost_is_told() {
    let config = || lasting(Version::V5).durability(Durability::WriteAhead);
    let mut raw = Raw::connected(config());
    raw.poll();
    let records: Vec<Record> = std::iter::from_fn(|| raw.session.poll_record())
        .map(|(_, record)| record)
        .collect();
    let clock = WallClock {
        now: Instant::ZERO,
        time: UnixTime::from_millis(1_700_000_000_000),
    };
    for (begun, session_present) in [(true, false), (true, true), (false, false)] {
        let records = records.iter().filter(|_| begun).cloned();
        let server = Endpoint::new("192.0.2.1", 1883);
        let session = Session::restore(config().build().unwrap(), server, 7, clock, records);
        let mut next = Raw::new(config());
        next.session = session.unwrap();
        next.session.connect(next.now);
        next.open();
        next.accept(session_present, Properties::new());
        assert_eq!(next.session.phase(), Phase::Connected);
        assert_eq!(told(&mut next), begun && !session_present);
    }
}

/// Ended by a server that says why.
fn pushed_out() -> (Hand, [String; 3]) {
    let mut hand = Hand::connected(config(Version::V5));
    hand.turn();
    let delivery = ready(hand.client.publish("a", QoS::AtLeastOnce, "x")).unwrap();
    let client = hand.client.clone();
    let mut subscribing = Box::pin(client.subscribe("a", QoS::AtMostOnce));
    assert!(poll(subscribing.as_mut()).is_pending());
    hand.turn();
    hand.feed(&Packet::Disconnect(Disconnect::new(
        ReasonCode::SESSION_TAKEN_OVER,
    )));
    hand.turn();
    hand.lose();
    let lost = ready(delivery).unwrap_err();
    assert_eq!(lost.outcome, Outcome::Closed);
    let refused = ready(subscribing).map(drop).unwrap_err();
    assert!(matches!(refused, SubscribeFailed::Closed(_)), "{refused:?}");
    let late = ready(hand.client.publish("a", QoS::AtMostOnce, "late")).unwrap_err();
    assert_eq!(late.refused(), Some(&PublishRefused::Closed));
    let said = [lost.to_string(), refused.to_string(), late.to_string()];
    assert_eq!(
        late.into_publish()
            .map(|publish| publish.payload().to_vec()),
        Some(b"late".to_vec())
    );
    (hand, said)
}

#[test]
fn what_comes_too_late_is_told_what_ended_the_session() {
    let (hand, said) = pushed_out();
    let why = ready(hand.client.closed()).to_string();
    assert!(why.starts_with("192.0.2.1:1883 disconnected: "), "{why}");
    assert_eq!(
        said,
        [
            format!("the session was closed before the message was acknowledged: {why}"),
            format!("the session is closed: {why}"),
            format!("the message was not accepted: the session is closed: {why}"),
        ]
    );
    let client = &hand.client;
    let filter = TopicFilter::try_from("a").unwrap();
    let late = [
        ready(client.unsubscribe(vec![filter])).unwrap_err(),
        client.declare("a", QoS::AtMostOnce).map(drop).unwrap_err(),
        ready(client.subscribe("a", QoS::AtMostOnce))
            .map(drop)
            .unwrap_err(),
    ];
    for late in late {
        assert_eq!(late.to_string(), format!("the session is closed: {why}"));
    }
    let late = client.try_publish("a", QoS::AtMostOnce, "").unwrap_err();
    assert!(late.to_string().ends_with(&why), "{late}");
    let late = client
        .publish("a", QoS::AtMostOnce, "")
        .give_up()
        .unwrap_err();
    assert!(late.to_string().ends_with(&why), "{late}");
}

#[test]
fn who_has_left_is_told_so() {
    let mut hand = Hand::connected(config(Version::V5));
    hand.turn();
    let _ = poll(pin!(hand.client.disconnect(Duration::ZERO)));
    // It is leaving, and has not left.
    let late = ready(hand.client.publish("a", QoS::AtMostOnce, "")).unwrap_err();
    assert!(matches!(late, SendError::Refused(_)), "{late:?}");
    let late = ready(hand.client.subscribe("a", QoS::AtMostOnce)).map(drop);
    assert_eq!(late, Err(SubscribeFailed::Request(SubscribeError::Closed)));
    hand.turn();
    hand.lose();
    let late = ready(hand.client.publish("a", QoS::AtMostOnce, "")).unwrap_err();
    assert_eq!(
        late.to_string(),
        "the message was not accepted: the session is closed: it was disconnected, or its driver is gone"
    );
}

#[test]
fn debug_of_an_error_is_its_text_and_its_structure_where_that_is_asked_for() {
    let (hand, said) = pushed_out();
    let late = hand
        .client
        .try_publish("a", QoS::AtMostOnce, "")
        .unwrap_err();
    assert_eq!(format!("{late:?}"), said[2]);
    assert!(
        format!("{late:#?}").starts_with("Closed(\n    PublishClosed {"),
        "{late:#?}"
    );
    let closed = ready(hand.client.closed());
    let why = closed.to_string();
    assert_eq!(format!("{closed:?}"), why);
    assert!(
        format!("{closed:#?}").starts_with("Closed {\n    error: Some(\n        Disconnected {")
    );
    let error = ConnectError::from(closed);
    assert_eq!(format!("{error:?}"), why);
    assert!(
        format!("{error:#?}").starts_with("Connection(\n    Disconnected {"),
        "{error:#?}"
    );
    let refused = ready(hand.client.subscribe("#/a", QoS::AtMostOnce))
        .map(drop)
        .unwrap_err();
    assert_eq!(format!("{refused:?}"), refused.to_string());
    assert!(
        format!("{refused:#?}").starts_with("Filter(\n    MultiLevel {"),
        "{refused:#?}"
    );
}

/// `Closed` is no variant of its own where nothing is known.
#[test]
fn a_client_whose_driver_never_ran_is_told_so() {
    let Hand { client, port, .. } = Hand::new(config(Version::V5));
    drop(port);
    let closed: Closed = ready(client.closed());
    assert_eq!(closed.to_string(), "the session was closed");
    assert_eq!(format!("{closed:?}"), "the session was closed");
    let error = ConnectError::from(closed);
    assert_eq!(
        format!("{error:?}"),
        "the session was closed before the server answered"
    );
    assert_eq!(format!("{error:#?}"), "Closed");
}
