use core::fmt;
use core::num::NonZeroU16;

use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};

use crate::frame::read_publish_properties;
use crate::property::{self, Properties, PropertiesRef};
use crate::reader::Reader;
use crate::{
    DecodeError, Decoder, Flow, PacketId, PropertyId, QoS, Topic, TopicError, TopicRef, text, topic,
};

/// A message to send: what a PUBLISH says apart from its delivery (section 3.3).
///
/// The packet identifier, DUP and the topic alias belong to one delivery over one connection and not to the message: the
/// [`Encoder`](crate::Encoder) is given them.
#[derive(Clone, PartialEq, Eq)]
pub struct Publish {
    topic: Topic,
    payload: Bytes,
    properties: Properties,
    retain: bool,
}

impl Publish {
    /// A message without properties, not retained.
    pub fn new(topic: Topic, payload: impl Into<Bytes>) -> Self {
        Self {
            topic,
            payload: payload.into(),
            properties: Properties::new(),
            retain: false,
        }
    }

    /// With the RETAIN flag set or not: the server keeps the message for later subscribers (section 3.3.1.3).
    pub fn with_retain(self, retain: bool) -> Self {
        Self { retain, ..self }
    }

    /// With these properties, which only 5.0 can carry.
    pub fn with_properties(self, properties: Properties) -> Self {
        Self { properties, ..self }
    }

    /// The same message with another Message Expiry Interval in seconds, where it has one: what is left of it when it has waited
    /// (section 3.3.2.3.3).
    pub fn expiring_in(&self, seconds: u32) -> Self {
        Self {
            properties: self.properties.expiring_in(seconds),
            ..self.clone()
        }
    }

    /// The topic.
    #[inline]
    pub fn topic(&self) -> TopicRef<'_> {
        self.topic.view()
    }

    /// The payload.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The payload, shared.
    pub fn payload_bytes(&self) -> &Bytes {
        &self.payload
    }

    /// Whether the RETAIN flag is set.
    #[inline]
    pub fn retain(&self) -> bool {
        self.retain
    }

    /// The properties.
    #[inline]
    pub fn properties(&self) -> PropertiesRef<'_> {
        self.properties.view()
    }

    /// The bytes that topic, payload and properties hold in memory.
    #[inline]
    pub fn size(&self) -> usize {
        self.topic.as_bytes().len() + self.payload.len() + self.properties.view().as_bytes().len()
    }
}

impl fmt::Debug for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The payload may be secret: only its length is shown.
        f.debug_struct("Publish")
            .field("topic", &self.topic)
            .field("retain", &self.retain)
            .field("properties", &self.properties)
            .field("payload_len", &self.payload.len())
            .finish()
    }
}

/// A PUBLISH that was received: one handle on its frame, and offsets. Topic, payload and properties are read from the frame.
///
/// It keeps the read buffer alive that it came in; [`payload_bytes`](Self::payload_bytes) and [`share`](Self::share) do, too.
/// What is kept for long is better copied: [`detach`](Self::detach).
#[derive(Clone)]
pub struct PublishView {
    frame: Bytes,
    present: u64,
    topic_at: u32,
    properties_at: u32,
    payload_at: u32,
    topic_len: u16,
    /// Zero at QoS 0.
    id: u16,
    first: u8,
}

/// The flags of the first byte (section 3.3.1).
const RETAIN: u8 = 0b0001;
const QOS: u8 = 0b0110;
const QOS_1: u8 = 0b0010;
const DUP: u8 = 0b1000;

