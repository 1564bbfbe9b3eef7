use core::num::NonZeroU16;

use crate::config::HasUsual;

/// Bounds of everything that waits, in messages and bytes. None may be zero, but for those of the topic aliases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Receive Maximum: publications of QoS 1 and 2 that the server may send before they are acknowledged (256). 3.x has no
    /// way to tell the server; there the bound in bytes counts alone.
    pub receive_maximum: NonZeroU16,
    /// Maximum Packet Size: the largest packet that is taken, in bytes (1 MiB). A larger one ends the connection. From
    /// [`LARGEST_PACKET`](Self::LARGEST_PACKET) on it is no limit, and the server is told none.
    pub max_packet_size: u32,
    /// Topic Alias Maximum: topics that the server may replace by a number, in 5.0 (16). Each is kept until the connection ends, at most
    /// 65,535 bytes. 0 turns it off.
    pub topic_alias_maximum: u16,
    /// Topics that are replaced by a number towards a server that takes this, in 5.0 (16, or less where the server's Topic Alias
    /// Maximum is less). 0 turns it off.
    ///
    /// Topics of seven bytes and more get a number with their first message, while there are free ones: that costs three bytes once, and
    /// saves all but three of the topic's from then on. Afterwards a topic takes over the number that was not used for the longest time,
    /// if it comes for the second time within about as many other topics. What is sent again after a reconnect always says its topic.
    pub topic_aliases: u16,
    /// Received messages that the application has not taken or acknowledged yet, in bytes (16 MiB). Each counts with the size of its
    /// packet and [`Received::OVERHEAD`](crate::Received::OVERHEAD). What they keep alive of the driver's read buffers beyond that is
    /// at most an eighth of this, and no more than 128 KiB: what would keep more is copied.
    pub inbox_bytes: usize,
    /// Messages of QoS 1 and 2 that are sent and not yet acknowledged, in 5.0 (65,535, or less where the server's Receive Maximum is
    /// less).
    pub max_in_flight: NonZeroU16,
    /// The same in 3.x, whose servers can't tell how many they take (20). mosquitto takes no more than
    /// 20 of QoS 2 by default: beyond, it closes the connection, or acknowledges a message that it does not pass on.
    pub max_in_flight_v3: NonZeroU16,
    /// Messages that wait to be sent (1,000). A longer queue leaves the processor's caches before it is sent: with 10,000, publishing as fast as
    /// the network takes it is a tenth slower.
    pub max_queued: usize,
    /// Messages that wait to be sent or to be acknowledged, in bytes (64 MiB).
    pub outgoing_bytes: usize,
    /// Encoded packets that wait for the socket, in bytes (256 KiB). Messages beyond stay unencoded in the queue.
    pub outbox_bytes: usize,
    /// Observations that wait for who watches, where anybody does (1,024). More are counted, and missed.
    pub observations: usize,
    /// SUBSCRIBE and UNSUBSCRIBE that wait to be sent or to be acknowledged (1,024). Those of subscriptions that are dropped and ask for it come on
    /// top: there are no more of them than there were subscriptions.
    pub max_requests: usize,
    /// AUTH packets with Continue Authentication in one authentication (16). SCRAM has one.
    pub max_auth_challenges: u16,
    /// Records that are not stored yet (10,000): beyond, publishing is refused as full, and reading pauses. What is in flight can still
    /// add to them.
    pub unstored_records: usize,
    /// The messages in those records, in bytes (64 MiB).
    pub unstored_bytes: usize,
    /// Addresses of one name that are dialled at the same time (4).
    pub max_dials: usize,
}

impl Limits {
    /// The size of the largest packet that there can be, in bytes (section 2.1.4 of MQTT 5.0).
    pub const LARGEST_PACKET: u32 = mqtt_proto::VARINT_MAX + 5;
}

impl HasUsual for Limits {
    const USUAL: &'static Self = &Self {
        receive_maximum: NonZeroU16::MIN.saturating_add(255),
        max_packet_size: 1 << 20,
        topic_alias_maximum: 16,
        topic_aliases: 16,
        inbox_bytes: 16 << 20,
        max_in_flight: NonZeroU16::MAX,
        max_in_flight_v3: NonZeroU16::MIN.saturating_add(19),
        max_queued: 1000,
        outgoing_bytes: 64 << 20,
        outbox_bytes: 256 << 10,
        observations: 1024,
        max_requests: 1024,
        max_dials: 4,
        max_auth_challenges: 16,
        unstored_records: 10_000,
        unstored_bytes: 64 << 20,
    };
}

impl Default for Limits {
    fn default() -> Self {
        *Self::USUAL
    }
}
