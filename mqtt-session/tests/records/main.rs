//! What comes out to be stored, what waits until it is, and what a session is that is made of it.

mod adopted;
mod ascending;
mod moved;
#[path = "../pair/mod.rs"]
mod pair;
mod places;
mod restored;
mod reused;
mod withheld;

use std::time::Duration;

use mqtt_session::proto::{
    ConnAck, Disconnect, Outbox, Packet, PacketType, Properties, Publish, QoS, ReasonCode, SubAck,
    Version,
};
use mqtt_session::{
    Cause, Config, ConfigBuilder, Durability, Ending, Endpoint, Event, Instant, Limits, Outcome,
    PacketIds, PublishOptions, PublishRefused, QueueId, Record, Redirects, RestoreError, Seq,
    Servers, Session, SessionLost, UnixTime, WallClock,
};
use mqtt_testkit::Rng;
use pair::raw::{Raw, exactly_once, id};
use pair::{ACKNOWLEDGED, Pair, message};

const NONE: Properties = Properties::new();
const CLOCK: WallClock = WallClock {
    now: Instant::ZERO,
    time: UnixTime::from_millis(1_700_000_000_000),
};

fn config(durability: Durability) -> ConfigBuilder {
    pair::config(Version::V5).durability(durability)
}

fn ahead() -> ConfigBuilder {
    config(Durability::WriteAhead)
}

/// Takes all records.
fn take(raw: &mut Raw) -> Vec<(Seq, Record)> {
    raw.poll();
    core::iter::from_fn(|| raw.session.poll_record()).collect()
}

/// Takes all records, and tells that they are stored.
fn store(raw: &mut Raw) -> Vec<Record> {
    let records = take(raw);
    if let Some((seq, _)) = records.last() {
        raw.session.handle_stored(raw.now, *seq);
    }
    records.into_iter().map(|(_, record)| record).collect()
}

/// A session that is connected, and has nothing that waits to be stored.
fn connected(config: ConfigBuilder) -> (Raw, Vec<Record>) {
    let mut raw = Raw::connected(config);
    let records = store(&mut raw);
    raw.packets();
    (raw, records)
}

fn try_restore(
    config: ConfigBuilder,
    records: impl IntoIterator<Item = Record>,
) -> Result<Session, RestoreError> {
    let config = config.build().expect("the test's configuration is good");
    let server = Endpoint::new("192.0.2.1", 1883);
    Session::restore(config, server, 7, CLOCK, records)
}

fn restore(config: ConfigBuilder, records: impl IntoIterator<Item = Record>) -> Raw {
    let mut raw = Raw::new(config.clone());
    raw.session = try_restore(config, records).expect("good records");
    raw
}

/// The same, connected to a server that has the session.
fn resumed(config: ConfigBuilder, records: impl IntoIterator<Item = Record>) -> Raw {
    let mut raw = restore(config, records);
    raw.session.connect(raw.now);
    raw.open();
    raw.accept(true, NONE);
    raw
}

fn is_sent(record: &Record) -> bool {
    matches!(record, Record::Sent { .. })
}
