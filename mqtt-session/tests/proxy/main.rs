//! Proxies on the way to the server, on virtual time: what they are asked, and what is made of each answer.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod any;
mod config;
mod http;
mod scripted;
mod secrets;
mod socks5;
#[path = "../pair/tower.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    clippy::vec_init_then_push,
    reason = "shared with the tests within the crate"
)]
mod tower;
mod way;

use std::time::Duration;

use mqtt_session::proto::{Disconnect, QoS};
use mqtt_session::transport::{Proxy, ProxyError};
use mqtt_session::{
    Action, Cause, Config, ConfigBuilder, ConnectionError, Endpoint, Event, Fault, Phase,
};
use scripted::{Scripted, Step};
use tower::Tower;

const SECRET: &str = "hunter2";
/// Of 5.0, and of success.
const CONNACK: [u8; 5] = [0x20, 3, 0, 0, 0];

fn config(proxy: Proxy) -> ConfigBuilder {
    Config::builder("client").proxy(proxy)
}

fn server() -> Endpoint {
    Endpoint::new("broker.example", 1883)
}

/// A connection through this proxy, which follows the script each time. Not begun.
fn tower(proxy: Proxy, server: Endpoint, script: &[Step]) -> Tower {
    let script = script.to_vec();
    Tower::new(config(proxy).build().unwrap(), server, move || {
        Box::new(Scripted::new(&script))
    })
}

/// It came to nothing, once, in the handshake: why, and in which words.
fn failed(tower: &Tower) -> (ProxyError, String) {
    match &tower.losses()[..] {
        [
            error @ ConnectionError::Handshake {
                cause: Cause::Proxy(cause),
                ..
            },
        ] => (cause.clone(), error.to_string()),
        other => panic!("{other:?}"),
    }
}

fn assert_connected(tower: &Tower) {
    assert_eq!(
        tower.connection.session().phase(),
        Phase::Connected,
        "{:?}",
        tower.events
    );
}

/// Messages of each QoS pass both ways, whole and in pieces.
fn assert_passes(tower: &mut Tower) {
    assert_connected(tower);
    tower.subscribe();
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        for size in [0, 1, 100_000] {
            let payload = vec![qos as u8; size];
            let token = tower.publish(qos, &payload);
            tower.run();
            assert!(tower.outcome(token).is_some());
            assert_eq!(tower.take_all(), [payload]);
        }
    }
    tower.check();
}

/// The connection is there however the answer comes in two, and not before it has come as a whole.
fn connects_at_every_cut(proxy: &Proxy, steps: &[Step]) {
    for (at, (_, answer)) in steps.iter().enumerate() {
        for cut in 0..answer.len() {
            let mut script = steps.to_vec();
            script[at].1.clear();
            let mut tower = tower(proxy.clone(), server(), &script);
            tower.start();
            for part in [&answer[..cut], &answer[cut..]] {
                assert_eq!(tower.connection.session().phase(), Phase::Connecting);
                tower.wire().coming.extend_from_slice(part);
                tower.run();
            }
            assert_connected(&tower);
        }
    }
    // All in single bytes, both ways.
    let mut tower = tower(proxy.clone(), server(), steps);
    tower.pieces = 1;
    tower.takes = 1;
    tower.start();
    for _ in 0..2_000 {
        tower.takes = 1;
        tower.run();
    }
    assert_connected(&tower);
}

/// What the server says right behind the answer of the proxy is the session's, in one segment or two.
fn keeps_what_is_behind(proxy: &Proxy, steps: &[Step]) {
    let answer = &steps.last().unwrap().1;
    for cut in answer.len() - 1..=answer.len() + CONNACK.len() {
        let mut script = steps.to_vec();
        script.last_mut().unwrap().1.clear();
        let mut tower = tower(proxy.clone(), server(), &script);
        // Nobody but the test answers.
        tower.make = Box::new(move || Box::new(Scripted::new(&script).deaf_behind()));
        tower.start();
        let all = [&answer[..], &CONNACK].concat();
        for part in [&all[..cut], &all[cut..]] {
            tower.wire().coming.extend_from_slice(part);
            tower.run();
        }
        let connected = |event: &Event| matches!(event, Event::Connected { .. });
        assert!(tower.events.iter().any(connected), "{:?}", tower.events);
    }
}

/// The answer to the last step is an error, whole and in single bytes.
fn refused_as(proxy: &Proxy, script: &[Step], expected: &ProxyError, words: &str, fault: Fault) {
    for pieces in [usize::MAX, 1] {
        let mut tower = tower(proxy.clone(), server(), script);
        tower.pieces = pieces;
        tower.start();
        let (error, text) = failed(&tower);
        assert_eq!(error, *expected, "{script:?}");
        assert_eq!(error.fault(), fault, "{error:?}");
        assert!(text.contains("proxy: ") && text.contains(words), "{text}");
        assert!(tower.wire.is_none(), "the stream is left open");
        assert_eq!(tower.hangups(), 1);
    }
}

/// However far the answer came, silence and an end are told, in time.
fn ends_without_an_answer(proxy: &Proxy, steps: &[Step]) {
    for at in 0..steps.len() {
        let answer = steps[at].1.clone();
        for len in 0..answer.len() {
            let mut script = steps[..=at].to_vec();
            script[at].1.truncate(len);
            let mut silent = tower(proxy.clone(), server(), &script);
            silent.start();
            silent.run_for(Duration::from_millis(9_999));
            assert!(silent.losses().is_empty());
            silent.run_for(Duration::from_millis(1));
            let (error, text) = failed(&silent);
            assert_eq!(error, ProxyError::TimedOut);
            assert!(
                text.contains("after 10 s: ") && text.contains("timeouts.handshake"),
                "{text}"
            );
            assert!(silent.wire.is_none());
            for cause in [Cause::Eof, Cause::ConnectionReset] {
                let mut ended = tower(proxy.clone(), server(), &script);
                ended.start();
                ended.end(cause);
                ended.run();
                assert_eq!(failed(&ended).0, ProxyError::Closed);
            }
        }
    }
}
