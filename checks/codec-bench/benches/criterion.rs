//! Every codec under Criterion: `cargo bench -p codec-bench --bench criterion [-- FILTER]`.

use std::time::Duration;

use codec_bench::case::Case;
use codec_bench::contender::{Contender, decoders, encoders};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

fn decode(criterion: &mut Criterion) {
    all(criterion, "decode", &decoders());
}

fn encode(criterion: &mut Criterion) {
    all(criterion, "encode", &encoders());
}

/// Times are those of one packet.
fn all(criterion: &mut Criterion, what: &str, contenders: &[Contender]) {
    for case in Case::ALL {
        let mut group = criterion.benchmark_group(format!("{what} {}", case.name()));
        group
            .sample_size(20)
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_secs(1));
        for contender in contenders {
            group.bench_function(BenchmarkId::from_parameter(contender.name), |b| {
                b.iter_custom(|packets| (contender.run)(case, packets));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
