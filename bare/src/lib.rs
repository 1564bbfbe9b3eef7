//! A sensor and a lamp over any wire that carries bytes: the part that is the same on a microcontroller and in a browser.
//!
//! It drives a [`Session`] by hand, without `std`. [docs/embedding.md](../../docs/embedding.md) has the contract.
#![no_std]
#![forbid(unsafe_code)]

use core::time::Duration;

use bytes::{Buf, BytesMut};
use mqtt_session::proto::{Outbox, Publish, QoS, Topic};
use mqtt_session::{
    Action, Attempt, Cause, Config, Event, Instant, Limits, Outcome, QueueId, Servers, Session,
};

extern crate alloc;

/// What carries the bytes to the broker: a modem on a serial line, a WebSocket of a page.
pub trait Wire {
    /// Begins a new stream; what is left of an old one is thrown away. Whether there is one.
    fn open(&mut self) -> bool;
    /// Ends it.
    fn close(&mut self);
    /// Whether the other end has not ended it.
    fn is_open(&self) -> bool;
    /// Appends what there is, and does not wait.
    fn read(&mut self, into: &mut BytesMut);
    /// Takes from the front what there is room for, and says how much.
    fn write(&mut self, bytes: &[u8]) -> usize;
}

/// The client.
#[derive(Debug)]
pub struct Node {
    session: Session,
    stream: Option<Attempt>,
    hung_up: bool,
    input: BytesMut,
    output: Outbox,
    acknowledged: u32,
    lamp: bool,
}

impl Node {
    /// Begins to connect, and keeps trying. The seed should be random.
    pub fn new(now: Instant, client_id: &str, seed: u64) -> Self {
        let mut limits = Limits::default();
        limits.max_packet_size = 1024;
        limits.inbox_bytes = 4 * 1024;
        limits.max_queued = 16;
        limits.outgoing_bytes = 4 * 1024;
        limits.outbox_bytes = 1024;
        let config = Config::builder(client_id)
            .session_expiry(Duration::from_secs(3600))
            .keep_alive(Duration::from_secs(30))
            .limits(limits)
            // The wire knows where it leads: there is nothing to look up, and no address to dial.
            .own_dialer(true)
            .build()
            .expect("the configuration is right");
        let server = Servers::try_from("mqtt://broker").expect("a URL");
        let mut session = Session::new(config, server, seed);
        let lamp = "lamp/set".try_into().expect("a filter");
        let filters = alloc::vec![(lamp, QoS::AtLeastOnce.into())];
        session
            .subscribe(now, filters, Default::default(), QueueId::DEFAULT)
            .expect("nothing is asked for yet");
        session.start(now);
        Self {
            session,
            stream: None,
            hung_up: false,
            input: BytesMut::new(),
            output: Outbox::new(),
            acknowledged: 0,
            lamp: false,
        }
    }

    /// Publishes a reading at QoS 1. Whether there is room for it.
    pub fn publish(&mut self, now: Instant, reading: u32) -> bool {
        let topic = Topic::try_from("readings/7").expect("a topic");
        let message = Publish::new(topic, alloc::format!("{reading}"));
        self.session.publish(now, QoS::AtLeastOnce, message).is_ok()
    }

    /// How many readings the server has taken.
    pub const fn acknowledged(&self) -> u32 {
        self.acknowledged
    }

    /// Whether the lamp is on.
    pub const fn lamp(&self) -> bool {
        self.lamp
    }

    /// When the next turn is due, if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        self.session.poll_timeout()
    }

    /// Carries what there is to carry. To be called when the wire has or takes something, when the deadline has passed, and after commands.
    pub fn turn(&mut self, now: Instant, wire: &mut impl Wire) {
        self.write(now, wire);
        // What stayed for want of room has its turn before anything new.
        if self.stream.is_some() && !self.input.is_empty() {
            self.session.handle_input(now, &mut self.input);
        }
        if self.stream.is_some() && self.session.wants_read() {
            wire.read(&mut self.input);
            self.session.handle_input(now, &mut self.input);
        }
        if !wire.is_open() {
            self.closed(now, Cause::Eof);
        }
        self.session.handle_timeout(now);
        while let Some(action) = self.session.poll_action() {
            self.carry_out(now, action, wire);
        }
        while let Some(received) = self.session.poll_message(QueueId::DEFAULT) {
            self.lamp = received.publish.payload() == b"on";
            let _ = self.session.ack(now, received.ticket); // an error: the session is gone, and the message may come again
        }
        while let Some(event) = self.session.poll_event() {
            if let Event::Published { outcome, .. } = event {
                self.acknowledged += u32::from(matches!(outcome, Outcome::Acknowledged { .. }));
            }
        }
        self.write(now, wire);
        if self.hung_up && self.output.is_empty() {
            wire.close();
            self.closed(now, Cause::HungUp);
        }
    }

    fn write(&mut self, now: Instant, wire: &mut impl Wire) {
        while self.stream.is_some()
            && (self.output.has_remaining() || self.session.poll_transmit(now, &mut self.output))
        {
            let n = wire.write(self.output.chunk());
            if n == 0 {
                return;
            }
            self.output.advance(n);
            self.session.handle_written(now, n);
        }
    }

    fn carry_out(&mut self, now: Instant, action: Action, wire: &mut impl Wire) {
        match action {
            Action::Open { attempt, .. } => {
                self.forget();
                if wire.open() {
                    self.stream = Some(attempt);
                    self.session.handle_opened(now, attempt);
                } else {
                    let cause = Cause::Unreachable;
                    self.session.handle_closed(now, attempt, cause);
                }
            }
            Action::Hangup { flush: true, .. } => self.hung_up = true,
            Action::Hangup { .. } | Action::Cancel { .. } => {
                wire.close();
                self.closed(now, Cause::HungUp);
            }
            other => unreachable!("nobody has offered {other:?}"),
        }
    }

    fn closed(&mut self, now: Instant, cause: Cause) {
        if let Some(attempt) = self.stream.take() {
            self.forget();
            self.session.handle_closed(now, attempt, cause);
        }
    }

    fn forget(&mut self) {
        self.stream = None;
        self.hung_up = false;
        self.input.clear();
        self.output.clear();
    }
}
