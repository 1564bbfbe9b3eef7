//! Publishes each line of standard input, and prints what comes back: threads, timeouts and iterators in one program.
//!
//!     cargo run --release -p mqtt-blocking --example pipe -- mqtt://localhost out/topic in/filter
//!
//! A lost connection comes back by itself; what is typed meanwhile is sent then. The program ends with its input, when the server has
//! acknowledged the last line, or after ten seconds in which it has not.

use std::error::Error;
use std::io::BufRead;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use mqtt_blocking::{ClientEvent, Config, QoS, Topic, connect};

const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, topic, filter] = args.as_slice() else {
        eprintln!("usage: pipe URL TOPIC FILTER");
        return ExitCode::from(2);
    };
    match run(url, topic, filter) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pipe: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(url: &str, topic: &str, filter: &str) -> Result<(), Box<dyn Error>> {
    let topic = Topic::try_from(topic)?;
    // No identifier: the server gives one.
    let client = connect(url, Config::builder("").build()?)?;

    let messages = client.subscribe_timeout(filter, QoS::AtLeastOnce, PATIENCE)?;
    let printing = thread::spawn(move || {
        // Until the session is closed.
        for message in messages {
            let text = String::from_utf8_lossy(message.payload());
            println!("{}: {text}", message.topic());
        }
    });
    let events = client.events();
    thread::spawn(move || {
        for event in events {
            match event {
                ClientEvent::Lost { error, .. } => eprintln!("-- {error}; trying again"),
                ClientEvent::Connected { .. } => eprintln!("-- back"),
                _ => {}
            }
        }
    });

    for line in std::io::stdin().lock().lines() {
        // Waits only where the queue is full: then the input has to. What becomes of each is seen from the counts at the end.
        client.publish(topic.clone(), QoS::AtLeastOnce, line?)?;
    }
    client.disconnect(PATIENCE);
    if printing.join().is_err() {
        return Err("the thread that prints has panicked".into());
    }
    let stats = client.stats();
    match stats.accepted - stats.acknowledged {
        0 => Ok(()),
        lost => Err(format!("{lost} lines were not acknowledged").into()),
    }
}
