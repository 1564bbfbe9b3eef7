//! Where a scenario is run: a broker in a version, and what all scenarios do there.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mqtt_tokio::transport::Tls;
use mqtt_tokio::{
    AckMode, Answers, Backoff, Client, ClientEvent, Config, ConfigBuilder, ConnAck, Delivery,
    Events, Limits, Message, Outcome, QoS, Subscription, Timeouts, Version,
};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::options::Options;

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Result<T = ()> = std::result::Result<T, Error>;

/// For one wait, where it should work; and where it is known not to.
const PATIENCE: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(8)];

#[derive(Clone, Debug)]
pub(crate) struct Site(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    version: Version,
    patience: Duration,
    /// Of TCP, TLS, mutual TLS, WebSocket and secure WebSocket.
    urls: [Option<String>; 5],
    trust: Option<[Tls; 2]>,
    /// What no other client and topic there has in its name.
    name: String,
    /// Of each client, from when it was connected.
    events: Mutex<Vec<Events>>,
}

/// What the bytes go over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Over {
    Tcp,
    Tls,
    MutualTls,
    WebSocket,
    SecureWebSocket,
}

/// A client whose connection can be cut.
#[derive(Debug)]
pub(crate) struct Mortal {
    pub(crate) client: Client,
    pub(crate) connack: ConnAck,
    driver: JoinHandle<()>,
}

impl Mortal {
    /// Ends the client and its connection without a DISCONNECT, as the end of its process does.
    pub(crate) async fn cut(self) {
        self.driver.abort();
        // It is gone with its socket.
        let _ = self.driver.await;
    }
}

