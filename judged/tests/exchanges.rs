//! Exchanges that mosquitto's scripts of the branch `develop` have, and those of the package do not: the same over every adapter, to the last byte.
//!
//! Two of them are not here. `08-ssl-connect-san` is what every test over TLS does; the client of `01-con-discon-will-clear` takes a will back, where
//! here a configuration without one has none.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

#[path = "../../behaviour/tests/matrix/adapters/mod.rs"]
#[allow(dead_code, reason = "the matrix uses more of it")]
mod adapters;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use adapters::ADAPTERS;
use mqtt_behaviour::{Adapter, Result, Transport, block_on};
use mqtt_judged::config;
use mqtt_session::client::{Answers, Client};
use mqtt_session::proto::{Properties, Publish, QoS, Topic, Version, Will};
use mqtt_session::{Config, Credentials};

/// Each takes some milliseconds.
const LONG: Duration = Duration::from_secs(60);
const CONNACK: Step = Step::Server(b"\x20\x02\x00\x00");
const CONNACK_V5: Step = Step::Server(b"\x20\x03\x00\x00\x00");
const DISCONNECT: Step = Step::Client(b"\xE0\x00");

#[derive(Clone, Copy)]
enum Step {
    /// The client must send exactly this.
    Client(&'static [u8]),
    Server(&'static [u8]),
}

/// The server's side, and at the end the client has closed.
fn serve(listener: &TcpListener, steps: &[Step]) -> Result {
    let (mut socket, _) = listener.accept()?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(LONG))?;
    for step in steps {
        match step {
            Step::Client(bytes) => {
                let mut said = vec![0; bytes.len()];
                socket.read_exact(&mut said)?;
                if said != *bytes {
                    return Err(format!("{said:02X?} came, and not {bytes:02X?}").into());
                }
            }
            Step::Server(bytes) => socket.write_all(bytes)?,
        }
    }
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest)?;
    if rest.is_empty() {
        Ok(())
    } else {
        Err(format!("{rest:02X?} came at the end").into())
    }
}

