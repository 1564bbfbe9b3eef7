use mqtt_proto::{
    Auth, DecodeError, Disconnect, Packet, PacketType, Properties, ReasonCode, Sender, Version,
};

use crate::common::{SENDERS, VERSIONS, accepts, both_ways, hex, refuses};

fn disconnect(reason: ReasonCode, properties: Properties) -> Packet {
    Packet::Disconnect(Disconnect { reason, properties })
}

fn auth(reason: ReasonCode, properties: Properties) -> Packet {
    Packet::Auth(Auth { reason, properties })
}

#[test]
fn pings_have_no_body() {
    for version in VERSIONS {
        both_ways(version, Sender::Client, &hex("C0 00"), Packet::PingReq);
        both_ways(version, Sender::Server, &hex("D0 00"), Packet::PingResp);
        for (sender, bytes, packet) in [
            (Sender::Client, "C0 01 00", PacketType::PingReq),
            (Sender::Server, "D0 01 00", PacketType::PingResp),
        ] {
            assert_eq!(
                refuses(version, sender, &hex(bytes)),
                DecodeError::TrailingBytes { packet, extra: 1 }
            );
        }
    }
}

#[test]
fn disconnect_of_version_3_is_empty_and_the_clients() {
    for version in [Version::V3_1, Version::V3_1_1] {
        both_ways(
            version,
            Sender::Client,
            &hex("E0 00"),
            disconnect(ReasonCode::SUCCESS, Properties::new()),
        );
        let error = refuses(version, Sender::Client, &hex("E0 01 00"));
        assert_eq!(
            error,
            DecodeError::TrailingBytes {
                packet: PacketType::Disconnect,
                extra: 1
            }
        );
        let error = refuses(version, Sender::Server, &hex("E0 00"));
        assert_eq!(
            error,
            DecodeError::WrongSender {
                packet: PacketType::Disconnect,
                sender: Sender::Server
            }
        );
    }
}

#[test]
fn disconnect_of_5_in_its_three_forms() {
    let none = Properties::new;
    for sender in SENDERS {
        both_ways(
            Version::V5,
            sender,
            &hex("E0 00"),
            disconnect(ReasonCode::SUCCESS, none()),
        );
        both_ways(
            Version::V5,
            sender,
            &hex("E0 01 81"),
            disconnect(ReasonCode::MALFORMED_PACKET, none()),
        );
        for long in ["E0 01 00", "E0 02 00 00"] {
            assert_eq!(
                accepts(Version::V5, sender, &hex(long)),
                disconnect(ReasonCode::SUCCESS, none())
            );
        }
        let properties = Properties::builder()
            .reason_string("so")
            .user_property("a", "b")
            .build()
            .unwrap();
        let bytes = hex("E0 0E 98 0C 1F 0002 736F 26 0001 61 0001 62");
        both_ways(
            Version::V5,
            sender,
            &bytes,
            disconnect(ReasonCode::ADMINISTRATIVE_ACTION, properties),
        );
    }
}

/// The variable header of the example in section 3.14.2: session expiry interval 0.
#[test]
fn disconnect_of_5_as_in_the_example() {
    let properties = Properties::builder()
        .session_expiry_interval(0)
        .build()
        .unwrap();
    both_ways(
        Version::V5,
        Sender::Client,
        &hex("E0 07 00 05 11 00000000"),
        disconnect(ReasonCode::SUCCESS, properties),
    );
}

#[test]
fn disconnect_by_a_server_that_names_another() {
    let properties = Properties::builder()
        .server_reference("b:1")
        .build()
        .unwrap();
    let bytes = hex("E0 08 9D 06 1C 0003 623A31");
    both_ways(
        Version::V5,
        Sender::Server,
        &bytes,
        disconnect(ReasonCode::SERVER_MOVED, properties),
    );
}

#[test]
fn auth_continues_with_method_and_data() {
    let properties = Properties::builder()
        .authentication_method("GS2")
        .authentication_data([0, 1])
        .build()
        .unwrap();
    let bytes = hex("F0 0D 18 0B 15 0003 475332 16 0002 0001");
    for sender in SENDERS {
        both_ways(
            Version::V5,
            sender,
            &bytes,
            auth(ReasonCode::CONTINUE_AUTHENTICATION, properties.clone()),
        );
    }
}

#[test]
fn auth_begins_anew_from_the_client_and_succeeds_from_the_server() {
    let properties = Properties::builder()
        .authentication_method("m")
        .build()
        .unwrap();
    let (again, done) = (hex("F0 06 19 04 15 0001 6D"), hex("F0 06 00 04 15 0001 6D"));
    both_ways(
        Version::V5,
        Sender::Client,
        &again,
        auth(ReasonCode::RE_AUTHENTICATE, properties.clone()),
    );
    both_ways(
        Version::V5,
        Sender::Server,
        &done,
        auth(ReasonCode::SUCCESS, properties),
    );
    refuses(Version::V5, Sender::Server, &again);
    refuses(Version::V5, Sender::Client, &done);
}

#[test]
fn auth_without_a_body_is_success() {
    both_ways(
        Version::V5,
        Sender::Server,
        &hex("F0 00"),
        auth(ReasonCode::SUCCESS, Properties::new()),
    );
    refuses(Version::V5, Sender::Client, &hex("F0 00"));
}
