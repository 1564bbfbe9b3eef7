//! A real proxy below other layers.

use std::vec::Vec;

use super::tower::Far;
use super::veil::{HELLO, Silent, WELCOME};
use super::*;
use crate::Action;
use crate::transport::Proxy;

const ASKED: &[u8] = b"CONNECT 192.0.2.1:1883 HTTP/1.1\r\nHost: 192.0.2.1:1883\r\n\r\n";
const GRANTED: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";

/// A proxy that is quick to let the server speak: the first word of that comes with the answer.
struct Hasty {
    asked: Vec<u8>,
    answer: Vec<u8>,
    behind: Unveiled,
    /// How much of what the server says is said already.
    said: usize,
}

impl Far for Hasty {
    fn receive(&mut self, raw: &[u8]) {
        let room = (ASKED.len() - self.asked.len()).min(raw.len());
        let (asked, raw) = raw.split_at(room);
        self.asked.extend_from_slice(asked);
        assert!(ASKED.starts_with(&self.asked));
        if room > 0 && self.asked == ASKED {
            // Nothing of the layers above was said before.
            assert_eq!(raw, b"");
            self.answer = [GRANTED, &WELCOME].concat();
        }
        self.behind.receive(raw);
    }

    fn plaintext(&mut self) -> Vec<u8> {
        self.behind.plaintext()
    }

    fn send(&mut self, plain: &[u8]) {
        self.behind.send(plain);
    }

    fn transmit(&mut self) -> Vec<u8> {
        let mut raw = core::mem::take(&mut self.answer);
        let mut behind = self.behind.transmit();
        let said = self.said.min(behind.len());
        self.said -= said;
        raw.extend(behind.drain(said..));
        raw
    }
}

#[test]
fn layers_above_a_proxy_begin_when_it_has_answered_and_get_what_came_with_that() {
    for pieces in [usize::MAX, 1, 7] {
        let proxy = Proxy::http("192.0.2.9", 3128);
        let mut config = Config::builder("client").proxy(proxy).build().unwrap();
        with_layers(&mut config, two);
        let mut tower = Tower::new(config, server(), || {
            Box::new(Hasty {
                asked: Vec::new(),
                answer: Vec::new(),
                behind: Unveiled::two(),
                said: WELCOME.len(),
            })
        });
        tower.pieces = pieces;
        let mut tower = connected(tower);
        let dialled = tower.actions.iter().find_map(|action| match action {
            Action::Dial { addr, .. } => Some(std::string::ToString::to_string(addr)),
            _ => None,
        });
        assert_eq!(dialled.as_deref(), Some("192.0.2.9:3128"));
        assert!(tower.wire().sent[ASKED.len()..].starts_with(&HELLO));
        tower.subscribe();
        let payload = alloc::vec![7; 100_000];
        let token = tower.publish(mqtt_proto::QoS::ExactlyOnce, &payload);
        tower.run();
        assert!(tower.outcome(token).is_some());
        assert_eq!(tower.take_all(), [payload]);
        tower.check();
    }
}

#[test]
fn what_was_said_to_the_proxy_is_not_taken_for_what_the_session_said() {
    let proxy = Proxy::http("192.0.2.9", 3128);
    let config = Config::builder("client").proxy(proxy).build().unwrap();
    let mut tower = Tower::new(config, server(), || Box::new(Silent));
    tower.takes = 0;
    tower.start();
    assert_eq!(tower.output.to_vec(), ASKED);
    // It answers before the driver says that all is written.
    let now = tower.at();
    tower.input.extend_from_slice(GRANTED);
    tower.connection.handle_input(now, &mut tower.input);
    assert!(tower.connection.poll_transmit(now, &mut tower.output));
    let connect = tower.output.len() - ASKED.len();
    let told = |tower: &Tower| tower.connection.session().stats().bytes_written as usize;
    tower.connection.handle_written(now, ASKED.len());
    assert_eq!(told(&tower), 0);
    tower.connection.handle_written(now, connect);
    assert_eq!(told(&tower), connect);
}