/// Plays both sides over every adapter that opens sockets.
fn play(steps: &'static [Step], client: impl AsyncFn(&dyn Adapter, &str) -> Result) {
    for (name, make, transports) in ADAPTERS {
        if !transports.contains(&Transport::Tcp) {
            continue;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("mqtt://{}", listener.local_addr().unwrap());
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            // Nobody asks any more where the client has failed.
            let _ = tell.send(serve(&listener, steps));
        });
        let adapter = make().unwrap();
        let played = block_on(client(&*adapter, &url));
        let served = told.recv_timeout(LONG).unwrap();
        // The server's word first: it says what came.
        served
            .and(played)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

async fn connect(adapter: &dyn Adapter, url: &str, config: Config) -> Result<Client> {
    Ok(adapter.connect(url, config).await?)
}

async fn disconnect(client: Client) -> Result {
    client.disconnect(LONG).await;
    Ok(())
}

/// `01-con-discon-success-v5`
#[test]
fn a_client_of_5_0_connects_with_its_properties_and_disconnects() {
    const STEPS: &[Step] = &[
        Step::Client(
            b"\x10\x33\x00\x04MQTT\x05\x02\x00\x3C\x0E\x21\x00\x14\x26\x00\x03key\x00\x03val\x00\x1801-con-discon-success-v5",
        ),
        CONNACK_V5,
        DISCONNECT,
    ];
    play(STEPS, async |adapter, url| {
        let properties = Properties::builder().user_property("key", "val").build()?;
        let config = config("01-con-discon-success-v5", Version::V5);
        let config = config.connect_properties(properties).build()?;
        disconnect(connect(adapter, url, config).await?).await
    });
}

fn will(properties: Properties) -> Result<Will> {
    Ok(Will {
        topic: Topic::try_from("will/topic")?,
        payload: "will-payload".into(),
        qos: QoS::AtLeastOnce,
        retain: true,
        properties,
    })
}

/// `01-con-discon-will`
#[test]
fn a_client_with_a_will_disconnects_in_order() {
    const STEPS: &[Step] = &[
        Step::Client(
            b"\x10\x38\x00\x04MQTT\x04\x2E\x00\x3C\x00\x1201-con-discon-will\x00\x0Awill/topic\x00\x0Cwill-payload",
        ),
        CONNACK,
        DISCONNECT,
    ];
    play(STEPS, async |adapter, url| {
        let config = config("01-con-discon-will", Version::V3_1_1);
        let config = config.will(will(Properties::new())?).build()?;
        disconnect(connect(adapter, url, config).await?).await
    });
}

/// `01-con-discon-will-v5`
#[test]
fn a_will_of_5_0_has_properties_of_its_own() {
    const STEPS: &[Step] = &[
        Step::Client(
            b"\x10\x42\x00\x04MQTT\x05\x2E\x00\x3C\x03\x21\x00\x14\x00\x1201-con-discon-will\x05\x18\x00\x00\x00\x07\x00\x0Awill/topic\x00\x0Cwill-payload",
        ),
        CONNACK_V5,
        DISCONNECT,
    ];
    play(STEPS, async |adapter, url| {
        let properties = Properties::builder().will_delay_interval(7).build()?;
        let config = config("01-con-discon-will", Version::V5);
        let config = config.will(will(properties)?).build()?;
        disconnect(connect(adapter, url, config).await?).await
    });
}

/// `01-pre-connect-callback`
#[test]
fn credentials_may_be_given_when_it_connects() {
    const STEPS: &[Step] = &[
        Step::Client(
            b"\x10\x2C\x00\x04MQTT\x04\xC2\x00\x3C\x00\x0E01-pre-connect\x00\x05uname\x00\x09;'[08gn=#",
        ),
        CONNACK,
        DISCONNECT,
    ];
    play(STEPS, async |adapter, url| {
        let config = config("01-pre-connect", Version::V3_1_1).build()?;
        let answers = Answers::new().credentials(|_| async {
            Ok::<_, mqtt_behaviour::Failure>(Credentials::new("uname", ";'[08gn=#")?)
        });
        let client = adapter.connect_with(url, config, answers).await?;
        disconnect(client).await
    });
}

/// `02-subscribe-helper-qos2`
#[test]
fn one_message_is_waited_for() {
    const STEPS: &[Step] = &[
        Step::Client(b"\x10\x1F\x00\x04MQTT\x04\x02\x00\x3C\x00\x13subscribe-qos2-test"),
        CONNACK,
        Step::Client(b"\x82\x0E\x00\x01\x00\x09qos2/test\x02"),
        Step::Server(b"\x90\x03\x00\x01\x02"),
        Step::Server(b"\x30\x12\x00\x09qos2/testmessage"),
        DISCONNECT,
    ];
    play(STEPS, async |adapter, url| {
        let config = config("subscribe-qos2-test", Version::V3_1_1).build()?;
        let client = connect(adapter, url, config).await?;
        let mut messages = client.subscribe("qos2/test", QoS::ExactlyOnce).await?;
        let message = messages.next().await.ok_or("no message came")?;
        assert_eq!(message.payload(), b"message");
        disconnect(client).await
    });
}

/// `03-publish-loop`
#[test]
fn a_message_that_came_is_published_from_where_it_is_read() {
    const STEPS: &[Step] = &[
        Step::Client(b"\x10\x19\x00\x04MQTT\x05\x02\x00\x3C\x03\x21\x00\x14\x00\x09loop-test"),
        CONNACK_V5,
        Step::Client(b"\x82\x0F\x00\x01\x00\x00\x09loop/test\x00"),
        Step::Server(b"\x90\x04\x00\x01\x00\x00"),
        Step::Server(b"\x30\x13\x00\x09loop/test\x00message"),
        Step::Client(b"\x30\x13\x00\x09loop/test\x00message"),
        DISCONNECT,
    ];
    play(STEPS, async |adapter, url| {
        let client = connect(adapter, url, config("loop-test", Version::V5).build()?).await?;
        let mut messages = client.subscribe("loop/test", QoS::AtMostOnce).await?;
        let message = messages.next().await.ok_or("no message came")?;
        let topic = message.topic().to_topic().ok_or("no topic")?;
        let again = Publish::new(topic, message.payload_bytes());
        client
            .publish_message(QoS::AtMostOnce, again)
            .await?
            .await?;
        disconnect(client).await
    });
}
