//! The body of the target `round_trip`.

use mqtt_proto::{EncodeError, Outbox, Packet, PacketType, Properties, PropertyId};

use crate::codec::{Codec, written};
use crate::generate::{self, Case, Delivery, Item};
use crate::{Reached, set};

/// Writes and reads one packet.
pub fn run(data: &[u8]) -> Reached {
    let case = generate::case(data);
    let (packet_type, full) = match &case.item {
        Item::Packet(packet) => (packet.packet_type(), whole_packet(&case, packet)),
        Item::Publish(delivery) => (PacketType::Publish, message(&case, delivery)),
    };
    let mut reached = Reached::default();
    match full {
        Ok(_) => reached.add(case.codec, packet_type),
        Err(error) => assert!(
            case.wild,
            "{packet_type} keeps the rules, but is refused: {error}"
        ),
    }
    reached
}

fn whole_packet(case: &Case, packet: &Packet) -> Result<Vec<u8>, EncodeError> {
    let full = case.codec.encode(packet);
    if let Ok(bytes) = &full {
        assert_eq!(case.codec.decode_one(bytes), *packet);
    }
    if let Some(limit) = case.limit {
        let encoder = case.codec.encoder().with_max_packet_size(limit);
        let limited = written(
            |out| encoder.encode(packet, out),
            encoder.encoded_len(packet),
        );
        let mut candidates = vec![packet.clone()];
        candidates.extend(shortened(packet, &[PropertyId::USER_PROPERTY]));
        candidates.extend(shortened(
            packet,
            &[PropertyId::USER_PROPERTY, PropertyId::REASON_STRING],
        ));
        let ways = candidates.iter().map(|other| case.codec.encode(other));
        fits(limit, &full, ways, limited);
    }
    full
}

/// What is written under a limit is the first way that fits.
fn fits(
    limit: u32,
    full: &Result<Vec<u8>, EncodeError>,
    mut ways: impl Iterator<Item = Result<Vec<u8>, EncodeError>>,
    limited: Result<Vec<u8>, EncodeError>,
) {
    if let Err(error) = full {
        assert!(limited.is_err(), "the limit {limit} makes good: {error}");
        return;
    }
    let short_enough = |way: &Result<Vec<u8>, EncodeError>| {
        way.as_ref()
            .is_ok_and(|bytes| bytes.len() <= limit as usize)
    };
    match (ways.find(short_enough), limited) {
        (Some(way), limited) => assert_eq!(limited, way),
        (None, Err(EncodeError::PacketTooLarge { size, max })) => {
            assert!(
                max == limit && size > limit as usize,
                "{size} is within {limit}"
            );
        }
        (None, limited) => panic!("nothing fits into {limit}, and this comes: {limited:02x?}"),
    }
}

/// The packet without these properties, where they only explain [MQTT-3.4.2-2], [MQTT-3.4.2-3].
fn shortened(packet: &Packet, without: &[PropertyId]) -> Option<Packet> {
    let mut packet = packet.clone();
    let properties = match &mut packet {
        Packet::ConnAck(p) => &mut p.properties,
        Packet::PubAck(p) | Packet::PubRec(p) | Packet::PubRel(p) | Packet::PubComp(p) => {
            &mut p.properties
        }
        Packet::SubAck(p) => &mut p.properties,
        Packet::UnsubAck(p) => &mut p.properties,
        Packet::Disconnect(p) => &mut p.properties,
        Packet::Auth(p) => &mut p.properties,
        _ => return None,
    };
    let kept = properties
        .view()
        .iter()
        .filter(|(id, _)| !without.contains(id));
    *properties = set::build(kept);
    Some(packet)
}

fn message(case: &Case, delivery: &Delivery) -> Result<Vec<u8>, EncodeError> {
    let full = write(case.codec, None, delivery);
    if let Ok(bytes) = &full {
        let packet = case.codec.decode_one(bytes);
        same_message(delivery, bytes, &packet);
        assert_eq!(case.codec.encode(&packet).as_ref(), Ok(bytes));
    }
    if let Some(limit) = case.limit {
        let limited = write(case.codec, Some(limit), delivery);
        fits(limit, &full, [full.clone()].into_iter(), limited);
    }
    full
}

fn write(codec: Codec, limit: Option<u32>, delivery: &Delivery) -> Result<Vec<u8>, EncodeError> {
    let encoder = match limit {
        Some(limit) => codec.encoder().with_max_packet_size(limit),
        None => codec.encoder(),
    };
    let Delivery {
        message,
        flow,
        alias,
        by_alias,
    } = delivery;
    match alias {
        Some(alias) if *by_alias => written(
            |out| encoder.publish_by_alias(message, *flow, *alias, out),
            encoder.publish_by_alias(message, *flow, *alias, &mut Outbox::new()),
        ),
        _ => written(
            |out| encoder.publish(message, *flow, *alias, out),
            encoder.publish_len(message, *flow, *alias),
        ),
    }
}

fn same_message(delivery: &Delivery, bytes: &[u8], packet: &Packet) {
    let Packet::Publish(view) = packet else {
        panic!("a PUBLISH became {packet:?}");
    };
    let message = &delivery.message;
    assert_eq!(view.size(), bytes.len());
    assert_eq!(view.flow(), delivery.flow);
    assert_eq!(view.retain(), message.retain());
    assert_eq!(view.payload(), message.payload());
    assert_eq!(view.payload_bytes(), message.payload_bytes());
    if delivery.by_alias {
        assert!(view.topic().is_empty());
    } else {
        assert_eq!(view.topic(), message.topic());
        assert_eq!(
            view.share(view.topic().as_bytes()),
            message.topic().as_bytes()
        );
    }
    let mut expected = Properties::builder();
    if let Some(alias) = delivery.alias {
        expected = expected.topic_alias(alias);
        assert_eq!(view.topic_alias(), Some(alias));
    }
    let expected = expected.extend(message.properties()).build();
    assert_eq!(expected.map(|e| e.view() == view.properties()), Ok(true));
}
