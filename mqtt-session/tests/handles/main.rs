//! What a user of the handles relies on, whatever drives them: here the test itself does, and is the server, too, on virtual time.
#![cfg(feature = "client")]
#![allow(clippy::unwrap_used, reason = "that is how a test fails")]
#![allow(unreachable_pub, reason = "it is all one program")]

mod answering;
mod connecting;
mod delivering;
mod driver;
mod driving;
mod fake;
mod mixed;
#[path = "../pair/mod.rs"]
mod pair;
mod port;
mod publishing;
mod reading;
mod requested;
mod subscribing;
mod watching;
mod woken;

use mqtt_session::Limits;
use mqtt_session::proto::{Ack, Packet};
use pair::hand::Hand;

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

/// What was published since the last call.
fn published(hand: &mut Hand) -> Vec<String> {
    let packets = hand.packets();
    let payloads = packets.iter().filter_map(|packet| match packet {
        Packet::Publish(publish) => Some(String::from_utf8(publish.payload().to_vec()).unwrap()),
        _ => None,
    });
    payloads.collect()
}

/// The server acknowledges what was published since the last call.
fn acknowledge(hand: &mut Hand) -> usize {
    let packets = hand.packets();
    let ids: Vec<_> = packets
        .iter()
        .filter_map(|packet| match packet {
            Packet::Publish(publish) => publish.packet_id(),
            _ => None,
        })
        .collect();
    ids.iter()
        .for_each(|id| hand.bring(&Packet::PubAck(Ack::new(*id))));
    hand.turn();
    ids.len()
}
