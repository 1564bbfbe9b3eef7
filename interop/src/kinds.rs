//! What is known of each broker: where it does not do what a scenario asks. All else must work, and what is declared here must fail, in the way
//! that is declared.

use mqtt_tokio::Version;

/// A broker, in a version of its own and configured as `ci/brokers` does.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) gaps: &'static [Gap],
}

/// What a broker does not do.
#[derive(Debug)]
pub(crate) struct Gap {
    pub(crate) scenario: &'static str,
    /// In these versions; in all where there is none.
    pub(crate) versions: &'static [Version],
    pub(crate) whose: Whose,
    /// Words of the failure.
    pub(crate) seen: &'static str,
    pub(crate) note: &'static str,
}

/// Whether the specification lets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// It says that it can't, or need not.
    NotOffered,
    /// It must, and does not.
    Fault,
    /// It must, and does so at times only: it may work, or fail as declared.
    FaultAtTimes,
}

impl Kind {
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }

    pub(crate) fn gap(&self, scenario: &str, version: Version) -> Option<&'static Gap> {
        self.gaps.iter().find(|gap| {
            gap.scenario == scenario && (gap.versions.is_empty() || gap.versions.contains(&version))
        })
    }
}

const fn lacks(
    scenario: &'static str,
    versions: &'static [Version],
    seen: &'static str,
    note: &'static str,
) -> Gap {
    let whose = Whose::NotOffered;
    Gap {
        scenario,
        versions,
        whose,
        seen,
        note,
    }
}

const fn fault(
    scenario: &'static str,
    versions: &'static [Version],
    seen: &'static str,
    note: &'static str,
) -> Gap {
    let whose = Whose::Fault;
    Gap {
        scenario,
        versions,
        whose,
        seen,
        note,
    }
}

const fn fault_at_times(
    scenario: &'static str,
    versions: &'static [Version],
    seen: &'static str,
    note: &'static str,
) -> Gap {
    let whose = Whose::FaultAtTimes;
    Gap {
        scenario,
        versions,
        whose,
        seen,
        note,
    }
}

const V3: &[Version] = &[Version::V3_1];
const V3_1_1: &[Version] = &[Version::V3_1_1];
const V5: &[Version] = &[Version::V5];
const ALL: &[Version] = &[];

const CONNECTING: &str = "connecting";
const SHARED: &str = "shared subscription";
const LOWER_QOS: &str = "the lower QoS counts";
const TAKEN_OVER: &str = "one client identifier at a time";
const RECEIVE_MAXIMUM: &str = "Receive Maximum of the client's";
const MUTUAL_TLS: &str = "mutual TLS";
const SESSION_OVER_RESTART_1: &str = "restart: a session and what waited in it, QoS 1";
const SESSION_OVER_RESTART_2: &str = "restart: a session and what waited in it, QoS 2";
const RETAINED_OVER_RESTART: &str = "restart: a retained message";

const EXACTLY_ONCE: &str = "QoS 2, both ways";
const RESUMED_1: &str = "session resumed after a cut, QoS 1";
const RESUMED_2: &str = "session resumed after a cut, QoS 2";
const NO_LOCAL: &str = "No Local";
const RETAIN_AS_PUBLISHED: &str = "Retain As Published";
const RETAIN_HANDLING: &str = "Retain Handling";
const PACKET_SIZE: &str = "Maximum Packet Size of the client's";
const MESSAGE_EXPIRY: &str = "message expiry";
const SESSION_EXPIRY: &str = "session expiry";
const TLS: &str = "TLS";
const WEBSOCKET: &str = "WebSocket";
const SECURE_WEBSOCKET: &str = "secure WebSocket";

const SESSIONS_IN_MEMORY: &str = "it keeps sessions in memory";
const ONE_PORT: &str = "5.0 has a port of its own, for TCP alone";
const NO_ORDER: &str = "it sends what waited by a task for each message, so in no order [MQTT-4.6.0-6]; have a number in the payload where the order matters";
const NO_PUBREC: &str = "PUBACK came for the packet identifier";
const NO_PUBREC_NOTE: &str = "it answers a PUBLISH of QoS 2 by PUBACK [MQTT-4.3.3-2]; the client disconnects, and tells of the message as \
     poisonous: publish at QoS 1";
const IN_MEMORY: &str = "it keeps all in memory";
/// 3.1.1 knows no shared subscriptions: the filter is one that no topic matches.
const NO_SHARES: &str = "5.0 has them, and 3.1.1 only by an extension";

