//! The log of packets, and how it prints.

use core::fmt;

use mqtt_proto::{
    Flow, Packet, PacketId, PacketType, PropertiesRef, PropertyId, PropertyValue, QoS, ReasonCode,
};

use super::ConnId;
use crate::{Direction, Time};

/// What a packet says, without its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Its type.
    pub packet_type: PacketType,
    /// The packet identifier, where it has one.
    pub id: Option<PacketId>,
    /// The QoS of a PUBLISH.
    pub qos: Option<QoS>,
    /// The DUP flag of a PUBLISH.
    pub dup: bool,
    /// The RETAIN flag of a PUBLISH.
    pub retain: bool,
    /// The topic of a PUBLISH; empty where an alias stands for it.
    pub topic: Option<String>,
    /// The length of the payload of a PUBLISH.
    pub payload_len: usize,
    /// The reason code, in packets that have one.
    pub reason: Option<ReasonCode>,
    /// Everything else in words: options, filters, properties.
    pub notes: String,
}

impl Summary {
    pub(crate) fn new(packet_type: PacketType) -> Self {
        Self {
            packet_type,
            id: None,
            qos: None,
            dup: false,
            retain: false,
            topic: None,
            payload_len: 0,
            reason: None,
            notes: String::new(),
        }
    }

    pub(crate) fn publish(flow: Flow, retain: bool, topic: &str, payload: &[u8]) -> Self {
        Self {
            id: flow.packet_id(),
            qos: Some(flow.qos()),
            dup: flow.dup(),
            retain,
            topic: Some(topic.to_owned()),
            payload_len: payload.len(),
            ..Self::new(PacketType::Publish)
        }
    }

    pub(crate) fn of(packet: &Packet) -> Self {
        let mut summary = Self::new(packet.packet_type());
        let notes = &mut summary.notes;
        match packet {
            Packet::Publish(view) => {
                summary = Self::publish(
                    view.flow(),
                    view.retain(),
                    view.topic().as_str(),
                    view.payload(),
                );
                note_properties(&mut summary.notes, view.properties());
            }
            Packet::Connect(connect) => {
                let start = if connect.clean_start {
                    "clean start"
                } else {
                    "resume"
                };
                *notes = format!(
                    "{} '{}', {start}, keep alive {} s",
                    connect.version, connect.client_id, connect.keep_alive
                );
                if let Some(will) = &connect.will {
                    *notes += &format!(", will '{}' {}", will.topic, will.qos);
                }
                note_properties(notes, connect.properties.view());
            }
            Packet::ConnAck(connack) => {
                if connack.session_present {
                    *notes = "session present".into();
                }
                note_properties(notes, connack.properties.view());
                summary.reason = Some(connack.reason);
            }
            Packet::PubAck(ack)
            | Packet::PubRec(ack)
            | Packet::PubRel(ack)
            | Packet::PubComp(ack) => {
                note_properties(notes, ack.properties.view());
                summary.id = Some(ack.id);
                summary.reason = Some(ack.reason);
            }
            Packet::Subscribe(subscribe) => {
                let filters = subscribe.filters.iter().map(|(filter, options)| {
                    let mut text = format!("'{filter}' {}", options.qos);
                    for (set, name) in [
                        (options.no_local, " no local"),
                        (options.retain_as_published, " retain as published"),
                    ] {
                        text += if set { name } else { "" };
                    }
                    text
                });
                *notes = filters.collect::<Vec<_>>().join(", ");
                note_properties(notes, subscribe.properties.view());
                summary.id = Some(subscribe.id);
            }
            Packet::SubAck(suback) => {
                *notes = codes(&suback.codes);
                note_properties(notes, suback.properties.view());
                summary.id = Some(suback.id);
            }
            Packet::Unsubscribe(unsubscribe) => {
                let filters = unsubscribe.filters.iter().map(|f| format!("'{f}'"));
                *notes = filters.collect::<Vec<_>>().join(", ");
                summary.id = Some(unsubscribe.id);
            }
            Packet::UnsubAck(unsuback) => {
                *notes = codes(&unsuback.codes);
                summary.id = Some(unsuback.id);
            }
            Packet::PingReq | Packet::PingResp => {}
            Packet::Disconnect(disconnect) => {
                note_properties(notes, disconnect.properties.view());
                summary.reason = Some(disconnect.reason);
            }
            Packet::Auth(auth) => {
                note_properties(notes, auth.properties.view());
                summary.reason = Some(auth.reason);
            }
        }
        summary
    }
}

