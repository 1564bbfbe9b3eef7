//! Frames: the fixed header (section 2.1), and the way from bytes to packets and back.

mod decode;
mod encode;
mod fields;

pub use decode::Decoder;
pub use encode::Encoder;
pub(crate) use fields::{
    Fields, check_binary, properties_len, put_binary, put_properties, read_publish_properties,
};
