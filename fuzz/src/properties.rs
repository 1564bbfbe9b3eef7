//! The body of the target `properties`.

use bytes::BytesMut;
use mqtt_proto::{
    Packet, PacketType, Properties, PropertiesRef, PropertyId, PropertyValue, Sender, Version,
};

use crate::reference::{self, PLACES, Place};
use crate::wire::{block, frame, text};
use crate::{Codec, Reached, set};

/// Puts `data` as properties into every packet.
pub fn run(data: &[u8]) -> Reached {
    let mut reached = Reached::default();
    for (place, sender) in PLACES.iter().copied() {
        if accepted(data, place, sender) {
            let Place::Packet(packet) = place else {
                continue;
            };
            reached.add(Codec::new(Version::V5, sender), packet);
        }
    }
    reached
}

fn accepted(data: &[u8], place: Place, sender: Sender) -> bool {
    let codec = Codec::new(Version::V5, sender);
    let whole = packet_with(data, place);
    let decoded = codec.decoder().decode(&mut BytesMut::from(&whole[..]));
    let expected = reference::read(data, place, sender);
    let packet = match (decoded, &expected) {
        (Ok(Some(packet)), Some(_)) => packet,
        (Err(_), None) => return false,
        (decoded, _) => {
            panic!("{place:?} from the {sender}: {data:02x?} gives {decoded:?}, not {expected:?}")
        }
    };
    let view = properties_of(&packet, place);
    assert_eq!(view.as_bytes(), data);
    agrees(view, &expected.unwrap_or_default());
    rebuilds(view);
    if !data.is_empty() {
        // Without properties, some packets have a shorter form.
        assert_eq!(codec.encode(&packet), Ok(whole));
    }
    true
}

fn agrees(view: PropertiesRef<'_>, expected: &[(u8, PropertyValue<'_>)]) {
    let all: Vec<_> = view.iter().map(|(id, value)| (id.get(), value)).collect();
    assert_eq!(all, expected);
    assert_eq!(view.is_empty(), expected.is_empty());

    for id in PropertyId::ALL.iter().copied() {
        let mut with_id = expected.iter().filter(|(other, _)| *other == id.get());
        let first = with_id.next().map(|(_, value)| *value);
        assert_eq!(view.has(id), first.is_some(), "{id}");
        assert_eq!(view.get(id), first, "{id}");
        if !matches!(
            id,
            PropertyId::USER_PROPERTY | PropertyId::SUBSCRIPTION_IDENTIFIER
        ) {
            assert_eq!(set::get(view, id), first, "{id}");
        }
    }

    let pairs = expected.iter().filter_map(|(_, value)| match value {
        PropertyValue::Pair(name, value) => Some((*name, *value)),
        _ => None,
    });
    assert!(view.user_properties().eq(pairs));
    let identifiers = expected.iter().filter_map(|(_, value)| match value {
        PropertyValue::VarInt(value) => Some(*value),
        _ => None,
    });
    assert!(view.subscription_identifiers().eq(identifiers));
}

fn rebuilds(view: PropertiesRef<'_>) {
    let built = set::build(view);
    assert_eq!(built.view(), view);
    let extended = Properties::builder().extend(view).build();
    assert_eq!(extended.as_ref(), Ok(&built));
    let _ = format!("{built:?}");
}

/// The smallest packet that holds these properties there.
fn packet_with(properties: &[u8], place: Place) -> Vec<u8> {
    use PacketType as P;
    let properties = block(properties);
    let packet_id = [0, 1];
    match place {
        Place::Packet(P::Connect) => frame(
            0x10,
            &[&text("MQTT"), &[5, 2, 0, 0], &properties, &text("")],
        ),
        Place::Will => {
            let head = [&text("MQTT")[..], &[5, 6, 0, 0], &block(&[]), &text("")].concat();
            frame(0x10, &[&head, &properties, &text("t"), &text("")])
        }
        Place::Packet(P::ConnAck) => frame(0x20, &[&[0, 0], &properties]),
        Place::Packet(P::Publish) => frame(0x30, &[&text("t"), &properties, b"payload"]),
        Place::Packet(P::Subscribe) => frame(0x82, &[&packet_id, &properties, &text("t"), &[0]]),
        Place::Packet(P::SubAck) => frame(0x90, &[&packet_id, &properties, &[0]]),
        Place::Packet(P::Unsubscribe) => frame(0xA2, &[&packet_id, &properties, &text("t")]),
        Place::Packet(P::UnsubAck) => frame(0xB0, &[&packet_id, &properties, &[0]]),
        Place::Packet(P::Disconnect) => frame(0xE0, &[&[0], &properties]),
        Place::Packet(P::Auth) => frame(0xF0, &[&[0x18], &properties]),
        Place::Packet(ack) => {
            let flags = if ack == P::PubRel { 2 } else { 0 };
            frame((ack as u8) << 4 | flags, &[&packet_id, &[0], &properties])
        }
    }
}

fn properties_of(packet: &Packet, place: Place) -> PropertiesRef<'_> {
    match packet {
        Packet::Connect(connect) => match (&connect.will, place) {
            (Some(will), Place::Will) => will.properties.view(),
            _ => connect.properties.view(),
        },
        Packet::Publish(view) => view.properties(),
        Packet::ConnAck(p) => p.properties.view(),
        Packet::PubAck(p) | Packet::PubRec(p) | Packet::PubRel(p) | Packet::PubComp(p) => {
            p.properties.view()
        }
        Packet::Subscribe(p) => p.properties.view(),
        Packet::SubAck(p) => p.properties.view(),
        Packet::Unsubscribe(p) => p.properties.view(),
        Packet::UnsubAck(p) => p.properties.view(),
        Packet::Disconnect(p) => p.properties.view(),
        Packet::Auth(p) => p.properties.view(),
        Packet::PingReq | Packet::PingResp => PropertiesRef::default(),
    }
}
