//! The table at the decoder, which knows nothing but bytes.
#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

use std::alloc::System;

use bytes::BytesMut;
use mqtt_hostile::{Memory, Row, Then, Told, each, rows};
use mqtt_session::proto::{DecodeError, Decoder, PacketId, Sender};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What is cut in two at every place: longer ones are not.
const SHORT: usize = 64;
/// Longer ones come in about so many pieces, and no more.
const LONG: usize = 20_000;

/// One test: memory is counted in the whole process.
#[test]
fn each_row_is_refused_taken_or_awaited_as_it_says_in_any_pieces() {
    each(&rows(), |row| {
        let bytes = row.bytes.with(Some(PacketId::MIN));
        let len = bytes.len();
        check(row, &bytes, &[&bytes]);
        check(
            row,
            &bytes,
            &bytes.chunks(1 + len / LONG).collect::<Vec<_>>(),
        );
        for cut in (1..len).filter(|_| len <= SHORT) {
            check(row, &bytes, &[&bytes[..cut], &bytes[cut..]]);
        }
    });
}

fn check(row: &Row, bytes: &[u8], pieces: &[&[u8]]) {
    let case = row.title();
    let decoder = Decoder::new(row.version, Sender::Server)
        .with_max_packet_size(row.limit.unwrap_or(1 << 20));
    let mut input = BytesMut::with_capacity(bytes.len());
    let memory = Memory::begin();
    let mut refused = None;
    for piece in pieces {
        input.extend_from_slice(piece);
        refused = decode_all(decoder, &mut input, &case);
        if refused.is_some() {
            break;
        }
    }
    let allocated = memory.allocated();
    // A list of codes is the one thing that is not read where it stands.
    let bound = 512 + 4 * bytes.len();
    assert!(
        allocated <= bound,
        "{case}: {allocated} bytes for {}",
        bytes.len()
    );
    match (&row.then, refused) {
        (Then::Ends(Told::Decode(wanted) | Told::Other(_, wanted)), Some(error)) => {
            assert_eq!(error, *wanted, "{case}");
            // It names what is wrong.
            assert!(error.to_string().len() > 10, "{case}: {error}");
        }
        (Then::Ends(Told::Decode(wanted) | Told::Other(_, wanted)), None) => {
            panic!("{case}: taken, and not {wanted}")
        }
        (Then::Waits, None) => assert_eq!(input.len(), bytes.len(), "{case}: part of it was taken"),
        (_, None) => assert!(input.is_empty(), "{case}: {} bytes are left", input.len()),
        (_, Some(error)) => panic!("{case}: {error}"),
    }
}

/// Until it fails, or has no whole packet; each call that does not takes something.
fn decode_all(decoder: Decoder, input: &mut BytesMut, case: &str) -> Option<DecodeError> {
    loop {
        let before = input.len();
        match decoder.decode(input) {
            Ok(Some(_)) => assert!(input.len() < before, "{case}: nothing was taken"),
            Ok(None) => return None,
            Err(error) => return Some(error),
        }
    }
}
