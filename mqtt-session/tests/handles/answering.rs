//! What the application is asked while the session connects, and re-authentication.

use std::future::ready as at_once;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use mqtt_session::auth::{AuthAnswer, AuthError, AuthInput, AuthStep, Authenticator};
use mqtt_session::client::{Answers, AuthTask, ClientEvent, Events};
use mqtt_session::proto::{Disconnect, Packet, ReasonCode, Version};
use mqtt_session::{Cause, ConnectionError, Credentials, Phase, ReauthenticateError, Timeouts};

use crate::driver::Driver;
use crate::pair::config;
use crate::pair::exchange::{
    METHOD, authenticating, challenge, connack, data_of, success, with_data,
};
use crate::pair::hand::{poll, ready};
use crate::woken::Task;

/// A future whose value comes when the test says so.
struct Later<T>(Arc<Mutex<(Option<T>, Option<Waker>)>>);

impl<T> Clone for Later<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Later<T> {
    fn new() -> Self {
        Self(Arc::new(Mutex::new((None, None))))
    }

    fn give(&self, value: T) {
        let mut inner = self.0.lock().unwrap();
        inner.0 = Some(value);
        let waker = inner.1.take();
        drop(inner);
        waker.unwrap().wake();
    }

    /// How many others there are of it.
    fn others(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

impl<T> Future for Later<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut inner = self.0.lock().unwrap();
        inner.1 = Some(context.waker().clone());
        inner.0.take().map_or(Poll::Pending, Poll::Ready)
    }
}

type Asked<Q> = Arc<Mutex<Vec<Q>>>;

fn lost(events: &mut Events) -> Option<(ConnectionError, Option<Duration>)> {
    match poll(pin!(events.next())) {
        Poll::Ready(Some(ClientEvent::Lost { error, retry_in })) => Some((error, retry_in)),
        Poll::Pending => None,
        other => panic!("{other:?}"),
    }
}

/// Connects with whatever answers there are, to a server that is satisfied with the first.
pub fn connect(driver: &mut Driver) {
    driver.client.start();
    driver.open();
    driver.say(&connack(with_data("welcome")));
    driver.settle();
    assert_eq!(driver.client.phase(), Phase::Connected);
    driver.packets();
}

#[test]
fn credentials_are_asked_for_before_each_attempt_and_may_take_their_time() {
    let (asked, later) = (Asked::default(), Later::new());
    let answers = Answers::new().credentials({
        let (asked, later) = (Arc::clone(&asked), later.clone());
        move |server| {
            asked.lock().unwrap().push(server.host().to_owned());
            later.clone()
        }
    });
    let mut driver = Driver::answering(config(Version::V5), answers);
    driver.settle();
    assert_eq!(*asked.lock().unwrap(), [""; 0]);
    driver.client.start();
    for attempt in 1..=2 {
        driver.settle();
        assert_eq!(*asked.lock().unwrap(), ["192.0.2.1"].repeat(attempt));
        assert!(driver.actions.is_empty(), "nothing is opened yet");
        let words = format!("secret {attempt}");
        later.give(Ok::<_, String>(Credentials::new("me", &words).unwrap()));
        assert_eq!(driver.task.woken(), 1);
        driver.settle();
        driver.open();
        let packets = driver.packets();
        let [Packet::Connect(connect)] = packets.as_slice() else {
            panic!("{packets:?}")
        };
        assert_eq!(
            connect.user_name.as_ref().map(|name| name.as_str()),
            Some("me")
        );
        assert_eq!(connect.password.as_deref(), Some(words.as_bytes()));
        driver.lose();
        driver.advance(Duration::from_secs(3600));
    }
}