static KINDS: [Kind; 8] = [
    // One of whom nothing is known.
    Kind {
        name: "any",
        gaps: &[],
    },
    Kind {
        name: "mosquitto",
        gaps: &[
            fault(
                TAKEN_OVER,
                V5,
                "the older one was not told why",
                "it closes the older connection without DISCONNECT 0x8E [MQTT-3.1.4-3]; the older one reconnects with growing delays",
            ),
            fault(
                RECEIVE_MAXIMUM,
                V5,
                "more than 2 publications are unacknowledged",
                "below its own max_inflight_messages (20) it sends more than the client's Receive Maximum [MQTT-3.3.4-9]; the client disconnects with 0x93, \
                 gets them again, and `Lost` says which limit it was: leave Receive Maximum at its default of 256, or set max_inflight_messages to it",
            ),
        ],
    },
    Kind {
        name: "aedes",
        gaps: &[
            lacks(
                CONNECTING,
                V5,
                "0x84 Unsupported Protocol Version",
                "it has no 5.0, and says so; `fall_back` goes on in 3.1.1",
            ),
            lacks(SHARED, ALL, "messages in the group: 0", NO_SHARES),
            lacks(SESSION_OVER_RESTART_1, V3, "no message", IN_MEMORY),
            lacks(SESSION_OVER_RESTART_2, V3, "no message", IN_MEMORY),
            lacks(
                SESSION_OVER_RESTART_1,
                V3_1_1,
                "session present: false",
                IN_MEMORY,
            ),
            lacks(
                SESSION_OVER_RESTART_2,
                V3_1_1,
                "session present: false",
                IN_MEMORY,
            ),
            lacks(RETAINED_OVER_RESTART, ALL, "no message", IN_MEMORY),
        ],
    },
    Kind {
        name: "amqtt",
        gaps: &[
            lacks(
                CONNECTING,
                V3,
                "before CONNECT was answered",
                "it has no 3.1, and closes the connection",
            ),
            fault(
                CONNECTING,
                V5,
                "sent no CONNACK",
                "it has no 5.0, and does not answer, where it must say so [MQTT-3.1.2-2]; the CONNACK timeout ends the attempt. `fall_back` is for servers that \
                 answer or close: ask for 3.1.1",
            ),
            fault(
                LOWER_QOS,
                ALL,
                "QoS of a message",
                "it sends at the subscription's QoS what was published at a lower one [MQTT-3.8.4-6]; nothing is lost by it",
            ),
            fault_at_times(RESUMED_1, ALL, "what waited: ", NO_ORDER),
            fault_at_times(RESUMED_2, ALL, "what waited: ", NO_ORDER),
            fault(
                TAKEN_OVER,
                ALL,
                "no end of the older one",
                "both go on [MQTT-3.1.4-2]; give each client an identifier of its own",
            ),
            lacks(SHARED, ALL, "messages in the group: 0", NO_SHARES),
            lacks(
                MUTUAL_TLS,
                ALL,
                "without a certificate was accepted",
                "it asks for a certificate, and goes on without one",
            ),
            lacks(
                SESSION_OVER_RESTART_1,
                ALL,
                "session present: false",
                IN_MEMORY,
            ),
            lacks(
                SESSION_OVER_RESTART_2,
                ALL,
                "session present: false",
                IN_MEMORY,
            ),
            lacks(RETAINED_OVER_RESTART, ALL, "no message", IN_MEMORY),
        ],
    },
    Kind {
        name: "ejabberd",
        gaps: &[
            lacks(
                CONNECTING,
                V3,
                "0x84 Unsupported Protocol Version",
                "it has no 3.1, and says so",
            ),
            fault(
                SHARED,
                V3_1_1,
                "no SUBACK",
                "it closes the connection at the filter, which is a valid one in 3.1.1; each reconnect asks for it again and ends likewise, so don't ask for it",
            ),
            lacks(
                SHARED,
                V5,
                "the server has no shared subscriptions",
                "CONNACK says so, and the client refuses the subscription",
            ),
            fault(
                PACKET_SIZE,
                V5,
                "above the maximum of 500",
                "it sends what is larger than the client's Maximum Packet Size [MQTT-3.1.2-24]; the client disconnects with 0x95. Raise \
                 `limits.max_packet_size`",
            ),
            fault(
                MESSAGE_EXPIRY,
                V5,
                "\"short\" instead of \"long\"",
                "it sends a message that has expired in the queue [MQTT-3.3.2-5]; have a time in the payload where that matters",
            ),
            lacks(
                MUTUAL_TLS,
                ALL,
                "without a certificate was accepted",
                "it looks at a certificate where there is one, and goes on without",
            ),
            lacks(
                SESSION_OVER_RESTART_1,
                ALL,
                "session present: false",
                SESSIONS_IN_MEMORY,
            ),
            lacks(
                SESSION_OVER_RESTART_2,
                ALL,
                "session present: false",
                SESSIONS_IN_MEMORY,
            ),
        ],
    },
    Kind {
        name: "rabbitmq",
        gaps: &[
            fault(
                CONNECTING,
                V5,
                "before CONNECT was answered",
                "it has no 5.0, and closes the connection without saying so [MQTT-3.1.2-2]; `fall_back` goes on in 3.1.1",
            ),
            lacks(
                EXACTLY_ONCE,
                ALL,
                "AtLeastOnce instead of ExactlyOnce",
                "it grants QoS 1 for QoS 2",
            ),
            fault(LOWER_QOS, ALL, NO_PUBREC, NO_PUBREC_NOTE),
            fault(RESUMED_2, ALL, NO_PUBREC, NO_PUBREC_NOTE),
            fault(SESSION_OVER_RESTART_2, ALL, NO_PUBREC, NO_PUBREC_NOTE),
            lacks(SHARED, ALL, "messages in the group: 0", NO_SHARES),
            lacks(
                MUTUAL_TLS,
                ALL,
                "there is no port for it",
                "a node has one configuration of TLS for all ports",
            ),
        ],
    },
    Kind {
        name: "mqtt5",
        gaps: &[lacks(
            CONNECTING,
            V3,
            "before CONNECT was answered",
            "it has no 3.1, and closes the connection",
        )],
    },
    Kind {
        name: "rumqttd",
        gaps: &[
            lacks(
                CONNECTING,
                V3,
                "before CONNECT was answered",
                "it has no 3.1, and closes the connection",
            ),
            fault(
                LOWER_QOS,
                ALL,
                "QoS of a message",
                "it sends at the subscription's QoS what was published at a lower one [MQTT-3.8.4-6, -8]; nothing is lost by it",
            ),
            fault(
                TAKEN_OVER,
                V5,
                "the older one was not told why",
                "it closes the older connection without DISCONNECT 0x8E [MQTT-3.1.4-3]; the older one reconnects with growing delays",
            ),
            fault(
                NO_LOCAL,
                V5,
                "\"own\" instead of \"other\"",
                "it ignores the option [MQTT-3.8.3-3]: tell messages apart by a user property",
            ),
            fault(
                RETAIN_AS_PUBLISHED,
                V5,
                "RETAIN: false instead of true",
                "it ignores the option [MQTT-3.3.1-13]",
            ),
            fault(
                RETAIN_HANDLING,
                V5,
                "with DoNotSend",
                "it ignores the option [MQTT-3.3.1-11]; what was kept comes with RETAIN set",
            ),
            fault(
                RECEIVE_MAXIMUM,
                V5,
                "more than 2 publications are unacknowledged",
                "it ignores the client's Receive Maximum [MQTT-3.3.4-9]; the client disconnects with 0x93: leave it above the broker's max_inflight_count",
            ),
            fault(
                PACKET_SIZE,
                V5,
                "above the maximum of 500",
                "it sends what is larger than the client's Maximum Packet Size [MQTT-3.1.2-24]; the client disconnects with 0x95. Raise \
                 `limits.max_packet_size`",
            ),
            fault(
                SESSION_EXPIRY,
                V5,
                "0 s after which it expires: true",
                "it keeps a session that ends with its connection (section 3.1.2.11.2); ask for a clean start",
            ),
            lacks(TLS, V5, "before CONNECT was answered", ONE_PORT),
            lacks(MUTUAL_TLS, V5, "before CONNECT was answered", ONE_PORT),
            lacks(WEBSOCKET, V5, "before CONNECT was answered", ONE_PORT),
            lacks(
                SECURE_WEBSOCKET,
                V5,
                "before CONNECT was answered",
                ONE_PORT,
            ),
            lacks(
                MUTUAL_TLS,
                V3_1_1,
                "without a certificate was accepted",
                "as built by default it asks for no certificates",
            ),
            lacks(
                SESSION_OVER_RESTART_1,
                ALL,
                "session present: false",
                IN_MEMORY,
            ),
            lacks(
                SESSION_OVER_RESTART_2,
                ALL,
                "session present: false",
                IN_MEMORY,
            ),
            lacks(RETAINED_OVER_RESTART, ALL, "no message", IN_MEMORY),
        ],
    },
];

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is a failure")]
mod tests {
    use super::*;
    use crate::scenarios;

    /// One of a scenario that there is not would never be tried, and the second of two neither.
    #[test]
    fn each_gap_is_of_a_scenario_and_is_the_only_one_in_its_version() {
        for kind in &KINDS {
            for gap in kind.gaps {
                let name = (kind.name, gap.scenario);
                assert!(
                    scenarios::names().any(|one| one == gap.scenario),
                    "{name:?}"
                );
                for version in [Version::V3_1, Version::V3_1_1, Version::V5] {
                    if gap.versions.is_empty() || gap.versions.contains(&version) {
                        let first = kind.gap(gap.scenario, version).unwrap();
                        assert!(std::ptr::eq(first, gap), "{name:?}");
                    }
                }
            }
        }
    }
}
