//! WebSocket as a layer, on virtual time. The server's end is tungstenite, or written by hand where it does what no server should.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod configured;
mod ending;
mod far;
mod frames;
mod good;
mod refused;
#[path = "../pair/tower.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    clippy::vec_init_then_push,
    reason = "shared with other tests"
)]
mod tower;

use mqtt_session::transport::WebSocketError;
use mqtt_session::{Cause, Config, ConnectionError, Phase};

use far::{Record, Server};
use tower::Tower;

const URL: &str = "ws://192.0.2.1/mqtt";

fn config() -> Config {
    Config::builder("client").build().unwrap()
}

/// A client, not begun, and what its servers see.
fn pair() -> (Tower, Record) {
    let record = Record::default();
    let seen = record.clone();
    let url = mqtt_session::Endpoint::parse(URL).unwrap();
    let tower = Tower::new(config(), url, move || Box::new(Server::new(seen.clone())));
    (tower, record)
}

fn connected() -> (Tower, Record) {
    let (mut tower, record) = pair();
    tower.start();
    assert_connected(&tower);
    (tower, record)
}

fn assert_connected(tower: &Tower) {
    let phase = tower.connection.session().phase();
    assert_eq!(phase, Phase::Connected, "{:?}", tower.events);
}

/// Why the only connection was lost, after it had been in use.
fn lost(tower: &Tower) -> Cause {
    match &tower.losses()[..] {
        [ConnectionError::Closed { cause, .. }] => cause.clone(),
        other => panic!("{other:?}"),
    }
}

/// The same, by a fault of WebSocket.
fn fault(tower: &Tower) -> WebSocketError {
    match lost(tower) {
        Cause::WebSocket(error) => error,
        other => panic!("{other:?}"),
    }
}

/// Bytes for the client, past the server.
fn feed(tower: &mut Tower, bytes: &[u8]) {
    tower.wire().coming.extend_from_slice(bytes);
    tower.run();
}
