use arbitrary::Unstructured;
use bytes::Bytes;
use mqtt_proto::{
    PacketId, PacketType, Properties, PropertyId, PropertyValue, QoS, Text, Topic, TopicFilter,
    Version,
};

use crate::reference::{self, Kind, Place};
use crate::{Codec, set};

/// Values of fields.
pub(super) struct Values<'a> {
    pub(super) u: Unstructured<'a>,
    pub(super) codec: Codec,
    pub(super) wild: bool,
}

/// Characters at the edges of UTF-8 and of what MQTT says about it.
const RARE: [char; 10] = [
    '\u{1}',
    '\u{7F}',
    'é',
    '\u{7FF}',
    '\u{800}',
    '\u{FEFF}',
    '\u{FFFF}',
    '\u{10000}',
    '\u{10FFFF}',
    '/',
];

/// The longest string or binary data.
const LONGEST: usize = 65_535;

impl Values<'_> {
    pub(super) fn byte(&mut self) -> u8 {
        self.u.arbitrary().unwrap_or(0)
    }

    pub(super) fn two(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn four(&mut self) -> u32 {
        u32::from(self.two()) << 16 | u32::from(self.two())
    }

    pub(super) fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    pub(super) fn qos(&mut self) -> QoS {
        QoS::from_u8(self.byte() % 3).unwrap_or_default()
    }

    pub(super) fn packet_id(&mut self) -> PacketId {
        PacketId::new(self.two()).unwrap_or(PacketId::MAX)
    }

    /// Seldom the longest, which takes long.
    fn string(&mut self) -> String {
        match self.byte() {
            0xFF if self.byte() == 0xFF => "x".repeat(LONGEST),
            count => (0..count % 32).map(|_| self.char()).collect(),
        }
    }

    fn char(&mut self) -> char {
        match self.byte() {
            0 => 'a',
            ascii @ 1..128 => char::from(ascii),
            other => RARE[usize::from(other) % RARE.len()],
        }
    }

    pub(super) fn text(&mut self) -> Text {
        self.string().try_into().expect("a text by construction")
    }

    pub(super) fn topic(&mut self) -> Topic {
        let text = self.string().replace(['+', '#'], "-");
        let named = if text.is_empty() {
            "t".to_owned()
        } else {
            text
        };
        named.try_into().expect("a topic by construction")
    }

    pub(super) fn filter(&mut self) -> TopicFilter {
        let mut levels = Vec::new();
        if self.byte() % 4 == 3 {
            let name = self.topic().as_str().replace('/', "-");
            levels.extend(["$share".to_owned(), name]);
        }
        for _ in 0..1 + self.byte() % 4 {
            levels.push(match self.byte() % 4 {
                0 => "+".to_owned(),
                _ => self.topic().as_str().to_owned(),
            });
        }
        if self.flag() {
            levels.push("#".to_owned());
        }
        let filter = levels.join("/");
        // Two of the longest names are too long together, and a topic may itself read `$share/`.
        TopicFilter::try_from(filter).unwrap_or_else(|_| {
            TopicFilter::try_from("$share/group/+/#").expect("a filter by construction")
        })
    }

    /// Binary data; above its longest where rules may be broken.
    pub(super) fn binary(&mut self) -> Bytes {
        let len = match self.byte() {
            0xFF if self.byte() == 0xFF => LONGEST + usize::from(self.wild && self.flag()),
            len => usize::from(len % 64),
        };
        vec![self.byte(); len].into()
    }

    /// From 4,096 bytes on, the outbox does not copy a payload.
    pub(super) fn payload(&mut self) -> Bytes {
        let len = match self.byte() {
            0xFE => 4_095,
            0xFF => 4_096 + 64 * usize::from(self.byte()),
            len => usize::from(len % 64),
        };
        vec![self.byte(); len].into()
    }

    /// Properties that may stand there; any at all where rules may be broken.
    pub(super) fn properties(&mut self, place: Place) -> Properties {
        let mut builder = Properties::builder();
        let mut seen = Vec::new();
        let count = self.byte() % 8;
        let (v5, sender) = (self.codec.version == Version::V5, self.sender());
        if !v5 && !self.wild {
            return Properties::new();
        }
        for _ in 0..count {
            let allowed = reference::allowed(place, sender);
            let pick = usize::from(self.byte());
            let any = self.wild && pick % 4 == 0;
            let id = match allowed.get(pick % allowed.len().max(1)) {
                Some(id) if !any => set::id(*id).expect("the tables have the same properties"),
                _ => PropertyId::ALL[pick % PropertyId::ALL.len()],
            };
            let repeats = id == PropertyId::USER_PROPERTY
                || id == PropertyId::SUBSCRIPTION_IDENTIFIER && self.wild
                || reference::may_repeat(id.get(), place);
            if repeats || !seen.contains(&id) {
                seen.push(id);
                builder = self.property(builder, id);
            }
        }
        let method = PropertyId::AUTHENTICATION_METHOD;
        let needs_method = match place {
            Place::Packet(PacketType::Auth) => true,
            Place::Packet(PacketType::Connect) => seen.contains(&PropertyId::AUTHENTICATION_DATA),
            _ => false,
        };
        if needs_method && !seen.contains(&method) && !self.wild {
            builder = builder.authentication_method("method");
        }
        builder.build().expect("properties by construction")
    }

    fn property(
        &mut self,
        builder: mqtt_proto::PropertiesBuilder,
        id: PropertyId,
    ) -> mqtt_proto::PropertiesBuilder {
        let (first, second, bytes, topic);
        let value = match reference::kind(id.get()).expect("the tables have the same properties") {
            Kind::Bool => PropertyValue::Byte(self.byte() % 2),
            Kind::Two => PropertyValue::TwoByte(self.two()),
            Kind::TwoNonZero => PropertyValue::TwoByte(self.two().max(1)),
            Kind::Four => PropertyValue::FourByte(self.four()),
            Kind::FourNonZero => PropertyValue::FourByte(self.four().max(1)),
            Kind::VarIntNonZero => PropertyValue::VarInt((self.four() >> 4).max(1)),
            Kind::Text => {
                first = self.string();
                PropertyValue::Text(&first)
            }
            Kind::Topic => {
                topic = self.topic();
                PropertyValue::Text(topic.as_str())
            }
            Kind::Binary => {
                bytes = self.binary();
                PropertyValue::Binary(&bytes[..bytes.len().min(LONGEST)])
            }
            Kind::Pair => {
                (first, second) = (self.string(), self.string());
                PropertyValue::Pair(&first, &second)
            }
        };
        set::put(builder, id, value)
    }
}
