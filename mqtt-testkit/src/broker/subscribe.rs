//! SUBSCRIBE and UNSUBSCRIBE.

use std::sync::Arc;

use mqtt_proto::{
    Packet, Properties, ReasonCode, RetainHandling, SubAck, Subscribe, SubscribeOptions,
    TopicFilter, UnsubAck, Unsubscribe,
};

use super::connection::{Connection, Effect};
use super::message::Delivery;
use super::session::Subscription;
use super::violation::{Checked, Fault};
use super::{Broker, ConnId};

impl Broker {
    pub(super) fn subscribe(&mut self, conn: ConnId, subscribe: &Subscribe) -> Checked {
        let Some((connection, session)) = self.pair(conn) else {
            return Ok(());
        };
        let (up, config) = (&mut connection.up, &connection.config);
        session.inbound.request(up, subscribe.id, config)?;
        let mut identifiers = subscribe.properties.view().subscription_identifiers();
        let identifier = identifiers.next();
        if connection.version.is_v5() {
            check_available(connection, subscribe, identifier.is_some())?;
        }
        let maximum_qos = connection.config.maximum_qos;
        let client_id = session.client_id.clone();
        let mut codes = Vec::new();
        let mut retained = Vec::new();
        for (filter, options) in &subscribe.filters {
            // [MQTT-3.2.2-10]
            let options = SubscribeOptions {
                qos: options.qos.min(maximum_qos),
                ..*options
            };
            match self.subscribe_to(&client_id, filter, options, identifier) {
                Ok(is_new) => {
                    codes.push(ReasonCode(options.qos.as_u8()));
                    let handling = options.retain_handling;
                    if handling == RetainHandling::Send
                        || (handling == RetainHandling::SendIfNew && is_new)
                    {
                        retained.push((filter, options));
                    }
                }
                Err(reason) => codes.push(reason),
            }
        }
        let suback = SubAck {
            id: subscribe.id,
            codes: self.codes(conn, codes),
            properties: Properties::new(),
        };
        let effect = Effect::Answered(subscribe.id);
        self.send(conn, &Packet::SubAck(suback), effect);
        for (filter, options) in retained {
            self.send_retained(&client_id, filter, options, identifier);
        }
        Ok(())
    }

    /// Whether the subscription is new, or why there is none.
    fn subscribe_to(
        &mut self,
        client_id: &Arc<str>,
        filter: &TopicFilter,
        options: SubscribeOptions,
        identifier: Option<u32>,
    ) -> Result<bool, ReasonCode> {
        let refusals = &self.script.refused_filters;
        if let Some((_, reason)) = refusals.iter().find(|(refused, _)| refused == filter) {
            return Err(*reason);
        }
        // Only 3.x gets here with what is not available.
        if filter.has_wildcard() && !self.config.wildcards_available {
            return Err(ReasonCode::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED);
        }
        let session = self.sessions.get_mut(client_id);
        let session = session.ok_or(ReasonCode::UNSPECIFIED_ERROR)?;
        // A copy, so that the read buffer is not kept alive.
        let filter = TopicFilter::try_from(filter.as_str());
        Ok(session.subscribe(Subscription {
            filter: filter.map_err(|_| ReasonCode::TOPIC_FILTER_INVALID)?,
            options,
            identifier,
        }))
    }

    /// Failures of 3.x are all the same [MQTT-3.9.3-2 of 3.1.1].
    fn codes(&self, conn: ConnId, mut codes: Vec<ReasonCode>) -> Vec<ReasonCode> {
        let v5 = self
            .connections
            .get(&conn)
            .is_some_and(|c| c.version.is_v5());
        if !v5 {
            for code in codes.iter_mut().filter(|code| code.is_error()) {
                *code = ReasonCode::UNSPECIFIED_ERROR;
            }
        }
        codes
    }

    /// Retained messages for a new subscription; none for a shared one (section 4.8.2).
    fn send_retained(
        &mut self,
        client_id: &Arc<str>,
        filter: &TopicFilter,
        options: SubscribeOptions,
        identifier: Option<u32>,
    ) {
        if filter.share_name().is_some() {
            return;
        }
        let matching: Vec<_> = self
            .retained
            .values()
            .filter(|m| filter.matches(m.topic.view()) && !m.has_expired(self.now))
            .filter(|m| !(options.no_local && m.publisher.as_ref() == Some(client_id)))
            .cloned()
            .collect();
        for message in matching {
            let delivery = Delivery {
                qos: message.qos.min(options.qos),
                message,
                retain: true,
                ids: identifier.into_iter().collect(),
            };
            self.deliver(client_id, delivery);
        }
    }

    pub(super) fn unsubscribe(&mut self, conn: ConnId, unsubscribe: &Unsubscribe) -> Checked {
        let Some((connection, session)) = self.pair(conn) else {
            return Ok(());
        };
        let (up, config) = (&mut connection.up, &connection.config);
        session.inbound.request(up, unsubscribe.id, config)?;
        let mut codes = Vec::new();
        for filter in &unsubscribe.filters {
            codes.push(if session.unsubscribe(filter) {
                ReasonCode::SUCCESS
            } else {
                ReasonCode::NO_SUBSCRIPTION_EXISTED
            });
        }
        if !connection.version.is_v5() {
            codes.clear();
        }
        let unsuback = UnsubAck {
            id: unsubscribe.id,
            codes,
            properties: Properties::new(),
        };
        let effect = Effect::Answered(unsubscribe.id);
        self.send(conn, &Packet::UnsubAck(unsuback), effect);
        Ok(())
    }
}

/// What CONNACK has said is not available must not be asked for (sections 3.2.2.3.11 to 3.2.2.3.13).
fn check_available(
    connection: &Connection,
    subscribe: &Subscribe,
    has_identifier: bool,
) -> Checked {
    let config = &connection.config;
    let mut filters = subscribe.filters.iter().map(|(filter, _)| filter);
    let (reason, rule, text) = if has_identifier && !config.subscription_identifiers_available {
        (
            ReasonCode::SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED,
            "3.2.2.3.12",
            "a subscription identifier, but they are not available",
        )
    } else if !config.wildcards_available && filters.clone().any(TopicFilter::has_wildcard) {
        (
            ReasonCode::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED,
            "3.2.2.3.11",
            "a filter with a wildcard, but they are not available",
        )
    } else if !config.shared_subscriptions_available
        && filters.any(|filter| filter.share_name().is_some())
    {
        (
            ReasonCode::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
            "3.2.2.3.13",
            "a shared subscription, but they are not available",
        )
    } else {
        return Ok(());
    };
    Err(Fault::new(reason, rule, text))
}
