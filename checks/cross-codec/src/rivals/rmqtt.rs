//! `rmqtt-codec` 0.3.1.

mod v3;
mod v5;

use crate::Rival;
use crate::model::{Kind, Packet, Properties, Version, id};

pub struct Rmqtt;

impl Rival for Rmqtt {
    fn kinds(version: Version) -> Vec<Kind> {
        Kind::ALL
            .into_iter()
            .filter(|kind| version == Version::V5 || *kind != Kind::Auth)
            .collect()
    }

    fn gaps(version: Version, packet: &mut Packet) {
        match packet {
            Packet::Connect(connect) => {
                // Refuses an empty client identifier without Clean Start, which section 3.1.3.1 of 5.0 leaves to the server.
                if version == Version::V5 && connect.client_id.is_empty() {
                    connect.clean_start = true;
                }
                if let Some(will) = &mut connect.will {
                    // Refuses a will of message expiry interval 0, which section 3.1.3.2.4 does not exclude.
                    without_zero_expiry(&mut will.properties);
                }
                // These hold the default where the property is absent: equal in meaning, so one form of the two is tried.
                absent_if_default(&mut connect.properties, id::SESSION_EXPIRY_INTERVAL, 0u32);
                absent_if_default(
                    &mut connect.properties,
                    id::REQUEST_PROBLEM_INFORMATION,
                    1u8,
                );
                absent_if_default(
                    &mut connect.properties,
                    id::REQUEST_RESPONSE_INFORMATION,
                    0u8,
                );
                absent_if_default(&mut connect.properties, id::TOPIC_ALIAS_MAXIMUM, 0u16);
            }
            Packet::ConnAck { properties, .. } => {
                absent_if_default(properties, id::RECEIVE_MAXIMUM, u16::MAX);
                absent_if_default(properties, id::TOPIC_ALIAS_MAXIMUM, 0u16);
                absent_if_default(properties, id::RETAIN_AVAILABLE, 1u8);
                absent_if_default(properties, id::WILDCARD_SUBSCRIPTION_AVAILABLE, 1u8);
                absent_if_default(properties, id::SUBSCRIPTION_IDENTIFIER_AVAILABLE, 1u8);
                absent_if_default(properties, id::SHARED_SUBSCRIPTION_AVAILABLE, 1u8);
            }
            Packet::Publish(publish) => {
                // Refuses a message expiry interval of 0, which section 3.3.2.3.3 does not exclude.
                without_zero_expiry(&mut publish.properties);
                absent_if_default(&mut publish.properties, id::PAYLOAD_FORMAT_INDICATOR, 0u8);
            }
            _ => {}
        }
    }

    fn encode(version: Version, packet: &Packet) -> Vec<u8> {
        match version {
            Version::V3_1_1 => v3::encode(packet),
            Version::V5 => v5::encode(packet),
        }
    }

    fn decode(version: Version, bytes: &[u8]) -> Result<Packet, String> {
        match version {
            Version::V3_1_1 => v3::decode(bytes),
            Version::V5 => v5::decode(bytes),
        }
    }
}

fn without_zero_expiry(properties: &mut Properties) {
    if properties.get::<u32>(id::MESSAGE_EXPIRY_INTERVAL) == Some(0) {
        properties.set(id::MESSAGE_EXPIRY_INTERVAL, Some(1u32));
    }
}

fn absent_if_default<T>(properties: &mut Properties, id: u8, default: T)
where
    T: From<crate::model::Value> + PartialEq,
{
    if properties
        .get::<T>(id)
        .is_some_and(|value| value == default)
    {
        properties.remove(id);
    }
}
