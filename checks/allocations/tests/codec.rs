//! What the codec promises about the heap: nothing is allocated (nor given back) to decode a PUBLISH from a warm buffer, to encode
//! one into a warm [`Outbox`], or because of a length that a header claims.

use std::num::NonZeroU16;

use assert_no_alloc::{AllocDisabler, assert_no_alloc, reset_violation_count, violation_count};
use bytes::{Buf, BytesMut};
use mqtt_proto::{
    DecodeError, Decoder, Encoder, Flow, Outbox, Packet, PacketId, Properties, Publish, Sender,
    Topic, VARINT_MAX, Version,
};

#[global_allocator]
static ALLOCATOR: AllocDisabler = AllocDisabler;

/// How often `run` allocated or gave back, on this thread.
fn heap_calls<T>(run: impl FnOnce() -> T) -> (T, u32) {
    reset_violation_count();
    let value = assert_no_alloc(run);
    let calls = violation_count();
    reset_violation_count();
    (value, calls)
}

fn message(properties: bool, payload: usize) -> Publish {
    let publish = Publish::new(
        Topic::from_static("factory/line7/motor/temp").unwrap(),
        vec![b'x'; payload],
    );
    if !properties {
        return publish;
    }
    let properties = Properties::builder()
        .message_expiry_interval(60)
        .content_type("text/plain")
        .correlation_data(b"request-0001")
        .user_property("region", "eu-west")
        .user_property("trace", "4bf92f3577b34da6");
    publish.with_properties(properties.build().unwrap())
}

fn flows() -> [Flow; 3] {
    let id = PacketId::MAX;
    [
        Flow::AtMostOnce,
        Flow::AtLeastOnce { id, dup: false },
        Flow::ExactlyOnce { id, dup: true },
    ]
}

/// Packets of every QoS, one behind the other.
fn stream(version: Version, publish: &Publish) -> Vec<u8> {
    let mut outbox = Outbox::new();
    for flow in flows() {
        Encoder::new(version, Sender::Server)
            .publish(publish, flow, None, &mut outbox)
            .unwrap();
    }
    outbox.to_vec()
}

/// A read buffer that has served before, as that of a session has.
fn warm_buffer() -> BytesMut {
    let mut buffer = BytesMut::with_capacity(64 * 1024);
    buffer.extend_from_slice(&[0; 2]);
    drop(buffer.split_to(2));
    buffer
}

/// The heap calls to decode all of the stream, looking at every part of each message.
fn heap_calls_to_decode(version: Version, publish: &Publish) -> u32 {
    let mut buffer = warm_buffer();
    buffer.extend_from_slice(&stream(version, publish));
    let decoder = Decoder::new(version, Sender::Server);
    let (seen, calls) = heap_calls(|| {
        let mut seen = 0;
        while let Some(packet) = decoder.decode(&mut buffer).unwrap() {
            let Packet::Publish(view) = packet else {
                panic!("{packet:?}")
            };
            assert_eq!(view.topic(), publish.topic());
            assert_eq!(view.payload(), publish.payload());
            assert_eq!(view.payload_bytes(), publish.payload());
            assert_eq!(view.properties(), publish.properties());
            assert_eq!(
                view.properties().message_expiry_interval(),
                publish.properties().message_expiry_interval()
            );
            assert!(
                view.properties()
                    .user_properties()
                    .eq(publish.properties().user_properties())
            );
            seen += 1;
        }
        seen
    });
    assert_eq!(seen, flows().len());
    calls
}

#[test]
fn the_counter_counts() {
    let (_, calls) = heap_calls(|| drop(std::hint::black_box(vec![1_u8; 10])));
    assert_eq!(calls, 2, "one allocation, one release");
}

#[test]
fn decoding_a_publish_does_not_allocate() {
    for version in [Version::V3_1, Version::V3_1_1, Version::V5] {
        for payload in [0, 64, 16 * 1024] {
            assert_eq!(
                heap_calls_to_decode(version, &message(false, payload)),
                0,
                "{version}, {payload} bytes"
            );
        }
    }
}

#[test]
fn decoding_a_publish_with_user_properties_does_not_allocate() {
    for payload in [0, 64, 16 * 1024] {
        assert_eq!(
            heap_calls_to_decode(Version::V5, &message(true, payload)),
            0,
            "{payload} bytes"
        );
    }
}

#[test]
fn encoding_a_publish_into_a_warm_outbox_does_not_allocate() {
    let id = PacketId::MIN;
    let alias = NonZeroU16::new(7);
    for properties in [false, true] {
        for payload in [0, 64, 4095, 4096, 16 * 1024] {
            let publish = message(properties, payload);
            let encoder = Encoder::new(Version::V5, Sender::Client);
            let mut outbox = Outbox::new();
            let mut turn = || {
                for flow in flows() {
                    encoder.publish(&publish, flow, None, &mut outbox).unwrap();
                    encoder.publish(&publish, flow, alias, &mut outbox).unwrap();
                }
                encoder
                    .publish_by_alias(
                        &publish,
                        Flow::AtLeastOnce { id, dup: false },
                        alias.unwrap(),
                        &mut outbox,
                    )
                    .unwrap();
                outbox.advance(outbox.remaining());
            };
            turn();
            let ((), calls) = heap_calls(turn);
            assert_eq!(calls, 0, "properties: {properties}, {payload} bytes");
        }
    }
}

#[test]
fn a_header_that_claims_the_largest_packet_allocates_nothing() {
    for start in 0..=0xFF_u8 {
        let mut buffer = warm_buffer();
        buffer.extend_from_slice(&[start, 0xFF, 0xFF, 0xFF, 0x7F, 0, 1]);
        let capacity = buffer.capacity();
        for version in [Version::V3_1, Version::V3_1_1, Version::V5] {
            for sender in [Sender::Client, Sender::Server] {
                let decoder = Decoder::new(version, sender);
                let (decoded, calls) = heap_calls(|| decoder.decode(&mut buffer));
                assert_eq!(
                    calls, 0,
                    "first byte {start:#04x}, {version}, from the {sender}: {decoded:?}"
                );
                assert!(
                    !matches!(decoded, Ok(Some(_))),
                    "a packet out of nothing: {decoded:?}"
                );
                assert_eq!((buffer.len(), buffer.capacity()), (7, capacity));
            }
        }
    }
}

#[test]
fn a_claimed_size_above_the_maximum_is_refused_before_the_body_is_awaited() {
    let decoder = Decoder::new(Version::V5, Sender::Server).with_max_packet_size(1024 * 1024);
    let mut buffer = warm_buffer();
    buffer.extend_from_slice(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F]);
    let (decoded, calls) = heap_calls(|| decoder.decode(&mut buffer));
    assert_eq!(calls, 0);
    assert_eq!(
        decoded,
        Err(DecodeError::PacketTooLarge {
            size: VARINT_MAX + 5,
            max: 1024 * 1024
        })
    );
}
