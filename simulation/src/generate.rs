//! Draws a case from a seed. Changing anything here changes what every seed means: a case that is to be kept is kept as text.

use mqtt_testkit::Rng;

use crate::case::{Case, Setup, Step};

/// Draws the case of a seed.
pub fn generate(seed: u64) -> Case {
    let mut rng = Rng::new(seed);
    // Neighbours shall have nothing in common.
    let mut rng = rng.fork();
    let setup = setup(&mut rng, seed);
    let mut draw = Draw::new(&mut rng, &setup);
    let mut steps = Vec::new();
    let count = draw.rng.range(150, 420);
    for _ in 0..count {
        draw.step(&mut steps);
    }
    Case { setup, steps }
}

fn setup(rng: &mut Rng, seed: u64) -> Setup {
    let mut s = Setup {
        seed,
        version: *rng.pick(&[3, 4, 4, 5, 5, 5, 5, 5]),
        handles: u64::from(rng.chance(4)),
        acks: rng.below(3),
        clean_start: u64::from(rng.chance(6)),
        session_expiry: *rng.pick(&[0, 5, 60, 3600, 3600, 3600, u64::from(u32::MAX)]),
        keep_alive: *rng.pick(&[0, 5, 10, 20, 60]),
        session_lost: u64::from(rng.chance(4)),
        offline: u64::from(rng.chance(5)),
        inbox_full: u64::from(rng.chance(3)),
        backoff_first: rng.range(50, 1500),
        backoff_longest: rng.range(1500, 30_000),
        stable_after: rng.range(100, 6000),
        queues: rng.range(1, 4),
        named: u64::from(rng.chance(2)),
        addresses: rng.range(1, 3),
        ending: *rng.pick(&[0, 0, 1, 1, 2]),
        ..Setup::default()
    };
    s.max_in_flight = rng.range(1, 30);
    s.servers = *rng.pick(&[1, 1, 1, 2, 3]);
    s.redirects = *rng.pick(&[0, 1, 2]);
    s.credentials = u64::from(s.handles == 0 && rng.chance(4));
    if s.handles == 0 && rng.chance(3) {
        s.durability = *rng.pick(&[1, 2, 2, 2]);
        s.store_delay = *rng.pick(&[0, 1, 20, 200]);
    }
    if s.version == 5 && s.handles == 0 && rng.chance(4) {
        s.auth = rng.range(1, 3);
    }
    if rng.chance(2) {
        s.receive_maximum = rng.range(1, 20);
    }
    if rng.chance(3) {
        s.inbox_bytes = rng.range(200, 6000);
        // Each connection may bring no more than a message or two.
        s.backoff_longest = rng.range(1500, 4000);
    }
    if rng.chance(3) {
        s.max_queued = rng.range(1, 40);
    }
    if rng.chance(4) {
        s.outgoing_bytes = rng.range(1000, 10_000);
    }
    if rng.chance(2) {
        s.outbox_bytes = rng.range(1, 600);
    }
    if rng.chance(5) {
        s.max_requests = rng.range(4, 8);
    }
    if rng.chance(6) {
        // A server of 3.x is not told.
        if s.version == 5 {
            s.max_packet_size = rng.range(200, 4000);
        }
    }
    if rng.chance(2) {
        s.broker_receive_maximum = rng.range(1, 20);
    }
    if rng.chance(10) && s.version == 5 {
        s.broker_max_packet = rng.range(200, 3000);
    }
    // A server of 3.x can't tell: there a message that is too large ends each connection that it is sent on.
    s.poisonous = u64::from(rng.chance(3));
    if s.version < 5 && s.poisonous > 0 && rng.chance(2) {
        s.broker_max_packet = rng.range(1000, 3000);
        // Three connections for each of them, which shall not take all day.
        s.backoff_longest = rng.range(1500, 2000);
    }
    if rng.chance(6) {
        s.time_to_live = rng.range(50, 10_000);
    }
    s.topic_alias_maximum = *rng.pick(&[0, 1, 2, 16, 16]);
    s.topic_aliases = *rng.pick(&[0, 1, 2, 16, 16]);
    s.broker_sends_aliases = u64::from(rng.chance(2));
    if rng.chance(12) {
        s.broker_max_qos = rng.below(2);
    }
    s.broker_retain = u64::from(!rng.chance(10));
    s.broker_wildcards = 1;
    s.broker_shared = u64::from(!rng.chance(10));
    s.broker_identifiers = u64::from(!rng.chance(6));
    s.broker_aliases = *rng.pick(&[0, 0, 1, 3, 10, 100]);
    s.broker_copies = u64::from(rng.chance(4));
    if rng.chance(6) {
        s.broker_keep_alive = *rng.pick(&[0, 5, 30]);
    }
    if rng.chance(2) {
        s.delay_up = rng.below(40);
        s.delay_down = rng.below(40);
    }
    s.pieces_up = draw_pieces(rng);
    s.pieces_down = draw_pieces(rng);
    if rng.chance(5) {
        s.capacity = rng.range(1, 400);
    }
    s
}

