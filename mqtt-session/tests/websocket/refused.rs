//! Who does not speak WebSocket, or not to us: each its own error, in time.

use std::time::Duration;

use mqtt_session::{Action, Cause, Endpoint, Fault};

use super::far::{Scripted, upgrade};
use super::*;

/// What comes of an answer to the request, in pieces of any size.
fn answered(answer: impl Fn(&str) -> Vec<u8> + Copy + 'static) -> WebSocketError {
    let [whole, bytes] = [usize::MAX, 1].map(|pieces| {
        let mut tower = Tower::new(config(), Endpoint::parse(URL).unwrap(), move || {
            Box::new(Scripted::new(answer))
        });
        tower.pieces = pieces;
        tower.start();
        // Not after a timeout, and the stream is given up.
        assert!(tower.wire.is_none(), "{:?}", tower.losses());
        failed(&tower)
    });
    assert_eq!(whole, bytes);
    whole
}

fn text(answer: &'static str) -> WebSocketError {
    answered(|_| answer.as_bytes().to_vec())
}

/// An answer that would be good but for this.
fn changed(from: &'static str, to: &'static str) -> WebSocketError {
    answered(move |request| {
        let good = upgrade(request);
        assert!(good.contains(from));
        good.replace(from, to).into_bytes()
    })
}

