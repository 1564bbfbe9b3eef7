//! Connecting, every way in which that fails, and coming back.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod server;

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use mqtt_blocking::{
    Answers, Backoff, BuildError, Cause, ClientEvent, Closed, Config, ConfigError, ConnectError,
    ConnectionError, Phase, QoS, ReasonCode, Timeouts, WaitError, build, connect, connect_timeout,
    connect_with, start,
};
use mqtt_session::Durability;
use mqtt_testkit::BrokerConfig;
use server::{LONG, Result, Server, VERSIONS, config};

fn failure(url: &str, config: Config) -> ConnectionError {
    match connect(url, config) {
        Err(ConnectError::Connection(error)) => *error,
        other => panic!("{other:?}"),
    }
}

fn quick() -> Timeouts {
    let mut timeouts = Timeouts::default();
    timeouts.connack = Duration::from_millis(50);
    timeouts.resolve = Duration::from_secs(2);
    timeouts
}

#[test]
fn connect_returns_when_the_server_has_accepted() -> Result {
    for version in VERSIONS {
        let server = Server::start()?;
        let client = connect(&server.url, config("client").version(version).build()?)?;
        assert_eq!(client.phase(), Phase::Connected);
        assert_eq!(client.version(), version);
        assert!(server.with(|broker, _| broker.connection_of("client").is_some()));
        server.assert_no_violations();
    }
    Ok(())
}

#[test]
fn a_host_name_is_looked_up() -> Result {
    let server = Server::start()?;
    let url = server.url.replace("127.0.0.1", "localhost");
    let client = connect(&url, config("client").build()?)?;
    assert_eq!(client.phase(), Phase::Connected);
    Ok(())
}

#[test]
fn a_url_without_meaning_is_refused_before_anything_is_opened() -> Result {
    for url in [
        "localhost",
        "ftp://localhost",
        "mqtt://",
        "mqtt://localhost:0",
    ] {
        let error = connect(url, config("client").build()?).unwrap_err();
        assert!(
            matches!(error, ConnectError::Build(BuildError::Endpoint(_))),
            "{url}: {error:?}"
        );
        assert!(start(url, config("client").build()?).is_err(), "{url}");
    }
    Ok(())
}

/// There is no store here: nothing would ever be told as stored.
#[test]
fn durability_is_refused_before_anything_is_opened() -> Result {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let url = format!("mqtt://{}", listener.local_addr()?);
    let config = config("client").durability(Durability::WriteAhead);
    let error = connect(&url, config.build()?).unwrap_err();
    assert_eq!(
        error,
        ConnectError::Build(BuildError::Config(ConfigError::NoStore))
    );
    assert!(listener.accept().is_err());
    Ok(())
}

#[test]
fn a_refusal_names_the_address_and_the_reason() -> Result {
    for version in VERSIONS {
        let server = Server::start()?;
        server.with(|broker, _| broker.refuse_next(ReasonCode::NOT_AUTHORIZED));
        let error = failure(&server.url, config("client").version(version).build()?);
        let ConnectionError::Refused { addr, reason, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(format!("mqtt://{addr}"), server.url);
        assert_eq!(*reason, ReasonCode::NOT_AUTHORIZED);
    }
    Ok(())
}

#[test]
fn a_server_that_accepts_and_stays_silent_is_given_up_in_time() -> Result {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let config = config("client").timeouts(quick()).build()?;
    let error = failure(&format!("mqtt://{addr}"), config);
    let ConnectionError::NoConnAck { addr: named, after } = error else {
        panic!("{error:?}")
    };
    assert_eq!(named, addr);
    assert!(after >= Duration::from_millis(50), "{after:?}");
    Ok(())
}

#[test]
fn a_server_that_hangs_up_before_connack_is_told_from_one_that_is_silent() -> Result {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("mqtt://{}", listener.local_addr()?);
    thread::spawn(move || {
        // With nothing left unread, closing is an end of file and no reset.
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 256]).unwrap();
    });
    let error = failure(&url, config("client").build()?);
    assert!(
        matches!(
            error,
            ConnectionError::Unanswered {
                cause: Cause::Eof,
                ..
            }
        ),
        "{error:?}"
    );
    Ok(())
}

