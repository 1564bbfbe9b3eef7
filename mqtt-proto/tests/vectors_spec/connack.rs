use std::num::{NonZeroU16, NonZeroU32};

use mqtt_proto::{ConnAck, Packet, Properties, ReasonCode, Sender, Version};

use crate::common::{accepts, both_ways, hex};

#[track_caller]
fn is(version: Version, bytes: &str, connack: ConnAck) {
    both_ways(
        version,
        Sender::Server,
        &hex(bytes),
        Packet::ConnAck(connack),
    );
}

fn refused(reason: ReasonCode) -> ConnAck {
    ConnAck {
        reason,
        ..ConnAck::default()
    }
}

#[test]
fn accepted() {
    is(Version::V3_1, "20 02 00 00", ConnAck::default());
    is(Version::V3_1_1, "20 02 00 00", ConnAck::default());
    is(Version::V5, "20 03 00 00 00", ConnAck::default());
}

#[test]
fn accepted_with_the_session_of_before() {
    let present = ConnAck {
        session_present: true,
        ..ConnAck::default()
    };
    is(Version::V3_1_1, "20 02 01 00", present.clone());
    is(Version::V5, "20 03 01 00 00", present);
}

#[test]
fn return_codes_of_3_1_and_3_1_1_are_the_reason_codes_that_mean_the_same() {
    for version in [Version::V3_1, Version::V3_1_1] {
        is(
            version,
            "20 02 00 01",
            refused(ReasonCode::UNSUPPORTED_PROTOCOL_VERSION),
        );
        is(
            version,
            "20 02 00 02",
            refused(ReasonCode::CLIENT_IDENTIFIER_NOT_VALID),
        );
        is(
            version,
            "20 02 00 03",
            refused(ReasonCode::SERVER_UNAVAILABLE),
        );
        is(
            version,
            "20 02 00 04",
            refused(ReasonCode::BAD_USER_NAME_OR_PASSWORD),
        );
        is(version, "20 02 00 05", refused(ReasonCode::NOT_AUTHORIZED));
        for code in 6..=255 {
            let error = crate::common::refuses(version, Sender::Server, &[0x20, 2, 0, code]);
            assert_eq!(error.reason(), ReasonCode::PROTOCOL_ERROR);
        }
    }
}

#[test]
fn the_unused_byte_of_3_1_is_ignored() {
    let packet = accepts(Version::V3_1, Sender::Server, &hex("20 02 FF 00"));
    assert_eq!(packet, Packet::ConnAck(ConnAck::default()));
}

#[test]
fn refused_in_5_with_a_reason() {
    let properties = Properties::builder()
        .reason_string("no")
        .server_reference("other")
        .build()
        .unwrap();
    is(
        Version::V5,
        "20 10 00 9C 0D 1F 0002 6E6F 1C 0005 6F74686572",
        ConnAck {
            properties,
            ..refused(ReasonCode::USE_ANOTHER_SERVER)
        },
    );
}

#[test]
fn every_limit_of_a_server() {
    let properties = Properties::builder()
        .session_expiry_interval(1)
        .receive_maximum(NonZeroU16::new(2).unwrap())
        .maximum_qos(true)
        .retain_available(false)
        .maximum_packet_size(NonZeroU32::new(3).unwrap())
        .assigned_client_identifier("i")
        .topic_alias_maximum(4)
        .wildcard_subscription_available(false)
        .subscription_identifier_available(true)
        .shared_subscription_available(false)
        .server_keep_alive(5)
        .response_information("r")
        .build()
        .unwrap();
    let limits = properties.view();
    assert_eq!(limits.session_expiry_interval(), Some(1));
    assert_eq!(limits.receive_maximum().map(NonZeroU16::get), Some(2));
    assert_eq!(limits.maximum_qos(), Some(true));
    assert_eq!(limits.retain_available(), Some(false));
    assert_eq!(limits.maximum_packet_size().map(NonZeroU32::get), Some(3));
    assert_eq!(limits.assigned_client_identifier(), Some("i"));
    assert_eq!(limits.topic_alias_maximum(), Some(4));
    assert_eq!(limits.wildcard_subscription_available(), Some(false));
    assert_eq!(limits.subscription_identifier_available(), Some(true));
    assert_eq!(limits.shared_subscription_available(), Some(false));
    assert_eq!(limits.server_keep_alive(), Some(5));
    assert_eq!(limits.response_information(), Some("r"));
    assert_eq!(limits.maximum_qos().and(limits.reason_string()), None);
    is(
        Version::V5,
        "20 28 00 00 25 11 00000001 21 0002 24 01 25 00 27 00000003 12 0001 69 22 0004 28 00 29 01 2A 00 13 0005 1A 0001 72",
        ConnAck {
            properties,
            ..ConnAck::default()
        },
    );
}
