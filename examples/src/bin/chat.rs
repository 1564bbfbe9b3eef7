//! Terminals that talk over a topic. The nickname travels in a user property, so the payload is
//! what was typed and nothing else. A lost connection comes back by itself; what is typed
//! meanwhile is sent then.

use std::error::Error;
use std::io::BufRead;
use std::process::ExitCode;
use std::time::Duration;

use mqtt_examples::cli::{broker, nothing_left, unique_id};
use mqtt_tokio::{
    Client, ClientEvent, Config, Message, Properties, Publish, QoS, SubscribeOptions, Topic,
    TopicFilter,
};
use pico_args::Arguments;
use tokio::sync::mpsc;

const USAGE: &str = "\
Usage: chat --nick NAME [--broker URL] [--room NAME]

  --broker URL  the broker (mqtt://127.0.0.1:1883)
  --room NAME   who is in the same room hears each other (lobby)

Type a line to say it; Ctrl-D or Ctrl-C ends. The broker has to speak MQTT 5.0.
";
/// The user property with the nickname.
const NICKNAME: &str = "nickname";
const GRACE: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> ExitCode {
    mqtt_examples::cli::main(USAGE, run).await
}

async fn run(mut args: Arguments) -> Result<(), Box<dyn Error>> {
    let broker = broker(&mut args)?;
    let nick: String = args.value_from_str("--nick")?;
    let room: Option<String> = args.opt_value_from_str("--room")?;
    nothing_left(args)?;
    let topic = Topic::try_from(format!("chat/{}", room.as_deref().unwrap_or("lobby")))?;

    let config = Config::builder(unique_id("chat")).build()?;
    let client = mqtt_tokio::connect(&broker, config).await?;
    let mut events = client.events();
    // What we say ourselves is on this terminal already.
    let options = SubscribeOptions {
        qos: QoS::AtLeastOnce,
        no_local: true,
        ..SubscribeOptions::default()
    };
    let filter = TopicFilter::from_bytes(topic.bytes().clone())?;
    let mut messages = client.subscribe(filter, options).await?;
    let mut lines = lines_of_stdin();
    println!("-- you are {nick} in {topic}");
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Some(line) => say(&client, &topic, &nick, line).await?,
                None => break,
            },
            message = messages.next() => match message {
                Some(message) => print(&message),
                None => return Err(client.closed().await.into()),
            },
            Some(event) = events.next() => match event {
                ClientEvent::Lost { error, .. } => println!("-- {error}; trying again"),
                ClientEvent::Connected { .. } => println!("-- back"),
                _ => {}
            },
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    client.disconnect(GRACE).await;
    Ok(())
}

/// Waits only until there is room for the message: the delivery goes on without being awaited.
async fn say(
    client: &Client,
    topic: &Topic,
    nick: &str,
    line: String,
) -> Result<(), Box<dyn Error>> {
    let properties = Properties::builder()
        .user_property(NICKNAME, nick)
        .build()?;
    let message = Publish::new(topic.clone(), line).with_properties(properties);
    client.publish_message(QoS::AtLeastOnce, message).await?;
    Ok(())
}

fn print(message: &Message) {
    let nick = message
        .properties()
        .user_properties()
        .find(|(name, _)| *name == NICKNAME)
        .map_or("somebody", |(_, nick)| nick);
    println!("{nick}: {}", String::from_utf8_lossy(message.payload()));
}

/// Reads on a thread of its own: a read of the terminal can't be cancelled, and the runtime would
/// wait for it at the end.
fn lines_of_stdin() -> mpsc::UnboundedReceiver<String> {
    let (sender, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}
