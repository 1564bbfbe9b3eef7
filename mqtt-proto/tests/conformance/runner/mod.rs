//! Runs trials that name the normative statements which they test.
//!
//! Three suites share it: the codec's, the session's and the tokio driver's. Each answers for the areas of the tables in
//! `docs/conformance` that it names. The trials `the table of ... is covered` fail when a statement of these areas has no trial and
//! no stated reason, or a trial names a statement that does not exist. `ci/conformance` makes `docs/conformance.md` of the trials that
//! passed: their names begin with the version and the statements.

mod cases;
mod table;

use mqtt_proto::Version;

pub(crate) use cases::Cases;

/// A specification that makes numbered statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Specification {
    V311,
    V5,
}

impl Specification {
    const fn name(self) -> &'static str {
        match self {
            Self::V311 => "3.1.1",
            Self::V5 => "5.0",
        }
    }

    const fn version(self) -> Version {
        match self {
            Self::V311 => Version::V3_1_1,
            Self::V5 => Version::V5,
        }
    }
}

/// Runs the trials as the arguments of the process ask for, and ends it.
pub(crate) fn run(areas: &'static [&'static str], cases: Cases) -> ! {
    let arguments = libtest_mimic::Arguments::from_args();
    let cases = cases.into_inner();
    let mut trials = table::coverage(areas, &cases);
    trials.extend(cases.into_iter().map(|case| {
        libtest_mimic::Trial::test(case.title(), move || {
            (case.run)();
            Ok(())
        })
    }));
    libtest_mimic::run(&arguments, trials).exit()
}
