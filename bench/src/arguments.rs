//! The command line.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::Result;
use crate::case::{Against, Row, Work};
use crate::clients::{self, Client};
use crate::growth;
use crate::measure::last_cpu;
use crate::parts::{self, Part, What};

const USAGE: &str = "\
usage: bench [PART...] [OPTIONS]   these parts one after the other; when none is named, all that measure time
       bench plot FILE.tsv        pictures of what --save has written, beside it
       bench clients              who is measured, in which version, used how

PARTS
";

const OPTIONS: &str = "
OPTIONS
  --rows publish0,receive1-64     instead of a part's own: rows whose names begin so, or those of a part, as `growth`
  --against mosquitto             who is at the other end: stub, tls or mosquitto, which is then needed (that of the part)
  --clients floor,tokio           these clients, and in this order (those of the part: all but in `growth`)
  --runs 5                        runs of each client in each row, of which the median is shown (those of the part)
  --seconds 0.2                   how long a run shall take; the number of messages follows from a run before
  --cpu 1                         the CPU on which client and peer run (the last that may be used)
  --save FOLDER                   puts each part into the files DATE-NAME.tsv (every run) and .md (tables) there, in its place if it
                                  was there before, and draws DATE-NAME.svg, -growth.svg and, for a page, -short.svg
  --name NAME                     of the machine, for those files (its host name)
  --quick                         two runs of 0.05 s of the smaller rows: to see that everything works, not to measure";

pub(crate) fn usage() -> String {
    let mut text = USAGE.to_owned();
    for part in parts::ALL {
        let _ = writeln!(text, "  {:32}{}", part.name, part.about);
    }
    text + OPTIONS
}

/// What is measured in one part, and how.
pub(crate) struct Arguments {
    /// Its name.
    pub(crate) part: String,
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

/// What is said instead of a part's own.
#[derive(Default)]
struct Options {
    rows: Option<Vec<Row>>,
    clients: Option<Vec<&'static Client>>,
    runs: Option<usize>,
    time: Option<Duration>,
    cpu: Option<usize>,
    against: Option<Against>,
    save: Option<PathBuf>,
    name: Option<String>,
    quick: bool,
}

/// The parts that are asked for, in the order in which they are.
///
/// # Errors
///
/// What is asked for does not exist.
pub(crate) fn parse(args: &[&str]) -> Result<Vec<Arguments>> {
    let words = args.iter().take_while(|word| !word.starts_with('-'));
    let named = words
        .map(|name| parts::named(name).ok_or_else(|| format!("no part {name:?}\n{}", usage())))
        .collect::<std::result::Result<Vec<&Part>, _>>()?;
    let options = Options::parse(&args[named.len()..])?;
    let chosen = options.rows.is_some() || options.against.is_some();
    let cpu = options.cpu.map_or_else(last_cpu, Ok)?;
    if !named.is_empty() {
        let all = named.into_iter();
        return all.map(|part| options.of(part, part.name, cpu)).collect();
    }
    if chosen {
        let messages = parts::named("messages").ok_or("no messages")?;
        return Ok(vec![options.of(messages, "chosen", cpu)?]);
    }
    let all = parts::ALL.iter().filter(|part| part.what == What::Time);
    all.map(|part| options.of(part, part.name, cpu)).collect()
}

impl Options {
    fn parse(args: &[&str]) -> Result<Self> {
        let mut all = Self::default();
        let mut args = args.iter().copied();
        while let Some(option) = args.next() {
            if option == "--quick" {
                all.quick = true;
                continue;
            }
            let value = args
                .next()
                .ok_or_else(|| format!("{option} needs a value\n{}", usage()))?;
            match option {
                "--rows" => all.rows = Some(rows(value)?),
                "--clients" => {
                    let clients = value.split(',').map(clients::named);
                    all.clients = Some(clients.collect::<Result<_>>()?);
                }
                "--runs" => all.runs = Some(value.parse()?),
                "--seconds" => all.time = Some(Duration::try_from_secs_f64(value.parse()?)?),
                "--cpu" => all.cpu = Some(value.parse()?),
                "--against" => all.against = Some(value.parse()?),
                "--save" => all.save = Some(value.into()),
                "--name" => all.name = Some(value.to_owned()),
                other => return Err(format!("no option {other}\n{}", usage()).into()),
            }
        }
        if all.runs == Some(0) || all.time.is_some_and(|time| time.is_zero()) {
            return Err("at least one run, and some time for it".into());
        }
        Ok(all)
    }

