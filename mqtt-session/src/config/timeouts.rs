use core::time::Duration;

use super::HasUsual;

/// How long the session waits for what. None may be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For the application to give credentials, where it is asked (30 s).
    pub credentials: Duration,
    /// For the addresses of a name (10 s).
    pub resolve: Duration,
    /// For a dial to one address (10 s).
    pub dial: Duration,
    /// Before the next address of the same name is dialled beside those that do not answer, at least 10 ms (250 ms): the Connection
    /// Attempt Delay of RFC 8305. One that fails makes room for the next at once.
    pub dial_stagger: Duration,
    /// For proxy, TLS and WebSocket to shake hands after the byte stream is open, all together (10 s).
    pub handshake: Duration,
    /// For CONNACK after that (10 s).
    pub connack: Duration,
    /// For each step of the authenticator (30 s), and for the server's answer to each AUTH of a re-authentication. Before CONNACK
    /// the server has `connack` for each of its own. Between CONNECT and being connected a step may take no longer than the keep-alive
    /// interval: nothing else can be sent meanwhile.
    pub auth: Duration,
    /// For PINGRESP after PINGREQ was written (10 s). Other bytes that arrive extend it, by one keep-alive interval at most.
    pub pingresp: Duration,
    /// Without a keep-alive: after this time without a byte from the server a PINGREQ asks whether it is there (5 min).
    pub liveness: Duration,
    /// For the application to acknowledge the received message that the server's window waits for, before
    /// [`Event::Blocked`](crate::Event::Blocked) tells (30 s).
    pub blocked: Duration,
    /// For the driver to write a last DISCONNECT and close (1 s).
    pub hangup: Duration,
}

impl HasUsual for Timeouts {
    const USUAL: &'static Self = &Self {
        credentials: Duration::from_secs(30),
        resolve: Duration::from_secs(10),
        dial: Duration::from_secs(10),
        dial_stagger: Duration::from_millis(250),
        handshake: Duration::from_secs(10),
        connack: Duration::from_secs(10),
        auth: Duration::from_secs(30),
        pingresp: Duration::from_secs(10),
        liveness: Duration::from_secs(300),
        blocked: Duration::from_secs(30),
        hangup: Duration::from_secs(1),
    };
}

impl Default for Timeouts {
    fn default() -> Self {
        *Self::USUAL
    }
}
