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
    lives
}

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
