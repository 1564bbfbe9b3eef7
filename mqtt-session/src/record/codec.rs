//! The bytes of a record.
//!
//! A header of ten bytes, then the body. All numbers are little-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | length of the body |
//! | 2 | low half of the CRC-32C of those four bytes: a length that was altered does not pass for a record that is cut off |
//! | 4 | CRC-32C of the body |
//!
//! The body begins with a byte for the kind. Text and tags are preceded by their length, tokens take as few bytes as they need (seven bits
//! each, lowest first), and a message is a PUBLISH of MQTT 5.0, whatever version it is for: its bytes are what the codec checks anyway.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};
use mqtt_proto::{
    Decoder, EncodeError, Encoder, Flow, Outbox, Packet, PacketId, Publish, QoS, ReasonCode,
    Sender, Version,
};

use super::crc::crc32c;
use super::{Accepted, Ending, Identity, Lifetime, Moved, Record, RecordError, UnixTime};
use crate::Token;

/// The version of the format, which [`Record::Identity`] carries.
const FORMAT: u8 = 1;

const HEADER: usize = 10;

mod kind {
    pub(super) const IDENTITY: u8 = 1;
    pub(super) const SESSION_BEGAN: u8 = 2;
    pub(super) const ACCEPTED: u8 = 3;
    pub(super) const SENT: u8 = 4;
    pub(super) const PUBREC: u8 = 5;
    pub(super) const FINISHED: u8 = 6;
    pub(super) const FREED: u8 = 7;
    pub(super) const RECORDED: u8 = 8;
    pub(super) const RELEASED: u8 = 9;
    pub(super) const AWAITS_PUBCOMP: u8 = 10;
    pub(super) const KEPT: u8 = 11;
}

mod ending {
    pub(super) const ACKNOWLEDGED: u8 = 1;
    pub(super) const REJECTED: u8 = 2;
    pub(super) const SESSION_LOST: u8 = 3;
    pub(super) const NOT_SENT: u8 = 4;
}

const HAS_TAG: u8 = 1;
const EXPIRES: u8 = 2;
const REPUBLISHED: u8 = 4;
const WRITE_AHEAD: u8 = 8;

impl Record {
    /// The version of the format that [`encode`](Self::encode) writes, and the only one that [`decode`](Self::decode) reads.
    pub const FORMAT_VERSION: u8 = FORMAT;

    /// Appends the record's bytes, which tell their own length: records can be written one behind the other.
    ///
    /// # Errors
    ///
    /// The message can't be written as one PUBLISH: no record that a session gives has such a message. Then nothing is appended.
    pub fn encode(&self, out: &mut BytesMut) -> Result<(), EncodeError> {
        let start = out.len();
        out.put_bytes(0, HEADER);
        let body = self
            .put_body(out)
            .and_then(|()| {
                let len = out.len() - start - HEADER;
                u32::try_from(len).map_err(|_| EncodeError::PacketTooLarge {
                    size: len,
                    max: u32::MAX,
                })
            })
            .inspect_err(|_| out.truncate(start))?
            .to_le_bytes();
        let sum = crc32c(&out[start + HEADER..]);
        let mut header = &mut out[start..start + HEADER];
        header.put_slice(&body);
        header.put_u16_le(crc32c(&body) as u16);
        header.put_u32_le(sum);
        Ok(())
    }

