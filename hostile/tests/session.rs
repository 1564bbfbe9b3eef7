//! The table at a session.

use std::alloc::System;

use mqtt_hostile::{each, rows, run_session};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One test: memory is counted in the whole process.
#[test]
fn each_row_ends_stays_or_waits_as_it_says_and_the_next_connection_is_clean() {
    each(&rows(), run_session);
}
