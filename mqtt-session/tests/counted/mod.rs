//! An allocator that counts what the whole process holds.
#![allow(unreachable_pub, reason = "it is a part of each program that counts")]

use std::alloc::System;
use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
pub static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

static ALONE: Mutex<()> = Mutex::new(());

thread_local! {
    static MINE: Cell<Option<MutexGuard<'static, ()>>> = const { Cell::new(None) };
}

/// All tests of a program count with the one allocator: one at a time, until its thread ends. What tells the result of a test allocates, too.
pub fn one_at_a_time() {
    // They may all run on one thread.
    drop(MINE.take());
    MINE.set(Some(ALONE.lock().unwrap_or_else(PoisonError::into_inner)));
}

/// The bytes that are held since `region` began.
pub fn held(region: &Region<'_, System>) -> usize {
    let change = region.change();
    change
        .bytes_allocated
        .saturating_sub(change.bytes_deallocated)
}
