use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::str::FromStr;

use crate::backoff::Dice;
use crate::endpoint::Options;
use crate::{Endpoint, EndpointError};

/// The servers that a session may connect to: one, or several that are tried in their order until one accepts.
///
/// At most 65,535 of them have their turn. Each is a group of its own unless it is declared to share sessions with others ([`or_sharing`](Self::or_sharing)). Going to another
/// group begins a new session there: what is in flight is treated as the configuration has it for a lost session.
///
/// A round of attempts begins with the server that has the session, and goes on through the list from there. Within a round the next
/// server is tried at once; the back-off is between rounds.
///
/// ```
/// # use mqtt_session::{Endpoint, EndpointError, Servers};
/// let one = Servers::try_from("mqtt://broker.example")?;
/// let two = Servers::try_from("mqtt://a.example, mqtt://b.example:1884")?;
/// let cluster = Servers::new(Endpoint::parse("mqtt://node1.example")?)
///     .or_sharing(Endpoint::parse("mqtt://node2.example")?)
///     .shuffled();
/// # Ok::<(), EndpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    /// Never empty.
    list: Vec<Server>,
    shuffled: bool,
}

/// One server, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) endpoint: Endpoint,
    /// Servers with the same number share sessions.
    pub(crate) group: u32,
    /// It has accepted a connection.
    pub(crate) proven: bool,
    /// It is spoken to in the older version.
    pub(crate) fell_back: bool,
}

impl Server {
    pub(crate) const fn new(endpoint: Endpoint, group: u32) -> Self {
        Self {
            endpoint,
            group,
            proven: false,
            fell_back: false,
        }
    }
}

impl Servers {
    /// One server.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            list: alloc::vec![Server::new(endpoint, 0)],
            shuffled: false,
        }
    }

    /// Another server, which knows nothing of the sessions of those before. One that is listed already, with the same credentials, is still the same server.
    #[must_use]
    pub fn or(mut self, endpoint: Endpoint) -> Self {
        let group = self.list.last().map_or(0, |last| last.group + 1);
        self.list.push(Server::new(endpoint, group));
        self
    }

    /// Another server, which shares its sessions with the one before: a node of the same cluster, or another address of the same
    /// server.
    #[must_use]
    pub fn or_sharing(mut self, endpoint: Endpoint) -> Self {
        let group = self.list.last().map_or(0, |last| last.group);
        self.list.push(Server::new(endpoint, group));
        self
    }

    /// The list is brought into an order that the session's seed decides, once: so that many clients spread over the servers.
    #[must_use]
    pub fn shuffled(self) -> Self {
        Self {
            shuffled: true,
            ..self
        }
    }

    /// The servers in the order of the list, of which there is at least one.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.list.iter().map(|server| &server.endpoint)
    }

    fn parse(urls: &str) -> Result<Self, EndpointError> {
        let mut urls = urls.split([',', ' ']).filter(|url| !url.is_empty());
        let first = Endpoint::parse(urls.next().unwrap_or_default())?;
        let mut options = first.options().cloned().unwrap_or_default();
        let mut servers = Self::new(first);
        for url in urls {
            let endpoint = Endpoint::parse(url)?;
            if let Some(more) = endpoint.options() {
                options = options.and(more)?;
            }
            servers = servers.or(endpoint);
        }
        Ok(servers)
    }

    /// What the URLs say of the session: each option as the first that has it.
    pub(crate) fn options(&self) -> Options {
        let options = self.endpoints().filter_map(Endpoint::options);
        options.fold(Options::default(), Options::or)
    }

    pub(crate) fn into_list(self, dice: &mut Dice) -> Vec<Server> {
        let mut list = self.list;
        if list.len() > 1 {
            join_groups(&mut list);
        }
        if self.shuffled {
            for last in (1..list.len()).rev() {
                let any = dice.roll() % (last as u64 + 1);
                list.swap(last, any as usize);
            }
        }
        list
    }
}

/// A server that is listed more than once has one and the same session in each place, and so have those that share it.
fn join_groups(list: &mut [Server]) {
    let mut seen = BTreeMap::new();
    for place in 0..list.len() {
        let before = seen.insert(list[place].endpoint.to_string(), place);
        // What is not shown, credentials say, may tell them apart.
        let Some(before) = before.filter(|at| list[*at].endpoint == list[place].endpoint) else {
            continue;
        };
        let (kept, joining) = (list[before].group, list[place].group);
        if kept != joining {
            let joining = list.iter_mut().filter(|server| server.group == joining);
            joining.for_each(|server| server.group = kept);
        }
    }
}

impl From<Endpoint> for Servers {
    fn from(endpoint: Endpoint) -> Self {
        Self::new(endpoint)
    }
}

/// One URL or several, with commas or spaces between them, each a group of its own. See [`Endpoint::parse`]. Commas and spaces in a password are
/// percent-encoded (`%2C`, `%20`). Options concern the session: each stands in one of the URLs, or in all with the same value.
impl FromStr for Servers {
    type Err = EndpointError;

    fn from_str(urls: &str) -> Result<Self, EndpointError> {
        Self::parse(urls).map_err(|error| {
            // A password with a comma that is not percent-encoded was cut in two, and may stand anywhere in what is shown.
            if urls.contains('@') {
                error.censored()
            } else {
                error
            }
        })
    }
}

impl TryFrom<&str> for Servers {
    type Error = EndpointError;

    fn try_from(urls: &str) -> Result<Self, EndpointError> {
        urls.parse()
    }
}

impl TryFrom<&alloc::string::String> for Servers {
    type Error = EndpointError;

    fn try_from(urls: &alloc::string::String) -> Result<Self, EndpointError> {
        urls.parse()
    }
}

impl TryFrom<alloc::string::String> for Servers {
    type Error = EndpointError;

    fn try_from(urls: alloc::string::String) -> Result<Self, EndpointError> {
        urls.parse()
    }
}

/// What can't fail needs no error: for whom a [`Servers`] and its URL are the same.
impl From<Infallible> for EndpointError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
