//! `ntex-mqtt` 9.0, MQTT 5.0, on ntex's runtime over tokio. It has no queue: a message is encoded where it is published. At QoS 1 by its call
//! that does not block, with a callback for acknowledgements; `ready` waits for room in the window and for the socket. Over TLS
//! by the connector of `ntex-tls` with rustls.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use ntex_bytes::{ByteString, Bytes};
use ntex_mqtt::v5;
use ntex_mqtt::v5::client::ProtocolMessage;
use ntex_mqtt::v5::codec::{PublishAckReason, QoS, RetainHandling, SubscriptionOptions};
use ntex_service::Pipeline;
use ntex_service::cfg::SharedCfg;
use ntex_tls::rustls::TlsConnector;

use crate::case::Work;
use crate::clients::{Gate, tls_config};
use crate::crowd::{crowd, together};
use crate::job::{Begun, Job};
use crate::wire::{FILTER, TOPIC};
use crate::{Error, Result};

pub(crate) fn run(job: &Job) -> Result<()> {
    let job = job.clone();
    ntex_rt::System::new("bench", ntex_net::DefaultRuntime).block_on(work(job))
}

fn failed(error: impl std::fmt::Debug) -> Error {
    format!("{error:?}").into()
}

async fn connect(job: &Job, id: String) -> Result<v5::client::Client> {
    let connector = v5::client::MqttConnector::new();
    let connect = v5::client::Connect::new(job.address());
    let connect = connect.client_id(id).clean_start();
    if job.tls() {
        let connector = connector.connector(TlsConnector::from(tls_config(job)?));
        let pipeline = Pipeline::new(SharedCfg::default(), connector);
        return pipeline.call(connect).await.map_err(failed);
    }
    let pipeline = Pipeline::new(SharedCfg::default(), connector);
    pipeline.call(connect).await.map_err(failed)
}

async fn work(job: Job) -> Result<()> {
    if job.work().connects() {
        let one = |id| async {
            let client = connect(&job, id).await?;
            let sink = client.sink();
            Ok((sink, ntex_rt::spawn(client.start_default())))
        };
        let leave = |(sink, task): (v5::MqttSink, ntex_rt::JoinHandle<()>)| async move {
            sink.close();
            task.await.map_err(failed)
        };
        return crowd(&job, one, leave).await;
    }
    if job.row.crowd.is_some() {
        return many(&job).await;
    }
    let client = connect(&job, "rival".to_owned()).await?;
    let sink = client.sink();
    let begun = job.begin()?;
    if job.work().receives() {
        let received = Received::new(&job, begun);
        listen(client, received.clone());
        subscribe(&sink, &job).await?;
        received.all().await?.end()?;
        return std::future::pending().await;
    }
    ntex_rt::spawn(client.start_default());
    if job.work() == Work::Latency {
        latency(&sink, &job, begun).await?.end()?;
    } else {
        publish(&sink, &job, begun).await?.end()?;
    }
    std::future::pending().await
}

/// Many clients, with a task for each.
async fn many(job: &Job) -> Result<()> {
    let one = |id| async {
        let client = connect(job, id).await?;
        let sink = client.sink();
        let received = Received::new(&job.share(), Begun::default());
        if job.work().receives() {
            listen(client, received.clone());
            subscribe(&sink, job).await?;
        } else {
            ntex_rt::spawn(client.start_default());
        }
        Ok((sink, received))
    };
    let start = |(sink, received): (v5::MqttSink, Received), job: Job| {
        let task = ntex_rt::spawn(async move {
            let begun = match job.work().receives() {
                true => received.all().await?,
                false => publish(&sink, &job, Begun::default()).await?,
            };
            Ok((begun, sink))
        });
        async move { task.await.map_err(failed)? }
    };
    together(job, one, start).await
}

fn payload(job: &Job) -> Bytes {
    Bytes::copy_from_slice(&job.payload())
}

