//! Many connections, of which each says CONNECT and no more.

use std::io::{self, Read, Write};
use std::sync::mpsc::Receiver;

use super::{Answers, Input, report};
use crate::Result;
use crate::case::{Row, Work};
use crate::crowd::WARM;
use crate::measure::allow_descriptors;
use crate::peer::link::{Link, Listener};

/// Where clients come and go it says when the last has come. Where they stay it looks, when it is told to, whether they are still there.
pub(super) fn run(listener: &Listener, row: Row, count: u64, told: &Receiver<()>) -> Result<()> {
    let stay = matches!(row.work, Work::Idle { .. });
    let all = count + WARM;
    if stay {
        allow_descriptors(all)?;
    }
    let mut links: Vec<Link> = Vec::new();
    let mut served = 0;
    while served < if stay { all } else { count } {
        let mut link = listener.accept()?;
        if !connect(&mut link, row)? {
            continue;
        }
        served += 1;
        if stay {
            links.push(link);
        } else {
            until_left(&mut link);
        }
    }
    if stay {
        told.recv()?;
        served = links.iter().filter(|link| is_there(link)).count() as u64;
        served = served.saturating_sub(WARM);
    }
    report(served, 0)?;
    // Goes on until it is ended.
    loop {
        std::thread::park();
    }
}

/// Whether CONNECT has come, and was answered.
fn connect(link: &mut Link, row: Row) -> Result<bool> {
    let (mut input, mut answers) = (Input::of(4096), Answers::new(row));
    while answers.bytes().is_empty() {
        if !input.read(link)? {
            return Ok(false);
        }
        input.take(|bytes| answers.take(bytes))?;
    }
    link.write_all(answers.bytes())?;
    link.flush()?;
    Ok(true)
}

/// One client comes after the other: nothing else is to be done meanwhile. Some wait until the server has closed the connection.
fn until_left(link: &mut Link) {
    let mut bytes = [0; 64];
    // DISCONNECT is enough; how a connection ends does not matter.
    while let Ok(n) = link.read(&mut bytes)
        && n > 0
        && bytes[0] >> 4 != 14
    {}
}

/// It has said nothing more, and not left.
fn is_there(link: &Link) -> bool {
    let quiet = link
        .tcp()
        .set_nonblocking(true)
        .and_then(|()| link.tcp().peek(&mut [0]));
    quiet.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}
