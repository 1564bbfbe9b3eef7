//! Credentials from a callback of the application, before each attempt.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mqtt_tokio::{
    Answers, Cause, ConnectError, ConnectionError, Credentials, Phase, Timeouts, build_with,
    connect_with,
};
use server::{Result, Server, config, soon};
use tokio::sync::Semaphore;

/// What a callback may fail with.
type Given = std::result::Result<Credentials, Box<dyn std::error::Error + Send + Sync>>;

fn credentials() -> Given {
    Ok(Credentials::new("user", "token")?)
}

async fn failure(url: &str, answers: Answers) -> Result<ConnectionError> {
    let mut timeouts = Timeouts::default();
    timeouts.credentials = Duration::from_millis(50);
    let config = config("client").timeouts(timeouts).build()?;
    match soon(connect_with(url, config, answers)).await {
        Err(ConnectError::Connection(error)) => Ok(*error),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_callback_that_waits_is_awaited_and_called_again_for_each_attempt() -> Result {
    let server = Server::start().await?;
    let calls = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new(Semaphore::new(0));
    let (count, wait) = (Arc::clone(&calls), Arc::clone(&gate));
    let answers = Answers::new().credentials(move |endpoint| {
        count.fetch_add(1, Ordering::SeqCst);
        let wait = Arc::clone(&wait);
        async move {
            assert_eq!(endpoint.host(), "127.0.0.1");
            wait.acquire().await?.forget();
            credentials()
        }
    });
    let (client, driver) = build_with(&server.url, config("client").build()?, answers)?;
    client.start();
    tokio::spawn(driver);
    while calls.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    // The client is usable meanwhile: nothing is locked.
    assert_eq!(client.phase(), Phase::Connecting);
    assert_eq!(server.received("CONNECT"), 0);
    gate.add_permits(1);
    soon(client.connected()).await?;
    assert_eq!(calls.load(Ordering::SeqCst), 1);

    gate.add_permits(1);
    server.cut();
    server
        .until("the client is back", |broker| {
            broker.connection_of("client").is_some() && calls.load(Ordering::SeqCst) == 2
        })
        .await;
    server.assert_no_violations();
    Ok(())
}

#[tokio::test]
async fn an_error_of_the_callback_fails_the_attempt_in_its_own_words() -> Result {
    let server = Server::start().await?;
    let answers =
        Answers::new().credentials(|_| async { Err::<Credentials, _>("the vault is sealed") });
    let error = failure(&server.url, answers).await?;
    let sealed = Cause::Other("the vault is sealed".into());
    assert!(matches!(&error, ConnectionError::Credentials { cause, .. } if *cause == sealed));
    assert_eq!(server.received("CONNECT"), 0);
    Ok(())
}

#[tokio::test]
async fn a_panic_of_the_callback_fails_the_attempt_and_not_the_driver() -> Result {
    let server = Server::start().await?;
    let at_once =
        Answers::new().credentials(|_| -> std::future::Ready<Given> { panic!("at once") });
    let later = Answers::new().credentials(|_| async {
        tokio::task::yield_now().await;
        if true {
            panic!("later");
        }
        credentials()
    });
    for (answers, when) in [(at_once, "at once"), (later, "later")] {
        let error = failure(&server.url, answers).await?;
        assert!(error.to_string().contains(when), "{error}");
        assert!(matches!(error, ConnectionError::Credentials { .. }));
    }
    Ok(())
}

#[tokio::test]
async fn a_callback_that_never_answers_is_dropped_when_its_time_is_over() -> Result {
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let server = Server::start().await?;
    let dropped = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&dropped);
    let answers = Answers::new().credentials(move |_| {
        let guard = Dropped(Arc::clone(&count));
        async move {
            std::future::pending::<()>().await;
            drop(guard);
            credentials()
        }
    });
    let error = failure(&server.url, answers).await?;
    assert!(matches!(
        error,
        ConnectionError::Credentials {
            cause: Cause::TimedOut,
            ..
        }
    ));
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    Ok(())
}
