//! What lies between TCP and MQTT.

use mqtt_tokio::QoS;

use super::messages;
use crate::site::{Over, Result, Site, part};

pub(super) async fn tls(site: Site) -> Result {
    over(site, Over::Tls).await
}

pub(super) async fn mutual_tls(site: Site) -> Result {
    // What is not refused in the handshake is so at the first byte: with TLS 1.3 the client has finished before.
    if let Ok(client) = site.uncertified().await {
        part([client]).await;
        return Err("a client without a certificate was accepted".into());
    }
    over(site, Over::MutualTls).await
}

pub(super) async fn websocket(site: Site) -> Result {
    over(site, Over::WebSocket).await
}

pub(super) async fn secure_websocket(site: Site) -> Result {
    over(site, Over::SecureWebSocket).await
}

async fn over(site: Site, over: Over) -> Result {
    let from = site.connect_over(over, site.config("a")).await?;
    let to = site.connect_over(over, site.config("b")).await?;
    messages::exchange(&site, QoS::AtLeastOnce, &from, &to, 50).await?;
    messages::whole(&site, &from, 300_000).await?;
    part([from, to]).await;
    Ok(())
}
