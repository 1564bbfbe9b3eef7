use bytes::Bytes;
use mqtt_proto::{Connect, Packet, Properties, QoS, Sender, Text, Topic, Version, Will};

use crate::common::{both_ways, hex};

fn connect(version: Version, client_id: &str) -> Connect {
    Connect {
        version,
        client_id: Text::try_from(client_id).unwrap(),
        clean_start: false,
        keep_alive: 10,
        will: None,
        user_name: None,
        password: None,
        properties: Properties::new(),
    }
}

#[track_caller]
fn is(bytes: &str, connect: Connect) {
    // CONNECT is read and written in the version that it names, whatever the codec's is.
    for version in crate::common::VERSIONS {
        both_ways(
            version,
            Sender::Client,
            &hex(bytes),
            Packet::Connect(Box::new(connect.clone())),
        );
    }
}

fn full(version: Version) -> Connect {
    Connect {
        will: Some(Will {
            topic: Topic::try_from("w/t").unwrap(),
            payload: Bytes::from_static(&[1, 0, 255]),
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: Properties::new(),
        }),
        clean_start: true,
        user_name: Some(Text::try_from("user").unwrap()),
        password: Some(Bytes::from_static(&[0, 1])),
        ..connect(version, "id")
    }
}

#[test]
fn connect_of_3_1_has_the_long_protocol_name() {
    is(
        "10 0F 0006 4D5149736470 03 00 000A 0001 70",
        connect(Version::V3_1, "p"),
    );
}

#[test]
fn connect_of_3_1_1_has_level_4() {
    is(
        "10 0D 0004 4D515454 04 00 000A 0001 70",
        connect(Version::V3_1_1, "p"),
    );
}

#[test]
fn connect_of_5_has_a_property_length() {
    is(
        "10 0E 0004 4D515454 05 00 000A 00 0001 70",
        connect(Version::V5, "p"),
    );
}

/// The flags of the non-normative example in section 3.1.2 (user name, password, no will retain, will QoS 1, will, clean start,
/// keep alive 10): 1100 1110.
#[test]
fn all_fields_with_the_flags_of_the_example_in_3_1_1() {
    is(
        "10 22 0004 4D515454 04 CE 000A 0002 6964 0003 772F74 0003 0100FF 0004 75736572 0002 0001",
        full(Version::V3_1_1),
    );
}

#[test]
fn all_fields_in_3_1() {
    is(
        "10 24 0006 4D5149736470 03 CE 000A 0002 6964 0003 772F74 0003 0100FF 0004 75736572 0002 0001",
        full(Version::V3_1),
    );
}

/// The example of section 3.1.2.11: flags 1100 1110, keep alive 10, session expiry interval 10.
#[test]
fn all_fields_with_the_flags_and_the_property_of_the_example_in_5() {
    let properties = Properties::builder()
        .session_expiry_interval(10)
        .build()
        .unwrap();
    is(
        "10 29 0004 4D515454 05 CE 000A 05 11 0000000A 0002 6964 00 0003 772F74 0003 0100FF 0004 75736572 0002 0001",
        Connect {
            properties,
            ..full(Version::V5)
        },
    );
}

#[test]
fn the_will_has_properties_of_its_own() {
    let mut connect = full(Version::V5);
    connect.password = None;
    connect.user_name = None;
    connect.properties = Properties::builder()
        .user_property("a", "b")
        .build()
        .unwrap();
    let will = connect.will.as_mut().unwrap();
    (will.qos, will.retain) = (QoS::ExactlyOnce, true);
    will.properties = Properties::builder()
        .will_delay_interval(5)
        .content_type("t")
        .build()
        .unwrap();
    is(
        "10 2A 0004 4D515454 05 36 000A 07 26 0001 61 0001 62 0002 6964 09 18 00000005 03 0001 74 0003 772F74 0003 0100FF",
        connect,
    );
}

#[test]
fn an_empty_client_identifier_a_will_without_payload_and_an_empty_password() {
    let mut connect = full(Version::V5);
    connect.client_id = Text::default();
    connect.will.as_mut().unwrap().payload = Bytes::new();
    connect.user_name = None;
    connect.password = Some(Bytes::new());
    is(
        "10 17 0004 4D515454 05 4E 000A 00 0000 00 0003 772F74 0000 0000",
        connect,
    );
}

#[test]
fn keep_alive_reaches_65_535() {
    let connect = Connect {
        keep_alive: 65_535,
        clean_start: true,
        ..connect(Version::V3_1_1, "p")
    };
    is("10 0D 0004 4D515454 04 02 FFFF 0001 70", connect);
}
