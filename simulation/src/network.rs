//! Lookups, dials and byte streams, on virtual time.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use bytes::{Buf, BytesMut};
use mqtt_session::client::Report;
use mqtt_session::{Action, Attempt, Cause, Credentials, Instant};
use mqtt_testkit::{Broker, ConnId, Direction, Link, Pieces, Rng, Time};

use crate::case::Setup;
use crate::engine::Io;

/// How long a stream may take to write its last bytes, as in the drivers.
const CLOSING: Time = Time::from_millis(500);

/// The last byte of the address of the second server, and of the one that clients are sent to.
pub(crate) const SECOND: u8 = 70;
pub(crate) const ELSEWHERE: &str = "192.0.2.90";

/// Everything between the client and the broker.
#[derive(Debug)]
pub(crate) struct Network {
    /// What becomes of dials: 0 they succeed, 1 they fail, 2 they never end.
    pub(crate) dial: u64,
    /// What becomes of lookups: 0 they succeed, 1 they fail, 2 they find nothing, 3 they never end.
    pub(crate) resolver: u64,
    /// Addresses that do not answer: see [`Step::Unreachable`](crate::case::Step::Unreachable).
    pub(crate) unreachable: (u64, u64),
    /// What becomes of the next request for credentials: 1 it fails, 2 it never ends.
    pub(crate) no_credentials: u64,
    pub(crate) delay: [Time; 2],
    pub(crate) pieces: [Pieces; 2],
    pub(crate) capacity: usize,
    addresses: u64,
    rng: Rng,
    pending: Vec<(Time, Report)>,
    pub(crate) wires: Vec<Wire>,
    /// Connections over which the broker may have missed bytes: that it heard nothing is not the client's fault.
    pub(crate) impaired: BTreeSet<ConnId>,
}

/// One byte stream.
#[derive(Debug)]
pub(crate) struct Wire {
    attempt: Attempt,
    pub(crate) conn: ConnId,
    pub(crate) link: Link,
    at_broker: BytesMut,
    /// The client has not closed it.
    at_client: bool,
    /// It loses in silence what it is given.
    pub(crate) half_open: bool,
    /// The client closes it as soon as everything is written, or at this time.
    closing: Option<Time>,
}

pub(crate) const fn pieces(value: u64) -> Pieces {
    match value {
        0 => Pieces::Joined,
        1 => Pieces::AsSent,
        most => Pieces::Random(most as usize),
    }
}

impl Network {
    pub(crate) fn new(setup: &Setup) -> Self {
        Self {
            dial: 0,
            resolver: 0,
            unreachable: (0, 0),
            no_credentials: 0,
            delay: [
                Time::from_millis(setup.delay_up),
                Time::from_millis(setup.delay_down),
            ],
            pieces: [pieces(setup.pieces_up), pieces(setup.pieces_down)],
            capacity: match setup.capacity {
                0 => usize::MAX,
                bytes => bytes as usize,
            },
            addresses: setup.addresses,
            rng: Rng::new(setup.seed ^ 0x006E_6574),
            pending: Vec::new(),
            wires: Vec::new(),
            impaired: BTreeSet::new(),
        }
    }

    /// Nobody waits for lookups and dials any more.
    pub(crate) fn forget(&mut self) {
        self.pending.clear();
    }

    /// The stream that the client has.
    pub(crate) fn open_wire(&mut self) -> Option<&mut Wire> {
        self.wires.iter_mut().find(|wire| wire.at_client)
    }

    /// When something happens by itself.
    pub(crate) fn next_time(&self, broker: &Broker, wants_read: bool) -> Option<Time> {
        let pending = self.pending.iter().map(|(at, _)| *at);
        let wires = self.wires.iter().flat_map(|wire| {
            let up = Some(Direction::ToBroker).filter(|_| broker.wants_read(wire.conn));
            let down = Some(Direction::ToClient).filter(|_| wire.at_client && wants_read);
            let times = [up, down].into_iter().flatten();
            let times = times.filter_map(|direction| wire.link.next_time_in(direction));
            times.chain(wire.closing.filter(|_| wire.at_client))
        });
        pending.chain(wires).min()
    }

