//! What is printed never shows a password, authentication data or a payload.

use bytes::Bytes;

use super::*;
use crate::common::accepts;
use mqtt_proto::{Auth, Connect, Outbox, Packet, Properties, Publish, QoS, Text, Topic, Will};

const SECRET: &[u8] = b"hunter2";

#[track_caller]
fn hides(value: &impl std::fmt::Debug) {
    for shown in [format!("{value:?}"), format!("{value:#?}")] {
        assert!(!shown.contains("hunter2"), "{shown}");
        // Nor as a list of numbers.
        let numbers: String = shown.chars().filter(|c| !c.is_whitespace()).collect();
        assert!(!numbers.contains("104,117,110,116,101,114"), "{shown}");
    }
}

#[track_caller]
fn shows(value: &impl std::fmt::Debug, parts: &[&str]) {
    let shown = format!("{value:?}");
    for part in parts {
        assert!(shown.contains(part), "{shown} lacks {part}");
    }
}

#[test]
fn debug_shows_no_password_will_payload_or_authentication_data() {
    let authentication = Properties::builder()
        .authentication_method("m")
        .authentication_data(SECRET)
        .build()
        .unwrap();
    let will = Will {
        topic: Topic::try_from("w").unwrap(),
        payload: Bytes::from_static(SECRET),
        qos: QoS::AtMostOnce,
        retain: false,
        properties: Properties::new(),
    };
    hides(&will);
    shows(&will, &["\"w\"", "AtMostOnce", "payload_len: 7"]);
    let connect = Connect {
        version: Version::V5,
        client_id: Text::try_from("c").unwrap(),
        clean_start: true,
        keep_alive: 0,
        will: Some(will),
        user_name: None,
        password: Some(Bytes::from_static(SECRET)),
        properties: authentication.clone(),
    };
    hides(&connect);
    shows(
        &connect,
        &["V5", "\"c\"", "password: Some(\"(secret)\")", "Will"],
    );
    hides(&Packet::Connect(Box::new(connect)));
    hides(&authentication);
    hides(&authentication.view());
    shows(
        &authentication,
        &["Authentication Method", "\"m\"", "(secret)"],
    );
    hides(&Packet::Auth(Auth {
        reason: ReasonCode::CONTINUE_AUTHENTICATION,
        properties: authentication,
    }));
}

#[test]
fn debug_shows_no_payload() {
    let publish = Publish::new(Topic::try_from("t").unwrap(), SECRET);
    hides(&publish);
    let bytes = crate::common::packets::publish(Version::V5, 0x30, "t", SECRET);
    let packet = accepts(Version::V5, Sender::Server, &bytes);
    hides(&packet);
    let mut out = Outbox::new();
    out.push(bytes.into());
    hides(&out);
    shows(&out, &["Outbox", "len: 13"]);
    assert!(format!("{packet:?}").contains("payload_len: 7"));
}
