use alloc::string::String;
use alloc::vec::Vec;

use crate::Endpoint;

/// Where a session lets a server send it, by Use another server or Server moved with a Server Reference (section 4.11).
///
/// Whoever answers in the place of a server can name any host, and would be given the credentials: so nothing is followed that is not listed
/// here. [`Event::Redirected`](crate::Event::Redirected) tells what was asked for and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redirects {
    hosts: Vec<String>,
    sharing: bool,
}

impl Redirects {
    /// Nowhere.
    pub const fn refuse() -> Self {
        Self {
            hosts: Vec::new(),
            sharing: false,
        }
    }

    /// To these hosts, on any port: names or addresses, or `*.example.org` for every name below `example.org`. Upper and lower case are
    /// the same.
    pub fn to(hosts: impl IntoIterator<Item: Into<String>>) -> Self {
        Self {
            hosts: hosts.into_iter().map(Into::into).collect(),
            sharing: false,
        }
    }

    /// The servers there share their sessions with the one that sends us: the session goes on. Else it begins anew, as with any
    /// other group of servers.
    #[must_use]
    pub fn sharing_sessions(self) -> Self {
        Self {
            sharing: true,
            ..self
        }
    }

    pub(crate) const fn shares_sessions(&self) -> bool {
        self.sharing
    }

    /// Never into the file system.
    pub(crate) fn allow(&self, target: &Endpoint) -> bool {
        let host = target.host();
        if host.is_empty() {
            return false;
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        self.hosts.iter().any(|allowed| {
            let Some(below) = allowed.strip_prefix('*') else {
                return host.eq_ignore_ascii_case(allowed);
            };
            // `below` begins with the dot.
            below.starts_with('.')
                && host.len() > below.len()
                && host
                    .get(host.len() - below.len()..)
                    .is_some_and(|end| end.eq_ignore_ascii_case(below))
        })
    }
}
