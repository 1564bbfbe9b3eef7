use mqtt_protocol_core::mqtt::packet as theirs;
use theirs::{PayloadFormat, Property};

use crate::model::{Properties, Value, id};

/// One table, read both ways: which type of theirs has which identifier, and what its value is.
macro_rules! table {
    ($($id:ident: $name:ident($ty:ty),)*) => {
        fn to_property(id: u8, value: Value) -> Property {
            match id {
                id::PAYLOAD_FORMAT_INDICATOR => {
                    let format = if u8::from(value) == 1 { PayloadFormat::String } else { PayloadFormat::Binary };
                    theirs::PayloadFormatIndicator::new(format).expect("a value in range").into()
                }
                $(id::$id => theirs::$name::new(<$ty>::from(value)).expect("a value in range").into(),)*
                _ => unreachable!("no property has the identifier {id:#04x}"),
            }
        }

        fn from_property(property: &Property, into: &mut Properties) {
            match property {
                Property::PayloadFormatIndicator(p) => into.set(id::PAYLOAD_FORMAT_INDICATOR, Some(p.val())),
                Property::SubscriptionIdentifier(p) => into.subscription_ids.push(p.val()),
                Property::UserProperty(p) => into.user.push((p.key().to_owned(), p.val().to_owned())),
                $(Property::$name(p) => into.set::<$ty>(id::$id, Some(p.val().to_owned())),)*
            }
        }
    };
}

table! {
    MESSAGE_EXPIRY_INTERVAL: MessageExpiryInterval(u32),
    CONTENT_TYPE: ContentType(String),
    RESPONSE_TOPIC: ResponseTopic(String),
    CORRELATION_DATA: CorrelationData(Vec<u8>),
    SESSION_EXPIRY_INTERVAL: SessionExpiryInterval(u32),
    ASSIGNED_CLIENT_IDENTIFIER: AssignedClientIdentifier(String),
    SERVER_KEEP_ALIVE: ServerKeepAlive(u16),
    AUTHENTICATION_METHOD: AuthenticationMethod(String),
    AUTHENTICATION_DATA: AuthenticationData(Vec<u8>),
    REQUEST_PROBLEM_INFORMATION: RequestProblemInformation(u8),
    WILL_DELAY_INTERVAL: WillDelayInterval(u32),
    REQUEST_RESPONSE_INFORMATION: RequestResponseInformation(u8),
    RESPONSE_INFORMATION: ResponseInformation(String),
    SERVER_REFERENCE: ServerReference(String),
    REASON_STRING: ReasonString(String),
    RECEIVE_MAXIMUM: ReceiveMaximum(u16),
    TOPIC_ALIAS_MAXIMUM: TopicAliasMaximum(u16),
    TOPIC_ALIAS: TopicAlias(u16),
    MAXIMUM_QOS: MaximumQos(u8),
    RETAIN_AVAILABLE: RetainAvailable(u8),
    MAXIMUM_PACKET_SIZE: MaximumPacketSize(u32),
    WILDCARD_SUBSCRIPTION_AVAILABLE: WildcardSubscriptionAvailable(u8),
    SUBSCRIPTION_IDENTIFIER_AVAILABLE: SubscriptionIdentifierAvailable(u8),
    SHARED_SUBSCRIPTION_AVAILABLE: SharedSubscriptionAvailable(u8),
}

pub(super) fn to(properties: &Properties) -> theirs::Properties {
    let single = properties
        .iter()
        .map(|(id, value)| to_property(id, value.clone()));
    let ids = properties.subscription_ids.iter().map(|id| {
        theirs::SubscriptionIdentifier::new(*id)
            .expect("in range")
            .into()
    });
    let user = properties.user.iter().map(|(k, v)| {
        theirs::UserProperty::new(k, v)
            .expect("short enough")
            .into()
    });
    single.chain(ids).chain(user).collect()
}

pub(super) fn from(theirs: &[Property]) -> Properties {
    let mut properties = Properties::default();
    for property in theirs {
        from_property(property, &mut properties);
    }
    properties
}