impl Site {
    pub(crate) fn new(options: &Options, version: Version, hopeful: bool) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let Options {
            tls,
            mutual_tls,
            ws,
            wss,
            ..
        } = options;
        let tcp = match &options.fifth {
            Some(url) if version == Version::V5 => url,
            _ => &options.tcp,
        };
        Self(Arc::new(Inner {
            version,
            patience: PATIENCE[usize::from(!hopeful)],
            urls: [
                Some(tcp.clone()),
                tls.clone(),
                mutual_tls.clone(),
                ws.clone(),
                wss.clone(),
            ],
            trust: options.trust.clone(),
            // 23 bytes at most, with what follows it [MQTT-3.1.3-5].
            name: format!("io{}n{count}", std::process::id()),
            events: Mutex::default(),
        }))
    }

    pub(crate) fn version(&self) -> Version {
        self.0.version
    }

    /// A topic, or a filter, of this scenario's own.
    pub(crate) fn topic(&self, end: &str) -> String {
        format!("{}/{end}", self.0.name)
    }

    /// For a client identifier of this scenario's own, that ends so: a letter or a digit.
    pub(crate) fn config(&self, end: &str) -> ConfigBuilder {
        self.config_as(format!("{}{end}", self.0.name))
    }

    /// Without a client identifier.
    pub(crate) fn anonymous(&self) -> ConfigBuilder {
        self.config_as(String::new())
    }

    fn config_as(&self, client_id: String) -> ConfigBuilder {
        let mut limits = Limits::default();
        limits.max_packet_size = 32 << 20;
        limits.inbox_bytes = 64 << 20;
        let mut timeouts = Timeouts::default();
        timeouts.connack = self.0.patience * 3 / 4;
        let first = Duration::from_millis(100);
        let longest = Duration::from_secs(1);
        Config::builder(client_id)
            .version(self.0.version)
            .limits(limits)
            .timeouts(timeouts)
            .backoff(Backoff {
                first,
                longest,
                ..Backoff::default()
            })
    }

    /// One whose session stays.
    pub(crate) fn lasting(&self, end: &str) -> ConfigBuilder {
        self.config(end).clean_start(false)
    }

    pub(crate) async fn client(&self, end: &str) -> Result<Client> {
        self.connect(self.config(end)).await
    }

    pub(crate) async fn connect(&self, config: ConfigBuilder) -> Result<Client> {
        self.connect_over(Over::Tcp, config).await
    }

    /// Where a certificate is asked for, without one.
    pub(crate) async fn uncertified(&self) -> Result<Client> {
        let config = match &self.0.trust {
            Some([tls, _]) => self.config("n").tls(tls.clone()),
            None => self.config("n"),
        };
        self.dial(Over::MutualTls, config).await
    }

    pub(crate) async fn connect_over(&self, over: Over, config: ConfigBuilder) -> Result<Client> {
        let config = match (over, &self.0.trust) {
            (Over::Tls | Over::SecureWebSocket, Some([tls, _])) => config.tls(tls.clone()),
            (Over::MutualTls, Some([_, tls])) => config.tls(tls.clone()),
            _ => config,
        };
        self.dial(over, config).await
    }

    async fn dial(&self, over: Over, config: ConfigBuilder) -> Result<Client> {
        let url = self.0.urls[over as usize]
            .clone()
            .ok_or("there is no port for it")?;
        let connecting = mqtt_tokio::connect(url.as_str(), config.build()?);
        let client = self.within("CONNACK", connecting).await??;
        self.watch(&client);
        Ok(client)
    }

    fn watch(&self, client: &Client) {
        let mut events = self.0.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.push(client.events());
    }

    /// What a scenario failed with, and the first connection that was lost meanwhile: the reason, as a rule.
    pub(crate) async fn explain(&self, error: Error) -> Error {
        let all =
            std::mem::take(&mut *self.0.events.lock().unwrap_or_else(PoisonError::into_inner));
        for mut events in all {
            if let Err(lost) = none_lost(&mut events).await
                && !error.to_string().contains(&lost.to_string())
            {
                return format!("{error}; {lost}").into();
            }
        }
        error
    }

    /// One that can be cut, which has these subscriptions before it connects.
    pub(crate) async fn mortal(
        &self,
        config: ConfigBuilder,
        filters: &[(&str, QoS)],
    ) -> Result<(Mortal, Vec<Subscription>)> {
        let url = self.0.urls[0].as_deref().ok_or("there is no port for it")?;
        let (client, driver) = mqtt_tokio::build_with(url, config.build()?, Answers::new())?;
        let mut subscriptions = Vec::new();
        for (filter, qos) in filters {
            subscriptions.push(
                client
                    .declare(*filter, *qos)?
                    .with_ack_mode(AckMode::Manual),
            );
        }
        let driver = tokio::spawn(driver);
        let connack = self.within("CONNACK", client.connect()).await??;
        self.watch(&client);
        if !filters.is_empty() {
            // Requests are dealt with in order: behind its acknowledgement is that of SUBSCRIBE.
            let topic = self.topic("behind");
            self.publish(&client, &topic, QoS::AtLeastOnce, "").await?;
        }
        Ok((
            Mortal {
                client,
                connack,
                driver,
            },
            subscriptions,
        ))
    }

    pub(crate) async fn subscribe(
        &self,
        client: &Client,
        filter: &str,
        qos: QoS,
    ) -> Result<Subscription> {
        let subscribing = client.subscribe(filter, qos);
        let subscription = self.within("SUBACK", subscribing).await??;
        Ok(subscription.with_ack_mode(AckMode::Manual))
    }

    /// Publishes, and waits until the broker has acknowledged it.
    pub(crate) async fn publish(
        &self,
        client: &Client,
        topic: &str,
        qos: QoS,
        payload: impl Into<Vec<u8>>,
    ) -> Result {
        let publishing = client.publish(topic, qos, payload.into());
        let delivery = self.within("room to publish", publishing).await??;
        self.delivered(delivery, qos).await
    }

    pub(crate) async fn delivered(&self, delivery: Delivery, qos: QoS) -> Result {
        let outcome = self.within("acknowledgement", delivery).await??;
        let fits = match outcome {
            Outcome::Written => qos == QoS::AtMostOnce,
            Outcome::Acknowledged {
                republished,
                completed,
                ..
            } => qos != QoS::AtMostOnce && completed && !republished,
            _ => false,
        };
        if fits {
            Ok(())
        } else {
            Err(format!("a message ended as {outcome:?}").into())
        }
    }

    /// The next one, and acknowledges it: there are brokers that send no other before.
    pub(crate) async fn next(&self, subscription: &mut Subscription) -> Result<Message> {
        let mut message = self.take(subscription).await?;
        if let Some(acker) = message.take_acker() {
            acker.ack()?;
        }
        Ok(message)
    }

    /// The next one, unacknowledged.
    pub(crate) async fn take(&self, subscription: &mut Subscription) -> Result<Message> {
        let next = self.within("message", subscription.next()).await?;
        next.ok_or_else(|| "the subscription ended".into())
    }

    /// The payload of the next one, as text.
    pub(crate) async fn text(&self, subscription: &mut Subscription) -> Result<String> {
        let message = self.next(subscription).await?;
        Ok(String::from_utf8_lossy(message.payload()).into_owned())
    }

    pub(crate) async fn within<T>(&self, what: &str, wait: impl Future<Output = T>) -> Result<T> {
        let waited = timeout(self.0.patience, wait).await;
        waited.map_err(|_| format!("no {what} within {:?}", self.0.patience).into())
    }

    /// Waits for a little, where there is nothing to see when the broker does what it must.
    pub(crate) async fn pause(&self, milliseconds: u64) {
        sleep(Duration::from_millis(milliseconds)).await;
    }
}

/// Ends clients in order.
pub(crate) async fn part(clients: impl IntoIterator<Item = Client>) {
    for client in clients {
        client.disconnect(Duration::from_secs(5)).await;
    }
}

/// Why a connection ended, if one did since somebody looked.
async fn none_lost(events: &mut Events) -> Result {
    while let Ok(Some(event)) = timeout(Duration::ZERO, events.next()).await {
        if let ClientEvent::Lost { error, .. } = event {
            return Err(error.into());
        }
    }
    Ok(())
}

pub(crate) fn same<T: PartialEq + Debug>(what: &str, seen: T, wanted: T) -> Result {
    if seen == wanted {
        Ok(())
    } else {
        Err(format!("{what}: {seen:?} instead of {wanted:?}").into())
    }
}
