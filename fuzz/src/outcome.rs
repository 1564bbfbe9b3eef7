use mqtt_proto::PacketType;

use crate::Codec;

/// What an input led to: the replay of the corpus checks that nothing is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached(u128);

impl Reached {
    /// Adds a packet that was read (or written and read) to the end.
    pub fn add(&mut self, codec: Codec, packet: PacketType) {
        self.0 |= Self::bit(codec, packet);
    }

    /// Adds what a topic and a filter led to.
    pub fn add_topic(&mut self, outcome: TopicOutcome) {
        self.0 |= 1 << outcome as u32;
    }

    /// Adds what a read of the session held.
    pub fn add_read(&mut self, outcome: ReadOutcome) {
        self.0 |= outcome.bit();
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether this packet is among them.
    pub fn has(self, codec: Codec, packet: PacketType) -> bool {
        self.0 & Self::bit(codec, packet) != 0
    }

    /// Whether this outcome is among them.
    pub fn has_topic(self, outcome: TopicOutcome) -> bool {
        self.0 & 1 << outcome as u32 != 0
    }

    /// Whether a read was so.
    pub fn has_read(self, outcome: ReadOutcome) -> bool {
        self.0 & outcome.bit() != 0
    }

    fn bit(codec: Codec, packet: PacketType) -> u128 {
        1 << (codec.index() * 16 + packet as usize)
    }
}

/// What a filter and a topic can lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TopicOutcome {
    BadFilter,
    BadTopic,
    Match,
    NoMatch,
    SharedMatch,
    SharedNoMatch,
    DollarHiddenFromWildcard,
}

impl TopicOutcome {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::BadFilter,
        Self::BadTopic,
        Self::Match,
        Self::NoMatch,
        Self::SharedMatch,
        Self::SharedNoMatch,
        Self::DollarHiddenFromWildcard,
    ];
}

/// What a read of the session can hold, and what comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ReadOutcome {
    SeveralMessages,
    MoreMessagesThanARun,
    SeveralAcknowledgements,
    MessagesAndAcknowledgements,
    AnswersBetweenPackets,
    ConnAckAndMore,
    PartBehindPackets,
    RestOfAPacket,
    RestOfAPacketAndMore,
    OneByteOfAPacket,
    BreachBetweenPackets,
    ErrorBehindPackets,
    InboxFullBetweenPackets,
    StopsBetweenPackets,
    LostOutput,
}

impl ReadOutcome {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::SeveralMessages,
        Self::MoreMessagesThanARun,
        Self::SeveralAcknowledgements,
        Self::MessagesAndAcknowledgements,
        Self::AnswersBetweenPackets,
        Self::ConnAckAndMore,
        Self::PartBehindPackets,
        Self::RestOfAPacket,
        Self::RestOfAPacketAndMore,
        Self::OneByteOfAPacket,
        Self::BreachBetweenPackets,
        Self::ErrorBehindPackets,
        Self::InboxFullBetweenPackets,
        Self::StopsBetweenPackets,
        Self::LostOutput,
    ];

    /// Behind those of packets.
    const fn bit(self) -> u128 {
        1 << (96 + self as u32)
    }
}
