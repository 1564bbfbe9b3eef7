//! Each gap of a rival, shown with bytes that are written here from the specification: we read what they say, the rival does
//! not. When one of these tests fails the rival has been mended, and its gap is to be closed.

use cross_codec::model::{Packet, Sender, Version, id};
use cross_codec::rivals::{ProtocolCore, Rmqtt, Rumqttc};
use cross_codec::{Rival, ours};

/// We decode these bytes and encode the same again; the rival refuses them or reads something else; and `gaps` is what helps.
fn is_a_gap_of<R: Rival>(version: Version, sender: Sender, bytes: &[u8]) -> Packet {
    let packet = ours::decode(version, sender, bytes).expect("bytes as the specification has them");
    assert_eq!(ours::encode(version, sender, &packet), bytes);
    assert_ne!(
        R::decode(version, bytes).as_ref(),
        Ok(&packet),
        "the gap is closed"
    );
    let mut changed = packet.clone();
    R::gaps(version, &mut changed);
    assert_ne!(changed, packet, "`gaps` lets it through");
    let bytes = ours::encode(version, sender, &changed);
    assert_eq!(R::decode(version, &bytes), Ok(changed));
    packet
}

const CONNECT_3_1_1: &[u8] = b"\x00\x04MQTT\x04";
const CONNECT_5_0: &[u8] = b"\x00\x04MQTT\x05";

/// CONNECT with keep-alive 60.
fn connect(start: &[u8], flags: u8, rest: &[u8]) -> Vec<u8> {
    let body = [start, &[flags, 0, 60], rest].concat();
    [&[0x10, body.len() as u8], &body[..]].concat()
}

#[test]
fn rumqttc_takes_an_empty_user_name_for_none() {
    // Section 3.1.3.5: a UTF-8 string, which may be empty (section 1.5.4).
    is_a_gap_of::<Rumqttc>(
        Version::V3_1_1,
        Sender::Client,
        &connect(CONNECT_3_1_1, 0x82, b"\x00\x01c\x00\x00"),
    );
    is_a_gap_of::<Rumqttc>(
        Version::V5,
        Sender::Client,
        &connect(CONNECT_5_0, 0x82, b"\x00\x00\x01c\x00\x00"),
    );
}

#[test]
fn rumqttc_takes_an_empty_password_for_none() {
    // Section 3.1.3.6: 0 to 65,535 bytes.
    is_a_gap_of::<Rumqttc>(
        Version::V5,
        Sender::Client,
        &connect(CONNECT_5_0, 0xC2, b"\x00\x00\x01c\x00\x01u\x00\x00"),
    );
}

#[test]
fn rumqttc_refuses_a_password_that_is_no_text() {
    // Section 3.1.3.6: binary data. In 3.1.1 section 3.1.3.5.
    let rest = b"\x00\x01c\x00\x01u\x00\x02\xff\xfe";
    is_a_gap_of::<Rumqttc>(
        Version::V3_1_1,
        Sender::Client,
        &connect(CONNECT_3_1_1, 0xC2, rest),
    );
}

#[test]
fn rumqttc_refuses_a_disconnect_that_leaves_out_what_it_may() {
    // Section 3.14.2.1: without reason code it means 0x00; section 3.14.2.2.1: without property length there are no properties.
    is_a_gap_of::<Rumqttc>(Version::V5, Sender::Client, &[0xE0, 0x00]);
    is_a_gap_of::<Rumqttc>(Version::V5, Sender::Client, &[0xE0, 0x01, 0x04]);
}

#[test]
fn rumqttc_writes_a_wrong_length_for_a_disconnect_without_properties() {
    // Section 2.1.4: the remaining length counts the reason code and the property length.
    let packet = Packet::Disconnect {
        code: 0x80,
        properties: Default::default(),
    };
    assert_eq!(
        Rumqttc::encode(Version::V5, &packet),
        [0xE0, 0x01, 0x80, 0x00]
    );
}

#[test]
fn rumqttc_takes_the_last_of_several_subscription_identifiers_for_payload() {
    // Section 3.3.2.3.8.
    let bytes = b"\x30\x0b\x00\x01t\x06\x0b\x01\x0b\x02\x0b\x03p";
    is_a_gap_of::<Rumqttc>(Version::V5, Sender::Server, bytes);
}

#[test]
fn rumqttc_does_not_decode_auth() {
    let bytes = b"\xf0\x06\x18\x04\x15\x00\x01m";
    let packet = ours::decode(Version::V5, Sender::Server, bytes).expect("section 3.15");
    assert!(matches!(packet, Packet::Auth { code: 0x18, .. }));
    Rumqttc::decode(Version::V5, bytes).expect_err("the gap is closed");
}

#[test]
fn rmqtt_codec_refuses_an_empty_client_identifier_without_clean_start() {
    // Section 3.1.3.1 of 5.0: a server may allow it.
    is_a_gap_of::<Rmqtt>(
        Version::V5,
        Sender::Client,
        &connect(CONNECT_5_0, 0x00, b"\x00\x00\x00"),
    );
}

#[test]
fn rmqtt_codec_refuses_a_message_expiry_interval_of_zero() {
    // Sections 3.3.2.3.3 and 3.1.3.2.4: a four byte integer, of which no value is excluded.
    let bytes = b"\x30\x09\x00\x01t\x05\x02\x00\x00\x00\x00";
    is_a_gap_of::<Rmqtt>(Version::V5, Sender::Client, bytes);
    let rest = b"\x00\x00\x01c\x05\x02\x00\x00\x00\x00\x00\x01t\x00\x00";
    is_a_gap_of::<Rmqtt>(
        Version::V5,
        Sender::Client,
        &connect(CONNECT_5_0, 0x06, rest),
    );
}

#[test]
fn rmqtt_codec_can_not_tell_a_default_from_an_absent_property() {
    // Section 3.1.2.11.2: absent means 0. Nothing is wrong here, but the fields can't be compared.
    let rest = b"\x05\x11\x00\x00\x00\x00\x00\x01c";
    let packet = is_a_gap_of::<Rmqtt>(
        Version::V5,
        Sender::Client,
        &connect(CONNECT_5_0, 0x02, rest),
    );
    let Packet::Connect(connect) = packet else {
        panic!("{packet:?}")
    };
    assert_eq!(
        connect.properties.get::<u32>(id::SESSION_EXPIRY_INTERVAL),
        Some(0)
    );
}

#[test]
fn mqtt_protocol_core_refuses_a_password_without_a_user_name() {
    // Section 3.1.2.9 of 5.0 allows it, where 3.1.1 did not.
    let bytes = connect(CONNECT_5_0, 0x42, b"\x00\x00\x01c\x00\x01p");
    is_a_gap_of::<ProtocolCore>(Version::V5, Sender::Client, &bytes);
}
