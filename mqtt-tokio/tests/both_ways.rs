//! Much in both directions at the same time, and what a program may do with the handles.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod server;

use std::time::Duration;

use mqtt_tokio::{Acker, Client, Delivery, Driver, Events, Message, QoS, Subscription};
use server::{Result, Server, VERSIONS, config, soon};

#[test]
fn handles_may_be_sent_to_other_threads_and_shared() {
    fn send<T: Send + 'static>() {}
    fn sync<T: Sync>() {}
    send::<(
        Client,
        Delivery,
        Driver,
        Events,
        Subscription,
        Message,
        Acker,
    )>();
    sync::<(Client, Delivery, Events, Subscription, Message, Acker)>();
    fn futures(client: &Client, subscription: &mut Subscription) -> impl Send {
        (
            client.publish("a", QoS::AtMostOnce, ""),
            client.subscribe("a", QoS::AtMostOnce),
            client.disconnect(Duration::ZERO),
            subscription.next(),
            mqtt_tokio::connect("", config("client").build().unwrap()),
        )
    }
    let _ = futures;
}

async fn echo(worker_threads: usize) -> Result {
    const MESSAGES: u32 = 5000;
    for version in VERSIONS {
        let server = Server::start().await?;
        let client =
            mqtt_tokio::connect(&server.url, config("client").version(version).build()?).await?;
        let mut tasks = Vec::new();
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let topic = format!("echo/{}", qos.as_u8());
            let mut messages = soon(client.subscribe(&*topic, qos)).await?;
            let publisher = client.clone();
            tasks.push(tokio::spawn(async move {
                for n in 0..MESSAGES {
                    publisher
                        .publish(&*topic, qos, n.to_string())
                        .await
                        .unwrap();
                }
            }));
            tasks.push(tokio::spawn(async move {
                for n in 0..MESSAGES {
                    let message = messages.next().await.unwrap();
                    assert_eq!(message.payload(), n.to_string().as_bytes(), "{qos}");
                }
            }));
        }
        for task in tasks {
            soon(task).await?;
        }
        soon(client.disconnect(Duration::from_secs(5))).await;
        assert_eq!(
            client.stats().dropped,
            0,
            "with {worker_threads} worker threads"
        );
        server.assert_no_violations();
    }
    Ok(())
}

#[tokio::test]
async fn nothing_starves_on_one_thread() -> Result {
    echo(0).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_starves_on_many_threads() -> Result {
    echo(4).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn connections_that_are_cut_again_and_again_lose_nothing_above_qos_0() -> Result {
    const MESSAGES: u32 = 3000;
    for version in VERSIONS {
        let server = Server::start().await?;
        let config = config("client")
            .version(version)
            .clean_start(false)
            .build()?;
        let client = mqtt_tokio::connect(&server.url, config).await?;
        let mut messages = soon(client.subscribe("echo", QoS::ExactlyOnce)).await?;
        let publisher = tokio::spawn({
            let client = client.clone();
            async move {
                for n in 0..MESSAGES {
                    client
                        .publish("echo", QoS::ExactlyOnce, n.to_string())
                        .await
                        .unwrap();
                    if n % 50 == 0 {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
            }
        });
        for n in 0..MESSAGES {
            if n % 500 == 100 {
                server.cut();
            }
            let message = soon(messages.next()).await.unwrap();
            assert_eq!(message.payload(), n.to_string().as_bytes());
        }
        soon(publisher).await?;
        // Even the last cut is noticed, though all may have come before it.
        soon(async {
            while client.stats().connections == 1 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
        soon(client.disconnect(Duration::from_secs(5))).await;
        server.assert_no_violations();
    }
    Ok(())
}