    fn put_body(&self, out: &mut BytesMut) -> Result<(), EncodeError> {
        match self {
            Self::Identity(identity) => {
                let flags = u8::from(identity.write_ahead) * WRITE_AHEAD;
                out.put_slice(&[kind::IDENTITY, FORMAT, identity.version.level(), flags]);
                out.put_u32_le(identity.session_expiry);
                out.put_u16_le(identity.base);
                put_number(out, identity.next_token.0);
                put_bytes(out, identity.group.as_bytes());
                put_bytes(out, identity.client_id.as_bytes());
                put_number(out, identity.moved.len() as u64);
                for Moved { from, to } in &identity.moved {
                    put_bytes(out, from.as_bytes());
                    put_bytes(out, to.as_bytes());
                }
            }
            Self::SessionBegan => out.put_u8(kind::SESSION_BEGAN),
            Self::Accepted(accepted) => put_accepted(out, accepted)?,
            Self::Sent { token, id } => {
                put_token(out, kind::SENT, *token);
                out.put_u16_le(id.get());
            }
            Self::PubRec { token, reason } => {
                put_token(out, kind::PUBREC, *token);
                out.put_u8(reason.0);
            }
            Self::Finished { token, ending } => {
                put_token(out, kind::FINISHED, *token);
                let (ending, reason) = match ending {
                    Ending::Acknowledged(reason) => (ending::ACKNOWLEDGED, *reason),
                    Ending::Rejected(reason) => (ending::REJECTED, *reason),
                    Ending::SessionLost => (ending::SESSION_LOST, ReasonCode::SUCCESS),
                    Ending::NotSent => (ending::NOT_SENT, ReasonCode::SUCCESS),
                };
                out.put_slice(&[ending, reason.0]);
            }
            Self::AwaitsPubComp {
                token,
                id,
                reason,
                republished,
                tag,
            } => {
                put_token(out, kind::AWAITS_PUBCOMP, *token);
                out.put_u16_le(id.get());
                out.put_u8(reason.0);
                let republished = u8::from(*republished) * REPUBLISHED;
                out.put_u8(tag_flag(tag) | republished);
                put_tag(out, tag);
            }
            Self::Kept { id } => put_id(out, kind::KEPT, *id),
            Self::Freed { id } => put_id(out, kind::FREED, *id),
            Self::Recorded { id } => put_id(out, kind::RECORDED, *id),
            Self::Released { id } => put_id(out, kind::RELEASED, *id),
        }
        Ok(())
    }

    /// Takes a record from the front of `input`; `None` where that is empty.
    ///
    /// What it holds is a copy: `input` is not kept alive.
    ///
    /// # Errors
    ///
    /// The bytes are no record, and `input` is as it was. [`RecordError::Truncated`] is what a crash leaves at the end of a log; a log whose
    /// file grew before it was written can end in zeros instead, which are [`RecordError::CheckSum`].
    pub fn decode(input: &mut &[u8]) -> Result<Option<Self>, RecordError> {
        if input.is_empty() {
            return Ok(None);
        }
        let truncated = |wanted| RecordError::Truncated {
            wanted,
            got: input.len(),
        };
        let Some((header, rest)) = input.split_at_checked(HEADER) else {
            return Err(truncated(HEADER));
        };
        let mut r = Reader(header);
        let (len, len_sum, sum) = (r.array::<4>()?, r.u16()?, r.u32()?);
        check("length", len_sum.into(), crc32c(&len) & 0xFFFF)?;
        let len = usize::try_from(u32::from_le_bytes(len)).unwrap_or(usize::MAX);
        let Some((body, rest)) = rest.split_at_checked(len) else {
            return Err(truncated(len.saturating_add(HEADER)));
        };
        check("body", sum, crc32c(body))?;
        let mut r = Reader(body);
        let record = Self::read_body(&mut r)?;
        if !r.0.is_empty() {
            return Err(bad("length"));
        }
        *input = rest;
        Ok(Some(record))
    }

    fn read_body(r: &mut Reader<'_>) -> Result<Self, RecordError> {
        Ok(match r.u8()? {
            kind::IDENTITY => {
                let found = r.u8()?;
                if found != FORMAT {
                    return Err(RecordError::FormatVersion {
                        found,
                        known: FORMAT,
                    });
                }
                let (version, flags) = (r.version()?, r.flags(WRITE_AHEAD)?);
                Self::Identity(Identity {
                    version,
                    write_ahead: flags & WRITE_AHEAD != 0,
                    session_expiry: r.u32()?,
                    base: r.u16()?,
                    next_token: r.token()?,
                    group: r.text("group")?,
                    client_id: r.text("client identifier")?,
                    moved: r.moved()?,
                })
            }
            kind::SESSION_BEGAN => Self::SessionBegan,
            kind::ACCEPTED => Self::Accepted(r.accepted()?),
            kind::SENT => Self::Sent {
                token: r.token()?,
                id: r.id()?,
            },
            kind::PUBREC => Self::PubRec {
                token: r.token()?,
                reason: ReasonCode(r.u8()?),
            },
            kind::FINISHED => Self::Finished {
                token: r.token()?,
                ending: r.ending()?,
            },
            kind::AWAITS_PUBCOMP => {
                let (token, id, reason) = (r.token()?, r.id()?, ReasonCode(r.u8()?));
                let flags = r.flags(HAS_TAG | REPUBLISHED)?;
                Self::AwaitsPubComp {
                    token,
                    id,
                    reason,
                    republished: flags & REPUBLISHED != 0,
                    tag: r.tag(flags)?,
                }
            }
            kind::KEPT => Self::Kept { id: r.id()? },
            kind::FREED => Self::Freed { id: r.id()? },
            kind::RECORDED => Self::Recorded { id: r.id()? },
            kind::RELEASED => Self::Released { id: r.id()? },
            _ => return Err(bad("kind")),
        })
    }
}

