//! Any bytes at all.

use mqtt_session::Instant;
use proptest::prelude::*;

use super::*;
use crate::tower::Far;

/// Takes everything and answers nothing.
struct Mute;

impl Far for Mute {
    fn receive(&mut self, _: &[u8]) {}

    fn plaintext(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn send(&mut self, _: &[u8]) {}

    fn transmit(&mut self) -> Vec<u8> {
        Vec::new()
    }
}

/// Words of both protocols, and others.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just(b"HTTP/1.1 200 OK".to_vec()),
        Just(b"HTTP/1.0 407 No".to_vec()),
        Just(b"HTTP/1.1 100 ".to_vec()),
        Just(b"HTTP/1.".to_vec()),
        Just(b"Proxy-Authenticate: ".to_vec()),
        Just(b"Basic realm=\"a, \\\"b\"".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\r\n\r\n".to_vec()),
        Just(b"\n\n".to_vec()),
        Just(vec![5, 0]),
        Just(vec![5, 2, 1, 0]),
        Just(vec![5, 0, 0, 3]),
        Just(CONNACK.to_vec()),
        proptest::collection::vec(any::<u8>(), 0..8),
        (any::<u8>(), 0..9000_usize).prop_map(|(byte, len)| vec![byte; len]),
    ];
    proptest::collection::vec(word, 0..8).prop_map(|words| words.concat())
}

/// How the handshake fails, if it does. What is behind it is for the session.
fn failure(proxy: Proxy, answer: &[u8], pieces: usize) -> Option<String> {
    let config = config(proxy).build().unwrap();
    let mut tower = Tower::new(config, server(), || Box::new(Mute));
    let now = Instant::ZERO;
    // Once, and never again.
    tower.connection.session_mut().connect(now);
    tower.run();
    tower.pieces = pieces;
    tower.wire().coming.extend_from_slice(answer);
    tower.run();
    let connected = |event: &Event| matches!(event, Event::Connected { .. });
    let was_connected = tower.events.iter().any(connected);
    // Whatever it waits for, it does not wait for ever.
    tower.run_for(Duration::from_secs(3600));
    assert!(was_connected || tower.wire.is_none());
    tower.losses().into_iter().find_map(|error| match error {
        ConnectionError::Handshake { .. } => Some(error.to_string()),
        _ => None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_does_not_matter_how_an_answer_of_http_is_cut(answer in answers(), pieces in 1..20_usize) {
        let proxy = Proxy::http("192.0.2.9", 3128).credentials("me", SECRET);
        let whole = failure(proxy.clone(), &answer, usize::MAX);
        prop_assert_eq!(whole, failure(proxy, &answer, pieces));
    }

    #[test]
    fn any_bytes_lead_socks5_to_an_end(answer in answers(), pieces in 1..20_usize) {
        let proxy = Proxy::socks5("192.0.2.9", 1080).credentials("me", SECRET);
        failure(proxy, &answer, pieces);
    }
}
