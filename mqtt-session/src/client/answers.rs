//! What the application is asked while the session connects, and may take its time to answer.

use std::any::Any;
use std::boxed::Box;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::string::{String, ToString};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::vec::Vec;

use crate::auth::{AuthAnswer, AuthError, AuthStep, Authenticator};
use crate::{Action, Attempt, Cause, Credentials, Endpoint};

use super::port::Report;

type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;
/// A step of an authenticator that waits to be run: see [`Answers::authenticator_on`].
pub type AuthTask = Box<dyn FnOnce() -> Result<AuthAnswer, AuthError> + Send>;

type AskCredentials = Box<dyn FnMut(Endpoint) -> Answering + Send>;
type AskAuth = Box<dyn FnMut(AuthStep) -> Answering + Send>;

/// Functions of the application that answer what the session asks for, now or later.
///
/// They are called by the driver, one at a time and never under a lock, and give futures that the driver polls beside its other
/// work: so they must not block, but may wait for a file, a token server or another task. A future is dropped when its time is over
/// ([`Timeouts`](crate::Timeouts)) or when nobody needs the answer any more. A panic in one counts as a failed answer.
///
/// ```
/// # use mqtt_session::{client::Answers, Credentials, Endpoint};
/// # async fn fetch_token(server: &Endpoint) -> Result<String, std::io::Error> { Ok(String::new()) }
/// let answers = Answers::new().credentials(|server| async move {
///     let token = fetch_token(&server).await?;
///     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Credentials::new("sensor-7", token)?)
/// });
/// ```
#[derive(Default)]
#[must_use = "it is to be given to the adapter's `build_with`"]
pub struct Answers {
    credentials: Option<AskCredentials>,
    authentication: Option<AskAuth>,
    /// Answers that are awaited. A third kind of question is another callback above, another variant of [`Answer`], and another
    /// arm in [`Answers::ask`] and [`Answer::report`].
    awaited: Vec<Awaited>,
}

struct Awaited {
    attempt: Attempt,
    answering: Answering,
    /// What counts as answered where the callback panics.
    failed: fn(String) -> Answer,
}

/// What a callback has answered.
enum Answer {
    Credentials(Result<Credentials, Cause>),
    Auth(Result<AuthAnswer, AuthError>),
}

impl Answers {
    /// Nothing is asked.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives user name and password before each attempt at a server, which is named. An error fails the attempt, and the next one
    /// follows as after any failure.
    pub fn credentials<F, A, E>(mut self, mut ask: F) -> Self
    where
        F: FnMut(Endpoint) -> A + Send + 'static,
        A: Future<Output = Result<Credentials, E>> + Send + 'static,
        E: ToString,
    {
        self.credentials = Some(Box::new(move |server| {
            let answer = ask(server);
            Box::pin(async move {
                let given = answer.await;
                Answer::Credentials(given.map_err(|error| Cause::Other(error.to_string())))
            })
        }));
        self
    }

    /// Takes the steps of the method that [`ConfigBuilder::authentication_method`](crate::ConfigBuilder::authentication_method) names; nothing is
    /// asked where that names none. An error ends the connection; see [`AuthError`] for which of them are tried again.
    ///
    /// Steps come one after the other, each when the one before it is answered or given up.
    pub fn authentication<F, A>(mut self, mut ask: F) -> Self
    where
        F: FnMut(AuthStep) -> A + Send + 'static,
        A: Future<Output = Result<AuthAnswer, AuthError>> + Send + 'static,
    {
        self.authentication = Some(Box::new(move |step| {
            let answer = ask(step);
            Box::pin(async move { Answer::Auth(answer.await) })
        }));
        self
    }

    /// The same by an [`Authenticator`], whose steps run within the driver: everything else that it does waits for them. That is right for
    /// methods that compute little; an adapter may have a way to run them on a thread.
    pub fn authenticator(self, mut authenticator: impl Authenticator + Send + 'static) -> Self {
        self.authentication(move |step| std::future::ready(authenticator.answer(&step)))
    }

