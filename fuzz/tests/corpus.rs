//! The committed corpus: it passes, it is small, it holds the seeds, and it leads to every packet and every outcome.

use std::fs;
use std::path::{Path, PathBuf};

use mqtt_fuzz::{
    Codec, Reached, ReadOutcome, TopicOutcome, chunked, decode, properties, round_trip, seeds,
    session, topic_match,
};
use mqtt_proto::{PacketType, Version};

const TARGETS: [&str; 6] = [
    "chunked",
    "decode",
    "properties",
    "round_trip",
    "session",
    "topic_match",
];

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target)
}

fn inputs(target: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder(target)).expect("the corpus is committed");
    entries
        .map(|entry| fs::read(entry.expect("an entry").path()).expect("a readable input"))
        .collect()
}

fn replay(target: &str, run: fn(&[u8]) -> Reached) -> Reached {
    let mut reached = Reached::default();
    for input in inputs(target) {
        reached.merge(run(&input));
    }
    reached
}

fn assert_every_packet(reached: Reached) {
    for codec in Codec::ALL {
        for packet in PacketType::ALL {
            let expected = codec.may_send(*packet);
            assert_eq!(
                reached.has(codec, *packet),
                expected,
                "{packet} with {codec:?}"
            );
        }
    }
}

#[test]
fn decode_reads_every_packet_of_every_version_from_every_sender_and_no_other() {
    assert_every_packet(replay("decode", decode::run));
}

#[test]
fn chunked_reads_every_packet_of_every_version_from_every_sender_and_no_other() {
    assert_every_packet(replay("chunked", chunked::run));
}

#[test]
fn round_trip_writes_every_packet_of_every_version_from_every_sender_and_no_other() {
    assert_every_packet(replay("round_trip", round_trip::run));
}

#[test]
fn properties_are_accepted_in_every_packet_that_has_them() {
    let reached = replay("properties", properties::run);
    for codec in Codec::ALL {
        for packet in PacketType::ALL {
            let ping = matches!(packet, PacketType::PingReq | PacketType::PingResp);
            let expected = codec.version == Version::V5 && codec.may_send(*packet) && !ping;
            assert_eq!(
                reached.has(codec, *packet),
                expected,
                "{packet} with {codec:?}"
            );
        }
    }
}

#[test]
fn session_sends_and_takes_every_packet_that_its_side_may() {
    let reached = replay("session", session::run);
    for codec in Codec::ALL {
        for packet in session::packets() {
            let expected = codec.may_send(packet);
            assert_eq!(
                reached.has(codec, packet),
                expected,
                "{packet} with {codec:?}"
            );
        }
    }
}

#[test]
fn session_is_given_reads_of_every_kind() {
    let reached = replay("session", session::run);
    for outcome in ReadOutcome::ALL {
        assert!(reached.has_read(outcome), "{outcome:?}");
    }
}

#[test]
fn topic_match_comes_to_every_outcome() {
    let reached = replay("topic_match", topic_match::run);
    for outcome in TopicOutcome::ALL {
        assert!(reached.has_topic(outcome), "{outcome:?}");
    }
}

#[test]
fn the_corpus_holds_every_seed_as_the_program_writes_it() {
    for seed in seeds::all() {
        let committed = fs::read(folder(seed.target).join(&seed.name));
        assert_eq!(
            committed.ok(),
            Some(seed.bytes),
            "{}/{}",
            seed.target,
            seed.name
        );
    }
}

#[test]
fn the_corpus_stays_small() {
    let mut total = 0;
    for target in TARGETS {
        let inputs = inputs(target);
        assert!(inputs.len() <= 300, "{target} has {} inputs", inputs.len());
        total += inputs.iter().map(Vec::len).sum::<usize>();
    }
    assert!(total < 1_000_000, "{total} bytes");
}