fn put_accepted(out: &mut BytesMut, accepted: &Accepted) -> Result<(), EncodeError> {
    put_token(out, kind::ACCEPTED, accepted.token);
    let expires = u8::from(accepted.lifetime.is_some()) * EXPIRES;
    let republished = u8::from(accepted.republished) * REPUBLISHED;
    out.put_u8(tag_flag(&accepted.tag) | expires | republished);
    put_tag(out, &accepted.tag);
    if let Some(lifetime) = accepted.lifetime {
        out.put_u64_le(lifetime.accepted.as_millis());
        out.put_u64_le(lifetime.over.as_millis());
    }
    let mut message = Outbox::new();
    message_encoder().publish(
        &accepted.publish,
        message_flow(accepted.qos),
        None,
        &mut message,
    )?;
    out.reserve(message.len());
    out.put(message);
    Ok(())
}

/// Whether a message can be written into a record.
pub(crate) fn check_message(qos: QoS, publish: &Publish) -> Result<(), EncodeError> {
    message_encoder()
        .publish_len(publish, message_flow(qos), None)
        .map(drop)
}

const fn message_encoder() -> Encoder {
    Encoder::new(Version::V5, Sender::Client)
}

/// Any identifier will do: which one it is sent under says another record.
const fn message_flow(qos: QoS) -> Flow {
    let (id, dup) = (PacketId::MIN, false);
    match qos {
        QoS::AtMostOnce => Flow::AtMostOnce,
        QoS::AtLeastOnce => Flow::AtLeastOnce { id, dup },
        QoS::ExactlyOnce => Flow::ExactlyOnce { id, dup },
    }
}

fn tag_flag(tag: &Option<Bytes>) -> u8 {
    u8::from(tag.is_some()) * HAS_TAG
}

fn put_tag(out: &mut BytesMut, tag: &Option<Bytes>) {
    if let Some(tag) = tag {
        put_bytes(out, tag);
    }
}

fn put_token(out: &mut BytesMut, kind: u8, token: Token) {
    out.put_u8(kind);
    put_number(out, token.0);
}

fn put_id(out: &mut BytesMut, kind: u8, id: PacketId) {
    out.put_u8(kind);
    out.put_u16_le(id.get());
}

fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.put_slice(bytes);
}

fn put_number(out: &mut BytesMut, mut number: u64) {
    while number >= 0x80 {
        out.put_u8(number as u8 | 0x80);
        number >>= 7;
    }
    out.put_u8(number as u8);
}

const fn bad(field: &'static str) -> RecordError {
    RecordError::Bad { field }
}

const fn check(part: &'static str, found: u32, expected: u32) -> Result<(), RecordError> {
    if found == expected {
        return Ok(());
    }
    Err(RecordError::CheckSum {
        part,
        found,
        expected,
    })
}

