//! Whose turn it is among the servers.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec::Vec;

use mqtt_proto::{Text, Version};

use crate::servers::Server;
use crate::{Credentials, Endpoint, Moved};

/// Redirects that are followed until a connection was stable or a round of attempts has failed.
pub(super) const IN_A_ROW: u8 = 3;

/// A round of attempts: each server of the list once, and those to which these send us.
#[derive(Debug)]
pub(super) struct Round {
    /// Never empty.
    servers: Box<[Server]>,
    /// Where the next round begins: with the server that has our session.
    first: u16,
    /// Whose turn it is.
    at: u16,
    /// Servers of this round that were not tried yet.
    left: u16,
    /// What few sessions need.
    detour: Option<Box<Detour>>,
}

/// Where the server whose turn it was has sent us, and what else belongs to a turn of few sessions.
#[derive(Debug, Default)]
struct Detour {
    /// The first of these has the turn instead, if there is one.
    targets: Vec<Server>,
    /// They take its place in the list.
    moved: bool,
    /// The servers of the configuration whose places others have taken.
    replaced: BTreeMap<u16, Server>,
    /// How many since a round began, or a connection was stable.
    in_a_row: u8,
    /// The targets are new, and have not had their turn.
    fresh: bool,
    /// The last target that accepted. It may have our session.
    last: Option<Server>,
    /// The last group that a target has made, if one has. None is made twice: the session may be at one that is no longer known here.
    last_group: u32,
    /// What the application gave for this attempt.
    credentials: Option<Credentials>,
    /// Of the CONNACK that came last.
    response_information: Option<Text>,
    /// The client identifier that the server assigned, and to which group it means something.
    assigned: Option<(u32, Text)>,
}

impl Round {
    pub(super) fn new(mut servers: Vec<Server>) -> Self {
        servers.truncate(usize::from(u16::MAX));
        Self {
            servers: servers.into(),
            first: 0,
            at: 0,
            left: 0,
            detour: None,
        }
    }

    pub(super) fn begin(&mut self) {
        self.at = self.first;
        self.left = self.len() - 1;
        if let Some(detour) = &mut self.detour {
            detour.targets.clear();
            detour.in_a_row = 0;
        }
    }

    /// Whether there is another turn in this round: of another target, or of the next server.
    pub(super) fn next(&mut self) -> bool {
        // A version that was tried and not accepted either is no better than the first.
        self.each_of_group(|server| server.fell_back &= server.proven);
        if let Some(detour) = &mut self.detour
            && !detour.targets.is_empty()
        {
            detour.targets.remove(0);
            if !detour.targets.is_empty() {
                return true;
            }
        }
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        self.at = (self.at + 1) % self.len();
        true
    }

    /// The server whose turn it is has accepted.
    pub(super) fn accepted(&mut self) {
        self.each_of_group(|server| server.proven = true);
        let target = self.server().clone();
        match &mut self.detour {
            Some(detour) if !detour.targets.is_empty() && detour.moved => {
                detour.targets.clear();
                self.first = self.at;
                self.replace(self.at, target);
            }
            // For this connection only: the next round begins with the list.
            Some(detour) if !detour.targets.is_empty() => detour.last = Some(target),
            _ => self.first = self.at,
        }
    }

    /// Another server has this place of the list for good.
    fn replace(&mut self, place: u16, server: Server) {
        let was = core::mem::replace(&mut self.servers[usize::from(place)], server);
        let replaced = &mut self.detour.get_or_insert_default().replaced;
        replaced.entry(place).or_insert(was);
    }

    fn replaced(&self, place: u16) -> Option<&Server> {
        self.detour.as_ref()?.replaced.get(&place)
    }

