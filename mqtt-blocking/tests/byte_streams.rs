//! Byte streams other than TCP: Unix sockets, and what a dialer of the application gives.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod server;

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use mqtt_blocking::mio::event::Source;
use mqtt_blocking::mio::{self, Interest, Registry, Token};
use mqtt_blocking::{
    Answers, Client, ConnectError, ConnectionError, Pollable, QoS, Socket, Timeouts, connect_with,
};
use server::{LONG, Result, Server, config};

/// Large and small messages of each QoS, there and back.
fn exchange(client: &Client) -> Result {
    let mut all = client.subscribe("echo", QoS::ExactlyOnce)?;
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        for size in [0, 1, 100_000, 900_000] {
            let payload = vec![qos.as_u8(); size];
            client
                .publish("echo", qos, payload.clone())?
                .wait_timeout(LONG)?;
            let message = all.next_timeout(LONG)?.unwrap();
            assert!(message.payload() == payload, "{qos}, {size} bytes");
        }
    }
    Ok(())
}

#[cfg(unix)]
mod unix {
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::PathBuf;
    use std::thread;

    use mqtt_blocking::{Peer, Scheme, connect};

    use super::*;

    /// A folder of this test's own, which goes with it.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Result<Self> {
            let path =
                std::env::temp_dir().join(format!("mqtt blocking {name} {}", std::process::id()));
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

    #[test]
    fn messages_pass_over_a_unix_socket_and_it_is_opened_again() -> Result {
        let folder = Folder::new("unix")?;
        let server = Arc::new(Server::start()?);
        let listener = UnixListener::bind(folder.socket())?;
        let serving = Arc::downgrade(&server);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(io::Result::ok) {
                let Some(server) = serving.upgrade() else {
                    return;
                };
                server.serve(stream);
            }
        });
        let client = connect(folder.url(), config("client").build()?)?;
        assert_eq!(client.server().scheme(), Scheme::Unix);
        let mut events = client.events();
        exchange(&client)?;
        server.cut();
        events.next();
        client.connected_timeout(LONG)?;
        exchange(&client)?;
        client.disconnect(LONG);
        server.assert_no_violations();
        Ok(())
    }

    #[test]
    fn a_socket_that_is_not_there_is_told_by_its_path() -> Result {
        let folder = Folder::new("nothing")?;
        let error = connect(folder.url(), config("client").build()?);
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

    #[test]
    fn a_dialer_may_give_either_end_of_a_pair_of_unix_sockets() -> Result {
        let server = Arc::new(Server::start()?);
        let serving = Arc::clone(&server);
        let answers = Answers::new().dialer(move |endpoint| {
            assert_eq!(endpoint.host(), "nowhere.invalid");
            let (ours, theirs) = UnixStream::pair()?;
            serving.serve(theirs);
            ours.try_into()
        });
        let client = connect_with("mqtt://nowhere.invalid", config("client").build()?, answers)?;
        exchange(&client)?;
        client.disconnect(LONG);
        server.assert_no_violations();
        Ok(())
    }
}

/// Reads ahead, and gives what it has in crumbs: what is told of the socket says nothing of what is left here.
struct Hoarder {
    tcp: mio::net::TcpStream,
    hoard: Vec<u8>,
}

impl Read for Hoarder {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.hoard.is_empty() {
            let mut ahead = [0; 64 * 1024];
            let n = self.tcp.read(&mut ahead)?;
            self.hoard.extend(ahead[..n].iter().rev());
        }
        let n = into.len().min(self.hoard.len()).min(1000);
        into[..n].fill_with(|| self.hoard.pop().unwrap_or_default());
        Ok(n)
    }
}

impl Write for Hoarder {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.tcp.write(&from[..from.len().min(1000)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

impl Source for Hoarder {
    fn register(&mut self, registry: &Registry, token: Token, of: Interest) -> io::Result<()> {
        self.tcp.register(registry, token, of)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, of: Interest) -> io::Result<()> {
        self.tcp.reregister(registry, token, of)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.tcp.deregister(registry)
    }
}

impl Pollable for Hoarder {
    fn shut_down(&mut self) -> io::Result<()> {
        self.tcp.shutdown(Shutdown::Write)
    }
}

#[test]
fn a_byte_stream_of_ones_own_may_hold_what_it_has_read() -> Result {
    let server = Server::start()?;
    let addr = server.url.trim_start_matches("mqtt://").to_owned();
    let dials = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&dials);
    let answers = Answers::new().dialer(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        let tcp = TcpStream::connect(&addr)?;
        tcp.set_nonblocking(true)?;
        Ok(Socket::new(Hoarder {
            tcp: mio::net::TcpStream::from_std(tcp),
            hoard: Vec::new(),
        }))
    });
    let client = connect_with(
        "mqtt://elsewhere.invalid",
        config("client").build()?,
        answers,
    )?;
    let mut events = client.events();
    exchange(&client)?;
    server.cut();
    events.next();
    client.connected_timeout(LONG)?;
    exchange(&client)?;
    assert_eq!(dials.load(Ordering::SeqCst), 2);
    client.disconnect(LONG);
    server.assert_no_violations();
    Ok(())
}

#[test]
fn a_dialer_that_fails_or_takes_too_long_fails_the_attempt() -> Result {
    let refused = Answers::new().dialer(|_| Err(io::Error::other("the tunnel has collapsed")));
    let error = connect_with(
        "mqtt://elsewhere.invalid",
        config("client").build()?,
        refused,
    );
    let error = error.unwrap_err().to_string();
    assert!(error.contains("the tunnel has collapsed"), "{error}");
    assert!(error.contains("elsewhere.invalid"), "{error}");

    let (_open, gate) = mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let stuck = Answers::new().dialer(move |_| {
        let _ = gate.lock().unwrap().recv();
        Err(io::ErrorKind::Other.into())
    });
    let mut timeouts = Timeouts::default();
    timeouts.dial = Duration::from_millis(20);
    let config = config("client").timeouts(timeouts).build()?;
    let error = connect_with("mqtt://elsewhere.invalid", config, stuck).unwrap_err();
    assert!(
        matches!(&error, ConnectError::Connection(error) if matches!(**error, ConnectionError::Dial { .. })),
        "{error:?}"
    );
    Ok(())
}
