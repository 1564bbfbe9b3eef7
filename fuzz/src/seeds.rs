//! The inputs that fuzzing starts from, written by hand: every packet of every version, every property, topics and filters.
//! `cargo run --bin seeds` puts them into the corpus.

mod found;
mod lives;
mod packets;
mod properties;
mod topics;

use mqtt_proto::PacketType;

use crate::Codec;

/// One input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// The target that it is for.
    pub target: &'static str,
    /// The name of its file.
    pub name: String,
    /// The input.
    pub bytes: Vec<u8>,
}

/// All of them.
pub fn all() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |target, name: String, bytes| {
        seeds.push(Seed {
            target,
            name,
            bytes,
        });
    };
    let packets = packets::all();
    for (codec, name, bytes) in &packets {
        add("decode", packet_name(*codec, name), bytes.clone());
    }
    for codec in Codec::ALL {
        let of_codec = packets
            .iter()
            .filter(|(other, name, _)| *other == codec && !name.starts_with("bad-"));
        let stream: Vec<u8> = of_codec.flat_map(|(_, _, bytes)| bytes.clone()).collect();
        add("decode", packet_name(codec, "stream"), stream.clone());
        for (name, limit, sizes) in SPLITS {
            let [high, low] = limit.to_be_bytes();
            let head = [codec.index() as u8, high, low, sizes.len() as u8];
            let input = [&head[..], sizes, &stream].concat();
            add("chunked", packet_name(codec, name), input);
        }
        for packet in PacketType::ALL {
            if codec.may_send(*packet) {
                for (name, wild) in [("regular", 0), ("wild", 3)] {
                    let name = packet_name(codec, &format!("{packet}-{name}").to_lowercase());
                    add("round_trip", name, structured(codec, *packet, wild));
                }
            }
        }
    }
    for (name, input) in EDGES {
        add("round_trip", (*name).to_owned(), input.to_vec());
    }
    for (target, name, input) in found::ALL {
        add(target, format!("found-{name}"), input.to_vec());
    }
    for (name, block) in properties::all() {
        add("properties", name, block);
    }
    for (name, input) in lives::all() {
        add("session", name, input);
    }
    for (name, input) in topics::all() {
        add("topic_match", name, input);
    }
    seeds
}

/// Name, maximum packet size, sizes of the pieces.
const SPLITS: [(&str, u16, &[u8]); 4] = [
    ("pairs", 0, &[2]),
    ("uneven", 0, &[1, 0, 7, 3, 255]),
    ("within-limit", 256, &[5, 40]),
    ("above-limit", 16, &[3, 1, 9]),
];

/// Inputs of `round_trip` that lead to the edge of a rule; `generate.rs` tells what the bytes mean.
const EDGES: &[(&str, &[u8])] = &[
    // A payload of 4,096 bytes and more is not copied.
    (
        "publish-with-chained-payload",
        &[2, 5, 0, 0, 0, 9, 0, 1, 0, 0, 0, 1, b't', 0xFF, 4, 7],
    ),
    (
        "publish-with-length-of-three-bytes",
        &[2, 5, 0, 0, 0, 9, 0, 1, 0, 0, 0, 1, b't', 0xFF, 0xFF, 7],
    ),
    (
        "connect-with-longest-client-identifier",
        &[0, 4, 0, 0, 0xFF, 0xFF],
    ),
    (
        "connect-with-password-that-is-too-long",
        &[0, 4, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0xFF, 0xFF, 1, 5],
    ),
    // With the alias, the length of the properties needs a second byte.
    (
        "publish-with-alias-after-125-bytes-of-properties",
        &alias_after_properties(),
    ),
];

const fn alias_after_properties() -> [u8; 80] {
    let mut input = [b'x'; 80];
    // PUBLISH from a 5.0 server, regular, no limit, packet id 9, QoS 1; two properties: correlation data of 63 bytes ...
    let head = [2, 5, 0, 0, 0, 9, 0, 1, 2, 4, 63, 7, 7, 31];
    let mut at = 0;
    while at < head.len() {
        input[at] = head[at];
        at += 1;
    }
    // ... and a user property of 31 and 23 bytes; then alias 1, and the topic.
    input[45] = 23;
    input[69] = 0;
    input[70] = 1;
    input
}

fn packet_name(codec: Codec, name: &str) -> String {
    let version = codec.version.to_string();
    let version = version.trim_start_matches("MQTT ");
    format!("{version}-{}-{name}", codec.sender)
}

/// The fields are filled from a fixed sequence: what matters is that each packet type has an input to vary.
fn structured(codec: Codec, packet: PacketType, wild: u8) -> Vec<u8> {
    let at = PacketType::ALL.iter().position(|other| *other == packet);
    let head = [at.unwrap_or(0) as u8, codec.index() as u8, wild];
    let mut state = u32::from_be_bytes([1, head[0], head[1], wild]);
    let fill = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    head.into_iter().chain(fill.take(120)).collect()
}
