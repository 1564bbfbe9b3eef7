//! The codecs that others wrote.

mod mqttbytes;
mod ntex;
mod protocol_core;
mod rmqtt;
mod rumqttc;

pub use mqttbytes::Mqttbytes;
pub use ntex::Ntex;
pub use protocol_core::{ProtocolCore, ProtocolCoreSlices};
pub use rmqtt::Rmqtt;
pub use rumqttc::Rumqttc;
