use std::fmt;
use std::future::poll_fn;
use std::string::String;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use std::vec::Vec;

use bytes::Bytes;
use mqtt_proto::{
    ConnAck, Disconnect, Properties, Publish, QoS, SubscribeOptions, Topic, TopicFilter, Version,
};

use crate::{
    Capacity, DisconnectError, Endpoint, Phase, PublishOptions, QueueId, ReauthenticateError, Stats,
};

use super::closed::Closed;
use super::delivery::Delivery;
use super::events::Events;
use super::hooks::Hooks;
use super::publish::{self, Publishing, SendError};
use super::reauthenticate;
use super::shared::Shared;
use super::state::State;
use super::subscribe::{self, SubscribeFailed};
use super::subscription::Subscription;
use super::wake::Place;

/// How long a session goes on after its last `Client` was dropped, to send what was accepted.
const GRACE: Duration = Duration::from_secs(1);

/// The application's handle on a session, for any runtime. Clones are handles on the same session.
///
/// When the last clone is dropped, what was accepted is sent for at most a second, and the session is closed with DISCONNECT, as
/// long as the driver still runs. A program that returns from `main` right after publishing stops the runtime and the driver with it:
/// await the deliveries, or [`disconnect`](Self::disconnect) first. A [`Subscription`], a [`Delivery`] or [`Events`] do not keep the session
/// open.
///
/// Without a connection, `subscribe`, a [`Delivery`], and `publish` with a full queue wait until there is one: put a timeout of your
/// runtime around what must not.
///
/// Every future is cancel-safe; each method says what dropping its future means.
#[derive(Clone)]
pub struct Client {
    handle: Arc<Handle>,
}

/// Gone with the last client.
struct Handle {
    shared: Arc<Shared>,
}

