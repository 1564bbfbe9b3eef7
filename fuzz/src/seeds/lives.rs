//! Inputs of `session`: what the bytes mean stands in `session/world.rs`.

/// Each version, with each policy alone and with all of them; the steps come from a fixed sequence, so they go on for long and in all
/// directions. Where the last bit of the policies is set, the first connection is made.
pub(super) fn all() -> Vec<(String, Vec<u8>)> {
    let mut lives = Vec::new();
    for (version, name) in ["5.0", "3.1.1", "3.1"].into_iter().enumerate() {
        for policies in [
            0x80, 0x81, 0x82, 0x84, 0x88, 0x90, 0xA0, 0xC0, 0x7F, 0xFF_u8,
        ] {
            let mut state = u32::from_be_bytes([version as u8, policies, 1, 6]);
            let fill = std::iter::repeat_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            });
            let head = [version as u8, 1, policies, policies ^ 0x5A];
            let input = head.into_iter().chain(fill.take(1500)).collect();
            lives.push((format!("{name}-policies-{policies:02x}"), input));
        }
    }
    for (version, name) in ["5.0", "3.1.1", "3.1"].into_iter().enumerate() {
        let input = [&[version as u8, 1, 0x81, 0xFF], &BY_HAND.concat()[..]].concat();
        lives.push((format!("{name}-by-hand"), input));
    }
    for (name, steps) in READS {
        for (version, of) in ["5.0", "3.1.1", "3.1"].into_iter().enumerate() {
            let small = [&[version as u8, 1, 0x80, 0xFF], &steps.concat()[..]].concat();
            lives.push((format!("{of}-read-{name}"), small));
        }
        // The first byte of a large inbox.
        for (version, of) in ["5.0", "3.1.1", "3.1"].into_iter().enumerate() {
            let large = [&[version as u8 + 192, 1, 0x80, 0xFF], &steps.concat()[..]].concat();
            lives.push((format!("{of}-read-{name}-large"), large));
        }
    }
    lives
}

