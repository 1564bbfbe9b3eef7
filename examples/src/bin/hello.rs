//! The shortest program that is of any use: subscribes, publishes, and prints what comes.

use mqtt_tokio::{Config, QoS::AtLeastOnce};
use std::{error::Error, time::Duration};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = Config::builder("hello").build()?;
    let client = mqtt_tokio::connect("mqtt://127.0.0.1:1883", config).await?;
    let mut messages = client.subscribe("hello/#", AtLeastOnce).await?;
    client.publish("hello/me", AtLeastOnce, "hi").await?.await?;
    let message = messages.next().await.ok_or("disconnected")?;
    println!("{}: {}", message.topic(), message.payload().escape_ascii());
    drop(messages); // acknowledges what it gave last
    client.disconnect(Duration::from_secs(1)).await;
    Ok(())
}