impl Client {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            handle: Arc::new(Handle { shared }),
        }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }

    /// Begins to connect and waits for the server's answer: the servers are tried once. After a first success the session
    /// reconnects by itself.
    ///
    /// Dropping the future changes nothing: the attempt goes on.
    ///
    /// # Errors
    ///
    /// The last error, and those of the servers before, if no server accepts; the session is closed then.
    pub async fn connect(&self) -> Result<ConnAck, Closed> {
        let now = self.shared().now();
        self.shared()
            .run(|state| state.connection.session_mut().connect(now));
        self.connected().await
    }

    /// Begins to connect, and keeps trying. What happens is told by [`watch`](Self::watch).
    pub fn start(&self) {
        let now = self.shared().now();
        self.shared()
            .run(|state| state.connection.session_mut().start(now));
    }

    /// Waits until the session is connected, which may be now. Gives the server's latest CONNACK.
    ///
    /// # Errors
    ///
    /// The session is closed.
    pub async fn connected(&self) -> Result<ConnAck, Closed> {
        let before = self.shared().lock().connections;
        self.wait(|state| {
            if let Some(closed) = &state.closed {
                return Poll::Ready(Err(closed.clone()));
            }
            let connected = state.connection.session().phase() == Phase::Connected;
            if connected || state.connections != before {
                Poll::Ready(Ok(state.connack.clone()))
            } else {
                Poll::Pending
            }
        })
        .await
    }

    /// Waits until the session is closed, and tells why it was.
    pub async fn closed(&self) -> Closed {
        self.wait(|state| state.closed.clone().map_or(Poll::Pending, Poll::Ready))
            .await
    }

    /// Publishes a message; resolves when it is accepted. Where the queue is full, that is when there is room.
    ///
    /// What becomes of it is told by the [`Delivery`], which may be dropped. A topic that is published to often is best made into a [`Topic`] once,
    /// by [`Topic::from_static`] where the program has it as a constant: cloning that takes no atomic operation.
    ///
    /// Cancel-safe: if the future is dropped before it resolves, the message was not accepted.
    ///
    /// # Errors
    ///
    /// The topic is none, the session refuses the message (the server can't take it, or it is closed).
    #[inline]
    pub fn publish<T>(&self, topic: T, qos: QoS, payload: impl Into<Bytes>) -> Publishing<'_>
    where
        T: TryInto<Topic>,
        SendError: From<T::Error>,
    {
        match topic.try_into() {
            Ok(topic) => self.publish_message(qos, Publish::new(topic, payload)),
            Err(error) => Publishing::refused(self.shared(), error.into()),
        }
    }

    /// Publishes a message with everything that it can have: see [`publish`](Self::publish).
    #[inline]
    pub fn publish_message(&self, qos: QoS, publish: Publish) -> Publishing<'_> {
        self.publish_with(qos, publish, PublishOptions::new())
    }

    /// The same with options, a time to live say, which counts from when the message is accepted.
    #[inline]
    pub fn publish_with(
        &self,
        qos: QoS,
        publish: Publish,
        options: PublishOptions,
    ) -> Publishing<'_> {
        Publishing::new(self.shared(), qos, publish, options)
    }

    /// Publishes a message if there is room now.
    ///
    /// # Errors
    ///
    /// As for [`publish`](Self::publish), and that the queue is full. The message is in the error.
    pub fn try_publish<T>(
        &self,
        topic: T,
        qos: QoS,
        payload: impl Into<Bytes>,
    ) -> Result<Delivery, SendError>
    where
        T: TryInto<Topic>,
        SendError: From<T::Error>,
    {
        self.try_publish_message(qos, Publish::new(topic.try_into()?, payload))
    }

    /// Publishes a message with everything that it can have, if there is room now: see [`try_publish`](Self::try_publish).
    pub fn try_publish_message(&self, qos: QoS, publish: Publish) -> Result<Delivery, SendError> {
        self.try_publish_with(qos, publish, &PublishOptions::new())
    }

    /// The same with options: see [`publish_with`](Self::publish_with).
    pub fn try_publish_with(
        &self,
        qos: QoS,
        publish: Publish,
        options: &PublishOptions,
    ) -> Result<Delivery, SendError> {
        publish::try_publish(self.shared(), qos, publish, options)
    }

    /// Subscribes; resolves when the server has granted it. Messages arrive in the [`Subscription`] from the first one on.
    ///
    /// Where the messages that a server sends ahead of its answer are more than the inbox holds, the connection ends as
    /// [`ConnectionError::InboxFull`](crate::ConnectionError::InboxFull), and this resolves at once: they must be read for the answer to
    /// come. A refusal is then told as [`ClientEvent::SubscriptionLost`](super::ClientEvent::SubscriptionLost).
    ///
    /// Subscriptions to the same filter share the server's one: where it has been granted, another one sends nothing, and no retained messages
    /// come. When the last one is dropped the server is told nothing, unless
    /// [`unsubscribe_on_drop`](Subscription::unsubscribe_on_drop) says so.
    ///
    /// Dropping the future withdraws it: unsent it vanishes, sent it is unsubscribed.
    ///
    /// # Errors
    ///
    /// The filter is none, the server refuses it or can't do it, there is a subscription to it with other options
    /// ([`replace_subscription`](Self::replace_subscription) changes them), or the session is closed.
    pub async fn subscribe<F>(
        &self,
        filter: F,
        options: impl Into<SubscribeOptions>,
    ) -> Result<Subscription, SubscribeFailed>
    where
        F: TryInto<TopicFilter>,
        SubscribeFailed: From<F::Error>,
    {
        self.subscribe_many([(filter.try_into()?, options.into())])
            .await
    }

    /// Subscribes to several filters at once, all to one stream: see [`subscribe`](Self::subscribe). A message that several of
    /// them match comes once for each copy that the server sends.
    ///
    /// # Errors
    ///
    /// If the server refuses one, the others are unsubscribed.
    pub async fn subscribe_many(
        &self,
        filters: impl IntoIterator<Item = (TopicFilter, SubscribeOptions)>,
    ) -> Result<Subscription, SubscribeFailed> {
        let filters = filters.into_iter().collect();
        subscribe::subscribe(self.shared(), filters, Properties::new(), false).await
    }

    /// Subscribes with properties of SUBSCRIBE, which 5.0 has: see [`subscribe_many`](Self::subscribe_many).
    pub async fn subscribe_with(
        &self,
        filters: Vec<(TopicFilter, SubscribeOptions)>,
        properties: Properties,
    ) -> Result<Subscription, SubscribeFailed> {
        subscribe::subscribe(self.shared(), filters, properties, false).await
    }

    /// Subscribes without waiting for the answer, for example before [`connect`](Self::connect): so that what the server has kept for the session
    /// finds its stream. [`ClientEvent::SubscriptionLost`](super::ClientEvent::SubscriptionLost) tells where the server refuses.
    ///
    /// # Errors
    ///
    /// As for [`subscribe`](Self::subscribe), but for what the server answers.
    pub fn declare<F>(
        &self,
        filter: F,
        options: impl Into<SubscribeOptions>,
    ) -> Result<Subscription, SubscribeFailed>
    where
        F: TryInto<TopicFilter>,
        SubscribeFailed: From<F::Error>,
    {
        self.declare_many([(filter.try_into()?, options.into())])
    }

    /// The same for several filters, all to one stream: see [`declare`](Self::declare).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn declare_many(
        &self,
        filters: impl IntoIterator<Item = (TopicFilter, SubscribeOptions)>,
    ) -> Result<Subscription, SubscribeFailed> {
        let filters = filters.into_iter().collect();
        subscribe::declare(self.shared(), filters, Properties::new())
    }

    /// Subscribes, and gives the subscription that there may be to the same filter these options, for all its streams. SUBSCRIBE is sent in any
    /// case, so retained messages come as the options say. Dropping the future is as for [`subscribe`](Self::subscribe).
    ///
    /// # Errors
    ///
    /// As for [`subscribe`](Self::subscribe), but for other options.
    pub async fn replace_subscription<F>(
        &self,
        filter: F,
        options: impl Into<SubscribeOptions>,
    ) -> Result<Subscription, SubscribeFailed>
    where
        F: TryInto<TopicFilter>,
        SubscribeFailed: From<F::Error>,
    {
        let filters = std::vec![(filter.try_into()?, options.into())];
        subscribe::subscribe(self.shared(), filters, Properties::new(), true).await
    }

    /// Unsubscribes from filters; resolves when the server has answered. Their streams stay open, and receive no more.
    ///
    /// Dropping the future changes nothing once it was polled: the request goes its way.
    ///
    /// # Errors
    ///
    /// The server refuses one, the request can't be sent, or the session is closed.
    pub async fn unsubscribe(&self, filters: Vec<TopicFilter>) -> Result<(), SubscribeFailed> {
        subscribe::unsubscribe(self.shared(), filters, Properties::new()).await
    }

    /// The messages that no subscription claims: those of a resumed session, or of a subscription that was dropped. Several such streams
    /// share them: each message goes to one. What none of them has read when the last is dropped waits for the next one, but those of QoS 0 only as
    /// long as the inbox is no more than half full.
    pub fn messages(&self) -> Subscription {
        let reader = self
            .shared()
            .run(|state| state.open_reader(QueueId::DEFAULT));
        Subscription::new(Arc::clone(self.shared()), reader, Vec::new())
    }

    /// Acknowledges the messages that wait for a subscription to claim them, and does away with them: see
    /// [`ClientEvent::Unclaimed`](super::ClientEvent::Unclaimed). How many there were.
    pub fn discard_unclaimed(&self) -> usize {
        let now = self.shared().now();
        // Dropped after unlocking.
        let discarded = self.shared().run(|state| {
            let mut discarded = Vec::new();
            while let Some(crate::Received { publish, ticket }) =
                state.connection.poll_message(QueueId::DEFAULT)
            {
                state.give_back(now, ticket);
                discarded.push(publish);
            }
            discarded
        });
        discarded.len()
    }

    /// What happens to the connection from now on. That it is connected already is no change, and not told: see [`watch`](Self::watch).
    pub fn events(&self) -> Events {
        Events::new(Arc::clone(self.shared()), false)
    }

    /// How the connection stands, and what happens to it from now on: [`events`](Self::events) behind
    /// [`ClientEvent::Connected`](super::ClientEvent::Connected) of the connection that there is, or
    /// [`ClientEvent::Closed`](super::ClientEvent::Closed). So it does not matter whether the session connects before or after this call.
    pub fn watch(&self) -> Events {
        Events::new(Arc::clone(self.shared()), true)
    }

    /// Authenticates once more with the configured method, without a new connection; resolves when both sides are satisfied. Messages flow
    /// meanwhile. A re-authentication that fails ends the connection, and the next one begins with an authentication of its own.
    ///
    /// Dropping the future changes nothing once it was polled: the re-authentication goes its way.
    ///
    /// # Errors
    ///
    /// No method is configured, there is no connection, a re-authentication is under way, or the connection was lost before this one had
    /// succeeded: then with the reason.
    pub async fn reauthenticate(&self) -> Result<(), ReauthenticateError> {
        reauthenticate::reauthenticate(self.shared()).await
    }

    /// Ends the session in order: takes nothing new, sends what was accepted for at most `drain`, then DISCONNECT; resolves
    /// when the connection is closed. What is left by then ends as [`Outcome::Closed`](crate::Outcome::Closed).
    ///
    /// The message that a [`Subscription`] has handed out last is acknowledged when the subscription is asked for the next one or dropped: drop
    /// it first.
    ///
    /// Dropping the future changes nothing once it was polled: the session is closed all the same.
    pub async fn disconnect(&self, drain: Duration) {
        // The default is never refused.
        let _ = self.disconnect_with(Disconnect::default(), drain).await;
    }

    /// The same with a reason code, for example 0x04 for the will to be published, and properties: a Session Expiry Interval, say.
    ///
    /// # Errors
    ///
    /// The version in use has no such DISCONNECT; then the session goes on. See [`Session::disconnect`](crate::Session::disconnect).
    pub async fn disconnect_with(
        &self,
        disconnect: Disconnect,
        drain: Duration,
    ) -> Result<(), DisconnectError> {
        self.handle.close(disconnect, drain)?;
        self.closed().await;
        Ok(())
    }

    /// The messages of an earlier process that a session [made of its records](crate::Session::restore) goes on with, in the order of
    /// their tokens, and what the application calls them. A second call gives none.
    pub fn restored(&self) -> Vec<(Delivery, Option<Bytes>)> {
        let restored = std::mem::take(&mut self.shared().lock().restored);
        let deliveries = restored
            .into_iter()
            .map(|(token, tag)| (Delivery::new(self.shared(), token), tag));
        deliveries.collect()
    }

    /// Where the session stands.
    pub fn phase(&self) -> Phase {
        self.shared().lock().connection.session().phase()
    }

    /// The server of the connection, or that of the latest attempt at one.
    pub fn server(&self) -> Endpoint {
        self.shared().lock().connection.session().server().clone()
    }

    /// The protocol version in use: see [`Session::version`](crate::Session::version).
    pub fn version(&self) -> Version {
        self.shared().lock().connection.session().version()
    }

    /// The client identifier in use: the configured one, or that which the server has assigned.
    pub fn client_identifier(&self) -> String {
        let state = self.shared().lock();
        state.connection.session().client_identifier().into()
    }

    /// What the topics of responses are to begin with, where the server was asked and has answered: see
    /// [`Session::response_information`](crate::Session::response_information).
    pub fn response_information(&self) -> Option<String> {
        let state = self.shared().lock();
        state
            .connection
            .session()
            .response_information()
            .map(Into::into)
    }

    /// What has happened since the session began, and what there is now.
    pub fn stats(&self) -> Stats {
        let (refused_out, refused_in) = self.shared().hooked.counts();
        Stats {
            refused_out,
            refused_in,
            ..self.shared().lock().connection.session().stats()
        }
    }

    /// Has code of the application run at each message, or at what happens. Best called before [`connect`](Self::connect) or
    /// [`start`](Self::start): it applies to what comes after. Without it nothing is spent on it.
    ///
    /// # Errors
    ///
    /// The hooks back, where some are set already.
    pub fn set_hooks(&self, hooks: Hooks) -> Result<(), Hooks> {
        let observes = hooks.observes();
        self.shared().hooked.set(hooks)?;
        if observes {
            self.shared().run(|state| {
                state.observed = true;
                state.connection.session_mut().keep_observations();
            });
        }
        Ok(())
    }

    /// How much may be published before the queue is full.
    pub fn publish_capacity(&self) -> Capacity {
        self.shared().lock().connection.session().publish_capacity()
    }

    /// Until `ready`; asked again whenever the session was connected or closed.
    async fn wait<R>(&self, mut ready: impl FnMut(&State) -> Poll<R>) -> R {
        let mut waiting = Waiting {
            shared: self.shared(),
            place: None,
        };
        poll_fn(|context| {
            let Waiting { shared, place } = &mut waiting;
            shared.poll(context, |state, park| {
                let polled = ready(state);
                if polled.is_pending() {
                    state.phase.park(place, (), park);
                }
                polled
            })
        })
        .await
    }
}

impl Handle {
    fn close(&self, disconnect: Disconnect, drain: Duration) -> Result<(), DisconnectError> {
        let now = self.shared.now();
        self.shared.run(|state| match state.closed {
            None => {
                let session = state.connection.session_mut();
                session.disconnect(now, disconnect, drain)
            }
            Some(_) => Ok(()),
        })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // The default is never refused.
        let _ = self.close(Disconnect::default(), GRACE);
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("phase", &self.phase())
            .finish_non_exhaustive()
    }
}

/// Gives its place up when it is dropped.
struct Waiting<'a> {
    shared: &'a Shared,
    place: Place,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.place.is_some() {
            let parked = self.shared.run(|state| state.phase.leave(&mut self.place));
            drop(parked);
        }
    }
}
