//! What an idle client costs, counted by the allocator: handle, task, session, driver, and what the runtime keeps for its socket.

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;

use mqtt_tokio::{Client, Config};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CLIENTS: usize = 400;
const MOST: usize = 4096;

/// A server of a single connection each that holds nothing but its socket: answers CONNECT with CONNACK, and waits.
fn server() -> (SocketAddr, JoinHandle<Vec<TcpStream>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("an address");
    let mut streams = Vec::with_capacity(CLIENTS + 1);
    let serve = move || {
        while streams.len() < streams.capacity() {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut connect = [0; 256];
            let n = stream.read(&mut connect).expect("CONNECT");
            assert!(n > 0, "CONNECT");
            stream.write_all(&[0x20, 3, 0, 0, 0]).expect("CONNACK");
            streams.push(stream);
        }
        streams
    };
    (addr, std::thread::spawn(serve))
}

#[tokio::test]
async fn an_idle_client_holds_at_most_four_kibibytes() {
    let (addr, serving) = server();
    let url = format!("mqtt://{addr}");
    let connect = async || {
        let config = Config::builder("client")
            .build()
            .expect("a good configuration");
        mqtt_tokio::connect(url.as_str(), config)
            .await
            .expect("a connection")
    };
    let mut clients: Vec<Client> = Vec::with_capacity(CLIENTS + 1);
    // What is made once for all: the runtime's own, the thread's.
    clients.push(connect().await);
    let region = Region::new(ALLOCATOR);
    for _ in 0..CLIENTS {
        clients.push(connect().await);
    }
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    let change = region.change();
    let held = change.bytes_allocated - change.bytes_deallocated;
    let each = held / CLIENTS;
    assert!(each <= MOST, "{each} bytes each");
    drop(serving.join().expect("no panic"));
}
