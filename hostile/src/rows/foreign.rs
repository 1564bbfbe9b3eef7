//! What of entry 9 is another protocol on the plain port.

use mqtt_session::proto::{DecodeError, PacketType, Sender};

use super::*;

pub(super) fn add(rows: &mut Rows) {
    let flags = |packet, flags| DecodeError::BadFlags { packet, flags };
    for version in VERSIONS {
        let before = Before::Connecting;
        let text = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
        let then = Then::Ends(Told::Other("HTTP", flags(PacketType::PubAck, 8)));
        rows.add(
            9,
            version,
            before,
            "HTTP on the plain port",
            Script::bytes(text),
            then,
        );
        let alert = [0x15, 3, 1, 0, 2, 2, 40];
        let (packet, sender) = (PacketType::Connect, Sender::Server);
        let then = Then::Ends(Told::Other(
            "TLS",
            DecodeError::WrongSender { packet, sender },
        ));
        rows.add(
            9,
            version,
            before,
            "TLS on the plain port",
            Script::bytes(alert),
            then,
        );
        let text = "SSH-2.0-OpenSSH_9.6\r\n";
        let then = Then::Ends(Told::Other("SSH", flags(PacketType::PubRec, 3)));
        rows.add(
            9,
            version,
            before,
            "SSH on the plain port",
            Script::bytes(text),
            then,
        );
        let text = "+OK POP3 ready\r\n";
        let then = decode(flags(PacketType::ConnAck, 11));
        rows.add(
            9,
            version,
            before,
            "POP3 on the plain port",
            Script::bytes(text),
            then,
        );
        let noise = [0x5B, 0x19, 0xEF, 0x03, 0xC4, 0x77, 0x92, 0x0D];
        let then = decode(flags(PacketType::PubRec, 11));
        rows.add(
            9,
            version,
            before,
            "random bytes",
            Script::bytes(noise),
            then,
        );
    }
}
