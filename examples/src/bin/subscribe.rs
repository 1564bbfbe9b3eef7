//! Prints the messages of a topic filter, until Ctrl-C.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use mqtt_examples::cli::{Common, unique_id};
use mqtt_tokio::Config;
use pico_args::Arguments;

const USAGE: &str = "\
Usage: subscribe [--broker URL] [--version 3.1|3.1.1|5.0] [--qos 0|1|2] FILTER
";
const GRACE: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> ExitCode {
    mqtt_examples::cli::main(USAGE, run).await
}

async fn run(mut args: Arguments) -> Result<(), Box<dyn Error>> {
    let common = Common::take(&mut args)?;
    let filter: String = args.free_from_str()?;
    mqtt_examples::cli::nothing_left(args)?;

    let config = Config::builder(unique_id("subscribe")).version(common.version);
    let client = mqtt_tokio::connect(&common.broker, config.build()?).await?;
    let mut messages = client.subscribe(filter.as_str(), common.qos).await?;
    loop {
        tokio::select! {
            message = messages.next() => {
                let Some(message) = message else {
                    return Err(client.closed().await.into());
                };
                let retained = if message.retain() { " (retained)" } else { "" };
                let text = String::from_utf8_lossy(message.payload());
                println!("{} [{}]{retained} {text}", message.topic(), message.qos());
            }
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    client.disconnect(GRACE).await;
    Ok(())
}
