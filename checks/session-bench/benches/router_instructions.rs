//! Instructions under Valgrind: `cargo bench -p session-bench --bench router_instructions`. Each figure is for [`TOPICS`] topics of five levels.

use std::hint::black_box;

use gungraun::main;
use gungraun::prelude::*;
use mqtt_proto::Topic;
use mqtt_session::Router;
use session_bench::routing::{Kind, router, topics};

const TOPICS: u32 = 1000;

fn warm(kind: Kind, filters: u32) -> (Router<u32>, Vec<Topic>) {
    let mut router = router(kind, filters);
    let topics = topics(TOPICS, filters);
    // So that the scratch memory is there.
    router.matches(topics[0].view(), |_| {});
    (router, topics)
}

#[library_benchmark]
#[bench::exact_10(args = (Kind::Exact, 10), setup = warm)]
#[bench::exact_100_000(args = (Kind::Exact, 100_000), setup = warm)]
#[bench::mixed_10(args = (Kind::Mixed, 10), setup = warm)]
#[bench::mixed_100_000(args = (Kind::Mixed, 100_000), setup = warm)]
fn matching((mut router, topics): (Router<u32>, Vec<Topic>)) -> Router<u32> {
    let mut sum = 0;
    for topic in &topics {
        router.matches(black_box(topic).view(), |n| sum += n);
    }
    black_box(sum);
    router
}

library_benchmark_group!(name = routing, benchmarks = [matching]);
main!(library_benchmark_groups = [routing]);
