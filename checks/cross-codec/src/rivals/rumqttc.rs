//! `rumqttc` 0.25.1: its modules `mqttbytes::v4` and `v5::mqttbytes::v5`.

mod codes;
mod v4;
mod v5;

use crate::Rival;
use crate::model::{Kind, Packet, Version, id};

pub struct Rumqttc;

impl Rival for Rumqttc {
    fn kinds(_: Version) -> Vec<Kind> {
        // It has no decoder for AUTH (section 3.15), and counts two bytes too few for each string when it encodes one.
        Kind::ALL
            .into_iter()
            .filter(|kind| *kind != Kind::Auth)
            .collect()
    }

    fn gaps(version: Version, packet: &mut Packet) {
        match packet {
            Packet::Connect(connect) => {
                // Takes an empty user name for none, and an empty password for none; section 3.1.3.5 allows both to be empty.
                if connect.user_name.as_deref() == Some("") {
                    connect.user_name = Some("u".to_owned());
                }
                // Refuses a password that is not UTF-8; it is binary data (section 3.1.3.6).
                if let Some(password) = &mut connect.password {
                    let text = String::from_utf8_lossy(password);
                    *password = if text.is_empty() {
                        b"p".to_vec()
                    } else {
                        text.into_owned().into_bytes()
                    };
                }
            }
            Packet::Publish(publish) => {
                // Counts a byte too many for each subscription identifier that it reads, so that from several on it takes the
                // last property for payload (section 3.3.2.3.8).
                publish.properties.subscription_ids.truncate(1);
            }
            // Refuses a DISCONNECT without reason code, and one without property length (sections 3.14.2.1 and 3.14.2.2.1), and
            // writes a wrong remaining length for one without properties.
            Packet::Disconnect { properties, .. }
                if version == Version::V5 && properties.is_empty() =>
            {
                properties.set(id::REASON_STRING, Some("reason".to_owned()));
            }
            _ => {}
        }
    }

    fn encode(version: Version, packet: &Packet) -> Vec<u8> {
        match version {
            Version::V3_1_1 => v4::encode(packet),
            Version::V5 => v5::encode(packet),
        }
    }

    fn decode(version: Version, bytes: &[u8]) -> Result<Packet, String> {
        match version {
            Version::V3_1_1 => v4::decode(bytes),
            Version::V5 => v5::decode(bytes),
        }
    }
}
