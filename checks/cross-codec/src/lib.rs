//! Our codec against codecs that others wrote and published: for arbitrary packets, our bytes decode in theirs to the same
//! fields, and theirs in ours.
//!
//! Each rival says in [`Rival::gaps`] what it gets wrong or can't hold, with the rule that it breaks, and `tests/gaps.rs` shows
//! for each of them, with bytes written from the specification, that it is the rival's: a gap neither hides a bug of ours nor
//! outlives its mending.

pub mod arbitrary;
pub mod model;
pub mod ours;
pub mod rivals;

use model::{Kind, Packet, Version};

/// A codec of somebody else.
pub trait Rival {
    /// The packets that it can encode and decode.
    fn kinds(version: Version) -> Vec<Kind>;

    /// Changes whatever in the packet this codec can't carry, and nothing else.
    fn gaps(version: Version, packet: &mut Packet);

    fn encode(version: Version, packet: &Packet) -> Vec<u8>;

    /// Decodes exactly one packet.
    fn decode(version: Version, bytes: &[u8]) -> Result<Packet, String>;
}
