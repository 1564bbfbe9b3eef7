//! A proxy that knows one server by a name of its own.

use std::io::{Error, Result};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Http,
    Socks5,
}

/// User name and password.
pub(crate) type Login = (&'static str, &'static str);

pub(crate) struct SmallProxy {
    addr: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    accept: JoinHandle<()>,
}

const KNOWN: &str = "broker.test:1883";

impl SmallProxy {
    /// Before the server of this URL.
    pub(crate) async fn start(kind: Kind, login: Option<Login>, url: &str) -> Result<Self> {
        let listener = TcpListener::bind("localhost:0").await?;
        let addr = listener.local_addr()?;
        let server = url.trim_start_matches("mqtt://").to_owned();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let accept = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (seen, server) = (Arc::clone(&seen), server.clone());
                tokio::spawn(async move {
                    // It ends with either of its streams.
                    let _ = match kind {
                        Kind::Http => http(client, login, &server, &seen).await,
                        Kind::Socks5 => socks5(client, login, &server, &seen).await,
                    };
                });
            }
        });
        Ok(Self {
            addr,
            asked,
            accept,
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.addr.port()
    }

    /// What it was asked for, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for SmallProxy {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

async fn http(
    mut client: TcpStream,
    login: Option<Login>,
    server: &str,
    seen: &Mutex<Vec<String>>,
) -> Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(client.read_u8().await?);
    }
    let request = String::from_utf8(request).map_err(Error::other)?;
    let target = request
        .strip_prefix("CONNECT ")
        .and_then(|rest| rest.split_once(" HTTP/1.1\r\n"))
        .ok_or_else(|| Error::other("no CONNECT"))?
        .0;
    seen.lock().unwrap().push(target.to_owned());
    // Of `me:hunter2`.
    let authorized = request.contains("\r\nProxy-Authorization: Basic bWU6aHVudGVyMg==\r\n");
    if authorized != login.is_some() {
        let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
        return client.write_all(answer).await;
    }
    if target != KNOWN {
        return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
    }
    let mut server = TcpStream::connect(server).await?;
    // In two segments.
    client.write_all(b"HTTP/1.1 200 OK\r\nVia: 1.1 ").await?;
    client.flush().await?;
    tokio::task::yield_now().await;
    client.write_all(b"small\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

async fn socks5(
    mut client: TcpStream,
    login: Option<Login>,
    server: &str,
    seen: &Mutex<Vec<String>>,
) -> Result<()> {
    async fn text(client: &mut TcpStream) -> Result<String> {
        let mut text = vec![0; client.read_u8().await?.into()];
        client.read_exact(&mut text).await?;
        String::from_utf8(text).map_err(Error::other)
    }
    async fn expect(client: &mut TcpStream, bytes: &[u8]) -> Result<()> {
        let mut came = vec![0; bytes.len()];
        client.read_exact(&mut came).await?;
        if came == bytes {
            return Ok(());
        }
        Err(Error::other(format!("{came:?}")))
    }
    if let Some((user_name, password)) = login {
        expect(&mut client, &[5, 2, 0, 2]).await?;
        client.write_all(&[5, 2]).await?;
        expect(&mut client, &[1]).await?;
        let given = (text(&mut client).await?, text(&mut client).await?);
        if given != (user_name.to_owned(), password.to_owned()) {
            return client.write_all(&[1, 1]).await;
        }
        client.write_all(&[1, 0]).await?;
    } else {
        expect(&mut client, &[5, 1, 0]).await?;
        client.write_all(&[5, 0]).await?;
    }
    expect(&mut client, &[5, 1, 0, 3]).await?;
    let target = format!("{}:{}", text(&mut client).await?, client.read_u16().await?);
    seen.lock().unwrap().push(target.clone());
    if target != KNOWN {
        return client.write_all(&[5, 4, 0, 1, 0, 0, 0, 0, 0, 0]).await;
    }
    let mut server = TcpStream::connect(server).await?;
    client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 1]).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
