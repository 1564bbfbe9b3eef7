//! A client on its way to a script.

use std::num::NonZeroU16;
use std::time::Duration;

use mqtt_behaviour::{Adapter, Result, Running};
use mqtt_session::client::exports::{PacketSummary, PacketType, Version};
use mqtt_session::client::{AckMode, Client, ClientEvent, Events, Hooks, Observer, Subscription};
use mqtt_session::{
    Config, ConfigBuilder, ConnectionError, Direction, Instant, Limits, Observation, PacketIds,
};
use smol::channel::{Receiver, Sender, unbounded};

/// How long what was accepted may take to leave, at the end.
const DRAIN: Duration = Duration::from_secs(5);
/// What mosquitto's programs say in 5.0.
const RECEIVE_MAXIMUM: NonZeroU16 = NonZeroU16::MIN.saturating_add(19);

/// A script that waits for its client.
pub(crate) struct Run<'a> {
    adapter: &'a dyn Adapter,
    port: u16,
}

impl<'a> Run<'a> {
    pub(crate) fn new(adapter: &'a dyn Adapter, port: u16) -> Self {
        Self { adapter, port }
    }

    /// Where the script listens, for a scheme.
    pub(crate) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://localhost:{}", self.port)
    }

    /// Connects over TCP.
    pub(crate) async fn connect(&self, config: ConfigBuilder) -> Result<Connected> {
        self.connect_to(&self.url("mqtt"), config).await
    }

    pub(crate) async fn connect_to(&self, url: &str, config: ConfigBuilder) -> Result<Connected> {
        let connected = self.build(url, config)?;
        connected.client.connect().await?;
        Ok(connected)
    }

    /// The same with a stream of the messages that no subscription claims, to be acknowledged by hand: it is there before the first can come.
    pub(crate) async fn connect_to_receive(
        &self,
        config: ConfigBuilder,
    ) -> Result<(Connected, Subscription)> {
        let connected = self.build(&self.url("mqtt"), config)?;
        let messages = connected.client.messages();
        connected.client.connect().await?;
        Ok((connected, messages.with_ack_mode(AckMode::Manual)))
    }

    fn build(&self, url: &str, config: ConfigBuilder) -> Result<Connected> {
        let (client, running) = self.adapter.build(url, config.build()?)?;
        let (tell, packets) = unbounded();
        client
            .set_hooks(Hooks::new().observer(Tell(tell)))
            .map_err(|_| "there are hooks already")?;
        let events = client.events();
        Ok(Connected {
            client,
            packets,
            events,
            _running: running,
        })
    }

    /// Connects to a script that looks at CONNECT and closes.
    pub(crate) async fn say_connect(&self, config: ConfigBuilder) -> Result {
        let (client, _running) = self.adapter.build(&self.url("mqtt"), config.build()?)?;
        let Err(closed) = client.connect().await else {
            return Err("the script has said CONNACK".into());
        };
        match closed.error.as_deref() {
            Some(ConnectionError::Unanswered { .. }) => Ok(()),
            _ => Err(closed.into()),
        }
    }
}

/// A client of 3.1.1, as mosquitto's programs are.
pub(crate) fn v3(client_id: &str) -> ConfigBuilder {
    config(client_id, Version::V3_1_1)
}

/// A client of 5.0, as mosquitto's programs are.
pub(crate) fn v5(client_id: &str) -> ConfigBuilder {
    config(client_id, Version::V5)
}

/// With the options by which the bytes are those of libmosquitto: packet identifiers ascend, and in 5.0 nothing is asked for or offered beside
/// Receive Maximum that need not be.
pub fn config(client_id: &str, version: Version) -> ConfigBuilder {
    let builder = Config::builder(client_id)
        .version(version)
        .packet_ids(PacketIds::Ascending);
    if !version.is_v5() {
        return builder;
    }
    let mut limits = Limits::default();
    limits.receive_maximum = RECEIVE_MAXIMUM;
    limits.max_packet_size = Limits::LARGEST_PACKET;
    limits.topic_alias_maximum = 0;
    limits.topic_aliases = 0;
    builder
        .session_expiry(Duration::ZERO)
        .limits(limits)
        .subscription_identifiers(false)
}

/// A client that the script has accepted.
pub(crate) struct Connected {
    pub(crate) client: Client,
    packets: Receiver<PacketSummary>,
    events: Events,
    /// Its driver ends with it.
    _running: Running,
}

impl Connected {
    /// Ends with DISCONNECT.
    pub(crate) async fn disconnect(self) -> Result {
        self.client.disconnect(DRAIN).await;
        let closed = self.client.closed().await;
        match closed.error {
            None => Ok(()),
            Some(error) => Err(error.into()),
        }
    }

    /// The connection ends, by the script.
    pub(crate) async fn lost(mut self) -> Result {
        while let Some(event) = self.events.next().await {
            if let ClientEvent::Lost { error, .. } = event {
                return match error {
                    ConnectionError::Closed { .. } => Ok(()),
                    error => Err(error.into()),
                };
            }
        }
        Err("the session was closed".into())
    }

    /// A packet of this type is on its way to the script.
    pub(crate) async fn sent(&self, packet_type: PacketType) -> Result {
        loop {
            let packet = self.packets.recv().await?;
            if packet.direction == Direction::Sent && packet.packet_type == packet_type {
                return Ok(());
            }
        }
    }
}

struct Tell(Sender<PacketSummary>);

impl Observer for Tell {
    fn observe(&mut self, _now: Instant, observation: Observation) {
        if let Observation::Packet(packet) = observation {
            // Nobody listens any more at the end.
            let _ = self.0.try_send(packet);
        }
    }
}
