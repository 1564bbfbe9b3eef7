//! The body of the target `session`.

mod model;
mod world;

use arbitrary::Unstructured;
use mqtt_proto::{Disconnect, PacketType};

use crate::Reached;
use world::World;

/// So many steps lead anywhere that more would lead to.
const STEPS: usize = 400;

/// Lives a session through what the input says, and compares it with the model after each step.
pub fn run(data: &[u8]) -> Reached {
    let mut u = Unstructured::new(data);
    let mut world = World::new(&mut u);
    for _ in 0..STEPS {
        if u.is_empty() {
            break;
        }
        world.step(&mut u);
    }
    world.end(Disconnect::default());
    world.reached
}

/// Packets that a client sends, and those that it is sent.
pub fn packets() -> impl Iterator<Item = PacketType> {
    PacketType::ALL
        .iter()
        .copied()
        // No authentication method is configured.
        .filter(|packet| *packet != PacketType::Auth)
}
