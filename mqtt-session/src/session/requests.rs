//! SUBSCRIBE and UNSUBSCRIBE, and their answers.

use alloc::vec::Vec;

use mqtt_proto::{
    EncodeError, Outbox, PacketId, PacketType, Properties, ReasonCode, SubscribeOptions,
    TopicFilter,
};

use super::Session;
use super::phase::Stage;
use super::subscriptions::{Request, RequestKind};
use crate::{Event, QueueId, SubscribeError, Token, Violation};

impl Session {
    pub(super) fn request_subscribe(
        &mut self,
        filters: Vec<(TopicFilter, SubscribeOptions)>,
        properties: Properties,
        queue: QueueId,
    ) -> Result<Token, SubscribeError> {
        let refused = filters
            .iter()
            .find_map(|(filter, _)| self.link.server.refuses_filter(filter));
        let kind = RequestKind::Subscribe { filters, queue };
        let token = self.request(kind, properties, refused)?;
        if let Some(Request {
            kind: RequestKind::Subscribe { filters, .. },
            ..
        }) = self.subscriptions.pending.back()
        {
            let filters = filters.clone();
            let claims = |publish: &mqtt_proto::PublishView| {
                filters
                    .iter()
                    .any(|(filter, _)| filter.matches(publish.topic()))
            };
            let was_readable = self.inbox.is_readable(queue);
            self.inbox.claim(queue, claims);
            if !was_readable && self.inbox.is_readable(queue) {
                self.events.push_back(Event::Readable(queue));
            }
            self.subscriptions.add(&filters, queue);
        }
        self.pump();
        Ok(token)
    }

    pub(super) fn request_unsubscribe(
        &mut self,
        filters: Vec<TopicFilter>,
        properties: Properties,
    ) -> Result<Token, SubscribeError> {
        let token = self.request(
            RequestKind::Unsubscribe {
                filters: filters.clone(),
            },
            properties,
            None,
        )?;
        self.subscriptions.unwant(&filters);
        self.pump();
        Ok(token)
    }

    fn request(
        &mut self,
        kind: RequestKind,
        properties: Properties,
        refused: Option<SubscribeError>,
    ) -> Result<Token, SubscribeError> {
        let mut request = Request {
            token: None,
            kind,
            properties,
            was_sent: false,
            withdrawn: false,
        };
        let max = self.config.limits.max_requests;
        if self.leaving.is_some() || matches!(self.stage, Stage::Closed) {
            return Err(SubscribeError::Closed);
        }
        if request.filters() == 0 {
            return Err(SubscribeError::NoFilters);
        }
        if let Some(refused) = refused {
            return Err(refused);
        }
        if self.subscriptions.pending.len() + self.outgoing.inflight.requests() >= max {
            return Err(SubscribeError::Full { max });
        }
        // Found out here rather than when its turn comes.
        request.encode(PacketId::MIN, &self.link.encoder, &mut Outbox::new())?;
        let token = self.outgoing.next_token();
        request.token = Some(token);
        self.subscriptions.pending.push_back(request);
        Ok(token)
    }

    pub(super) fn can_send_request(&self) -> bool {
        !self.subscriptions.pending.is_empty() && self.outgoing.inflight.can_request()
    }

    /// Messages in flight have had all packet identifiers: new ones wait until a request has one, too.
    pub(super) fn request_starves(&self) -> bool {
        !self.subscriptions.pending.is_empty() && !self.outgoing.inflight.can_request()
    }

    /// Sends the next request. `false` where there is none, or no identifier for it.
    pub(super) fn send_request(&mut self) -> bool {
        if !self.can_send_request() {
            return false;
        }
        let Some(mut request) = self.subscriptions.pending.pop_front() else {
            return false;
        };
        // This server may be able to do less than the one that it was accepted for.
        let refused = match &request.kind {
            RequestKind::Subscribe { filters, .. } => filters
                .iter()
                .find_map(|(filter, _)| self.link.server.refuses_filter(filter)),
            RequestKind::Unsubscribe { .. } => None,
        };
        if let Some(refused) = refused {
            self.request_failed(request, refused);
            return true;
        }
        let id = self.outgoing.inflight.next_request_id();
        match request.encode(id, &self.link.encoder, &mut self.link.outbox) {
            Ok(len) => {
                self.link.encoded += len as u64;
                self.outgoing.inflight.insert_request(request);
            }
            Err(error) => self.request_failed(request, error.into()),
        }
        true
    }