#[test]
fn a_port_where_nobody_listens_is_told_as_such() -> Result {
    let addr = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let error = failure(&format!("mqtt://{addr}"), config("client").build()?);
    let ConnectionError::Dial {
        addr: named, cause, ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!((named, cause), (&addr.into(), &Cause::ConnectionRefused));
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
    Ok(())
}

#[test]
fn a_name_that_does_not_exist_is_told_as_such() -> Result {
    let config = config("client").timeouts(quick()).build()?;
    let error = failure("mqtt://host.invalid", config);
    let ConnectionError::Resolve { host, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(host, "host.invalid");
    Ok(())
}

#[test]
fn a_connect_that_is_given_up_gives_up_its_attempt() -> Result {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("mqtt://{}", listener.local_addr()?);
    let peer = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        all
    });
    let timeout = Duration::from_millis(30);
    let error = connect_timeout(&url, config("client").build()?, timeout).unwrap_err();
    let ConnectError::TimedOut(error) = error else {
        panic!("{error:?}")
    };
    assert_eq!(error.after, timeout);
    // It ends long before the ten seconds that CONNACK may take.
    let sent = peer.join().unwrap();
    assert_eq!(sent.first(), Some(&0x10), "CONNECT");
    Ok(())
}

#[test]
fn start_returns_at_once_and_keeps_trying_until_there_is_a_server() -> Result {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    drop(listener);
    let client = start(format!("mqtt://{addr}"), config("client").build()?)?;
    let mut events = client.events();
    let mut delivery = client.publish("early", QoS::AtLeastOnce, "bird")?;
    assert!(
        delivery
            .wait_timeout(Duration::ZERO)
            .unwrap_err()
            .is_timeout()
    );
    let Some(ClientEvent::Lost { error, retry_in }) = events.next_timeout(LONG)? else {
        panic!("no error told")
    };
    assert!(matches!(error, ConnectionError::Dial { .. }), "{error:?}");
    assert!(retry_in.is_some());

    let server = Server::on(TcpListener::bind(addr)?, BrokerConfig::default())?;
    client.connected_timeout(LONG)?;
    delivery.wait_timeout(LONG)?;
    server.with(|broker, _| assert_eq!(broker.received()[0].message.payload(), b"bird"));
    server.assert_no_violations();
    Ok(())
}

#[test]
fn a_driver_may_run_on_any_thread_and_begins_when_it_is_told() -> Result {
    let server = Server::start()?;
    let (client, driver) = build(&server.url, config("client").build()?)?;
    assert_eq!(client.phase(), Phase::Idle);
    let mut messages = client.declare("a", QoS::AtLeastOnce)?;
    assert!(matches!(
        client.connect_timeout(Duration::from_millis(10)),
        Err(WaitError::TimedOut(_))
    ));
    let thread = thread::spawn(|| driver.run());
    client.connected_timeout(LONG)?;
    client.publish("a", QoS::AtLeastOnce, "x")?;
    assert_eq!(messages.next_timeout(LONG)?.unwrap().payload(), b"x");
    client.disconnect(Duration::from_secs(5));
    thread.join().unwrap();
    server.assert_no_violations();
    Ok(())
}

#[test]
fn a_thread_may_run_a_driver_between_other_things() -> Result {
    let server = Server::start()?;
    let (client, mut driver) = build(&server.url, config("client").build()?)?;
    client.start();
    assert!(!driver.run_for(Duration::ZERO));
    // All on this thread: nothing else moves the connection.
    while client.phase() != Phase::Connected {
        assert!(!driver.run_for(Duration::from_millis(1)));
    }
    let mut delivery = client.publish("a", QoS::AtLeastOnce, "x")?;
    while delivery.outcome().is_none() {
        assert!(!driver.run_for(Duration::from_millis(1)));
    }
    drop(client);
    while !driver.run_for(LONG) {}
    assert!(driver.run_for(LONG), "done, and stays so");
    assert_eq!(server.received("DISCONNECT"), 1);
    server.assert_no_violations();
    Ok(())
}

#[test]
fn a_driver_that_is_dropped_ends_what_the_client_waits_for() -> Result {
    let (client, driver) = build("mqtt://127.0.0.1:1", config("client").build()?)?;
    let delivery = client.publish("a", QoS::AtLeastOnce, "x")?;
    let waiting = thread::spawn({
        let client = client.clone();
        move || client.connected()
    });
    thread::sleep(Duration::from_millis(10));
    drop(driver);
    assert!(waiting.join().unwrap().is_err());
    assert!(delivery.wait().is_err());
    assert!(client.publish("a", QoS::AtLeastOnce, "x").is_err());
    assert!(client.subscribe("a", QoS::AtLeastOnce).is_err());
    Ok(())
}

