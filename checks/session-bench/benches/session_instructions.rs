//! Instructions under Valgrind, which do not depend on load: `cargo bench -p session-bench --bench session_instructions`.
//!
//! `of_session` is a [`Session`](mqtt_session::Session) alone, `of_client` is with the handles and a driver's turns around it. Each figure is for ten batches of [`BATCH`](session_bench::BATCH) messages of 64 B: divide it by 640. Needs `valgrind`, and `cargo install
//! gungraun-runner` in the version of the dependency.

use std::hint::black_box;

use gungraun::main;
use gungraun::prelude::*;
use mqtt_proto::QoS;
use session_bench::client::ClientBench;
use session_bench::{Bench, Moves};

const BATCHES: usize = 10;

fn warm(mut bench: Box<dyn Moves>) -> Box<dyn Moves> {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        for _ in 0..2 {
            bench.publish(qos);
            bench.receive(qos);
        }
    }
    bench
}

fn session() -> Box<dyn Moves> {
    warm(Box::new(Bench::new()))
}

fn client() -> Box<dyn Moves> {
    warm(Box::new(ClientBench::new()))
}

macro_rules! paths {
    ($($name:ident: $direction:ident $qos:ident;)*) => {$(
        #[library_benchmark]
        #[bench::of_session(args = (), setup = session)]
        #[bench::of_client(args = (), setup = client)]
        fn $name(mut bench: Box<dyn Moves>) -> Box<dyn Moves> {
            for _ in 0..BATCHES {
                black_box(bench.$direction(QoS::$qos));
            }
            bench
        }
    )*};
}

paths! {
    publish_at_most_once: publish AtMostOnce;
    publish_at_least_once: publish AtLeastOnce;
    publish_exactly_once: publish ExactlyOnce;
    receive_at_most_once: receive AtMostOnce;
    receive_at_least_once: receive AtLeastOnce;
    receive_exactly_once: receive ExactlyOnce;
}

library_benchmark_group!(
    name = messages,
    benchmarks = [
        publish_at_most_once,
        publish_at_least_once,
        publish_exactly_once,
        receive_at_most_once,
        receive_at_least_once,
        receive_exactly_once
    ]
);
main!(library_benchmark_groups = [messages]);
