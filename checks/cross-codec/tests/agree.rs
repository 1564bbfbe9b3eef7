//! For arbitrary packets: our bytes decode in the rival to the same fields, and the rival's bytes decode in ours.

use std::cell::Cell;

use cross_codec::model::{Kind, Packet, Sender, Version};
use cross_codec::rivals::{ProtocolCore, Rmqtt, Rumqttc};
use cross_codec::{Rival, arbitrary, ours};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// Cases for each kind of packet.
const CASES: u32 = 400;

fn agrees<R: Rival>(version: Version) {
    let kinds = R::kinds(version);
    assert!(
        kinds.len() >= 13,
        "a codec that lacks more than AUTH is no witness: {kinds:?}"
    );
    let failures: Vec<_> = kinds
        .into_iter()
        .filter_map(|kind| failure::<R>(version, kind))
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn failure<R: Rival>(version: Version, kind: Kind) -> Option<String> {
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let changed = Cell::new(0);
    let packets = arbitrary::packet(version, vec![kind]).prop_map(|(sender, original)| {
        let mut packet = original.clone();
        R::gaps(version, &mut packet);
        changed.set(changed.get() + u32::from(packet != original));
        (sender, packet)
    });
    let outcome = TestRunner::new(config).run(&packets, |(sender, packet)| {
        both_ways::<R>(version, sender, &packet)
    });
    println!(
        "{kind:?} of {version:?}: {CASES} packets, {} of them changed because of a gap",
        changed.get()
    );
    outcome
        .err()
        .map(|error| format!("{kind:?} of {version:?}: {error}"))
}

fn both_ways<R: Rival>(
    version: Version,
    sender: Sender,
    packet: &Packet,
) -> Result<(), TestCaseError> {
    let bytes = ours::encode(version, sender, packet);
    let decoded = R::decode(version, &bytes);
    prop_assert_eq!(
        decoded.as_ref().map_err(String::as_str),
        Ok(packet),
        "they decode our bytes {:02x?}",
        bytes
    );
    let bytes = R::encode(version, packet);
    let decoded = ours::decode(version, sender, &bytes);
    prop_assert_eq!(
        decoded.as_ref().map_err(String::as_str),
        Ok(packet),
        "we decode their bytes {:02x?}",
        bytes
    );
    Ok(())
}

#[test]
fn rumqttc_and_we_agree_on_every_packet_of_3_1_1() {
    agrees::<Rumqttc>(Version::V3_1_1);
}

#[test]
fn rumqttc_and_we_agree_on_every_packet_of_5_0_but_auth() {
    agrees::<Rumqttc>(Version::V5);
}

#[test]
fn rmqtt_codec_and_we_agree_on_every_packet_of_3_1_1() {
    agrees::<Rmqtt>(Version::V3_1_1);
}

#[test]
fn rmqtt_codec_and_we_agree_on_every_packet_of_5_0() {
    agrees::<Rmqtt>(Version::V5);
}

#[test]
fn mqtt_protocol_core_and_we_agree_on_every_packet_of_3_1_1() {
    agrees::<ProtocolCore>(Version::V3_1_1);
}

#[test]
fn mqtt_protocol_core_and_we_agree_on_every_packet_of_5_0() {
    agrees::<ProtocolCore>(Version::V5);
}

#[test]
fn at_least_two_others_decode_and_encode_every_packet() {
    for version in [Version::V3_1_1, Version::V5] {
        for kind in Kind::ALL
            .into_iter()
            .filter(|kind| version == Version::V5 || *kind != Kind::Auth)
        {
            let witnesses = [
                Rumqttc::kinds(version),
                Rmqtt::kinds(version),
                ProtocolCore::kinds(version),
            ];
            let count = witnesses
                .iter()
                .filter(|kinds| kinds.contains(&kind))
                .count();
            assert!(count >= 2, "{kind:?} of {version:?} has {count}");
        }
    }
}
