//! What is measured does what it should: a codec that failed or skipped something would be fast.

use codec_bench::case::{Case, TOPIC};
use codec_bench::contender::{Role, decoders, encoders};

#[test]
fn the_topic_has_24_bytes() {
    assert_eq!(TOPIC.len(), 24);
}

#[test]
fn every_decoder_finds_all_packets() {
    for case in Case::ALL {
        for decoder in decoders() {
            // The run itself checks the count.
            (decoder.run)(case, 1);
        }
    }
}

#[test]
fn every_encoder_writes_as_many_bytes_as_the_packet_has() {
    for case in Case::ALL {
        for encoder in encoders() {
            // The run itself checks the length.
            (encoder.run)(case, 1);
        }
    }
}

#[test]
fn we_are_measured_next_to_a_floor_and_at_least_three_rivals() {
    for contenders in [decoders(), encoders()] {
        let count = |role| contenders.iter().filter(|c| c.role == role).count();
        assert_eq!(count(Role::Ours), 1);
        assert!(count(Role::Floor) >= 1);
        assert!(count(Role::Rival) >= 3);
    }
}
