//! The numbers of `rumqttc`'s reason codes for 5.0, which it keeps to itself.

use rumqttc::v5::mqttbytes::v5::*;

macro_rules! codes {
    ($($module:ident: $ty:ident { $($name:ident = $code:literal),* $(,)? })*) => {$(
        pub(super) mod $module {
            use super::$ty;

            pub(in super::super) fn to(code: u8) -> $ty {
                match code {
                    $($code => $ty::$name,)*
                    _ => panic!("{code:#04x} is no code of {}", stringify!($ty)),
                }
            }

            pub(in super::super) fn from(code: $ty) -> u8 {
                match code {
                    $($ty::$name => $code,)*
                    #[allow(unreachable_patterns)]
                    other => panic!("{other:?} has no number in 5.0"),
                }
            }
        }
    )*};
}

codes! {
    connect: ConnectReturnCode {
        Success = 0x00,
        UnspecifiedError = 0x80,
        MalformedPacket = 0x81,
        ProtocolError = 0x82,
        ImplementationSpecificError = 0x83,
        UnsupportedProtocolVersion = 0x84,
        ClientIdentifierNotValid = 0x85,
        BadUserNamePassword = 0x86,
        NotAuthorized = 0x87,
        ServerUnavailable = 0x88,
        ServerBusy = 0x89,
        Banned = 0x8A,
        BadAuthenticationMethod = 0x8C,
        TopicNameInvalid = 0x90,
        PacketTooLarge = 0x95,
        QuotaExceeded = 0x97,
        PayloadFormatInvalid = 0x99,
        RetainNotSupported = 0x9A,
        QoSNotSupported = 0x9B,
        UseAnotherServer = 0x9C,
        ServerMoved = 0x9D,
        ConnectionRateExceeded = 0x9F,
    }
    puback: PubAckReason {
        Success = 0x00,
        NoMatchingSubscribers = 0x10,
        UnspecifiedError = 0x80,
        ImplementationSpecificError = 0x83,
        NotAuthorized = 0x87,
        TopicNameInvalid = 0x90,
        PacketIdentifierInUse = 0x91,
        QuotaExceeded = 0x97,
        PayloadFormatInvalid = 0x99,
    }
    pubrec: PubRecReason {
        Success = 0x00,
        NoMatchingSubscribers = 0x10,
        UnspecifiedError = 0x80,
        ImplementationSpecificError = 0x83,
        NotAuthorized = 0x87,
        TopicNameInvalid = 0x90,
        PacketIdentifierInUse = 0x91,
        QuotaExceeded = 0x97,
        PayloadFormatInvalid = 0x99,
    }
    pubrel: PubRelReason {
        Success = 0x00,
        PacketIdentifierNotFound = 0x92,
    }
    pubcomp: PubCompReason {
        Success = 0x00,
        PacketIdentifierNotFound = 0x92,
    }
    suback: SubscribeReasonCode {
        Unspecified = 0x80,
        ImplementationSpecific = 0x83,
        NotAuthorized = 0x87,
        TopicFilterInvalid = 0x8F,
        PkidInUse = 0x91,
        QuotaExceeded = 0x97,
        SharedSubscriptionsNotSupported = 0x9E,
        SubscriptionIdNotSupported = 0xA1,
        WildcardSubscriptionsNotSupported = 0xA2,
    }
    unsuback: UnsubAckReason {
        Success = 0x00,
        NoSubscriptionExisted = 0x11,
        UnspecifiedError = 0x80,
        ImplementationSpecificError = 0x83,
        NotAuthorized = 0x87,
        TopicFilterInvalid = 0x8F,
        PacketIdentifierInUse = 0x91,
    }
    retain: RetainForwardRule {
        OnEverySubscribe = 0,
        OnNewSubscribe = 1,
        Never = 2,
    }
}
