//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use crate::Result;
use crate::case::{Against, Row};
use crate::clients::{self, Client};
use crate::measure::last_cpu;

pub(crate) const USAGE: &str = "\
usage: bench [WHAT] [OPTIONS]
       bench session              a session without sockets, next to mqtt-protocol-core; instructions need valgrind
       bench plot FILE.tsv        a picture of what --save has written, beside it
       bench clients              who is measured, in which version, used how

WHAT
  (nothing)                       messages a second, CPU time and latency, in one table for each row
  syscalls                        system calls a message; needs strace
  instructions                    instructions a message in user space; needs valgrind
  allocations                     heap allocations a message; needs valgrind

OPTIONS
  --rows publish0,receive1-64     rows whose names begin so (those of messages); `connections` are connect-0 and idle-...-0,
                                  `flat` is how cost grows with messages in flight and queued, and with their size
  --against mosquitto             who is at the other end: stub, tls or mosquitto, which is then needed (stub)
  --clients floor,tokio           these clients, and in this order (all)
  --runs 5                        runs of each client in each row, of which the median is shown
  --seconds 0.3                   how long a run shall take; the number of messages follows from a run before
  --cpu 1                         the CPU on which client and peer run (the last that may be used)
  --save FOLDER                   writes every run and the table there, as DATE-NAME.tsv and .md
  --name NAME                     of the machine, for those files (its host name)
  --quick                         two runs of 0.05 s, 64 B alone: to see that everything works, not to measure";

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Time,
    Syscalls,
    Instructions,
    Allocations,
}

pub(crate) struct Arguments {
    pub(crate) what: What,
    pub(crate) rows: Vec<Row>,
    pub(crate) clients: Vec<&'static Client>,
    pub(crate) runs: usize,
    pub(crate) time: Duration,
    pub(crate) cpu: usize,
    pub(crate) against: Against,
    pub(crate) save: Option<PathBuf>,
    pub(crate) name: Option<String>,
}

impl Arguments {
    /// # Errors
    ///
    /// What is asked for does not exist.
    pub(crate) fn parse(args: &[&str]) -> Result<Self> {
        let mut args = args.iter().copied().peekable();
        let what = match args.peek() {
            Some(&"syscalls") => What::Syscalls,
            Some(&"instructions") => What::Instructions,
            Some(&"allocations") => What::Allocations,
            _ => What::Time,
        };
        if what != What::Time {
            args.next();
        }
        let mut all = Self {
            what,
            rows: Row::all(),
            clients: clients::ALL.iter().collect(),
            runs: 5,
            time: Duration::from_millis(300),
            cpu: last_cpu()?,
            against: Against::Stub,
            save: None,
            name: None,
        };
        while let Some(option) = args.next() {
            if option == "--quick" {
                (all.runs, all.time) = (2, Duration::from_millis(50));
                all.rows.retain(|row| row.size == 64);
                continue;
            }
            let value = args
                .next()
                .ok_or_else(|| format!("{option} needs a value\n{USAGE}"))?;
            match option {
                "--rows" => all.rows = rows(value)?,
                "--clients" => {
                    all.clients = value
                        .split(',')
                        .map(clients::named)
                        .collect::<Result<_>>()?;
                }
                "--runs" => all.runs = value.parse()?,
                "--seconds" => all.time = Duration::try_from_secs_f64(value.parse()?)?,
                "--cpu" => all.cpu = value.parse()?,
                "--against" => all.against = value.parse()?,
                "--save" => all.save = Some(value.into()),
                "--name" => all.name = Some(value.to_owned()),
                other => return Err(format!("no option {other}\n{USAGE}").into()),
            }
        }
        if all.runs == 0 || all.time.is_zero() {
            return Err("at least one run, and some time for it".into());
        }
        Ok(all)
    }
}

/// A whole name, or the beginning of some of those of a full run.
fn rows(names: &str) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for name in names.split(',') {
        if let Ok(row) = name.parse() {
            rows.push(row);
            continue;
        }
        let before = rows.len();
        match name {
            "connections" => rows.extend(Row::connections()),
            "flat" => rows.extend(Row::flat()),
            _ => {}
        }
        rows.extend(
            Row::all()
                .into_iter()
                .filter(|row| row.to_string().starts_with(name)),
        );
        if rows.len() == before {
            name.parse::<Row>()?;
        }
    }
    Ok(rows)
}
