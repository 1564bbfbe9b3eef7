//! Connections that come about.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use mqtt_session::proto::QoS;
use mqtt_session::transport::Tls;
use mqtt_session::{Cause, ConnectionError, Endpoint, Event, Phase};
use rustls::HandshakeKind;

use super::certificates::{Authority, Identity};
use super::peer::{Server, VERSIONS};
use super::tower::Tower;
use super::{config, server, tower_of};

const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

fn trusting(authority: &Authority) -> Tls {
    Tls::builder()
        .authority_pem(authority.pem.as_bytes())
        .build()
        .unwrap()
}

fn tower(tls: &Tls, peer: &Server) -> Tower {
    tower_at(server(), tls, peer)
}

fn tower_at(endpoint: Endpoint, tls: &Tls, peer: &Server) -> Tower {
    let peer = peer.clone();
    tower_of(config(tls), endpoint, move || peer.accept())
}

#[track_caller]
fn connected(mut tower: Tower) -> Tower {
    tower.start();
    let phase = tower.connection.session().phase();
    assert_eq!(phase, Phase::Connected, "{:?}", tower.losses());
    tower
}

fn converse(tower: &mut Tower) {
    tower.subscribe();
    let mut sent = Vec::new();
    for (number, qos) in (0..12_u8).zip(QOS.into_iter().cycle()) {
        let payload = vec![number; [1, 1000, 100_000][usize::from(number) / 4]];
        tower.publish(qos, &payload);
        sent.push(payload);
        tower.run();
    }
    assert!(tower.accepted() == sent);
    assert!(tower.take_all() == sent);
    tower.check();
}

#[test]
fn messages_pass_in_both_versions_and_in_any_pieces() {
    let authority = Authority::new();
    let tls = trusting(&authority);
    let identity = authority.issue("broker.example");
    for version in VERSIONS {
        for pieces in [1, 7, 1500, usize::MAX] {
            let peer = Server::with(&identity, &[version], None);
            let mut tower = tower(&tls, &peer);
            tower.pieces = pieces;
            let mut tower = connected(tower);
            if pieces == 1 {
                tower.publish(QoS::ExactlyOnce, b"byte by byte");
                tower.run();
                tower.check();
            } else {
                converse(&mut tower);
            }
            assert!(peer.seen.borrow().errors.is_empty());
        }
    }
}

#[test]
fn both_sides_can_show_certificates() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let identity = ours.issue("sensor-7");
    let tls = Tls::builder()
        .authority_pem(theirs.pem.as_bytes())
        .client_certificate_pem(identity.certificate, identity.key)
        .build()
        .unwrap();
    let server = theirs.issue("broker.example");
    for version in VERSIONS {
        let peer = Server::with(&server, &[version], Some(&ours));
        converse(&mut connected(tower(&tls, &peer)));
        assert_eq!(peer.seen.borrow().client_certificates, 1);
    }
}

#[test]
fn a_certificate_that_a_server_has_signed_itself_is_trusted_where_it_is_given_as_authority() {
    let identity = Identity::self_signed("broker.example", false);
    let tls = Tls::builder()
        .authority_pem(identity.certificate.as_bytes())
        .build()
        .unwrap();
    connected(tower(&tls, &Server::new(&identity)));
}

#[test]
fn a_connection_that_comes_again_resumes() {
    let authority = Authority::new();
    let identity = authority.issue("broker.example");
    for version in VERSIONS {
        let tls = trusting(&authority);
        let peer = Server::with(&identity, &[version], None);
        let mut first = connected(tower(&tls, &peer));
        first.end(Cause::ConnectionReset);
        first.run_for(Duration::from_secs(5));
        assert_eq!(first.connection.session().phase(), Phase::Connected);
        // So does another client with the same configuration.
        connected(tower(&tls, &peer));
        let kinds = [
            HandshakeKind::Full,
            HandshakeKind::Resumed,
            HandshakeKind::Resumed,
        ];
        assert_eq!(peer.seen.borrow().handshakes, kinds, "{version:?}");
    }
}

