//! A few seeds, and every case that failed once.

use std::fs;
use std::path::Path;

use mqtt_simulation::{Case, explain, generate, run_seeds};

#[test]
fn nothing_goes_wrong_in_the_first_seeds() {
    let outcome = run_seeds(0..150, 2, || true);
    if let Some((seed, failure)) = outcome.failure {
        let (trace, _) = explain(&generate(seed));
        panic!("{trace}\nseed {seed}: {failure}");
    }
    let median = outcome.tally.median();
    assert!(
        median.messages >= 200 && median.connections >= 3 && median.faults >= 5,
        "{median:?}"
    );
}

#[test]
fn what_failed_once_does_not_fail_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let case: Case = fs::read_to_string(&path).unwrap().parse().unwrap();
        let (trace, result) = explain(&case);
        assert_eq!(result, Ok(()), "{trace}\n{}", path.display());
        count += 1;
    }
    assert!(count > 0, "there are no cases");
}

#[test]
fn a_case_is_the_same_after_it_was_written_and_read() {
    for seed in 0..50 {
        let case = generate(seed);
        assert_eq!(case.to_string().parse(), Ok(case), "seed {seed}");
    }
}

#[test]
fn the_same_seed_does_the_same_every_time() {
    for seed in 0..20 {
        let (first, second) = (explain(&generate(seed)).0, explain(&generate(seed)).0);
        assert_eq!(first, second, "seed {seed}");
    }
}

#[test]
fn a_text_that_is_no_case_is_refused_with_its_line() {
    let bad: Result<Case, _> = "run ms=5\nsend planet=9".parse();
    assert_eq!(bad.map_err(|bad| bad.line), Err(2));
}
