//! `paho-mqtt` 0.14 around the C library, MQTT 3.1.1, through its `AsyncClient`: tokens are kept, and the oldest is waited for, as many as may be
//! in flight (100 at QoS 0). What is received comes through the channel of `start_consuming`.

use std::collections::VecDeque;
use std::future::ready;
use std::time::Instant;

use paho_mqtt::{
    AsyncClient, ConnectOptionsBuilder, CreateOptionsBuilder, DeliveryToken, Message,
    PersistenceType, SyncReceiver,
};
#[cfg(feature = "tls")]
use paho_mqtt::{SslOptions, SslOptionsBuilder};

use crate::Result;
use crate::case::Work;
use crate::crowd::crowd;
use crate::job::{Begun, Job};
use crate::wire::{FILTER, TOPIC};

const KEPT: usize = 100;

pub(crate) fn run(job: &Job) -> Result<()> {
    if job.work().connects() {
        // It has threads of its own; this one waits for each client.
        let one = |id: String| ready(connect(job, &id).map(|(client, _)| client));
        let leave = |client: AsyncClient| {
            let left = client.disconnect(None).wait();
            ready(left.map(drop).map_err(Into::into))
        };
        return smol::block_on(crowd(job, one, leave));
    }
    let (client, messages) = connect(job, "rival")?;
    let mut begun = job.begin()?;
    match job.work() {
        Work::Publish0 => publish(&client, job, &mut begun, KEPT)?,
        Work::Publish1 { window } | Work::Publish2 { window } => {
            publish(&client, job, &mut begun, window.into())?;
        }
        work if work.receives() => {
            client.subscribe(FILTER, i32::from(job.qos())).wait()?;
            while begun.messages() < job.count {
                let message = messages.recv()?.ok_or("the connection was lost")?;
                begun.received(message.topic().as_bytes(), message.payload());
            }
        }
        _ => latency(&client, job, &mut begun)?,
    }
    begun.end()?;
    // Until the process is told to end.
    loop {
        std::thread::park();
    }
}

fn connect(job: &Job, id: &str) -> Result<(AsyncClient, SyncReceiver<Option<Message>>)> {
    let options = CreateOptionsBuilder::new()
        .server_uri(job.url())
        .client_id(id)
        .persistence(PersistenceType::None)
        .max_buffered_messages(i32::from(u16::MAX))
        .finalize();
    let client = AsyncClient::new(options)?;
    let messages = client.start_consuming();
    let mut options = ConnectOptionsBuilder::new();
    options
        .clean_session(true)
        .max_inflight(job.window().into());
    #[cfg(feature = "tls")]
    if job.tls() {
        options.ssl_options(tls(job)?);
    }
    client.connect(options.finalize()).wait()?;
    Ok((client, messages))
}

/// OpenSSL's, with all that it can check.
#[cfg(feature = "tls")]
fn tls(job: &Job) -> Result<SslOptions> {
    Ok(SslOptionsBuilder::new()
        .trust_store(&job.certificate_file)?
        .enable_server_cert_auth(true)
        .verify(true)
        .finalize())
}

fn message(job: &Job, payload: &[u8]) -> Message {
    Message::new(TOPIC, payload, i32::from(job.qos()))
}

fn publish(client: &AsyncClient, job: &Job, begun: &mut Begun, kept: usize) -> Result<()> {
    let payload = job.payload();
    let mut tokens: VecDeque<DeliveryToken> = VecDeque::with_capacity(kept);
    for _ in 0..job.count {
        if tokens.len() == kept
            && let Some(oldest) = tokens.pop_front()
        {
            oldest.wait()?;
            begun.published(job, 1);
        }
        tokens.push_back(client.try_publish(message(job, &payload))?);
    }
    for token in tokens {
        token.wait()?;
        begun.published(job, 1);
    }
    Ok(())
}

fn latency(client: &AsyncClient, job: &Job, begun: &mut Begun) -> Result<()> {
    let (payload, mut latencies) = (job.payload(), job.latencies());
    for _ in 0..job.count {
        let start = Instant::now();
        client.publish(message(job, &payload)).wait()?;
        latencies.push(start.elapsed().as_nanos() as u64);
    }
    begun.took(latencies);
    begun.published(job, job.count);
    Ok(())
}
