//! Unix sockets.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod server;

use std::path::PathBuf;

use mqtt_tokio::{ConnectError, ConnectionError, Peer, QoS, Scheme, connect};
use server::{Result, Server, config, soon};
use tokio::net::UnixListener;

/// A folder of this test's own, which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("mqtt {name} {}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }

    fn socket(&self) -> PathBuf {
        self.0.join("mqtt.sock")
    }

    fn url(&self) -> String {
        let path = self.socket().display().to_string();
        format!("unix://{}", path.replace(' ', "%20"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn messages_pass_over_a_unix_socket_and_it_is_opened_again() -> Result {
    let folder = Folder::new("unix")?;
    let server = Server::start().await?;
    server.serve_unix(UnixListener::bind(folder.socket())?);
    let client = soon(connect(folder.url(), config("client").build()?)).await?;
    assert_eq!(client.server().scheme(), Scheme::Unix);
    let mut all = soon(client.subscribe("#", QoS::ExactlyOnce)).await?;
    for round in 0..2 {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let payload = vec![round; 100_000];
            soon(soon(client.publish("a", qos, payload.clone())).await?).await?;
            // What was not acknowledged before the cut comes again.
            while soon(all.next()).await.unwrap().payload() != payload {}
        }
        let mut events = client.events();
        server.cut();
        soon(events.next()).await;
        soon(client.connected()).await?;
    }
    assert_eq!(client.stats().connections, 3);
    server.assert_no_violations();
    Ok(())
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_told_by_its_path() -> Result {
    let folder = Folder::new("nothing")?;
    let error = soon(connect(folder.url(), config("client").build()?)).await;
    let Err(ConnectError::Connection(error)) = error else {
        panic!("{error:?}")
    };
    let ConnectionError::Dial { addr, .. } = &*error else {
        panic!("{error:?}")
    };
    assert!(matches!(addr, Peer::Server(_)));
    let path = folder.socket().display().to_string();
    assert!(error.to_string().contains(&path), "{error}");
    Ok(())
}
