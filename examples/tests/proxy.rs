//! The proxy, between a client and a server that echoes what it gets.

#![allow(clippy::unwrap_used, reason = "in a test a panic is a failure")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mqtt_examples::proxy::{Cut, Direction, Observer, Proxy};
use tokio::io::{self, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Longer than loopback needs, for what must not arrive.
const MOMENT: Duration = Duration::from_millis(100);
const LIMIT: Duration = Duration::from_secs(60);

async fn echo_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                io::copy(&mut from, &mut to).await
            });
        }
    });
    addr.to_string()
}

async fn receive<const N: usize>(stream: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let read = timeout(LIMIT, stream.read_exact(&mut bytes)).await;
    read.expect("bytes or an end within the limit")?;
    Ok(bytes)
}

async fn nothing_arrives(stream: &mut TcpStream) -> bool {
    timeout(MOMENT, stream.read_u8()).await.is_err()
}

#[tokio::test]
async fn bytes_pass_both_ways_and_so_does_the_end_of_file() {
    let proxy = Proxy::start(echo_server().await, ()).await.unwrap();
    let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
    client.write_all(b"there and back").await.unwrap();
    assert_eq!(
        &receive::<14>(&mut client).await.unwrap(),
        b"there and back"
    );
    client.shutdown().await.unwrap();
    assert_eq!(
        timeout(LIMIT, client.read(&mut [0]))
            .await
            .unwrap()
            .unwrap(),
        0
    );
}

#[tokio::test]
async fn a_held_direction_delivers_when_it_is_released() {
    for direction in [Direction::ToBroker, Direction::ToClient] {
        let proxy = Proxy::start(echo_server().await, ()).await.unwrap();
        let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
        client.write_all(b"1").await.unwrap();
        receive::<1>(&mut client).await.unwrap();

        proxy.hold(direction);
        client.write_all(b"23").await.unwrap();
        assert!(nothing_arrives(&mut client).await);
        proxy.release(direction);
        assert_eq!(&receive::<2>(&mut client).await.unwrap(), b"23");
    }
}

#[tokio::test]
async fn a_reset_is_an_error_at_both_ends_and_a_close_the_end_of_the_stream() {
    for how in [Cut::Reset, Cut::Close] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap().to_string();
        let proxy = Proxy::start(target, ()).await.unwrap();
        let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        // A byte each way shows that the two are joined.
        client.write_all(b"x").await.unwrap();
        server.write_all(b"x").await.unwrap();
        receive::<1>(&mut server).await.unwrap();
        receive::<1>(&mut client).await.unwrap();

        proxy.cut(how);
        let expected = match how {
            Cut::Reset => io::ErrorKind::ConnectionReset,
            Cut::Close => io::ErrorKind::UnexpectedEof,
        };
        assert_eq!(
            receive::<1>(&mut client).await.unwrap_err().kind(),
            expected
        );
        assert_eq!(
            receive::<1>(&mut server).await.unwrap_err().kind(),
            expected
        );
    }
}

#[tokio::test]
async fn what_was_held_at_a_cut_is_lost_and_the_next_connection_is_free() {
    let proxy = Proxy::start(echo_server().await, ()).await.unwrap();
    let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
    client.write_all(b"1").await.unwrap();
    receive::<1>(&mut client).await.unwrap();
    proxy.hold(Direction::ToBroker);
    client.write_all(b"2").await.unwrap();
    assert!(nothing_arrives(&mut client).await);
    proxy.cut(Cut::Reset);
    assert!(receive::<1>(&mut client).await.is_err());

    let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
    client.write_all(b"3").await.unwrap();
    assert_eq!(&receive::<1>(&mut client).await.unwrap(), b"3");
    assert!(nothing_arrives(&mut client).await);
    assert_eq!(proxy.accepted(), 2);
}

#[tokio::test]
async fn an_observer_sees_each_direction_by_connection_and_nothing_that_is_held() {
    type Seen = Arc<Mutex<Vec<(u64, Direction, Vec<u8>)>>>;
    struct Notes(Seen);
    impl Observer for Notes {
        fn observe(&self, connection: u64, direction: Direction, bytes: &[u8]) {
            let note = (connection, direction, bytes.to_vec());
            self.0.lock().unwrap().push(note);
        }
    }
    let seen = Seen::default();
    let notes = Notes(Arc::clone(&seen));
    let proxy = Proxy::start(echo_server().await, notes).await.unwrap();
    for byte in [b'a', b'b'] {
        let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
        client.write_all(&[byte]).await.unwrap();
        receive::<1>(&mut client).await.unwrap();
        proxy.hold(Direction::ToBroker);
        client.write_all(b"held").await.unwrap();
        assert!(nothing_arrives(&mut client).await);
        proxy.cut(Cut::Reset);
    }
    let expected = [
        (0, Direction::ToBroker, b"a".to_vec()),
        (0, Direction::ToClient, b"a".to_vec()),
        (1, Direction::ToBroker, b"b".to_vec()),
        (1, Direction::ToClient, b"b".to_vec()),
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_target_that_is_not_there_looks_like_a_hang_up() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = unused.local_addr().unwrap().to_string();
    drop(unused);
    let proxy = Proxy::start(target, ()).await.unwrap();
    let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
    assert!(receive::<1>(&mut client).await.is_err());
}
