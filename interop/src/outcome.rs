//! What a scenario came to, in view of what is declared of the broker.

use std::fmt;
use std::process::ExitCode;

use mqtt_tokio::Version;

use crate::kinds::{Gap, Whose};
use crate::site::Result;

/// What is said of one scenario in one version.
#[derive(Debug)]
pub(crate) enum Verdict {
    Ok,
    /// It failed as declared.
    Declared {
        whose: Whose,
        seen: String,
        note: &'static str,
    },
    Failed(String),
}

impl Verdict {
    /// A gap must be there, and look as it is said to.
    pub(crate) fn of(seen: Result, gap: Option<&Gap>) -> Self {
        match (seen, gap) {
            (Ok(()), None) => Self::Ok,
            (Ok(()), Some(&Gap { whose, note, .. })) if whose == Whose::FaultAtTimes => {
                let seen = "it worked this time".into();
                Self::Declared { whose, seen, note }
            }
            (Ok(()), Some(gap)) => {
                Self::Failed(format!("it works, though declared not to: {}", gap.note))
            }
            (Err(error), None) => Self::Failed(error.to_string()),
            (Err(error), Some(gap)) => {
                let seen = error.to_string();
                if seen.contains(gap.seen) {
                    let Gap { whose, note, .. } = *gap;
                    Self::Declared { whose, seen, note }
                } else {
                    Self::Failed(format!("{seen} (declared: {})", gap.seen))
                }
            }
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Declared {
                whose: Whose::NotOffered,
                ..
            } => "not offered",
            Self::Declared {
                whose: Whose::Fault,
                ..
            } => "broker's fault",
            Self::Declared {
                whose: Whose::FaultAtTimes,
                ..
            } => "broker's fault at times",
            Self::Failed(_) => "FAILED",
        })
    }
}

/// What was printed, counted.
#[derive(Debug, Default)]
pub(crate) struct Report {
    ok: u32,
    declared: u32,
    failed: u32,
}

impl Report {
    /// Prints `verdict | version | scenario | what was seen | what is known of it`.
    pub(crate) fn add(&mut self, version: Version, name: &'static str, verdict: &Verdict) {
        let (count, seen, note) = match verdict {
            Verdict::Ok => (&mut self.ok, "", ""),
            Verdict::Declared { seen, note, .. } => (&mut self.declared, seen.as_str(), *note),
            Verdict::Failed(seen) => (&mut self.failed, seen.as_str(), ""),
        };
        *count += 1;
        let seen = seen.replace('\n', " ").replace(" | ", " / ");
        println!("{verdict} | {version} | {name} | {seen} | {note}");
    }

    pub(crate) fn print_summary(&self) -> ExitCode {
        let Self {
            ok,
            declared,
            failed,
            ..
        } = self;
        println!("{ok} ok, {declared} as declared of the broker, {failed} failed");
        if *failed == 0 && *ok > 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: Gap = Gap {
        scenario: "any",
        versions: &[],
        whose: Whose::Fault,
        seen: "no answer",
        note: "it is mute",
    };

    fn said(seen: Result, gap: Option<&Gap>) -> String {
        Verdict::of(seen, gap).to_string()
    }

    #[test]
    fn what_is_declared_must_fail_as_declared() {
        assert_eq!(said(Ok(()), None), "ok");
        assert_eq!(
            said(Err("no answer within 5 s".into()), Some(&GAP)),
            "broker's fault"
        );
        assert_eq!(said(Err("another one".into()), Some(&GAP)), "FAILED");
        assert_eq!(said(Ok(()), Some(&GAP)), "FAILED");
        assert_eq!(said(Err("no answer".into()), None), "FAILED");
    }

    #[test]
    fn what_fails_at_times_may_work_but_fail_in_no_other_way() {
        let whose = Whose::FaultAtTimes;
        let gap = Gap { whose, ..GAP };
        for seen in [Ok(()), Err("no answer".into())] {
            assert_eq!(said(seen, Some(&gap)), "broker's fault at times");
        }
        assert_eq!(said(Err("another one".into()), Some(&gap)), "FAILED");
    }
}
