//! Counting by sequence numbers: what was sent, and what became of it.
//!
//! The number stands in the payload, so a message is known again wherever it turns up: handed in
//! by the application, on the wire, at the receiver. Times are arguments, counted from any fixed
//! point.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

/// The shortest payload that holds a sequence number.
pub const MIN_PAYLOAD: usize = size_of::<u64>();

/// A payload of `size` bytes (at least [`MIN_PAYLOAD`]) that begins with the sequence number.
#[must_use]
pub fn payload(seq: u64, size: usize) -> Bytes {
    let mut payload = BytesMut::with_capacity(size.max(MIN_PAYLOAD));
    payload.put_u64(seq);
    payload.resize(size.max(MIN_PAYLOAD), b'.');
    payload.freeze()
}

/// The sequence number of a payload; `None` if it is too short to have one.
#[must_use]
pub fn sequence(payload: &[u8]) -> Option<u64> {
    payload.first_chunk().copied().map(u64::from_be_bytes)
}

/// The messages of one stream: one sender, one receiver, one QoS.
#[derive(Debug)]
pub struct Tally {
    awaits_ack: bool,
    messages: Vec<Message>,
    outstanding: u64,
    received: u64,
    duplicated: u64,
    unknown: u64,
    movements: u64,
    legs: Vec<Leg>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Message {
    sent_at: Duration,
    latency: Option<Duration>,
    outcome: Option<Outcome>,
    transmitted: bool,
    resent: u32,
    written_off: bool,
}

/// How the sender's side of a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The broker acknowledged it; at QoS 0: it was written to the connection.
    Done,
    /// It ended otherwise.
    Failed,
}

/// A time of undisturbed traffic, over which the speed is taken.
#[derive(Clone, Copy, Debug)]
struct Leg {
    from: Duration,
    to: Duration,
    received: u64,
    open: bool,
}

/// The counts at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Handed to the client.
    pub sent: u64,
    /// Acknowledged by the broker; at QoS 0: written.
    pub acknowledged: u64,
    /// Ended without an acknowledgement.
    pub failed: u64,
    /// PUBLISH packets that carried a message once more.
    pub resent: u64,
    /// Messages that arrived, however often.
    pub received: u64,
    /// Messages that never arrived.
    pub lost: u64,
    /// Arrivals of messages that had arrived before.
    pub duplicated: u64,
    /// Arrivals with a number that was never sent.
    pub unknown: u64,
    /// Messages received a second, while the link was up.
    pub per_second: f64,
    /// Half of the messages took at most this long from hand to hand; `None` if none arrived.
    pub p50: Option<Duration>,
    /// 99 of 100 did.
    pub p99: Option<Duration>,
}

impl Tally {
    /// An empty tally. At QoS 0 a message is settled when it has arrived; with `awaits_ack` it has
    /// to be acknowledged, too.
    #[must_use]
    pub fn new(awaits_ack: bool) -> Self {
        Self {
            awaits_ack,
            messages: Vec::new(),
            outstanding: 0,
            received: 0,
            duplicated: 0,
            unknown: 0,
            movements: 0,
            legs: Vec::new(),
        }
    }

    /// Draws the number for a message that is handed to the client now.
    pub fn send(&mut self, now: Duration) -> u64 {
        self.messages.push(Message {
            sent_at: now,
            ..Message::default()
        });
        self.outstanding += 1;
        self.sent() - 1
    }

    /// The client told how the message ended.
    pub fn end(&mut self, seq: u64, outcome: Outcome) {
        self.change(seq, |message| {
            message.outcome.get_or_insert(outcome);
        });
    }

    /// A PUBLISH with the message was seen on its way to the broker. It was resent if it says so
    /// (`dup`), even when the first one was never seen; without the flag, if it was seen before.
    pub fn transmit(&mut self, seq: u64, dup: bool) {
        self.change(seq, |message| {
            message.resent += u32::from(dup || message.transmitted);
            message.transmitted = true;
        });
    }

