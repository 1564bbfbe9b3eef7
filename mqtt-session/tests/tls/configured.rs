//! What a configuration can't be, what it does not show, and where a server may send us.

use mqtt_session::proto::{Properties, ReasonCode};
use mqtt_session::transport::{Tls, TlsConfigError};
use mqtt_session::{Config, Endpoint, Event, Phase, RedirectRefused, Redirects};

use super::certificates::{Authority, Identity};
use super::peer::Server;
use super::{config, server, tower_of};

fn wrong(tls: Result<Tls, TlsConfigError>) -> String {
    tls.expect_err("it can't work").to_string()
}

#[test]
fn what_can_not_work_is_refused_with_what_is_wrong() {
    let authority = Authority::new();
    let (one, other) = (authority.issue("a"), authority.issue("b"));
    let with = |certificate: &str, key: &str| {
        Tls::builder()
            .authority_pem(authority.pem.as_bytes())
            .client_certificate_pem(certificate, key)
            .build()
    };
    assert!(with(&one.certificate, &one.key).is_ok());
    let nothing = "nothing of this kind is in the PEM text";
    for (tls, text) in [
        (
            Tls::builder().authority_pem("").build(),
            format!("authority: {nothing}"),
        ),
        (
            Tls::builder().authority_pem(one.key.as_bytes()).build(),
            format!("authority: {nothing}"),
        ),
        (
            Tls::builder()
                .authority_pem(&authority.pem.as_bytes()[..100])
                .build(),
            "authority: the PEM text ends within a section".to_owned(),
        ),
        (with("", &one.key), format!("client certificate: {nothing}")),
        (
            with(&one.certificate, &one.certificate),
            format!("client key: {nothing}"),
        ),
        (
            with(&one.certificate, &one.key[..60]),
            "client key: the PEM text ends within a section".to_owned(),
        ),
    ] {
        assert_eq!(wrong(tls), text);
    }
    let text = wrong(with(&one.certificate, &other.key));
    assert!(
        text.starts_with("the client certificate can't be used: "),
        "{text}"
    );
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let text = wrong(Tls::builder().authority_pem(garbage).build());
    assert!(
        text.starts_with("the certificate of an authority can't be used: "),
        "{text}"
    );
    let torn = "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n";
    let text = wrong(Tls::builder().authority_pem(torn).build());
    assert!(
        text.ends_with("the PEM text has a section that is not base64"),
        "{text}"
    );
    let named = Tls::builder()
        .authority_pem(authority.pem)
        .server_name("a b")
        .build();
    assert_eq!(
        wrong(named),
        "\"a b\" is no name or address that a certificate can be for"
    );
}

#[test]
fn without_an_authority_those_of_a_feature_are_trusted_or_there_is_an_error() {
    let built_in = cfg!(any(
        feature = "tls-platform-roots",
        feature = "tls-bundled-roots"
    ));
    match Tls::builder().build() {
        Ok(_) => assert!(built_in),
        Err(TlsConfigError::NoAuthority) => assert!(!built_in),
        // A machine may have none.
        Err(TlsConfigError::Platform { .. }) if cfg!(feature = "tls-platform-roots") => {}
        Err(other) => panic!("{other}"),
    }
}

#[cfg(any(feature = "tls-platform-roots", feature = "tls-bundled-roots"))]
#[test]
fn authorities_that_are_asked_for_stand_beside_those_that_are_given() {
    let authority = Authority::new();
    let own = || Tls::builder().authority_pem(authority.pem.clone());
    let mut built = Vec::new();
    #[cfg(feature = "tls-bundled-roots")]
    built.push(own().bundled_roots().build().unwrap());
    #[cfg(feature = "tls-platform-roots")]
    match own().platform_roots().build() {
        Ok(tls) => built.push(tls),
        // A machine may have none.
        Err(TlsConfigError::Platform { .. }) => {}
        Err(other) => panic!("{other}"),
    }
    for tls in built {
        let peer = Server::new(&authority.issue("broker.example"));
        let mut tower = tower_of(config(&tls), server(), move || peer.accept());
        tower.start();
        let phase = tower.connection.session().phase();
        assert_eq!(phase, Phase::Connected, "{:?}", tower.events);
    }
}

#[test]
fn keys_are_not_shown() {
    let authority = Authority::new();
    let identity = authority.issue("a");
    let secret = identity.key.lines().nth(1).unwrap().to_owned();
    let builder = Tls::builder()
        .authority_pem(authority.pem)
        .client_certificate_pem(identity.certificate, identity.key);
    let mut shown = format!("{builder:?}");
    for part in ["authorities: 1", "has_certificate: true"] {
        assert!(shown.contains(part), "{shown}");
    }
    let tls = builder.build().unwrap();
    let builder = Config::builder("client").tls(tls.clone());
    shown += &format!("{tls:?} {builder:?}");
    let peer = Server::new(&Identity::self_signed("broker.example", false));
    let mut tower = tower_of(builder.build().unwrap(), server(), move || peer.accept());
    tower.pieces = 1;
    let now = tower.at();
    tower.connection.session_mut().start(now);
    tower.step();
    shown += &format!("{:?}", tower.connection);
    assert!(shown.contains("TlsLayer"), "{shown}");
    assert!(!shown.contains(&secret[..20]), "{shown}");
}

fn sent_to(reference: &str) -> Result<Endpoint, RedirectRefused> {
    let authority = Authority::new();
    let peer = Server::new(&authority.issue("broker.example"));
    let tls = Tls::builder().authority_pem(authority.pem).build().unwrap();
    let config = Config::builder("client")
        .tls(tls)
        .redirects(Redirects::to(["other.example"]))
        .build()
        .unwrap();
    let mut tower = tower_of(config, server(), move || peer.accept());
    tower.broker.refuse_next_with(
        ReasonCode::USE_ANOTHER_SERVER,
        Properties::builder()
            .server_reference(reference)
            .build()
            .unwrap(),
    );
    tower.start();
    let told = tower.events.iter().find_map(|event| match event {
        Event::Redirected { followed, .. } => Some(followed.clone()),
        _ => None,
    });
    told.expect("the server sends us on")
}

#[test]
fn a_redirect_does_not_lead_out_of_tls() {
    for (reference, url) in [
        ("other.example", "mqtts://other.example:8883"),
        ("other.example:7", "mqtts://other.example:7"),
        ("ssl://other.example:7", "mqtts://other.example:7"),
    ] {
        assert_eq!(sent_to(reference).unwrap().to_string(), url);
    }
    for reference in ["mqtt://other.example", "tcp://other.example:8883"] {
        assert!(matches!(
            sent_to(reference),
            Err(RedirectRefused::Weaker { .. })
        ));
    }
}