#[test]
fn an_error_instead_of_credentials_fails_the_attempt_in_its_words() {
    let mut times = 0;
    let answers = Answers::new().credentials(move |_| {
        times += 1;
        at_once(Err::<Credentials, _>(format!("no token, {times}")))
    });
    let mut driver = Driver::answering(config(Version::V5), answers);
    let mut events = driver.client.events();
    driver.client.start();
    for attempt in 1..=2 {
        driver.settle();
        let (error, retry_in) = lost(&mut events).unwrap();
        let ConnectionError::Credentials { cause, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!(cause, Cause::Other(format!("no token, {attempt}")));
        driver.advance(retry_in.unwrap());
    }
}

#[test]
fn a_callback_that_panics_has_answered_with_its_words() {
    fn panics(words: usize) -> ! {
        resume_unwind(match words {
            0 => Box::new("text"),
            1 => Box::new("made text".to_owned()),
            _ => Box::new(7),
        })
    }
    let expected = [
        "the callback panicked: text",
        "the callback panicked: made text",
        "the callback panicked: no message",
    ];
    for in_future in [false, true] {
        let mut words = 0..3;
        let answers = Answers::new().credentials(move |_| {
            let words = words.next().unwrap();
            if !in_future {
                panics(words);
            }
            async move { panics(words) as Result<Credentials, String> }
        });
        let mut driver = Driver::answering(config(Version::V5), answers);
        let mut events = driver.client.events();
        driver.client.start();
        for expected in expected {
            driver.settle();
            let (error, retry_in) = lost(&mut events).unwrap();
            let ConnectionError::Credentials { cause, .. } = error else {
                panic!("{error:?}")
            };
            assert_eq!(cause, Cause::Other(expected.to_owned()));
            driver.advance(retry_in.unwrap());
        }
        let mut words = 0..3;
        let answers = Answers::new().authentication(move |_| {
            let words = words.next().unwrap();
            if !in_future {
                panics(words);
            }
            async move { panics(words) as Result<AuthAnswer, AuthError> }
        });
        let mut driver = Driver::answering(authenticating(), answers);
        let mut events = driver.client.events();
        driver.client.start();
        driver.open();
        let (error, _) = lost(&mut events).unwrap();
        let ConnectionError::Authentication { error, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!(error, AuthError::Failed(expected[0].to_owned()));
    }
}

#[test]
fn an_answer_that_takes_too_long_is_dropped() {
    let later = Later::<Result<Credentials, String>>::new();
    let given = later.clone();
    let answers = Answers::new().credentials(move |_| given.clone());
    let mut timeouts = Timeouts::default();
    timeouts.credentials = Duration::from_secs(10);
    let mut driver = Driver::answering(config(Version::V5).timeouts(timeouts), answers);
    let mut events = driver.client.events();
    assert_eq!(later.others(), 1, "that which is given out");
    driver.client.start();
    driver.settle();
    assert_eq!(later.others(), 2);
    driver.advance(Duration::from_secs(9));
    driver.settle();
    assert_eq!((later.others(), lost(&mut events)), (2, None));
    driver.advance(Duration::from_secs(1));
    driver.settle();
    let (error, retry_in) = lost(&mut events).unwrap();
    assert!(matches!(error, ConnectionError::Credentials { .. }));
    assert_eq!(later.others(), 1);
    // Nor does one wait that nobody needs any more.
    driver.advance(retry_in.unwrap());
    driver.settle();
    assert_eq!(later.others(), 2);
    ready(driver.client.disconnect(Duration::ZERO));
    driver.settle();
    assert_eq!(later.others(), 1);
}

/// Whoever is cancelled, the others are awaited: here the server ends the connection while a step of an authentication is under way.
#[test]
fn a_step_of_an_authentication_is_dropped_with_its_connection() {
    let later = Later::<Result<AuthAnswer, AuthError>>::new();
    let given = later.clone();
    let answers = Answers::new().authentication(move |_| given.clone());
    let mut driver = Driver::answering(authenticating(), answers);
    driver.client.start();
    driver.open();
    assert_eq!(later.others(), 2);
    driver.lose();
    driver.settle();
    assert_eq!(later.others(), 1);
}

#[test]
fn who_gives_no_answers_fails_what_is_asked_for() {
    let mut driver = Driver::new(config(Version::V5).ask_for_credentials(true));
    let mut events = driver.client.events();
    driver.client.start();
    driver.settle();
    let (error, _) = lost(&mut events).unwrap();
    assert!(
        error.to_string().ends_with(": the application gives none"),
        "{error}"
    );

    let other = || Answers::new().credentials(|_| at_once(Ok::<_, String>(Credentials::none())));
    for answers in [Answers::new(), other()] {
        let mut driver = Driver::answering(authenticating(), answers);
        let mut events = driver.client.events();
        driver.client.start();
        driver.settle();
        driver.open();
        let (error, _) = lost(&mut events).unwrap();
        let ConnectionError::Authentication { error, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!(
            error,
            AuthError::Failed("the application gives none".to_owned())
        );
    }
}

/// Says what it is asked for.
struct Echo(Asked<String>);

impl Echo {
    fn say(&self, what: String) -> Result<AuthAnswer, AuthError> {
        self.0.lock().unwrap().push(what.clone());
        Ok(AuthAnswer::new(what))
    }
}

impl Authenticator for Echo {
    fn method(&self) -> &str {
        METHOD
    }

    fn begin(&mut self, again: bool) -> Result<AuthAnswer, AuthError> {
        self.say(format!("begin, again: {again}"))
    }

    fn challenge(&mut self, input: AuthInput<'_>) -> Result<AuthAnswer, AuthError> {
        let data = input.data().unwrap();
        if data == b"panic" {
            resume_unwind(Box::new("asked to"));
        }
        self.say(String::from_utf8(data.to_vec()).unwrap())
    }

    fn verify(&mut self, input: AuthInput<'_>) -> Result<(), AuthError> {
        let data = input.data().unwrap_or_default().to_vec();
        self.say(String::from_utf8(data).unwrap()).map(|_| ())
    }
}

fn said(driver: &mut Driver) -> Vec<String> {
    let packets = driver.packets();
    let data = packets.iter().map(|packet| match packet {
        Packet::Connect(connect) => data_of(connect.properties.view()).1.unwrap().to_owned(),
        Packet::Auth(auth) => data_of(auth.properties.view()).1.unwrap().to_owned(),
        other => panic!("{other:?}"),
    });
    data.collect()
}

#[test]
fn an_authenticator_takes_each_step_within_the_driver() {
    let asked = Asked::default();
    let answers = Answers::new().authenticator(Echo(Arc::clone(&asked)));
    let mut driver = Driver::answering(authenticating(), answers);
    driver.client.start();
    driver.open();
    assert_eq!(said(&mut driver), ["begin, again: false"]);
    driver.say(&challenge("who?"));
    assert_eq!(said(&mut driver), ["who?"]);
    driver.say(&connack(with_data("welcome")));
    driver.settle();
    assert_eq!(driver.client.phase(), Phase::Connected);
    assert_eq!(
        *asked.lock().unwrap(),
        ["begin, again: false", "who?", "welcome"]
    );
}

#[test]
fn an_authenticator_elsewhere_is_waited_for_and_goes_on_after_a_panic() {
    let (asked, tasks) = (Asked::default(), Asked::<(AuthTask, Later<_>)>::default());
    let answers = Answers::new().authenticator_on(Echo(Arc::clone(&asked)), {
        let tasks = Arc::clone(&tasks);
        move |task| {
            let later = Later::new();
            tasks.lock().unwrap().push((task, later.clone()));
            later
        }
    });
    let run = || {
        let (task, later) = tasks.lock().unwrap().pop().unwrap();
        let failed = || Err(AuthError::Unavailable("it panicked".to_owned()));
        // As on a thread of its own, where a panic ends the thread alone.
        let answer = catch_unwind(AssertUnwindSafe(task)).unwrap_or_else(|_| failed());
        later.give(answer);
    };
    let mut driver = Driver::answering(authenticating(), answers);
    driver.client.start();
    for data in ["panic", "who?"] {
        driver.open();
        assert_eq!(said(&mut driver), [""; 0], "it computes");
        run();
        assert_eq!(driver.task.woken(), 1);
        assert_eq!(said(&mut driver), ["begin, again: false"]);
        driver.say(&challenge(data));
        driver.settle();
        run();
        assert_eq!(driver.task.woken(), 1);
        if data == "panic" {
            driver.settle();
            driver.lose();
            driver.actions.clear();
            driver.advance(Duration::from_secs(3600));
            driver.packets();
        }
    }
    assert_eq!(said(&mut driver), ["who?"]);
}

#[test]
fn answers_show_what_they_are_for() {
    let answers = Answers::new().credentials(|_| at_once(Ok::<_, String>(Credentials::none())));
    assert_eq!(
        format!("{answers:?}"),
        "Answers { credentials: true, authentication: false, awaited: 0 }"
    );
}

fn authenticated() -> Driver {
    let answers = Answers::new().authentication(|step: AuthStep| {
        at_once(Ok(AuthAnswer::new(match step {
            AuthStep::Begin { again: true, .. } => "me again",
            AuthStep::Challenge { .. } => "it is me",
            _ => "me",
        })))
    });
    let mut driver = Driver::answering(authenticating(), answers);
    connect(&mut driver);
    driver
}

#[test]
fn a_re_authentication_resolves_when_both_sides_are_satisfied() {
    let mut driver = authenticated();
    let (client, task) = (driver.client.clone(), Task::new());
    for _ in 0..2 {
        let mut again = pin!(client.reauthenticate());
        assert!(task.poll(again.as_mut()).is_pending());
        let other = ready(client.reauthenticate());
        assert_eq!(other, Err(ReauthenticateError::InProgress));
        assert_eq!(said(&mut driver), ["me again"]);
        driver.say(&challenge("who?"));
        assert_eq!(said(&mut driver), ["it is me"]);
        assert_eq!(task.woken(), 0);
        assert!(task.poll(again.as_mut()).is_pending());
        driver.say(&success("welcome"));
        driver.settle();
        assert_eq!(task.woken(), 1);
        assert_eq!(task.poll(again.as_mut()), Poll::Ready(Ok(())));
        assert!(!task.is_awaited());
    }
}

#[test]
fn a_re_authentication_that_can_not_be_is_refused_at_once() {
    let driver = Driver::connected(config(Version::V5));
    let error = ready(driver.client.reauthenticate()).unwrap_err();
    assert_eq!(error, ReauthenticateError::NoMethod);
    let mut driver = authenticated();
    let client = driver.client.clone();
    driver.lose();
    let error = ready(client.reauthenticate()).unwrap_err();
    assert_eq!(error, ReauthenticateError::NotConnected);
    drop(driver);
    let error = ready(client.reauthenticate()).unwrap_err();
    assert_eq!(error, ReauthenticateError::Closed);
}

#[test]
fn a_re_authentication_ends_with_its_connection_or_its_client() {
    let mut driver = authenticated();
    let (client, task) = (driver.client.clone(), Task::new());
    let mut again = pin!(client.reauthenticate());
    assert!(task.poll(again.as_mut()).is_pending());
    driver.settle();
    driver.lose();
    assert_eq!(task.woken(), 1);
    let Poll::Ready(Err(ReauthenticateError::Lost(error))) = task.poll(again.as_mut()) else {
        panic!("its connection is lost")
    };
    assert!(matches!(*error, ConnectionError::Closed { .. }));

    let mut driver = authenticated();
    let client = driver.client.clone();
    let mut again = pin!(client.reauthenticate());
    assert!(task.poll(again.as_mut()).is_pending());
    driver.settle();
    drop(driver);
    assert_eq!(task.woken(), 1);
    // Its connection has ended, too.
    assert!(matches!(task.poll(again.as_mut()), Poll::Ready(Err(_))));
}

/// Polls a future that is not done, or drops it.
fn drop_at<F: Future>(now: bool, future: &mut Option<Pin<Box<F>>>, task: &Task) {
    if now {
        *future = None;
        assert!(!task.is_awaited());
    }
    if let Some(future) = future {
        assert!(task.poll(future.as_mut()).is_pending());
    }
}

/// It goes its way: nothing of it is left behind, and the next one can begin when it is done.
#[test]
fn a_re_authentication_goes_its_way_at_whichever_poll_its_future_is_dropped() {
    // Where the server says what: challenge, success, or that it refuses.
    for refused in [false, true] {
        for dropped_at in 0..=5 {
            let mut driver = authenticated();
            let (client, task) = (driver.client.clone(), Task::new());
            let mut events = client.events();
            let mut future = Some(Box::pin(client.reauthenticate()));
            let mut polls = 0;
            let mut step = |future: &mut Option<Pin<Box<_>>>| {
                drop_at(polls == dropped_at, future, &task);
                polls += 1;
            };
            step(&mut future);
            if dropped_at == 0 {
                // It was never polled, and so never began.
                assert_eq!(said(&mut driver), [""; 0]);
                assert!(poll(pin!(client.reauthenticate())).is_pending());
                continue;
            }
            let other = ready(client.reauthenticate());
            assert_eq!(other, Err(ReauthenticateError::InProgress));
            step(&mut future);
            assert_eq!(said(&mut driver), ["me again"]);
            step(&mut future);
            driver.say(&challenge("who?"));
            assert_eq!(said(&mut driver), ["it is me"]);
            step(&mut future);
            // Messages flow, and others wait for what they wait.
            let qos = mqtt_session::proto::QoS::AtMostOnce;
            let sent = ready(client.publish("a", qos, "x")).unwrap();
            assert_eq!(driver.packets().len(), 1);
            assert!(ready(sent).is_ok());
            step(&mut future);
            let last = if refused {
                Packet::Disconnect(Disconnect::new(ReasonCode::NOT_AUTHORIZED))
            } else {
                success("welcome")
            };
            driver.say(&last);
            driver.settle();
            let woken = task.woken();
            assert_eq!(woken, usize::from(future.is_some()), "{dropped_at}");
            // Ended, and its future never asked what became of it.
            drop(future);
            assert!(!task.is_awaited());
            if refused {
                let (error, retry_in) = lost(&mut events).unwrap();
                assert!(matches!(error, ConnectionError::Disconnected { .. }));
                assert_eq!(retry_in, None);
                continue;
            }
            assert_eq!(client.phase(), Phase::Connected);
            assert!(poll(pin!(events.next())).is_pending());
            let mut next = pin!(client.reauthenticate());
            assert!(task.poll(next.as_mut()).is_pending());
            assert_eq!(said(&mut driver), ["me again"]);
            driver.say(&success("welcome"));
            driver.settle();
            assert_eq!(task.poll(next.as_mut()), Poll::Ready(Ok(())));
        }
    }
}
