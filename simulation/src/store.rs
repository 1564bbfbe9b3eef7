//! A store in memory, which is slow, and a crash of the client's process that loses what it has not stored yet.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;
use mqtt_session::{Record, Seq, UnixTime, WallClock};
use mqtt_testkit::Time;

use crate::app::{App, STABLE, Wanted};
use crate::engine::Io;
use crate::tally::Kind;
use crate::world::{Checked, Failure, World, ensure};

/// Records that are safe, and those that are being stored.
#[derive(Debug, Default)]
pub(crate) struct Store {
    stored: Vec<Vec<u8>>,
    pending: VecDeque<(Time, Seq, Record)>,
}

/// When virtual time begins by the clock on the wall.
const BEGIN: u64 = 1_700_000_000_000;

impl Store {
    pub(crate) fn next_time(&self) -> Option<Time> {
        self.pending.front().map(|(at, ..)| *at)
    }
}

impl World {
    /// What the clock on the wall says, which does not jump with the client's own.
    pub(crate) fn wall_clock(&self) -> WallClock {
        let time = UnixTime::from_millis(BEGIN + self.time.as_millis() as u64);
        let now = self.clock.at(self.time);
        WallClock { now, time }
    }

    /// Takes what is to be stored, and tells what is.
    pub(crate) fn keep_records(&mut self) -> Checked<bool> {
        let mut any = false;
        let delay = Duration::from_millis(self.setup.store_delay);
        while let Some((seq, record)) = self.engine.poll_record() {
            any = true;
            self.store
                .pending
                .push_back((self.time + delay, seq, record));
        }
        let mut last = None;
        while let Some((at, ..)) = self.store.pending.front()
            && *at <= self.time
            && let Some((_, seq, record)) = self.store.pending.pop_front()
        {
            let mut bytes = BytesMut::new();
            let written = record.encode(&mut bytes);
            ensure!(
                written.is_ok(),
                "a record is written and read",
                "{record:?}: {written:?}"
            );
            self.store.stored.push(bytes.to_vec());
            last = Some(seq);
        }
        if let Some(seq) = last {
            any = true;
            let now = self.clock.at(self.time);
            self.engine.handle_stored(now, seq);
        }
        Ok(any)
    }

    /// The process ends, and another one begins with what is stored.
    pub(crate) fn crash(&mut self) -> Checked {
        self.tally.add_many(
            Kind::Other,
            "records lost by crashes",
            self.store.pending.len() as u64,
        );
        for (.., record) in self.store.pending.drain(..) {
            if record == Record::SessionBegan {
                // What the process was told dies with it: the next one takes this session for the one before.
                self.told.pop_last();
            }
        }
        for wire in &mut self.net.wires {
            wire.leave(self.time);
        }
        self.net.forget();
        self.auth.forget();
        self.io = Io::default();
        let mut records = Vec::new();
        for bytes in &self.store.stored {
            match Record::decode(&mut &bytes[..]) {
                Ok(Some(record)) => records.push(record),
                other => {
                    let text = format!("{bytes:?}: {other:?}");
                    return Err(Failure::new("a record is written and read", text));
                }
            }
        }
        self.restore_engine(records)?;
        self.remember()?;
        self.begin()
    }

    /// What the application has from before, and what the session has.
    fn remember(&mut self) -> Checked {
        let restored = self.engine.restored();
        let old = std::mem::take(&mut self.app);
        self.app = App {
            messages: old.messages,
            backlog: old.backlog,
            filters: old.filters,
            next_request: old.next_request,
            next_place: old.next_place,
            arrived: old.arrived,
            taken: old.taken,
            lost_untold: old.lost_untold,
            denied: old.denied,
            limited: old.limited,
            gave_up: old.gave_up,
            scripted: old.scripted,
            nonsense: old.nonsense,
            count: old.count,
            ..App::default()
        };
        self.app.crashed_at = self.app.messages.len() as u32;
        for filter in self.app.filters.iter_mut().skip(STABLE.len()) {
            // Nobody knows it any more but the server, and whether something was to be undone.
            filter.state = Wanted::Either;
            filter.request = None;
        }
        for n in 0..self.app.messages.len() as u32 {
            let message = &mut self.app.messages[n as usize];
            if !message.up || message.place.is_none() {
                continue;
            }
            let is_restored = restored.contains(&n);
            ensure!(
                is_restored || !message.stored || message.outcome.is_some(),
                "what was told as stored is restored",
                "message {n} is not"
            );
            if is_restored {
                // It may be told once more: that it was told was not stored.
                message.outcome = None;
                message.forgotten = false;
                self.app.restore(n);
            } else if message.outcome.is_none() {
                message.forgotten = true;
            }
        }
        Ok(())
    }
}
