//! Several servers: in which order they are tried, and how often.

mod pair;

use std::time::Duration;

use mqtt_session::proto::{ConnAck, Disconnect, Packet, Properties, ReasonCode, Version};
use mqtt_session::{
    Action, Backoff, Cause, ConnectionError, Endpoint, Event, Instant, Phase, Servers, Session,
};
use pair::config;
use pair::raw::Raw;

const NONE: Properties = Properties::new();

fn endpoint(number: u8) -> Endpoint {
    Endpoint::new(format!("192.0.2.{number}"), 1883)
}

fn three() -> Servers {
    Servers::new(endpoint(1)).or(endpoint(2)).or(endpoint(3))
}

/// Which servers were dialled, by their last number.
fn dialled(raw: &Raw) -> Vec<u8> {
    raw.dials()
        .iter()
        .map(|addr| match addr.ip() {
            std::net::IpAddr::V4(ip) => ip.octets()[3],
            std::net::IpAddr::V6(ip) => panic!("{ip}"),
        })
        .collect()
}

fn refuse(raw: &mut Raw, reason: ReasonCode) {
    raw.open();
    raw.feed(&Packet::ConnAck(ConnAck {
        session_present: false,
        reason,
        properties: NONE,
    }));
    raw.hang_up();
}

#[test]
fn connect_tries_each_server_once_in_their_order_and_ends_with_the_last_error() {
    let mut raw = Raw::of(config(Version::V5), three());
    raw.session.connect(raw.now);
    raw.poll();
    raw.closed(Cause::ConnectionRefused);
    raw.closed(Cause::Unreachable);
    assert!(!raw.session.is_closed());
    raw.closed(Cause::ConnectionReset);
    assert_eq!(dialled(&raw), [1, 2, 3]);
    assert_eq!(raw.now, Instant::ZERO, "there is no delay within a round");
    let told: Vec<_> = raw.losses().into_iter().map(|(_, retry)| retry).collect();
    assert_eq!(told, [Some(Duration::ZERO), Some(Duration::ZERO), None]);
    let last = Cause::ConnectionReset;
    assert!(matches!(raw.last_loss(), ConnectionError::Dial { cause, .. } if cause == last));
    assert!(raw.session.is_closed());
}

#[test]
fn connect_goes_on_after_a_server_that_refuses_or_says_nothing() {
    let mut raw = Raw::of(config(Version::V5), three());
    raw.session.connect(raw.now);
    refuse(&mut raw, ReasonCode::SERVER_BUSY);
    raw.open();
    raw.advance(Duration::from_secs(10));
    raw.hang_up();
    raw.open();
    raw.accept(false, NONE);
    assert_eq!(dialled(&raw), [1, 2, 3]);
    assert_eq!(raw.session.phase(), Phase::Connected);
    assert_eq!(*raw.session.server(), endpoint(3));
}

#[test]
fn a_refusal_that_asking_again_would_not_change_ends_the_round_too() {
    let mut raw = Raw::of(config(Version::V5), three());
    raw.session.start(raw.now);
    refuse(&mut raw, ReasonCode::NOT_AUTHORIZED);
    assert_eq!(dialled(&raw), [1]);
    assert!(raw.session.is_closed());
}

#[test]
fn the_back_off_is_between_rounds_and_each_round_begins_with_the_first() {
    let mut raw = Raw::of(config(Version::V5), three());
    raw.session.start(raw.now);
    raw.poll();
    for _ in 0..3 {
        for _ in 0..3 {
            raw.closed(Cause::ConnectionRefused);
        }
        raw.wait_for_dial();
    }
    let waits: Vec<_> = raw
        .losses()
        .into_iter()
        .map(|(_, retry)| retry.expect("a retry").as_secs())
        .collect();
    assert_eq!(waits, [0, 0, 1, 0, 0, 2, 0, 0, 4]);
}

