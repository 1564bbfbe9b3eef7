//! What the application is asked while it connects.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mqtt_session::auth::{AuthAnswer, AuthError, AuthInput, Authenticator};
use mqtt_session::client::exports::{
    Answers, Cause, ConnectError, ConnectionError, Credentials, Endpoint, QoS, ReasonCode,
};
use mqtt_testkit::{AuthStep as Verdict, Authenticator as Judge, ConnId};

use crate::block_on::both;
use crate::{Bench, Failure, Result};

use super::List;

pub(super) fn add(list: &mut List) {
    list.add("credentials are asked for before each attempt", credentials);
    list.add(
        "credentials that fail are told in the callback's words",
        no_credentials,
    );
    list.add(
        "an authenticator that computes holds up nobody",
        authenticator,
    );
}

async fn credentials(bench: &Bench<'_>) -> Result {
    let server = bench.server()?;
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&asked);
    let answers = Answers::new().credentials(move |_: Endpoint| {
        let n = counting.fetch_add(1, Ordering::SeqCst);
        async move { Ok::<_, Failure>(Credentials::new("sensor-7", format!("token {n}"))?) }
    });
    let config = bench.config("client").build()?;
    let client = bench.connect_with(&server.url(), config, answers).await?;
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    server.cut();
    while client.stats().connections < 2 {
        let delivery = client.publish("a", QoS::AtLeastOnce, "x").await?;
        delivery.await?;
    }
    assert!(asked.load(Ordering::SeqCst) >= 2);
    server.assert_no_violations();
    Ok(())
}

async fn no_credentials(bench: &Bench<'_>) -> Result {
    let server = bench.server()?;
    let answers = Answers::new()
        .credentials(|_: Endpoint| async { Err::<Credentials, _>("the vault is closed") });
    let config = bench.config("client").build()?;
    let error = bench.connect_with(&server.url(), config, answers).await;
    let Err(ConnectError::Connection(error)) = error else {
        panic!("connected")
    };
    let ConnectionError::Credentials { cause, .. } = *error else {
        panic!("{error:?}")
    };
    assert_eq!(cause, Cause::Other("the vault is closed".into()));
    Ok(())
}

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

/// An authenticator whose step computes until it is told that somebody else got on meanwhile.
#[derive(Debug)]
pub struct Visitor(std::sync::mpsc::Receiver<()>);

impl Authenticator for Visitor {
    fn method(&self) -> &str {
        "CHALLENGE"
    }
    fn begin(&mut self, _: bool) -> std::result::Result<AuthAnswer, AuthError> {
        Ok(AuthAnswer::default())
    }
    fn challenge(&mut self, _: AuthInput<'_>) -> std::result::Result<AuthAnswer, AuthError> {
        match self.0.recv_timeout(Duration::from_secs(60)) {
            Ok(()) => Ok("me".into()),
            Err(error) => Err(AuthError::Failed(error.to_string())),
        }
    }
    fn verify(&mut self, input: AuthInput<'_>) -> std::result::Result<(), AuthError> {
        match input.data() {
            Some(b"welcome") => Ok(()),
            _ => Err(AuthError::Signature),
        }
    }
}

async fn authenticator(bench: &Bench<'_>) -> Result {
    let server = bench.server()?;
    server.with(|broker, _| broker.set_authenticator(Box::new(Doorman)));
    let (tell, told) = std::sync::mpsc::channel();
    let answers = bench.authenticator(Visitor(told));
    let asked = bench
        .config("client")
        .authentication_method("CHALLENGE")
        .build()?;
    let connecting = bench.connect_with(&server.url(), asked, answers);
    // Another client of the same runtime connects and is served while the first one's step computes.
    let other = async {
        let other = bench.server()?;
        let client = bench
            .connect(&other.url(), bench.config("other").build()?)
            .await?;
        client.publish("a", QoS::AtLeastOnce, "x").await?.await?;
        tell.send(())?;
        Result::Ok(())
    };
    let (client, other) = both(connecting, other).await;
    other?;
    client?.publish("a", QoS::AtLeastOnce, "x").await?.await?;
    server.assert_no_violations();
    Ok(())
}
