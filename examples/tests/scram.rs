//! SCRAM-SHA-256 over a real socket, against a broker that was written by others.

#![allow(clippy::unwrap_used, reason = "in a test a panic is a failure")]

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use mqtt_examples::embedded_broker::EmbeddedBroker;
use mqtt_tokio::auth::{AuthError, AuthStep, Authenticator, Mechanism};
use mqtt_tokio::{
    Client, Config, ConnectError, ConnectionError, QoS, ReasonCode, authenticator, connect_with,
    scram,
};
use mqtt5::broker::auth_mechanisms::generate_scram_credential_line_with_iterations;

async fn soon<T>(future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, future).await.expect("in time")
}

/// A broker that knows one user.
async fn broker(test: &str, iterations: u32) -> EmbeddedBroker {
    let line = generate_scram_credential_line_with_iterations("sensor-7", "pencil", iterations);
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("scram-{test}"));
    std::fs::write(&file, line.unwrap()).unwrap();
    EmbeddedBroker::start_with_scram(file).await.unwrap()
}

async fn connect(
    broker: &EmbeddedBroker,
    password: &str,
    iterations: Option<u32>,
) -> Result<Client, ConnectError> {
    let mut scram = scram(Mechanism::Sha256, "sensor-7", password).unwrap();
    if let Some(max) = iterations {
        scram = scram.with_iterations(1..=max);
    }
    let config = Config::builder("sensor-7").authentication_method(scram.method());
    let config = config.build().unwrap();
    soon(connect_with(&broker.url(), config, authenticator(scram))).await
}

fn error(connected: Result<Client, ConnectError>) -> ConnectionError {
    match connected {
        Err(ConnectError::Connection(error)) => *error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn both_sides_prove_the_password_at_connect_and_again_while_messages_flow() {
    let broker = broker("proves", 4096).await;
    let client = connect(&broker, "pencil", None).await.unwrap();
    let mut messages = soon(client.subscribe("a", QoS::AtLeastOnce)).await.unwrap();
    for round in 0..3 {
        let (reauthenticated, delivered) = tokio::join!(soon(client.reauthenticate()), async {
            let delivery = client
                .publish("a", QoS::AtLeastOnce, "flows")
                .await
                .unwrap();
            soon(delivery).await
        });
        assert_eq!(reauthenticated, Ok(()), "{round}");
        delivered.unwrap();
        assert_eq!(soon(messages.next()).await.unwrap().payload(), b"flows");
    }
    assert_eq!(client.stats().connections, 1);
    soon(client.disconnect(Duration::from_secs(1))).await;
    broker.stop().await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let broker = broker("wrong", 4096).await;
    let error = error(connect(&broker, "pen", None).await);
    let not_authorized = ReasonCode::NOT_AUTHORIZED;
    assert!(
        matches!(error, ConnectionError::Refused { reason, .. } if reason == not_authorized),
        "{error}"
    );
}

#[tokio::test]
async fn iterations_beyond_the_bounds_are_not_computed() {
    for (test, iterations, allowed) in [("few", 1, None), ("many", 5000, Some(4999))] {
        let broker = broker(test, iterations).await;
        let error = error(connect(&broker, "pencil", allowed).await);
        let refused = matches!(
            error,
            ConnectionError::Authentication {
                error: AuthError::Iterations { iterations: i, .. },
                ..
            } if i == u64::from(iterations)
        );
        assert!(refused, "{error}");
    }
}

#[tokio::test]
async fn a_re_authentication_with_another_password_ends_the_connection() {
    let broker = broker("again", 4096).await;
    let mut right = scram(Mechanism::Sha256, "sensor-7", "pencil").unwrap();
    let mut wrong = scram(Mechanism::Sha256, "sensor-7", "pen").unwrap();
    let config = Config::builder("sensor-7").authentication_method(right.method());
    let mut again = false;
    let answers = mqtt_tokio::Answers::new().authentication(move |step| {
        again |= matches!(step, AuthStep::Begin { again: true, .. });
        let scram = if again { &mut wrong } else { &mut right };
        std::future::ready(scram.answer(&step))
    });
    let config = config.build().unwrap();
    let client = soon(connect_with(&broker.url(), config, answers))
        .await
        .unwrap();
    assert!(soon(client.reauthenticate()).await.is_err());
    let closed = soon(client.closed()).await;
    let error = closed.error.unwrap();
    let not_authorized = ReasonCode::NOT_AUTHORIZED;
    assert!(
        matches!(*error, ConnectionError::Disconnected { reason, .. } if reason == not_authorized),
        "{error}"
    );
}
