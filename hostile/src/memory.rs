//! What is allocated, where the test program counts it.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

/// To be the global allocator of each test program here.
pub static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Counts from when it was made on, in the whole process.
#[derive(Debug)]
pub struct Memory(Region<'static, System>);

impl Memory {
    /// From now on.
    ///
    /// # Panics
    ///
    /// Where [`ALLOCATOR`] is not the allocator: then nothing would be counted.
    pub fn begin() -> Self {
        let region = Region::new(ALLOCATOR);
        drop(std::hint::black_box(Box::new(1_u8)));
        assert!(
            region.change().allocations > 0,
            "the allocator does not count"
        );
        Self(Region::new(ALLOCATOR))
    }

    /// Every byte that was allocated, given back or not.
    pub fn allocated(&self) -> usize {
        let change = self.0.change();
        change.bytes_allocated
    }

    /// The bytes that are held beyond those held at the beginning. Nothing where so much came and went that it can't be told.
    pub fn held(&self) -> Option<usize> {
        // What was allocated and what was given back are read one after the other, and other threads go on: it must be little that they did.
        (0..100).find_map(|_| {
            let (one, other) = (self.0.change(), self.0.change());
            let between = other.bytes_allocated - one.bytes_allocated;
            let held = other.bytes_allocated.saturating_sub(one.bytes_deallocated);
            (between <= MOVING).then_some(held)
        })
    }
}

/// What may be allocated while the counts are read, in bytes.
const MOVING: usize = 32 << 10;
