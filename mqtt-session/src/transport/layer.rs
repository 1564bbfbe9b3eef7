use core::fmt;

use bytes::{Buf, BytesMut};

use crate::Cause;

/// A protocol that carries a byte stream within another one: TLS, WebSocket, a proxy.
///
/// Bytes go in and bytes come out. Nothing here waits, and nothing is called but by a [`Stack`](super::Stack): it moves the bytes, keeps the deadline
/// of the handshake, and turns an error into the end of the connection.
///
/// "Up" is towards the session, "down" towards the network. Buffers between two layers are the stack's.
pub(crate) trait Layer: fmt::Debug + Send {
    /// Takes bytes that came from below off the front of `from`, and puts what they carry behind that in `to`.
    ///
    /// It takes what it can use, and may leave the rest of a frame that has not come as a whole. Called again with what it left, and more behind
    /// it; also with nothing new, which must do nothing. What it took and still holds inside is bounded. Before [`is_ready`](Self::is_ready)
    /// nothing is put into `to`.
    ///
    /// An error ends the connection. What is in `to` by then still counts; this is not called again, and [`write`](Self::write) still is.
    fn read(&mut self, from: &mut BytesMut, to: &mut BytesMut) -> Result<(), Cause>;

    /// Puts bytes for below behind those in `to`: first what this layer has to say itself (a handshake, an answer to a ping), then what it
    /// makes of `from`.
    ///
    /// Everything that it takes of `from` is in `to` when it returns: so what is written and what is not can be told. It takes nothing
    /// before [`is_ready`](Self::is_ready), nor after [`close`](Self::close). `from` may be empty.
    fn write(&mut self, from: &mut dyn Buf, to: &mut BytesMut) -> Result<(), Cause>;

    /// Whether [`write`](Self::write) would give bytes now, with nothing in `from`.
    fn wants_write(&self) -> bool;

    /// Whether the handshake is done, and bytes pass.
    fn is_ready(&self) -> bool;

    /// Whether bytes pass unchanged from now on, both ways, with nothing held inside. Such a layer is taken out of the stack. Only for the lowest
    /// one.
    fn is_transparent(&self) -> bool {
        false
    }

    /// Whether the peer has said that nothing more will come (close_notify, a Close frame). What came before is in `to`.
    fn is_over(&self) -> bool;

    /// Nothing more will be given to send, for one reason or another: what this layer says of that is what
    /// [`write`](Self::write) gives next, if anything. May be called more than once, also during the handshake and after an error.
    fn close(&mut self);

    /// The handshake has taken too long.
    fn timed_out(&self) -> Cause;

    /// The stream below has ended, by this, and the peer had not said that it would.
    fn cut(&self, cause: Cause) -> Cause;
}
