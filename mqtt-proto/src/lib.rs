//! MQTT packets for the versions 3.1, 3.1.1 and 5.0: types, an incremental codec, topic names and filters.
//!
//! The crate holds no state between packets and does no I/O: [`Decoder`] takes packets from the front of a read buffer,
//! [`Encoder`] writes them into an [`Outbox`]. Both directions of every packet are here, so a broker, a proxy or a test can use
//! it as well as a client.
//!
//! ```
//! use bytes::BytesMut;
//! use mqtt_proto::{Decoder, Encoder, Flow, Outbox, Packet, Publish, Sender, Topic, Version};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A client sends ...
//! let encoder = Encoder::new(Version::V5, Sender::Client);
//! let mut outbox = Outbox::new();
//! let publish = Publish::new(Topic::try_from("readings/7")?, "21.5");
//! encoder.publish(&publish, Flow::AtMostOnce, None, &mut outbox)?;
//!
//! // ... and a server reads: any split of the bytes gives the same packets.
//! let decoder = Decoder::new(Version::V5, Sender::Client);
//! let mut input = BytesMut::from(&outbox.to_vec()[..]);
//! let Some(Packet::Publish(message)) = decoder.decode(&mut input)? else { panic!("no PUBLISH") };
//! assert_eq!(message.topic(), "readings/7");
//! assert_eq!(message.payload(), b"21.5");
//! # Ok(())
//! # }
//! ```
//!
//! # Promises
//!
//! - **No panic on any bytes.** A panic is a bug here; bad bytes are a [`DecodeError`], which knows the reason code to answer with.
//! - **No allocation in proportion to a claimed length.** A size is checked against the maximum when the header is there, before
//!   the body is awaited.
//! - **No heap allocation to decode a PUBLISH**: a [`PublishView`] is one handle on the read buffer, and offsets.
//! - **A bad value can't be held**: [`PacketId`] is not zero, [`Topic`] and [`TopicFilter`] follow the rules, a packet identifier
//!   exists only where the [`Flow`] has one.
//!
//! # Leniencies
//!
//! Strict by default, with these exceptions for 3.1, whose text is loose: the unused byte of CONNACK is ignored, SUBACK may
//! carry 0x80, PUBREL, SUBSCRIBE and UNSUBSCRIBE may carry the DUP flag.
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod error;
mod frame;
mod outbox;
mod packet;
mod packet_id;
mod property;
mod qos;
mod reader;
mod reason;
mod text;
mod topic;
mod varint;
mod version;

pub use error::{DecodeError, EncodeError};
pub use frame::{Decoder, Encoder};
pub use outbox::Outbox;
pub use packet::{
    Ack, Auth, ConnAck, Connect, Disconnect, Packet, PacketType, Publish, PublishView,
    RetainHandling, SubAck, Subscribe, SubscribeOptions, UnsubAck, Unsubscribe, Will,
};
pub use packet_id::PacketId;
pub use property::{
    Properties, PropertiesBuilder, PropertiesRef, PropertyError, PropertyId, PropertyIter,
    PropertyValue,
};
pub use qos::{Flow, QoS};
pub use reason::ReasonCode;
pub use text::{Text, TextError};
pub use topic::{Topic, TopicError, TopicFilter, TopicRef};
pub use varint::VARINT_MAX;
pub use version::{Sender, Version};