fn draw_pieces(rng: &mut Rng) -> u64 {
    match rng.below(4) {
        0 => rng.range(2, 40),
        1 => 1,
        _ => 0,
    }
}

/// What a seed does more often than others.
struct Draw<'r> {
    rng: &'r mut Rng,
    v5: bool,
    auth: bool,
    crashes: bool,
    publishes: u64,
    sends: u64,
    takes: u64,
    requests: u64,
    /// A fault about once in so many steps.
    faults: u64,
    large: bool,
    /// Whether the inbox has room for more than a few messages. With a narrow one nothing is published that comes back, and nothing is
    /// retained: what is sent again after each connection that the full inbox ends would bring it again each time.
    wide: bool,
}

impl<'r> Draw<'r> {
    fn new(rng: &'r mut Rng, setup: &Setup) -> Self {
        let v5 = setup.version == 5;
        Self {
            v5,
            auth: setup.auth > 0,
            crashes: setup.durability > 1,
            publishes: rng.range(1, 10),
            sends: rng.range(1, 10),
            takes: rng.range(2, 10),
            requests: rng.range(0, 3),
            faults: *rng.pick(&[8, 12, 16, 24]),
            large: rng.chance(4) && setup.pieces_up.max(setup.pieces_down) < 2,
            wide: setup.inbox_bytes >= 16 << 20,
            rng,
        }
    }

    fn step(&mut self, steps: &mut Vec<Step>) {
        if self.rng.chance(self.faults) {
            self.fault(steps);
        } else {
            let step = self.work();
            steps.push(step);
        }
        // Often several things happen at once.
        if self.rng.chance(2) {
            let ms = match self.rng.below(24) {
                0 => self.rng.range(1000, 20_000),
                1..=3 => self.rng.range(100, 1500),
                4..=14 => self.rng.below(60),
                _ => 0,
            };
            steps.push(Step::Run { ms });
        }
    }

    fn work(&mut self) -> Step {
        let total = self.publishes + self.sends + self.takes * 2 + self.requests;
        let mut at = self.rng.below(total);
        for (weight, draw) in [
            (self.publishes, Self::publish as fn(&mut Self) -> Step),
            (self.sends, Self::send),
            (self.takes, Self::take),
            (self.takes, Self::ack),
        ] {
            if at < weight {
                return draw(self);
            }
            at -= weight;
        }
        self.request()
    }

    fn publish(&mut self) -> Step {
        Step::Publish {
            topic: self.rng.below(if self.wide { 8 } else { 6 }),
            qos: self.rng.below(3),
            size: self.size(),
            extra: self.extra(),
            count: self.rng.range(1, 4),
        }
    }

    fn send(&mut self) -> Step {
        Step::Send {
            topic: *self.rng.pick(&[0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7]),
            qos: self.rng.below(3),
            size: self.size(),
            extra: self.extra(),
            count: self.rng.range(1, 4),
        }
    }

    fn size(&mut self) -> u64 {
        match self.rng.below(12) {
            0 if self.large => self.rng.range(1000, 20_000),
            0 | 1 => self.rng.range(100, 1200),
            _ => self.rng.range(4, 40),
        }
    }

    fn extra(&mut self) -> u64 {
        if self.rng.chance(3) {
            self.rng.below(16) & if self.wide { 15 } else { 14 }
        } else {
            0
        }
    }

    fn take(&mut self) -> Step {
        Step::Take {
            queue: self.rng.below(4),
            count: self.rng.range(1, 8),
        }
    }

    fn ack(&mut self) -> Step {
        Step::Ack {
            which: *self.rng.pick(&[0, 0, 1, 2, 3, 5, 7, 11]),
            count: self.rng.range(1, 8),
        }
    }

    fn request(&mut self) -> Step {
        let filter = self.rng.below(9);
        match self.rng.below(5) {
            0 | 1 => Step::Subscribe {
                filter,
                qos: self.rng.below(3),
                queue: self.rng.below(4),
                options: self.rng.below(4),
            },
            2 if self.rng.chance(2) => Step::Forget {
                which: self.rng.below(20),
            },
            2 if self.auth && self.rng.chance(2) => Step::Reauthenticate {},
            2 => Step::Withdraw { filter },
            _ => Step::Unsubscribe { filter },
        }
    }

