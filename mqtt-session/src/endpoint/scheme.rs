use core::fmt;

/// How bytes reach a server: the first part of its URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// `mqtt://` or `tcp://`: plain TCP.
    Mqtt,
    /// `mqtts://`, `tls://` or `ssl://`: TLS. Needs the feature `tls`.
    Mqtts,
    /// `ws://`: WebSocket. Needs the feature `websocket`.
    Ws,
    /// `wss://`: WebSocket over TLS. Needs the features `tls` and `websocket`.
    Wss,
    /// `unix://`: a socket in the file system of this machine.
    Unix,
}

impl Scheme {
    const NAMES: [(&'static str, Self); 8] = [
        ("mqtt", Self::Mqtt),
        ("tcp", Self::Mqtt),
        ("mqtts", Self::Mqtts),
        ("tls", Self::Mqtts),
        ("ssl", Self::Mqtts),
        ("ws", Self::Ws),
        ("wss", Self::Wss),
        ("unix", Self::Unix),
    ];

    pub(super) fn parse(name: &str) -> Option<Self> {
        let mut names = Self::NAMES.iter();
        let (_, scheme) = names.find(|(known, _)| name.eq_ignore_ascii_case(known))?;
        Some(*scheme)
    }

    /// What stands in a URL.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Mqtts => "mqtts",
            Self::Ws => "ws",
            Self::Wss => "wss",
            Self::Unix => "unix",
        }
    }

    /// The port where the URL names none; 0 for Unix sockets, which have none.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Mqtt => 1883,
            Self::Mqtts => 8883,
            Self::Ws => 80,
            Self::Wss => 443,
            Self::Unix => 0,
        }
    }

    /// Whether TLS is on the way.
    pub const fn has_tls(self) -> bool {
        matches!(self, Self::Mqtts | Self::Wss)
    }

    /// Whether WebSocket is on the way.
    pub const fn has_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }

    /// Whether nobody between here and there can listen.
    pub(crate) const fn is_private(self) -> bool {
        matches!(self, Self::Mqtts | Self::Wss | Self::Unix)
    }

    /// A feature that this scheme needs and that is not built in.
    pub(super) const fn lacks(self) -> Option<&'static str> {
        match self {
            Self::Mqtt | Self::Unix => None,
            Self::Mqtts | Self::Wss if !cfg!(feature = "tls") => Some("tls"),
            Self::Ws | Self::Wss if !cfg!(feature = "websocket") => Some("websocket"),
            Self::Mqtts | Self::Ws | Self::Wss => None,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
