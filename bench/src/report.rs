//! The table, and the files.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::Result;
use crate::arguments::Arguments;
use crate::case::{Against, Row, Work};
use crate::clients::{self, Client, Role};
use crate::counted::Counts;
use crate::parts::What;
use crate::rounds::Figures;
use crate::run::Outcome;
use crate::saved::{self, FOR_PEOPLE, FOR_PROGRAMS, HEAD};
use crate::{growth, plot};

/// Prints as it goes, and keeps what is to be saved.
pub(crate) struct Report {
    part: String,
    /// The files, without their endings.
    save: Option<PathBuf>,
    markdown: String,
    runs: String,
}

/// Median, lowest and highest.
pub(crate) struct Spread {
    median: f64,
    lowest: f64,
    highest: f64,
}

impl Spread {
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let middle = figures.len() / 2;
        let upper = *figures.get(middle)?;
        Some(Self {
            median: match figures.len() % 2 {
                0 => (figures[middle - 1] + upper) / 2.0,
                _ => upper,
            },
            lowest: *figures.first()?,
            highest: *figures.last()?,
        })
    }
}

impl Spread {
    #[cfg(feature = "protocol-core")]
    pub(crate) fn show(&self, digits: usize) -> String {
        let Self {
            median,
            lowest,
            highest,
        } = self;
        format!("{median:.digits$} ({lowest:.digits$} to {highest:.digits$})")
    }
}

impl Report {
    /// # Errors
    ///
    /// The folder for the files does not exist.
    pub(crate) fn begin(arguments: &Arguments) -> Result<Self> {
        let mut save = None;
        if let Some(folder) = &arguments.save {
            fs::create_dir_all(folder)?;
            let name = arguments.name.clone().unwrap_or_else(machine_name);
            save = Some(folder.join(format!("{}-{name}", date())));
        }
        println!("{FOR_PEOPLE}{}\n", arguments.part);
        let mut report = Self {
            part: arguments.part.clone(),
            save,
            markdown: String::new(),
            runs: String::new(),
        };
        let how = match arguments.what {
            What::Time => format!(
                "{} runs of about {} s for each client, in turns; medians (lowest to highest)",
                arguments.runs,
                arguments.time.as_secs_f64()
            ),
            What::Syscalls => {
                "System calls of the client's process, counted by strace: two runs, the difference divided by the messages that the second has more".to_owned()
            }
            What::Instructions => {
                "Instructions of the client's process in user space, counted by callgrind in the same way".to_owned()
            }
            What::Allocations => {
                "Heap allocations of the client's process, counted by memcheck in the same way".to_owned()
            }
            What::Session => "Both in one process".to_owned(),
        };
        let about = format!(
            "{}, {}; load before {}.\nClient and {} on CPU {}, a process each. {how}.\n",
            processor(),
            env!("BENCH_RUSTC"),
            load(),
            match arguments.against {
                Against::Stub => "peer",
                Against::Tls => "peer over TLS 1.3",
                Against::Mosquitto => "mosquitto, and what watches or feeds it,",
            },
            arguments.cpu,
        );
        report.say(&format!("\n{about}"));
        for line in about.lines() {
            let _ = writeln!(report.runs, "# {line}");
        }
        report.runs += match arguments.what {
            What::Time => HEAD,
            _ => "row\tclient\ta_message\twrites\treads\tvoid\n",
        };
        Ok(report)
    }

    pub(crate) fn say(&mut self, text: &str) {
        println!("{text}");
        self.markdown += text;
        self.markdown.push('\n');
    }

