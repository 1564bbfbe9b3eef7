//! The vectors that see it differently from the specification: at most 15.

use crate::vectors::List;

/// Groups, names of vectors, and why the client does the other thing.
pub(crate) const WAIVED: List = &[
    (
        "v5.0 CONNACK",
        &["20 long"],
        "a byte stands behind the last field, where CONNACK has no payload: libmosquitto overlooks it",
    ),
    (
        "v5.0 CONNACK ALLOWED PROPERTIES INVALID",
        &["20 with assigned-client-identifier (UTF-8 string)"],
        "an identifier is assigned, though the client had its own: no rule forbids it (section 3.2.2.3.7), and the client goes by it",
    ),
    (
        "v5.0 CONNACK ALLOWED PROPERTIES VALID",
        &["20 with maximum-packet-size (four byte integer)"],
        "a server that takes packets of one byte can't be sent any, an acknowledgement neither [MQTT-3.2.2-15]: the client leaves it",
    ),
    (
        "v5.0 CONNACK ALLOWED PROPERTIES VALID",
        &["20 with response-information (UTF-8 string)"],
        "Response Information that CONNECT had not asked for must not be sent [MQTT-3.1.2-28]",
    ),
    (
        "v5.0 CONNACK ALLOWED PROPERTIES VALID",
        &[
            "20 with authentication-method (UTF-8 string)",
            "20 with authentication-data (binary data)",
        ],
        "authentication that CONNECT had not begun must not be answered [MQTT-4.12.0-6], and there are no data without a method",
    ),
];
