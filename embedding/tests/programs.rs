//! The programs as a user runs them: each against a broker of the testkit, to its end.
#![allow(clippy::unwrap_used)]

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than a program's own bound.
const BOUND: Duration = Duration::from_secs(60);

/// What the program prints. It must succeed.
fn run(program: &str, arguments: &[&str]) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Beside each other, so that neither pipe fills up.
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let read_out = thread::spawn(move || {
        let mut text = String::new();
        out.read_to_string(&mut text).map(|_| text)
    });
    let read_err = thread::spawn(move || {
        let mut text = String::new();
        err.read_to_string(&mut text).map(|_| text)
    });
    let deadline = Instant::now() + BOUND;
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if Instant::now() >= deadline => break None,
            None => thread::sleep(Duration::from_millis(10)),
        }
    };
    if status.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let (out, err) = (
        read_out.join().unwrap().unwrap(),
        read_err.join().unwrap().unwrap(),
    );
    assert!(
        status.is_some_and(|status| status.success()),
        "{status:?}\n{out}\n{err}"
    );
    out
}

#[test]
fn smoltcp_carries_a_session_over_a_connection_that_is_cut() {
    let printed = run(env!("CARGO_BIN_EXE_embed_smoltcp"), &[]);
    let last = printed.lines().last();
    assert_eq!(
        last,
        Some("20 readings acknowledged, 2 times switched"),
        "{printed}"
    );
    assert_eq!(
        printed.matches("session_present: true").count(),
        1,
        "{printed}"
    );
}
