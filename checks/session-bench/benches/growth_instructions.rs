//! Instructions under Valgrind for what a peer can make longer at will: `cargo bench -p session-bench --bench growth_instructions`. `ci/instructions`
//! fails where ten times as much costs more than ten times as much, and a tenth of that.

use std::hint::black_box;

use gungraun::main;
use gungraun::prelude::*;
use session_bench::growth::Growing;

macro_rules! growing {
    ($($name:ident)*) => {$(
        #[library_benchmark]
        #[bench::of_1_000(args = (1_000), setup = Growing::$name)]
        #[bench::of_10_000(args = (10_000), setup = Growing::$name)]
        fn $name(mut growing: Growing) -> Growing {
            black_box(growing.arrive());
            growing
        }
    )*};
}

growing! {
    identifiers
    user_properties
    single_bytes
}

library_benchmark_group!(
    name = growth,
    benchmarks = [identifiers, user_properties, single_bytes]
);
main!(library_benchmark_groups = [growth]);
