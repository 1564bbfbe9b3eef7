/// Target, name and input of what once failed.
pub(super) const ALL: &[(&str, &str, &[u8])] = &[
    // `encoded_len` told 2 for a PINGRESP of a client, and another error than `encode` for a CONNECT of a server.
    ("round_trip", "length-of-pingresp-from-client", &[12, 4, 3]),
    ("round_trip", "length-of-connect-from-server", &[0, 3, 3]),
    // Under a maximum packet size, properties that 3.1.1 can't carry were left out instead of refused.
    (
        "round_trip",
        "properties-of-3.1.1-connack-within-limit",
        &[1, 3, 3, 128, 4, 0, 0, 1, 29, 0, 0],
    ),
    (
        "round_trip",
        "properties-of-3.1.1-disconnect-within-limit",
        &[13, 2, 3, 128, 2, 0, 1, 5, 0, 0],
    ),
    // The encoder wrote a CONNACK with authentication data alone, which the decoder refused though no rule forbids it.
    (
        "round_trip",
        "connack-with-data-without-method",
        &[1, 5, 3, 0, 0, 0, 1, 21, 1, 9],
    ),
];
