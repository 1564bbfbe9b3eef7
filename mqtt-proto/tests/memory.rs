//! What an outbox holds in memory, by an allocator that counts.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::alloc::System;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};
use mqtt_proto::{Encoder, Flow, Outbox, Publish, Sender, Topic, Version};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// All tests of this file count with the one allocator: one at a time. What runs them uses it, too, and takes a little at any time.
static ALONE: Mutex<()> = Mutex::new(());

fn one_at_a_time() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn held(region: &Region<'_, System>) -> isize {
    let change = region.change();
    change.bytes_allocated as isize - change.bytes_deallocated as isize
}

fn publish(out: &mut Outbox, payload: &Bytes) {
    let publish = Publish::new(Topic::from_static("t").unwrap(), payload.clone());
    Encoder::new(Version::V3_1_1, Sender::Client)
        .publish(&publish, Flow::AtMostOnce, None, out)
        .unwrap();
}

#[test]
fn an_outbox_that_never_drains_fully_gives_back_what_was_taken() {
    let _alone = one_at_a_time();
    let (copied, chained) = (Bytes::from(vec![1; 4_000]), Bytes::from(vec![2; 5_000]));
    let region = Region::new(ALLOCATOR);
    let mut out = Outbox::new();
    publish(&mut out, &copied);
    for round in 0..400 {
        publish(&mut out, if round % 10 == 0 { &chained } else { &copied });
        out.advance(out.len() - 3_000);
        // 64 KiB are taken before it is worth a copy, and a buffer grows by doubling.
        assert!(
            held(&region) < 200_000,
            "{} bytes in round {round}",
            held(&region)
        );
    }
    assert_eq!(out.len(), 3_000);
}

#[test]
fn an_outbox_that_is_drained_begins_anew_in_the_same_memory() {
    let _alone = one_at_a_time();
    let payload = Bytes::from(vec![1; 4_000]);
    let mut out = Outbox::new();
    publish(&mut out, &payload);
    out.advance(out.len());
    let region = Region::new(ALLOCATOR);
    const ROUNDS: usize = 10_000;
    for _ in 0..ROUNDS {
        publish(&mut out, &payload);
        out.advance(out.len());
    }
    let change = region.change();
    let taken = change.allocations + change.reallocations;
    assert!(taken < ROUNDS / 100, "{taken} allocations");
}

#[test]
fn what_waits_is_not_moved_while_more_of_it_waits_than_was_taken() {
    let _alone = one_at_a_time();
    let payload = Bytes::from(vec![1; 4_000]);
    let mut out = Outbox::new();
    for _ in 0..60 {
        publish(&mut out, &payload);
    }
    // 240 kB: after the first 100 kB more waits than was taken.
    let at = out.chunk().as_ptr().addr();
    out.advance(100_000);
    assert_eq!(
        out.chunk().as_ptr().addr(),
        at + 100_000,
        "it stays where it is"
    );
    out.advance(60_000);
    assert_eq!(out.chunk().as_ptr().addr(), at, "it has moved to the front");

    let mut small = Outbox::new();
    for _ in 0..15 {
        publish(&mut small, &payload);
    }
    let at = small.chunk().as_ptr().addr();
    small.advance(50_000);
    assert_eq!(
        small.chunk().as_ptr().addr(),
        at + 50_000,
        "too little to move"
    );
}

#[test]
fn an_outbox_shrinks_to_what_it_is_told_to_keep() {
    let _alone = one_at_a_time();
    let payloads = vec![Bytes::from(vec![1; 5_000]); 1_000];
    let region = Region::new(ALLOCATOR);
    let mut out = Outbox::new();
    for payload in &payloads {
        publish(&mut out, payload);
    }
    out.clear();
    assert!(held(&region) > 30_000, "it keeps {} bytes", held(&region));
    out.shrink_to(4_096);
    // The copied bytes and the list of the chained ones, each.
    let kept = held(&region);
    assert!((4_096..12_000).contains(&kept), "it keeps {kept} bytes");
    out.shrink_to(0);
    assert!(held(&region) < 2_000, "it keeps {} bytes", held(&region));
}

#[test]
fn what_is_pushed_is_copied_below_a_page_and_shared_from_there_on() {
    let _alone = one_at_a_time();
    for (len, shared) in [(4_095, false), (4_096, true), (4_097, true)] {
        let bytes = Bytes::from(vec![7; len]);
        let mut out = Outbox::new();
        out.push(bytes.clone());
        assert_eq!(out.to_vec(), bytes);
        assert_eq!(
            out.chunk().as_ptr() == bytes.as_ptr(),
            shared,
            "{len} bytes"
        );

        let mut out = Outbox::new();
        publish(&mut out, &bytes);
        // Behind the header: its type, three bytes of length, the topic.
        out.advance(1 + 2 + 3);
        assert_eq!(out.chunk(), bytes);
        assert_eq!(
            out.chunk().as_ptr() == bytes.as_ptr(),
            shared,
            "{len} bytes"
        );
    }
}
