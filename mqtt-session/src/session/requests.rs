//! SUBSCRIBE and UNSUBSCRIBE, and their answers.

use alloc::vec::Vec;

use mqtt_proto::{
    EncodeError, Outbox, PacketId, PacketType, Properties, PropertyId, ReasonCode,
    SubscribeOptions, TopicFilter,
};

use super::Session;
use super::request::{Request, RequestKind};
use super::stage::Stage;
use crate::{Direction, Event, PacketSummary, QueueId, SubscribeError, Token, Violation};

/// How to subscribe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Tell the answer; share a subscription that is there.
    Ask,
    /// Tell a refusal alone.
    Declare,
    /// Whatever is there.
    Replace,
}

/// Why a subscription that nobody waits for is lost.
const fn lost_because(error: Option<&SubscribeError>) -> ReasonCode {
    match error {
        Some(SubscribeError::WildcardNotAvailable { .. }) => {
            ReasonCode::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED
        }
        Some(SubscribeError::SharedNotAvailable { .. }) => {
            ReasonCode::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED
        }
        Some(SubscribeError::Encode(EncodeError::PacketTooLarge { .. })) => {
            ReasonCode::PACKET_TOO_LARGE
        }
        _ => ReasonCode::UNSPECIFIED_ERROR,
    }
}

impl Session {
    pub(super) fn request_subscribe(
        &mut self,
        filters: Vec<(TopicFilter, SubscribeOptions)>,
        properties: Properties,
        queue: QueueId,
        how: How,
    ) -> Result<Token, SubscribeError> {
        let refused = filters
            .iter()
            .find_map(|(filter, _)| self.link.server.refuses_filter(filter));
        let request = self.accept_request(
            RequestKind::Subscribe { filters, queue },
            properties,
            refused,
            self.config.limits.max_requests,
        )?;
        let RequestKind::Subscribe { filters, .. } = &request.kind else {
            return Err(SubscribeError::NoFilters);
        };
        if !self.inbox.has_queue(queue) {
            return Err(SubscribeError::NoQueue);
        }
        if how != How::Replace
            && let Some(filter) = self.subscriptions.conflict(filters)
        {
            let filter = filter.clone();
            return Err(SubscribeError::Conflict { filter });
        }
        self.claim_unclaimed(queue, filters);
        // What is granted now is not there any more behind an UNSUBSCRIBE that is under way.
        let ends = |(filter, _): &(TopicFilter, SubscribeOptions)| {
            self.awaits(|request| request.unsubscribes_from(filter))
        };
        let shared = self.subscriptions.shared(filters);
        let shared = shared.filter(|_| how != How::Replace && !filters.iter().any(ends));
        let token = self.outgoing.next_token();
        if let Some(codes) = shared {
            self.subscriptions.join(filters, queue);
            if how == How::Ask {
                let result = Ok(codes);
                self.events.push_back(Event::Subscribed { token, result });
            }
            return Ok(token);
        }
        self.subscriptions.add(filters, &request.properties, queue);
        self.subscriptions.pending.push_back(Request {
            token: (how != How::Declare).then_some(token),
            ..request
        });
        self.pump();
        Ok(token)
    }

    /// Whether there is such a request that waits to be sent or answered.
    fn awaits(&self, is_such: impl Fn(&Request) -> bool) -> bool {
        let sent = self.outgoing.inflight.requests_iter();
        self.subscriptions.pending.iter().chain(sent).any(is_such)
    }

    /// Whether an UNSUBSCRIBE behind a SUBSCRIBE that was sent then ends what that is granted, and it was asked for again behind both.
    fn ends(&self, filter: &TopicFilter, sent: Option<Token>) -> bool {
        let ends = |request: &Request| {
            request.unsubscribes_from(filter) && request.sent.is_none_or(|at| Some(at) > sent)
        };
        self.subscriptions.stays(filter) && self.awaits(ends)
    }

    /// What waits in the default queue and is for one of these filters goes to theirs.
    fn claim_unclaimed(&mut self, queue: QueueId, filters: &[(TopicFilter, SubscribeOptions)]) {
        let was_readable = self.inbox.is_readable(queue);
        self.inbox.claim(queue, |publish| {
            let mut filters = filters.iter();
            filters.any(|(filter, _)| filter.matches(publish.topic()))
        });
        if !was_readable && self.inbox.is_readable(queue) {
            self.events.push_back(Event::Readable(queue));
        }
    }

    pub(super) fn request_unsubscribe(
        &mut self,
        filters: Vec<TopicFilter>,
        properties: Properties,
    ) -> Result<Token, SubscribeError> {
        self.add_unsubscribe(filters, properties, self.config.limits.max_requests)
    }

    /// Unsubscribes for a handle that is dropped, and can't ask again: though there are as many requests as there may be. Handles are not made
    /// while that is so, which bounds these.
    #[cfg(feature = "client")]
    pub(crate) fn unsubscribe_dropped(&mut self, now: crate::Instant, filters: Vec<TopicFilter>) {
        self.tick(now);
        // Nobody is left to tell.
        let _ = self.add_unsubscribe(filters, Properties::new(), usize::MAX);
    }

