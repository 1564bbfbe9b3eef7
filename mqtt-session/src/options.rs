use core::time::Duration;

use bytes::Bytes;

/// How a message is published, besides what it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishOptions {
    /// How long it may wait to be sent, and to be sent again after a reconnect (as long as
    /// [`ConfigBuilder::time_to_live`](crate::ConfigBuilder::time_to_live) says). In all versions; the server is not told.
    ///
    /// Zero is for what can be sent at once. [`Duration::MAX`] is for ever.
    pub time_to_live: Option<Duration>,
    /// What the application calls the message, at most 255 bytes (nothing): a session that is restored tells it again
    /// ([`Session::restored`](crate::Session::restored)). Of no use without [`Durability`](crate::Durability), nor at QoS 0.
    pub tag: Option<Bytes>,
}

impl PublishOptions {
    /// As configured.
    pub const fn new() -> Self {
        Self {
            time_to_live: None,
            tag: None,
        }
    }

    /// With another time to live: see [`time_to_live`](Self::time_to_live).
    pub fn with_time_to_live(self, time_to_live: Duration) -> Self {
        Self {
            time_to_live: Some(time_to_live),
            ..self
        }
    }

    /// With a tag: see [`tag`](Self::tag).
    /// Bytes of any kind, `&str`, `&[u8]`, `Vec<u8>` or `[u8; 8]`, which are copied.
    pub fn with_tag(self, tag: impl AsRef<[u8]>) -> Self {
        Self {
            tag: Some(Bytes::copy_from_slice(tag.as_ref())),
            ..self
        }
    }
}
