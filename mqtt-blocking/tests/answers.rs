//! What the application is asked for: credentials before each attempt, and the steps of enhanced authentication.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod server;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use mqtt_blocking::auth::{AuthAnswer, AuthError, AuthInput, Authenticator};
use mqtt_blocking::{
    Answers, Cause, Config, ConnectError, ConnectionError, Credentials, Phase, QoS, ReasonCode,
    ReauthenticateError, Timeouts, WaitError, connect_with, start_with,
};
use mqtt_testkit::{AuthStep as Verdict, Authenticator as Judge, Broker, ConnId};
use server::{LONG, Result, Server, config, until};

const METHOD: &str = "CHALLENGE";

fn credentials() -> std::result::Result<Credentials, Box<dyn std::error::Error>> {
    Ok(Credentials::new("user", "token")?)
}

fn failure(server: &Server, config: Config, answers: Answers) -> Result<ConnectionError> {
    match connect_with(&server.url, config, answers) {
        Err(ConnectError::Connection(error)) => Ok(*error),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_callback_may_block_without_stopping_anything_and_is_called_for_each_attempt() -> Result {
    let server = Server::start()?;
    let calls = Arc::new(AtomicUsize::new(0));
    let (open, gate) = mpsc::channel::<()>();
    let count = Arc::clone(&calls);
    let answers = Answers::new().credentials(move |endpoint| {
        count.fetch_add(1, Ordering::SeqCst);
        assert_eq!(endpoint.host(), "127.0.0.1");
        gate.recv()?;
        credentials()
    });
    let client = start_with(&server.url, config("client").build()?, answers)?;
    until("it is asked", || calls.load(Ordering::SeqCst) == 1);
    // The driver goes on meanwhile: it takes the message of QoS 0 into the queue, and ends a wait in time.
    assert_eq!(client.phase(), Phase::Connecting);
    client.publish("a", QoS::AtLeastOnce, "x")?;
    assert!(client.connected_timeout(Duration::from_millis(10)).is_err());
    assert_eq!(server.received("CONNECT"), 0);
    open.send(())?;
    client.connected_timeout(LONG)?;

    open.send(())?;
    server.cut();
    server.until("the client is back", |broker| {
        broker.connection_of("client").is_some() && calls.load(Ordering::SeqCst) == 2
    });
    server.assert_no_violations();
    Ok(())
}

#[test]
fn an_error_of_the_callback_fails_the_attempt_in_its_own_words_and_a_panic_in_those() -> Result {
    let server = Server::start()?;
    let sealed = Answers::new().credentials(|_| Err::<Credentials, _>("the vault is sealed"));
    let panics = Answers::new().credentials(|_| {
        assert_eq!(1, 2, "the vault is open");
        credentials()
    });
    for (answers, words) in [
        (sealed, "the vault is sealed"),
        (panics, "the vault is open"),
    ] {
        let error = failure(&server, config("client").build()?, answers)?;
        assert!(
            matches!(error, ConnectionError::Credentials { .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains(words), "{error}");
    }
    assert_eq!(server.received("CONNECT"), 0);
    Ok(())
}

/// Threads of this process with the name of those that call the application.
fn errands() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read(task.unwrap().path().join("comm")).ok());
    names.filter(|name| name == b"mqtt-errand\n").count()
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "counts threads in /proc")]
fn a_callback_that_never_returns_holds_one_thread_however_often_it_is_asked() -> Result {
    let server = Server::start()?;
    let (open, gate) = mpsc::channel::<()>();
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let answers = Answers::new().credentials(move |_| {
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            let _ = gate.recv();
        }
        credentials()
    });
    let mut timeouts = Timeouts::default();
    timeouts.credentials = Duration::from_millis(20);
    let config = config("client").timeouts(timeouts).build()?;
    let client = start_with(&server.url, config, answers)?;
    let timed_out = client.events().take(5).filter(|event| {
        matches!(
            event,
            mqtt_blocking::ClientEvent::Lost {
                error: ConnectionError::Credentials {
                    cause: Cause::TimedOut,
                    ..
                },
                ..
            }
        )
    });
    assert_eq!(timed_out.count(), 5);
    assert_eq!(calls.load(Ordering::SeqCst), 1, "one call for all of them");
    // Other tests of this process have at most one each, and these end by themselves.
    until("nobody else asks", || errands() == 1);
    open.send(())?;
    client.connected_timeout(LONG)?;
    assert!(calls.load(Ordering::SeqCst) >= 2);
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

fn doorman() -> Result<Server> {
    let server = Server::start()?;
    server.with(|broker, _| broker.set_authenticator(Box::new(Doorman)));
    Ok(server)
}

/// Says this once its gate is open, and is content with a welcome.
struct Visitor {
    says: &'static str,
    gate: Arc<Mutex<()>>,
}

impl Visitor {
    fn new(says: &'static str) -> Self {
        let gate = Arc::default();
        Self { says, gate }
    }
}

impl Authenticator for Visitor {
    fn method(&self) -> &str {
        METHOD
    }
    fn begin(&mut self, _: bool) -> std::result::Result<AuthAnswer, AuthError> {
        Ok(AuthAnswer::default())
    }
    fn challenge(&mut self, input: AuthInput<'_>) -> std::result::Result<AuthAnswer, AuthError> {
        assert_eq!(input.data(), Some(&b"who?"[..]));
        drop(self.gate.lock());
        Ok(self.says.into())
    }
    fn verify(&mut self, input: AuthInput<'_>) -> std::result::Result<(), AuthError> {
        match input.data() {
            Some(b"welcome") => Ok(()),
            _ => Err(AuthError::Signature),
        }
    }
}

#[test]
fn steps_that_take_long_do_not_hold_up_the_driver() -> Result {
    let server = doorman()?;
    let config = config("client").authentication_method(METHOD).build()?;
    let visitor = Visitor::new("me");
    let gate = Arc::clone(&visitor.gate);
    let client = connect_with(&server.url, config, Answers::new().authenticator(visitor))?;
    let auths = |broker: &Broker| {
        let log = broker.log().iter();
        log.filter(|entry| entry.to_string().contains("AUTH"))
            .count()
    };
    // Those of the connection itself.
    let before = server.with(|broker, _| auths(broker));
    let shut = gate.lock().unwrap();
    let again = thread::spawn({
        let client = client.clone();
        move || client.reauthenticate()
    });
    server.until("it has begun", |broker| auths(broker) > before);
    // Messages flow meanwhile.
    for _ in 0..10 {
        client.publish("a", QoS::AtLeastOnce, "x")?.wait()?;
    }
    assert!(!again.is_finished());
    let in_progress = client.reauthenticate_timeout(LONG).unwrap_err();
    assert_eq!(
        in_progress,
        WaitError::Failed(ReauthenticateError::InProgress)
    );
    drop(shut);
    again.join().unwrap()?;
    assert_eq!(client.stats().connections, 1);

    // One that is given up goes its way.
    let shut = gate.lock().unwrap();
    let error = client
        .reauthenticate_timeout(Duration::from_millis(10))
        .unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    drop(shut);
    until("another may follow", || client.reauthenticate().is_ok());
    Ok(())
}

#[test]
fn what_goes_wrong_with_the_steps_is_what_connect_fails_with() -> Result {
    let server = doorman()?;
    let config = |auth| {
        let mut timeouts = Timeouts::default();
        timeouts.auth = auth;
        let config = config("client").authentication_method(METHOD);
        config.timeouts(timeouts).build()
    };
    let refused = Answers::new().authenticator(Visitor::new("you"));
    let error = failure(&server, config(LONG)?, refused)?;
    let not_authorized = ReasonCode::NOT_AUTHORIZED;
    assert!(
        matches!(error, ConnectionError::Refused { reason, .. } if reason == not_authorized),
        "{error}"
    );
    let visitor = Visitor::new("me");
    let gate = Arc::clone(&visitor.gate);
    let shut = gate.lock().unwrap();
    let silent = Answers::new().authenticator(visitor);
    let error = failure(&server, config(Duration::from_millis(20))?, silent)?;
    drop(shut);
    assert!(
        matches!(error, ConnectionError::AuthenticatorTimedOut { .. }),
        "{error}"
    );
    let panics = Answers::new().authentication(|_| panic!("on its thread"));
    let error = failure(&server, config(LONG)?, panics)?;
    let failed = matches!(
        &error,
        ConnectionError::Authentication {
            error: AuthError::Failed(words),
            ..
        } if words.contains("on its thread")
    );
    assert!(failed, "{error}");
    Ok(())
}

#[cfg(feature = "scram")]
#[test]
fn scram_draws_a_nonce_for_each_exchange() -> Result {
    use mqtt_blocking::auth::Mechanism;
    let mut scram = mqtt_blocking::scram(Mechanism::Sha256, "sensor-7", "pencil")?;
    assert_eq!(scram.method(), "SCRAM-SHA-256");
    let (first, second) = (scram.begin(false)?, scram.begin(false)?);
    assert!(first.data.is_some());
    assert_ne!(first.data, second.data);
    Ok(())
}
