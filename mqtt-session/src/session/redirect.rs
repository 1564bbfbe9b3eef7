//! Server redirection (section 4.11).

use alloc::string::ToString;
use alloc::vec::Vec;

use mqtt_proto::{PropertiesRef, ReasonCode};

use super::Session;
use super::round::IN_A_ROW;
use crate::{Endpoint, Event, Moved, RedirectRefused, Redirects};

/// Servers that one reference may name; further ones are not looked at.
const NAMED: usize = 16;

impl Session {
    /// CONNACK or DISCONNECT may send us to another server: then that is the one whose turn it is.
    pub(super) fn redirected(&mut self, reason: ReasonCode, said: PropertiesRef<'_>) {
        let permanent = match reason {
            ReasonCode::USE_ANOTHER_SERVER => false,
            ReasonCode::SERVER_MOVED => true,
            _ => return,
        };
        if !self.wants_connection() {
            return;
        }
        let from = self.round.endpoint().clone();
        let reference = said.server_reference();
        let followed = self.follow(reference, permanent);
        self.events.push_back(Event::Redirected {
            from,
            reference: reference.map(ToString::to_string),
            permanent,
            followed,
        });
    }

    fn follow(
        &mut self,
        reference: Option<&str>,
        permanent: bool,
    ) -> Result<Endpoint, RedirectRefused> {
        let mut refused = RedirectRefused::NoReference;
        let mut targets = Vec::new();
        let from = self.round.endpoint();
        for named in reference.unwrap_or_default().split_whitespace().take(NAMED) {
            match Endpoint::parse_reference(named, from) {
                Ok(target) => match self.permit(target) {
                    Ok(target) => targets.push(target),
                    Err(error) => refused = error,
                },
                Err(error) => refused = RedirectRefused::Reference(error),
            }
        }
        let Some(first) = targets.first().cloned() else {
            return Err(refused);
        };
        let redirects = self.config.redirects();
        let sharing = redirects.is_some_and(Redirects::shares_sessions);
        if self.was_stable() {
            self.round.forget_redirects();
        }
        if self.round.redirect(targets, permanent, sharing) {
            Ok(first)
        } else {
            Err(RedirectRefused::TooMany { max: IN_A_ROW })
        }
    }

    /// Whether the server whose turn it is may send us there.
    fn permit(&self, target: Endpoint) -> Result<Endpoint, RedirectRefused> {
        self.permit_from(self.round.endpoint(), target)
    }

    fn permit_from(&self, from: &Endpoint, target: Endpoint) -> Result<Endpoint, RedirectRefused> {
        if !self.config.redirects().is_some_and(|r| r.allow(&target)) {
            return Err(RedirectRefused::NotAllowed { target });
        }
        if from.scheme().is_private() && !target.scheme().is_private() {
            return Err(RedirectRefused::Weaker { target });
        }
        Ok(target.with_credentials_of(from))
    }

    /// A session is restored that the group of this name has. Servers that have moved for good stand in their places of the list again, where we may still be
    /// sent there; a server off the list, to which an earlier process was sent, joins it. Whether the session can be gone on with.
    pub(super) fn settle_in(&mut self, group: &str, moved: &[Moved]) -> bool {
        let redirects = self.config.redirects();
        let sharing = redirects.is_some_and(Redirects::shares_sessions);
        let group_of = |place| self.round.configured(place).group;
        let own = self.round.place_of(group).map(group_of);
        let places = moved.iter().filter_map(|Moved { from, to }| {
            let place = self.round.place_of(from)?;
            if let Some(target) = self.listed(to) {
                return Some((place, target, None));
            }
            // Of a group that is listed, it shares the session only where the configuration says so.
            if own.is_some() && !sharing {
                return None;
            }
            let target = self.named(to, &self.round.configured(place).endpoint)?;
            let shared = own.unwrap_or_else(|| group_of(place));
            Some((place, target, sharing.then_some(shared)))
        });
        let places: Vec<_> = places.collect();
        let settled = !places.is_empty();
        // The first is the one that was connected to: with that the rounds begin.
        for (place, target, group) in places.into_iter().rev() {
            self.round.settle_instead(place, target, group);
        }
        if settled {
            return true;
        }
        // Of servers that are not in the list, those may be to which they moved.
        let targets = || moved.iter().map(|moved| moved.to.as_str());
        let mut names = core::iter::once(group).chain(targets());
        if let Some(place) = names.find_map(|name| self.round.place_of(name)) {
            self.round.settle_in(place);
            return true;
        }
        let from = self.round.endpoint();
        let mut names = targets().chain(core::iter::once(group));
        let target = names.find_map(|name| self.named(name, from));
        target.is_some_and(|target| self.round.settle_at(target))
    }

    /// The server of the list with this name.
    fn listed(&self, name: &str) -> Option<Endpoint> {
        let place = self.round.place_of(name)?;
        Some(self.round.configured(place).endpoint.clone())
    }

    /// The server with this name, where we may be sent there.
    fn named(&self, name: &str, from: &Endpoint) -> Option<Endpoint> {
        // A server without a scheme was named by the usual one.
        let url = if name.contains("://") {
            name.to_string()
        } else {
            alloc::format!("mqtt://{name}")
        };
        let target = Endpoint::parse_reference(&url, from).ok()?;
        // A query may be a secret, and is not recorded.
        let target = (target.to_string() == name).then_some(target)?;
        self.permit_from(from, target).ok()
    }
}
