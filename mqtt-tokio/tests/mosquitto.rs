//! Against mosquitto, a broker that nobody here wrote. Where it is not installed the tests are shown as ignored, unless
//! `MQTT_REQUIRE_ALL` is set: then that is a failure.

#[path = "mosquitto/broker.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod broker;
#[path = "mosquitto/proxy.rs"]
mod proxy;

use std::collections::BTreeSet;
use std::future::Future;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use mqtt_tokio::{
    Backoff, Client, ClientEvent, Config, ConfigBuilder, ConnectionError, Limits, Outcome, Publish,
    PublishRefused, QoS, ReasonCode, Subscription, Timeouts, Topic, Version, Will,
};

use broker::Mosquitto;
use proxy::Proxy;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const VERSIONS: [Version; 3] = [Version::V3_1, Version::V3_1_1, Version::V5];
const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let args = Arguments::from_args();
    let required = std::env::var_os("MQTT_REQUIRE_ALL").is_some();
    let missing = broker::program().is_none();
    let mut trials = Vec::new();
    for version in VERSIONS {
        for qos in QOS {
            trials.push(trial(
                format!("messages of {qos} pass both ways in {version}"),
                move || both_ways(version, qos),
            ));
        }
        trials.push(trial(
            format!("a retained message reaches a later subscriber in {version}"),
            move || retained(version),
        ));
        trials.push(trial(
            format!("the will is published when the connection is cut in {version}"),
            move || will(version),
        ));
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            trials.push(trial(
                format!("a session is resumed across cuts at {qos} in {version}"),
                move || resumed(version, qos),
            ));
        }
        trials.push(trial(
            format!("a stopped broker is noticed within the ping timeout in {version}"),
            move || stopped(version),
        ));
    }
    trials.push(trial(
        "a message above the broker's maximum packet size is refused with both sizes",
        too_large_to_send,
    ));
    trials.push(trial(
        "a message above our maximum packet size is withheld by the broker",
        too_large_to_receive,
    ));
    trials.push(trial(
        "65,535 messages are in flight at once and all are acknowledged",
        full_window,
    ));
    let name = |trial: Trial| {
        if missing && !required {
            trial.with_ignored_flag(true)
        } else {
            trial
        }
    };
    let trials: Vec<_> = trials.into_iter().map(name).collect();
    let conclusion = libtest_mimic::run(&args, trials);
    if missing && !required {
        println!(
            "not run: the tests against mosquitto, which is not installed (Debian's package `mosquitto`)"
        );
    }
    conclusion.exit();
}

fn trial<F: Future<Output = Result> + Send + 'static>(
    name: impl Into<String>,
    test: impl FnOnce() -> F + Send + 'static,
) -> Trial {
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let result =
            runtime.block_on(async { tokio::time::timeout(PATIENCE, tokio::spawn(test())).await });
        match result {
            Err(_) => Err(Failed::from(format!("not done within {PATIENCE:?}"))),
            Ok(Err(panic)) => Err(Failed::from(format!("{panic}"))),
            Ok(Ok(result)) => result.map_err(|error| Failed::from(error.to_string())),
        }
    })
}

/// Client identifiers are unique to each use: the tests run side by side, and some brokers outlive one.
fn config(id: &str, version: Version) -> ConfigBuilder {
    let backoff = Backoff {
        first: Duration::from_millis(50),
        ..Backoff::default()
    };
    Config::builder(id).version(version).backoff(backoff)
}

async fn connect(url: &str, config: ConfigBuilder) -> Result<Client> {
    Ok(mqtt_tokio::connect(url, config.build()?).await?)
}

/// Payloads that are numbers, as they were received.
async fn numbers(subscription: &mut Subscription, count: u32) -> Result<Vec<u32>> {
    let mut received = Vec::new();
    while received.len() < count as usize {
        let message = subscription.next().await.ok_or("the subscription ended")?;
        received.push(u32::from_be_bytes(message.payload().try_into()?));
    }
    Ok(received)
}

