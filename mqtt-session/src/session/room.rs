//! Room in the queue, for those who were refused because it was full.

use mqtt_proto::{Publish, QoS};

use super::Session;
#[cfg(feature = "client")]
use super::stage::Stage;
use crate::{Event, PublishRefused};

impl Session {
    /// Why a message is refused, and whether it is to be told when there is room for it.
    #[cold]
    pub(super) fn turned_away(
        &mut self,
        qos: QoS,
        publish: &Publish,
        size: usize,
        reason: PublishRefused,
    ) -> PublishRefused {
        if !reason.is_full() {
            return reason;
        }
        if let Some(refused) = self.unencodable(qos, publish) {
            // Waiting for room would not help.
            return refused;
        }
        let outgoing = &mut self.outgoing;
        outgoing.room_for = if outgoing.wants_room {
            outgoing.room_for.min(size)
        } else {
            size
        };
        outgoing.wants_room = true;
        reason
    }

    #[inline]
    pub(crate) fn tell_room(&mut self) {
        if self.outgoing.wants_room {
            let room = self.publish_capacity();
            if room.messages > 0 && room.bytes >= self.outgoing.room_for {
                self.outgoing.wants_room = false;
                self.events.push_back(Event::Room);
            }
        }
    }

    /// Somebody waits who was refused: when there is room for a message of this size, and none smaller, is to be told.
    #[cfg(feature = "client")]
    pub(crate) fn want_room(&mut self, size: usize) {
        self.outgoing.room_for = size;
        // Nothing is told after the end.
        self.outgoing.wants_room = !matches!(self.stage, Stage::Closed);
    }
}