    fn fault(&mut self, steps: &mut Vec<Step>) {
        let rng = &mut *self.rng;
        let up = rng.below(2);
        let step = match rng.below(42) {
            5 if rng.chance(2) => {
                let which = rng.range(1, 3);
                let slowly = rng.below(2);
                let ms = rng.range(100, 9000);
                steps.extend([
                    Step::Unreachable { which, slowly },
                    Step::Cut {},
                    Step::Run { ms },
                ]);
                Step::Unreachable {
                    which: 0,
                    slowly: 0,
                }
            }
            6 if rng.chance(2) => Step::NoCredentials {
                slowly: rng.below(2),
            },
            7 if self.v5 && rng.chance(2) => Step::Redirect {
                later: rng.below(2),
                permanent: rng.below(2),
            },
            0..=2 if self.crashes => Step::Crash {},
            0..=4 => Step::Cut {},
            5..=11 => Step::CutAfter {
                up,
                bytes: rng.below(120),
            },
            12 | 13 => Step::Stall {
                up,
                on: u64::from(!rng.chance(3)),
            },
            14 => Step::HalfOpen { up: rng.below(3) },
            15 | 16 => Step::Delay {
                up,
                ms: rng.below(600),
            },
            17 | 18 => Step::Pieces {
                up,
                // Kilobytes, byte by byte, only take time.
                bytes: rng.below(30) * if self.large { 100 } else { 1 },
            },
            19 => Step::Capacity {
                bytes: rng.below(200),
            },
            20 => Step::Deaf { on: rng.below(2) },
            21 | 22 => Step::Restart { keep: 1 },
            23 | 24 => Step::Restart { keep: 0 },
            25 | 26 => Step::Refuse {
                reason: *rng.pick(if self.v5 { REFUSALS_V5 } else { REFUSALS_V3 }),
            },
            27 => Step::Disconnect {
                reason: *rng.pick(DISCONNECTS),
            },
            28 => Step::Deny {},
            29 | 30 => Step::Answer {
                reason: *rng.pick(&[0x10, 0]),
            },
            31 => Step::Reject {
                reason: *rng.pick(ANSWERS),
            },
            32 => Step::RejectFilter {
                filter: rng.below(9),
                reason: *rng.pick(&[0, 0x80, 0x83, 0x87, 0x8F, 0x97]),
            },
            33 | 34 => Step::Hold {
                packet: *rng.pick(&[2, 4, 5, 6, 7, 9, 11, 13]),
            },
            35 => {
                // A dead network is left alone for a while.
                let dial = rng.range(1, 2);
                let ms = rng.range(100, 20_000);
                steps.extend([Step::Network { dial }, Step::Cut {}, Step::Run { ms }]);
                Step::Network { dial: 0 }
            }
            36 => {
                let answer = rng.range(1, 3);
                let ms = rng.range(100, 12_000);
                steps.extend([Step::Resolver { answer }, Step::Cut {}, Step::Run { ms }]);
                Step::Resolver { answer: 0 }
            }
            37 => Step::Limits {
                receive_maximum: rng.range(1, 30),
                max_packet: if rng.chance(3) && self.v5 {
                    rng.range(100, 2000)
                } else {
                    0
                },
                max_qos: if rng.chance(4) { rng.below(2) } else { 2 },
                retain: u64::from(!rng.chance(4)),
                aliases: rng.below(5),
                keep_alive: *rng.pick(&[0, 0, 5, 30]),
            },
            38 => {
                let back = rng.below(2);
                let ms = if back > 0 {
                    rng.below(900)
                } else {
                    rng.below(100_000)
                };
                Step::Clock { ms, back }
            }
            39 => Step::UnknownId {
                packet: rng.below(6),
            },
            40 if self.auth && rng.chance(2) => Step::AuthFault { how: rng.below(3) },
            40 => Step::Nonsense {
                which: rng.below(8),
            },
            _ => {
                if rng.chance(3) {
                    Step::TakeOver {}
                } else {
                    Step::Cut {}
                }
            }
        };
        steps.push(step);
        if matches!(
            step,
            Step::Stall { .. } | Step::Hold { .. } | Step::Deaf { .. }
        ) {
            // Not for ever, mostly.
            self.later(steps, step);
        }
    }

    fn later(&mut self, steps: &mut Vec<Step>, step: Step) {
        for _ in 0..self.rng.below(12) {
            let work = self.work();
            steps.push(work);
        }
        let ms = self.rng.below(4000);
        steps.push(Step::Run { ms });
        steps.push(match step {
            Step::Stall { up, .. } => Step::Stall { up, on: 0 },
            Step::Deaf { .. } => Step::Deaf { on: 0 },
            _ => Step::Release {},
        });
    }
}

const REFUSALS_V5: &[u64] = &[
    0x80, 0x83, 0x86, 0x87, 0x88, 0x88, 0x89, 0x89, 0x97, 0x9C, 0x9D, 0x9F, 0x9F,
];
const REFUSALS_V3: &[u64] = &[0x88, 0x88, 0x88, 0x86, 0x87, 0x97];
const DISCONNECTS: &[u64] = &[
    0x80, 0x83, 0x87, 0x89, 0x8B, 0x8B, 0x8D, 0x93, 0x97, 0x98, 0x9C, 0x9D, 0xA0,
];
const ANSWERS: &[u64] = &[0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99, 0];
