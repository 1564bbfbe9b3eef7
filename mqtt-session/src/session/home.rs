//! Whose session the state is.

use mqtt_proto::{Text, Version};

use super::Session;

/// Session state belongs to a group of servers, and to the client identifier that they know us by.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) group: u32,
    /// The server keeps the session when a connection ends: what it said, or what it was asked for.
    pub(super) lasts: bool,
    /// There is no session yet: the connection only cleared what there was before ([`Session::only_clears`]).
    pub(super) cleared: bool,
}

impl Session {
    /// The client identifier for the server whose turn it is. One that another group has assigned means nothing to it.
    pub(super) fn client_id(&self) -> &Text {
        let assigned = self.round.assigned();
        assigned.unwrap_or(&self.config.connect.client_id)
    }

    /// Whether our session is at another group of servers. A packet identifier of ours could meet an old one at this one, and a QoS 2
    /// message be swallowed as a duplicate [MQTT-4.3.3-10]: so what the server may have is to be discarded.
    fn is_elsewhere(&self) -> bool {
        let group = self.round.server().group;
        self.home.as_ref().is_some_and(|home| home.group != group)
    }

    /// Whether the server is to have our session: it had it, and was not asked for another one.
    pub(super) fn expects_session(&self) -> bool {
        let has_one = self.home.as_ref().is_some_and(|home| !home.cleared);
        has_one && !self.link.clean_start
    }

    /// Clean Start asks for an end to what was before the session. In 5.0 the session then lasts over connections; in 3.x
    /// Clean Session also ends it with each of them.
    pub(super) fn clean_start(&self, version: Version) -> bool {
        let begins = self.config.connect.clean_start;
        self.is_elsewhere()
            || match (version, &self.home) {
                (Version::V3_1 | Version::V3_1_1, _) | (Version::V5, None) => begins,
                // The server has dropped a session that did not last.
                (Version::V5, Some(home)) => !home.lasts,
            }
    }

    /// In 3.x a clean session does not outlive its connection. Where one that does was asked for, the first connection to another group
    /// only clears what that had, and the second one is used.
    pub(super) fn only_clears(&self, version: Version) -> bool {
        !version.is_v5() && !self.config.connect.clean_start && self.is_elsewhere()
    }
}
