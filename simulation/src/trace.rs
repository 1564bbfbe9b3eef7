//! What happened, as a ladder of packets with everything else in between.

use std::fmt;

use mqtt_testkit::{Broker, Time};

/// Lines of a trace, or nothing where nobody will read them.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    lines: Option<Vec<String>>,
    /// How much of the broker's log stands here already.
    logged: usize,
}

impl Trace {
    pub(crate) fn kept() -> Self {
        Self {
            lines: Some(Vec::new()),
            logged: 0,
        }
    }

    pub(crate) const fn is_kept(&self) -> bool {
        self.lines.is_some()
    }

    /// Adds what the broker has logged since, and then a line.
    pub(crate) fn add(&mut self, time: Time, broker: &Broker, line: impl FnOnce() -> String) {
        let Some(lines) = &mut self.lines else {
            return;
        };
        let log = broker.log();
        lines.extend(log[self.logged..].iter().map(ToString::to_string));
        self.logged = log.len();
        let line = line();
        if !line.is_empty() {
            lines.push(format!("{:>12.6}      {line}", time.as_secs_f64()));
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.lines.iter().flatten();
        lines.into_iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
