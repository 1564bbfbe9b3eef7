//! Progress on one line, which is drawn over itself on a terminal. Elsewhere (a file, a CI log)
//! a line is printed now and then.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::table::thousands;

const BAR_WIDTH: usize = 30;
const REDRAW: Duration = Duration::from_millis(100);
const PRINT: Duration = Duration::from_secs(2);

/// A progress line for one piece of work, on standard error.
#[derive(Debug)]
pub struct Progress {
    label: String,
    total: u64,
    terminal: bool,
    /// When something was shown last, and how much was done then.
    shown: Option<(Instant, u64)>,
}

impl Progress {
    /// Work of `total` steps, told about as `label`.
    #[must_use]
    pub fn new(label: impl Into<String>, total: u64) -> Self {
        Self {
            label: label.into(),
            total,
            terminal: io::stderr().is_terminal(),
            shown: None,
        }
    }

    /// Shows that `done` steps are done, unless something was shown a moment ago.
    pub fn update(&mut self, done: u64) {
        let pause = if self.terminal { REDRAW } else { PRINT };
        let is_due = |(at, shown): (Instant, u64)| shown != done && at.elapsed() >= pause;
        if self.shown.is_none_or(is_due) {
            self.show(done, "");
        }
    }

    /// Leaves a message in the output, above the bar.
    pub fn note(&mut self, message: &str) {
        let clear = if self.terminal { "\r\x1b[K" } else { "" };
        write(&format!("{clear}{}: {message}\n", self.label));
        self.shown = None;
    }

    /// Shows the last state for good.
    pub fn finish(mut self, done: u64) {
        self.show(done, "\n");
    }

    fn show(&mut self, done: u64, terminal_end: &str) {
        let line = line(&self.label, done, self.total);
        match self.terminal {
            true => write(&format!("\r{line}\x1b[K{terminal_end}")),
            false => write(&format!("{line}\n")),
        }
        self.shown = Some((Instant::now(), done));
    }
}

/// Progress is a courtesy: where it can't be shown, the work goes on.
fn write(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr
        .write_all(text.as_bytes())
        .and_then(|()| stderr.flush());
}

fn line(label: &str, done: u64, total: u64) -> String {
    let share = if total == 0 {
        1.0
    } else {
        done.min(total) as f64 / total as f64
    };
    let filled = (share * BAR_WIDTH as f64) as usize;
    let bar = "#".repeat(filled) + &"-".repeat(BAR_WIDTH - filled);
    let percent = (share * 100.0) as u64;
    format!(
        "{label} [{bar}] {percent:>3} %  {} of {}",
        thousands(done),
        thousands(total)
    )
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn the_bar_fills_with_the_work() {
        assert_eq!(
            line("MQTT 5.0", 0, 4_000),
            "MQTT 5.0 [------------------------------]   0 %  0 of 4,000"
        );
        assert_eq!(
            line("MQTT 5.0", 2_000, 4_000),
            "MQTT 5.0 [###############---------------]  50 %  2,000 of 4,000"
        );
        assert_eq!(
            line("MQTT 5.0", 4_000, 4_000),
            "MQTT 5.0 [##############################] 100 %  4,000 of 4,000"
        );
    }

    #[test]
    fn more_than_all_or_nothing_to_do_is_a_full_bar() {
        assert!(line("x", 5, 4).contains("100 %"));
        assert!(line("x", 0, 0).contains("100 %"));
    }
}
