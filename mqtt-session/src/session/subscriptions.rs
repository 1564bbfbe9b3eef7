//! What is subscribed to, which queue its messages go to, and the SUBSCRIBE and UNSUBSCRIBE under way.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use mqtt_proto::{
    EncodeError, Encoder, Outbox, Packet, PacketId, Properties, ReasonCode, Subscribe,
    SubscribeOptions, TopicFilter, TopicRef, Unsubscribe,
};

use crate::{QueueId, Token};

/// The state of the routes is looked through one by one: their tree is a matter of its own.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    routes: Vec<Route>,
    /// Requests that are not sent yet.
    pub(super) pending: VecDeque<Request>,
    /// Where [`matches`](Self::matches) puts what it finds: kept for its memory.
    matched: Vec<QueueId>,
}

#[derive(Debug)]
struct Route {
    filter: TopicFilter,
    options: SubscribeOptions,
    queue: QueueId,
    /// The server has granted it, and shall again if it loses the session.
    granted: bool,
    /// UNSUBSCRIBE is under way, and nobody has subscribed again since.
    leaving: bool,
}

/// A SUBSCRIBE or UNSUBSCRIBE.
#[derive(Debug)]
pub(super) struct Request {
    /// Whom to tell; nobody where the session subscribes anew by itself.
    pub(super) token: Option<Token>,
    pub(super) kind: RequestKind,
    pub(super) properties: Properties,
    /// It was sent on an earlier connection, and not answered: the server may have done what it says.
    pub(super) was_sent: bool,
    /// Nobody waits for the answer any more: what was granted is to be undone.
    pub(super) withdrawn: bool,
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

/// How many filters one SUBSCRIBE has at most when the session subscribes anew.
const FILTERS_AT_ONCE: usize = 16;

impl Request {
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
        encoder: &Encoder,
        out: &mut Outbox,
    ) -> Result<usize, EncodeError> {
        let properties = self.properties.clone();
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

impl Subscriptions {
    /// Routes are in place before SUBSCRIBE is sent: what the server sends at once is not missed.
    pub(super) fn add(&mut self, filters: &[(TopicFilter, SubscribeOptions)], queue: QueueId) {
        for (filter, options) in filters {
            match self
                .routes
                .iter_mut()
                .find(|route| route.queue == queue && route.filter == *filter)
            {
                Some(route) => {
                    route.options = *options;
                    route.leaving = false;
                }
                None => {
                    let (granted, leaving) = (false, false);
                    self.routes.push(Route {
                        filter: filter.clone(),
                        options: *options,
                        queue,
                        granted,
                        leaving,
                    });
                }
            }
        }
    }

    /// SUBACK came for this filter. A route that the server refuses goes.
    pub(super) fn settle(&mut self, filter: &TopicFilter, queue: QueueId, code: ReasonCode) {
        if code.is_error() {
            self.routes
                .retain(|route| route.queue != queue || route.filter != *filter);
        } else if let Some(route) = self
            .routes
            .iter_mut()
            .find(|route| route.queue == queue && route.filter == *filter)
        {
            route.granted = true;
        }
    }

    /// Nobody waits for this subscription any more.
    pub(super) fn withdraw(&mut self, filter: &TopicFilter, queue: QueueId) {
        self.routes
            .retain(|route| route.queue != queue || route.filter != *filter || route.granted);
    }

    /// UNSUBSCRIBE is asked for: not to be subscribed anew. The route stays until UNSUBACK.
    pub(super) fn unwant(&mut self, filters: &[TopicFilter]) {
        for route in &mut self.routes {
            if filters.contains(&route.filter) {
                route.leaving = true;
            }
        }
    }

    /// UNSUBACK came for this filter. A route that was asked for again meanwhile stays.
    pub(super) fn unsubscribed(&mut self, filter: &TopicFilter, code: Option<ReasonCode>) {
        if code.is_some_and(ReasonCode::is_error) {
            // The server goes on with it.
            for route in self
                .routes
                .iter_mut()
                .filter(|route| route.filter == *filter)
            {
                route.leaving = false;
            }
        } else {
            self.routes
                .retain(|route| !route.leaving || route.filter != *filter);
        }
    }

    /// The server has no such subscription any more.
    pub(super) fn remove(&mut self, filter: &TopicFilter) {
        self.routes.retain(|route| route.filter != *filter);
    }

    pub(super) fn remove_queue(&mut self, queue: QueueId) {
        self.routes.retain(|route| route.queue != queue);
    }

    /// The queues that a message on this topic goes to; each once.
    pub(super) fn matches(&mut self, topic: TopicRef<'_>) -> &[QueueId] {
        self.matched.clear();
        for route in &self.routes {
            if !self.matched.contains(&route.queue) && route.filter.matches(topic) {
                self.matched.push(route.queue);
            }
        }
        &self.matched
    }

    /// The server has no session, for `certain` or perhaps: everything that it had granted is asked for anew, ahead of what was not
    /// sent yet.
    pub(super) fn resubscribe(&mut self, certain: bool) {
        // What was under way to the same end begins anew, and there is nothing left to undo.
        self.pending.retain(|request| {
            request.token.is_some()
                || (!certain && matches!(request.kind, RequestKind::Unsubscribe { .. }))
        });
        let mut filters: Vec<(TopicFilter, SubscribeOptions)> = Vec::new();
        for route in self
            .routes
            .iter()
            .filter(|route| route.granted && !route.leaving)
        {
            if !filters.iter().any(|(filter, _)| *filter == route.filter) {
                filters.push((route.filter.clone(), route.options));
            }
        }
        for filters in filters.chunks(FILTERS_AT_ONCE).rev() {
            let kind = RequestKind::Subscribe {
                filters: filters.to_vec(),
                queue: QueueId::DEFAULT,
            };
            let properties = Properties::new();
            self.pending.push_front(Request {
                token: None,
                kind,
                properties,
                was_sent: false,
                withdrawn: false,
            });
        }
    }

    /// What was sent and not answered is sent again, in its order; a subscribe that nobody waits for any more, which the server
    /// may have granted, is undone instead.
    pub(super) fn requeue(&mut self, requests: Vec<Request>) {
        for mut request in requests.into_iter().rev() {
            if request.withdrawn {
                let RequestKind::Subscribe { filters, .. } = request.kind else {
                    continue;
                };
                let filters = filters.into_iter().map(|(filter, _)| filter).collect();
                let Some(undo) = self.undo(filters) else {
                    continue;
                };
                request = undo;
            }
            request.was_sent = true;
            self.pending.push_front(request);
        }
    }

    /// An UNSUBSCRIBE for those of these filters that no queue wants.
    pub(super) fn undo(&self, mut filters: Vec<TopicFilter>) -> Option<Request> {
        filters.retain(|filter| !self.routes.iter().any(|route| route.filter == *filter));
        let kind = RequestKind::Unsubscribe { filters };
        let undo = Request {
            token: None,
            kind,
            properties: Properties::new(),
            was_sent: false,
            withdrawn: false,
        };
        (undo.filters() > 0).then_some(undo)
    }
}
