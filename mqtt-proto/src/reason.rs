//! Reason codes (section 2.4), and which packet may carry which.

use core::fmt;

use crate::{PacketType, Sender, Version};

/// A reason code. Below 0x80 it tells of success, from 0x80 on of failure. An unknown code can be held, but not decoded or
/// encoded: each packet has its list.
///
/// In 3.x, CONNACK return codes stand as the reason codes that mean the same, and SUBACK return codes are the same bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReasonCode(pub u8);

macro_rules! reason_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        impl ReasonCode {
            $($(#[$doc])* pub const $name: Self = Self($code);)*

            /// Every code that the specification names, without the second names of 0x00.
            pub const ALL: &[Self] = &[$(Self($code)),*];

            /// The name of the code in the specification; 0x00 has others in some packets.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

reason_codes! {
    /// Done as asked. Also: normal disconnection, granted QoS 0.
    SUCCESS = 0x00, "Success";
    /// The subscription is accepted, up to QoS 1.
    GRANTED_QOS_1 = 0x01, "Granted QoS 1";
    /// The subscription is accepted, up to QoS 2.
    GRANTED_QOS_2 = 0x02, "Granted QoS 2";
    /// The client wants its will published.
    DISCONNECT_WITH_WILL = 0x04, "Disconnect with Will Message";
    /// Accepted, but nobody subscribes.
    NO_MATCHING_SUBSCRIBERS = 0x10, "No matching subscribers";
    /// There was no such subscription.
    NO_SUBSCRIPTION_EXISTED = 0x11, "No subscription existed";
    /// Another step of authentication.
    CONTINUE_AUTHENTICATION = 0x18, "Continue authentication";
    /// The client begins to authenticate anew.
    RE_AUTHENTICATE = 0x19, "Re-authenticate";
    /// No reason is told, or none fits.
    UNSPECIFIED_ERROR = 0x80, "Unspecified error";
    /// The bytes can't be understood.
    MALFORMED_PACKET = 0x81, "Malformed Packet";
    /// The packet is well-formed but must not come here, or holds what it must not.
    PROTOCOL_ERROR = 0x82, "Protocol Error";
    /// Valid, but this receiver does not take it.
    IMPLEMENTATION_SPECIFIC_ERROR = 0x83, "Implementation specific error";
    /// The server does not speak this version.
    UNSUPPORTED_PROTOCOL_VERSION = 0x84, "Unsupported Protocol Version";
    /// The server refuses the client identifier.
    CLIENT_IDENTIFIER_NOT_VALID = 0x85, "Client Identifier not valid";
    /// The server refuses user name or password.
    BAD_USER_NAME_OR_PASSWORD = 0x86, "Bad User Name or Password";
    /// Not permitted.
    NOT_AUTHORIZED = 0x87, "Not authorized";
    /// The server can't serve now.
    SERVER_UNAVAILABLE = 0x88, "Server unavailable";
    /// The server has too much to do.
    SERVER_BUSY = 0x89, "Server busy";
    /// The client is banned.
    BANNED = 0x8A, "Banned";
    /// The server stops.
    SERVER_SHUTTING_DOWN = 0x8B, "Server shutting down";
    /// The authentication method is unknown or another than in CONNECT.
    BAD_AUTHENTICATION_METHOD = 0x8C, "Bad authentication method";
    /// Nothing came for one and a half keep-alive intervals.
    KEEP_ALIVE_TIMEOUT = 0x8D, "Keep Alive timeout";
    /// Another connection uses the same client identifier.
    SESSION_TAKEN_OVER = 0x8E, "Session taken over";
    /// The server refuses the topic filter.
    TOPIC_FILTER_INVALID = 0x8F, "Topic Filter invalid";
    /// The topic name is refused.
    TOPIC_NAME_INVALID = 0x90, "Topic Name invalid";
    /// The packet identifier is in use already.
    PACKET_IDENTIFIER_IN_USE = 0x91, "Packet Identifier in use";
    /// No message has this packet identifier.
    PACKET_IDENTIFIER_NOT_FOUND = 0x92, "Packet Identifier not found";
    /// More publications in flight than Receive Maximum allows.
    RECEIVE_MAXIMUM_EXCEEDED = 0x93, "Receive Maximum exceeded";
    /// The topic alias is zero, unknown, or above the maximum.
    TOPIC_ALIAS_INVALID = 0x94, "Topic Alias invalid";
    /// Larger than Maximum Packet Size.
    PACKET_TOO_LARGE = 0x95, "Packet too large";
    /// Messages come too fast.
    MESSAGE_RATE_TOO_HIGH = 0x96, "Message rate too high";
    /// A limit of the server or of the receiver is exceeded.
    QUOTA_EXCEEDED = 0x97, "Quota exceeded";
    /// Closed by an administrator.
    ADMINISTRATIVE_ACTION = 0x98, "Administrative action";
    /// The payload is not of the format that was indicated.
    PAYLOAD_FORMAT_INVALID = 0x99, "Payload format invalid";
    /// The server keeps no retained messages.
    RETAIN_NOT_SUPPORTED = 0x9A, "Retain not supported";
    /// Above the server's Maximum QoS.
    QOS_NOT_SUPPORTED = 0x9B, "QoS not supported";
    /// Use another server for now.
    USE_ANOTHER_SERVER = 0x9C, "Use another server";
    /// Use another server from now on.
    SERVER_MOVED = 0x9D, "Server moved";
    /// The server has no shared subscriptions.
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E, "Shared Subscriptions not supported";
    /// Connections come too fast.
    CONNECTION_RATE_EXCEEDED = 0x9F, "Connection rate exceeded";
    /// The longest time that was allowed for the connection is over.
    MAXIMUM_CONNECT_TIME = 0xA0, "Maximum connect time";
    /// The server has no subscription identifiers.
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xA1, "Subscription Identifiers not supported";
    /// The server has no wildcard subscriptions.
    WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xA2, "Wildcard Subscriptions not supported";
}

impl ReasonCode {
    /// Whether it tells of a failure: 0x80 or more.
    pub const fn is_error(self) -> bool {
        self.0 >= 0x80
    }

    /// Whether `sender` may put this code into a packet of this type in this version (section 2.4 and the section of the
    /// packet). In 3.x the answer is for the translated code; see the type.
    pub const fn allowed_in(self, packet: PacketType, sender: Sender, version: Version) -> bool {
        use PacketType as P;
        let code = self.0;
        let server = matches!(sender, Sender::Server);
        if !version.is_v5() {
            return match packet {
                P::ConnAck => matches!(code, 0 | 0x84 | 0x85 | 0x86 | 0x87 | 0x88) && server,
                P::SubAck => matches!(code, 0..=2 | 0x80) && server,
                P::PubAck | P::PubRec | P::PubRel | P::PubComp | P::Disconnect => code == 0,
                _ => false,
            };
        }
        match packet {
            // [MQTT-3.2.2-8]
            P::ConnAck => {
                server
                    && matches!(
                        code,
                        0x00 | 0x80
                            ..=0x8A
                                | 0x8C
                                | 0x90
                                | 0x95
                                | 0x97
                                | 0x99
                                | 0x9A
                                | 0x9B
                                | 0x9C
                                | 0x9D
                                | 0x9F
                    )
            }
            // [MQTT-3.4.2-1], [MQTT-3.5.2-1]
            P::PubAck | P::PubRec => {
                matches!(
                    code,
                    0x00 | 0x10 | 0x80 | 0x83 | 0x87 | 0x90 | 0x91 | 0x97 | 0x99
                )
            }
            // [MQTT-3.6.2-1], [MQTT-3.7.2-1]
            P::PubRel | P::PubComp => matches!(code, 0x00 | 0x92),
            // [MQTT-3.9.3-2], [MQTT-3.8.4-7]
            P::SubAck => {
                server
                    && matches!(
                        code,
                        0..=2 | 0x80 | 0x83 | 0x87 | 0x8F | 0x91 | 0x97 | 0x9E | 0xA1 | 0xA2
                    )
            }
            // [MQTT-3.11.3-2]
            P::UnsubAck => server && matches!(code, 0x00 | 0x11 | 0x80 | 0x83 | 0x87 | 0x8F | 0x91),
            // [MQTT-3.14.2-1]
            P::Disconnect => match code {
                // 0x8C is in the table of section 2.4 alone; re-authentication needs it.
                0x00 | 0x80..=0x83 | 0x8C | 0x90 | 0x93..=0x99 => true,
                0x04 => !server,
                0x87 | 0x89 | 0x8B | 0x8D | 0x8E | 0x8F | 0x9A..=0xA2 => server,
                _ => false,
            },
            // [MQTT-3.15.2-1]
            P::Auth => match code {
                0x18 => true,
                0x00 => server,
                0x19 => !server,
                _ => false,
            },
            _ => false,
        }
    }

    /// The reason code that means what a CONNACK return code of 3.x means.
    pub(crate) const fn from_return_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::SUCCESS),
            1 => Some(Self::UNSUPPORTED_PROTOCOL_VERSION),
            2 => Some(Self::CLIENT_IDENTIFIER_NOT_VALID),
            3 => Some(Self::SERVER_UNAVAILABLE),
            4 => Some(Self::BAD_USER_NAME_OR_PASSWORD),
            5 => Some(Self::NOT_AUTHORIZED),
            _ => None,
        }
    }

    pub(crate) const fn return_code(self) -> Option<u8> {
        match self {
            Self::SUCCESS => Some(0),
            Self::UNSUPPORTED_PROTOCOL_VERSION => Some(1),
            Self::CLIENT_IDENTIFIER_NOT_VALID => Some(2),
            Self::SERVER_UNAVAILABLE => Some(3),
            Self::BAD_USER_NAME_OR_PASSWORD => Some(4),
            Self::NOT_AUTHORIZED => Some(5),
            _ => None,
        }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:02X} {}", self.0, self.name().unwrap_or("(unknown)"))
    }
}

impl fmt::Debug for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
