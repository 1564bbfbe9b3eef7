//! A session without sockets, next to `mqtt-protocol-core`: batches of 64 messages of 64 B in 5.0, each brought to its end, the bytes of the
//! server encoded before. Times in turns within one process, which depend on the load, and instructions, which do not.

mod protocol_core;

use std::process::Command;
use std::time::{Duration, Instant};

use mqtt_proto::QoS;
use session_bench::{BATCH, Bench, Moves};

use crate::Result;
use crate::counted::instructions;
use crate::measure::{last_cpu, pin};
use crate::report::Spread;
use crate::scratch::Scratch;
use protocol_core::ProtocolCore;

const ROUNDS: usize = 31;
/// One contender in one round.
const TURN: Duration = Duration::from_millis(2);
const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// In the order of the table.
const CONTENDERS: [&str; 2] = ["ours", "mqtt-protocol-core"];

fn contender(name: &str) -> Result<Box<dyn Moves>> {
    match name {
        "ours" => Ok(Box::new(Bench::new())),
        "mqtt-protocol-core" => Ok(Box::new(ProtocolCore::new())),
        other => Err(format!("no session {other:?}").into()),
    }
}

/// The table, line by line.
pub(crate) fn table(mut say: impl FnMut(&str)) -> Result<()> {
    pin(last_cpu()?)?;
    say(&format!(
        "{ROUNDS} rounds in turns; medians (lowest to highest)\n"
    ));
    say(&format!(
        "| message of 64 B | {} ns | {} ns | ours needs less by | instructions |\n|---|---|---|---|---|",
        CONTENDERS[0], CONTENDERS[1]
    ));
    for what in ["publish", "receive"] {
        for qos in QOS {
            say(&row(what, qos)?);
        }
    }
    say("");
    Ok(())
}

fn row(what: &str, qos: QoS) -> Result<String> {
    let mut times: [Vec<f64>; 2] = Default::default();
    let mut all = [contender(CONTENDERS[0])?, contender(CONTENDERS[1])?];
    // The first round warms up.
    for round in 0..=ROUNDS {
        for (one, times) in all.iter_mut().zip(&mut times) {
            let (begin, mut messages) = (Instant::now(), 0);
            while begin.elapsed() < TURN {
                messages += batch(one.as_mut(), what, qos)?;
            }
            if round > 0 {
                times.push(begin.elapsed().as_nanos() as f64 / messages as f64);
            }
        }
    }
    let [ours, other] = &times;
    let ratio = Spread::of(ours.iter().zip(other).map(|(ours, other)| other / ours));
    let spread = |times: &[f64]| Spread::of(times.iter().copied()).map(|spread| spread.show(0));
    let counted = match (
        count(CONTENDERS[0], what, qos),
        count(CONTENDERS[1], what, qos),
    ) {
        (Ok(ours), Ok(other)) => format!("{ours:.0} and {other:.0}: {:.2}", other / ours),
        (Err(why), _) | (_, Err(why)) => format!("not counted: {why}"),
    };
    Ok(format!(
        "| {what} QoS {} | {} | {} | {} | {counted} |",
        qos.as_u8(),
        spread(ours).ok_or("no times")?,
        spread(other).ok_or("no times")?,
        ratio.ok_or("no times")?.show(2),
    ))
}

/// One batch; that all of it came to its end is checked each time.
fn batch(one: &mut dyn Moves, what: &str, qos: QoS) -> Result<usize> {
    let moved = match what {
        "publish" => one.publish(qos),
        _ => one.receive(qos),
    };
    if moved != BATCH {
        return Err(format!("void: {moved} of {BATCH} messages").into());
    }
    Ok(moved)
}

/// So many batches, for who counts.
pub(crate) fn batches(name: &str, what: &str, qos: u8, batches: usize) -> Result<()> {
    let qos = *QOS.get(usize::from(qos)).ok_or("no QoS")?;
    let mut one = contender(name)?;
    for _ in 0..batches {
        batch(one.as_mut(), what, qos)?;
    }
    Ok(())
}

/// Instructions for a message: two runs under callgrind, the difference divided by the messages that the second has more.
fn count(name: &str, what: &str, qos: QoS) -> Result<f64> {
    let (few, many) = (20, 120);
    let mut totals = [0; 2];
    for (total, batches) in totals.iter_mut().zip([few, many]) {
        let file = Scratch::new("session");
        let status = Command::new("valgrind")
            .arg("--tool=callgrind")
            .arg("--log-file=/dev/null")
            .arg(format!("--callgrind-out-file={}", file.path().display()))
            .arg(std::env::current_exe()?)
            .args(["session-batches", name, what])
            .args([qos.as_u8().to_string(), batches.to_string()])
            .status()
            .map_err(|error| format!("valgrind: {error}"))?;
        let text = std::fs::read_to_string(file.path())?;
        *total = instructions(&text)
            .filter(|_| status.success())
            .ok_or("no total")?;
    }
    Ok((totals[1] - totals[0]) as f64 / ((many - few) * BATCH) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_comes_to_its_end() {
        for name in CONTENDERS {
            for what in ["publish", "receive"] {
                for qos in 0..3 {
                    batches(name, what, qos, 3).expect(name);
                }
            }
        }
        assert!(batches("nobody", "publish", 0, 1).is_err());
    }
}
