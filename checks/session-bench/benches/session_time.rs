//! The time of a message under Criterion: `cargo bench -p session-bench --bench session_time [-- FILTER]`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mqtt_proto::QoS;
use session_bench::{BATCH, Bench};

fn session(criterion: &mut Criterion) {
    let mut bench = Bench::new();
    let mut group = criterion.benchmark_group("session, 64 B");
    group.throughput(Throughput::Elements(BATCH as u64));
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        group.bench_function(format!("publish {qos}"), |b| b.iter(|| bench.publish(qos)));
        group.bench_function(format!("receive {qos}"), |b| b.iter(|| bench.receive(qos)));
    }
    group.finish();
}

criterion_group!(benches, session);
criterion_main!(benches);
