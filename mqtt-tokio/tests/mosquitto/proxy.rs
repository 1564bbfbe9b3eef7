//! A TCP proxy that can hold back what passes, and cut its connections without a word.

use std::io::Result;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) struct Proxy {
    addr: SocketAddr,
    control: watch::Sender<Control>,
    accept: tokio::task::JoinHandle<()>,
}

#[derive(Clone, Copy, Default)]
struct Control {
    /// Connections that were opened before this count are cut.
    cuts: u64,
    /// Nothing passes from the server to the client.
    deaf: bool,
}

impl Proxy {
    pub(crate) async fn start(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let (control, seen) = watch::channel(Control::default());
        let accept = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(server).await else {
                    continue;
                };
                let (client_read, client_write) = client.into_split();
                let (server_read, server_write) = server.into_split();
                tokio::spawn(carry(client_read, server_write, seen.clone(), |_| false));
                tokio::spawn(carry(server_read, client_write, seen.clone(), |control| {
                    control.deaf
                }));
            }
        });
        Ok(Self {
            addr,
            control,
            accept,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("mqtt://{}", self.addr)
    }

    /// Holds back what the server sends.
    pub(crate) fn deafen(&self, deaf: bool) {
        self.control.send_modify(|control| control.deaf = deaf);
    }

    /// Cuts what is connected; what was held back is lost. New connections pass.
    pub(crate) fn cut(&self) {
        self.control.send_modify(|control| {
            *control = Control {
                cuts: control.cuts + 1,
                deaf: false,
            }
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accept.abort();
        self.cut();
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut control: watch::Receiver<Control>,
    held: fn(&Control) -> bool,
) {
    let cuts = control.borrow().cuts;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let now = *control.borrow_and_update();
        if now.cuts != cuts {
            break;
        }
        tokio::select! {
            _ = control.changed() => {}
            read = from.read(&mut buffer), if !held(&now) => match read {
                Ok(n) if n > 0 && to.write_all(&buffer[..n]).await.is_ok() => {}
                _ => break,
            },
        }
    }
    // Reset rather than end of file: a cut has no farewell.
    let _ = to.as_ref().set_zero_linger();
}
