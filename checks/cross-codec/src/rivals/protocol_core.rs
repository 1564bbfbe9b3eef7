//! `mqtt-protocol-core` 0.7.9.

mod properties;
mod v3;
mod v5;

use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::{PacketBuildResult, PacketBuilder};
use mqtt_protocol_core::mqtt::packet::Qos;

use crate::Rival;
use crate::model::{Kind, Packet, Version};

pub struct ProtocolCore;

impl Rival for ProtocolCore {
    fn kinds(version: Version) -> Vec<Kind> {
        Kind::ALL
            .into_iter()
            .filter(|kind| version == Version::V5 || *kind != Kind::Auth)
            .collect()
    }

    fn gaps(version: Version, packet: &mut Packet) {
        // Refuses a password without a user name, which 5.0 allows (section 3.1.2.9).
        if let Packet::Connect(connect) = packet
            && version == Version::V5
            && connect.user_name.is_none()
        {
            connect.password = None;
        }
    }

    fn encode(version: Version, packet: &Packet) -> Vec<u8> {
        match version {
            Version::V3_1_1 => v3::encode(packet),
            Version::V5 => v5::encode(packet),
        }
    }

    fn decode(version: Version, bytes: &[u8]) -> Result<Packet, String> {
        let mut input = Cursor::new(bytes);
        let raw = match PacketBuilder::new().feed(&mut input) {
            PacketBuildResult::Complete(raw) => raw,
            other => return Err(format!("{other:?}")),
        };
        assert_eq!(input.position(), bytes.len() as u64, "bytes are left");
        match version {
            Version::V3_1_1 => v3::decode(&raw),
            Version::V5 => v5::decode(&raw),
        }
        .map_err(|e| e.to_string())
    }
}

fn qos(qos: u8) -> Qos {
    Qos::try_from(qos).expect("0, 1 or 2")
}
