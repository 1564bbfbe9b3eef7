//! Sends messages of every QoS, in MQTT 3.1.1 and 5.0, through a broker and back; cuts the link
//! while they are in flight; and counts what became of each.

mod cut;
mod lane;
mod link;
mod options;
mod pair;
mod run;

use std::error::Error;
use std::process::ExitCode;

use mqtt_examples::embedded_broker::EmbeddedBroker;
use mqtt_examples::report::{broken_promises, table};
use mqtt_tokio::Version;

use crate::options::{Options, USAGE};
use crate::pair::Plan;

const TEN_LINES: &str = include_str!("../hello.rs");

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::from_env() {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprint!("demo: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match demo(&options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every promise was kept.
async fn demo(options: &Options) -> Result<bool, Box<dyn Error>> {
    let embedded = match options.broker {
        None => Some(EmbeddedBroker::start().await?),
        Some(_) => None,
    };
    let url = match (&options.broker, &embedded) {
        (Some(url), _) => url.clone(),
        (None, Some(broker)) => broker.url(),
        (None, None) => unreachable!("one of them was chosen above"),
    };
    match embedded {
        Some(_) => println!("A broker runs in this process (crate mqtt5): {url}"),
        None => println!("Using the broker at {url}."),
    }

    let (mut rows, mut broken) = (Vec::new(), Vec::new());
    for (version, name) in [(Version::V3_1_1, "3.1.1"), (Version::V5, "5.0")] {
        let plan = Plan {
            version,
            target: target(&url)?,
            generous: embedded.is_some(),
        };
        let result = run::run(&plan, name, options.messages).await?;
        rows.extend(result.rows);
        let failures = result.failures.iter();
        broken.extend(failures.map(|failure| format!("MQTT {name}: {failure}")));
        // A broker of the user's own may allow fewer in flight; ours does not.
        if embedded.is_some() && result.at_cut.is_some_and(|cut| !cut.is_enough()) {
            broken.push(format!("MQTT {name}: too few were in flight at the cut"));
        }
    }
    broken.extend(broken_promises(&rows));

    println!("\n{}", table(&rows));
    match broken.as_slice() {
        [] => println!("Nothing of QoS 1 or 2 was lost, and nothing of QoS 2 came twice."),
        broken => broken.iter().for_each(|line| println!("BROKEN: {line}")),
    }
    println!("The cut counts in the latencies, not in messages/s.\n");
    println!(
        "Ten lines to copy (examples/src/bin/hello.rs):\n\n{}",
        code()
    );

    if let Some(broker) = embedded {
        if options.serve {
            serve(&url).await?;
        }
        broker.stop().await?;
    }
    Ok(broken.is_empty())
}

/// Where the proxies connect: `host:port` of the URL.
fn target(url: &str) -> Result<String, String> {
    let authority = url
        .strip_prefix("mqtt://")
        .ok_or_else(|| format!("{url}: the demo reads along, so it needs a URL with mqtt://"))?
        .trim_end_matches('/');
    // The colons of an IPv6 address stand in brackets.
    let after_host = authority.rsplit(']').next().unwrap_or(authority);
    Ok(match after_host.contains(':') {
        true => authority.to_owned(),
        false => format!("{authority}:1883"),
    })
}

/// The example without its own documentation.
fn code() -> &'static str {
    TEN_LINES
        .find("use ")
        .map_or(TEN_LINES, |start| &TEN_LINES[start..])
}

async fn serve(url: &str) -> std::io::Result<()> {
    println!("The broker goes on until Ctrl-C. In two other terminals:\n");
    for nick in ["ann", "ben"] {
        println!(
            "    cargo run --release -p mqtt-examples --bin chat -- --broker {url} --nick {nick}"
        );
    }
    tokio::signal::ctrl_c().await
}

#[cfg(test)]
mod tests {
    use super::target;

    #[test]
    fn the_target_is_host_and_port_of_the_url() {
        assert_eq!(target("mqtt://h").unwrap(), "h:1883");
        assert_eq!(target("mqtt://h:1/").unwrap(), "h:1");
        assert_eq!(target("mqtt://[::1]").unwrap(), "[::1]:1883");
        assert_eq!(target("mqtt://[::1]:2").unwrap(), "[::1]:2");
        assert!(target("mqtts://h").is_err());
    }
}
