//! A process of a run: what it says, line by line, and its end.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use crate::Result;

/// A process that is told to end does so within this, or is killed.
const GRACE: Duration = Duration::from_secs(2);

/// Ends with this.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    /// This program with other arguments, under another program where one is given.
    pub(crate) fn start(name: &'static str, under: &[String], args: &[&str]) -> Result<Self> {
        let this = std::env::current_exe()?;
        let mut command = match under.split_first() {
            None => Command::new(this),
            Some((program, options)) => {
                let mut command = Command::new(program);
                command.args(options).arg(this);
                command
            }
        };
        let mut child = command
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{name}: {error}"))?;
        let output = child.stdout.take().ok_or("no output")?;
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(|line| line.ok()) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { name, child, lines })
    }

    /// The numbers of the line that begins with this word; others are passed over.
    ///
    /// # Errors
    ///
    /// It does not come in time, or the process has ended.
    pub(crate) fn numbers<const N: usize>(
        &mut self,
        word: &str,
        patience: Duration,
    ) -> Result<[u64; N]> {
        loop {
            let line = self.lines.recv_timeout(patience).map_err(|error| {
                let why = match error {
                    mpsc::RecvTimeoutError::Timeout => {
                        format!("stalls: no {word:?} within {} s", patience.as_secs())
                    }
                    mpsc::RecvTimeoutError::Disconnected => format!("ended before {word:?}"),
                };
                format!("the {} {why}", self.name)
            })?;
            if let Some(why) = line.strip_prefix("failed ") {
                return Err(format!("the {} fails: {why}", self.name).into());
            }
            let mut fields = line.split_whitespace();
            if fields.next() != Some(word) {
                continue;
            }
            let numbers: Vec<u64> = fields
                .map(u64::from_str)
                .collect::<std::result::Result<_, _>>()?;
            return <[u64; N]>::try_from(numbers).map_err(|_| format!("{line:?}").into());
        }
    }

    /// Tells it to end.
    pub(crate) fn tell(&mut self) -> Result<()> {
        let input = self.child.stdin.as_mut().ok_or("no input")?;
        Ok(input.write_all(b"end\n")?)
    }

    /// Waits for its end, which is near.
    pub(crate) fn wait(mut self) -> Result<()> {
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The end of its input tells it to end, and what it has started.
        drop(self.child.stdin.take());
        let begin = Instant::now();
        while begin.elapsed() < GRACE && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(1));
        }
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