async fn publish(sink: &v5::MqttSink, job: &Job, begun: Begun) -> Result<Begun> {
    match job.qos() {
        0 => publish0(sink, job, begun).await,
        1 => publish1(sink, job, begun).await,
        qos => Err(format!("QoS {qos}").into()),
    }
}

async fn publish0(sink: &v5::MqttSink, job: &Job, mut begun: Begun) -> Result<Begun> {
    let (topic, payload) = (ByteString::from_static(TOPIC), payload(job));
    for _ in 0..job.count {
        if !sink.ready().await {
            return Err("closed".into());
        }
        let message = sink.publish(topic.clone());
        message.send_at_most_once(payload.clone()).map_err(failed)?;
    }
    begun.published(job, job.count);
    Ok(begun)
}

async fn publish1(sink: &v5::MqttSink, job: &Job, mut begun: Begun) -> Result<Begun> {
    let (topic, payload) = (ByteString::from_static(TOPIC), payload(job));
    let (acknowledged, gate, count) = (Cell::new(0), Gate::new(), job.count);
    let opens = gate.clone();
    sink.publish_ack_cb(move |ack, disconnected| {
        if !disconnected && ack.reason_code == PublishAckReason::Success {
            acknowledged.set(acknowledged.get() + 1);
            if acknowledged.get() == count {
                opens.open();
            }
        }
    });
    for _ in 0..job.count {
        if !sink.ready().await {
            return Err("closed".into());
        }
        let message = sink.publish(topic.clone());
        message
            .send_at_least_once_no_block(payload.clone())
            .map_err(failed)?;
    }
    gate.wait().await;
    begun.published(job, job.count);
    Ok(begun)
}

async fn latency(sink: &v5::MqttSink, job: &Job, mut begun: Begun) -> Result<Begun> {
    let (topic, payload, mut latencies) = (
        ByteString::from_static(TOPIC),
        payload(job),
        job.latencies(),
    );
    for _ in 0..job.count {
        let start = Instant::now();
        let message = sink.publish(topic.clone());
        message
            .send_at_least_once(payload.clone())
            .await
            .map_err(failed)?;
        latencies.push(start.elapsed().as_nanos() as u64);
    }
    begun.took(latencies);
    begun.published(job, job.count);
    Ok(begun)
}

/// What has come to a handler.
#[derive(Clone)]
struct Received {
    begun: Rc<RefCell<Option<Begun>>>,
    gate: Gate,
    count: u64,
}

impl Received {
    fn new(job: &Job, begun: Begun) -> Self {
        Self {
            begun: Rc::new(RefCell::new(Some(begun))),
            gate: Gate::new(),
            count: job.count,
        }
    }

    async fn all(self) -> Result<Begun> {
        self.gate.wait().await;
        let begun = self.begun.borrow_mut().take();
        Ok(begun.ok_or("taken")?)
    }
}

fn listen(client: v5::client::Client, received: Received) {
    ntex_rt::spawn(
        client.start(async move |message: ProtocolMessage| match message {
            ProtocolMessage::Publish(message) => {
                let payload = message.read_all().await.map_err(|_| ())?;
                if let Some(begun) = received.begun.borrow_mut().as_mut() {
                    begun.received(message.packet().topic.as_bytes(), &payload);
                    if begun.messages() == received.count {
                        received.gate.open();
                    }
                }
                Ok(match message.packet().qos {
                    QoS::AtMostOnce => message.ack_qos0(),
                    _ => message.ack(PublishAckReason::Success),
                })
            }
            ProtocolMessage::PublishRelease(message) => Ok(message.ack()),
            ProtocolMessage::Disconnect(message) => Ok::<_, ()>(message.ack()),
            other => Ok(other.ack()),
        }),
    );
}

async fn subscribe(sink: &v5::MqttSink, job: &Job) -> Result<()> {
    let options = SubscriptionOptions {
        qos: match job.qos() {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        },
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::AtSubscribe,
    };
    let subscribe = sink
        .subscribe(None)
        .topic_filter(ByteString::from_static(FILTER), options);
    subscribe.send().await.map_err(failed)?;
    Ok(())
}
