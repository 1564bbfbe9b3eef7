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
    // An identifier that had come at QoS 2 over an earlier connection came at QoS 1: what came under it at QoS 2 after that was
    // taken for the first message once more, whichever it was.
    (
        "session",
        "identifier-in-doubt-at-qos-1",
        &[
            2, 10, 12, 238, 172, 113, 135, 19, 174, 162, 160, 224, 252, 180, 76, 12, 127, 151, 154,
            216, 151, 201, 234, 44, 87, 26, 119, 67, 199, 79, 210, 137, 214, 202, 21, 0, 0, 0, 5,
            3, 18, 0, 0, 10, 18, 0, 0, 82, 19, 56, 10, 202, 15, 1, 1, 18, 0, 58, 12, 1, 0, 167, 10,
            10, 193, 103, 165, 76, 235, 78, 196, 215, 218, 82, 244, 103, 219, 118, 83, 6, 6,
        ],
    ),
    // A message waited at QoS 1 under an identifier in doubt when that of QoS 2 came again under it, and stayed noted: what came twice under
    // it later was delivered twice.
    (
        "session",
        "identifier-in-doubt-held-at-qos-1",
        &[
            2, 0, 0, 0, 15, 1, 0, 18, 0, 0, 12, 1, 0, 18, 0, 0, 165, 164, 0, 1, 175, 32, 0, 165, 2,
            1, 0, 0, 0, 116, 2, 0, 0, 0, 0, 0, 10, 12, 15, 1, 0, 18, 0, 0, 12, 1, 0, 165, 0, 0,
            116, 252, 0, 0, 175, 32,
        ],
    ),
    // The model was wrong: it did not know that where a CONNACK never came, nobody knows which session there is.
    (
        "session",
        "identifier-behind-a-lost-connack",
        &[
            0, 1, 144, 144, 189, 189, 189, 189, 189, 3, 218, 6, 8, 0, 18, 255, 255, 255, 10, 15,
            255, 255, 255, 14, 10, 12, 15, 1, 1, 18, 0, 0, 12, 15, 1, 114, 5, 215, 174, 118, 21,
            204, 38, 6, 36, 4,
        ],
    ),
    (
        "session",
        "pubacks-behind-a-lost-connack",
        &[
            1, 1, 192, 154, 237, 50, 48, 187, 155, 162, 172, 195, 19, 112, 121, 201, 197, 167, 83,
            240, 18, 55, 150, 153, 145, 150, 18, 0, 0, 22, 60, 39, 219, 201, 55, 150, 153, 23, 18,
            0, 12, 255, 10, 15, 255, 10, 255, 14, 10, 12, 15, 1, 1, 18, 0, 0, 12, 2, 3, 18, 0, 0,
            22, 60, 39, 219, 236, 104, 49, 64, 2, 92, 194, 100, 142, 142,
        ],
    ),
];
