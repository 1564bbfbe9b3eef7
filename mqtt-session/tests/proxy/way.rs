//! Which way a connection takes through a proxy, and what follows when it fails.

use std::net::SocketAddr;

use mqtt_session::{Peer, Servers};

use super::*;

const GRANTED: &str = "HTTP/1.1 200 OK\r\n\r\n";

fn asked(server: &str) -> Vec<u8> {
    format!("CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n\r\n").into()
}

fn dials(tower: &Tower) -> Vec<SocketAddr> {
    let dials = tower.actions.iter().filter_map(|action| match action {
        Action::Dial { addr, .. } => Some(*addr),
        _ => None,
    });
    dials.collect()
}

#[test]
fn the_proxy_is_looked_up_and_its_addresses_are_dialled() {
    let script = [(asked("broker.example:1883"), GRANTED.into())];
    let mut tower = tower(Proxy::http("proxy.example", 3128), server(), &script);
    tower.start();
    let [
        Action::Resolve {
            attempt,
            host,
            port,
        },
    ] = &tower.actions[..]
    else {
        panic!("{:?}", tower.actions)
    };
    assert_eq!((host.as_str(), *port), ("proxy.example", 3128));
    let (attempt, now) = (*attempt, tower.at());
    // RFC 8305: the first address does not answer, so the second is tried beside it.
    let addrs = ["[2001:db8::9]:3128", "192.0.2.9:3128"].map(|addr| addr.parse().unwrap());
    tower
        .connection
        .handle_resolved(now, attempt, Ok(addrs.into()));
    let Some(Action::Dial { addr, .. }) = tower.connection.poll_action() else {
        panic!("no dial")
    };
    assert_eq!(addr, addrs[0]);
    tower.run_for(Duration::from_millis(250));
    assert_eq!(dials(&tower), [addrs[1]]);
    assert_passes(&mut tower);
    let connected = tower.events.iter().find_map(|event| match event {
        Event::Connected { addr, .. } => Some(addr.clone()),
        _ => None,
    });
    assert_eq!(connected, Some(Peer::Addr(addrs[1])));
}

#[test]
fn a_proxy_without_address_is_named() {
    let mut tower = tower(Proxy::http("proxy.example", 3128), server(), &[]);
    tower.start();
    let Some(Action::Resolve { attempt, .. }) = tower.actions.pop() else {
        panic!("no lookup")
    };
    let now = tower.at();
    tower
        .connection
        .handle_resolved(now, attempt, Ok(Vec::new()));
    tower.run();
    let error = tower.losses()[0].to_string();
    assert!(error.contains("proxy.example"), "{error}");
}

#[test]
fn an_own_dialer_is_asked_for_the_proxy() {
    let script = [(asked("broker.example:1883"), GRANTED.into())];
    let config = config(Proxy::http("proxy.example", 3128)).own_dialer(true);
    let mut tower = Tower::new(config.build().unwrap(), server(), move || {
        Box::new(Scripted::new(&script))
    });
    tower.start();
    let [Action::Open { server, .. }] = &tower.actions[..] else {
        panic!("{:?}", tower.actions)
    };
    assert_eq!((server.host(), server.port()), ("proxy.example", 3128));
    assert_passes(&mut tower);
}

#[test]
fn there_is_no_proxy_before_a_unix_socket() {
    let server = Endpoint::parse("unix:///run/mqtt.sock").unwrap();
    let mut tower = tower(Proxy::http("proxy.example", 3128), server.clone(), &[]);
    tower.start();
    let [Action::Open { server: opened, .. }] = &tower.actions[..] else {
        panic!("{:?}", tower.actions)
    };
    assert_eq!(*opened, server);
    assert_passes(&mut tower);
}

#[test]
fn every_attempt_asks_anew() {
    let script = [(asked("broker.example:1883"), GRANTED.into())];
    let mut tower = tower(Proxy::http("192.0.2.9", 3128), server(), &script);
    tower.start();
    for _ in 0..3 {
        assert_connected(&tower);
        tower.end(Cause::ConnectionReset);
        tower.run_for(Duration::from_secs(60));
    }
    assert_passes(&mut tower);
    assert_eq!(tower.connection.session().stats().connections, 4);
}

fn answered(answer: &'static str) -> Tower {
    let script = [(
        asked("192.0.2.1:1883"),
        format!("HTTP/1.1 {answer}\r\n\r\n").into(),
    )];
    let next = [(asked("192.0.2.2:1883"), GRANTED.into())];
    let servers =
        Servers::new(Endpoint::new("192.0.2.1", 1883)).or(Endpoint::new("192.0.2.2", 1883));
    let config = config(Proxy::http("192.0.2.9", 3128)).build().unwrap();
    let mut count = 0;
    let mut tower = Tower::new(config, servers, move || {
        count += 1;
        Box::new(Scripted::new(if count == 1 { &script } else { &next }))
    });
    tower.start();
    tower
}

#[test]
fn credentials_that_are_refused_are_not_tried_again_and_again() {
    let tower = answered("407 Proxy Authentication Required");
    assert_eq!(failed(&tower).0, ProxyError::CredentialsWanted);
    assert!(
        tower
            .events
            .iter()
            .any(|event| matches!(event, Event::Closed))
    );
    assert_eq!(dials(&tower).len(), 1);
}

#[test]
fn a_server_that_the_proxy_does_not_reach_is_left_for_the_next() {
    for answer in ["403 Forbidden", "502 Bad Gateway"] {
        let tower = answered(answer);
        failed(&tower);
        assert_connected(&tower);
    }
}

#[test]
fn a_session_without_layers_refuses_a_proxy() {
    let config = config(Proxy::http("192.0.2.9", 3128)).build().unwrap();
    let mut session = mqtt_session::Session::new(config, server(), 7);
    session.start(mqtt_session::Instant::ZERO);
    assert!(session.poll_action().is_none());
    let error = std::iter::from_fn(|| session.poll_event()).find_map(|event| match event {
        Event::Lost { error, .. } => Some(error.to_string()),
        _ => None,
    });
    let error = error.unwrap();
    assert!(error.contains("without `Connection`"), "{error}");
}

#[test]
fn who_leaves_before_anything_was_written_tells_the_proxy_nothing() {
    for proxy in [
        Proxy::http("192.0.2.9", 3128),
        Proxy::socks5("192.0.2.9", 1080),
    ] {
        let mut tower = tower(proxy.credentials("me", SECRET), server(), &[]);
        let (now, connection) = (tower.at(), &mut tower.connection);
        connection.session_mut().start(now);
        let Some(Action::Dial { attempt, .. }) = connection.poll_action() else {
            panic!("no dial")
        };
        connection.handle_opened(now, attempt);
        let leave = Disconnect::default();
        let session = connection.session_mut();
        session.disconnect(now, leave, Duration::ZERO).unwrap();
        let hangup = connection.poll_action();
        assert!(matches!(hangup, Some(Action::Hangup { .. })), "{hangup:?}");
        assert!(!connection.poll_transmit(now, &mut tower.output));
    }
}