#[test]
fn a_connection_that_is_cut_is_made_again_and_events_tell_it() -> Result {
    let server = Server::start()?;
    let client = server.connect()?;
    let mut events = client.events();
    assert!(events.try_next().is_none());
    server.cut();
    let lost = events.next();
    assert!(
        matches!(
            lost,
            Some(ClientEvent::Lost {
                retry_in: Some(_),
                ..
            })
        ),
        "{lost:?}"
    );
    let connected = events.next_timeout(LONG)?;
    assert!(
        matches!(connected, Some(ClientEvent::Connected { .. })),
        "{connected:?}"
    );
    assert_eq!(client.stats().connections, 2);
    client.disconnect(Duration::from_secs(1));
    assert!(matches!(events.next(), Some(ClientEvent::Closed)));
    assert!(events.next().is_none());
    server.assert_no_violations();
    Ok(())
}

#[test]
fn the_first_of_several_servers_that_accepts_is_taken() -> Result {
    let nobody = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let server = Server::start()?;
    let urls = format!("mqtt://{nobody}, {}", server.url);
    let client = connect(&urls, config("client").build()?)?;
    assert_eq!(format!("mqtt://{}", client.server()), server.url);
    Ok(())
}

/// A port that takes no more connections, and the streams that fill it.
fn silent() -> Result<(TcpListener, Vec<TcpStream>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let mut streams = Vec::new();
    for _ in 0..1024 {
        match TcpStream::connect_timeout(&addr, Duration::from_millis(100)) {
            Ok(stream) => streams.push(stream),
            Err(_) => return Ok((listener, streams)),
        }
    }
    panic!("{addr} takes any number of connections")
}

#[test]
fn an_address_that_is_silent_is_overtaken_by_the_next() -> Result {
    let server = Server::start()?;
    let open = server.url.trim_start_matches("mqtt://").parse()?;
    let (listener, _streams) = silent()?;
    let silent = listener.local_addr()?;
    let answers = Answers::new().lookup(move |host, port| {
        assert_eq!((host, port), ("several.invalid", 1883));
        Ok(vec![silent, open])
    });
    let begin = Instant::now();
    let config = config("client").build()?;
    let client = connect_with("mqtt://several.invalid", config, answers)?;
    assert!(begin.elapsed() >= Timeouts::default().dial_stagger);
    assert_eq!(client.phase(), Phase::Connected);
    Ok(())
}

#[test]
fn a_dial_that_gets_no_answer_is_given_up_in_time_and_holds_no_thread() -> Result {
    let (listener, _streams) = silent()?;
    let url = format!("mqtt://{}", listener.local_addr()?);
    let mut timeouts = Timeouts::default();
    timeouts.dial = Duration::from_millis(50);
    let (client, driver) = build(&url, config("client").timeouts(timeouts).build()?)?;
    let thread = thread::spawn(|| driver.run());
    let Err(Closed {
        error: Some(error), ..
    }) = client.connect()
    else {
        panic!("no error told")
    };
    assert!(
        matches!(
            *error,
            ConnectionError::Dial {
                cause: Cause::TimedOut,
                ..
            }
        ),
        "{error:?}"
    );
    // The driver's is the only one, and ends.
    thread.join().unwrap();
    Ok(())
}

#[test]
fn a_client_that_is_refused_again_and_again_does_so_with_delays() -> Result {
    let addr = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let millisecond = Duration::from_millis(1);
    let backoff = Backoff {
        first: millisecond,
        longest: millisecond,
        ..Backoff::default()
    };
    let config = config("client").backoff(backoff).build()?;
    let client = start(format!("mqtt://{addr}"), config)?;
    let mut lagging = client.events();
    for event in client.events().take(100) {
        assert!(matches!(event, ClientEvent::Lost { .. }), "{event:?}");
    }
    let Some(ClientEvent::Missed { count }) = lagging.next() else {
        panic!("nothing missed")
    };
    assert!(count >= 36, "{count}");
    Ok(())
}