    /// Which servers of the configuration have given their places to others of the group of the server whose turn it is: first the one whose place has
    /// the turn.
    pub(super) fn moved(&self) -> Vec<Moved> {
        let Some(detour) = &self.detour else {
            return Vec::new();
        };
        let group = self.server().group;
        let mut places: Vec<_> = detour.replaced.keys().copied().collect();
        places.sort_by_key(|place| *place != self.at);
        let moved = places.into_iter().filter_map(|place| {
            let to = &self.servers[usize::from(place)];
            let from = self.replaced(place).filter(|_| to.group == group)?;
            Some(Moved {
                from: from.endpoint.to_string(),
                to: to.endpoint.to_string(),
            })
        });
        moved.collect()
    }

    /// The server whose turn it is can't serve for now: the next round begins with the one after it.
    pub(super) const fn pass_over(&mut self) {
        self.first = (self.at + 1) % self.len();
    }

    /// The turn is given to these, of which there is at least one. Not more than [`IN_A_ROW`] times in a row.
    pub(super) fn redirect(&mut self, to: Vec<Endpoint>, permanent: bool, sharing: bool) -> bool {
        let group = sharing.then(|| self.server().group);
        let detour = self.detour.get_or_insert_default();
        if detour.in_a_row >= IN_A_ROW {
            return false;
        }
        detour.in_a_row += 1;
        detour.fresh = true;
        // What a stand-in says of itself does not concern the list.
        detour.moved = permanent && (detour.targets.is_empty() || detour.moved);
        let targets = to.into_iter().map(|endpoint| self.target(endpoint, group));
        let targets = targets.collect();
        self.detour.get_or_insert_default().targets = targets;
        true
    }

    /// A server to which we are sent: one that is known, also by a place of the list that another has taken, or a new one, of this group or of its own.
    fn target(&mut self, endpoint: Endpoint, group: Option<u32>) -> Server {
        let detour = self.detour.iter();
        let off_the_list =
            detour.flat_map(|detour| detour.last.iter().chain(detour.replaced.values()));
        let mut known = self.servers.iter().chain(off_the_list);
        match known.find(|known| known.endpoint.is_same_server(&endpoint)) {
            Some(known) => known.clone(),
            None => {
                let group = group.unwrap_or_else(|| self.new_group());
                Server::new(endpoint, group)
            }
        }
    }

    pub(super) fn give_credentials(&mut self, credentials: Credentials) {
        self.detour.get_or_insert_default().credentials = Some(credentials);
    }

    pub(super) fn take_credentials(&mut self) -> Option<Credentials> {
        self.detour.as_mut()?.credentials.take()
    }

    /// The server has assigned a client identifier.
    pub(super) fn assign(&mut self, client_id: Text) {
        let group = self.server().group;
        self.detour.get_or_insert_default().assigned = Some((group, client_id));
    }

    /// What CONNACK said of the topics of responses.
    pub(super) fn inform(&mut self, response_information: Option<Text>) {
        if response_information.is_some() || self.detour.is_some() {
            self.detour.get_or_insert_default().response_information = response_information;
        }
    }

    pub(super) fn response_information(&self) -> Option<&str> {
        let text = self.detour.as_ref()?.response_information.as_ref()?;
        Some(text.as_str())
    }

    /// The client identifier that the group of the server whose turn it is has assigned.
    pub(super) fn assigned(&self) -> Option<&Text> {
        let (group, client_id) = self.detour.as_ref()?.assigned.as_ref()?;
        (*group == self.server().group).then_some(client_id)
    }

    /// A connection was stable: what follows is not in a row with what was before.
    pub(super) fn forget_redirects(&mut self) {
        if let Some(detour) = &mut self.detour {
            detour.in_a_row = 0;
        }
    }

    /// Whether a redirect has given the turn to another server; told once.
    pub(super) fn was_redirected(&mut self) -> bool {
        let detour = self.detour.as_mut();
        detour.is_some_and(|detour| core::mem::take(&mut detour.fresh))
    }

    /// The same server in the older version, unless it has accepted the newer one before.
    pub(super) fn fall_back(&mut self) -> bool {
        let server = self.server();
        let may = !server.fell_back && !server.proven;
        if may {
            self.each_of_group(|server| server.fell_back = true);
        }
        may
    }

