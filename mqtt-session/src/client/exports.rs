//! What each adapter crate exports of the crates below it, in one list: an application names none of them itself.
//!
//! An adapter has `pub use mqtt_session::client::exports::*`, and its own driver and functions to connect.

pub use super::{
    AckMode, Acker, Answers, BuildError, Client, ClientEvent, Closed, ConnectError, Delivery,
    DeliveryError, Events, HandlerPanicked, Hooks, Intercepted, Interceptor, Message, NextMessage,
    Observer, PublishClosed, Publishing, Refusal, SendError, SubscribeFailed, Subscription,
};
pub use crate::auth::{self, AuthError};
pub use crate::transport;
pub use crate::{
    Backoff, Capacity, Cause, Config, ConfigBuilder, ConfigError, ConnectionError, Credentials,
    Direction, DisconnectError, Endpoint, EndpointError, Fault, InboxFull, Instant, Limits,
    Observation, Offline, Outcome, PacketIds, PacketSummary, Peer, Phase, Poisonous, PublishError,
    PublishOptions, PublishRefused, QueueId, ReauthenticateError, RedirectRefused, Redirects,
    Scheme, Servers, SessionLost, Stale, Stats, SubscribeError, Timeouts, Token, Verdict,
    Violation,
};
pub use mqtt_proto::{
    ConnAck, DecodeError, Disconnect, EncodeError, Flow, PacketId, PacketType, Properties,
    PropertiesBuilder, PropertiesRef, PropertyError, PropertyId, PropertyIter, PropertyValue,
    Publish, PublishView, QoS, ReasonCode, RetainHandling, SubscribeOptions, TextError, Topic,
    TopicError, TopicFilter, TopicRef, Version, Will,
};
