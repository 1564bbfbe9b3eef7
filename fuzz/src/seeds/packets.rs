use mqtt_proto::{Sender, Version};

use super::properties;
use crate::Codec;
use crate::reference::Place;
use crate::wire::{block, frame, text};

type Packet = (Codec, &'static str, Vec<u8>);

/// Every packet that each version has, from each sender that may send it.
pub(super) fn all() -> Vec<Packet> {
    let mut packets = Vec::new();
    for codec in Codec::ALL {
        let mut add = |name, bytes| packets.push((codec, name, bytes));
        match codec.sender {
            Sender::Client => client(codec.version, &mut add),
            Sender::Server => server(codec.version, &mut add),
        }
        both(codec, &mut add);
        odd(codec, &mut add);
    }
    packets
}

fn client(version: Version, add: &mut impl FnMut(&'static str, Vec<u8>)) {
    use mqtt_proto::PacketType as P;
    let v5 = version == Version::V5;
    let head = match version {
        Version::V3_1 => [&text("MQIsdp")[..], &[3]].concat(),
        Version::V3_1_1 => [&text("MQTT")[..], &[4]].concat(),
        Version::V5 => [&text("MQTT")[..], &[5]].concat(),
    };
    let none = in_v5(v5, &[]);
    let flags_and_keep_alive = |flags: u8| [&head[..], &[flags, 0, 60]].concat();
    add(
        "connect",
        frame(0x10, &[&flags_and_keep_alive(0x02), &none, &text("id")]),
    );
    // User name, password, retained will of QoS 2.
    let properties = in_v5(
        v5,
        &properties::of(Place::Packet(P::Connect), Sender::Client),
    );
    let will_properties = in_v5(v5, &properties::of(Place::Will, Sender::Client));
    let will = [&will_properties[..], &text("will/topic"), &text([0, 255])].concat();
    let login = [text("name"), text("password")].concat();
    let start = flags_and_keep_alive(0xF6);
    add(
        "connect-full",
        frame(0x10, &[&start, &properties, &text("id"), &will, &login]),
    );
    let id = [0x12, 0x34];
    let subscribe = in_v5(
        v5,
        &properties::of(Place::Packet(P::Subscribe), Sender::Client),
    );
    let (first, second) = (text("a/+/#"), text("$share/g/b"));
    let options: [u8; 2] = if v5 { [0b10_1101, 0b01_1010] } else { [1, 2] };
    let entries = [&first[..], &options[..1], &second, &options[1..]].concat();
    add("subscribe", frame(0x82, &[&id, &subscribe, &entries]));
    let unsubscribe = in_v5(
        v5,
        &properties::of(Place::Packet(P::Unsubscribe), Sender::Client),
    );
    add(
        "unsubscribe",
        frame(0xA2, &[&id, &unsubscribe, &first, &second]),
    );
    add("pingreq", frame(0xC0, &[]));
    add("disconnect", frame(0xE0, &[]));
    if version == Version::V3_1 {
        let entry = [&first[..], &[0]].concat();
        add("subscribe-dup", frame(0x8A, &[&id, &entry]));
    }
}

fn server(version: Version, add: &mut impl FnMut(&'static str, Vec<u8>)) {
    use mqtt_proto::PacketType as P;
    let v5 = version == Version::V5;
    let present = u8::from(version != Version::V3_1);
    let of = |packet| in_v5(v5, &properties::of(Place::Packet(packet), Sender::Server));
    add("connack", frame(0x20, &[&[present, 0], &of(P::ConnAck)]));
    let refused = if v5 { 0x87 } else { 5 };
    add(
        "connack-refused",
        frame(0x20, &[&[0, refused], &in_v5(v5, &[])]),
    );
    let id = [0x12, 0x34];
    add(
        "suback",
        frame(0x90, &[&id, &of(P::SubAck), &[0, 1, 2, 0x80]]),
    );
    let codes: &[u8] = if v5 { &[0, 0x11, 0x8F] } else { &[] };
    add("unsuback", frame(0xB0, &[&id, &of(P::UnsubAck), codes]));
    add("pingresp", frame(0xD0, &[]));
}

fn both(codec: Codec, add: &mut impl FnMut(&'static str, Vec<u8>)) {
    use mqtt_proto::PacketType as P;
    let v5 = codec.version == Version::V5;
    let of = |packet| properties::of(Place::Packet(packet), codec.sender);
    let (topic, id) = (text("a/b"), [0x12, 0x34]);
    let none = in_v5(v5, &[]);
    add("publish", frame(0x30, &[&topic, &none, b"payload"]));
    add(
        "publish-qos-1",
        frame(0x3B, &[&topic, &id, &in_v5(v5, &of(P::Publish))]),
    );
    // A length of two bytes.
    add(
        "publish-qos-2",
        frame(0x34, &[&topic, &id, &none, &[0xFF; 200]]),
    );
    add("puback", frame(0x40, &[&id]));
    add("pubrec", frame(0x50, &[&id]));
    add("pubrel", frame(0x62, &[&id]));
    add("pubcomp", frame(0x70, &[&id]));
    if codec.version == Version::V3_1 {
        add("pubrel-dup", frame(0x6A, &[&id]));
    }
    if !v5 {
        return;
    }
    add(
        "publish-by-alias",
        frame(0x30, &[&text(""), &block(&[0x23, 0, 9])]),
    );
    add("puback-reason", frame(0x40, &[&id, &[0x10]]));
    let with_properties = |packet, code: u8| [&id[..], &[code], &block(&of(packet))].concat();
    add(
        "puback-full",
        frame(0x40, &[&with_properties(P::PubAck, 0x97)]),
    );
    add(
        "pubrec-full",
        frame(0x50, &[&with_properties(P::PubRec, 0x10)]),
    );
    add(
        "pubrel-full",
        frame(0x62, &[&with_properties(P::PubRel, 0x92)]),
    );
    add(
        "pubcomp-full",
        frame(0x70, &[&with_properties(P::PubComp, 0x92)]),
    );
    add("disconnect-reason", frame(0xE0, &[&[0x81]]));
    add(
        "disconnect-full",
        frame(0xE0, &[&[0x98], &block(&of(P::Disconnect))]),
    );
    add("auth", frame(0xF0, &[&[0x18], &block(&of(P::Auth))]));
    if codec.sender == Sender::Server {
        add("auth-success", frame(0xF0, &[]));
    }
}

/// Other forms, and forms that are none.
fn odd(codec: Codec, add: &mut impl FnMut(&'static str, Vec<u8>)) {
    let id = [0x12, 0x34];
    if codec.version == Version::V3_1 {
        return;
    }
    let ping = if codec.sender == Sender::Client {
        0xC0
    } else {
        0xD0
    };
    add("bad-ping-with-body", frame(ping, &[&[0]]));
    add("bad-ping-with-length-of-two-bytes", vec![ping, 0x80, 0]);
    add(
        "bad-puback-with-length-of-three-bytes",
        vec![0x40, 0x82, 0x80, 0, 0, 1],
    );
    add(
        "bad-length-of-five-bytes",
        vec![0x30, 0x80, 0x80, 0x80, 0x80, 1],
    );
    if codec.version == Version::V5 {
        add("puback-with-all-of-nothing", frame(0x40, &[&id, &[0, 0]]));
        add("disconnect-with-all-of-nothing", frame(0xE0, &[&[0, 0]]));
        let long = [0x80, 0];
        add(
            "bad-puback-with-long-property-length",
            frame(0x40, &[&id, &[0], &long]),
        );
        add(
            "bad-publish-with-long-property-length",
            frame(0x30, &[&text("t"), &long]),
        );
    }
}

/// Properties where the version has them, nothing where it has none.
fn in_v5(v5: bool, properties: &[u8]) -> Vec<u8> {
    if v5 { block(properties) } else { Vec::new() }
}