async fn both_ways(version: Version, qos: QoS) -> Result {
    let broker = Mosquitto::start("")?;
    let client = connect(&broker.url(), config("both", version)).await?;
    let mut subscription = client.subscribe("numbers/+", qos).await?;
    let mut deliveries = Vec::new();
    for n in 0..200_u32 {
        deliveries.push(
            client
                .publish("numbers/one", qos, n.to_be_bytes().to_vec())
                .await?,
        );
    }
    for delivery in deliveries {
        let expected = match qos {
            QoS::AtMostOnce => Outcome::Written,
            _ => Outcome::Acknowledged {
                reason: ReasonCode::SUCCESS,
                republished: false,
                completed: true,
            },
        };
        assert_eq!(delivery.await?, expected);
    }
    assert_eq!(
        numbers(&mut subscription, 200).await?,
        (0..200).collect::<Vec<_>>()
    );
    // Nothing comes after them.
    client
        .publish("numbers/end", qos, u32::MAX.to_be_bytes().to_vec())
        .await?;
    assert_eq!(numbers(&mut subscription, 1).await?, [u32::MAX]);
    client.disconnect(Duration::from_secs(5)).await;
    Ok(())
}

async fn retained(version: Version) -> Result {
    let broker = Mosquitto::start("")?;
    let client = connect(&broker.url(), config("retainer", version)).await?;
    let message = Publish::new(Topic::try_from("state")?, "on").with_retain(true);
    client
        .publish_message(QoS::AtLeastOnce, message)
        .await?
        .await?;
    let later = connect(&broker.url(), config("later", version)).await?;
    let mut states = later.subscribe("state", QoS::AtLeastOnce).await?;
    let message = states.next().await.ok_or("no message")?;
    assert!(message.retain());
    assert_eq!(message.payload(), b"on");
    Ok(())
}

async fn will(version: Version) -> Result {
    let broker = Mosquitto::start("")?;
    let watcher = connect(&broker.url(), config("watcher", version)).await?;
    let mut wills = watcher.subscribe("gone", QoS::AtLeastOnce).await?;
    let proxy = Proxy::start(broker.addr()).await?;
    let will = Will {
        topic: Topic::try_from("gone")?,
        payload: "good-bye".into(),
        qos: QoS::AtLeastOnce,
        retain: false,
        properties: Default::default(),
    };
    let mortal = connect(&proxy.url(), config("mortal", version).will(will)).await?;
    proxy.cut();
    let message = wills.next().await.ok_or("no will")?;
    assert_eq!(message.payload(), b"good-bye");
    // An orderly end withholds it.
    mortal.connected().await?;
    mortal.disconnect(Duration::from_secs(5)).await;
    let quiet = tokio::time::timeout(Duration::from_millis(300), wills.next()).await;
    assert!(quiet.is_err(), "the will came after an orderly disconnect");
    Ok(())
}

