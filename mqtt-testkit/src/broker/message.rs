//! Application messages as the broker keeps them.

use std::sync::Arc;

use bytes::Bytes;
use mqtt_proto::{
    Properties, PropertiesBuilder, PropertiesRef, PropertyId, PropertyValue, Publish, QoS, Topic,
};

use crate::Time;

#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) topic: Topic,
    pub(super) payload: Bytes,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    /// What is forwarded unchanged: no alias, no subscription identifiers, no expiry.
    pub(super) properties: Properties,
    pub(super) expires: Option<Time>,
    /// The client that published it; none if the test did.
    pub(super) publisher: Option<Arc<str>>,
}

impl Message {
    pub(super) fn of(publish: &Publish, qos: QoS, now: Time, publisher: Option<Arc<str>>) -> Self {
        let properties = publish.properties();
        // A `Publish` holds a valid topic; copied, so that no read buffer is kept alive.
        let topic = Topic::from_bytes(Bytes::copy_from_slice(publish.topic().as_bytes()));
        Self {
            topic: topic.expect("a topic that was checked before"),
            payload: Bytes::copy_from_slice(publish.payload()),
            qos,
            retain: publish.retain(),
            properties: forwarded(properties),
            expires: expiry(properties, now),
            publisher,
        }
    }

    /// The message as it was published, without what belongs to its delivery.
    pub(super) fn as_published(&self) -> Publish {
        Publish::new(self.topic.clone(), self.payload.clone())
            .with_retain(self.retain)
            .with_properties(self.properties.clone())
    }

    pub(super) fn has_expired(&self, now: Time) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }
}

/// When a message with these properties that came now expires.
pub(super) fn expiry(properties: PropertiesRef<'_>, now: Time) -> Option<Time> {
    let seconds = properties.message_expiry_interval()?;
    Some(now.saturating_add(Time::from_secs(seconds.into())))
}

/// What a server forwards unchanged and in order [MQTT-3.3.2-4], [MQTT-3.3.2-15] to [MQTT-3.3.2-18], [MQTT-3.3.2-20].
pub(super) fn forwarded(properties: PropertiesRef<'_>) -> Properties {
    let mut kept = Properties::builder();
    for (id, value) in properties {
        kept = match (id, value) {
            (PropertyId::PAYLOAD_FORMAT_INDICATOR, PropertyValue::Byte(value)) => {
                kept.payload_format_indicator(value == 1)
            }
            (PropertyId::CONTENT_TYPE, PropertyValue::Text(value)) => kept.content_type(value),
            (PropertyId::RESPONSE_TOPIC, PropertyValue::Text(value)) => kept.response_topic(value),
            (PropertyId::CORRELATION_DATA, PropertyValue::Binary(value)) => {
                kept.correlation_data(value)
            }
            (PropertyId::USER_PROPERTY, PropertyValue::Pair(name, value)) => {
                kept.user_property(name, value)
            }
            _ => kept,
        };
    }
    built(kept)
}

/// For builders whose values were checked where they came from.
pub(super) fn built(builder: PropertiesBuilder) -> Properties {
    builder.build().expect("properties of valid parts")
}

/// A message on its way to one client.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub(super) message: Message,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    /// The identifiers of the subscriptions that it matches.
    pub(super) ids: Vec<u32>,
}

impl Delivery {
    /// As a PUBLISH of 5.0 or of 3.x, at this time.
    pub(super) fn publish(&self, v5: bool, now: Time) -> Publish {
        let publish = Publish::new(self.message.topic.clone(), self.message.payload.clone())
            .with_retain(self.retain);
        if !v5 {
            return publish;
        }
        let mut properties = Properties::builder();
        if let Some(expires) = self.message.expires {
            // [MQTT-3.3.2-6]: less the whole seconds that it has waited.
            let left = expires.saturating_sub(now);
            let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            properties =
                properties.message_expiry_interval(u32::try_from(seconds).unwrap_or(u32::MAX));
        }
        properties = properties.extend(self.message.properties.view());
        for id in &self.ids {
            properties = properties.subscription_identifier(*id);
        }
        publish.with_properties(built(properties))
    }
}
