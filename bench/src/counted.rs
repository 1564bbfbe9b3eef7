//! What does not depend on the load of the machine: system calls, instructions and allocations for a message. A client is run twice by a
//! program that counts for the whole process, with so many messages and with more, and what the second run has more is divided by the
//! messages that it has more: so starting, connecting and ending do not count.

use std::fs;
use std::time::Duration;

use crate::Result;
use crate::arguments::Arguments;
use crate::case::{Row, Work};
use crate::clients::Client;
use crate::parts::What;
use crate::run::{Plan, run};
use crate::scratch::Scratch;

/// Counting programs make a client up to a hundred times slower.
const PATIENCE: Duration = Duration::from_secs(300);

/// Counts of one client for one message.
pub(crate) struct Counts {
    /// All.
    pub(crate) all: f64,
    /// Of system calls: those that write to a socket or a file, and those that read.
    pub(crate) writes: f64,
    pub(crate) reads: f64,
}

/// # Errors
///
/// A run is void, or the program that counts has failed.
pub(crate) fn count(arguments: &Arguments, row: Row, client: &'static Client) -> Result<Counts> {
    let (few, many) = messages(row);
    let before = once(arguments, row, client, few)?;
    let after = once(arguments, row, client, many)?;
    let each = |before: u64, after: u64| (after as f64 - before as f64) / (many - few) as f64;
    Ok(Counts {
        all: each(before.all, after.all),
        writes: each(before.writes, after.writes),
        reads: each(before.reads, after.reads),
    })
}

/// In the first run and in the second. What is kept for messages in flight has grown as far as it does in the first.
fn messages(row: Row) -> (u64, u64) {
    match row.work {
        Work::Publish1 { window } | Work::Publish2 { window } if window > 10_000 => {
            (2 * window as u64, 4 * window as u64)
        }
        Work::Latency | Work::Connect => (500, 1_500),
        _ => {
            let few = row.shares(20_000);
            (few, 3 * few)
        }
    }
}

#[derive(Default)]
struct Total {
    all: u64,
    writes: u64,
    reads: u64,
}

fn once(arguments: &Arguments, row: Row, client: &'static Client, count: u64) -> Result<Total> {
    let file = Scratch::new("count");
    let path = file.path().display();
    let under: Vec<String> = match arguments.what {
        What::Syscalls => format!("strace -f -c -o {path}"),
        What::Instructions => {
            format!("valgrind --tool=callgrind --callgrind-out-file={path} --log-file=/dev/null")
        }
        What::Allocations => {
            format!(
                "valgrind --tool=memcheck --leak-check=no --undef-value-errors=no --log-file={path}"
            )
        }
        What::Time | What::Session => return Err("time is not counted".into()),
    }
    .split(' ')
    .map(str::to_owned)
    .collect();
    run(&Plan {
        client,
        row,
        count,
        cpu: arguments.cpu,
        against: arguments.against,
        under: &under,
        patience: PATIENCE,
    })?;
    let text = fs::read_to_string(file.path())?;
    let total = match arguments.what {
        What::Syscalls => syscalls(&text),
        What::Instructions => single(instructions(&text)),
        What::Allocations => single(allocations(&text)),
        What::Time | What::Session => None,
    };
    total.ok_or_else(|| format!("{} says no total", under[0]).into())
}

fn single(all: Option<u64>) -> Option<Total> {
    Some(Total {
        all: all?,
        ..Total::default()
    })
}

/// A line of `strace -c` has the number of calls in its fourth column, and the name in its last.
fn syscalls(text: &str) -> Option<Total> {
    let mut total = Total::default();
    let mut complete = false;
    for line in text.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (Some(calls), Some(name)) = (
            fields.get(3).and_then(|calls| calls.parse::<u64>().ok()),
            fields.last(),
        ) else {
            continue;
        };
        match *name {
            "total" => {
                total.all = calls;
                complete = true;
            }
            "write" | "writev" | "sendto" | "sendmsg" => total.writes += calls,
            "read" | "readv" | "recvfrom" | "recvmsg" => total.reads += calls,
            _ => {}
        }
    }
    complete.then_some(total)
}

/// `summary: 123` or `totals: 123` of callgrind's file.
pub(crate) fn instructions(text: &str) -> Option<u64> {
    let total = |line: &str| {
        let line = line
            .strip_prefix("totals: ")
            .or_else(|| line.strip_prefix("summary: "));
        line?.trim().parse().ok()
    };
    text.lines().rev().find_map(total)
}

/// `==1== total heap usage: 1,234 allocs, ...` of memcheck. Growing an allocation counts as one.
fn allocations(text: &str) -> Option<u64> {
    let (_, after) = text.split_once("total heap usage: ")?;
    let (number, _) = after.split_once(" allocs")?;
    number.replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_found() {
        let table = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 50.00    0.000010           2         5           write
 25.00    0.000005           1         4         1 recvfrom
 25.00    0.000005           1         3           futex
------ ----------- ----------- --------- --------- ----------------
100.00    0.000020           1        12         1 total
";
        let total = syscalls(table).expect("a total");
        assert_eq!((total.all, total.writes, total.reads), (12, 5, 4));
        assert!(syscalls("strace: nothing").is_none());
        assert_eq!(instructions("fn=main\n1 2\ntotals: 77\n"), Some(77));
        let log = "==1== HEAP SUMMARY:\n==1==   total heap usage: 1,234 allocs, 9 frees, 8 bytes allocated\n";
        assert_eq!(allocations(log), Some(1234));
    }
}