    /// Does what the client wants done.
    pub(crate) fn carry_out(&mut self, now: Time, io: &mut Io) -> bool {
        let any = !io.actions.is_empty();
        for action in std::mem::take(&mut io.actions) {
            match action {
                Action::Resolve { attempt, port, .. } => {
                    let addrs = (1..=self.addresses.max(1))
                        .map(|n| SocketAddr::from(([192, 0, 2, n as u8], port)));
                    let found = match self.resolver {
                        0 => Ok(addrs.collect()),
                        1 => Err(Cause::Other("no such host".into())),
                        2 => Ok(Vec::new()),
                        _ => continue,
                    };
                    self.pend(now, Report::Resolved(attempt, found));
                }
                Action::Credentials { attempt, .. } => {
                    let given = Credentials::new("somebody", "secret");
                    let given = given.map_err(|error| Cause::Other(error.to_string()));
                    match std::mem::take(&mut self.no_credentials) {
                        0 => self.pend(now, Report::Credentials(attempt, given)),
                        1 => {
                            let none = Err(Cause::Other("there are none".into()));
                            self.pend(now, Report::Credentials(attempt, none));
                        }
                        _ => {}
                    }
                }
                Action::Dial { addr, .. }
                    if self.unreachable.1 > 0 && self.is_unreachable(addr) => {}
                Action::Dial { attempt, addr } if self.is_unreachable(addr) => {
                    self.pend(now, Report::Closed(attempt, Cause::Unreachable));
                }
                Action::Dial { attempt, .. } => match self.dial {
                    0 => self.pend(now, Report::Opened(attempt)),
                    1 => self.pend(now, Report::Closed(attempt, Cause::ConnectionRefused)),
                    _ => {}
                },
                Action::Cancel { attempt } => {
                    self.pending
                        .retain(|(_, report)| report_of(report) != attempt);
                    self.leave(now, attempt);
                }
                // One that has lost the race against another address.
                Action::Hangup {
                    attempt,
                    flush: false,
                } => {
                    self.leave(now, attempt);
                    io.reports.push(Report::Closed(attempt, Cause::HungUp));
                }
                Action::Hangup { attempt, flush } => {
                    let until = if flush { now + CLOSING } else { now };
                    let wires = self.wires.iter_mut();
                    for wire in wires.filter(|wire| wire.attempt == attempt) {
                        wire.closing = Some(until);
                    }
                }
                _ => {}
            }
        }
        any
    }

    fn is_unreachable(&self, addr: SocketAddr) -> bool {
        let last = match addr.ip() {
            IpAddr::V4(ip) => ip.octets()[3],
            IpAddr::V6(_) => 0,
        };
        match self.unreachable.0 {
            1 => last == 1,
            2 => last < SECOND,
            3 => last == SECOND,
            _ => false,
        }
    }

    fn pend(&mut self, now: Time, report: Report) {
        let after = Time::from_micros(self.rng.range(100, 30_000));
        self.pending.push((now + after, report));
    }

    fn leave(&mut self, now: Time, attempt: Attempt) {
        let wires = self.wires.iter_mut();
        for wire in wires.filter(|wire| wire.attempt == attempt && wire.at_client) {
            wire.leave(now);
        }
    }

    /// Lookups and dials that end now.
    pub(crate) fn settle(&mut self, now: Time, broker: &mut Broker, io: &mut Io) -> bool {
        let mut any = false;
        while let Some(at) = self.pending.iter().position(|(at, _)| *at <= now) {
            any = true;
            let (_, report) = self.pending.remove(at);
            if let Report::Opened(attempt) = report {
                let wire = self.open(now, attempt, broker);
                self.wires.push(wire);
                io.input.clear();
                io.output.clear();
            }
            io.reports.push(report);
        }
        any
    }

    fn open(&mut self, now: Time, attempt: Attempt, broker: &mut Broker) -> Wire {
        let mut link = Link::new(self.rng.next_u64());
        for direction in Direction::BOTH {
            link.set_delay(direction, self.delay[direction as usize]);
            link.set_pieces(direction, self.pieces[direction as usize]);
        }
        link.set_capacity(Direction::ToBroker, self.capacity);
        let conn = broker.open(now);
        if self.capacity < usize::MAX {
            self.impaired.insert(conn);
        }
        Wire {
            attempt,
            conn,
            link,
            at_broker: BytesMut::new(),
            at_client: true,
            half_open: false,
            closing: None,
        }
    }

