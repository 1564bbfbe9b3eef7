use core::fmt;

use bytes::Bytes;

use crate::frame::{Fields, check_binary, properties_len, put_binary, put_properties};
use crate::property::{Place, Properties};
use crate::reader::Reader;
use crate::{
    DecodeError, EncodeError, Encoder, Outbox, PacketType, QoS, Sender, Text, Topic, Version,
};

/// CONNECT (section 3.1): the first packet of a connection.
#[derive(Clone, PartialEq, Eq)]
pub struct Connect {
    /// The version that the client wants to speak.
    pub version: Version,
    /// Client Identifier. Empty asks the server to assign one.
    pub client_id: Text,
    /// Clean Start, in 3.x Clean Session.
    pub clean_start: bool,
    /// Keep Alive, in seconds; 0 turns it off.
    pub keep_alive: u16,
    /// What the server shall publish when the connection is lost.
    pub will: Option<Will>,
    /// User Name.
    pub user_name: Option<Text>,
    /// Password, at most 65,535 bytes. In 3.x only with a user name.
    pub password: Option<Bytes>,
    /// The properties of the packet, in 5.0.
    pub properties: Properties,
}

/// The will (section 3.1.2.5): what the server publishes when the connection is lost without DISCONNECT.
#[derive(Clone, PartialEq, Eq)]
pub struct Will {
    /// Will Topic.
    pub topic: Topic,
    /// Will Payload, at most 65,535 bytes.
    pub payload: Bytes,
    /// Will QoS.
    pub qos: QoS,
    /// Will Retain.
    pub retain: bool,
    /// Will Properties, in 5.0.
    pub properties: Properties,
}

impl Will {
    /// A will at QoS 0, not retained, without properties.
    ///
    /// That the payload is no longer than 65,535 bytes is checked where CONNECT is.
    ///
    /// # Errors
    ///
    /// The topic is no topic name; a [`Topic`] is one already.
    pub fn new<T: TryInto<Topic>>(topic: T, payload: impl Into<Bytes>) -> Result<Self, T::Error> {
        Ok(Self {
            topic: topic.try_into()?,
            payload: payload.into(),
            qos: QoS::AtMostOnce,
            retain: false,
            properties: Properties::new(),
        })
    }

    /// Published with this QoS (section 3.1.2.6).
    pub fn with_qos(self, qos: QoS) -> Self {
        Self { qos, ..self }
    }

    /// Retained by the server or not (section 3.1.2.7).
    pub fn with_retain(self, retain: bool) -> Self {
        Self { retain, ..self }
    }

    /// With these properties, which only 5.0 can carry (section 3.1.3.2): Will Delay Interval, say.
    pub fn with_properties(self, properties: Properties) -> Self {
        Self { properties, ..self }
    }
}

const RESERVED: u8 = 1;
const CLEAN_START: u8 = 1 << 1;
const WILL: u8 = 1 << 2;
const WILL_QOS: u8 = 0b11 << 3;
const WILL_RETAIN: u8 = 1 << 5;
const PASSWORD: u8 = 1 << 6;
const USER_NAME: u8 = 1 << 7;

