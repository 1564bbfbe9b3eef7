//! Every packet at every time: what is taken, what is answered, what ends the connection.

use mqtt_session::proto::Version;
use mqtt_session::{Fault, Phase, QueueId};

use crate::pair::VERSIONS;
use crate::pair::raw::Raw;
use crate::{assert_next_is_clean, lasting};

/// What comes of a packet on a connection with nothing under way.
enum Then {
    /// Nothing is written, and the connection stays.
    Stays,
    /// This is written, in 5.0 with 0x92, and the connection stays.
    Answers(&'static str),
    /// The connection ends, in 5.0 with this reason.
    Ends(u8),
    /// The connection ends without a word: the server has said its own.
    EndsSilently,
}

/// A packet of each type in its form of 5.0, with what 3.x has instead.
fn packets(version: Version) -> Vec<(&'static str, Vec<u8>, Then)> {
    use Then::*;
    let v5 = version.is_v5();
    let acked = |first: u8| vec![first, 2, 0, 9];
    vec![
        (
            "CONNECT",
            vec![0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60, 0, 0],
            Ends(0x82),
        ),
        (
            "CONNACK",
            if v5 {
                vec![0x20, 3, 0, 0, 0]
            } else {
                vec![0x20, 2, 0, 0]
            },
            Ends(0x82),
        ),
        ("PUBACK", acked(0x40), Stays),
        ("PUBREC", acked(0x50), Answers("PUBREL 9")),
        ("PUBREL", acked(0x62), Answers("PUBCOMP 9")),
        ("PUBCOMP", acked(0x70), Stays),
        ("SUBSCRIBE", vec![0x82, 6, 0, 1, 0, 1, b'a', 0], Ends(0x82)),
        (
            "SUBACK",
            if v5 {
                vec![0x90, 4, 0, 9, 0, 1]
            } else {
                vec![0x90, 3, 0, 9, 1]
            },
            Stays,
        ),
        ("UNSUBSCRIBE", vec![0xA2, 5, 0, 1, 0, 1, b'a'], Ends(0x82)),
        (
            "UNSUBACK",
            if v5 {
                vec![0xB0, 4, 0, 9, 0, 0]
            } else {
                acked(0xB0)
            },
            Stays,
        ),
        ("PINGREQ", vec![0xC0, 0], Ends(0x82)),
        ("PINGRESP", vec![0xD0, 0], Stays),
        (
            "DISCONNECT",
            vec![0xE0, 0],
            if v5 { EndsSilently } else { Ends(0) },
        ),
        ("AUTH", vec![0xF0, 0], Ends(0x82)),
        ("type 0", vec![0, 0], Ends(0x81)),
    ]
}

#[test]
fn on_an_idle_connection_each_packet_is_ignored_answered_or_the_end() {
    for version in VERSIONS {
        for (name, bytes, then) in packets(version) {
            let mut raw = Raw::connected(lasting(version));
            raw.bytes_in(&bytes);
            let lines = raw.lines();
            let case = format!("{version} {name}: {lines:?}");
            match then {
                Then::Stays => assert_eq!(lines, Vec::<String>::new(), "{case}"),
                Then::Answers(line) => {
                    let reason = if version.is_v5() { " 0x92" } else { "" };
                    assert_eq!(lines, [format!("{line}{reason}")], "{case}");
                }
                Then::Ends(reason) if version.is_v5() => {
                    assert_eq!(lines, [format!("DISCONNECT 0x{reason:02X}")], "{case}");
                }
                Then::Ends(_) | Then::EndsSilently => {
                    assert_eq!(lines, Vec::<String>::new(), "{case}");
                }
            }
            if matches!(then, Then::Stays | Then::Answers(_)) {
                assert_eq!(raw.session.phase(), Phase::Connected, "{case}");
                assert!(raw.losses().is_empty(), "{case}");
                raw.closed(mqtt_session::Cause::Eof);
            } else {
                assert_eq!(raw.last_loss().fault(), Fault::Peer, "{case}");
                assert_eq!(raw.session.phase(), Phase::Closing, "{case}");
            }
            assert_next_is_clean(&mut raw, true);
        }
    }
}

#[test]
fn ahead_of_connack_every_other_packet_is_the_end() {
    for version in VERSIONS {
        for (name, bytes, _) in packets(version) {
            if name == "CONNACK" {
                continue;
            }
            let mut raw = Raw::new(lasting(version));
            raw.session.start(raw.now);
            raw.open();
            raw.bytes_in(&bytes);
            let lines = raw.lines();
            let case = format!("{version} {name}: {lines:?}");
            assert_eq!(raw.last_loss().fault(), Fault::Peer, "{case}");
            assert_eq!(raw.session.phase(), Phase::Closing, "{case}");
            let said = lines.iter().all(|line| line.starts_with("DISCONNECT 0x8"));
            assert_eq!(lines.len(), usize::from(version.is_v5()), "{case}");
            assert!(said, "{case}");
            assert_next_is_clean(&mut raw, true);
        }
    }
}

#[test]
fn behind_the_end_no_packet_means_anything() {
    for version in VERSIONS {
        for (name, bytes, _) in packets(version) {
            let mut raw = Raw::connected(lasting(version));
            raw.bytes_in(&[0xC0, 0]);
            raw.packets();
            let losses = raw.losses().len();
            raw.bytes_in(&bytes);
            assert_eq!(raw.lines(), Vec::<String>::new(), "{version} {name}");
            assert_eq!(raw.losses().len(), losses, "{version} {name}");
            assert!(raw.session.poll_message(QueueId::DEFAULT).is_none());
            assert_next_is_clean(&mut raw, true);
        }
    }
}
