//! A case: how everything is set up, and each step in order. It is text as well: what a seed draws can be kept, cut down and run
//! again, whatever becomes of the generator.

use std::fmt;
use std::str::FromStr;

/// A setup, and steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Case {
    /// How everything is set up.
    pub setup: Setup,
    /// What happens.
    pub steps: Vec<Step>,
}

macro_rules! setup {
    ($($(#[$doc:meta])* $field:ident = $default:expr;)*) => {
        /// Configuration of client, broker and network. All are numbers, with times in milliseconds unless told otherwise; what a text
        /// does not name has its default.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Setup {
            $($(#[$doc])* pub $field: u64,)*
        }

        impl Default for Setup {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl Setup {
            fn set(&mut self, name: &str, value: u64) -> bool {
                match name {
                    $(stringify!($field) => self.$field = value,)*
                    _ => return false,
                }
                true
            }
        }

        impl fmt::Display for Setup {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("setup")?;
                $(if self.$field != $default {
                    write!(f, " {}={}", stringify!($field), self.$field)?;
                })*
                Ok(())
            }
        }
    };
}

setup! {
    /// Seed of the session's dice and of the links.
    seed = 0;
    /// 3, 4 or 5: the protocol level.
    version = 5;
    /// Whether the application uses `Client` and its futures rather than the session itself.
    handles = 0;
    /// Then: 0 acknowledges by hand, 1 when a message is taken, 2 when it is queued.
    acks = 0;
    /// 1 and more authenticate by AUTH, in so many rounds; 5.0 without handles only.
    auth = 0;
    /// 1 gives records out and waits for nothing, 2 writes ahead; without handles only.
    durability = 0;
    /// How long a record takes to be stored.
    store_delay = 0;
    /// Clean Start, Clean Session.
    clean_start = 0;
    /// In seconds.
    session_expiry = 3600;
    /// In seconds.
    keep_alive = 20;
    /// Limits of the client, by their names.
    receive_maximum = 256;
    /// See [`mqtt_session::Limits`].
    max_packet_size = 1 << 20;
    /// How many topic aliases it takes.
    topic_alias_maximum = 16;
    /// How many it gives.
    topic_aliases = 16;
    /// How long messages live that do not say it; 0 for ever.
    time_to_live = 0;
    /// 1 ends a message that connections end at.
    poisonous = 0;
    /// See [`mqtt_session::Limits`].
    inbox_bytes = 16 << 20;
    /// For all versions.
    max_in_flight = 20;
    /// See [`mqtt_session::Limits`].
    max_queued = 10_000;
    /// See [`mqtt_session::Limits`].
    outgoing_bytes = 64 << 20;
    /// See [`mqtt_session::Limits`].
    outbox_bytes = 256 << 10;
    /// See [`mqtt_session::Limits`].
    max_requests = 1024;
    /// 1 fails what is in flight when the session is lost.
    session_lost = 0;
    /// 1 refuses QoS 0 while offline.
    offline = 0;
    /// 1 drops the oldest.
    inbox_full = 0;
    /// The first delay of the back-off.
    backoff_first = 1000;
    /// The longest one.
    backoff_longest = 30_000;
    /// How long a connection must last for the back-off to begin anew.
    stable_after = 5000;
    /// How many queues the application has.
    queues = 1;
    /// Whether the server is a name that is looked up.
    named = 0;
    /// 2 adds a second server that shares its sessions, 3 one that does not.
    servers = 1;
    /// Where a server may send the client: 1 to one that shares its sessions, 2 to one that does not; 0 nowhere.
    redirects = 0;
    /// 1 asks for credentials before each attempt.
    credentials = 0;
    /// How many addresses the name has.
    addresses = 1;
    /// Receive Maximum of the broker.
    broker_receive_maximum = 65_535;
    /// Its Maximum Packet Size; 0 for none.
    broker_max_packet = 0;
    /// Its Maximum QoS.
    broker_max_qos = 2;
    /// Its Retain Available.
    broker_retain = 1;
    /// Its Topic Alias Maximum.
    broker_aliases = 0;
    /// Whether it has wildcard subscriptions.
    broker_wildcards = 1;
    /// Whether it has shared subscriptions.
    broker_shared = 1;
    /// Whether it has subscription identifiers.
    broker_identifiers = 1;
    /// Server Keep Alive in seconds; 65,536 for none.
    broker_keep_alive = 65_536;
    /// Whether it sends topic aliases.
    broker_sends_aliases = 0;
    /// Whether it sends a copy for each subscription.
    broker_copies = 0;
    /// Delay of bytes to the broker.
    delay_up = 0;
    /// Delay of bytes to the client.
    delay_down = 0;
    /// How bytes to the broker are torn: 0 joined, 1 as they were sent, else up to so many bytes at a time.
    pieces_up = 0;
    /// The same towards the client.
    pieces_down = 0;
    /// How many bytes to the broker the network holds; 0 for no bound.
    capacity = 0;
    /// How it ends: 0 with the last message, 1 with a disconnect that drains, 2 with one that does not.
    ending = 0;
}

macro_rules! steps {
    ($($(#[$doc:meta])* $step:ident $name:literal { $($field:ident),* } $kind:ident;)*) => {
        /// One thing that the application does, or that happens to it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the fields are told with each step")]
        #[non_exhaustive]
        pub enum Step {
            $($(#[$doc])* $step { $($field: u64),* },)*
        }

        impl Step {
            /// The names of the faults, and nothing for other steps.
            const MARKS: &[&str] = &[$(steps!(@ $kind $name),)*];

            /// Its name in the text of a case.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$step { .. } => $name,)*
                }
            }

            fn parse(name: &str, get: &dyn Fn(&str) -> u64) -> Option<(Self, &'static [&'static str])> {
                Some(match name {
                    $($name => (
                        Self::$step { $($field: get(stringify!($field))),* },
                        &[$(stringify!($field)),*],
                    ),)*
                    _ => return None,
                })
            }
        }

        impl fmt::Display for Step {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())?;
                match self {
                    $(Self::$step { $($field),* } => {
                        $(if *$field != 0 {
                            write!(f, " {}={}", stringify!($field), $field)?;
                        })*
                    })*
                }
                Ok(())
            }
        }
    };
    (@ fault $name:literal) => { $name };
    (@ work $name:literal) => { "" };
}

steps! {
    /// The application publishes `count` messages of `size` bytes; bits of `extra`: 1 RETAIN, 2 user property, 4 expiry, 8 waits for room.
    Publish "publish" { topic, qos, size, extra, count } work;
    /// Somebody else publishes to the client.
    Send "send" { topic, qos, size, extra, count } work;
    /// The application takes up to `count` messages from a queue.
    Take "take" { queue, count } work;
    /// It gives back up to `count` tickets, each the `which`th of those that it has.
    Ack "ack" { which, count } work;
    /// It subscribes to one of the filters that come and go.
    Subscribe "subscribe" { filter, qos, queue, options } work;
    /// It unsubscribes from one.
    Unsubscribe "unsubscribe" { filter } work;
    /// It gives up waiting for a subscribe that is not answered.
    Withdraw "withdraw" { filter } work;
    /// It gives up waiting for room, or for an outcome.
    Forget "forget" { which } work;
    /// It authenticates once more.
    Reauthenticate "reauthenticate" {} work;
    /// Time passes.
    Run "run" { ms } work;

    /// The link is cut.
    Cut "cut" {} fault;
    /// The link is cut after `bytes` more bytes; `up` is 1 for those to the broker.
    CutAfter "cut-after" { up, bytes } fault;
    /// One direction stands still, or goes on where `on` is 0.
    Stall "stall" { up, on } fault;
    /// One direction, or both where `up` is 2, loses everything in silence.
    HalfOpen "half-open" { up } fault;
    /// Bytes take longer from now on.
    Delay "delay" { up, ms } fault;
    /// Writes are split and joined otherwise from now on.
    Pieces "pieces" { up, bytes } fault;
    /// The network holds no more than so many bytes.
    Capacity "capacity" { bytes } fault;
    /// The broker stops reading, or goes on.
    Deaf "deaf" { on } fault;
    /// The broker restarts, with its state where `keep` is 1.
    Restart "restart" { keep } fault;
    /// The next CONNECT is refused.
    Refuse "refuse" { reason } fault;
    /// The server disconnects.
    Disconnect "server-disconnect" { reason } fault;
    /// The broker says that it has no session, though it has.
    Deny "deny-session" {} fault;
    /// The next publish is answered with this code, which is no error.
    Answer "answer" { reason } fault;
    /// All publishes to the topics that may be refused are answered with this code; with none where it is 0.
    Reject "reject" { reason } fault;
    /// One filter can't be subscribed to any more; with 0 all can again.
    RejectFilter "reject-filter" { filter, reason } fault;
    /// The broker withholds packets of this type.
    Hold "hold" { packet } fault;
    /// It sends what it withheld.
    Release "release" {} work;
    /// Dials fail (1), never end (2), or succeed (0).
    Network "network" { dial } fault;
    /// Lookups fail (1), find nothing (2), never end (3), or succeed (0).
    Resolver "resolver" { answer } fault;
    /// The broker has other limits for those who connect from now on.
    Limits "limits" { receive_maximum, max_packet, max_qos, retain, aliases, keep_alive } fault;
    /// The client's clock jumps: forwards, or `back`wards.
    Clock "clock" { ms, back } fault;
    /// An acknowledgement comes for an identifier that is not in use.
    UnknownId "unknown-id" { packet } fault;
    /// Bytes come that are no packet, or a packet that may not come.
    Nonsense "nonsense" { which } fault;
    /// The next step of an authentication is refused (0), its data are wrong (1), or it never ends (2).
    AuthFault "auth-fault" { how } fault;
    /// The client's process crashes, and begins again with what it had stored.
    Crash "crash" {} fault;
    /// Addresses do not answer: 1 the first of the first server, 2 all of it, 3 those of the second; 0 all answer. `slowly` never ends.
    Unreachable "unreachable" { which, slowly } fault;
    /// The next request for credentials fails, or never ends where `slowly` is 1.
    NoCredentials "no-credentials" { slowly } fault;
    /// The server sends the client elsewhere: by CONNACK, or where `later` is 1 by DISCONNECT.
    Redirect "redirect" { later, permanent } fault;
    /// Another client takes the session over.
    TakeOver "take-over" {} fault;
}

impl Step {
    /// The names of all faults.
    pub fn faults() -> impl Iterator<Item = &'static str> {
        Self::MARKS.iter().copied().filter(|name| !name.is_empty())
    }

    /// Whether it is a fault.
    pub fn is_fault(&self) -> bool {
        Self::MARKS.contains(&self.name())
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.setup)?;
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

/// Why a text is no case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadCase {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub text: String,
}

impl fmt::Display for BadCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

impl std::error::Error for BadCase {}

impl FromStr for Case {
    type Err = BadCase;

    /// Lines that begin with `#` say what the case is for.
    fn from_str(text: &str) -> Result<Self, BadCase> {
        let mut case = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            case.add(line).map_err(|text| BadCase {
                line: index + 1,
                text,
            })?;
        }
        Ok(case)
    }
}

impl Case {
    fn add(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        let mut values = Vec::new();
        for word in words {
            let (key, value) = word
                .split_once('=')
                .ok_or_else(|| format!("'{word}' is not key=number"))?;
            let value: u64 = value
                .parse()
                .map_err(|_| format!("'{value}' is no number"))?;
            values.push((key, value));
        }
        if name == "setup" {
            return values.into_iter().try_for_each(|(key, value)| {
                if self.setup.set(key, value) {
                    Ok(())
                } else {
                    Err(format!("no setup '{key}'"))
                }
            });
        }
        let get = |key: &str| {
            let found = values.iter().find(|(k, _)| *k == key);
            found.map_or(0, |(_, value)| *value)
        };
        let (step, fields) = Step::parse(name, &get).ok_or_else(|| format!("no step '{name}'"))?;
        if let Some((key, _)) = values.iter().find(|(key, _)| !fields.contains(key)) {
            return Err(format!("'{name}' has no '{key}'"));
        }
        self.steps.push(step);
        Ok(())
    }
}