#[test]
fn a_server_is_known_by_its_address_or_by_another_name_where_that_is_said() {
    let authority = Authority::new();
    let tls = trusting(&authority);
    let by_address = Server::new(&authority.issue("192.0.2.1"));
    for url in ["mqtts://192.0.2.1", "ssl://me:secret@192.0.2.1:8884"] {
        connected(tower_at(Endpoint::parse(url).unwrap(), &tls, &by_address));
    }
    let by_name = Server::new(&authority.issue("broker.internal"));
    let named = tls.with_server_name("broker.internal").unwrap();
    let address = Endpoint::parse("tls://192.0.2.1").unwrap();
    connected(tower_at(address, &named, &by_name));
    let wanted = Some("broker.internal".to_owned());
    assert_eq!(by_name.seen.borrow().names, [wanted]);
    assert_eq!(by_address.seen.borrow().names, [None, None]);
}

#[test]
fn the_server_is_told_which_name_and_which_protocol_we_want() {
    let authority = Authority::new();
    let mut peer = Server::new(&authority.issue("broker.example"));
    Arc::get_mut(&mut peer.config).unwrap().alpn_protocols = vec![b"mqtt".to_vec()];
    let tls = Tls::builder()
        .authority_pem(authority.pem.as_bytes())
        .alpn(["x", "mqtt"])
        .build()
        .unwrap();
    connected(tower(&tls, &peer));
    let seen = peer.seen.borrow();
    assert_eq!(seen.names, [Some("broker.example".to_owned())]);
    assert_eq!(seen.protocols, [Some(b"mqtt".to_vec())]);
}

#[test]
fn a_configuration_of_ones_own_is_used_as_it_is() {
    let authority = Authority::new();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    let issuer = Identity {
        certificate: authority.pem.clone(),
        key: String::new(),
    };
    roots.add(issuer.chain().remove(0)).unwrap();
    let own = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&super::peer::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = Tls::from_config(own.into());
    let identity = authority.issue("broker.example");
    connected(tower(&tls, &Server::new(&identity)));
    // TLS 1.3 is not in it.
    let mut refused = tower(&tls, &Server::with(&identity, &[&super::peer::TLS13], None));
    refused.start();
    assert_eq!(
        refused.losses()[0].to_string(),
        "192.0.2.1:8883 took the connection, but it was of no use after 0 s: \
         TLS: the server refused with the alert ProtocolVersion"
    );
}

#[test]
fn leaving_says_close_notify_behind_disconnect() {
    let authority = Authority::new();
    let peer = Server::new(&authority.issue("broker.example"));
    let mut tower = connected(tower(&trusting(&authority), &peer));
    let now = tower.at();
    let session = tower.connection.session_mut();
    session
        .disconnect(now, Default::default(), Duration::from_secs(1))
        .unwrap();
    tower.run();
    assert!(matches!(tower.events.last(), Some(Event::Closed)));
    assert_eq!(peer.seen.borrow().farewells, 1);
    assert!(peer.seen.borrow().errors.is_empty());
    tower.check();
    assert_eq!(Rc::strong_count(&peer.seen), 2, "the stream is gone");
}

#[test]
fn a_stream_that_ends_in_order_is_told_from_one_that_is_cut_off() {
    let authority = Authority::new();
    let peer = Server::new(&authority.issue("broker.example"));
    let lost = |tower: &Tower| match &tower.losses()[..] {
        [ConnectionError::Closed { cause, .. }] => cause.clone(),
        other => panic!("{other:?}"),
    };
    let mut ended = connected(tower(&trusting(&authority), &peer));
    ended.wire().far.end();
    ended.run();
    assert_eq!(lost(&ended), Cause::Eof);
    assert_eq!(peer.seen.borrow().farewells, 1, "so have we");
    let mut cut = connected(tower(&trusting(&authority), &peer));
    cut.end(Cause::Eof);
    cut.run();
    assert_eq!(
        lost(&cut).to_string(),
        "TLS: the connection ended without close_notify; what came may be cut off"
    );
}
