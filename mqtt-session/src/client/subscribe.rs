//! Asking the server to begin or end a subscription.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::vec::Vec;

use mqtt_proto::{Properties, ReasonCode, SubscribeOptions, TopicError, TopicFilter};

use crate::error::access_hint;
use crate::{QueueId, SubscribeError, Token};

use super::closed::{Closed, TooLate};
use super::explain;
use super::shared::Shared;
use super::subscription::Subscription;

/// Why there is no subscription, or no end of one.
///
/// `{:?}` shows the same text as `{}`, for a `main` that ends with it; `{:#?}` shows the structure.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeFailed {
    /// The filter is no topic filter.
    #[error("topic filter: {0}")]
    Filter(#[from] TopicError),
    /// The request was not accepted, or could not be sent.
    #[error(transparent)]
    Request(#[from] SubscribeError),
    /// The server refused it.
    #[error("the server refused {filter}: {reason}{}", access_hint(*.reason))]
    Refused {
        /// The first filter that it refused.
        filter: TopicFilter,
        /// Why.
        reason: ReasonCode,
    },
    /// The session is closed, and why.
    #[error("{}", TooLate(.0))]
    Closed(Closed),
}

impl SubscribeFailed {
    /// Of a session that refuses a request, with what ended it where it is closed.
    fn of(shared: &Shared, error: SubscribeError) -> Self {
        let closed = match error {
            SubscribeError::Closed => shared.lock().closed.clone(),
            _ => None,
        };
        closed.map_or(Self::Request(error), Self::Closed)
    }
}

impl fmt::Debug for SubscribeFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return explain(self, f);
        }
        match self {
            Self::Filter(error) => f.debug_tuple("Filter").field(error).finish(),
            Self::Request(error) => f.debug_tuple("Request").field(error).finish(),
            Self::Refused { filter, reason } => f
                .debug_struct("Refused")
                .field("filter", filter)
                .field("reason", reason)
                .finish(),
            Self::Closed(closed) => f.debug_tuple("Closed").field(closed).finish(),
        }
    }
}

