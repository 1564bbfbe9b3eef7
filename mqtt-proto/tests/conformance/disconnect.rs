//! DISCONNECT and AUTH (sections 3.14 and 3.15).

use mqtt_proto::{
    DecodeError, Disconnect, EncodeError, Packet, PacketType, Properties, PropertyId, ReasonCode,
    Sender, Version,
};

use crate::common::packets::Place;
use crate::common::{SENDERS, accepts, both_ways, encode, frame, hex, refuses};
use crate::runner::Cases;

pub(crate) fn add(cases: &mut Cases) {
    cases.both(
        &["MQTT-3.14.1-1"],
        &["MQTT-3.14.1-1"],
        "DISCONNECT with a reserved bit is malformed, and none is written",
        |version| {
            let packet = Packet::Disconnect(Disconnect::default());
            both_ways(version, Sender::Client, &hex("E0 00"), packet);
            for flags in 1..16 {
                let error = refuses(version, Sender::Client, &frame(0xE0 | flags, b""));
                assert_eq!(
                    error,
                    DecodeError::BadFlags {
                        packet: PacketType::Disconnect,
                        flags
                    }
                );
                assert_eq!(error.reason(), ReasonCode::MALFORMED_PACKET);
            }
        },
    );
    cases.v5(&["MQTT-3.14.2-2"], "a session expiry interval from the server is refused both ways; from the client it is taken", || {
        let (property, packet) = (PropertyId::SESSION_EXPIRY_INTERVAL, PacketType::Disconnect);
        let [client, server] = SENDERS.map(|sender| Place::Packet(14).packet(sender, &hex("11 00000007")));
        let properties = Properties::builder().session_expiry_interval(7).build().unwrap();
        let disconnect = Packet::Disconnect(Disconnect { reason: ReasonCode::MALFORMED_PACKET, properties });
        both_ways(Version::V5, Sender::Client, &client, disconnect.clone());
        let sender = Sender::Server;
        let error = refuses(Version::V5, sender, &server);
        assert_eq!(error, DecodeError::PropertyNotAllowed { property, packet, sender });
        let error = encode(Version::V5, sender, &disconnect);
        assert_eq!(error, Err(EncodeError::PropertyNotAllowed { property, packet, sender }));
    });
    cases.v5(
        &["MQTT-3.15.1-1"],
        "AUTH with a reserved bit is malformed",
        || {
            let body = hex("18 04 15 0001 6D");
            for sender in SENDERS {
                accepts(Version::V5, sender, &frame(0xF0, &body));
                for flags in 1..16 {
                    let error = refuses(Version::V5, sender, &frame(0xF0 | flags, &body));
                    assert_eq!(
                        error,
                        DecodeError::BadFlags {
                            packet: PacketType::Auth,
                            flags
                        }
                    );
                    assert_eq!(error.reason(), ReasonCode::MALFORMED_PACKET);
                }
            }
        },
    );
}