    /// The part, with what is said instead.
    fn of(&self, part: &Part, name: &str, cpu: usize) -> Result<Arguments> {
        let mut rows = self.rows.clone().unwrap_or_else(part.rows);
        let (mut runs, mut time) = (part.runs, part.time);
        if self.quick {
            (runs, time) = (2, Duration::from_millis(50));
            rows.retain(|row| small(*row));
        }
        let clients = match (&self.clients, part.clients) {
            (Some(clients), _) => clients.clone(),
            (None, []) => clients::ALL.iter().collect(),
            (None, names) => {
                let names = names.iter().map(|name| clients::named(name));
                names.collect::<Result<_>>()?
            }
        };
        Ok(Arguments {
            part: name.to_owned(),
            what: part.what,
            rows,
            clients,
            runs: self.runs.unwrap_or(runs),
            time: self.time.unwrap_or(time),
            cpu,
            against: self.against.unwrap_or(part.against),
            save: self.save.clone(),
            name: self.name.clone(),
        })
    }
}

/// Takes little time.
fn small(row: Row) -> bool {
    let much = match row.work {
        Work::Queued { messages } => messages > 10_000,
        Work::Idle { clients } => clients > 1_000,
        _ => row.size > 64,
    };
    !much && row.crowd.is_none_or(|clients| clients <= 100)
}

/// A whole name, the beginning of some names of a full run, or a part whose rows they are.
fn rows(names: &str) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for name in names.split(',') {
        if let Ok(row) = name.parse() {
            rows.push(row);
            continue;
        }
        if let Some(part) = parts::named(name) {
            rows.extend((part.rows)());
            continue;
        }
        let before = rows.len();
        let all = [
            Row::messages(),
            Row::qos2(),
            Row::connections(),
            growth::rows(),
        ];
        for row in all.concat() {
            if row.to_string().starts_with(name) && !rows.contains(&row) {
                rows.push(row);
            }
        }
        if rows.len() == before {
            name.parse::<Row>()?;
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_run_in_the_order_in_which_they_are_named() {
        let names = |args: &[&str]| -> Vec<String> {
            let parts = parse(args).expect("parts");
            parts.into_iter().map(|part| part.part).collect()
        };
        assert_eq!(
            names(&["tls", "messages", "--runs", "1"]),
            ["tls", "messages"]
        );
        assert_eq!(names(&["--rows", "publish0"]), ["chosen"]);
        assert!(!names(&[]).contains(&"syscalls".to_owned()));
        assert!(parse(&["nothing"]).is_err());
        assert!(parse(&["--runs", "0"]).is_err());
        assert!(parse(&["--rows", "publish9"]).is_err());
    }

    #[test]
    fn what_is_said_takes_the_place_of_what_a_part_says() {
        let args = ["growth", "--clients", "tokio", "--seconds", "2"];
        let [part] = &parse(&args).expect("a part")[..] else {
            panic!("one part")
        };
        assert_eq!((part.clients.len(), part.runs), (1, 3));
        assert_eq!(part.time, Duration::from_secs(2));
        assert_eq!(part.rows, growth::rows());
        let rows = parse(&["--rows", "growth,idle"]).expect("rows");
        assert_eq!(rows[0].rows.len(), growth::rows().len() + 2);
    }
}
