//! A store in memory, which loses its last writes when the process dies.

use bytes::BytesMut;
use mqtt_session::{
    ConfigBuilder, Endpoint, Record, RestoreError, Seq, Session, UnixTime, WallClock,
};

use super::Pair;

/// Records as bytes, in their order.
#[derive(Default)]
pub struct Store {
    log: Vec<(Seq, Vec<u8>)>,
    /// How many of them are safe.
    safe: usize,
    /// The number that came last.
    last: Seq,
}

impl Store {
    /// Takes what the session gives out. It is not safe yet.
    pub fn take(&mut self, session: &mut Session) {
        while let Some((seq, record)) = session.poll_record() {
            assert_eq!(seq.get(), self.last.get() + 1);
            self.last = seq;
            self.log.push((seq, encode(&record)));
        }
    }

    /// How many records there are, and how many of them are safe.
    pub fn len(&self) -> (usize, usize) {
        (self.log.len(), self.safe)
    }

    /// The next `count` records are safe, and the session is told so. Whether there were any.
    pub fn sync(&mut self, pair: &mut Pair, count: usize) -> bool {
        self.take(&mut pair.session);
        let mut more = self.log.iter().skip(self.safe).take(count);
        let Some((seq, _)) = more.next_back() else {
            return false;
        };
        let now = pair.now();
        pair.session.handle_stored(now, *seq);
        self.safe = self.log.len().min(self.safe.saturating_add(count));
        true
    }

    /// Keeps a snapshot instead of the log.
    pub fn compact(&mut self, pair: &mut Pair) {
        self.take(&mut pair.session);
        let now = pair.now();
        if let Some(snapshot) = pair.session.snapshot() {
            let seq = snapshot.seq;
            assert_eq!(seq, self.last);
            let records = snapshot.records.iter();
            self.log = records.map(|record| (seq, encode(record))).collect();
            self.safe = self.log.len();
            pair.session.handle_stored(now, seq);
        }
    }

    pub fn records(&self) -> Vec<Record> {
        self.log.iter().map(|(_, bytes)| decode(bytes)).collect()
    }

    /// The process dies, and only the first `keep` records are there, which are all that were safe or more. Another process makes its
    /// session of them.
    pub fn crash(&mut self, pair: &mut Pair, config: ConfigBuilder, keep: usize) {
        assert!((self.safe..=self.log.len()).contains(&keep));
        self.log.truncate(keep);
        (self.safe, self.last) = (keep, Seq::default());
        let session = restore(pair, config, self.records()).expect("these records are good");
        pair.replace_session(session);
    }
}

pub fn restore(
    pair: &Pair,
    config: ConfigBuilder,
    records: impl IntoIterator<Item = Record>,
) -> Result<Session, RestoreError> {
    let config = config.build().expect("the test's configuration is good");
    let time = UnixTime::from_millis(1_000_000_000 + pair.clock.now().as_millis() as u64);
    let now = pair.now();
    let clock = WallClock { now, time };
    Session::restore(config, Endpoint::new("192.0.2.1", 1883), 7, clock, records)
}

fn encode(record: &Record) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    record.encode(&mut bytes).expect("a small record");
    bytes.to_vec()
}

fn decode(mut bytes: &[u8]) -> Record {
    let record = Record::decode(&mut bytes).expect("a good record");
    record.expect("a record")
}