/// A [`TopicFilter`] is one already.
impl From<std::convert::Infallible> for SubscribeFailed {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

pub(super) async fn subscribe(
    shared: &Arc<Shared>,
    filters: Vec<(TopicFilter, SubscribeOptions)>,
    properties: Properties,
    replace: bool,
) -> Result<Subscription, SubscribeFailed> {
    let names: Vec<_> = filters.iter().map(|(filter, _)| filter.clone()).collect();
    let now = shared.now();
    let request = shared.run(|state| {
        // The session refuses by itself once it is closed; this is for one that its driver has left.
        if state.closed.is_some() {
            return Err(SubscribeError::Closed);
        }
        let session = state.connection.session_mut();
        let queue = session.open_queue();
        let accepted = if replace {
            session.replace_subscription(now, filters, properties, queue)
        } else {
            session.subscribe(now, filters, properties, queue)
        };
        match accepted {
            Ok(token) => {
                state.requests.watch(token);
                // It may have claimed what fills the inbox.
                session.answer_early();
                Ok(Request {
                    shared,
                    token: Some(token),
                    queue: Some(queue),
                    names: names.clone(),
                    granted: Vec::new(),
                })
            }
            Err(error) => {
                session.close_queue(now, queue);
                Err(error)
            }
        }
    });
    let mut request = request.map_err(|error| SubscribeFailed::of(shared, error))?;
    let codes = request.answer().await;
    let codes = codes.map_err(|error| SubscribeFailed::of(shared, error))?;
    if let Err(refused) = check(&names, &codes) {
        // All or nothing: those that were granted are undone.
        request.granted = granted(&names, &codes);
        return Err(refused);
    }
    let queue = request.queue.take().unwrap_or(QueueId::DEFAULT);
    let reader = shared.run(|state| state.open_reader(queue));
    Ok(Subscription::new(Arc::clone(shared), reader, names))
}

/// Without an answer.
pub(super) fn declare(
    shared: &Arc<Shared>,
    filters: Vec<(TopicFilter, SubscribeOptions)>,
    properties: Properties,
) -> Result<Subscription, SubscribeFailed> {
    let names = filters.iter().map(|(filter, _)| filter.clone()).collect();
    let now = shared.now();
    let reader = shared.run(|state| {
        if state.closed.is_some() {
            return Err(SubscribeError::Closed);
        }
        let session = state.connection.session_mut();
        let queue = session.open_queue();
        if let Err(error) = session.declare_subscription(now, filters, properties, queue) {
            session.close_queue(now, queue);
            return Err(error);
        }
        Ok(state.open_reader(queue))
    });
    let reader = reader.map_err(|error| SubscribeFailed::of(shared, error))?;
    Ok(Subscription::new(Arc::clone(shared), reader, names))
}

pub(super) async fn unsubscribe(
    shared: &Arc<Shared>,
    filters: Vec<TopicFilter>,
    properties: Properties,
) -> Result<(), SubscribeFailed> {
    let now = shared.now();
    let names = filters.clone();
    let request = shared.run(|state| {
        if state.closed.is_some() {
            return Err(SubscribeError::Closed);
        }
        let token = state
            .connection
            .session_mut()
            .unsubscribe(now, filters, properties)?;
        state.requests.watch(token);
        Ok(Request {
            shared,
            token: Some(token),
            queue: None,
            names: Vec::new(),
            granted: Vec::new(),
        })
    });
    let mut request = request.map_err(|error| SubscribeFailed::of(shared, error))?;
    let codes = request.answer().await;
    let codes = codes.map_err(|error| SubscribeFailed::of(shared, error))?;
    check(&names, &codes)
}

/// The first filter that was refused. Where there are no codes, as in UNSUBACK of 3.x, there are no refusals.
fn check(filters: &[TopicFilter], codes: &[ReasonCode]) -> Result<(), SubscribeFailed> {
    match filters.iter().zip(codes).find(|(_, code)| code.is_error()) {
        Some((filter, reason)) => Err(SubscribeFailed::Refused {
            filter: filter.clone(),
            reason: *reason,
        }),
        None => Ok(()),
    }
}

/// A SUBSCRIBE or UNSUBSCRIBE whose answer is awaited. Dropped before, a SUBSCRIBE is withdrawn and an UNSUBSCRIBE goes its way.
struct Request<'a> {
    shared: &'a Arc<Shared>,
    /// Until there is an answer.
    token: Option<Token>,
    /// Until there is a [`Subscription`] to own it.
    queue: Option<QueueId>,
    /// What a SUBSCRIBE asks for.
    names: Vec<TopicFilter>,
    /// What of it was granted and is to be undone.
    granted: Vec<TopicFilter>,
}

fn granted(filters: &[TopicFilter], codes: &[ReasonCode]) -> Vec<TopicFilter> {
    let granted = filters
        .iter()
        .zip(codes)
        .filter(|(_, code)| !code.is_error());
    granted.map(|(filter, _)| filter.clone()).collect()
}

impl Request<'_> {
    async fn answer(&mut self) -> Result<Vec<ReasonCode>, SubscribeError> {
        let Some(token) = self.token else {
            return Err(SubscribeError::Closed);
        };
        let answer = poll_fn(|context| {
            self.shared.poll(context, |state, park| {
                state.requests.poll(token, Some(park))
            })
        })
        .await;
        self.token = None;
        answer.unwrap_or(Err(SubscribeError::Closed))
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        let Self {
            shared,
            token,
            queue,
            names,
            granted: undone,
        } = self;
        if token.is_none() && queue.is_none() {
            return;
        }
        let now = shared.now();
        let parked = shared.run(|state| {
            // The answer may have come since this was polled.
            if let Some(token) = *token
                && let Poll::Ready(Some(Ok(codes))) = state.requests.poll(token, None)
            {
                // Without codes messages came ahead of the answer, which may say anything.
                *undone = match codes[..] {
                    [] => names.clone(),
                    _ => granted(names, &codes),
                };
            }
            let session = state.connection.session_mut();
            if let (Some(token), Some(_)) = (*token, *queue) {
                session.withdraw(now, token);
            }
            if let Some(queue) = *queue {
                session.close_queue(now, queue);
                // Other subscriptions to the same filter share the server's one.
                session.unsubscribe_unwanted(now, std::mem::take(undone));
            }
            token.and_then(|token| state.requests.forget(token))
        });
        drop(parked);
    }
}
