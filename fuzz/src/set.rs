//! Setters and getters of properties by identifier.

use std::num::{NonZeroU16, NonZeroU32};

use mqtt_proto::{PropertiesBuilder, PropertiesRef, PropertyId, PropertyValue};

macro_rules! properties {
    ($($id:ident $name:ident $kind:ident;)*) => {
        /// Calls the setter for this property.
        pub(crate) fn put(
            builder: PropertiesBuilder,
            id: PropertyId,
            value: PropertyValue<'_>,
        ) -> PropertiesBuilder {
            match (id, value) {
                $((PropertyId::$id, properties!(@value $kind v)) => {
                    builder.$name(properties!(@argument $kind v))
                })*
                (PropertyId::SUBSCRIPTION_IDENTIFIER, PropertyValue::VarInt(v)) => {
                    builder.subscription_identifier(v)
                }
                (PropertyId::USER_PROPERTY, PropertyValue::Pair(name, v)) => {
                    builder.user_property(name, v)
                }
                _ => panic!("there is no setter for {id} with {value:?}"),
            }
        }

        /// The getter for this property, with its type on the wire; `None` for the two that may repeat.
        pub(crate) fn get(view: PropertiesRef<'_>, id: PropertyId) -> Option<PropertyValue<'_>> {
            match id {
                $(PropertyId::$id => view.$name().map(|v| properties!(@wire $kind v)),)*
                _ => None,
            }
        }
    };
    (@value Bool $v:ident) => { PropertyValue::Byte($v) };
    (@value Two $v:ident) => { PropertyValue::TwoByte($v) };
    (@value TwoNonZero $v:ident) => { PropertyValue::TwoByte($v) };
    (@value Four $v:ident) => { PropertyValue::FourByte($v) };
    (@value FourNonZero $v:ident) => { PropertyValue::FourByte($v) };
    (@value Text $v:ident) => { PropertyValue::Text($v) };
    (@value Binary $v:ident) => { PropertyValue::Binary($v) };
    (@argument Bool $v:ident) => { $v == 1 };
    (@argument TwoNonZero $v:ident) => { NonZeroU16::new($v).expect("not zero") };
    (@argument FourNonZero $v:ident) => { NonZeroU32::new($v).expect("not zero") };
    (@argument $kind:ident $v:ident) => { $v };
    (@wire Bool $v:ident) => { PropertyValue::Byte(u8::from($v)) };
    (@wire TwoNonZero $v:ident) => { PropertyValue::TwoByte($v.get()) };
    (@wire FourNonZero $v:ident) => { PropertyValue::FourByte($v.get()) };
    (@wire $kind:ident $v:ident) => { properties!(@value $kind $v) };
}

properties! {
    PAYLOAD_FORMAT_INDICATOR payload_format_indicator Bool;
    MESSAGE_EXPIRY_INTERVAL message_expiry_interval Four;
    CONTENT_TYPE content_type Text;
    RESPONSE_TOPIC response_topic Text;
    CORRELATION_DATA correlation_data Binary;
    SESSION_EXPIRY_INTERVAL session_expiry_interval Four;
    ASSIGNED_CLIENT_IDENTIFIER assigned_client_identifier Text;
    SERVER_KEEP_ALIVE server_keep_alive Two;
    AUTHENTICATION_METHOD authentication_method Text;
    AUTHENTICATION_DATA authentication_data Binary;
    REQUEST_PROBLEM_INFORMATION request_problem_information Bool;
    WILL_DELAY_INTERVAL will_delay_interval Four;
    REQUEST_RESPONSE_INFORMATION request_response_information Bool;
    RESPONSE_INFORMATION response_information Text;
    SERVER_REFERENCE server_reference Text;
    REASON_STRING reason_string Text;
    RECEIVE_MAXIMUM receive_maximum TwoNonZero;
    TOPIC_ALIAS_MAXIMUM topic_alias_maximum Two;
    TOPIC_ALIAS topic_alias TwoNonZero;
    MAXIMUM_QOS maximum_qos Bool;
    RETAIN_AVAILABLE retain_available Bool;
    MAXIMUM_PACKET_SIZE maximum_packet_size FourNonZero;
    WILDCARD_SUBSCRIPTION_AVAILABLE wildcard_subscription_available Bool;
    SUBSCRIPTION_IDENTIFIER_AVAILABLE subscription_identifier_available Bool;
    SHARED_SUBSCRIPTION_AVAILABLE shared_subscription_available Bool;
}

/// The properties of a list, built.
pub(crate) fn build<'a>(
    values: impl IntoIterator<Item = (PropertyId, PropertyValue<'a>)>,
) -> mqtt_proto::Properties {
    values
        .into_iter()
        .fold(mqtt_proto::Properties::builder(), |builder, (id, value)| {
            put(builder, id, value)
        })
        .build()
        .expect("values that were read can be built")
}

/// The property with this identifier.
pub(crate) fn id(id: u8) -> Option<PropertyId> {
    PropertyId::ALL
        .iter()
        .copied()
        .find(|other| other.get() == id)
}
