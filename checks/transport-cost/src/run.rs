//! One run: a server and a client, each in a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::{Link, PAYLOAD, Pace, Result, Server, WARM, Who};

/// What a run has cost.
pub(crate) struct Cost {
    /// Microseconds of CPU for a message, user and system: which of the two is told apart only by ticks.
    pub(crate) micros: f64,
    /// Over what it went.
    pub(crate) protocol: String,
}

/// Publishes so many messages.
///
/// # Errors
///
/// Not all of them have arrived, or a process has failed.
pub(crate) fn publish(link: Link, who: Who, pace: Pace, count: usize) -> Result<Cost> {
    let (mut sink, server) = Process::sink(&[&format!("{link:?}")])?;
    let figures = client(who, &server, &format!("{pace:?}"), count)?;
    let seen = sink.end()?;
    let mut seen = seen.splitn(3, ' ');
    let mut number = || seen.next().unwrap_or_default().parse::<usize>();
    let (published, payload) = (number()?, number()?);
    if published != count || payload != count * PAYLOAD.len() {
        return Err(format!("void: {published} of {count} messages of {who:?} arrived").into());
    }
    let protocol = seen.next().unwrap_or_default().to_owned();
    Ok(Cost {
        micros: figures.parse::<f64>()? / count as f64,
        protocol,
    })
}

/// Bytes of resident memory for each of so many idle clients.
///
/// # Errors
///
/// Not all of them are connected in the end, or a process has failed.
pub(crate) fn idle(link: Link, who: Who, count: usize) -> Result<usize> {
    let all = WARM + count;
    let (mut sink, server) = Process::sink(&[&format!("{link:?}"), &all.to_string()])?;
    let mut client = Process::client(who, &server, "idle", count)?;
    let figures = client.line()?;
    // The client's process goes on until its server has looked at the connections.
    let there: usize = sink.end()?.parse()?;
    client.stop();
    if there != all {
        return Err(format!("void: {there} of {all} clients of {who:?} are connected").into());
    }
    Ok(figures.parse()?)
}

fn client(who: Who, server: &Server, what: &str, count: usize) -> Result<String> {
    Process::client(who, server, what, count)?.end()
}

/// A process that ends with this.
struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(args: &[&str]) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        Ok(Self { child, output })
    }

    /// A server, once it has a port.
    fn sink(args: &[&str]) -> Result<(Self, Server)> {
        let tls = args[0] == format!("{:?}", Link::Tls);
        let mut sink = Self::start(&[&["sink"], args].concat())?;
        let port = sink.line()?.parse()?;
        let mut certificate = None;
        if tls {
            let pem = certificate.insert(String::new());
            while !pem.contains("-----END") {
                *pem += &sink.line()?;
                pem.push('\n');
            }
        }
        Ok((sink, Server { port, certificate }))
    }

    fn client(who: Who, server: &Server, what: &str, count: usize) -> Result<Self> {
        let (who, port) = (format!("{who:?}"), server.port.to_string());
        let mut client = Self::start(&["client", &who, &port, what, &count.to_string()])?;
        let mut input = client.child.stdin.take().ok_or("no input")?;
        input.write_all(server.certificate.as_deref().unwrap_or("").as_bytes())?;
        Ok(client)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err("a process has ended early".into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// What it still says until it ends.
    fn end(&mut self) -> Result<String> {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest)?;
        let status = self.child.wait()?;
        if !status.success() {
            return Err(format!("a process has failed: {status}").into());
        }
        Ok(rest.trim_end().to_owned())
    }

    fn stop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}