#[test]
fn after_a_loss_the_server_that_has_the_session_is_tried_first_and_the_others_after_it() {
    let mut raw = Raw::of(config(Version::V5), three());
    raw.session.start(raw.now);
    raw.poll();
    raw.closed(Cause::ConnectionRefused);
    raw.open();
    raw.accept(false, NONE);
    raw.closed(Cause::Eof);
    raw.wait_for_dial();
    for _ in 0..2 {
        raw.closed(Cause::ConnectionRefused);
    }
    assert_eq!(dialled(&raw), [2, 3, 1]);
}

#[test]
fn a_server_that_is_busy_or_stops_is_passed_over() {
    for reason in [ReasonCode::SERVER_BUSY, ReasonCode::SERVER_SHUTTING_DOWN] {
        let mut raw = Raw::of(config(Version::V5), three());
        raw.session.start(raw.now);
        raw.open();
        raw.accept(false, NONE);
        raw.feed(&Packet::Disconnect(Disconnect::new(reason)));
        raw.hang_up();
        raw.wait_for_dial();
        assert_eq!(dialled(&raw), [2], "{reason}");
    }
}

#[test]
fn the_seed_decides_the_order_of_shuffled_servers_and_keeps_it() {
    let mut orders = Vec::new();
    for seed in 0..60 {
        let config = config(Version::V5).build().expect("good");
        let mut session = Session::new(config, three().shuffled(), seed);
        session.start(Instant::ZERO);
        let mut order = Vec::new();
        while order.len() < 6 {
            match session.poll_action() {
                Some(Action::Dial { attempt, addr }) => {
                    order.push(addr);
                    let now = Instant::ZERO;
                    session.handle_closed(now, attempt, Cause::ConnectionRefused);
                }
                Some(_) => {}
                None => session.handle_timeout(session.poll_timeout().expect("a deadline")),
            }
        }
        assert_eq!(order[..3], order[3..], "the second round");
        let mut sorted = order[..3].to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 3, "each once");
        orders.push(order);
    }
    orders.sort_unstable();
    orders.dedup();
    assert_eq!(orders.len(), 6, "every order comes up");
}

#[test]
fn the_session_gives_up_after_as_many_failures_in_a_row_as_configured() {
    let backoff = Backoff {
        attempts: core::num::NonZeroU32::new(3),
        jitter_percent: 0,
        ..Backoff::default()
    };
    let mut raw = Raw::of(config(Version::V5).backoff(backoff), endpoint(1));
    raw.session.start(raw.now);
    raw.poll();
    for _ in 0..2 {
        raw.closed(Cause::ConnectionRefused);
        raw.wait_for_dial();
    }
    // A connection that lasts begins the count anew.
    raw.open();
    raw.accept(false, NONE);
    raw.advance(Duration::from_secs(5));
    for _ in 0..2 {
        raw.closed(Cause::ConnectionRefused);
        raw.wait_for_dial();
    }
    raw.closed(Cause::ConnectionRefused);
    assert!(raw.session.is_closed());
    assert!(matches!(raw.events.last(), Some(Event::Closed)));
}

#[test]
fn servers_are_read_from_urls_in_their_order() {
    let servers = Servers::try_from("mqtt://a, mqtt://b:1884 tcp://[::1]").expect("good URLs");
    let told: Vec<_> = servers.endpoints().map(ToString::to_string).collect();
    assert_eq!(told, ["a:1883", "b:1884", "[::1]:1883"]);
    for (bad, text) in [
        (
            "",
            "\"\" has no scheme; write mqtt://host or mqtt://host:port",
        ),
        (
            "mqtt://a,b",
            "\"b\" has no scheme; write mqtt://host or mqtt://host:port",
        ),
        (
            "mqtt://a,mqtt://b:0",
            "\"0\" is no port; it must be a number from 1 to 65535",
        ),
    ] {
        assert_eq!(Servers::try_from(bad).expect_err(bad).to_string(), text);
    }
}
