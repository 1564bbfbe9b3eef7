//! What was sent and what arrived, by number.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mqtt_behaviour::Result;
use mqtt_session::client::exports::QoS;

/// Messages of one QoS on their way in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Flow {
    /// From the adapter's client to the far side.
    pub(crate) out: bool,
    pub(crate) qos: QoS,
}

/// A message, as its payload begins: a byte for the flow, four for the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) flow: Flow,
    pub(crate) number: u32,
}

const QOS: [QoS; 2] = [QoS::AtLeastOnce, QoS::ExactlyOnce];
/// A publisher is never further ahead of who receives: what waits in the broker is stored with each save.
const LEAD: u32 = 300;

impl Flow {
    pub(crate) const ALL: [Self; 4] = [
        Self::new(true, QOS[0]),
        Self::new(true, QOS[1]),
        Self::new(false, QOS[0]),
        Self::new(false, QOS[1]),
    ];

    pub(crate) const fn new(out: bool, qos: QoS) -> Self {
        Self { out, qos }
    }

    /// The two in a direction.
    pub(crate) fn both(out: bool) -> [Self; 2] {
        QOS.map(|qos| Self { out, qos })
    }

    fn index(self) -> usize {
        usize::from(!self.out) * 2 + usize::from(self.qos == QoS::ExactlyOnce)
    }

    pub(crate) fn topic(self) -> &'static str {
        ["soak/out/1", "soak/out/2", "soak/in/1", "soak/in/2"][self.index()]
    }
}

impl Key {
    pub(crate) const fn new(flow: Flow, number: u32) -> Self {
        Self { flow, number }
    }

    /// Of many lengths, so that a cut after some bytes falls anywhere.
    pub(crate) fn payload(self) -> Vec<u8> {
        let mut payload = vec![self.flow.index() as u8];
        payload.extend_from_slice(&self.number.to_be_bytes());
        payload.resize(5 + self.number as usize % 61, b'.');
        payload
    }

    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let (flow, number) = payload.split_at_checked(1)?;
        let number = number.first_chunk::<4>()?;
        Some(Self {
            flow: *Flow::ALL.get(usize::from(flow[0]))?,
            number: u32::from_be_bytes(*number),
        })
    }
}

/// What the applications on both sides have seen.
pub(crate) struct Tally {
    messages: u32,
    copies: [Vec<AtomicU32>; 4],
    sent: [AtomicU32; 4],
    arrived: [AtomicU32; 4],
    /// The number that is next where all come in order.
    next: [AtomicU32; 4],
    overtaken: [AtomicU32; 4],
    doubled: [AtomicU32; 4],
    /// Somebody has failed, or all is done.
    pub(crate) stop: AtomicBool,
}

impl Tally {
    pub(crate) fn new(messages: u32) -> Self {
        let copies = || (0..messages).map(|_| AtomicU32::new(0)).collect();
        Self {
            messages,
            copies: [copies(), copies(), copies(), copies()],
            sent: Default::default(),
            arrived: Default::default(),
            next: Default::default(),
            overtaken: Default::default(),
            doubled: Default::default(),
            stop: AtomicBool::new(false),
        }
    }

    /// The next message of a flow to be sent, if it is its turn already; `None` when there are no more.
    pub(crate) fn draw(&self, flow: Flow) -> Option<Option<Key>> {
        let at = flow.index();
        let number = self.sent[at].load(Ordering::SeqCst);
        if number == self.messages {
            return None;
        }
        if number - self.arrived[at].load(Ordering::SeqCst) >= LEAD {
            return Some(None);
        }
        self.sent[at].store(number + 1, Ordering::SeqCst);
        Some(Some(Key::new(flow, number)))
    }

    /// The application that receives this flow was given this.
    pub(crate) fn arrive(&self, out: bool, payload: &[u8]) -> Result {
        let key = Key::read(payload)
            .filter(|key| key.flow.out == out && key.number < self.messages)
            .filter(|key| key.payload() == payload)
            .ok_or_else(|| format!("a message that nobody sent: {payload:?}"))?;
        let at = key.flow.index();
        let before = self.copies[at][key.number as usize].fetch_add(1, Ordering::SeqCst);
        if before > 0 {
            self.doubled[at].fetch_add(1, Ordering::SeqCst);
            return Ok(());
        }
        if key.number < self.next[at].load(Ordering::SeqCst) {
            self.overtaken[at].fetch_add(1, Ordering::SeqCst);
        } else {
            self.next[at].store(key.number + 1, Ordering::SeqCst);
        }
        self.arrived[at].fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// How many have arrived in all.
    pub(crate) fn progress(&self) -> u32 {
        let arrived = self.arrived.iter();
        arrived.map(|count| count.load(Ordering::SeqCst)).sum()
    }

    pub(crate) fn total(&self) -> u32 {
        4 * self.messages
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Those that were sent and never arrived.
    pub(crate) fn lost(&self) -> Vec<Key> {
        self.those(|flow, copies, number| {
            copies == 0 && number < self.sent[flow.index()].load(Ordering::SeqCst)
        })
    }

    /// Those of QoS 2 that came more than once.
    pub(crate) fn doubled(&self) -> Vec<Key> {
        self.those(|flow, copies, _| flow.qos == QoS::ExactlyOnce && copies > 1)
    }

    fn those(&self, is: impl Fn(Flow, u32, u32) -> bool) -> Vec<Key> {
        let mut keys = Vec::new();
        for flow in Flow::ALL {
            for (number, copies) in (0..).zip(&self.copies[flow.index()]) {
                if is(flow, copies.load(Ordering::SeqCst), number) {
                    keys.push(Key::new(flow, number));
                }
            }
        }
        keys
    }

    /// A line for each flow.
    pub(crate) fn lines(&self) -> Vec<String> {
        let count = |of: &[AtomicU32; 4], flow: Flow| of[flow.index()].load(Ordering::SeqCst);
        Flow::ALL
            .map(|flow| {
                format!(
                    "{:<10} {} sent, {} arrived, {} came again, {} after a later one",
                    flow.topic(),
                    count(&self.sent, flow),
                    count(&self.arrived, flow),
                    count(&self.doubled, flow),
                    count(&self.overtaken, flow),
                )
            })
            .into()
    }
}

/// Sleeps a little; fails when it has been too long since the start, so that nothing waits for ever.
pub(crate) fn pause(since: Instant, limit: Duration, what: &str) -> Result {
    if since.elapsed() > limit {
        return Err(format!("{what}: not within {limit:?}").into());
    }
    std::thread::sleep(Duration::from_millis(1));
    Ok(())
}
