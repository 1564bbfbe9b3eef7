//! `docs/hostile-peers.md`: made of what is run.

use std::fmt::Write;

use mqtt_session::proto::{PacketId, Version};

use crate::cover::{ELSEWHERE, ENTRIES, Level, WITHOUT};
use crate::row::{Before, Row, Then, Told};
use crate::{About, rows, scenes};

const LEVELS: [Level; 3] = [Level::Decoder, Level::Session, Level::Adapters];

const HEAD: &str = "# Hostile peers

Made by `HOSTILE_WRITE=1 cargo test -p mqtt-hostile --test page`; do not edit. The same test fails when this page is out of date, and when an entry
has neither a test nor a stated reason at a level.

Inputs that broke other clients, gathered from their issue threads and advisories, and what comes of them here, at three levels. The *decoder* gets bytes. A
*session* gets them without a socket: in one piece, byte by byte, and cut in two at every place. *Adapters*: a peer sends them over a socket
to `mqtt-tokio` on both of its runtimes, to `mqtt-async-std` on smol, async-std and an executor of one's own, and to `mqtt-blocking`. Each time it is
asserted which error is told, in its kind, its words and whose fault it is; which bytes the peer gets; that what is allocated stays in proportion to what was
sent, whatever was announced; and that the next connection works both ways, with a strict broker that accuses a client of anything that is left over. To run
all of it: `cargo test -p mqtt-hostile`.

*Ends 0x81* means that the connection is ended from here: in 5.0 with a DISCONNECT of that reason, in 3.x without a word, so that the will is
published. *Waits* means that the rest is awaited, for which the peer has the usual time.

";

const TAIL: &str = "## What is left out

- No test here measures time. That what a packet costs grows no faster than it does is counted in instructions, by `ci/instructions`: subscription
  identifiers, user properties, and a packet that comes byte by byte, a thousand and ten thousand of each.
- With keep-alive off (0) a peer that sends a byte now and then, and never the end of its packet, is not found out: what is asked then is only
  whether anything comes (`Timeouts::liveness`). With keep-alive on it is, one interval after its PINGRESP was due.
- Rows are run over TCP. Over the layers the bytes of MQTT are the same, which `behaviour` shows for each of them.
- Descriptors and threads are counted where `/proc` tells, which is on Linux. Tasks are counted where the
  runtime tells, which is on tokio: elsewhere one that was left would hold memory, which is.
";

/// The page.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    table(&mut page);
    section(&mut page, "Slow peers", About::Slow, SLOW);
    section(&mut page, "Bounds", About::Bounds, BOUNDS);
    for (entry, title) in (1..).zip(ENTRIES) {
        write(&mut page, format_args!("## {entry}. {title}\n\n"));
        inputs(&mut page, entry);
        let scenes = scenes();
        let own = scenes
            .iter()
            .filter(|scene| scene.about() == About::Entry(entry));
        for scene in own {
            write(&mut page, format_args!("- adapters: {}\n", scene.name()));
        }
        for other in ELSEWHERE.iter().filter(|other| other.entry == entry) {
            for name in other.names {
                let (level, file) = (word(other.level), other.file);
                let name = name.replace('_', " ");
                write(&mut page, format_args!("- {level}: {name} (`{file}`)\n"));
            }
        }
        for (_, level, reason) in WITHOUT.iter().filter(|(of, ..)| *of == entry) {
            write(&mut page, format_args!("- {}: *{reason}*\n", word(*level)));
        }
        page.push('\n');
    }
    page + TAIL
}

const SLOW: &str = "Each is borne, or ends within its own timeout, on every adapter.";
const BOUNDS: &str = "Peers that send as fast as they can for a moment (`HOSTILE_SECONDS`, 0.1): memory, by an allocator that counts, \
stays within the inbox (1 MiB here), the largest packet (128 KiB, twice), the outbox (64 KiB, twice), some reads and a quarter of a MiB. What comes at QoS 1 \
and 2 is taken in the end: what nobody takes, or claims, fills the inbox over many lost sessions, and then no further connection is made. A hundred \
connections (`HOSTILE_CONNECTIONS`) come and go and leave nothing. `ci/deep` runs both for longer.";

fn write(page: &mut String, arguments: std::fmt::Arguments<'_>) {
    page.write_fmt(arguments).expect("memory takes everything");
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Decoder => "decoder",
        Level::Session => "session",
        Level::Adapters => "adapters",
    }
}