    fn add_unsubscribe(
        &mut self,
        filters: Vec<TopicFilter>,
        properties: Properties,
        max: usize,
    ) -> Result<Token, SubscribeError> {
        let kind = RequestKind::Unsubscribe {
            filters: filters.clone(),
        };
        let mut request = self.accept_request(kind, properties, None, max)?;
        let token = self.outgoing.next_token();
        request.token = Some(token);
        self.subscriptions.pending.push_back(request);
        self.subscriptions.unwant(&filters);
        self.pump();
        Ok(token)
    }

    fn accept_request(
        &self,
        kind: RequestKind,
        properties: Properties,
        refused: Option<SubscribeError>,
        max: usize,
    ) -> Result<Request, SubscribeError> {
        let mut request = Request {
            token: None,
            kind,
            properties,
            was_sent: false,
            withdrawn: false,
            own: false,
            sent: None,
        };
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
        let properties = request.properties.view();
        if properties.has(PropertyId::SUBSCRIPTION_IDENTIFIER) {
            return Err(SubscribeError::IdentifierGiven);
        }
        // Found out here rather than when its turn comes.
        request.encode(PacketId::MIN, None, &self.link.encoder, &mut Outbox::new())?;
        Ok(request)
    }

    /// Whether SUBSCRIBE tells the server an identifier.
    pub(super) fn identifies(&self) -> bool {
        self.link.version.is_v5()
            && self.link.server.identifiers_available
            && self.config.subscription_identifiers()
    }

    pub(super) fn can_send_request(&self) -> bool {
        !self.subscriptions.pending.is_empty() && self.outgoing.inflight.can_request()
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
        if let RequestKind::Subscribe { filters, .. } = &mut request.kind {
            let server = self.link.server;
            if request.token.is_none() {
                // All who wanted it are gone: the server is told nothing of it.
                filters.retain(|(filter, _)| self.subscriptions.is_wanted(filter));
                let refused =
                    filters.extract_if(.., |(filter, _)| server.refuses_filter(filter).is_some());
                for (filter, _) in refused.collect::<Vec<_>>() {
                    let why = server.refuses_filter(&filter);
                    self.subscription_lost(filter, lost_because(why.as_ref()));
                }
                if request.filters() == 0 {
                    return true;
                }
            } else if let Some(refused) = filters
                .iter()
                .find_map(|(filter, _)| server.refuses_filter(filter))
            {
                self.request_failed(request, refused);
                return true;
            }
        }
        if request.was_sent && self.was_overtaken(&mut request) {
            return true;
        }
        let identifier = if self.identifies() {
            self.subscriptions.identifier(&request)
        } else {
            None
        };
        let id = self.outgoing.inflight.next_request_id();
        let (encoder, out) = (&self.link.encoder, &mut self.link.outbox);
        let encoded = match request.encode(id, identifier, encoder, out) {
            // Rather without one than not at all.
            Err(EncodeError::PacketTooLarge { .. }) => request.encode(id, None, encoder, out),
            encoded => encoded,
        };
        match encoded {
            Ok(len) => {
                let packet_type = match &request.kind {
                    RequestKind::Subscribe { .. } => PacketType::Subscribe,
                    RequestKind::Unsubscribe { .. } => PacketType::Unsubscribe,
                };
                self.events.packet(|| PacketSummary {
                    id: Some(id),
                    ..PacketSummary::new(Direction::Sent, packet_type, len)
                });
                self.link.encoded += len as u64;
                request.sent = Some(self.outgoing.next_token());
                self.outgoing.inflight.insert_request(request);
            }
            Err(EncodeError::PacketTooLarge { .. }) if request.own && request.filters() > 1 => {
                let second = request.halves();
                if let Some(second) = second {
                    self.subscriptions.pending.push_front(second);
                }
                self.subscriptions.pending.push_front(request);
            }
            Err(error) => self.request_failed(request, error.into()),
        }
        true
    }

