//! `flowsdk` 0.7, MQTT 5.0, through its tokio client. "High-throughput publishing" in its guide: `publish` without waiting, acknowledgements
//! in a callback; at QoS 1 permits keep the number in flight. What is received comes to the callback, too.

use std::sync::Arc;
use std::time::Instant;

use flowsdk::mqtt_client::{
    MqttClientOptions, MqttMessage, PublishResult, TokioAsyncClientConfig, TokioAsyncMqttClient,
    TokioMqttEventHandler,
};
#[cfg(feature = "tls")]
use flowsdk::mqtt_client::{opts::MqttClientOptionsBuilder, transport::RustlsTlsConfig};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::Result;
use crate::case::Work;
use crate::clients::{at_work, spawned};
use crate::crowd::{crowd, together};
use crate::job::{Begun, Job};
use crate::wire::{FILTER, TOPIC};

/// What it is told, and who waits for it.
struct Handler {
    count: u64,
    begun: Option<Begun>,
    hand_over: mpsc::UnboundedReceiver<Begun>,
    all: Option<oneshot::Sender<Begun>>,
    permits: Arc<Semaphore>,
}

/// The other end of a handler.
struct Told {
    /// The work is the handler's own where it receives.
    hands: mpsc::UnboundedSender<Begun>,
    all: oneshot::Receiver<Begun>,
    permits: Arc<Semaphore>,
}

fn handler(job: &Job) -> (Handler, Told) {
    let (hands, hand_over) = mpsc::unbounded_channel();
    let (sends, all) = oneshot::channel();
    let permits = Arc::new(Semaphore::new(job.window().into()));
    let handler = Handler {
        count: job.count,
        begun: None,
        hand_over,
        all: Some(sends),
        permits: permits.clone(),
    };
    let told = Told {
        hands,
        all,
        permits,
    };
    (handler, told)
}

#[async_trait::async_trait]
impl TokioMqttEventHandler for Handler {
    async fn on_published(&mut self, result: &PublishResult) {
        if result.qos > 0 && result.is_success() {
            self.permits.add_permits(1);
        }
    }

    async fn on_message_received(&mut self, message: &MqttMessage) {
        if self.begun.is_none() {
            self.begun = self.hand_over.try_recv().ok();
        }
        if let Some(mut begun) = self.begun.take() {
            begun.received(message.topic_name.as_bytes(), &message.payload);
            if begun.messages() < self.count {
                self.begun = Some(begun);
            } else if let Some(all) = self.all.take() {
                // Nobody waits for it any more, perhaps.
                let _ = all.send(begun);
            }
        }
    }
}

pub(crate) fn run(job: &Job) -> Result<()> {
    spawned(work(job.clone()))
}

async fn connect(job: &Job, id: String, handler: Handler) -> Result<TokioAsyncMqttClient> {
    let options = MqttClientOptions::builder()
        .peer(job.address())
        .client_id(id)
        .mqtt_version(5)
        .clean_start(true)
        .auto_ack(true)
        .receive_maximum(job.window());
    #[cfg(feature = "tls")]
    let options = with_tls(options, job)?;
    let options = options.build();
    let config = TokioAsyncClientConfig::builder()
        .auto_reconnect(false)
        .buffer_messages(false)
        .build();
    let client = TokioAsyncMqttClient::new(options, Box::new(handler), config).await?;
    if !client.connect_sync().await?.is_success() {
        return Err("CONNECT was refused".into());
    }
    Ok(client)
}

/// With rustls, where the job is over TLS.
#[cfg(feature = "tls")]
fn with_tls(options: MqttClientOptionsBuilder, job: &Job) -> Result<MqttClientOptionsBuilder> {
    if !job.tls() {
        return Ok(options);
    }
    let tls = RustlsTlsConfig::builder().add_roots_from_pem(job.certificate.as_bytes())?;
    Ok(options.peer(job.url()).rustls_tls_config(tls.build()))
}

async fn work(job: Job) -> Result<()> {
    if job.work().connects() {
        let one = |id: String| connect(&job, id, handler(&job).0);
        let leave = |client: TokioAsyncMqttClient| async move {
            client.disconnect_sync().await?;
            Ok(client.shutdown().await?)
        };
        return crowd(&job, one, leave).await;
    }
    if job.row.crowd.is_some() {
        return many(&job).await;
    }
    let (handler, mut told) = handler(&job);
    let client = connect(&job, "rival".to_owned(), handler).await?;
    let begun = job.begin()?;
    if job.work() == Work::Latency {
        latency(&client, &job, begun).await?.end()?;
    } else if job.work().receives() {
        told.hands.send(begun).map_err(|_| "no handler")?;
        client.subscribe_sync(FILTER, job.qos()).await?;
        (&mut told.all).await?.end()?;
    } else {
        publish(&client, &job, begun, &told.permits).await?.end()?;
    }
    std::future::pending().await
}

/// Many clients, with a task for each.
async fn many(job: &Job) -> Result<()> {
    let share = &job.share();
    let one = |id: String| async move {
        let (handler, told) = handler(share);
        let client = connect(job, id, handler).await?;
        if job.work().receives() {
            let begun = Begun::default();
            told.hands.send(begun).map_err(|_| "no handler")?;
            client.subscribe_sync(FILTER, job.qos()).await?;
        }
        Ok((client, told))
    };
    let start = |(client, told): (TokioAsyncMqttClient, Told), job: Job| {
        at_work(async move {
            let begun = match job.work().receives() {
                true => told.all.await?,
                false => publish(&client, &job, Begun::default(), &told.permits).await?,
            };
            Ok((begun, client))
        })
    };
    together(job, one, start).await
}

async fn publish(
    client: &TokioAsyncMqttClient,
    job: &Job,
    mut begun: Begun,
    permits: &Semaphore,
) -> Result<Begun> {
    let payload = job.payload();
    for _ in 0..job.count {
        if job.qos() > 0 {
            permits.acquire().await?.forget();
        }
        client.publish(TOPIC, &payload, job.qos(), false).await?;
    }
    // All are back when all are acknowledged.
    let _all = permits.acquire_many(job.window().into()).await?;
    begun.published(job, job.count);
    Ok(begun)
}

async fn latency(client: &TokioAsyncMqttClient, job: &Job, mut begun: Begun) -> Result<Begun> {
    let (payload, mut latencies) = (job.payload(), job.latencies());
    for _ in 0..job.count {
        let start = Instant::now();
        let published = client.publish_sync(TOPIC, &payload, job.qos(), false);
        if !published.await?.is_success() {
            return Err("a message was refused".into());
        }
        latencies.push(start.elapsed().as_nanos() as u64);
    }
    begun.took(latencies);
    begun.published(job, job.count);
    Ok(begun)
}
