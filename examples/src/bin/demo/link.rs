//! A client and the proxied connection that it uses.

use std::error::Error;
use std::time::Duration;

use mqtt_examples::proxy::{Direction, Proxy};
use mqtt_examples::tap::Tap;
use mqtt_proto::PublishView;
use mqtt_tokio::{Backoff, Client, ClientEvent, Config, ConfigBuilder, Events};
use tokio::time::timeout;

const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// A network that was cut on purpose is back at once: no need to wait a second for it.
const FIRST_RETRY: Duration = Duration::from_millis(200);
const GRACE: Duration = Duration::from_secs(5);

pub(crate) struct Link {
    pub(crate) client: Client,
    pub(crate) proxy: Proxy,
    pub(crate) tap: Tap,
    /// Read by [`reconnected`](Self::reconnected) and [`later_losses`](Self::later_losses).
    events: Events,
    url: String,
    /// As before, but with a clean start.
    forget: Config,
}

impl Link {
    /// Connects a client through a proxy of its own to the broker at `target` (`host:port`).
    pub(crate) async fn connect(
        target: &str,
        config: ConfigBuilder,
        on_publish: impl Fn(Direction, &PublishView) + Send + Sync + 'static,
    ) -> Result<Self, Box<dyn Error>> {
        let config = config.keep_alive(KEEP_ALIVE).backoff(Backoff {
            first: FIRST_RETRY,
            ..Backoff::default()
        });
        let kept = config.clone().clean_start(false).build()?;
        let tap = Tap::new(kept.version(), on_publish);
        let proxy = Proxy::start(target, tap.clone()).await?;
        let url = format!("mqtt://{}", proxy.addr());
        let client = mqtt_tokio::connect(&url, kept).await?;
        Ok(Self {
            events: client.events(),
            client,
            proxy,
            tap,
            url,
            forget: config.clean_start(true).build()?,
        })
    }

    /// Waits for the next connection; whether the broker still had the session.
    pub(crate) async fn reconnected(&mut self) -> Result<bool, Box<dyn Error>> {
        while let Some(event) = self.events.next().await {
            if let ClientEvent::Connected { connack, .. } = event {
                return Ok(connack.session_present);
            }
        }
        Err(self.client.closed().await.into())
    }

    /// Why the connection was lost since it was last waited for.
    pub(crate) async fn later_losses(&mut self) -> Vec<String> {
        let mut losses = Vec::new();
        // Ready at once, or there is none.
        while let Ok(Some(event)) = timeout(Duration::ZERO, self.events.next()).await {
            if let ClientEvent::Lost { error, .. } = event {
                losses.push(error.to_string());
            }
        }
        losses
    }

    /// Disconnects, and makes the broker forget the session: in 3.1.1 it would keep it for ever.
    pub(crate) async fn close(self) -> Result<(), Box<dyn Error>> {
        self.client.disconnect(GRACE).await;
        let client = mqtt_tokio::connect(&self.url, self.forget).await?;
        client.disconnect(GRACE).await;
        Ok(())
    }
}