fn codes(codes: &[ReasonCode]) -> String {
    let codes = codes.iter().map(|code| format!("0x{:02X}", code.0));
    codes.collect::<Vec<_>>().join(", ")
}

fn note_properties(notes: &mut String, properties: PropertiesRef<'_>) {
    for (id, value) in properties {
        if !notes.is_empty() {
            *notes += ", ";
        }
        *notes += &match value {
            // May be secret, and may be long.
            PropertyValue::Binary(bytes) => format!("{id} {} B", bytes.len()),
            PropertyValue::Pair(name, value) if id == PropertyId::USER_PROPERTY => {
                format!("{name}={value}")
            }
            PropertyValue::Byte(value) => format!("{id} {value}"),
            PropertyValue::TwoByte(value) => format!("{id} {value}"),
            PropertyValue::FourByte(value) | PropertyValue::VarInt(value) => {
                format!("{id} {value}")
            }
            PropertyValue::Text(value) => format!("{id} '{value}'"),
            value => format!("{id} {value:?}"),
        };
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.packet_type)?;
        if let Some(id) = self.id {
            write!(f, " {id}")?;
        }
        if let Some(qos) = self.qos {
            write!(f, " {qos}")?;
        }
        if self.dup {
            f.write_str(" DUP")?;
        }
        if self.retain {
            f.write_str(" RETAIN")?;
        }
        if let Some(topic) = &self.topic {
            write!(f, " '{topic}' {} B", self.payload_len)?;
        }
        match self.reason {
            Some(ReasonCode::SUCCESS) | None => {}
            Some(reason) => write!(f, " {reason}")?,
        }
        if !self.notes.is_empty() {
            write!(f, " ({})", self.notes)?;
        }
        Ok(())
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogEvent {
    /// A packet passed the broker's edge. One to the client is logged when it is given out and not while it is held.
    Packet(Direction, Summary),
    /// Bytes that a test has injected, by their count.
    Injected(usize),
    /// Anything else, in words.
    Note(String),
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogEntry {
    /// When.
    pub time: Time,
    /// On which connection.
    pub conn: ConnId,
    /// What.
    pub event: LogEvent,
}

impl LogEntry {
    /// The packet that went in this direction, if the entry tells of one.
    pub fn packet(&self, direction: Direction) -> Option<&Summary> {
        match &self.event {
            LogEvent::Packet(d, summary) if *d == direction => Some(summary),
            _ => None,
        }
    }
}

impl fmt::Display for LogEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12.6} {:>4} ", self.time.as_secs_f64(), self.conn)?;
        match &self.event {
            LogEvent::Packet(Direction::ToBroker, summary) => write!(f, "---> {summary}"),
            LogEvent::Packet(Direction::ToClient, summary) => write!(f, "<--- {summary}"),
            LogEvent::Injected(bytes) => write!(f, "<--- {bytes} injected bytes"),
            LogEvent::Note(text) => write!(f, "     {text}"),
        }
    }
}

/// Prints the log as a ladder: a line for each packet, an arrow towards the broker (`--->`) or towards the client (`<---`).
#[derive(Clone, Copy, Debug)]
pub struct Ladder<'a> {
    pub(crate) entries: &'a [LogEntry],
}

impl fmt::Display for Ladder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries
            .iter()
            .try_for_each(|entry| writeln!(f, "{entry}"))
    }
}
