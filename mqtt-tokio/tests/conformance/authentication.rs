//! Who closes the network connection where authentication fails (section 4.12.1).

use mqtt_proto::{Disconnect, Packet, PacketType, ReasonCode, Version};
use mqtt_tokio::auth::{AuthAnswer, AuthError, AuthStep};
use mqtt_tokio::{Answers, ReauthenticateError};

use crate::peer::{block_on, config, connecting_with};
use crate::runner::Cases;

/// With the method M.
const CONNACK: [u8; 9] = [0x20, 7, 0, 0, 4, 0x15, 0, 1, b'M'];
const AUTH_SUCCESS: [u8; 8] = [0xF0, 6, 0, 4, 0x15, 0, 1, b'M'];
const DISCONNECT: [u8; 3] = [0xE0, 1, 0x87];

/// Is content with the first authentication alone.
fn content_once() -> Answers {
    let mut again = false;
    Answers::new().authentication(move |step| {
        again |= matches!(step, AuthStep::Begin { again: true, .. });
        std::future::ready(match step {
            AuthStep::Verify { .. } if again => Err(AuthError::Signature),
            _ => Ok(AuthAnswer::default()),
        })
    })
}

pub(crate) fn add(cases: &mut Cases) {
    cases.v5(
        &["MQTT-4.12.1-2"],
        "a re-authentication that fails on either side makes the client close, with a DISCONNECT where it is its own failure",
        || {
            block_on(async {
                let said = Disconnect::new(ReasonCode::UNSPECIFIED_ERROR);
                for (answer, rest) in [
                    (&AUTH_SUCCESS[..], vec![Packet::Disconnect(said)]),
                    (&DISCONNECT[..], vec![]),
                ] {
                    let config = config(Version::V5).authentication_method("M");
                    let (mut peer, client) = connecting_with(config, content_once()).await;
                    peer.write(&CONNACK).await;
                    let client = client.await.unwrap().unwrap();
                    let failed = tokio::spawn(async move { client.reauthenticate().await });
                    let auth = peer.read().await.unwrap();
                    assert_eq!(auth.packet_type(), PacketType::Auth);
                    peer.write(answer).await;
                    assert_eq!(peer.rest().await, rest);
                    let failed = failed.await.unwrap();
                    assert!(matches!(failed, Err(ReauthenticateError::Lost(_))), "{failed:?}");
                }
            });
        },
    );
}