    /// The version to speak with the server whose turn it is.
    pub(super) fn version(&self, configured: Version) -> Version {
        if self.server().fell_back {
            Version::V3_1_1
        } else {
            configured
        }
    }

    /// At most as many as [`Round::new`] takes.
    const fn len(&self) -> u16 {
        self.servers.len() as u16
    }

    pub(super) fn server(&self) -> &Server {
        let detour = self.detour.as_ref();
        let target = detour.and_then(|detour| detour.targets.first());
        target.unwrap_or(&self.servers[self.at as usize])
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.server().endpoint
    }

    /// What the group of the server whose turn it is goes by, in any order of the list: that of its servers which comes first by its
    /// text, or the target itself. It stays the same for as long as the session: a server that has moved within the group counts as what it was, and one
    /// that has moved into it does not count.
    pub(super) fn group_name(&self) -> &Endpoint {
        let own = self.server();
        let places = (0..).zip(&self.servers);
        let of_group = places.filter_map(|(place, server)| {
            let configured = self.replaced(place).unwrap_or(server);
            (server.group == own.group && configured.group == own.group).then_some(configured)
        });
        let first = of_group.min_by_key(|server| server.endpoint.to_string());
        &first.unwrap_or(own).endpoint
    }

    /// Whether this is a name of the group of the server whose turn it is.
    pub(super) fn goes_by(&self, name: &str) -> bool {
        let group = self.server().group;
        let place = self.place_of(name);
        place.is_some_and(|place| self.configured(place).group == group)
            || self.group_name().to_string() == name
    }

    /// The place of the server with this name in the list of the configuration.
    pub(super) fn place_of(&self, name: &str) -> Option<u16> {
        (0..self.len()).find(|place| self.configured(*place).endpoint.to_string() == name)
    }

    /// The server that the configuration has in this place.
    pub(super) fn configured(&self, place: u16) -> &Server {
        self.replaced(place)
            .unwrap_or(&self.servers[usize::from(place)])
    }

    /// A session is restored that belongs to the group of the server at this place: the rounds begin there.
    pub(super) const fn settle_in(&mut self, place: u16) {
        (self.first, self.at) = (place, place);
    }

    /// The same for a server that joins the list, as a group of its own. Whether there is a place for it.
    pub(super) fn settle_at(&mut self, endpoint: Endpoint) -> bool {
        let Some(place) = u16::try_from(self.servers.len())
            .ok()
            .filter(|place| *place < u16::MAX)
        else {
            return false;
        };
        let group = self.new_group();
        let mut servers = core::mem::take(&mut self.servers).into_vec();
        servers.push(Server::new(endpoint, group));
        self.servers = servers.into();
        self.settle_in(place);
        true
    }

    /// The same for a server that has taken this place for good. It may be one that is known; else it is of this group, or of its own.
    pub(super) fn settle_instead(&mut self, place: u16, endpoint: Endpoint, group: Option<u32>) {
        let server = self.target(endpoint, group);
        self.replace(place, server);
        self.settle_in(place);
    }

    /// One that no server has had.
    fn new_group(&mut self) -> u32 {
        let detour = self.detour.get_or_insert_default();
        let listed = self.servers.iter().chain(detour.replaced.values());
        let last = listed.map(|server| server.group).max().unwrap_or(0);
        detour.last_group = detour.last_group.max(last).wrapping_add(1);
        detour.last_group
    }

    /// What is known of a server holds for its group.
    fn each_of_group(&mut self, mut change: impl FnMut(&mut Server)) {
        let group = self.server().group;
        let targets = self
            .detour
            .iter_mut()
            .flat_map(|detour| &mut detour.targets);
        self.servers
            .iter_mut()
            .chain(targets)
            .filter(|server| server.group == group)
            .for_each(&mut change);
    }
}
