//! What errors say: to whom, what to look at, and in so many digits as mean something.

mod pair;

use std::net::SocketAddr;
use std::time::Duration;

use mqtt_session::auth::AuthError;
use mqtt_session::proto::{ConnAck, Disconnect, Packet, Properties, ReasonCode, Version};
use mqtt_session::transport::{TlsError, WebSocketError};
use mqtt_session::{Cause, ConnectionError, Fault};
use pair::raw::Raw;
use pair::{VERSIONS, config};

fn addr() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 1883))
}

/// A session that has sent CONNECT.
fn handshaking(version: Version) -> Raw {
    let mut raw = Raw::new(config(version));
    raw.session.start(raw.now);
    raw.open();
    raw
}

#[test]
fn a_time_is_told_in_three_digits() {
    for (nanos, told) in [
        (0, "0 s"),
        (1_234, "1.23 µs"),
        (2_987_654, "2.99 ms"),
        (45_000_000, "45 ms"),
        (45_678_900, "45.7 ms"),
        (250_000_000, "250 ms"),
        (2_987_654_321, "2.99 s"),
        (10_000_000_000, "10 s"),
        (123_456_789_000, "123 s"),
        (7_200_000_000_000, "7200 s"),
    ] {
        let after = Duration::from_nanos(nanos);
        let error = ConnectionError::NoConnAck {
            addr: addr().into(),
            after,
        };
        let shown = error.to_string();
        assert!(shown.ends_with(&format!("within {told}")), "{shown}");
    }
}

#[test]
fn a_refusal_says_what_to_check_where_that_is_the_callers() {
    let refused = |reason| {
        let error = ConnectionError::Refused {
            addr: addr().into(),
            after: Duration::from_millis(12),
            reason,
            words: Some("no".into()),
        };
        error.to_string()
    };
    let shown = refused(ReasonCode::BAD_USER_NAME_OR_PASSWORD);
    assert!(shown.contains("check user name and password"), "{shown}");
    let shown = refused(ReasonCode::NOT_AUTHORIZED);
    assert!(
        shown.contains("check user name and password, that credentials are given at all"),
        "{shown}"
    );
    assert!(shown.ends_with(": no"), "{shown}");
    let shown = refused(ReasonCode::UNSUPPORTED_PROTOCOL_VERSION);
    assert!(
        shown.contains("`version` chooses another, `fall_back` tries 3.1.1"),
        "{shown}"
    );
    let shown = refused(ReasonCode::SERVER_BUSY);
    assert!(!shown.contains("check"), "{shown}");
}

#[cfg(feature = "client")]
#[test]
fn a_refused_subscription_says_what_to_check() {
    let refused = |reason| {
        let filter = "a/#".try_into().expect("a filter");
        mqtt_session::client::SubscribeFailed::Refused { filter, reason }.to_string()
    };
    let shown = refused(ReasonCode::NOT_AUTHORIZED);
    assert!(shown.contains("access rules"), "{shown}");
    let shown = refused(ReasonCode::QUOTA_EXCEEDED);
    assert!(!shown.contains("check"), "{shown}");
}

#[test]
fn a_server_that_closes_before_it_answers_connect_is_told_with_likely_causes() {
    for version in VERSIONS {
        let mut raw = handshaking(version);
        raw.closed(Cause::Eof);
        let error = raw.last_loss();
        assert!(matches!(error, ConnectionError::Unanswered { .. }));
        let shown = error.to_string();
        let version = version.to_string();
        for part in ["192.0.2.1:1883", "port", "TLS", version.as_str()] {
            assert!(shown.contains(part), "{shown}");
        }
        // One that had accepted is lost, and no more is known.
        let mut raw = Raw::connected(config(Version::V5));
        raw.closed(Cause::Eof);
        assert!(matches!(raw.last_loss(), ConnectionError::Closed { .. }));
    }
}