    /// The same by an [`Authenticator`] that may compute for long: `run` runs each step where that holds nobody up, such as on the runtime's
    /// threads for blocking work. Adapters have a function that does.
    ///
    /// A step that is given up computes to its end; the next one waits for that.
    pub fn authenticator_on<A>(
        self,
        authenticator: impl Authenticator + Send + 'static,
        mut run: impl FnMut(AuthTask) -> A + Send + 'static,
    ) -> Self
    where
        A: Future<Output = Result<AuthAnswer, AuthError>> + Send + 'static,
    {
        let authenticator = Arc::new(Mutex::new(authenticator));
        self.authentication(move |step| {
            let authenticator = Arc::clone(&authenticator);
            run(Box::new(move || {
                // After a panic the next exchange begins from the beginning.
                let mut authenticator =
                    authenticator.lock().unwrap_or_else(PoisonError::into_inner);
                authenticator.answer(&step)
            }))
        })
    }

    /// Whether the session shall ask for credentials.
    pub(super) const fn gives_credentials(&self) -> bool {
        self.credentials.is_some()
    }

    /// Whether there is any function.
    pub(super) const fn has_any(&self) -> bool {
        self.credentials.is_some() || self.authentication.is_some()
    }

    /// Whether an action is for the application.
    pub(super) const fn concerns(action: &Action) -> bool {
        matches!(
            action,
            Action::Credentials { .. } | Action::Authenticate { .. }
        )
    }

    /// Takes out what is asked of the application. The rest is for the driver, and what is cancelled may be for both.
    pub(super) fn ask(&mut self, actions: &mut Vec<Action>, reports: &mut Vec<Report>) {
        actions.retain_mut(|action| {
            match action {
                Action::Credentials { attempt, server } => {
                    let (attempt, server) = (*attempt, server.clone());
                    let ask = self.credentials.as_mut();
                    let begun = begin(attempt, ask, server, Answer::no_credentials);
                    begun.map_or_else(|report| reports.push(report), |a| self.awaited.push(a));
                    return false;
                }
                Action::Authenticate { attempt, step } => {
                    let (attempt, step) = (*attempt, step.clone());
                    let ask = self.authentication.as_mut();
                    let begun = begin(attempt, ask, step, Answer::not_authenticated);
                    begun.map_or_else(|report| reports.push(report), |a| self.awaited.push(a));
                    return false;
                }
                Action::Cancel { attempt } => {
                    self.awaited.retain(|awaited| awaited.attempt != *attempt);
                }
                _ => {}
            }
            true
        });
    }

    /// Polls what is awaited; what is there is reported.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, reports: &mut Vec<Report>) {
        self.awaited.retain_mut(|awaited| {
            let polled = catch_unwind(AssertUnwindSafe(|| {
                awaited.answering.as_mut().poll(context)
            }));
            let answer = match polled {
                Ok(Poll::Pending) => return true,
                Ok(Poll::Ready(answer)) => answer,
                Err(panic) => (awaited.failed)(panicked(&*panic)),
            };
            reports.push(answer.report(awaited.attempt));
            false
        });
    }
}

/// Asks the application. The future is awaited, or it is answered already: there is nobody to ask, or asking panicked.
fn begin<Q>(
    attempt: Attempt,
    ask: Option<&mut Box<dyn FnMut(Q) -> Answering + Send>>,
    question: Q,
    failed: fn(String) -> Answer,
) -> Result<Awaited, Report> {
    let Some(ask) = ask else {
        return Err(failed("the application gives none".to_string()).report(attempt));
    };
    match catch_unwind(AssertUnwindSafe(|| ask(question))) {
        Ok(answering) => Ok(Awaited {
            attempt,
            answering,
            failed,
        }),
        Err(panic) => Err(failed(panicked(&*panic)).report(attempt)),
    }
}

impl Answer {
    fn no_credentials(words: String) -> Self {
        Self::Credentials(Err(Cause::Other(words)))
    }

    fn not_authenticated(words: String) -> Self {
        Self::Auth(Err(AuthError::Failed(words)))
    }

    fn report(self, attempt: Attempt) -> Report {
        match self {
            Self::Credentials(given) => Report::Credentials(attempt, given),
            Self::Auth(answer) => Report::Auth(attempt, answer),
        }
    }
}

fn panicked(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<&str>().copied().or_else(|| {
        panic
            .downcast_ref::<std::string::String>()
            .map(|words| &**words)
    });
    std::format!("the callback panicked: {}", words.unwrap_or("no message"))
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers")
            .field("credentials", &self.credentials.is_some())
            .field("authentication", &self.authentication.is_some())
            .field("awaited", &self.awaited.len())
            .finish()
    }
}
