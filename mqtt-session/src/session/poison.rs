//! Messages that a server can't stomach: it ends the connection at each of them, before it has acknowledged it.

use mqtt_proto::PacketId;

use super::Session;
use super::inflight::{Sent, SentState};
use crate::{Event, Outcome, Poisonous, Token};

/// So many connections in a row make a message poisonous,
const CONNECTIONS: u32 = 3;
/// and so many times more of those that were ended from here. These say little, but not nothing: where a server fills our inbox and breaks at a
/// message, the full inbox is what is seen each time.
const ENDED_HERE: u32 = 4;

/// What this connection sent again first: the server has not come past it while it is as it was.
#[derive(Clone, Copy, Debug)]
pub(super) struct FirstResent {
    id: PacketId,
    token: Token,
    /// It was a PUBREL.
    released: bool,
    /// Where it begins among the encoded bytes.
    start: u64,
}

/// The message that was sent again first on these many connections in a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suspect {
    token: Token,
    connections: u32,
    /// What they weigh: [`ENDED_HERE`] each, and one where it was ended from here.
    weight: u32,
}

impl Session {
    /// Takes note of what was just sent again, in flight under this identifier, in so many bytes.
    pub(super) fn suspect(&mut self, id: PacketId, len: usize) {
        if self.link.first_resent.is_none() {
            let sent = self.outgoing.inflight.get(id);
            self.link.first_resent = sent.map(|sent| FirstResent {
                id,
                token: sent.token,
                released: sent.is_released(),
                start: self.link.encoded.saturating_sub(len as u64),
            });
        }
    }

    /// A connection has ended, and there will be another one: what it sent again first may be to blame.
    pub(super) fn blame(&mut self) {
        // One that came to nothing proves nothing.
        let Some(first) = self.link.first_resent else {
            return;
        };
        if first.start >= self.link.written {
            return;
        }
        let stuck = |sent: &Sent| {
            let goes_on = !sent.is_given_up() || sent.is_released();
            sent.token == first.token && sent.is_released() == first.released && goes_on
        };
        if !self.outgoing.inflight.get(first.id).is_some_and(stuck) {
            self.outgoing.suspect = None;
            return;
        }
        let before = self.outgoing.suspect;
        let before = before.filter(|suspect| suspect.token == first.token);
        let token = first.token;
        let (connections, weight) =
            before.map_or((0, 0), |before| (before.connections, before.weight));
        let connections = connections.saturating_add(1);
        let own = if self.link.ended_here { 1 } else { ENDED_HERE };
        let weight = weight.saturating_add(own);
        self.outgoing.suspect = Some(Suspect {
            token,
            connections,
            weight,
        });
        if weight < CONNECTIONS * ENDED_HERE {
            return;
        }
        if let Some(sent) = self.outgoing.inflight.get_mut(first.id)
            && sent.is_given_up()
        {
            // Its message has its outcome, and nobody waits for the identifier.
            sent.state = SentState::GIVEN_UP;
            self.outgoing.suspect = None;
            return;
        }
        self.events
            .push_back(Event::Poisonous { token, connections });
        if self.config.poisonous == Poisonous::Fail {
            self.outgoing.suspect = None;
            self.give_up(first.id, Outcome::Poisonous { connections });
        }
    }
}
