//! Many clients on one runtime.

use std::time::Duration;

use mqtt_session::client::exports::{QoS, Subscription};
use mqtt_testkit::BrokerConfig;

use crate::{Bench, Result};

use super::List;

const CLIENTS: usize = 1000;
/// Where each has a handshake that takes time to compute.
const CLIENTS_TLS: usize = 100;
/// Other scenarios run beside this one, and have some threads of their own.
const FEW: usize = 50;

pub(super) fn add(list: &mut List) {
    list.add_alone("many clients take no thread each that is not stated", many);
}

/// What an adapter that has a thread for each client names it, and no other thread.
const OF_A_CLIENT: &str = "mqtt";

/// How many threads this process has, where the system tells, but for those that an adapter states for each client: another trial may be
/// at a thousand of these meanwhile.
fn threads() -> Result<Option<usize>> {
    if !cfg!(target_os = "linux") {
        return Ok(None);
    }
    let mut count = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        // It may be gone by now.
        let name = std::fs::read_to_string(task?.path().join("comm")).unwrap_or_default();
        count += usize::from(name.trim_end() != OF_A_CLIENT);
    }
    Ok(Some(count))
}

async fn many(bench: &Bench<'_>) -> Result {
    let quiet = BrokerConfig {
        log: false,
        ..BrokerConfig::default()
    };
    let count = match bench.transport().has_tls() {
        true => CLIENTS_TLS,
        false => CLIENTS,
    };
    let server = bench.server_with(quiet)?;
    let before = threads()?;
    let mut clients = Vec::new();
    for n in 0..count {
        clients.push(bench.start(&server.url(), bench.config(&format!("client-{n}")).build()?)?);
    }
    let mut subscriptions: Vec<Subscription> = Vec::new();
    for (n, client) in clients.iter().enumerate() {
        subscriptions.push(
            client
                .subscribe(format!("to/{n}"), QoS::AtLeastOnce)
                .await?,
        );
    }
    // All are connected now. Each sends to the next one.
    let mut deliveries = Vec::new();
    for (n, client) in clients.iter().enumerate() {
        let topic = format!("to/{}", (n + 1) % count);
        deliveries.push(
            client
                .publish(topic, QoS::AtLeastOnce, n.to_string())
                .await?,
        );
    }
    for delivery in deliveries {
        delivery.await?;
    }
    for (n, messages) in subscriptions.iter_mut().enumerate() {
        let from = (n + count - 1) % count;
        let message = messages.next().await.expect("a message");
        assert_eq!(message.payload(), from.to_string().as_bytes());
    }
    if let (Some(before), Some(now)) = (before, threads()?) {
        assert!(now < before + FEW, "{before} threads before, {now} now");
    }
    server.with(|broker, _| assert_eq!(broker.connections().count(), count));
    for client in &clients {
        client.disconnect(Duration::from_secs(10)).await;
    }
    server.until_alone();
    server.assert_no_violations();
    Ok(())
}
