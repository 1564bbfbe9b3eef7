use mqtt_proto::{PropertyId, Sender};

use crate::reference::{self, Kind, PLACES, Place};
use crate::wire::{text, varint};

/// Blocks: each property alone, all that each place may have, and some that break a rule.
pub(super) fn all() -> Vec<(String, Vec<u8>)> {
    let mut blocks = vec![("none".to_owned(), Vec::new())];
    for id in PropertyId::ALL {
        let name = id.to_string().to_lowercase().replace(' ', "-");
        blocks.push((name, one(id.get())));
    }
    for (place, sender) in PLACES.iter().copied() {
        let name = match place {
            Place::Packet(packet) => packet.to_string().to_lowercase(),
            Place::Will => "will".to_owned(),
        };
        blocks.push((format!("all-of-{name}-{sender}"), of(place, sender)));
    }
    let broken: [(&str, &[u8]); 12] = [
        ("unknown", &[0x7F, 0]),
        ("long-identifier", &[0xA6, 0x01]),
        ("not-shortest-identifier", &[0xA6, 0x00]),
        ("bool-above-one", &[0x01, 2]),
        ("zero-receive-maximum", &[0x21, 0, 0]),
        ("zero-maximum-packet-size", &[0x27, 0, 0, 0, 0]),
        ("zero-subscription-identifier", &[0x0B, 0]),
        (
            "largest-subscription-identifier",
            &[0x0B, 0xFF, 0xFF, 0xFF, 0x7F],
        ),
        (
            "five-byte-subscription-identifier",
            &[0x0B, 0x80, 0x80, 0x80, 0x80, 1],
        ),
        ("wildcard-response-topic", &[0x08, 0, 1, b'#']),
        ("text-with-nul", &[0x1F, 0, 1, 0]),
        ("data-without-method", &[0x16, 0, 1, 9]),
    ];
    blocks.extend(broken.map(|(name, block)| (name.to_owned(), block.to_vec())));
    let (pair, twice) = (one(0x26), one(0x01).repeat(2));
    blocks.push(("pair-twice".to_owned(), pair.repeat(2)));
    blocks.push(("bool-twice".to_owned(), twice));
    blocks.push(("pair-cut".to_owned(), pair[..pair.len() - 1].to_vec()));
    blocks
}

/// All that may stand there.
pub(super) fn of(place: Place, sender: Sender) -> Vec<u8> {
    let allowed = reference::allowed(place, sender).iter().copied();
    allowed.flat_map(one).collect()
}

fn one(id: u8) -> Vec<u8> {
    let value = match reference::kind(id) {
        Some(Kind::Bool) => vec![1],
        Some(Kind::Two | Kind::TwoNonZero) => vec![1, 2],
        Some(Kind::Four | Kind::FourNonZero) => vec![1, 2, 3, 4],
        Some(Kind::VarIntNonZero) => varint(300),
        Some(Kind::Text) => text("é"),
        Some(Kind::Topic) => text("a/b"),
        Some(Kind::Binary) => text([0, 255]),
        Some(Kind::Pair) => [text("name"), text("")].concat(),
        None => Vec::new(),
    };
    [&[id][..], &value].concat()
}
