//! What is tried.

mod broker;
mod fifth;
mod layers;
mod messages;
mod restart;
mod sessions;

use std::pin::Pin;

use mqtt_tokio::Version;

use crate::site::{Result, Site};

pub(crate) type Running<T = ()> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;
/// What follows on a restart.
pub(crate) type After = Running;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) act: Act,
    only: Option<Version>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Plain(fn(Site) -> Running),
    /// What it gives is to be awaited when the broker is back.
    OverRestart(fn(Site) -> Running<After>),
}

/// Without which there is no other.
pub(crate) const CONNECTING: Scenario = Scenario {
    name: "connecting",
    act: Act::Plain(|site| Box::pin(broker::connecting(site))),
    only: None,
};

impl Scenario {
    pub(crate) fn is_in(&self, version: Version) -> bool {
        self.only.is_none_or(|only| only == version)
    }
}

macro_rules! plain {
    ($name:literal, $act:path) => {
        Scenario {
            name: $name,
            act: Act::Plain(|site| Box::pin($act(site))),
            only: None,
        }
    };
    ($name:literal, 5, $act:path) => {
        Scenario {
            name: $name,
            act: Act::Plain(|site| Box::pin($act(site))),
            only: Some(Version::V5),
        }
    };
}

macro_rules! over_restart {
    ($name:literal, $act:path) => {
        Scenario {
            name: $name,
            act: Act::OverRestart(|site| Box::pin($act(site))),
            only: None,
        }
    };
}

const REST: &[Scenario] = &[
    plain!("QoS 0, both ways", messages::at_most_once),
    plain!("QoS 1, both ways", messages::at_least_once),
    plain!("QoS 2, both ways", messages::exactly_once),
    plain!("the lower QoS counts", messages::lower_qos),
    plain!("a payload of 1 MiB", messages::large),
    plain!("a payload of 8 MiB", messages::larger),
    plain!("retained: kept, replaced, removed", messages::retained),
    plain!("unsubscribing", messages::unsubscribing),
    plain!("wildcards", messages::wildcards),
    plain!("shared subscription", messages::shared),
    plain!("will: after a cut, not after DISCONNECT", sessions::will),
    plain!(
        "session resumed after a cut, QoS 1",
        sessions::resumed_at_least_once
    ),
    plain!(
        "session resumed after a cut, QoS 2",
        sessions::resumed_exactly_once
    ),
    plain!(
        "session dropped where a clean one is asked for",
        sessions::cleaned
    ),
    plain!("one client identifier at a time", sessions::taken_over),
    plain!("idle, kept by pings", sessions::idle),
    plain!("properties pass unaltered", 5, fifth::properties),
    plain!("No Local", 5, fifth::no_local),
    plain!("Retain As Published", 5, fifth::retain_as_published),
    plain!("Retain Handling", 5, fifth::retain_handling),
    plain!(
        "overlapping subscriptions, by their identifiers",
        5,
        fifth::overlapping
    ),
    plain!("Receive Maximum of the client's", 5, fifth::receive_maximum),
    plain!("Maximum Packet Size of the client's", 5, fifth::packet_size),
    plain!("message expiry", 5, fifth::message_expiry),
    plain!("session expiry", 5, fifth::session_expiry),
    plain!("will delay", 5, fifth::will_delay),
    plain!(
        "client identifier assigned by the server",
        5,
        fifth::assigned
    ),
    plain!("TLS", layers::tls),
    plain!("mutual TLS", layers::mutual_tls),
    plain!("WebSocket", layers::websocket),
    plain!("secure WebSocket", layers::secure_websocket),
    over_restart!(
        "restart: the client comes back, with its subscriptions",
        restart::comes_back
    ),
    over_restart!(
        "restart: a session and what waited in it, QoS 1",
        restart::at_least_once
    ),
    over_restart!(
        "restart: a session and what waited in it, QoS 2",
        restart::exactly_once
    ),
    over_restart!("restart: a retained message", restart::retained),
];

/// All but [`CONNECTING`].
pub(crate) fn all() -> impl Iterator<Item = Scenario> {
    REST.iter().copied()
}

#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    std::iter::once(CONNECTING.name).chain(REST.iter().map(|one| one.name))
}
