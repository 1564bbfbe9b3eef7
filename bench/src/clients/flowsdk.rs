//! `flowsdk` 0.7, MQTT 5.0, through its tokio client. "High-throughput publishing" in its guide: `publish` without waiting, acknowledgements
//! in a callback; at QoS 1 permits keep the number in flight. What is received comes to the callback, too.

use std::sync::Arc;
use std::time::Instant;

use flowsdk::mqtt_client::{
    MqttClientOptions, MqttMessage, PublishResult, TokioAsyncClientConfig, TokioAsyncMqttClient,
    TokioMqttEventHandler,
};
use tokio::sync::{Semaphore, mpsc};

use crate::Result;
use crate::case::Work;
use crate::clients::spawned;
use crate::crowd::crowd;
use crate::job::{Begun, Job};
use crate::wire::{FILTER, TOPIC};

/// What it is told: the work is its own where it receives.
struct Handler {
    job: Job,
    begun: Option<Begun>,
    hand_over: mpsc::UnboundedReceiver<Begun>,
    permits: Arc<Semaphore>,
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
            if begun.messages() < self.job.count {
                self.begun = Some(begun);
            } else {
                begun.end().expect("the clock");
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
        .receive_maximum(job.window())
        .build();
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

async fn work(job: Job) -> Result<()> {
    let permits = Arc::new(Semaphore::new(job.window().into()));
    let handler = || {
        let (hands, hand_over) = mpsc::unbounded_channel();
        let handler = Handler {
            job: job.clone(),
            begun: None,
            hand_over,
            permits: permits.clone(),
        };
        (hands, handler)
    };
    if job.work().connects() {
        let one = |id: String| connect(&job, id, handler().1);
        let leave = |client: TokioAsyncMqttClient| async move {
            client.disconnect_sync().await?;
            Ok(client.shutdown().await?)
        };
        return crowd(&job, one, leave).await;
    }
    let (hands, handler) = handler();
    let client = connect(&job, "rival".to_owned(), handler).await?;
    let begun = job.begin()?;
    match job.work() {
        Work::Publish0 | Work::Publish1 { .. } => publish(&client, &job, begun, &permits).await?,
        Work::Receive0 | Work::Receive1 => {
            hands.send(begun).map_err(|_| "no handler")?;
            client.subscribe_sync(FILTER, job.qos()).await?;
        }
        _ => latency(&client, &job, begun).await?,
    }
    std::future::pending().await
}

async fn publish(
    client: &TokioAsyncMqttClient,
    job: &Job,
    mut begun: Begun,
    permits: &Semaphore,
) -> Result<()> {
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
    begun.end()
}

async fn latency(client: &TokioAsyncMqttClient, job: &Job, mut begun: Begun) -> Result<()> {
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
    begun.end()
}
