//! The rivals, and how their types translate.

mod protocol_core;
mod rmqtt;
mod rumqttc;

pub use protocol_core::ProtocolCore;
pub use rmqtt::Rmqtt;
pub use rumqttc::Rumqttc;
