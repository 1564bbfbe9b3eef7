//! Connections that must not come about, each with its own error.

use std::time::Duration;

use mqtt_session::transport::{Tls, TlsError};
use mqtt_session::{Cause, ConnectionError, Endpoint, Event, Fault, Phase};
use rustls::AlertDescription as Alert;

use super::certificates::{Authority, Identity};
use super::peer::{Server, TLS12, TLS13};
use super::tower::{Far, Tower};
use super::{config, server, tower_of};

fn trusting(pem: &str) -> Tls {
    Tls::builder().authority_pem(pem).build().unwrap()
}

/// The error of the first attempt, which must be of TLS, and which alert the server got.
fn attempt(tls: &Tls, peer: &Server) -> (TlsError, ConnectionError, Option<Alert>) {
    let (server, before) = (server(), peer.clone());
    let mut tower = tower_of(config(tls), server, move || before.accept());
    tower.start();
    tower.run();
    let error = tower.losses().remove(0);
    let cause = match &error {
        ConnectionError::Handshake { cause, .. } => cause,
        other => panic!("{other:?}"),
    };
    let Cause::Tls(cause) = cause else {
        panic!("{error:?}")
    };
    assert!(tower.accepted().is_empty());
    assert_eq!(tower.hangups(), 1);
    assert!(tower.wire.is_none(), "the stream is closed");
    assert_eq!(tower.connection.session().phase(), Phase::Waiting);
    let seen = peer.seen.borrow();
    let alert = seen.errors.iter().find_map(|error| match error {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    });
    (cause.clone(), error, alert)
}

fn refused(tls: &Tls, identity: &Identity) -> (TlsError, Alert) {
    let mut found = None;
    for version in [&TLS12, &TLS13] {
        let peer = Server::with(identity, &[version], None);
        let (cause, error, alert) = attempt(tls, &peer);
        assert!(matches!(error, ConnectionError::Handshake { .. }));
        assert_eq!(error.fault(), Fault::Peer);
        let alert = alert.expect("the server is told why");
        if let Some(found) = &found {
            assert_eq!(*found, (cause.clone(), alert));
        }
        found = Some((cause, alert));
    }
    found.unwrap()
}

#[test]
fn a_certificate_of_an_authority_that_is_not_trusted() {
    let authority = Authority::new();
    let identity = authority.issue("broker.example");
    let tls = trusting(&Authority::new().pem);
    assert_eq!(
        refused(&tls, &identity),
        (TlsError::UnknownIssuer, Alert::UnknownCA)
    );
    let signed_itself = Identity::self_signed("broker.example", false);
    assert_eq!(
        refused(&tls, &signed_itself),
        (TlsError::UnknownIssuer, Alert::UnknownCA)
    );
}

#[test]
fn a_certificate_that_has_expired_or_is_for_later() {
    let authority = Authority::new();
    let tls = trusting(&authority.pem);
    assert_eq!(
        refused(&tls, &authority.issue_expired("broker.example")),
        (TlsError::Expired, Alert::CertificateExpired)
    );
    assert_eq!(
        refused(&tls, &authority.issue_for_later("broker.example")),
        (TlsError::NotYetValid, Alert::CertificateExpired)
    );
}

#[test]
fn a_certificate_for_another_name() {
    let authority = Authority::new();
    let tls = trusting(&authority.pem);
    let (error, _) = refused(&tls, &authority.issue("other.example"));
    let TlsError::WrongName(wrong) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(wrong.expected, "broker.example");
    assert_eq!(wrong.presented, ["other.example"]);
    assert_eq!(
        error.to_string(),
        "the server's certificate is for other.example, and not for broker.example"
    );
    // A wildcard is for one level.
    let (error, _) = refused(&tls, &authority.issue("*.broker.example"));
    assert!(matches!(error, TlsError::WrongName(_)), "{error:?}");
}

#[test]
fn an_authority_that_poses_as_a_server_of_its_own() {
    let identity = Identity::self_signed("broker.example", true);
    let (error, _) = refused(&trusting(&identity.certificate), &identity);
    assert!(matches!(error, TlsError::BadCertificate(_)), "{error:?}");
    assert!(error.to_string().contains("CA:FALSE"), "{error}");
}

#[test]
fn a_certificate_of_ours_that_the_server_misses_or_does_not_accept() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let identity = theirs.issue("broker.example");
    let bare = trusting(&theirs.pem);
    // In 1.3 our handshake is done before the server has looked at it.
    for version in [&TLS12, &TLS13] {
        let (error, lost, _) = attempt(&bare, &Server::with(&identity, &[version], Some(&ours)));
        assert_eq!(error, TlsError::CertificateRequired);
        assert_eq!(lost.fault(), Fault::Caller);
    }

    let stranger = Authority::new().issue("sensor-7");
    let wrong = Tls::builder()
        .authority_pem(theirs.pem.as_bytes())
        .client_certificate_pem(stranger.certificate, stranger.key)
        .build()
        .unwrap();
    for version in [&TLS12, &TLS13] {
        let peer = Server::with(&identity, &[version], Some(&ours));
        let before = peer.clone();
        let mut tower = tower_of(config(&wrong), server(), move || before.accept());
        tower.start();
        let text = tower.losses()[0].to_string();
        assert!(
            text.contains("does not accept the client certificate"),
            "{text}"
        );
    }
}

