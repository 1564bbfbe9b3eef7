use std::fmt;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use mqtt_session::client::{self, Closed, Hooks, SendError, SubscribeFailed};
use mqtt_session::proto::{
    ConnAck, Disconnect, Properties, Publish, QoS, SubscribeOptions, Topic, TopicFilter, Version,
};
use mqtt_session::{
    Capacity, DisconnectError, Endpoint, Phase, PublishOptions, ReauthenticateError, Stats,
};

use crate::delivery::Delivery;
use crate::events::Events;
use crate::subscription::Subscription;
use crate::wait::{TimedOut, WaitError, wait, wait_for, wait_pinned, wait_result, wait_timeout};

/// The application's handle on a session, for any number of threads. Clones are handles on the same session.
///
/// When the last clone is dropped, what was accepted is sent for at most a second, and the session is closed with DISCONNECT, while
/// the process still runs. A program that returns from `main` right after publishing ends the driver's thread with it: wait for the deliveries, or
/// [`disconnect`](Self::disconnect) first. A [`Subscription`], a [`Delivery`] or [`Events`] do not keep the session open.
///
/// # How long calls wait
///
/// What says that it is unbounded waits until there is a connection, and for the server's answer over it. Such a call ends when the session does,
/// which another thread can bring about with [`disconnect`](Self::disconnect). The same call with `_timeout` waits for so long at most, and asks
/// at least once: with [`Duration::ZERO`] it does not wait. Giving up means what each of them says; it is never an error of the session.
#[derive(Clone)]
pub struct Client(client::Client);

impl Client {
    /// The handle behind it, whose methods are futures: for who has an executor.
    pub fn as_async(&self) -> &client::Client {
        &self.0
    }

    /// Begins to connect and waits for the server's answer: the servers are tried once. After a first success the session
    /// reconnects by itself.
    ///
    /// It takes no longer than [`Timeouts`](crate::Timeouts) add up to for all servers and their addresses, provided that the driver runs.
    ///
    /// # Errors
    ///
    /// The last error, if no server accepts; the session is closed then.
    pub fn connect(&self) -> Result<ConnAck, Closed> {
        wait(self.0.connect())
    }

    /// The same for so long at most. Giving up changes nothing: the attempt goes on.
    ///
    /// # Errors
    ///
    /// As there, or there was no answer in time.
    pub fn connect_timeout(&self, timeout: Duration) -> Result<ConnAck, WaitError<Closed>> {
        wait_result(self.0.connect(), timeout)
    }

    /// Begins to connect, and keeps trying. What happens is told by [`events`](Self::events).
    pub fn start(&self) {
        self.0.start();
    }

    /// Waits until the session is connected, which may be now: unbounded. Gives the server's latest CONNACK.
    ///
    /// # Errors
    ///
    /// The session is closed.
    pub fn connected(&self) -> Result<ConnAck, Closed> {
        wait(self.0.connected())
    }

    /// The same for so long at most. Giving up changes nothing.
    ///
    /// # Errors
    ///
    /// The session is closed, or was not connected in time.
    pub fn connected_timeout(&self, timeout: Duration) -> Result<ConnAck, WaitError<Closed>> {
        wait_result(self.0.connected(), timeout)
    }

    /// Waits until the session is closed, and tells why it was: unbounded.
    pub fn closed(&self) -> Closed {
        wait(self.0.closed())
    }

    /// The same for so long at most. Giving up changes nothing.
    ///
    /// # Errors
    ///
    /// It was not closed in time.
    pub fn closed_timeout(&self, timeout: Duration) -> Result<Closed, TimedOut> {
        wait_timeout(self.0.closed(), timeout)
    }

    /// Publishes a message; returns when it is accepted. Where the queue is full, that is when there is room: unbounded.
    ///
    /// What becomes of it is told by the [`Delivery`], which may be dropped. A topic that is published to often is best made into a [`Topic`] once.
    ///
    /// # Errors
    ///
    /// The topic is none, the session refuses the message (the server can't take it, or it is closed).
    #[inline]
    pub fn publish<T>(
        &self,
        topic: T,
        qos: QoS,
        payload: impl Into<Bytes>,
    ) -> Result<Delivery, SendError>
    where
        T: TryInto<Topic>,
        SendError: From<T::Error>,
    {
        wait_for(pin!(self.0.publish(topic, qos, payload))).map(Delivery::new)
    }

