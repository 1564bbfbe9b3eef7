//! Entry 24: what is printed shows no password, authentication data or payload.

use std::fmt::Debug;
use std::io::Write;

use mqtt_behaviour::Adapter;
use mqtt_session::proto::{QoS, Version, Will};
use mqtt_session::{ConnectionError, Endpoint};

use super::{About, List};
use crate::Result;
use crate::ground::{Near, Packets, Peer, accept, config, serve};

/// Each in another place.
const SECRETS: [&str; 4] = ["hunter2", "tr0ub4dor", "correcthorse", "swordfish"];

pub(super) fn add(list: &mut List) {
    list.add(
        About::Entry(24),
        "handles, messages, events and errors show no secret",
        hidden,
    );
}

fn hides(value: &dyn Debug) {
    for shown in [format!("{value:?}"), format!("{value:#?}")] {
        // Nor as a list of numbers.
        let numbers: String = shown.chars().filter(|c| !c.is_whitespace()).collect();
        for secret in SECRETS {
            assert!(!shown.contains(secret), "{shown}");
            let bytes: Vec<_> = secret.bytes().map(|byte| byte.to_string()).collect();
            assert!(!numbers.contains(&bytes.join(",")), "{shown}");
        }
    }
}

async fn hidden(adapter: &dyn Adapter) -> Result {
    let [password, payload, will, received] = SECRETS;
    let peer = Peer::new(move |listener| {
        let mut stream = accept(&listener)?;
        let mut packets = Packets::new(Version::V5);
        packets.accept(&mut stream)?;
        let body = [&[0, 1, b'a', 0], received.as_bytes()].concat();
        stream.write_all(&[&[0x30, body.len() as u8], &body[..]].concat())?;
        packets.next(&mut stream)?;
        // Something that is no packet, with the payload in it.
        let body = [&[0, 200], received.as_bytes()].concat();
        stream.write_all(&[&[0x30, body.len() as u8], &body[..]].concat())?;
        drop(stream);
        serve(&listener)
    })?;
    let will = Will {
        topic: "will".try_into()?,
        payload: will.into(),
        qos: QoS::AtMostOnce,
        retain: false,
        properties: mqtt_session::proto::Properties::new(),
    };
    let config = config(Version::V5).credentials("user", password).will(will);
    hides(&config);
    hides(&config.clone().build()?);
    // In the URL, too.
    let url = peer.url().replace("//", &format!("//user:{password}@"));
    hides(&Endpoint::parse(&url)?);
    let (mut near, mut messages) = Near::reading(adapter, &url, config)?;
    near.connected().await?;
    let message = messages.next().await.ok_or("no message")?;
    assert_eq!(message.payload(), received.as_bytes());
    hides(&message);
    hides(&messages);
    let publishing = near.client.publish("a", QoS::AtLeastOnce, payload);
    hides(&publishing);
    let delivery = publishing.await?;
    hides(&delivery);
    hides(&near.client);
    let error = near.lost().await?;
    assert!(matches!(error, ConnectionError::Decode { .. }), "{error:?}");
    hides(&error);
    hides(&error.to_string());
    hides(&near.client);
    hides(&near.events);
    delivery.await?;
    near.works().await?;
    drop((message, messages));
    near.leave().await?;
    peer.join()
}
