//! `cargo bench -p session-bench --bench router_time`: the time to match one topic of five levels.
//!
//! `one topic` matches the same topic again and again: what it needs is in the processor's nearest cache then. `many topics` goes through
//! 65,536 topics in no order: among a million filters, most of what each needs lies in the memory, and the time is that of the
//! memory.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use session_bench::routing::{Kind, router, topics};

const TOPICS: u32 = 1 << 16;

fn matching(c: &mut Criterion) {
    for kind in [Kind::Exact, Kind::Mixed] {
        for filters in [10, 10_000, 1_000_000] {
            let mut router = router(kind, filters);
            let topics = topics(TOPICS, filters);
            let mut group = c.benchmark_group(format!("{kind:?}"));
            group.throughput(Throughput::Elements(1));
            group.bench_function(BenchmarkId::new("one topic", filters), |b| {
                b.iter(|| {
                    let mut sum = 0;
                    router.matches(black_box(&topics[0]).view(), |n| sum += n);
                    sum
                });
            });
            group.bench_function(BenchmarkId::new("many topics", filters), |b| {
                let mut topics = topics.iter().cycle();
                b.iter(|| {
                    let mut sum = 0;
                    if let Some(topic) = topics.next() {
                        router.matches(topic.view(), |n| sum += n);
                    }
                    sum
                });
            });
            group.finish();
        }
    }
}

criterion_group!(benches, matching);
criterion_main!(benches);