/// Answers the first bytes with others.
struct Other(Option<&'static [u8]>, bool);

impl Far for Other {
    fn receive(&mut self, _: &[u8]) {
        self.1 = true;
    }

    fn plaintext(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn send(&mut self, _: &[u8]) {}

    fn transmit(&mut self) -> Vec<u8> {
        let answer = self.0.filter(|_| self.1).unwrap_or_default();
        if self.1 {
            self.0 = None;
        }
        answer.to_vec()
    }
}

fn answered(answer: &'static [u8]) -> Tower {
    answered_to(&trusting(&Authority::new().pem), answer)
}

fn answered_to(tls: &Tls, answer: &'static [u8]) -> Tower {
    let mut tower = tower_of(config(tls), server(), move || {
        Box::new(Other(Some(answer), false))
    });
    tower.start();
    tower
}

fn cause(tower: &Tower) -> Cause {
    match &tower.losses()[..] {
        [ConnectionError::Handshake { cause, .. }] => cause.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_port_that_speaks_another_protocol() {
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"\x20\x03\x00\x84\x00", // CONNACK: unsupported version
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"220 mail.example ESMTP\r\n",
    ] {
        let tower = answered(answer);
        assert_eq!(cause(&tower), Cause::Tls(TlsError::NotTls));
        assert!(tower.wire.is_none());
    }
    for end in [Cause::Eof, Cause::ConnectionReset] {
        let mut closed = answered(b"");
        closed.end(end);
        closed.run();
        assert_eq!(cause(&closed), Cause::Tls(TlsError::Closed));
    }
}

#[test]
fn a_peer_that_takes_the_connection_and_stays_silent() {
    let mut tower = answered(b"");
    tower.run_for(Duration::from_secs(10));
    assert_eq!(cause(&tower), Cause::Tls(TlsError::TimedOut));
    assert!(tower.wire.is_none());
    // And one that stops in the middle: an answer that never becomes whole.
    let mut slow = answered(b"\x16\x03\x03\x40\x00");
    slow.run_for(Duration::from_secs(10));
    assert_eq!(cause(&slow), Cause::Tls(TlsError::TimedOut));
}

#[test]
fn a_record_that_was_tampered_with() {
    let authority = Authority::new();
    let peer = Server::new(&authority.issue("broker.example"));
    let before = peer.clone();
    let tls = trusting(&authority.pem);
    let mut tower = tower_of(config(&tls), server(), move || before.accept());
    tower.start();
    assert_eq!(tower.connection.session().phase(), Phase::Connected);
    tower
        .wire()
        .coming
        .extend_from_slice(b"\x17\x03\x03\x00\x20");
    tower.wire().coming.extend_from_slice(&[7; 32]);
    tower.run();
    let error = tower.losses().remove(0);
    let ConnectionError::Closed {
        cause: Cause::Tls(TlsError::Protocol(_)),
        ..
    } = error
    else {
        panic!("{error:?}")
    };
    let alert = rustls::Error::AlertReceived(Alert::BadRecordMac);
    assert_eq!(peer.seen.borrow().errors, [alert]);
}

#[test]
fn any_bytes_at_any_place_are_an_error_and_no_panic() {
    let authority = Authority::new();
    let identity = authority.issue("broker.example");
    let tls = trusting(&authority.pem);
    let mut torn_at = 0;
    for at in 0..40 {
        for version in [&TLS12, &TLS13] {
            let peer = Server::with(&identity, &[version], None);
            let mut tower = tower_of(config(&tls), server(), move || peer.accept());
            tower.pieces = 50;
            let now = tower.at();
            tower.connection.session_mut().start(now);
            for _ in 0..at {
                tower.step();
            }
            let Some(wire) = &mut tower.wire else {
                continue;
            };
            if !wire.coming.is_empty() {
                torn_at += 1;
                let place = wire.coming.len().min(at);
                let mut torn = wire.coming.split_off(place);
                torn.iter_mut().for_each(|byte| *byte ^= 0x55);
                wire.coming.extend_from_slice(&[at as u8; 9]);
                wire.coming.unsplit(torn);
                tower.run_for(Duration::from_secs(11));
                assert!(!tower.losses().is_empty(), "{at}");
            }
        }
    }
    assert!(torn_at > 30, "{torn_at}");
}

#[test]
fn a_name_that_no_certificate_can_be_for_is_refused_before_anything_is_opened() {
    let tls = trusting(&Authority::new().pem);
    let endpoint = Endpoint::parse("mqtts://not_a.-name-.example").unwrap();
    let mut tower = tower_of(config(&tls), endpoint, || unreachable!("opened"));
    tower.start();
    let [error @ ConnectionError::Transport { .. }] = &tower.losses()[..] else {
        panic!("{:?}", tower.losses())
    };
    assert_eq!(error.fault(), Fault::Caller);
    assert_eq!(
        error.to_string(),
        "there is no way to mqtts://not_a.-name-.example:8883: TLS: \
         \"not_a.-name-.example\" is no name or address that a certificate can be for"
    );
    assert!(tower.actions.is_empty());
    assert!(matches!(tower.events.last(), Some(Event::Closed)));
}

/// An alert: that is how a server of TLS 1.2 says that it wants a certificate, and many other things.
#[test]
fn a_handshake_that_fails_where_no_client_certificate_is_configured_may_want_one() {
    let alert = b"\x15\x03\x03\x00\x02\x02\x28";
    let refused = answered(alert);
    let words = "HandshakeFailure; it may ask for a client certificate, and none is configured";
    assert_eq!(cause(&refused), Cause::Tls(TlsError::Refused(words.into())));

    let authority = Authority::new();
    let ours = authority.issue("sensor-7");
    let tls = Tls::builder()
        .authority_pem(authority.pem)
        .client_certificate_pem(ours.certificate, ours.key)
        .build()
        .unwrap();
    let refused = answered_to(&tls, alert);
    let words = "HandshakeFailure";
    assert_eq!(cause(&refused), Cause::Tls(TlsError::Refused(words.into())));
}
