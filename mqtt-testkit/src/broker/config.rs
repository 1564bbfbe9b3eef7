use core::time::Duration;

use mqtt_proto::QoS;

/// What the broker allows and announces. A connection goes by what stood here when it was accepted: change
/// [`Broker::config_mut`](crate::Broker::config_mut) and the next CONNACK tells of it.
///
/// 3.x has no way to announce limits: there the broker takes any QoS and RETAIN, and checks no Receive Maximum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerConfig {
    /// Receive Maximum (65,535): how many messages of QoS 1 and 2 a client may have in flight. 0 counts as 1.
    pub receive_maximum: u16,
    /// Maximum Packet Size in bytes (none). A client of 3.x, which can't know it, is closed and not accused.
    pub maximum_packet_size: Option<u32>,
    /// Maximum QoS (2).
    pub maximum_qos: QoS,
    /// Retain Available (yes).
    pub retain_available: bool,
    /// Topic Alias Maximum (0): how many aliases a client may use.
    pub topic_alias_maximum: u16,
    /// Wildcard Subscription Available (yes).
    pub wildcards_available: bool,
    /// Subscription Identifier Available (yes).
    pub subscription_identifiers_available: bool,
    /// Shared Subscription Available (yes).
    pub shared_subscriptions_available: bool,
    /// Server Keep Alive in seconds (none: the client's own value holds). 0 turns keep-alive off.
    pub server_keep_alive: Option<u16>,
    /// The longest session expiry that is granted, in seconds (no bound). A shorter one than asked for is told in CONNACK.
    pub maximum_session_expiry: Option<u32>,
    /// How long the broker waits for CONNECT (10 s).
    pub connect_timeout: Duration,
    /// How many messages wait for a client at most (a million). What comes beyond is dropped and counted.
    pub maximum_queued: usize,
    /// Whether the broker uses topic aliases where the client takes them (no).
    pub send_topic_aliases: bool,
    /// Whether a message that matches several subscriptions of a client is sent once for each (no: once, with all their
    /// identifiers). Both are allowed (section 3.3.4).
    pub copy_per_subscription: bool,
    /// Whether a client may leave a message of QoS 1 or 2 unsent on a reconnect that it has sent before (no): against [MQTT-4.4.0-1],
    /// but some applications want that of a message that one connection after the other ends at.
    pub may_give_up: bool,
    /// Whether packets and events are logged (yes). Long simulations are faster without.
    pub log: bool,
    /// Whether accepted messages are kept for [`Broker::received`](crate::Broker::received) (yes).
    pub keep_received: bool,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            receive_maximum: u16::MAX,
            maximum_packet_size: None,
            maximum_qos: QoS::ExactlyOnce,
            retain_available: true,
            topic_alias_maximum: 0,
            wildcards_available: true,
            subscription_identifiers_available: true,
            shared_subscriptions_available: true,
            server_keep_alive: None,
            maximum_session_expiry: None,
            connect_timeout: Duration::from_secs(10),
            maximum_queued: 1_000_000,
            send_topic_aliases: false,
            copy_per_subscription: false,
            may_give_up: false,
            log: true,
            keep_received: true,
        }
    }
}