fn failed(tower: &Tower) -> WebSocketError {
    match &tower.losses()[..] {
        [error @ ConnectionError::Handshake { cause, addr, .. }] => {
            assert_eq!(addr.to_string(), "192.0.2.1:80");
            assert_eq!(error.fault(), Fault::Peer);
            let Cause::WebSocket(error) = cause else {
                panic!("{cause:?}")
            };
            error.clone()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_status_other_than_101_is_told() {
    for (answer, status, location) in [
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone",
            404,
            None,
        ),
        (
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n",
            401,
            None,
        ),
        ("HTTP/1.1 403\r\n\r\n", 403, None),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>",
            200,
            None,
        ),
        ("HTTP/1.1 503 Busy\n\n", 503, None),
        // Of simple servers.
        (
            "HTTP/1.0 404 File not found\r\nServer: SimpleHTTP\r\n\r\n",
            404,
            None,
        ),
        ("HTTP/1.1 500 Oh\r\nno header\r\n\r\n", 500, None),
        (
            "HTTP/1.1 302 Found\r\nLocation: https://b.example.org/mqtt?token=hunter2#x\r\n\r\n",
            302,
            Some("https://b.example.org/mqtt"),
        ),
    ] {
        let expected = WebSocketError::Refused {
            status,
            location: location.map(Into::into),
        };
        assert_eq!(text(answer), expected);
    }
}

#[test]
fn the_words_of_a_refusal_say_what_to_look_at() {
    let refused = |status, location: Option<&str>| {
        let location = location.map(Into::into);
        WebSocketError::Refused { status, location }.to_string()
    };
    assert_eq!(
        refused(404, None),
        "the server refused with the HTTP status 404 (there is nothing under the path of the URL)"
    );
    assert_eq!(
        refused(403, None),
        "the server refused with the HTTP status 403 (forbidden)"
    );
    assert_eq!(
        refused(308, Some("wss://b/mqtt")),
        "the server refused with the HTTP status 308 (it redirects, which is not followed): wss://b/mqtt"
    );
    assert_eq!(
        refused(418, None),
        "the server refused with the HTTP status 418"
    );
}

#[test]
fn a_server_that_does_not_choose_mqtt_is_not_spoken_to() {
    let line = "Sec-WebSocket-Protocol: mqtt\r\n";
    assert_eq!(changed(line, ""), WebSocketError::NoSubprotocol);
    let other = changed("Protocol: mqtt", "Protocol: soap");
    assert_eq!(other, WebSocketError::OtherSubprotocol("soap".into()));
    let older = changed("Protocol: mqtt", "Protocol: mqttv3.1");
    assert_eq!(older, WebSocketError::OtherSubprotocol("mqttv3.1".into()));
    let both = changed(
        line,
        "Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Protocol: x\r\n",
    );
    assert_eq!(both, WebSocketError::OtherSubprotocol("x".into()));
    let none = changed("Protocol: mqtt", "Protocol: ");
    assert_eq!(none, WebSocketError::OtherSubprotocol("".into()));
}

#[test]
fn an_upgrade_to_something_else_is_told_by_the_header() {
    let no = WebSocketError::NotUpgraded;
    assert_eq!(changed("Upgrade: websocket\r\n", ""), no("Upgrade"));
    assert_eq!(changed("Upgrade: websocket", "Upgrade: h2c"), no("Upgrade"));
    let connection = changed("Connection: Upgrade", "Connection: close");
    assert_eq!(connection, no("Connection"));
    let accept = changed("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: A");
    assert_eq!(accept, no("Sec-WebSocket-Accept"));
    let missing = changed("Sec-WebSocket-Accept", "X-Accept");
    assert_eq!(missing, no("Sec-WebSocket-Accept"));
    let extension = changed(
        "\r\n\r\n",
        "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
    );
    let deflate = WebSocketError::Extension("permessage-deflate".into());
    assert_eq!(extension, deflate);
    let old = changed("HTTP/1.1", "HTTP/1.0");
    assert!(matches!(old, WebSocketError::BadAnswer(_)), "{old:?}");
}

#[test]
fn what_is_no_http_is_told_at_its_first_byte() {
    for answer in [
        // CONNACK of a broker that takes the request for a bad CONNECT.
        &[0x20, 0x02, 0x00, 0x01][..],
        // DISCONNECT.
        &[0xE0, 0x01, 0x81],
        // An alert of TLS.
        &[0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x0A],
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"220 mail.example.org ESMTP\r\n",
        b"\0",
        b"HTTX",
    ] {
        assert_eq!(answered(move |_| answer.to_vec()), WebSocketError::NotHttp);
    }
}

#[test]
fn an_answer_that_can_not_be_read_is_told() {
    for answer in [
        "HTTP/1.1\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nno header\r\n\r\n",
        "HTTP/1.1 101 Switching\0Protocols\r\n\r\n",
        "HTTP/2 101\r\n\r\n",
    ] {
        let error = text(answer);
        let is_bad = matches!(error, WebSocketError::BadAnswer(_));
        assert!(is_bad, "{answer:?}: {error:?}");
    }
    let many = answered(|_| {
        let headers = "a: b\r\n".repeat(1000);
        format!("HTTP/1.1 101 OK\r\n{headers}\r\n").into_bytes()
    });
    assert!(matches!(many, WebSocketError::BadAnswer(_)), "{many:?}");
}

#[test]
fn an_answer_without_an_end_is_given_up_at_16_kib() {
    let error = answered(|_| [&b"HTTP/1.1 101 "[..], &[b'x'; 16 * 1024]].concat());
    assert_eq!(
        error,
        WebSocketError::BadAnswer("its head is too long".into())
    );
    let whole = answered(|request| {
        let long = format!("\r\nX: {}\r\n\r\n", "x".repeat(16 * 1024));
        upgrade(request).replace("\r\n\r\n", &long).into_bytes()
    });
    assert_eq!(whole, error);
}

#[test]
fn a_server_that_is_silent_or_stops_half_way_is_given_up_in_time() {
    for half in [
        "",
        "HTT",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: web",
    ] {
        let (mut tower, _) = pair();
        tower.make = Box::new(|| Box::new(Scripted::new(|_: &str| Vec::new())));
        tower.start();
        feed(&mut tower, half.as_bytes());
        tower.run_for(Duration::from_millis(9_999));
        assert_eq!(tower.losses(), []);
        tower.run_for(Duration::from_millis(1));
        assert_eq!(failed(&tower), WebSocketError::TimedOut);
        assert!(tower.wire.is_none());
    }
}

#[test]
fn a_server_that_hangs_up_during_the_handshake_may_not_know_it() {
    for cause in [Cause::Eof, Cause::ConnectionReset] {
        let (mut tower, _) = pair();
        tower.make = Box::new(|| Box::new(Scripted::new(|_: &str| b"HTTP/1.1 1".to_vec())));
        tower.start();
        tower.end(cause);
        tower.run();
        assert_eq!(failed(&tower), WebSocketError::Closed);
    }
}

#[test]
fn nothing_is_sent_behind_a_request_that_was_refused_and_it_is_tried_again() {
    let (mut tower, record) = pair();
    let mut others = 1;
    let seen = record.clone();
    tower.make = Box::new(move || {
        if others == 0 {
            return Box::new(Server::new(seen.clone()));
        }
        others -= 1;
        Box::new(Scripted::new(|_: &str| {
            b"HTTP/1.1 503 Busy\r\n\r\n".to_vec()
        }))
    });
    tower.start();
    let hangups = tower.actions.iter();
    let hangups = hangups.filter(|action| matches!(action, Action::Hangup { .. }));
    assert_eq!(hangups.count(), 1);
    assert!(record.closes().is_empty());
    tower.run_for(Duration::from_secs(10));
    assert_connected(&tower);
}

#[test]
fn of_the_servers_words_so_many_are_told_as_somebody_reads() {
    for (len, told) in [(199, 199), (200, 200), (201, 203), (1000, 203)] {
        let error = answered(move |_| {
            let path = "a".repeat(len);
            format!("HTTP/1.1 307 Go\r\nLocation: {path}\r\n\r\n").into_bytes()
        });
        let WebSocketError::Refused { location, .. } = error else {
            panic!("{error:?}")
        };
        let location = location.unwrap();
        assert_eq!(location.len(), told);
        assert_eq!(location.ends_with("a..."), len > 200);
    }
}