    /// The same for so long at most. When it is given up the message was not accepted, and is in the error.
    ///
    /// # Errors
    ///
    /// As there, and that the queue is full ([`PublishRefused::is_full`](crate::PublishRefused::is_full)).
    pub fn publish_timeout<T>(
        &self,
        topic: T,
        qos: QoS,
        payload: impl Into<Bytes>,
        timeout: Duration,
    ) -> Result<Delivery, SendError>
    where
        T: TryInto<Topic>,
        SendError: From<T::Error>,
    {
        publish_timeout(self.0.publish(topic, qos, payload), timeout)
    }

    /// Publishes a message with everything that it can have: see [`publish`](Self::publish).
    ///
    /// # Errors
    ///
    /// As there.
    #[inline]
    pub fn publish_message(&self, qos: QoS, publish: Publish) -> Result<Delivery, SendError> {
        self.publish_with(qos, publish, PublishOptions::new())
    }

    /// The same with options, a time to live say, which counts from when the message is accepted.
    ///
    /// # Errors
    ///
    /// As for [`publish`](Self::publish).
    #[inline]
    pub fn publish_with(
        &self,
        qos: QoS,
        publish: Publish,
        options: PublishOptions,
    ) -> Result<Delivery, SendError> {
        wait_for(pin!(self.0.publish_with(qos, publish, options))).map(Delivery::new)
    }