/// A layer that is cut off knows no more than that the stream has ended; any other word of it is why there was no answer.
#[test]
fn what_a_layer_says_before_connack_is_told_apart_from_the_end_of_the_stream() {
    for version in VERSIONS {
        for (cause, is_verdict) in [
            (Cause::Tls(TlsError::Truncated), false),
            (Cause::Tls(TlsError::Revoked), true),
            (Cause::WebSocket(WebSocketError::Truncated), false),
            (Cause::WebSocket(WebSocketError::NotHttp), true),
            (Cause::ConnectionReset, false),
        ] {
            let mut raw = handshaking(version);
            raw.closed(cause.clone());
            match raw.last_loss() {
                ConnectionError::Handshake { cause: told, .. } if is_verdict => {
                    assert_eq!(told, cause);
                }
                ConnectionError::Unanswered { cause: told, .. } if !is_verdict => {
                    assert_eq!(told, cause);
                }
                other => panic!("{version}, {cause:?}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_server_of_another_protocol_is_named_as_such() {
    let alert: &[u8] = &[0x15, 3, 1, 0, 2, 2, 80];
    for version in VERSIONS {
        for (bytes, protocol) in [
            (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "HTTP"),
            (alert, "TLS"),
            (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH"),
        ] {
            // In one piece, and however the network cuts it.
            for piece in [bytes.len(), 1, 2] {
                let mut raw = handshaking(version);
                bytes.chunks(piece).for_each(|piece| raw.bytes_in(piece));
                let error = raw.last_loss();
                assert_eq!(error.fault(), Fault::Peer);
                let shown = error.to_string();
                assert!(
                    shown.contains(&format!(" speaks {protocol},")) && shown.contains("port"),
                    "{shown}"
                );
                assert_eq!(raw.lines(), [""; 0], "it would not understand");
            }
            // What might become one is waited for as CONNACK is.
            let mut raw = handshaking(version);
            raw.bytes_in(&bytes[..2]);
            assert_eq!(raw.losses(), []);
            raw.advance(Duration::from_secs(10));
            let error = raw.last_loss();
            assert!(
                matches!(error, ConnectionError::NoConnAck { .. }),
                "{error}"
            );
            // What comes later is known to be meant as a packet.
            let mut raw = handshaking(version);
            raw.accept(false, Properties::new());
            raw.bytes_in(bytes);
            assert!(matches!(raw.last_loss(), ConnectionError::Decode { .. }));
        }
    }
}

/// A terminal or a log takes some characters for its own.
#[test]
fn what_a_server_says_is_told_without_control_characters_and_at_no_great_length() {
    let said = "busy\r\n2026-01-01 ERROR \u{1B}[2J\u{202E}\u{7}";
    let long = "x".repeat(60_000);
    for (said, shown) in [
        (said, r"busy\r\n2026-01-01 ERROR \u{1b}[2J\u{202e}\u{7}"),
        ("Grüße, 世界", "Grüße, 世界"),
        (&long, &format!("{}...", &long[..200])),
    ] {
        let properties = || Properties::builder().reason_string(said).build();
        let mut raw = handshaking(Version::V5);
        raw.feed(&Packet::ConnAck(ConnAck {
            session_present: false,
            reason: ReasonCode::SERVER_BUSY,
            properties: properties().expect("good properties"),
        }));
        let ConnectionError::Refused { words, .. } = raw.last_loss() else {
            panic!("{:?}", raw.losses())
        };
        assert_eq!(words.as_deref(), Some(said), "it is there as it came");
        let told = raw.last_loss().to_string();
        assert!(told.ends_with(&format!(": {shown}")), "{told}");
        let mut raw = Raw::connected(config(Version::V5));
        raw.feed(&Packet::Disconnect(Disconnect {
            reason: ReasonCode::SERVER_BUSY,
            properties: properties().expect("good properties"),
        }));
        let told = raw.last_loss().to_string();
        assert!(told.ends_with(&format!(": {shown}")), "{told}");
        let told = AuthError::Refused(said.into()).to_string();
        assert!(told.ends_with(&format!(": {shown}")), "{told}");
    }
}

/// Section 4.2 leaves to the network what its end is: the layers above tell an orderly one from others.
#[cfg(feature = "std")]
#[test]
fn what_the_operating_system_says_of_a_stream_is_a_cause_that_can_be_told_apart() {
    use std::io::{Error, ErrorKind};
    for (kind, cause) in [
        (ErrorKind::UnexpectedEof, Cause::Eof),
        (ErrorKind::ConnectionRefused, Cause::ConnectionRefused),
        (ErrorKind::ConnectionReset, Cause::ConnectionReset),
        (ErrorKind::ConnectionAborted, Cause::ConnectionReset),
        (ErrorKind::BrokenPipe, Cause::ConnectionReset),
        (ErrorKind::HostUnreachable, Cause::Unreachable),
        (ErrorKind::NetworkUnreachable, Cause::Unreachable),
        (ErrorKind::AddrNotAvailable, Cause::Unreachable),
        (ErrorKind::TimedOut, Cause::TimedOut),
    ] {
        assert_eq!(Cause::from(&Error::from(kind)), cause);
    }
    let other = Error::other("the cable is gone");
    assert_eq!(
        Cause::from(&other),
        Cause::Other("the cable is gone".into())
    );
}