    /// The request ends without an answer.
    fn request_failed(&mut self, request: Request, error: SubscribeError) {
        match (request.token, request.kind) {
            (Some(token), RequestKind::Subscribe { filters, queue }) => {
                for (filter, _) in &filters {
                    self.subscriptions
                        .settle(filter, queue, ReasonCode::UNSPECIFIED_ERROR);
                }
                self.events.push_back(Event::Subscribed {
                    token,
                    result: Err(error),
                });
            }
            (Some(token), RequestKind::Unsubscribe { .. }) => {
                self.events.push_back(Event::Unsubscribed {
                    token,
                    result: Err(error),
                });
            }
            (None, RequestKind::Subscribe { filters, .. }) => {
                for (filter, _) in filters {
                    let reason = match &error {
                        SubscribeError::WildcardNotAvailable { .. } => {
                            ReasonCode::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED
                        }
                        SubscribeError::SharedNotAvailable { .. } => {
                            ReasonCode::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED
                        }
                        SubscribeError::Encode(EncodeError::PacketTooLarge { .. }) => {
                            ReasonCode::PACKET_TOO_LARGE
                        }
                        _ => ReasonCode::UNSPECIFIED_ERROR,
                    };
                    self.subscription_lost(filter, reason);
                }
            }
            (None, RequestKind::Unsubscribe { .. }) => {}
        }
    }

    /// SUBACK or UNSUBACK.
    pub(super) fn request_answered(
        &mut self,
        packet: PacketType,
        id: PacketId,
        codes: &[ReasonCode],
    ) {
        let Some(request) = self.outgoing.inflight.request(id) else {
            self.stats.unexpected += 1;
            return;
        };
        let wanted = request.filters();
        match (&request.kind, packet) {
            (RequestKind::Subscribe { .. }, PacketType::SubAck) => {}
            (RequestKind::Unsubscribe { .. }, PacketType::UnsubAck) => {}
            _ => return self.violated(Violation::WrongAck { packet, id }),
        }
        // [MQTT-3.8.4-6], [MQTT-3.11.3-1]; UNSUBACK of 3.x has no codes.
        let counted = packet == PacketType::SubAck || self.config.version().is_v5();
        if counted && codes.len() != wanted {
            return self.violated(Violation::CodeCount {
                packet,
                got: codes.len(),
                wanted,
            });
        }
        if let Some(request) = self.outgoing.inflight.remove_request(id) {
            self.settle_request(request, codes);
        }
        self.pump();
    }

    fn settle_request(&mut self, request: Request, codes: &[ReasonCode]) {
        match request.kind {
            RequestKind::Subscribe { filters, .. } if request.withdrawn => {
                let granted = filters
                    .into_iter()
                    .zip(codes)
                    .filter(|(_, code)| !code.is_error());
                let undo = self
                    .subscriptions
                    .undo(granted.map(|((filter, _), _)| filter).collect());
                self.subscriptions.pending.extend(undo);
            }
            RequestKind::Subscribe { filters, queue } => {
                for ((filter, _), code) in filters.iter().zip(codes) {
                    match request.token {
                        Some(_) => self.subscriptions.settle(filter, queue, *code),
                        None if code.is_error() => self.subscription_lost(filter.clone(), *code),
                        None => {}
                    }
                }
                if let Some(token) = request.token {
                    self.events.push_back(Event::Subscribed {
                        token,
                        result: Ok(codes.to_vec()),
                    });
                }
            }
            RequestKind::Unsubscribe { filters } => {
                for (at, filter) in filters.iter().enumerate() {
                    self.subscriptions
                        .unsubscribed(filter, codes.get(at).copied());
                }
                if let Some(token) = request.token {
                    self.events.push_back(Event::Unsubscribed {
                        token,
                        result: Ok(codes.to_vec()),
                    });
                }
            }
        }
    }

    fn subscription_lost(&mut self, filter: TopicFilter, reason: ReasonCode) {
        self.subscriptions.remove(&filter);
        self.events
            .push_back(Event::SubscriptionLost { filter, reason });
    }

    pub(super) fn withdraw_request(&mut self, token: Token) {
        let waiting = self
            .subscriptions
            .pending
            .iter()
            .position(|request| request.token == Some(token));
        let mut was_sent = false;
        let withdrawn = match waiting.and_then(|at| self.subscriptions.pending.remove(at)) {
            Some(request) => {
                was_sent = request.was_sent;
                Some(request.kind)
            }
            None => self.outgoing.inflight.requests_mut(token).map(|request| {
                request.withdrawn = true;
                request.kind.clone()
            }),
        };
        if let Some(RequestKind::Subscribe { filters, queue }) = withdrawn {
            for (filter, _) in &filters {
                self.subscriptions.withdraw(filter, queue);
            }
            if was_sent {
                // The server may have granted it.
                let filters = filters.into_iter().map(|(filter, _)| filter).collect();
                let undo = self.subscriptions.undo(filters);
                self.subscriptions.pending.extend(undo);
            }
        }
    }

    /// Unsubscribes from what was granted and nobody took. Nobody is told, and other queues keep theirs.
    #[cfg(feature = "client")]
    pub(crate) fn unsubscribe_unwanted(&mut self, now: crate::Instant, filters: Vec<TopicFilter>) {
        self.tick(now);
        if self.leaving.is_none() && !self.is_closed() {
            let undo = self.subscriptions.undo(filters);
            self.subscriptions.pending.extend(undo);
            self.pump();
        }
    }

    /// At the end: nobody will answer.
    pub(super) fn end_requests(&mut self) {
        for request in core::mem::take(&mut self.subscriptions.pending) {
            if request.token.is_some() && !request.withdrawn {
                self.request_failed(request, SubscribeError::Closed);
            }
        }
    }
}