/// Reads the body, whose end is the end of the record.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], RecordError> {
        let (taken, rest) = self
            .0
            .split_at_checked(len)
            .ok_or(RecordError::Bad { field: "length" })?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let (array, rest) = self
            .0
            .split_first_chunk()
            .ok_or(RecordError::Bad { field: "length" })?;
        self.0 = rest;
        Ok(*array)
    }

    fn u8(&mut self) -> Result<u8, RecordError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16, RecordError> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, RecordError> {
        self.array().map(u32::from_le_bytes)
    }

    fn number(&mut self) -> Result<u64, RecordError> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7F);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                // One way to write each number.
                return if byte == 0 && shift > 0 {
                    Err(bad("number"))
                } else {
                    Ok(number)
                };
            }
        }
        Err(bad("number"))
    }

    fn token(&mut self) -> Result<Token, RecordError> {
        match self.number()? {
            0 => Err(bad("token")),
            token => Ok(Token(token)),
        }
    }

    fn id(&mut self) -> Result<PacketId, RecordError> {
        PacketId::new(self.u16()?).ok_or(RecordError::Bad {
            field: "packet identifier",
        })
    }

    fn time(&mut self) -> Result<UnixTime, RecordError> {
        self.array()
            .map(|millis| UnixTime::from_millis(u64::from_le_bytes(millis)))
    }

    fn flags(&mut self, known: u8) -> Result<u8, RecordError> {
        match self.u8()? {
            flags if flags & !known == 0 => Ok(flags),
            _ => Err(bad("flags")),
        }
    }

    fn tag(&mut self, flags: u8) -> Result<Option<Bytes>, RecordError> {
        if flags & HAS_TAG == 0 {
            return Ok(None);
        }
        self.bytes().map(Bytes::copy_from_slice).map(Some)
    }

    fn bytes(&mut self) -> Result<&'a [u8], RecordError> {
        let len = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        self.take(len)
    }

    fn text(&mut self, field: &'static str) -> Result<String, RecordError> {
        let text = core::str::from_utf8(self.bytes()?);
        text.map(String::from)
            .map_err(|_| RecordError::Bad { field })
    }

    fn moved(&mut self) -> Result<Vec<Moved>, RecordError> {
        let mut moved = Vec::new();
        for _ in 0..self.number()? {
            moved.push(Moved {
                from: self.text("moved from")?,
                to: self.text("moved to")?,
            });
        }
        Ok(moved)
    }

    fn version(&mut self) -> Result<Version, RecordError> {
        let level = self.u8()?;
        [Version::V3_1, Version::V3_1_1, Version::V5]
            .into_iter()
            .find(|version| version.level() == level)
            .ok_or(RecordError::Bad {
                field: "protocol version",
            })
    }

    fn ending(&mut self) -> Result<Ending, RecordError> {
        let (ending, reason) = (self.u8()?, ReasonCode(self.u8()?));
        match (ending, reason) {
            (ending::ACKNOWLEDGED, _) => Ok(Ending::Acknowledged(reason)),
            (ending::REJECTED, _) => Ok(Ending::Rejected(reason)),
            (ending::SESSION_LOST, ReasonCode::SUCCESS) => Ok(Ending::SessionLost),
            (ending::NOT_SENT, ReasonCode::SUCCESS) => Ok(Ending::NotSent),
            _ => Err(bad("ending")),
        }
    }

    fn accepted(&mut self) -> Result<Accepted, RecordError> {
        let token = self.token()?;
        let flags = self.flags(HAS_TAG | EXPIRES | REPUBLISHED)?;
        let tag = self.tag(flags)?;
        let lifetime = match flags & EXPIRES {
            0 => None,
            _ => Some(Lifetime {
                accepted: self.time()?,
                over: self.time()?,
            }),
        };
        let (qos, publish) = self.message()?;
        Ok(Accepted {
            token,
            qos,
            publish,
            tag,
            lifetime,
            republished: flags & REPUBLISHED != 0,
        })
    }

    fn message(&mut self) -> Result<(QoS, Publish), RecordError> {
        let mut bytes = BytesMut::from(core::mem::take(&mut self.0));
        let packet = Decoder::new(Version::V5, Sender::Client).decode(&mut bytes)?;
        match packet {
            Some(Packet::Publish(view))
                if bytes.is_empty() && view.flow() == message_flow(view.qos()) =>
            {
                let publish = view.to_publish().filter(|_| view.topic_alias().is_none());
                let publish = publish.ok_or(RecordError::Bad { field: "message" })?;
                match view.qos() {
                    QoS::AtMostOnce => Err(bad("message")),
                    qos => Ok((qos, publish)),
                }
            }
            _ => Err(bad("message")),
        }
    }
}