    /// The message arrived.
    pub fn receive(&mut self, seq: u64, now: Duration) {
        let mut again = false;
        let known = self.change(seq, |message| {
            again = message.latency.is_some();
            message
                .latency
                .get_or_insert(now.saturating_sub(message.sent_at));
        });
        match (known, again) {
            (false, _) => self.unknown += 1,
            (true, true) => self.duplicated += 1,
            (true, false) => {
                self.received += 1;
                if let Some(leg) = self.legs.last_mut().filter(|leg| leg.open) {
                    leg.received += 1;
                    leg.to = now;
                }
            }
        }
    }

    /// Stops waiting for messages numbered below `seq`. Should one still arrive, it counts.
    pub fn write_off_below(&mut self, seq: u64) {
        for seq in 0..seq.min(self.sent()) {
            self.change(seq, |message| message.written_off = true);
        }
    }

    /// Undisturbed traffic begins.
    pub fn begin_leg(&mut self, now: Duration) {
        self.legs.push(Leg {
            from: now,
            to: now,
            received: 0,
            open: true,
        });
    }

    /// Undisturbed traffic ended with the last arrival.
    pub fn end_leg(&mut self) {
        if let Some(leg) = self.legs.last_mut() {
            leg.open = false;
        }
    }

    /// How many messages were sent; also the next number.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.messages.len() as u64
    }

    /// Grows whenever something happens to a message.
    #[must_use]
    pub fn movements(&self) -> u64 {
        self.movements
    }

    /// How many messages are neither settled nor written off.
    #[must_use]
    pub fn outstanding(&self) -> u64 {
        self.outstanding
    }

    /// Whether every message numbered below `seq` is settled or written off.
    #[must_use]
    pub fn is_settled_below(&self, seq: u64) -> bool {
        let end = usize::try_from(seq).map_or(usize::MAX, |seq| seq.min(self.messages.len()));
        self.outstanding == 0
            || self.messages[..end]
                .iter()
                .all(|message| message.is_settled(self.awaits_ack))
    }

    /// Everything in numbers.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let ended = |outcome| self.count(|message| message.outcome == Some(outcome));
        let mut latencies: Vec<_> = self.messages.iter().filter_map(|m| m.latency).collect();
        latencies.sort_unstable();
        Counts {
            sent: self.sent(),
            acknowledged: ended(Outcome::Done),
            failed: ended(Outcome::Failed),
            resent: self.messages.iter().map(|m| u64::from(m.resent)).sum(),
            received: self.received,
            lost: self.sent() - self.received,
            duplicated: self.duplicated,
            unknown: self.unknown,
            per_second: self.per_second(),
            p50: percentile(&latencies, 50),
            p99: percentile(&latencies, 99),
        }
    }

    fn per_second(&self) -> f64 {
        let received: u64 = self.legs.iter().map(|leg| leg.received).sum();
        let time: Duration = self.legs.iter().map(|leg| leg.to - leg.from).sum();
        match time.is_zero() {
            true => 0.0,
            false => received as f64 / time.as_secs_f64(),
        }
    }

    fn count(&self, is_counted: impl Fn(&Message) -> bool) -> u64 {
        self.messages.iter().filter(|m| is_counted(m)).count() as u64
    }

    /// Changes a message and keeps the number of outstanding ones; false if there is none.
    fn change(&mut self, seq: u64, change: impl FnOnce(&mut Message)) -> bool {
        let awaits_ack = self.awaits_ack;
        let message = usize::try_from(seq)
            .ok()
            .and_then(|index| self.messages.get_mut(index));
        let Some(message) = message else {
            return false;
        };
        let before = message.is_settled(awaits_ack);
        change(message);
        self.movements += 1;
        if !before && message.is_settled(awaits_ack) {
            self.outstanding -= 1;
        }
        true
    }
}

impl Message {
    fn is_settled(&self, awaits_ack: bool) -> bool {
        self.written_off || (self.latency.is_some() && (!awaits_ack || self.outcome.is_some()))
    }
}