/// How much there is of an entry at a level; nothing where there is neither a test nor a reason.
pub fn covered(entry: u8, level: Level) -> Option<String> {
    let inputs = rows().iter().filter(|row| row.entry == entry).count();
    let own = scenes();
    let own = own
        .iter()
        .filter(|scene| scene.about() == About::Entry(entry));
    let own = if level == Level::Adapters {
        own.count()
    } else {
        0
    };
    let elsewhere = ELSEWHERE
        .iter()
        .filter(|other| other.entry == entry && other.level == level)
        .map(|other| other.names.len());
    let tests = own + elsewhere.sum::<usize>();
    let reason = WITHOUT
        .iter()
        .find(|(of, at, _)| (*of, *at) == (entry, level));
    match (inputs, tests, reason) {
        (0, 0, None) => None,
        (0, 0, Some((.., reason))) => Some(format!("*{reason}*")),
        (inputs, 0, _) => Some(format!("{inputs} inputs")),
        (0, 1, _) => Some("1 test".into()),
        (0, tests, _) => Some(format!("{tests} tests")),
        (inputs, 1, _) => Some(format!("{inputs} inputs, 1 test")),
        (inputs, tests, _) => Some(format!("{inputs} inputs, {tests} tests")),
    }
}

fn table(page: &mut String) {
    page.push_str("| | entry | decoder | session | adapters |\n|---|---|---|---|---|\n");
    for (entry, title) in (1..).zip(ENTRIES) {
        let cells =
            LEVELS.map(|level| covered(entry, level).unwrap_or_else(|| "**nothing**".into()));
        write(
            page,
            format_args!("| {entry} | {title} | {} |\n", cells.join(" | ")),
        );
    }
    page.push('\n');
}

fn section(page: &mut String, title: &str, about: About, words: &str) {
    write(page, format_args!("## {title}\n\n{words}\n\n"));
    for scene in scenes().iter().filter(|scene| scene.about() == about) {
        write(page, format_args!("- {}\n", scene.name()));
    }
    page.push('\n');
}

/// Those that differ in nothing but the version stand in one line.
fn inputs(page: &mut String, entry: u8) {
    let mut lines: Vec<([String; 3], Vec<Version>)> = Vec::new();
    for row in rows().iter().filter(|row| row.entry == entry) {
        let line = [row.name.clone(), before(row.before).into(), outcome(row)];
        match lines.iter_mut().find(|(other, _)| *other == line) {
            Some((_, versions)) => versions.push(row.version),
            None => lines.push((line, vec![row.version])),
        }
    }
    if lines.is_empty() {
        return;
    }
    page.push_str("| the server sends | while | in | outcome |\n|---|---|---|---|\n");
    for ([name, before, outcome], versions) in lines {
        let versions = match versions.len() {
            3 => "all".into(),
            _ => versions.iter().map(number).collect::<Vec<_>>().join(", "),
        };
        let name = name.replace('|', "\\|");
        write(
            page,
            format_args!("| {name} | {before} | {versions} | {outcome} |\n"),
        );
    }
    page.push('\n');
}

fn number(version: &Version) -> String {
    let text = version.to_string();
    text.strip_prefix("MQTT ").map_or(text.clone(), Into::into)
}

fn before(before: Before) -> &'static str {
    match before {
        Before::Connecting => "CONNECT is not answered",
        Before::Connected => "nothing is under way",
        Before::Subscribing => "SUBSCRIBE to two filters is not answered",
        Before::Unsubscribing => "UNSUBSCRIBE of two filters is not answered",
        Before::Publishing(qos) if qos.as_u8() == 1 => "a PUBLISH of QoS 1 is not answered",
        Before::Publishing(_) => "a PUBLISH of QoS 2 is not answered",
        Before::Released => "a PUBREL is not answered",
    }
}

fn outcome(row: &Row) -> String {
    match &row.then {
        Then::Ends(Told::Decode(error)) => {
            // The version may be in the words.
            let words = error
                .to_string()
                .replace(&row.version.to_string(), "this version");
            format!("ends 0x{:02X}: {words}", error.reason().0)
        }
        Then::Ends(Told::Other(protocol, _)) => format!("ends silently: it speaks {protocol}"),
        Then::Ends(Told::Violation(violation)) => {
            let violation = violation(PacketId::MIN);
            let words = violation
                .to_string()
                .replace("identifier 1,", "identifier,");
            format!("ends 0x{:02X}: {words}", violation.reason().0)
        }
        Then::Ends(Told::Disconnected(reason)) => {
            format!("ends silently: it disconnected, {reason}")
        }
        Then::Ends(Told::Refused(reason)) => format!("ends silently: it refused, {reason}"),
        Then::Stays { answers, publishes } => {
            let answered = match answers.len() {
                0 => "nothing is answered",
                _ => "answered as the specification says",
            };
            match publishes {
                0 => format!("stays, {answered}"),
                _ => format!("stays, taken, {answered}"),
            }
        }
        Then::Waits => "waits".into(),
    }
}