    /// One row of what is measured is one table, with a line for each client.
    pub(crate) fn row(&mut self, row: Row, all: &[Figures]) {
        self.keep(row, all);
        let floor = all.iter().find(|one| one.client.role == Role::Floor);
        let ours = all.iter().find(|one| one.client.role == Role::Ours);
        let mut table = format!("### {}\n\n", row.title());
        table += match row.work {
            Work::Latency => {
                "| client | p50 µs | p99 µs | ours is faster by (p50) | client CPU ns |\n|---|---|---|---|---|\n"
            }
            Work::Idle { .. } => {
                "| client | bytes a client | | ours holds less by | CPU to connect, ns |\n|---|---|---|---|---|\n"
            }
            Work::Connect => {
                "| client | connections/s | of the floor | ours is faster by | client CPU ns |\n|---|---|---|---|---|\n"
            }
            _ => {
                "| client | messages/s | of the floor | ours is faster by | client CPU ns |\n|---|---|---|---|---|\n"
            }
        };
        for one in all {
            let name = one.client.name;
            if one.outcomes.is_empty() {
                let why = one.void.as_deref().unwrap_or("no run");
                let _ = writeln!(table, "| {name} | {why} | | | |");
                continue;
            }
            let ratio = ours.and_then(|ours| {
                ratios(ours, one, |ours, other| {
                    speed(row, ours) / speed(row, other)
                })
            });
            let ratio = ratio.map_or_else(String::new, |ratio| {
                format!(
                    "{:.2} ({:.2} to {:.2})",
                    ratio.median, ratio.lowest, ratio.highest
                )
            });
            let share =
                floor.and_then(|floor| ratios(one, floor, |one, floor| one.rate() / floor.rate()));
            let share = share.map_or_else(String::new, |share| format!("{:.3}", share.median));
            let cpu = Spread::of(one.outcomes.iter().map(Outcome::cpu_each));
            let cpu = cpu.map_or(0.0, |cpu| cpu.median);
            let mut note = String::new();
            if let Some(void) = &one.void {
                note = format!(" ({} of the runs; {void})", one.outcomes.len());
            }
            let (first, second) = match row.work {
                Work::Latency => (
                    latency(one, |latency| latency.p50),
                    latency(one, |latency| latency.p99),
                ),
                Work::Idle { .. } => (memory(one), String::new()),
                _ => (rate(one), share),
            };
            let _ = writeln!(
                table,
                "| {name}{note} | {first} | {second} | {ratio} | {cpu:.0} |"
            );
        }
        self.say(&table);
    }