/// The smallest value that at least `percent` of the sorted values don't exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_payload_carries_its_number_and_has_the_size_asked_for() {
        let bytes = payload(77, 64);
        assert_eq!((bytes.len(), sequence(&bytes)), (64, Some(77)));
        assert_eq!(payload(1, 0).len(), MIN_PAYLOAD);
        assert_eq!(sequence(b"short"), None);
    }

    #[test]
    fn a_message_with_an_acknowledgement_to_come_is_outstanding_until_it_has_both() {
        let mut tally = Tally::new(true);
        let seq = tally.send(ms(0));
        tally.receive(seq, ms(3));
        assert_eq!(tally.outstanding(), 1);
        tally.end(seq, Outcome::Done);
        assert_eq!(tally.outstanding(), 0);
    }

    #[test]
    fn a_message_of_qos_0_is_settled_by_its_arrival() {
        let mut tally = Tally::new(false);
        let seq = tally.send(ms(0));
        tally.end(seq, Outcome::Done);
        assert_eq!(tally.outstanding(), 1);
        tally.receive(seq, ms(3));
        assert_eq!(tally.outstanding(), 0);
    }

    #[test]
    fn lost_duplicated_resent_and_unknown_are_told_apart() {
        let mut tally = Tally::new(true);
        for _ in 0..4 {
            let seq = tally.send(ms(0));
            tally.transmit(seq, false);
        }
        tally.transmit(1, true);
        tally.transmit(1, false);
        for seq in [0, 1, 1, 1, 2, 9] {
            tally.receive(seq, ms(1));
        }
        tally.end(0, Outcome::Done);
        tally.end(3, Outcome::Failed);
        let counts = tally.counts();
        assert_eq!((counts.sent, counts.received, counts.lost), (4, 3, 1));
        assert_eq!((counts.resent, counts.duplicated), (2, 2));
        assert_eq!((counts.acknowledged, counts.failed), (1, 1));
        assert_eq!(counts.unknown, 1);
    }

    #[test]
    fn a_duplicate_counts_as_resent_even_when_the_original_never_came_by() {
        let mut tally = Tally::new(true);
        let seq = tally.send(ms(0));
        tally.transmit(seq, true);
        assert_eq!(tally.counts().resent, 1);
    }

    #[test]
    fn a_message_that_was_written_off_still_counts_when_it_comes() {
        let mut tally = Tally::new(false);
        tally.send(ms(0));
        tally.send(ms(0));
        assert!(!tally.is_settled_below(1));
        tally.write_off_below(1);
        assert!(tally.is_settled_below(1));
        assert_eq!((tally.outstanding(), tally.counts().lost), (1, 2));
        tally.receive(0, ms(5));
        assert_eq!((tally.outstanding(), tally.counts().lost), (1, 1));
    }

    #[test]
    fn the_speed_leaves_out_what_lies_between_the_legs() {
        let mut tally = Tally::new(false);
        let send_and_receive = |tally: &mut Tally, at| {
            let seq = tally.send(at);
            tally.receive(seq, at);
        };
        tally.begin_leg(ms(0));
        (1..=10).for_each(|i| send_and_receive(&mut tally, ms(i * 10)));
        tally.end_leg();
        send_and_receive(&mut tally, ms(5_000));
        tally.begin_leg(ms(9_000));
        (1..=10).for_each(|i| send_and_receive(&mut tally, ms(9_000 + i * 10)));
        tally.end_leg();
        let counts = tally.counts();
        assert_eq!(counts.received, 21);
        assert!((counts.per_second - 100.0).abs() < 0.001);
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let mut tally = Tally::new(false);
        for millis in 1..=200 {
            let seq = tally.send(ms(0));
            tally.receive(seq, ms(millis));
        }
        let counts = tally.counts();
        assert_eq!((counts.p50, counts.p99), (Some(ms(100)), Some(ms(198))));
        assert_eq!(Tally::new(false).counts().p99, None);
    }
}