    /// From the client into the link, and a piece from the link to the client.
    pub(crate) fn at_client(&mut self, now: Time, io: &mut Io) -> bool {
        let Some(wire) = self.wires.iter_mut().find(|wire| wire.at_client) else {
            let any = !io.output.is_empty();
            io.output.clear();
            io.input.clear();
            return any;
        };
        let mut any = false;
        while io.output.has_remaining() {
            let taken = wire.link.send(now, Direction::ToBroker, io.output.chunk());
            if taken == 0 {
                break;
            }
            io.output.advance(taken);
            io.written += taken;
            any = true;
        }
        let hung_up = wire
            .closing
            .is_some_and(|until| until <= now || (io.output.is_empty() && io.written == 0));
        let cause = if hung_up {
            Cause::HungUp
        } else if !wire.link.is_cut() && io.wants_read && wire.read(now, io) {
            return true;
        } else if wire.link.is_cut() {
            Cause::ConnectionReset
        } else if wire.link.is_finished(now, Direction::ToClient) {
            Cause::Eof
        } else {
            return any;
        };
        let cause = if wire.closing.is_some() {
            Cause::HungUp
        } else {
            cause
        };
        io.reports.push(Report::Closed(wire.attempt, cause));
        io.output.clear();
        wire.leave(now);
        true
    }

    /// From the links into the broker, and back.
    pub(crate) fn at_broker(&mut self, now: Time, broker: &mut Broker) -> bool {
        let mut any = false;
        for wire in &mut self.wires {
            let Wire {
                conn,
                link,
                at_broker,
                at_client,
                ..
            } = wire;
            if broker.wants_read(*conn) {
                if !at_broker.is_empty() {
                    let before = at_broker.len();
                    broker.input(now, *conn, at_broker);
                    any |= at_broker.len() != before;
                }
                while broker.wants_read(*conn)
                    && link.receive(now, Direction::ToBroker, at_broker) > 0
                {
                    any = true;
                    broker.input(now, *conn, at_broker);
                }
            }
            // The client is to notice it.
            any |= link.is_cut() && *at_client;
            let mut bytes = Vec::new();
            if broker.output(*conn, &mut bytes) > 0 {
                any = true;
                link.send(now, Direction::ToClient, &bytes);
            }
            if broker.wants_close(*conn) {
                link.finish(now, Direction::ToClient);
            }
        }
        any |= self.bury(now, broker);
        any
    }

    /// Forgets streams that both sides are done with.
    fn bury(&mut self, now: Time, broker: &mut Broker) -> bool {
        let before = self.wires.len();
        self.wires.retain(|wire| {
            let over = wire.link.is_cut()
                || wire.link.is_finished(now, Direction::ToBroker)
                || broker.wants_close(wire.conn);
            let gone = over && !wire.at_client;
            if gone {
                broker.closed(now, wire.conn);
            }
            !gone
        });
        self.wires.len() != before
    }
}

impl Wire {
    fn read(&mut self, now: Time, io: &mut Io) -> bool {
        let count = self.link.receive(now, Direction::ToClient, &mut io.input);
        io.largest_read = io.largest_read.max(count);
        count > 0
    }

    /// The client closes the stream: what it has sent still arrives.
    pub(crate) fn leave(&mut self, now: Time) {
        self.at_client = false;
        self.closing = None;
        self.link.finish(now, Direction::ToBroker);
    }
}

const fn report_of(report: &Report) -> Attempt {
    match report {
        Report::Credentials(attempt, _)
        | Report::Auth(attempt, _)
        | Report::Resolved(attempt, _)
        | Report::Opened(attempt)
        | Report::Closed(attempt, _) => *attempt,
    }
}

/// The client's clock: virtual time, and how far it is off.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ClientClock {
    /// In nanoseconds.
    pub(crate) skew: i64,
}

/// So that a clock can go back without going below zero.
const EPOCH: i64 = 100_000 * 1_000_000_000;

impl ClientClock {
    pub(crate) fn at(self, time: Time) -> Instant {
        let nanos = time.as_nanos() as i64 + EPOCH + self.skew;
        Instant::from_nanos(nanos.max(0) as u64)
    }

    pub(crate) fn time_of(self, at: Instant) -> Time {
        let nanos = i64::try_from(at.as_nanos()).unwrap_or(i64::MAX);
        Time::from_nanos((nanos - EPOCH - self.skew).max(0) as u64)
    }
}
