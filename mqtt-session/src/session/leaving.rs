//! What the last packet may say.

use mqtt_proto::{Disconnect, Encoder, Outbox, Packet, ReasonCode, Sender};

use super::Session;
use crate::DisconnectError;

impl Session {
    /// Whether the version in use has such a DISCONNECT, and CONNECT allows it. In 3.x the reason that asks for the will is said by
    /// closing without a word.
    pub(super) fn may_leave_with(&self, disconnect: &Disconnect) -> Result<(), DisconnectError> {
        let version = self.link.version;
        let lasts = disconnect.properties.view().session_expiry_interval();
        if version.is_v5() && self.config.expiry_seconds() == 0 && lasts.unwrap_or(0) > 0 {
            return Err(DisconnectError::SessionExpiry);
        }
        let mut said = disconnect.clone();
        if !version.is_v5() && said.reason == ReasonCode::DISCONNECT_WITH_WILL {
            said.reason = ReasonCode::SUCCESS;
        }
        let encoder = Encoder::new(version, Sender::Client);
        encoder.encode(&Packet::Disconnect(said), &mut Outbox::new())?;
        Ok(())
    }
}