    /// Whether an UNSUBSCRIBE that was sent before is done with: a SUBSCRIBE that came behind it was answered first. Where that is so for some of
    /// its filters alone, they are subscribed to anew behind it.
    fn was_overtaken(&mut self, request: &mut Request) -> bool {
        let RequestKind::Unsubscribe { filters } = &mut request.kind else {
            return false;
        };
        let granted = |filter: &TopicFilter| {
            let mut behind = self.subscriptions.pending.iter();
            let follows = behind.any(|request| request.subscribes_to(filter));
            self.subscriptions.grants(filter).filter(|_| !follows)
        };
        let Some(token) = request.token else {
            filters.retain(|filter| granted(filter).is_none());
            return filters.is_empty();
        };
        let again: Vec<_> = filters
            .iter()
            .filter_map(|filter| Some((filter.clone(), granted(filter)?)))
            .collect();
        if again.is_empty() {
            return false;
        }
        if again.len() < filters.len() {
            let again = Request::own(again, Properties::new());
            self.subscriptions.pending.push_front(again);
            return false;
        }
        let result = Ok(alloc::vec![ReasonCode::SUCCESS; filters.len()]);
        self.events.push_back(Event::Unsubscribed { token, result });
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
            (Some(token), RequestKind::Unsubscribe { filters }) => {
                for filter in &filters {
                    // The server goes on with it.
                    let code = Some(ReasonCode::UNSPECIFIED_ERROR);
                    self.subscriptions.unsubscribed(filter, code, false);
                }
                self.events.push_back(Event::Unsubscribed {
                    token,
                    result: Err(error),
                });
            }
            (None, RequestKind::Subscribe { filters, .. }) => {
                for (filter, _) in filters {
                    self.subscription_lost(filter, lost_because(Some(&error)));
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
        let counted = packet == PacketType::SubAck || self.link.version.is_v5();
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
                self.undo(filters, codes, |code| request.was_sent || !code.is_error());
            }
            RequestKind::Subscribe { filters, queue } => {
                for ((filter, _), code) in filters.iter().zip(codes) {
                    if request.token.is_none() && code.is_error() {
                        self.subscription_lost(filter.clone(), *code);
                    } else if code.is_error() || !self.ends(filter, request.sent) {
                        self.subscriptions.settle(filter, queue, *code);
                    }
                }
                if request.was_sent {
                    // What is told as refused now may have been granted before, by an answer that was lost.
                    self.undo(filters, codes, ReasonCode::is_error);
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
                    let again = self.awaits(|request| {
                        !request.own && !request.withdrawn && request.subscribes_to(filter)
                    });
                    self.subscriptions
                        .unsubscribed(filter, codes.get(at).copied(), again);
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

    /// Unsubscribes from those of these filters whose codes say so, and that no queue wants.
    fn undo(
        &mut self,
        filters: Vec<(TopicFilter, SubscribeOptions)>,
        codes: &[ReasonCode],
        says: impl Fn(ReasonCode) -> bool,
    ) {
        let filters = filters.into_iter().zip(codes);
        let filters = filters.filter(|(_, code)| says(**code));
        self.undo_unwanted(filters.map(|((filter, _), _)| filter).collect());
    }

    /// The same for all of these filters. Who waits for the answer to a SUBSCRIBE to one of them is to undo it, too, where that is a refusal.
    fn undo_unwanted(&mut self, filters: Vec<TopicFilter>) {
        let subscriptions = &mut self.subscriptions;
        for request in self.outgoing.inflight.requests_iter_mut() {
            request.was_sent |= filters
                .iter()
                .any(|filter| request.subscribes_to(filter) && subscriptions.is_wanted(filter));
        }
        let undo = subscriptions.undo(filters);
        subscriptions.pending.extend(undo);
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
            .position(|request| request.token == Some(token) && request.is_subscribe());
        let mut was_sent = false;
        let withdrawn = match waiting.and_then(|at| self.subscriptions.pending.remove(at)) {
            Some(request) => {
                was_sent = request.was_sent;
                Some(request.kind)
            }
            None => {
                let sent = self.outgoing.inflight.requests_mut(token);
                sent.filter(|request| request.is_subscribe())
                    .map(|request| {
                        request.withdrawn = true;
                        request.kind.clone()
                    })
            }
        };
        if let Some(RequestKind::Subscribe { filters, queue }) = withdrawn {
            for (filter, _) in &filters {
                self.subscriptions.withdraw(filter, queue);
            }
            if was_sent {
                // The server may have granted it.
                self.undo_unwanted(filters.into_iter().map(|(filter, _)| filter).collect());
            }
        }
    }

    /// Where the inbox must empty before the next attempt, subscribes whose messages wait in it are answered without codes: their streams
    /// must be read for an answer to come. They are refused as declared ones are.
    #[cfg(feature = "client")]
    pub(crate) fn answer_early(&mut self) {
        if !self.inbox_was_full {
            return;
        }
        let pending = self.subscriptions.pending.iter_mut();
        for request in pending.chain(self.outgoing.inflight.requests_iter_mut()) {
            let RequestKind::Subscribe { queue, .. } = request.kind else {
                continue;
            };
            if !request.withdrawn
                && self.inbox.is_readable(queue)
                && let Some(token) = request.token.take()
            {
                let result = Ok(Vec::new());
                self.events.push_back(Event::Subscribed { token, result });
            }
        }
    }

    /// Unsubscribes from what was granted and nobody took. Nobody is told, and other queues keep theirs.
    #[cfg(feature = "client")]
    pub(crate) fn unsubscribe_unwanted(&mut self, now: crate::Instant, filters: Vec<TopicFilter>) {
        self.tick(now);
        if self.leaving.is_none() && !self.is_closed() {
            self.undo_unwanted(filters);
            self.pump();
        }
    }

    /// At the end: nobody will answer.
    pub(super) fn end_requests(&mut self) {
        for request in core::mem::take(&mut self.subscriptions.pending) {
            if request.token.is_some() {
                self.request_failed(request, SubscribeError::Closed);
            }
        }
    }
}