impl Connect {
    pub(crate) fn decode<'f>(frame: &'f Bytes, r: &mut Reader<'f>) -> Result<Self, DecodeError> {
        let name = r.binary("protocol name")?;
        let level = r.u8("protocol level")?;
        let version =
            Version::from_wire(name, level).ok_or(DecodeError::UnknownProtocol { level })?;
        let flags = r.u8("connect flags")?;
        let bad_flags = DecodeError::BadConnectFlags { flags };
        // [MQTT-3.1.2-3], [MQTT-3.1.2-11], [MQTT-3.1.2-13]
        if flags & RESERVED != 0 || (flags & WILL == 0 && flags & (WILL_QOS | WILL_RETAIN) != 0) {
            return Err(bad_flags);
        }
        // [MQTT-3.1.2-12]
        let will_qos = QoS::from_u8((flags & WILL_QOS) >> 3).ok_or(bad_flags)?;
        // In 3.x [MQTT-3.1.2-22].
        if !version.is_v5() && flags & PASSWORD != 0 && flags & USER_NAME == 0 {
            return Err(bad_flags);
        }
        let keep_alive = r.u16("keep alive")?;
        let mut f = Fields { frame, r };
        let properties =
            f.properties(version, Place::Packet(PacketType::Connect), Sender::Client)?;
        let client_id = f.text("client identifier")?;
        let will = if flags & WILL != 0 {
            let properties = f.properties(version, Place::Will, Sender::Client)?;
            let field = "will topic";
            let topic = Topic::from_bytes(f.binary(field)?)
                .map_err(|error| DecodeError::topic(field, error))?;
            let payload = f.binary("will payload")?;
            Some(Will {
                topic,
                payload,
                qos: will_qos,
                retain: flags & WILL_RETAIN != 0,
                properties,
            })
        } else {
            None
        };
        let user_name = if flags & USER_NAME != 0 {
            Some(f.text("user name")?)
        } else {
            None
        };
        let password = if flags & PASSWORD != 0 {
            Some(f.binary("password")?)
        } else {
            None
        };
        let clean_start = flags & CLEAN_START != 0;
        Ok(Self {
            version,
            client_id,
            clean_start,
            keep_alive,
            will,
            user_name,
            password,
            properties,
        })
    }

    /// Whether the version can carry this packet; [`Encoder::encode`] checks the same.
    pub fn check(&self) -> Result<(), EncodeError> {
        self.body_len().map(|_| ())
    }

    pub(crate) fn body_len(&self) -> Result<usize, EncodeError> {
        let version = self.version;
        let len = self.client_id.len();
        // [MQTT-3.1.3-7] of 3.1.1; 3.1 asks for 1 to 23 characters (section 3.1 of 3.1).
        let bad_id = match version {
            Version::V3_1 => !(1..=23).contains(&self.client_id.as_str().chars().count()),
            Version::V3_1_1 => len == 0 && !self.clean_start,
            Version::V5 => false,
        };
        if bad_id {
            return Err(EncodeError::BadClientId { version, len });
        }
        // [MQTT-3.1.2-22] of 3.1.1
        if !version.is_v5() && self.password.is_some() && self.user_name.is_none() {
            return Err(EncodeError::PasswordWithoutUserName { version });
        }
        let place = Place::Packet(PacketType::Connect);
        let mut body = 2 + version.protocol_name().len() + 1 + 1 + 2;
        body += properties_len(version, self.properties.view(), place, Sender::Client)?;
        body += 2 + len;
        if let Some(will) = &self.will {
            check_binary("will payload", &will.payload)?;
            body += properties_len(version, will.properties.view(), Place::Will, Sender::Client)?;
            body += 2 + will.topic.as_bytes().len() + 2 + will.payload.len();
        }
        if let Some(user_name) = &self.user_name {
            body += 2 + user_name.len();
        }
        if let Some(password) = &self.password {
            check_binary("password", password)?;
            body += 2 + password.len();
        }
        if self.properties.view().authentication_data().is_some()
            && self.properties.view().authentication_method().is_none()
        {
            return Err(EncodeError::NoAuthenticationMethod);
        }
        Ok(body)
    }

    pub(crate) fn encode(&self, encoder: &Encoder, out: &mut Outbox) -> Result<usize, EncodeError> {
        encoder.check_sender(PacketType::Connect, Sender::Client)?;
        let version = self.version;
        encoder.put(PacketType::Connect, 0, self.body_len()?, out, |out| {
            put_binary(version.protocol_name().as_bytes(), out);
            out.push(version.level());
            out.push(self.flags());
            out.extend_from_slice(&self.keep_alive.to_be_bytes());
            put_properties(version, self.properties.view(), out);
            // [MQTT-3.1.3-1]: client identifier, will properties, topic, payload, user name, password.
            put_binary(self.client_id.as_bytes(), out);
            if let Some(will) = &self.will {
                put_properties(version, will.properties.view(), out);
                put_binary(will.topic.as_bytes(), out);
                put_binary(&will.payload, out);
            }
            if let Some(user_name) = &self.user_name {
                put_binary(user_name.as_bytes(), out);
            }
            if let Some(password) = &self.password {
                put_binary(password, out);
            }
        })
    }

    fn flags(&self) -> u8 {
        let mut flags = 0;
        if self.clean_start {
            flags |= CLEAN_START;
        }
        if let Some(will) = &self.will {
            flags |= WILL | will.qos.as_u8() << 3;
            if will.retain {
                flags |= WILL_RETAIN;
            }
        }
        if self.user_name.is_some() {
            flags |= USER_NAME;
        }
        if self.password.is_some() {
            flags |= PASSWORD;
        }
        flags
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("version", &self.version)
            .field("client_id", &self.client_id)
            .field("clean_start", &self.clean_start)
            .field("keep_alive", &self.keep_alive)
            .field("will", &self.will)
            .field("user_name", &self.user_name)
            .field("password", &self.password.as_ref().map(|_| "(secret)"))
            .field("properties", &self.properties)
            .finish()
    }
}

impl fmt::Debug for Will {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Will")
            .field("topic", &self.topic)
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .field("properties", &self.properties)
            .field("payload_len", &self.payload.len())
            .finish()
    }
}