impl PublishView {
    #[inline(always)]
    pub(crate) fn decode(
        first: u8,
        input: &mut BytesMut,
        decoder: &Decoder,
    ) -> Result<Option<Self>, DecodeError> {
        let Some((header, size)) = decoder.frame(input)? else {
            return Ok(None);
        };
        let mut r = Reader::new(&input[..size], header);
        let topic = r.binary("topic name")?;
        let topic_at = (r.at() - topic.len()) as u32;
        // An empty one is looked at when the properties are known. [MQTT-3.3.2-1], [MQTT-3.3.2-2]
        if !text::is_plain_topic(topic) {
            topic::check_topic(topic).map_err(bad_topic)?;
        }
        // At QoS 0 there is no identifier [MQTT-2.2.1-2].
        let mut id = 0;
        if first & QOS != 0 {
            // [MQTT-3.3.1-4]
            if first & QOS == QOS {
                return Err(DecodeError::BadQoS);
            }
            id = r.packet_id()?.get();
        } else if first & DUP != 0 {
            // [MQTT-3.3.1-2]
            return Err(DecodeError::DupAtQoS0);
        }
        let (mut present, mut properties_at) = (0, r.at());
        if decoder.version.is_v5() {
            (properties_at, present) = read_publish_properties(&mut r, decoder.sender)?;
        }
        if topic.is_empty() && present & PropertyId::TOPIC_ALIAS.bit() == 0 {
            return Err(no_topic(decoder));
        }
        let topic_len = topic.len() as u16;
        let (properties_at, payload_at) = (properties_at as u32, r.at() as u32);
        Ok(Some(Self {
            present,
            topic_at,
            properties_at,
            payload_at,
            topic_len,
            id,
            first,
            frame: input.split_to(size).freeze(),
        }))
    }

    /// The QoS, with packet identifier and DUP where it has them.
    #[inline]
    pub fn flow(&self) -> Flow {
        let dup = self.first & DUP != 0;
        match PacketId::new(self.id) {
            None => Flow::AtMostOnce,
            Some(id) if self.first & QOS == QOS_1 => Flow::AtLeastOnce { id, dup },
            Some(id) => Flow::ExactlyOnce { id, dup },
        }
    }

    /// The QoS.
    #[inline]
    pub fn qos(&self) -> QoS {
        self.flow().qos()
    }

    /// The packet identifier, which QoS 0 has not.
    #[inline]
    pub fn packet_id(&self) -> Option<PacketId> {
        self.flow().packet_id()
    }

    /// Whether the sender may have sent this before.
    #[inline]
    pub fn dup(&self) -> bool {
        self.flow().dup()
    }

    /// Whether this is a retained message (section 3.3.1.3).
    pub fn retain(&self) -> bool {
        self.first & RETAIN != 0
    }

