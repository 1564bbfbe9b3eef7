//! What passes before and after a vector.

use bytes::BytesMut;
use mqtt_behaviour::Result;
use mqtt_judged::config;
use mqtt_session::proto::{Decoder, Packet, Publish, Sender, Version};
use mqtt_session::{Backoff, Config};
use std::time::Duration;

use crate::vectors::Vector;

/// Topic Alias, 65,535.
const ALIAS: [u8; 3] = [0x23, 0xFF, 0xFF];

impl Vector {
    /// It connects once.
    pub(crate) fn config(&self) -> Result<Config> {
        let never = Duration::from_secs(3600);
        let backoff = Backoff {
            first: never,
            longest: never,
            ..Backoff::default()
        };
        Ok(config("fuzzish", self.version).backoff(backoff).build()?)
    }

    pub(crate) fn connect(&self) -> Vec<u8> {
        let (name, properties): (&[u8], &[u8]) = match self.version {
            Version::V3_1 => (b"\x00\x06MQIsdp\x03", b""),
            Version::V3_1_1 => (b"\x00\x04MQTT\x04", b""),
            Version::V5 => (b"\x00\x04MQTT\x05", b"\x03\x21\x00\x14"),
        };
        let rest: [&[u8]; 4] = [name, b"\x02\x00\x3C", properties, b"\x00\x07fuzzish"];
        let rest = rest.concat();
        [&[0x10, rest.len() as u8], &rest[..]].concat()
    }

    pub(crate) fn connack(&self) -> &'static [u8] {
        match self.version {
            Version::V5 => b"\x20\x03\x00\x00\x00",
            _ => b"\x20\x02\x00\x00",
        }
    }

    /// What goes out before the vector comes, as a packet; nothing for most.
    ///
    /// The vectors of 5.0 want a topic alias in it, though CONNACK gave no Topic Alias Maximum, so that there must be none [MQTT-3.2.2-18]. It is
    /// left out.
    pub(crate) fn published(&self) -> Vec<u8> {
        let mut packet = self.awaits.clone();
        let alias = packet.windows(ALIAS.len()).position(|part| part == ALIAS);
        if let Some(alias) = alias {
            packet.drain(alias..alias + ALIAS.len());
            // Both lengths are of one byte: that of the packet, and that of the properties behind topic and packet identifier.
            let topic = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
            for length in [1, 4 + topic + 2] {
                assert!(packet[length] < 0x80);
                packet[length] -= ALIAS.len() as u8;
            }
        }
        packet
    }

    /// The same as a message.
    pub(crate) fn message(&self) -> Result<Option<Publish>> {
        assert_eq!(self.publishes, !self.awaits.is_empty());
        if !self.publishes {
            return Ok(None);
        }
        let decoder = Decoder::new(self.version, Sender::Client);
        let packet = decoder.decode(&mut BytesMut::from(&self.published()[..]))?;
        match packet {
            Some(Packet::Publish(publish)) => Ok(publish.to_publish()),
            other => Err(format!("{other:?} is no message").into()),
        }
    }

    /// A message of QoS 1 that shows whether the client lives.
    pub(crate) fn probe(&self) -> Vec<u8> {
        let properties: &[u8] = match self.version {
            Version::V5 => b"\x00",
            _ => b"",
        };
        let rest = [b"\x00\x05probe\xFF\xFF", properties].concat();
        [&[0x32, rest.len() as u8], &rest[..]].concat()
    }

    /// How it is acknowledged.
    pub(crate) const PROBED: &[u8] = b"\x40\x02\xFF\xFF";

    /// What a client may say before it closes: DISCONNECT with a reason in 5.0, and nothing in 3.x.
    pub(crate) fn check_last_words(&self, words: &[u8]) -> Result {
        let decoder = Decoder::new(self.version, Sender::Client);
        let mut rest = BytesMut::from(words);
        let right = match decoder.decode(&mut rest)? {
            None => rest.is_empty(),
            Some(Packet::Disconnect(disconnect)) => {
                self.version.is_v5() && disconnect.reason.is_error() && rest.is_empty()
            }
            Some(_) => false,
        };
        if right {
            Ok(())
        } else {
            Err(format!("it says {words:02X?} before it closes").into())
        }
    }
}
