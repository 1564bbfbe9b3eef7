//! Publishes one message, and tells what became of it.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use mqtt_examples::cli::{Common, unique_id};
use mqtt_tokio::{Config, Publish, Topic};
use pico_args::Arguments;

const USAGE: &str = "\
Usage: publish [--broker URL] [--version 3.1|3.1.1|5.0] [--qos 0|1|2] [--retain] TOPIC PAYLOAD
";
const GRACE: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> ExitCode {
    mqtt_examples::cli::main(USAGE, run).await
}

async fn run(mut args: Arguments) -> Result<(), Box<dyn Error>> {
    let common = Common::take(&mut args)?;
    let retain = args.contains("--retain");
    let topic: String = args.free_from_str()?;
    let payload: String = args.free_from_str()?;
    mqtt_examples::cli::nothing_left(args)?;

    let config = Config::builder(unique_id("publish")).version(common.version);
    let client = mqtt_tokio::connect(&common.broker, config.build()?).await?;
    let message = Publish::new(Topic::try_from(topic)?, payload).with_retain(retain);
    let delivery = client.publish_message(common.qos, message).await?;
    println!("{:?}", delivery.await?);
    client.disconnect(GRACE).await;
    Ok(())
}