    /// The topic: empty where [`topic_alias`](Self::topic_alias) stands for it, until [`name`](Self::name) says which it is.
    #[inline]
    pub fn topic(&self) -> TopicRef<'_> {
        let at = self.topic_at as usize;
        TopicRef::checked_before(&self.frame[at..at + usize::from(self.topic_len)])
    }

    /// Gives it the topic that its alias stands for, where it has none of its own. What an alias stands for knows who keeps the connection
    /// (section 3.3.2.3.4).
    ///
    /// The packet is copied to where the topic is: nothing else has a price then, for those messages that have their topic above all.
    pub fn name(&mut self, topic: TopicRef<'_>) {
        let topic = topic.as_bytes();
        if self.topic_len > 0 {
            return;
        }
        let mut frame = Vec::with_capacity(topic.len() + self.frame.len());
        frame.extend_from_slice(topic);
        frame.extend_from_slice(&self.frame);
        self.frame = frame.into();
        (self.topic_at, self.topic_len) = (0, topic.len() as u16);
        self.properties_at += topic.len() as u32;
        self.payload_at += topic.len() as u32;
    }

    /// The topic alias that came with it.
    #[inline]
    pub fn topic_alias(&self) -> Option<NonZeroU16> {
        // Mostly there is none: that is one comparison, where it is asked.
        if self.present & PropertyId::TOPIC_ALIAS.bit() == 0 {
            return None;
        }
        self.properties().topic_alias()
    }

    /// The properties.
    #[inline]
    pub fn properties(&self) -> PropertiesRef<'_> {
        let bytes = &self.frame[self.properties_at as usize..self.payload_at as usize];
        PropertiesRef::checked_before(bytes, self.present)
    }

    /// The payload.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        &self.frame[self.payload_at as usize..]
    }

    /// The payload, shared with the read buffer.
    pub fn payload_bytes(&self) -> Bytes {
        self.frame.slice(self.payload_at as usize..)
    }

    /// A part of this packet (the topic, correlation data) as bytes of its own that share the read buffer.
    ///
    /// Copies where `part` is not a part of it.
    pub fn share(&self, part: &[u8]) -> Bytes {
        property::share(&self.frame, part)
    }

    /// Copies it into memory of its own, of its size, so that it does not keep the read buffer alive.
    pub fn detach(&mut self) {
        self.frame = Bytes::copy_from_slice(&self.frame);
    }

    /// Replaces the payload: what follows it in a chain of receivers sees this one. Copies topic and properties.
    pub fn set_payload(&mut self, payload: &[u8]) {
        let before = &self.frame[..self.payload_at as usize];
        let mut frame = Vec::with_capacity(before.len() + payload.len());
        frame.extend_from_slice(before);
        frame.extend_from_slice(payload);
        self.frame = frame.into();
    }

    /// The message alone, sharing the read buffer, to be published again: without topic alias and subscription identifiers,
    /// which belong to the connection that it came on. `None` where a topic alias stands for a topic that nobody
    /// [named](Self::name).
    pub fn to_publish(&self) -> Option<Publish> {
        let topic = self.topic();
        (!topic.is_empty()).then(|| {
            let bytes = self.frame.slice_ref(self.properties().as_bytes());
            let properties = Properties::checked_before(bytes, self.present);
            let of_connection = [PropertyId::TOPIC_ALIAS, PropertyId::SUBSCRIPTION_IDENTIFIER];
            Publish {
                topic: Topic::checked_before(self.frame.slice_ref(topic.as_bytes())),
                payload: self.payload_bytes(),
                properties: if of_connection.iter().any(|id| properties.view().has(*id)) {
                    properties.without(&of_connection)
                } else {
                    properties
                },
                retain: self.retain(),
            }
        })
    }

    /// The answer to this request (section 4.10): to its Response Topic, with its Correlation Data where it has some, not retained. `None`
    /// where no answer is asked for. Copies both, so it does not keep the read buffer alive.
    ///
    /// The sender chooses the topic, so an application with rights that its senders lack answers to no other topics than it means to.
    pub fn answer(&self, payload: impl Into<Bytes>) -> Option<Publish> {
        let asked = self.properties();
        let topic =
            Topic::checked_before(Bytes::copy_from_slice(asked.response_topic()?.as_bytes()));
        let properties = match asked.correlation_data() {
            Some(data) => Properties::builder().correlation_data(data).build().ok()?,
            None => Properties::new(),
        };
        Some(Publish::new(topic, payload).with_properties(properties))
    }

    /// Whether the payload is text where the sender says so: a receiver may refuse it with 0x99 if not
    /// (section 3.3.2.3.2).
    pub fn payload_format_is_valid(&self) -> bool {
        self.properties().payload_format_indicator() != Some(true)
            || core::str::from_utf8(self.payload()).is_ok()
    }

    /// The packet's size in bytes, fixed header included, and that of a topic that was [named](Self::name).
    #[inline]
    pub fn size(&self) -> usize {
        self.frame.len()
    }

    pub(crate) fn frame(&self) -> &Bytes {
        &self.frame
    }
}

#[cold]
const fn bad_topic(error: TopicError) -> DecodeError {
    DecodeError::topic("topic name", error)
}

/// [MQTT-4.7.3-1]: in 3.x a topic is never empty; in 5.0 only with an alias.
#[cold]
fn no_topic(decoder: &Decoder) -> DecodeError {
    if decoder.version.is_v5() {
        DecodeError::NoTopic
    } else {
        bad_topic(TopicError::Empty)
    }
}

impl PartialEq for PublishView {
    fn eq(&self, other: &Self) -> bool {
        self.flow() == other.flow()
            && self.retain() == other.retain()
            && self.topic() == other.topic()
            && self.properties() == other.properties()
            && self.payload() == other.payload()
    }
}

impl Eq for PublishView {}

impl fmt::Debug for PublishView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The payload may be secret: only its length is shown.
        f.debug_struct("PublishView")
            .field("flow", &self.flow())
            .field("retain", &self.retain())
            .field("topic", &self.topic())
            .field("properties", &self.properties())
            .field("payload_len", &self.payload().len())
            .finish()
    }
}