    /// The same for what was counted. Prints a line as soon as it is there: counting takes long.
    pub(crate) fn counts(
        &mut self,
        what: What,
        row: Row,
        all: impl Iterator<Item = (&'static Client, Result<Counts>)>,
    ) {
        let head = match what {
            What::Syscalls => {
                "| client | system calls a message | writes | reads |\n|---|---|---|---|"
            }
            What::Instructions => "| client | instructions a message |\n|---|---|",
            What::Allocations => "| client | allocations a message |\n|---|---|",
            What::Time | What::Session => "",
        };
        self.say(&format!("### {}\n\n{head}", row.title()));
        for (client, counts) in all {
            let name = client.name;
            let line = match (&counts, what) {
                (Err(why), _) => format!("| {name} | {why} | |"),
                (Ok(counts), What::Syscalls) => format!(
                    "| {name} | {:.4} | {:.4} | {:.4} |",
                    counts.all, counts.writes, counts.reads
                ),
                (Ok(counts), What::Instructions) => format!("| {name} | {:.0} |", counts.all),
                (Ok(counts), _) => format!("| {name} | {:.3} |", counts.all),
            };
            self.say(&line);
            let _ = match counts {
                Ok(counts) => writeln!(
                    self.runs,
                    "{row}\t{name}\t{:.4}\t{:.4}\t{:.4}\t",
                    counts.all, counts.writes, counts.reads
                ),
                Err(why) => writeln!(self.runs, "{row}\t{name}\t\t\t\t{why}"),
            };
        }
        self.say("");
    }

    fn keep(&mut self, row: Row, all: &[Figures]) {
        for one in all {
            let name = one.client.name;
            for (run, outcome) in one.outcomes.iter().enumerate() {
                let (p50, p99) = outcome.latency.map_or_else(Default::default, |latency| {
                    (latency.p50.to_string(), latency.p99.to_string())
                });
                let bytes = outcome.memory.map(|bytes| format!("{bytes:.0}"));
                let bytes = bytes.unwrap_or_default();
                let _ = writeln!(
                    self.runs,
                    "{row}\t{name}\t{run}\t{}\t{:.6}\t{}\t{}\t{p50}\t{p99}\t{bytes}\t",
                    outcome.messages,
                    outcome.took.as_secs_f64(),
                    outcome.cpu.user,
                    outcome.cpu.system,
                );
            }
            if let Some(void) = &one.void {
                let _ = writeln!(self.runs, "{row}\t{name}\t\t\t\t\t\t\t\t\t{void}");
            }
        }
    }

    /// Says what has grown, if anything has, and saves all.
    pub(crate) fn end(mut self) -> Result<()> {
        if matches!(self.part.as_str(), "growth" | "chosen") {
            let grown = growth::tables(&saved::read(&self.runs)?);
            self.say(&grown);
        }
        let after = format!("Load after {}.\n", load());
        self.say(&after);
        let Some(save) = &self.save else {
            return Ok(());
        };
        let file = |ending| {
            let mut path = save.clone().into_os_string();
            path.push(ending);
            PathBuf::from(path)
        };
        let mut about = String::from("\n");
        for client in clients::ALL {
            let _ = writeln!(about, "- {}: {}", client.name, client.about);
        }
        saved::put(&file(".md"), FOR_PEOPLE, "clients", &(about + "\n"))?;
        saved::put(&file(".md"), FOR_PEOPLE, &self.part, &self.markdown)?;
        saved::put(&file(".tsv"), FOR_PROGRAMS, &self.part, &self.runs)?;
        println!("saved: {}.md and .tsv, part {}", save.display(), self.part);
        plot::run(&file(".tsv"))
    }
}

/// What is better when it is more.
fn speed(row: Row, outcome: &Outcome) -> f64 {
    match (row.work, outcome.latency, outcome.memory) {
        (Work::Latency, Some(latency), _) => 1e9 / latency.p50.max(1) as f64,
        (Work::Idle { .. }, _, Some(bytes)) => 1e9 / bytes.max(1.0),
        _ => outcome.rate(),
    }
}

/// Those of runs that were made in the same round.
fn ratios(
    one: &Figures,
    other: &Figures,
    of: impl Fn(&Outcome, &Outcome) -> f64,
) -> Option<Spread> {
    let pairs = one.outcomes.iter().zip(&other.outcomes);
    Spread::of(pairs.map(|(one, other)| of(one, other)))
}

fn rate(one: &Figures) -> String {
    let rate = Spread::of(one.outcomes.iter().map(Outcome::rate));
    rate.map_or_else(String::new, |rate| {
        format!(
            "{} ({} to {})",
            thousands(rate.median),
            thousands(rate.lowest),
            thousands(rate.highest)
        )
    })
}

fn memory(one: &Figures) -> String {
    let bytes = one.outcomes.iter().filter_map(|outcome| outcome.memory);
    Spread::of(bytes).map_or_else(String::new, |bytes| {
        format!(
            "{:.0} ({:.0} to {:.0})",
            bytes.median, bytes.lowest, bytes.highest
        )
    })
}

fn latency(one: &Figures, of: impl Fn(crate::run::Latency) -> u64) -> String {
    let nanos = one.outcomes.iter().filter_map(|outcome| outcome.latency);
    let spread = Spread::of(nanos.map(|latency| of(latency) as f64 / 1000.0));
    spread.map_or_else(String::new, |spread| {
        format!(
            "{:.1} ({:.1} to {:.1})",
            spread.median, spread.lowest, spread.highest
        )
    })
}

/// 1,234,567 as 1.235M, 12,345 as 12.3k.
fn thousands(figure: f64) -> String {
    match figure {
        figure if figure >= 1e7 => format!("{:.1}M", figure / 1e6),
        figure if figure >= 1e6 => format!("{:.2}M", figure / 1e6),
        figure if figure >= 1e5 => format!("{:.0}k", figure / 1e3),
        figure if figure >= 1e4 => format!("{:.1}k", figure / 1e3),
        figure => format!("{figure:.0}"),
    }
}

fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace()
        .take(3)
        .collect::<Vec<_>>()
        .join(" ")
}

fn processor() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut names = cpus.lines().filter(|line| line.starts_with("model name"));
    let name = names
        .next()
        .and_then(|line| line.split_once(": "))
        .map_or("an unknown processor", |(_, name)| name);
    format!("{} × {name}", 1 + names.count())
}

fn machine_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "unknown".to_owned(),
        name => name.to_owned(),
    }
}

/// Today, by the calendar of UTC.
fn date() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let days = since.map_or(0, |since| since.as_secs() / 86_400);
    let (year, month, day) = civil(days);
    format!("{year}-{month:02}-{day:02}")
}

/// Year, month and day of so many days after 1970-01-01, counted in eras of 400 years that begin in March.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(19_782), (2024, 2, 29));
        assert_eq!(civil(19_783), (2024, 3, 1));
        assert_eq!(civil(20_453), (2025, 12, 31));
    }

    #[test]
    fn a_median_is_in_the_middle() {
        let spread = Spread::of([3.0, 1.0, 2.0, 9.0, 8.0]).expect("some");
        assert_eq!(
            (spread.median, spread.lowest, spread.highest),
            (3.0, 1.0, 9.0)
        );
        let even = Spread::of([1.0, 4.0, 2.0, 9.0]).expect("some");
        assert_eq!(even.median, 3.0);
        assert!(Spread::of([]).is_none());
    }
}
