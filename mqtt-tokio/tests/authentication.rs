//! Enhanced authentication over real sockets, by callbacks and by SCRAM.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mqtt_testkit::{AuthStep as Verdict, Authenticator as Judge, ConnId};
use mqtt_tokio::auth::{AuthAnswer, AuthError, AuthInput, AuthStep, Authenticator};
use mqtt_tokio::{
    Answers, ConnectError, ConnectionError, QoS, ReasonCode, ReauthenticateError, Timeouts,
    authenticator, connect_with,
};
use server::{Result, Server, config, soon};

const METHOD: &str = "CHALLENGE";

/// Asks once, and lets in who says "me".
#[derive(Debug)]
struct Doorman;

impl Judge for Doorman {
    fn step(&mut self, _: ConnId, first: bool, _: &str, data: Option<&[u8]>) -> Verdict {
        match (first, data) {
            (true, _) => Verdict::Continue("who?".into()),
            (false, Some(b"me")) => Verdict::Accept(Some("welcome".into())),
            _ => Verdict::Refuse(ReasonCode::NOT_AUTHORIZED),
        }
    }
}

async fn doorman() -> Result<Server> {
    let server = Server::start().await?;
    server.with(|broker, _| broker.set_authenticator(Box::new(Doorman)));
    Ok(server)
}

/// Says this, and is content with a welcome.
struct Visitor(&'static str);

impl Authenticator for Visitor {
    fn method(&self) -> &str {
        METHOD
    }
    fn begin(&mut self, _: bool) -> std::result::Result<AuthAnswer, AuthError> {
        Ok(AuthAnswer::default())
    }
    fn challenge(&mut self, input: AuthInput<'_>) -> std::result::Result<AuthAnswer, AuthError> {
        assert_eq!(input.data(), Some(&b"who?"[..]));
        // Longer than anything else may be held up.
        std::thread::sleep(Duration::from_millis(300));
        Ok(self.0.into())
    }
    fn verify(&mut self, input: AuthInput<'_>) -> std::result::Result<(), AuthError> {
        match input.data() {
            Some(b"welcome") => Ok(()),
            _ => Err(AuthError::Signature),
        }
    }
}

async fn failure(server: &Server, answers: Answers) -> Result<ConnectionError> {
    let mut timeouts = Timeouts::default();
    timeouts.auth = Duration::from_millis(100);
    let config = config("client").authentication_method(METHOD);
    let config = config.timeouts(timeouts).build()?;
    match soon(connect_with(&server.url, config, answers)).await {
        Err(ConnectError::Connection(error)) => Ok(*error),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn steps_that_compute_for_long_hold_up_neither_driver_nor_runtime() -> Result {
    let server = doorman().await?;
    let config = config("client").authentication_method(METHOD).build()?;
    // One thread: whoever blocks it stops this counter.
    let ticks = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ticks);
    let ticking = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(10)).await;
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let client = soon(connect_with(
        &server.url,
        config,
        authenticator(Visitor("me")),
    ))
    .await?;
    assert!(ticks.load(Ordering::SeqCst) >= 5);
    let again = client.clone();
    let again = tokio::spawn(async move { again.reauthenticate().await });
    // Messages flow meanwhile.
    let mut acknowledged = 0;
    while !again.is_finished() {
        soon(client.publish("a", QoS::AtLeastOnce, "x").await?).await?;
        acknowledged += 1;
    }
    assert!(acknowledged > 5, "{acknowledged}");
    soon(again).await??;
    ticking.abort();
    Ok(())
}

#[tokio::test]
async fn a_dropped_re_authentication_goes_its_way_and_another_may_follow() -> Result {
    let server = doorman().await?;
    let config = config("client").authentication_method(METHOD).build()?;
    let client = soon(connect_with(
        &server.url,
        config,
        authenticator(Visitor("me")),
    ))
    .await?;
    let dropped = tokio::time::timeout(Duration::from_millis(20), client.reauthenticate());
    assert!(dropped.await.is_err());
    let in_progress = ReauthenticateError::InProgress;
    assert_eq!(client.reauthenticate().await, Err(in_progress.clone()));
    soon(async {
        while client.reauthenticate().await == Err(in_progress.clone()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert_eq!(client.stats().connections, 1);
    soon(client.disconnect(Duration::ZERO)).await;
    let closed = ReauthenticateError::Closed;
    assert_eq!(client.reauthenticate().await, Err(closed));
    Ok(())
}

#[tokio::test]
async fn what_goes_wrong_with_the_steps_is_what_connect_fails_with() -> Result {
    let server = doorman().await?;
    let refused = failure(&server, Answers::new().authenticator(Visitor("you"))).await?;
    let not_authorized = ReasonCode::NOT_AUTHORIZED;
    assert!(
        matches!(refused, ConnectionError::Refused { reason, .. } if reason == not_authorized),
        "{refused}"
    );
    let silent = Answers::new().authentication(|_| std::future::pending());
    let error = failure(&server, silent).await?;
    assert!(
        matches!(error, ConnectionError::AuthenticatorTimedOut { .. }),
        "{error}"
    );
    for answers in [
        Answers::new(),
        Answers::new().authentication(|step| async move {
            assert!(!matches!(step, AuthStep::Begin { .. }), "in the future");
            Ok(AuthAnswer::default())
        }),
        Answers::new().authentication(|step| {
            assert!(!matches!(step, AuthStep::Begin { .. }), "before it");
            std::future::ready(Ok(AuthAnswer::default()))
        }),
        authenticator(Panics),
    ] {
        let error = failure(&server, answers).await?;
        let failed = matches!(
            error,
            ConnectionError::Authentication {
                error: AuthError::Failed(_),
                ..
            }
        );
        assert!(failed, "{error}");
    }
    Ok(())
}

struct Panics;

impl Authenticator for Panics {
    fn method(&self) -> &str {
        METHOD
    }
    fn begin(&mut self, _: bool) -> std::result::Result<AuthAnswer, AuthError> {
        panic!("on its thread")
    }
    fn challenge(&mut self, _: AuthInput<'_>) -> std::result::Result<AuthAnswer, AuthError> {
        Ok(AuthAnswer::default())
    }
    fn verify(&mut self, _: AuthInput<'_>) -> std::result::Result<(), AuthError> {
        Ok(())
    }
}
