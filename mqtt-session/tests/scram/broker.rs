//! A session with SCRAM at the model broker.

use std::time::Duration;

use mqtt_session::auth::{AuthError, Mechanism, Scram};
use mqtt_session::proto::{QoS, ReasonCode, Version};
use mqtt_session::{ConfigBuilder, ConnectionError, Event, Phase, ReauthenticateError, Token};

use crate::pair::{Pair, config, numbers};
use crate::server::ScramServer;

fn scram(user_name: &str, password: &str) -> Box<Scram> {
    let mut exchange = 0;
    let random = move || {
        exchange += 1;
        Ok(vec![exchange; 18])
    };
    let scram = Scram::new(Mechanism::Sha256, user_name, password, random);
    Box::new(scram.expect("good credentials"))
}

fn authenticating() -> ConfigBuilder {
    config(Version::V5).authentication_method(Mechanism::Sha256.name())
}

fn pair(scram: Box<Scram>, server: ScramServer) -> Pair {
    let mut pair = Pair::new(authenticating());
    pair.authenticator = Some(scram);
    pair.broker.set_authenticator(Box::new(server));
    pair
}

fn connected() -> Pair {
    let mut pair = pair(
        scram("a,b=c", "pencil"),
        ScramServer::new("a,b=c", "pencil", 4096),
    );
    pair.connect();
    pair
}

fn outcome(pair: &Pair, token: Token) -> Option<Result<(), ReauthenticateError>> {
    pair.events.iter().find_map(|event| match event {
        Event::Reauthenticated { token: t, result } if *t == token => Some(result.clone()),
        _ => None,
    })
}

fn loss(pair: &Pair) -> (&ConnectionError, bool) {
    let lost = pair.events.iter().find_map(|event| match event {
        Event::Lost { error, retry_in } => Some((error, retry_in.is_some())),
        _ => None,
    });
    lost.expect("a loss")
}

#[test]
fn a_session_connects_and_reconnects_by_scram() {
    let mut pair = connected();
    for _ in 0..3 {
        pair.cut();
        pair.run_for(Duration::from_secs(120));
        assert_eq!(pair.session.phase(), Phase::Connected);
    }
    assert_eq!(pair.session.stats().connections, 4);
    pair.check();
}

#[test]
fn a_re_authentication_succeeds_while_messages_flow() {
    let mut pair = connected();
    for round in 0..3 {
        let sent = numbers(round * 10..round * 10 + 5);
        sent.iter().for_each(|payload| {
            pair.publish("a", QoS::ExactlyOnce, payload);
        });
        let token = pair.session.reauthenticate(pair.now()).expect("it begins");
        sent.iter().for_each(|payload| {
            pair.publish("a", QoS::AtLeastOnce, payload);
        });
        pair.run();
        assert_eq!(outcome(&pair, token), Some(Ok(())));
    }
    assert_eq!(pair.accepted().len(), 30);
    assert_eq!(pair.session.stats().connections, 1);
    pair.check();
}

/// [MQTT-4.12.1-2]
#[test]
fn a_refused_re_authentication_ends_the_session_with_the_servers_reason() {
    let mut server = ScramServer::new("user", "pencil", 4096);
    server.refuses_again = true;
    let mut pair = pair(scram("user", "pencil"), server);
    pair.connect();
    let token = pair.session.reauthenticate(pair.now()).expect("it begins");
    pair.run();
    let Some(Err(ReauthenticateError::Lost(error))) = outcome(&pair, token) else {
        panic!("{:?}", outcome(&pair, token))
    };
    let not_authorized = ReasonCode::NOT_AUTHORIZED;
    assert!(
        matches!(*error, ConnectionError::Disconnected { reason, .. } if reason == not_authorized)
    );
    assert!(pair.session.is_closed());
    pair.check();
}

#[test]
fn a_wrong_password_or_name_is_refused_and_not_tried_again() {
    for (user_name, password) in [("user", "pen"), ("other", "pencil")] {
        let mut pair = pair(
            scram(user_name, password),
            ScramServer::new("user", "pencil", 4096),
        );
        pair.session.start(pair.now());
        pair.run();
        let not_authorized = ReasonCode::NOT_AUTHORIZED;
        let (error, again) = loss(&pair);
        assert!(
            matches!(error, ConnectionError::Refused { reason, .. } if *reason == not_authorized),
            "{error}"
        );
        assert!(!again);
        assert!(pair.session.is_closed());
        pair.check();
    }
}

#[test]
fn a_server_that_does_not_know_the_password_is_left_with_a_disconnect() {
    let thief = ScramServer::new("user", "pencil", 4096).without_server_key();
    let mut pair = pair(scram("user", "pencil"), thief);
    pair.session.start(pair.now());
    pair.publish("a", QoS::AtLeastOnce, b"secret");
    pair.run();
    let (error, again) = loss(&pair);
    let signature = AuthError::Signature;
    assert!(
        matches!(error, ConnectionError::Authentication { error, .. } if *error == signature),
        "{error}"
    );
    assert!(!again);
    assert!(pair.accepted().is_empty());
    assert!(pair.broker.ladder().to_string().contains("DISCONNECT"));
    pair.check();
}

#[test]
fn a_server_that_asks_for_too_few_or_too_many_iterations_is_left() {
    let mut many = ScramServer::new("user", "pencil", 1);
    many.iterations = u32::MAX;
    for server in [ScramServer::new("user", "pencil", 1), many] {
        let mut pair = pair(scram("user", "pencil"), server);
        pair.session.start(pair.now());
        pair.run();
        let (error, again) = loss(&pair);
        let iterations = matches!(
            error,
            ConnectionError::Authentication {
                error: AuthError::Iterations { .. },
                ..
            }
        );
        assert!(iterations, "{error}");
        assert!(!again);
        pair.check();
    }
}

#[test]
fn a_server_without_the_method_refuses_it() {
    let mut pair = Pair::new(authenticating());
    pair.authenticator = Some(scram("user", "pencil"));
    pair.session.start(pair.now());
    pair.run();
    let bad_method = ReasonCode::BAD_AUTHENTICATION_METHOD;
    let (error, again) = loss(&pair);
    assert!(
        matches!(error, ConnectionError::Refused { reason, .. } if *reason == bad_method),
        "{error}"
    );
    assert!(!again);
    pair.check();
}
