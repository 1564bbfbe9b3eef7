//! A driver at its port: what waits above the byte stream is no reason to be awake, until there is room for it.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::vec::Vec;

use bytes::{Buf, BytesMut};
use mqtt_proto::{Outbox, Publish, QoS};
use mqtt_testkit::{Broker, BrokerConfig, ConnId};

use super::tower::Far;
use super::*;
use crate::client::{Client, Port, Report, Turn, build};
use crate::{Action, Instant, Limits};

#[derive(Default)]
struct Calls(AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

struct Hand {
    port: Port,
    far: Unveiled,
    broker: Broker,
    conn: ConnId,
    at_broker: BytesMut,
    input: BytesMut,
    output: Outbox,
    written: usize,
    reports: Vec<Report>,
    wants_read: bool,
    waker: Waker,
}

impl Hand {
    fn new() -> (Client, Self, Arc<Calls>) {
        let limits = Limits {
            inbox_bytes: 4096,
            ..Limits::default()
        };
        let mut config = Config::builder("client").limits(limits).build().unwrap();
        with_layers(&mut config, one);
        let (client, port) = build(config, server(), 7, || Instant::ZERO).unwrap();
        let mut broker = Broker::new(BrokerConfig::default());
        let conn = broker.open(core::time::Duration::ZERO);
        let calls = Arc::new(Calls::default());
        let hand = Self {
            port,
            far: Unveiled::one(),
            broker,
            conn,
            at_broker: BytesMut::new(),
            input: BytesMut::new(),
            output: Outbox::new(),
            written: 0,
            reports: Vec::new(),
            wants_read: false,
            waker: Waker::from(Arc::clone(&calls)),
        };
        (client, hand, calls)
    }

    /// Turns until it would sleep.
    fn run(&mut self) {
        for _ in 0..1000 {
            let mut actions = Vec::new();
            let next = self.port.turn(Turn {
                now: Instant::ZERO,
                input: &mut self.input,
                written: core::mem::take(&mut self.written),
                reports: &mut self.reports,
                output: &mut self.output,
                actions: &mut actions,
                idle: Some(&self.waker),
            });
            self.wants_read = next.wants_read;
            for action in actions {
                if let Action::Dial { attempt, .. } = action {
                    self.reports.push(Report::Opened(attempt));
                }
            }
            let sent = self.output.to_vec();
            self.output.advance(sent.len());
            self.written = sent.len();
            self.far.receive(&sent);
            let now = core::time::Duration::ZERO;
            self.at_broker.extend_from_slice(&self.far.plaintext());
            self.broker.input(now, self.conn, &mut self.at_broker);
            let mut bytes = Vec::new();
            self.broker.output(self.conn, &mut bytes);
            if !bytes.is_empty() {
                self.far.send(&bytes);
            }
            if self.wants_read {
                self.input.extend_from_slice(&self.far.transmit());
            }
            if next.sleep && self.input.is_empty() && self.written == 0 && self.reports.is_empty() {
                return;
            }
        }
        panic!("it never sleeps");
    }
}

fn poll<F: Future>(future: core::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_driver_that_sleeps_is_woken_for_what_a_layer_holds_and_nothing_else_is_needed() {
    let (client, mut hand, calls) = Hand::new();
    client.start();
    hand.run();
    let mut messages = {
        let mut subscribing = pin!(client.subscribe("#", QoS::AtLeastOnce));
        assert!(poll(subscribing.as_mut()).is_pending());
        hand.run();
        match poll(subscribing) {
            Poll::Ready(subscribed) => subscribed.unwrap(),
            Poll::Pending => panic!("no answer"),
        }
    };
    let message = Publish::new("a".try_into().unwrap(), alloc::vec![7; 1000]);
    for _ in 0..20 {
        let now = core::time::Duration::ZERO;
        hand.broker.publish(now, &message, QoS::AtLeastOnce);
    }
    hand.run();
    assert!(!hand.wants_read, "the inbox is full");
    assert!(hand.far.transmit().is_empty(), "all of it was read");
    let mut taken = 0;
    let mut woken = 0;
    while taken < 20 {
        match poll(pin!(messages.next())) {
            Poll::Ready(message) => {
                assert_eq!(message.unwrap().payload().len(), 1000);
                taken += 1;
            }
            Poll::Pending => {
                let calls = calls.0.swap(0, Ordering::Relaxed);
                assert!(calls > 0, "{taken} were taken, and the driver sleeps");
                woken += calls;
                hand.run();
            }
        }
    }
    assert!((1..=20).contains(&woken), "woken {woken} times");
}