async fn resumed(version: Version, qos: QoS) -> Result {
    const COUNT: u32 = 600;
    let broker = Mosquitto::start("max_inflight_messages 100")?;
    let proxy = Proxy::start(broker.addr()).await?;
    // Both directions cross the cuts.
    let client = connect(&proxy.url(), config("resumed", version).clean_start(false)).await?;
    let mut subscription = client.subscribe("echo", qos).await?;
    let publisher = client.clone();
    let publishing = tokio::spawn(async move {
        let mut deliveries = Vec::new();
        let mut written = 0;
        for n in 0..COUNT {
            if n % 200 == 100 {
                // At this moment acknowledgements are missing: what is in flight is sent again.
                proxy.deafen(true);
                written = publisher.stats().bytes_written;
            }
            deliveries.push(
                publisher
                    .publish("echo", qos, n.to_be_bytes().to_vec())
                    .await?,
            );
            if n % 200 == 150 {
                // Something has left that is not acknowledged, if the window was not full before.
                while let stats = publisher.stats()
                    && stats.bytes_written == written
                    && stats.in_flight < usize::from(Limits::default().max_in_flight_v3.get())
                {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                let before = publisher.stats().connections;
                proxy.cut();
                while publisher.stats().connections == before {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
        for delivery in deliveries {
            delivery.await?;
        }
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(proxy)
    });
    let mut seen = BTreeSet::new();
    let mut repeated = 0;
    while seen.len() < COUNT as usize {
        for n in numbers(&mut subscription, 1).await? {
            repeated += u32::from(!seen.insert(n));
        }
    }
    let _proxy = publishing.await??;
    assert_eq!(seen, (0..COUNT).collect());
    let stats = client.stats();
    assert!(
        stats.connections > 3,
        "three cuts, {} connections",
        stats.connections
    );
    assert!(stats.resent > 0, "nothing was in flight at the cuts");
    if qos == QoS::ExactlyOnce {
        assert_eq!(repeated, 0, "QoS 2 messages were delivered twice");
    }
    Ok(())
}

async fn stopped(version: Version) -> Result {
    let broker = Mosquitto::start("")?;
    let mut timeouts = Timeouts::default();
    timeouts.pingresp = Duration::from_secs(1);
    timeouts.connack = Duration::from_secs(1);
    let config = config("patient", version)
        .keep_alive(Duration::from_secs(2))
        .timeouts(timeouts);
    let client = connect(&broker.url(), config).await?;
    let mut events = client.events();
    broker.pause()?;
    let stopped_at = Instant::now();
    let error = loop {
        match events.next().await {
            Some(ClientEvent::Lost { error, .. }) => break error,
            Some(_) => {}
            None => return Err("the events ended".into()),
        }
    };
    assert!(
        matches!(error, ConnectionError::NoPingResp { .. }),
        "{error}"
    );
    // A PINGREQ after at most the keep-alive, its answer within a second; and room for a loaded machine.
    let noticed = stopped_at.elapsed();
    assert!(
        noticed < Duration::from_secs(8),
        "noticed after {noticed:?}"
    );
    broker.resume()?;
    client.connected().await?;
    client
        .publish("alive", QoS::AtLeastOnce, "again")
        .await?
        .await?;
    Ok(())
}

async fn too_large_to_send() -> Result {
    let broker = Mosquitto::start("max_packet_size 500")?;
    let client = connect(&broker.url(), config("large", Version::V5)).await?;
    let error = client
        .publish("a", QoS::AtLeastOnce, vec![0; 1000])
        .await
        .expect_err("it is too large");
    let Some(PublishRefused::Encode(error)) = error.refused() else {
        return Err(format!("{error}").into());
    };
    let words = error.to_string();
    assert!(words.contains("500") && words.contains("1009"), "{words}");
    // The connection is none the worse for it.
    client
        .publish("a", QoS::AtLeastOnce, vec![0; 400])
        .await?
        .await?;
    assert_eq!(client.stats().connections, 1);
    Ok(())
}

async fn too_large_to_receive() -> Result {
    let broker = Mosquitto::start("")?;
    let mut limits = Limits::default();
    limits.max_packet_size = 500;
    let small = connect(&broker.url(), config("small", Version::V5).limits(limits)).await?;
    let mut subscription = small.subscribe("a", QoS::AtLeastOnce).await?;
    let sender = connect(&broker.url(), config("sender", Version::V5)).await?;
    sender
        .publish("a", QoS::AtLeastOnce, vec![1; 1000])
        .await?
        .await?;
    sender
        .publish("a", QoS::AtLeastOnce, vec![2; 100])
        .await?
        .await?;
    let message = subscription.next().await.ok_or("no message")?;
    assert_eq!(message.payload(), [2; 100]);
    assert_eq!(small.stats().connections, 1);
    Ok(())
}

async fn full_window() -> Result {
    const WINDOW: usize = 65_535;
    const MORE: usize = 1_000;
    let broker = Mosquitto::start("max_inflight_messages 0")?;
    let client = connect(
        &broker.url(),
        config("window", Version::V5).keep_alive(Duration::ZERO),
    )
    .await?;
    let idle = client.publish_capacity().messages;
    broker.pause()?;
    let topic = Topic::from_static("w")?;
    let mut deliveries = Vec::new();
    for n in 0..WINDOW + MORE {
        deliveries.push(
            client
                .publish(&topic, QoS::AtLeastOnce, (n as u32).to_be_bytes().to_vec())
                .await?,
        );
        if n % 1000 == 0 {
            // The driver needs its turn to move messages from the queue into flight.
            tokio::task::yield_now().await;
        }
    }
    // What does not fit into the window waits in the queue.
    let full = Instant::now();
    while idle - client.publish_capacity().messages != MORE {
        if full.elapsed() > Duration::from_secs(10) {
            return Err(format!(
                "{} wait in the queue",
                idle - client.publish_capacity().messages
            )
            .into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    broker.resume()?;
    for delivery in deliveries {
        delivery.await?;
    }
    assert_eq!(client.stats().connections, 1);
    assert_eq!(client.stats().sent, (WINDOW + MORE) as u64);
    Ok(())
}