    /// The same for so long at most: see [`publish_timeout`](Self::publish_timeout).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn publish_with_timeout(
        &self,
        qos: QoS,
        publish: Publish,
        options: PublishOptions,
        timeout: Duration,
    ) -> Result<Delivery, SendError> {
        publish_timeout(self.0.publish_with(qos, publish, options), timeout)
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
        self.0.try_publish(topic, qos, payload).map(Delivery::new)
    }

    /// Publishes a message with everything that it can have, if there is room now: see [`try_publish`](Self::try_publish).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_publish_message(&self, qos: QoS, publish: Publish) -> Result<Delivery, SendError> {
        self.0.try_publish_message(qos, publish).map(Delivery::new)
    }

    /// The same with options: see [`publish_with`](Self::publish_with).
    ///
    /// # Errors
    ///
    /// As for [`try_publish`](Self::try_publish).
    pub fn try_publish_with(
        &self,
        qos: QoS,
        publish: Publish,
        options: &PublishOptions,
    ) -> Result<Delivery, SendError> {
        self.0
            .try_publish_with(qos, publish, options)
            .map(Delivery::new)
    }

    /// Subscribes; returns when the server has granted it: unbounded. Messages arrive in the [`Subscription`] from the first one on.
    ///
    /// Subscriptions to the same filter share the server's one: where it has been granted, another one sends nothing, and no retained messages
    /// come. When the last one is dropped the server is told nothing, unless
    /// [`unsubscribe_on_drop`](Subscription::unsubscribe_on_drop) says so.
    ///
    /// # Errors
    ///
    /// The filter is none, the server refuses it or can't do it, there is a subscription to it with other options
    /// ([`replace_subscription`](Self::replace_subscription) changes them), or the session is closed.
    pub fn subscribe<F>(
        &self,
        filter: F,
        options: impl Into<SubscribeOptions>,
    ) -> Result<Subscription, SubscribeFailed>
    where
        F: TryInto<TopicFilter>,
        SubscribeFailed: From<F::Error>,
    {
        wait(self.0.subscribe(filter, options)).map(Subscription::new)
    }

    /// The same for so long at most. Giving up withdraws it: unsent it vanishes, sent it is unsubscribed.
    ///
    /// # Errors
    ///
    /// As there, or there was no answer in time.
    pub fn subscribe_timeout<F>(
        &self,
        filter: F,
        options: impl Into<SubscribeOptions>,
        timeout: Duration,
    ) -> Result<Subscription, WaitError<SubscribeFailed>>
    where
        F: TryInto<TopicFilter>,
        SubscribeFailed: From<F::Error>,
    {
        wait_result(self.0.subscribe(filter, options), timeout).map(Subscription::new)
    }

    /// Subscribes to several filters at once, all to one iterator: see [`subscribe`](Self::subscribe). A message that several of
    /// them match comes once for each copy that the server sends.
    ///
    /// # Errors
    ///
    /// If the server refuses one, the others are unsubscribed.
    pub fn subscribe_many(
        &self,
        filters: impl IntoIterator<Item = (TopicFilter, SubscribeOptions)>,
    ) -> Result<Subscription, SubscribeFailed> {
        wait(self.0.subscribe_many(filters)).map(Subscription::new)
    }

    /// The same with properties of SUBSCRIBE, which 5.0 has.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn subscribe_with(
        &self,
        filters: Vec<(TopicFilter, SubscribeOptions)>,
        properties: Properties,
    ) -> Result<Subscription, SubscribeFailed> {
        wait(self.0.subscribe_with(filters, properties)).map(Subscription::new)
    }

    /// The same for so long at most: see [`subscribe_timeout`](Self::subscribe_timeout).
    ///
    /// # Errors
    ///
    /// As for [`subscribe_many`](Self::subscribe_many), or there was no answer in time.
    pub fn subscribe_with_timeout(
        &self,
        filters: Vec<(TopicFilter, SubscribeOptions)>,
        properties: Properties,
        timeout: Duration,
    ) -> Result<Subscription, WaitError<SubscribeFailed>> {
        wait_result(self.0.subscribe_with(filters, properties), timeout).map(Subscription::new)
    }

    /// Subscribes without waiting for the answer, for example before [`connect`](Self::connect): so that what the server has kept for the session
    /// finds its iterator. [`ClientEvent::SubscriptionLost`](crate::ClientEvent::SubscriptionLost) tells where the server refuses.
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
        self.0.declare(filter, options).map(Subscription::new)
    }

    /// The same for several filters, all to one iterator: see [`declare`](Self::declare).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn declare_many(
        &self,
        filters: impl IntoIterator<Item = (TopicFilter, SubscribeOptions)>,
    ) -> Result<Subscription, SubscribeFailed> {
        self.0.declare_many(filters).map(Subscription::new)
    }

    /// Subscribes, and gives the subscription that there may be to the same filter these options, for all its iterators: unbounded. SUBSCRIBE is sent
    /// in any case, so retained messages come as the options say.
    ///
    /// # Errors
    ///
    /// As for [`subscribe`](Self::subscribe), but for other options.
    pub fn replace_subscription<F>(
        &self,
        filter: F,
        options: impl Into<SubscribeOptions>,
    ) -> Result<Subscription, SubscribeFailed>
    where
        F: TryInto<TopicFilter>,
        SubscribeFailed: From<F::Error>,
    {
        wait(self.0.replace_subscription(filter, options)).map(Subscription::new)
    }

    /// The same for so long at most: see [`subscribe_timeout`](Self::subscribe_timeout).
    ///
    /// # Errors
    ///
    /// As there, or there was no answer in time.
    pub fn replace_subscription_timeout<F>(
        &self,
        filter: F,
        options: impl Into<SubscribeOptions>,
        timeout: Duration,
    ) -> Result<Subscription, WaitError<SubscribeFailed>>
    where
        F: TryInto<TopicFilter>,
        SubscribeFailed: From<F::Error>,
    {
        wait_result(self.0.replace_subscription(filter, options), timeout).map(Subscription::new)
    }

    /// Unsubscribes from filters; returns when the server has answered: unbounded. Their iterators stay open, and receive no more.
    ///
    /// # Errors
    ///
    /// The server refuses one, the request can't be sent, or the session is closed.
    pub fn unsubscribe(&self, filters: Vec<TopicFilter>) -> Result<(), SubscribeFailed> {
        wait(self.0.unsubscribe(filters))
    }

    /// The same for so long at most. Giving up changes nothing: the request goes its way.
    ///
    /// # Errors
    ///
    /// As there, or there was no answer in time.
    pub fn unsubscribe_timeout(
        &self,
        filters: Vec<TopicFilter>,
        timeout: Duration,
    ) -> Result<(), WaitError<SubscribeFailed>> {
        wait_result(self.0.unsubscribe(filters), timeout)
    }

    /// The messages that no subscription claims: those of a resumed session, or of a subscription that was dropped. Several such iterators
    /// share them: each message goes to one.
    pub fn messages(&self) -> Subscription {
        Subscription::new(self.0.messages())
    }

    /// Acknowledges the messages that wait for a subscription to claim them, and does away with them: see
    /// [`ClientEvent::Unclaimed`](crate::ClientEvent::Unclaimed). How many there were.
    pub fn discard_unclaimed(&self) -> usize {
        self.0.discard_unclaimed()
    }

    /// What happens to the connection from now on. That it is connected already is no change, and not told: see [`watch`](Self::watch).
    pub fn events(&self) -> Events {
        Events::new(self.0.events())
    }

    /// How the connection stands, and what happens to it from now on: [`events`](Self::events) behind
    /// [`ClientEvent::Connected`](crate::ClientEvent::Connected) of the connection that there is, or
    /// [`ClientEvent::Closed`](crate::ClientEvent::Closed). So it does not matter whether the session connects before or after this call.
    pub fn watch(&self) -> Events {
        Events::new(self.0.watch())
    }

    /// Authenticates once more with the configured method, without a new connection; returns when both sides are satisfied. Messages flow
    /// meanwhile. A re-authentication that fails ends the connection, and the next one begins with an authentication of its own.
    ///
    /// Each step is bounded by [`Timeouts::auth`](crate::Timeouts::auth), on either side.
    ///
    /// # Errors
    ///
    /// No method is configured, there is no connection, a re-authentication is under way, or the connection was lost before this one had
    /// succeeded: then with the reason.
    pub fn reauthenticate(&self) -> Result<(), ReauthenticateError> {
        wait(self.0.reauthenticate())
    }

    /// The same for so long at most. Giving up changes nothing: the re-authentication goes its way.
    ///
    /// # Errors
    ///
    /// As there, or it had not ended in time.
    pub fn reauthenticate_timeout(
        &self,
        timeout: Duration,
    ) -> Result<(), WaitError<ReauthenticateError>> {
        wait_result(self.0.reauthenticate(), timeout)
    }

    /// Ends the session in order: takes nothing new, sends what was accepted for at most `drain`, then DISCONNECT; returns
    /// when the connection is closed, which takes [`Timeouts::hangup`](crate::Timeouts::hangup) longer at most. What is left by then ends as
    /// [`Outcome::Closed`](crate::Outcome::Closed).
    pub fn disconnect(&self, drain: Duration) {
        wait(self.0.disconnect(drain));
    }

    /// The same with a reason code, for example 0x04 for the will to be published, and properties: a Session Expiry Interval, say.
    ///
    /// # Errors
    ///
    /// The version in use has no such DISCONNECT; then the session goes on. See [`Session::disconnect`](mqtt_session::Session::disconnect).
    pub fn disconnect_with(
        &self,
        disconnect: Disconnect,
        drain: Duration,
    ) -> Result<(), DisconnectError> {
        wait(self.0.disconnect_with(disconnect, drain))
    }

    /// Where the session stands.
    pub fn phase(&self) -> Phase {
        self.0.phase()
    }

    /// The server of the connection, or that of the latest attempt at one.
    pub fn server(&self) -> Endpoint {
        self.0.server()
    }

    /// The protocol version in use: see [`Session::version`](mqtt_session::Session::version).
    pub fn version(&self) -> Version {
        self.0.version()
    }

    /// The client identifier in use: the configured one, or that which the server has assigned.
    pub fn client_identifier(&self) -> String {
        self.0.client_identifier()
    }

    /// What the topics of responses are to begin with, where the server was asked and has answered: see
    /// [`Session::response_information`](mqtt_session::Session::response_information).
    pub fn response_information(&self) -> Option<String> {
        self.0.response_information()
    }

    /// What has happened since the session began, and what there is now.
    pub fn stats(&self) -> Stats {
        self.0.stats()
    }

    /// Has code of the application run at each message, or at what happens. Best called before [`connect`](Self::connect) or
    /// [`start`](Self::start): it applies to what comes after. Without it nothing is spent on it.
    ///
    /// Interceptors run on the thread that publishes or reads, observers on the driver's: everything else that it does waits for them.
    ///
    /// # Errors
    ///
    /// The hooks back, where some are set already.
    pub fn set_hooks(&self, hooks: Hooks) -> Result<(), Hooks> {
        self.0.set_hooks(hooks)
    }

    /// How much may be published before the queue is full.
    pub fn publish_capacity(&self) -> Capacity {
        self.0.publish_capacity()
    }
}

fn publish_timeout(
    mut publishing: client::Publishing<'_>,
    timeout: Duration,
) -> Result<Delivery, SendError> {
    let published = wait_pinned(std::pin::Pin::new(&mut publishing), timeout);
    published
        .unwrap_or_else(|TimedOut { .. }| publishing.give_up())
        .map(Delivery::new)
}

/// A handle that waits, beside one whose methods are futures: for a session with a driver of your own, such as one that is restored and stores its
/// records.
impl From<client::Client> for Client {
    fn from(client: client::Client) -> Self {
        Self(client)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