/// Reads that hold several packets, or parts of them. A burst (255) and messages (254) end with how they are cut: whole (0), byte by byte (1), every
/// so many bytes (2), or all but the last bytes (3), which a later step (253) brings; plus 4 to 28 for another read buffer.
const READS: &[(&str, &[&[u8]])] = &[
    (
        "messages",
        &[
            // To `a` and `a/#`; SUBACK.
            &[4, 3, 18, 0, 0, 9, 2, 0],
            // At QoS 0, 1 and 2 by turns, under identifiers from 11 on; they are taken, given back and released.
            &[254, 3, 0, 10, 11, 12, 0],
            &[251, 255, 255],
            &[255, 3, 0, 2, 0, 0, 0, 2, 1, 0, 0, 2, 2, 0, 0, 2, 3, 0, 0, 0],
            &[254, 16 + 3, 40, 90, 149, 12, 0],
            &[251, 70, 70, 251, 255, 255],
            // Others as if sent again, of QoS 1 and 2, in small reads.
            &[254, 32 + 8 + 5, 9, 30, 60, 4, 0],
            &[251, 255, 255],
        ],
    ),
    (
        "messages-of-one-kind",
        &[
            // More than a run has, of QoS 0; some are left when the next come.
            &[254, 32, 200, 0, 139, 12, 0, 251, 70, 0],
            &[254, 0, 0, 0, 99, 0, 0, 251, 255, 255],
            // Of QoS 1 and of QoS 2, and one of QoS 0 now and then.
            &[254, 1, 3, 0, 70, 8, 0, 254, 2, 3, 100, 70, 8, 0],
            &[254, 6, 0, 0, 40, 8, 0, 251, 255, 255],
            // In 5.0 most under an alias, so that few are left in a large buffer when another is read into.
            &[254, 48 + 8, 255, 0, 59, 12, 0],
            &[254, 0, 0, 0, 0, 12, 0, 251, 255, 255],
            // Large ones, more than 64 KiB in a read.
            &[254, 48, 255, 0, 80, 12, 0, 251, 10, 10, 251, 255, 255],
        ],
    ),
    (
        "acknowledgements",
        &[
            &[0, 1, 1, 7, 0, 2, 1, 7, 0, 1, 1, 7, 0, 2, 1, 7, 12, 255],
            // PUBACK, PUBREC, PUBACK, PUBREC, and both PUBCOMPs, in a read; then SUBACK and UNSUBACK.
            &[
                255, 5, 0, 0, 0, 1, 1, 0, 2, 0, 0, 3, 1, 0, 1, 3, 0, 3, 3, 0, 0, 0,
            ],
            &[12, 255, 4, 3, 5, 3, 12, 255],
            &[255, 1, 0, 9, 2, 0, 0, 10, 2, 2, 0, 0],
            // PUBACKs for messages of which the driver has not taken a byte.
            &[
                0, 1, 1, 7, 0, 1, 1, 7, 255, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0,
            ],
        ],
    ),
    (
        "mixed",
        &[
            &[4, 3, 0, 1, 1, 7, 0, 2, 1, 7, 12, 255],
            // PUBLISH, PUBACK, PUBLISH, PINGRESP, PUBREL, PUBLISH.
            &[
                255, 5, 0, 4, 2, 3, 201, 0, 0, 0, 0, 4, 4, 7, 202, 0, 11, 0, 2, 202, 0, 0, 4, 0,
                11, 0, 0, 0,
            ],
            &[251, 3, 3, 12, 255],
            &[
                252, 18, 0, 0, 1, 0, 18, 0, 0, 4, 2, 3, 203, 18, 0, 0, 2, 0, 0, 252, 0, 0,
            ],
            // On the next connection: CONNACK, a PUBACK for what is not sent again yet, PUBLISH with DUP, PUBLISH.
            &[0, 1, 1, 7, 12, 255, 14, 10, 12, 15, 1, 1],
            &[
                255, 3, 0, 12, 1, 1, 0, 0, 0, 0, 4, 6, 3, 0, 0, 4, 4, 3, 205, 0, 0, 251, 3, 3,
            ],
        ],
    ),
    (
        "split",
        &[
            // All but the last 5 bytes; they come; then byte by byte, and every 3 bytes.
            &[254, 19, 40, 3, 3, 3, 4, 6, 253, 4, 251, 9, 9],
            &[254, 19, 40, 3, 3, 1, 0, 251, 9, 9],
            &[254, 19, 40, 7, 3, 2, 2, 251, 9, 9],
            // The rest comes together with whole packets.
            &[254, 17, 40, 3, 1, 3, 20, 254, 17, 40, 9, 1, 0, 0, 251, 9, 9],
            // And never, as the stream breaks; the next one begins byte by byte.
            &[254, 17, 40, 3, 1, 3, 20, 14, 10, 12, 15, 1, 1],
            &[
                255, 2, 0, 12, 1, 0, 0, 4, 2, 3, 201, 0, 11, 1, 0, 253, 255, 251, 3, 3,
            ],
        ],
    ),
    (
        "breach",
        &[
            // PUBLISH, PUBREL, a second CONNACK, PUBLISH.
            &[
                255, 3, 0, 4, 2, 3, 201, 0, 2, 201, 0, 0, 12, 1, 0, 0, 4, 2, 3, 203, 0, 0,
            ],
            &[251, 3, 3, 10, 12, 15, 1, 1, 18, 0, 0, 12, 1, 0],
            // PUBACK, which lets the next message leave; bytes that are no packet; PUBACK.
            &[0, 1, 1, 7, 0, 1, 1, 7, 12, 255],
            &[255, 2, 0, 0, 0, 0, 14, 2, 0xFF, 0xFF, 0, 0, 0, 0, 0],
            &[10, 12, 15, 1, 1, 18, 0, 0, 12, 1, 1],
            // Too many at once: of Receive Maximum, or of the inbox.
            &[254, 32 + 1, 255, 0, 255, 12, 0, 251, 255, 0],
            &[
                10,
                12,
                15,
                1,
                1,
                18,
                0,
                0,
                12,
                1,
                1,
                254,
                32 + 5,
                255,
                0,
                255,
                12,
                0,
            ],
        ],
    ),
];

/// A session in which everything is as it should be.
const BY_HAND: &[&[u8]] = &[
    // SUBSCRIBE to `a` and `a/#`, SUBACK; UNSUBSCRIBE, UNSUBACK.
    &[4, 3, 18, 0, 0, 9, 2, 0],
    &[5, 3, 18, 0, 0, 10, 2, 2],
    // A PUBLISH of QoS 1, which is taken and given back.
    &[18, 0, 0, 4, 2, 3, 201, 6, 8, 0],
    // One of QoS 2, and its PUBREL.
    &[18, 0, 0, 4, 4, 3, 202, 6, 8, 0, 18, 0, 0, 2, 0, 0],
    // PUBLISH at each QoS with the answers of the server; all of it is written.
    &[0, 0, 1, 7, 12, 255],
    &[0, 1, 1, 7, 18, 0, 0, 0, 0, 12, 255],
    &[0, 2, 1, 7, 18, 0, 0, 1, 0, 12, 255, 18, 0, 0, 3, 0, 12, 255],
    // 33 seconds without a packet: PINGREQ, and its answer.
    &[10, 15, 12, 255, 18, 0, 0, 11],
    // The stream breaks, and is opened again.
    &[14, 10, 12, 15, 1, 1, 18, 0, 0, 12, 1, 0],
];
