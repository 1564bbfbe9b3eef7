//! One SUBSCRIBE or UNSUBSCRIBE, from when it is asked for to its answer.

use alloc::vec::Vec;

use mqtt_proto::{
    EncodeError, Encoder, Outbox, Packet, PacketId, Properties, Subscribe, SubscribeOptions,
    TopicFilter, Unsubscribe,
};

use crate::{QueueId, Token};

/// A SUBSCRIBE or UNSUBSCRIBE.
#[derive(Debug)]
pub(super) struct Request {
    /// Whom to tell. Where there is nobody, only a refusal is told.
    pub(super) token: Option<Token>,
    pub(super) kind: RequestKind,
    pub(super) properties: Properties,
    /// It was sent on an earlier connection, and not answered, or one that was taken back came before it: the server may have done what it says.
    pub(super) was_sent: bool,
    /// Nobody waits for the answer any more: what was granted is to be undone.
    pub(super) withdrawn: bool,
    /// The session's own: it begins anew, or means nothing any more, when the server has lost the session.
    pub(super) own: bool,
    /// When it was sent: the order of those that are under way.
    pub(super) sent: Option<Token>,
}

#[derive(Clone, Debug)]
pub(super) enum RequestKind {
    Subscribe {
        filters: Vec<(TopicFilter, SubscribeOptions)>,
        queue: QueueId,
    },
    Unsubscribe {
        filters: Vec<TopicFilter>,
    },
}

impl Request {
    /// A SUBSCRIBE by which the session subscribes anew.
    pub(super) fn own(
        filters: Vec<(TopicFilter, SubscribeOptions)>,
        properties: Properties,
    ) -> Self {
        // Its handles are granted already.
        let queue = QueueId::DEFAULT;
        Self {
            token: None,
            kind: RequestKind::Subscribe { filters, queue },
            properties,
            was_sent: false,
            withdrawn: false,
            own: true,
            sent: None,
        }
    }

    /// Two requests with half of the filters each, if it has several.
    pub(super) fn halves(&mut self) -> Option<Self> {
        let RequestKind::Subscribe { filters, .. } = &mut self.kind else {
            return None;
        };
        let second = filters.split_off(filters.len().div_ceil(2));
        (!second.is_empty()).then(|| Self::own(second, self.properties.clone()))
    }

    pub(super) const fn is_subscribe(&self) -> bool {
        matches!(self.kind, RequestKind::Subscribe { .. })
    }

    pub(super) fn subscribes_to(&self, filter: &TopicFilter) -> bool {
        match &self.kind {
            RequestKind::Subscribe { filters, .. } => filters.iter().any(|(one, _)| one == filter),
            RequestKind::Unsubscribe { .. } => false,
        }
    }

    pub(super) fn unsubscribes_from(&self, filter: &TopicFilter) -> bool {
        match &self.kind {
            RequestKind::Subscribe { .. } => false,
            RequestKind::Unsubscribe { filters } => filters.contains(filter),
        }
    }

    pub(super) fn filters(&self) -> usize {
        match &self.kind {
            RequestKind::Subscribe { filters, .. } => filters.len(),
            RequestKind::Unsubscribe { filters } => filters.len(),
        }
    }

    /// Writes the packet, whose filters go out and come back without a copy.
    pub(super) fn encode(
        &mut self,
        id: PacketId,
        identifier: Option<u32>,
        encoder: &Encoder,
        out: &mut Outbox,
    ) -> Result<usize, EncodeError> {
        let properties = match identifier {
            None => self.properties.clone(),
            Some(identifier) => identified(&self.properties, identifier),
        };
        match &mut self.kind {
            RequestKind::Subscribe { filters, .. } => {
                let packet = Packet::Subscribe(Subscribe {
                    id,
                    filters: core::mem::take(filters),
                    properties,
                });
                let result = encoder.encode(&packet, out);
                if let Packet::Subscribe(subscribe) = packet {
                    *filters = subscribe.filters;
                }
                result
            }
            RequestKind::Unsubscribe { filters } => {
                let packet = Packet::Unsubscribe(Unsubscribe {
                    id,
                    filters: core::mem::take(filters),
                    properties,
                });
                let result = encoder.encode(&packet, out);
                if let Packet::Unsubscribe(unsubscribe) = packet {
                    *filters = unsubscribe.filters;
                }
                result
            }
        }
    }
}

/// The user properties of SUBSCRIBE, which has no others, and an identifier if there is room for one.
fn identified(properties: &Properties, identifier: u32) -> Properties {
    let mut builder = Properties::builder();
    for (name, value) in properties.view().user_properties() {
        builder = builder.user_property(name, value);
    }
    builder
        .subscription_identifier(identifier)
        .build()
        .unwrap_or_else(|_| properties.clone())
}
