//! Name lookup and dialling.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use mqtt_session::Attempt;
use tokio::net::{TcpStream, lookup_host};

/// A lookup or dial under way. Dropping it gives it up.
pub(crate) struct Opening {
    pub(crate) attempt: Attempt,
    step: Pin<Box<dyn Future<Output = Opened> + Send>>,
}

/// What came of it.
pub(crate) enum Opened {
    Found(io::Result<Vec<SocketAddr>>),
    Stream(io::Result<TcpStream>),
}

impl Opening {
    pub(crate) fn resolve(attempt: Attempt, host: String, port: u16) -> Self {
        let step =
            async move { Opened::Found(lookup_host((host, port)).await.map(Iterator::collect)) };
        Self {
            attempt,
            step: Box::pin(step),
        }
    }

    /// A lookup that has ended.
    #[cfg(test)]
    pub(crate) fn found(attempt: Attempt, addrs: Vec<SocketAddr>) -> Self {
        Self {
            attempt,
            step: Box::pin(async { Opened::Found(Ok(addrs)) }),
        }
    }

    pub(crate) fn dial(attempt: Attempt, addr: SocketAddr) -> Self {
        let step = async move {
            let stream = TcpStream::connect(addr).await;
            // Everything that is to be sent goes in one write: waiting for more could only delay it.
            Opened::Stream(stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream)))
        };
        Self {
            attempt,
            step: Box::pin(step),
        }
    }

    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Opened> {
        self.step.as_mut().poll(context)
    }
}
