//! What is subscribed to, which queues its messages go to, and the SUBSCRIBE and UNSUBSCRIBE under way.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};

use mqtt_proto::{
    Properties, PropertiesRef, PropertyId, ReasonCode, SubscribeOptions, TopicFilter, TopicRef,
};

use super::request::{Request, RequestKind};
use super::slab::Slab;
use crate::{QueueId, Router};

#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    /// Requests that are not sent yet.
    pub(super) pending: VecDeque<Request>,
    /// Made with the first one: an idle session is small.
    routes: Option<Box<Routes>>,
}

/// What there is.
#[derive(Debug)]
pub(super) struct Routes {
    /// One for each filter that the server has or shall have.
    all: Slab<Subscription>,
    /// Where each filter stands in `all`. Empty as long as there are so few that comparing them one by one costs less.
    tree: Router<u32>,
    /// Each stands for a Subscription Identifier: its index, and one.
    groups: Slab<Group>,
    /// The filters of each queue.
    of_queue: Vec<Vec<u32>>,
    /// What [`matches`](Self::matches) finds: kept for its memory.
    found: Vec<u32>,
    matched: Vec<QueueId>,
    /// The number of the last message that named some.
    naming: u64,
    /// The topic that one filter alone has matched last, and which: topics often come several times in a row. Empty where that is not known.
    last: Vec<u8>,
    last_found: u32,
}

/// What the server has under one filter, for all handles on it [MQTT-3.8.4-3].
#[derive(Debug)]
struct Subscription {
    filter: TopicFilter,
    options: SubscribeOptions,
    group: u32,
    /// Where its messages go. None where all handles were dropped and the server was told nothing: then nothing claims them.
    queues: Vec<QueueId>,
    /// Those of them that the server has not granted yet. For the others it shall again if it loses the session.
    waiting: Vec<QueueId>,
    /// The last code of SUBACK.
    code: ReasonCode,
    /// UNSUBSCRIBE is under way, and nobody has subscribed again since.
    leaving: bool,
}

/// What was asked for with one SUBSCRIBE.
#[derive(Debug)]
struct Group {
    properties: Properties,
    members: u32,
    /// The last message that named it, by its number.
    named_by: u64,
}

/// How many filters one SUBSCRIBE has at most when the session subscribes anew.
const FILTERS_AT_ONCE: usize = 16;

/// So many filters are compared one by one.
const FEW: usize = 4;

/// A longer topic is looked up again.
const SHORT: usize = 256;

static NONE: Routes = Routes::new();

impl Deref for Subscriptions {
    type Target = Routes;

    fn deref(&self) -> &Routes {
        self.routes.as_deref().unwrap_or(&NONE)
    }
}

impl DerefMut for Subscriptions {
    fn deref_mut(&mut self) -> &mut Routes {
        self.routes.get_or_insert_with(|| Box::new(Routes::new()))
    }
}

impl Routes {
    const fn new() -> Self {
        Self {
            all: Slab::new(),
            tree: Router::new(),
            groups: Slab::new(),
            of_queue: Vec::new(),
            found: Vec::new(),
            matched: Vec::new(),
            naming: 0,
            last: Vec::new(),
            last_found: 0,
        }
    }

    /// A live subscription to one of these filters that has other options.
    pub(super) fn conflict<'a>(
        &self,
        filters: &'a [(TopicFilter, SubscribeOptions)],
    ) -> Option<&'a TopicFilter> {
        let conflicts = |(filter, options): &&(TopicFilter, SubscribeOptions)| {
            self.get(filter)
                .is_some_and(|live| live.is_live() && live.options != *options)
        };
        filters.iter().find(conflicts).map(|(filter, _)| filter)
    }

    /// The codes of these filters, if the server has granted all of them as they are asked for, to handles that still are.
    pub(super) fn shared(
        &self,
        filters: &[(TopicFilter, SubscribeOptions)],
    ) -> Option<Vec<ReasonCode>> {
        let code = |(filter, options): &(TopicFilter, SubscribeOptions)| {
            let live = self.get(filter)?;
            (live.is_granted() && !live.leaving && live.options == *options).then_some(live.code)
        };
        filters.iter().map(code).collect()
    }

    /// One more handle on subscriptions that are there.
    pub(super) fn join(&mut self, filters: &[(TopicFilter, SubscribeOptions)], queue: QueueId) {
        for (filter, _) in filters {
            if let Some(index) = self.find(filter) {
                self.attach(index, queue);
                self.grant(index, queue, None);
            }
        }
    }

    /// Routes are in place before SUBSCRIBE is sent: what the server sends at once is not missed.
    pub(super) fn add(
        &mut self,
        filters: &[(TopicFilter, SubscribeOptions)],
        properties: &Properties,
        queue: QueueId,
    ) {
        let group = self.groups.insert(Group {
            properties: properties.clone(),
            members: 0,
            named_by: 0,
        });
        for (filter, options) in filters {
            let index = match self.find(filter) {
                Some(index) => index,
                None => self.insert(filter, group),
            };
            let Some(subscription) = self.all.get_mut(index) else {
                continue;
            };
            subscription.options = *options;
            if core::mem::take(&mut subscription.leaving) {
                // The UNSUBSCRIBE ahead of this ends what was granted before.
                subscription.waiting.clone_from(&subscription.queues);
            }
            let before = core::mem::replace(&mut subscription.group, group);
            if before != group {
                self.leave_group(before);
                self.enter_group(group);
            }
            self.attach(index, queue);
        }
    }

    fn insert(&mut self, filter: &TopicFilter, group: u32) -> u32 {
        self.last.clear();
        let index = self.all.insert(Subscription {
            filter: filter.clone(),
            options: SubscribeOptions::default(),
            group,
            queues: Vec::new(),
            waiting: Vec::new(),
            code: ReasonCode::SUCCESS,
            leaving: false,
        });
        self.enter_group(group);
        if !self.tree.is_empty() {
            self.tree.insert(filter, index);
        } else if self.all.len() > FEW {
            for (index, subscription) in self.all.iter() {
                self.tree.insert(&subscription.filter, index);
            }
        }
        index
    }

    fn find(&self, filter: &TopicFilter) -> Option<u32> {
        if !self.tree.is_empty() {
            return self.tree.get(filter).copied();
        }
        let mut all = self.all.iter();
        all.find(|(_, subscription)| subscription.filter == *filter)
            .map(|(index, _)| index)
    }

    fn get(&self, filter: &TopicFilter) -> Option<&Subscription> {
        self.all.get(self.find(filter)?)
    }

    /// Whether somebody takes its messages.
    pub(super) fn is_wanted(&self, filter: &TopicFilter) -> bool {
        self.get(filter).is_some_and(|one| !one.queues.is_empty())
    }

    /// Whether there is such a subscription that nobody has asked to end, or that was asked for again since.
    pub(super) fn stays(&self, filter: &TopicFilter) -> bool {
        self.get(filter).is_some_and(|one| !one.leaving)
    }

    /// The options of a subscription that the server has granted, and that goes on.
    pub(super) fn grants(&self, filter: &TopicFilter) -> Option<SubscribeOptions> {
        let one = self.get(filter)?;
        (one.is_granted() && !one.leaving).then_some(one.options)
    }

    fn enter_group(&mut self, group: u32) {
        if let Some(group) = self.groups.get_mut(group) {
            group.members += 1;
        }
    }

    fn leave_group(&mut self, index: u32) {
        if let Some(group) = self.groups.get_mut(index) {
            group.members = group.members.saturating_sub(1);
            if group.members == 0 {
                self.groups.remove(index);
            }
        }
    }

    fn attach(&mut self, index: u32, queue: QueueId) {
        let Some(subscription) = self.all.get_mut(index) else {
            return;
        };
        if subscription.queues.contains(&queue) {
            return;
        }
        subscription.queues.push(queue);
        subscription.waiting.push(queue);
        let of_queue = queue.place();
        if self.of_queue.len() <= of_queue {
            self.of_queue.resize_with(of_queue + 1, Vec::new);
        }
        if let Some(filters) = self.of_queue.get_mut(of_queue) {
            filters.push(index);
        }
    }

    /// Takes a handle off. `false` where it was the last.
    fn detach(&mut self, index: u32, queue: QueueId) -> bool {
        let Some(subscription) = self.all.get_mut(index) else {
            return false;
        };
        // Else another queue may stand in its place.
        if subscription.queues.contains(&queue)
            && let Some(filters) = self.of_queue.get_mut(queue.place())
            && let Some(at) = filters.iter().position(|of_queue| *of_queue == index)
        {
            filters.swap_remove(at);
        }
        subscription.leave(queue);
        !subscription.queues.is_empty()
    }

    fn grant(&mut self, index: u32, queue: QueueId, code: Option<ReasonCode>) {
        if let Some(subscription) = self.all.get_mut(index) {
            subscription.waiting.retain(|waiting| *waiting != queue);
            subscription.code = code.unwrap_or(subscription.code);
        }
    }

    fn remove_at(&mut self, index: u32) {
        self.last.clear();
        let Some(gone) = self.all.remove(index) else {
            return;
        };
        self.tree.remove(&gone.filter);
        self.leave_group(gone.group);
        for queue in gone.queues {
            if let Some(filters) = self.of_queue.get_mut(queue.place()) {
                filters.retain(|of_queue| *of_queue != index);
            }
        }
    }

    /// SUBACK came for this filter. A handle that the server refuses goes, and with the last one the subscription.
    pub(super) fn settle(&mut self, filter: &TopicFilter, queue: QueueId, code: ReasonCode) {
        let Some(index) = self.find(filter) else {
            return;
        };
        if !code.is_error() {
            self.grant(index, queue, Some(code));
        } else if !self.detach(index, queue) {
            self.remove_at(index);
        }
    }

    /// Nobody waits for this subscription any more.
    pub(super) fn withdraw(&mut self, filter: &TopicFilter, queue: QueueId) {
        let Some(index) = self.find(filter) else {
            return;
        };
        let granted = self.all.get(index).is_some_and(|subscription| {
            subscription.queues.contains(&queue) && !subscription.waiting.contains(&queue)
        });
        if !granted && !self.detach(index, queue) {
            self.remove_at(index);
        }
    }

    /// UNSUBSCRIBE is asked for: not to be subscribed anew. The route stays until UNSUBACK.
    pub(super) fn unwant(&mut self, filters: &[TopicFilter]) {
        for filter in filters {
            if let Some(subscription) = self.find(filter).and_then(|index| self.all.get_mut(index))
            {
                subscription.leaving = true;
            }
        }
    }

    /// UNSUBACK came for this filter. What was asked for again meanwhile stays; where that is not answered yet, it is all that there may be.
    pub(super) fn unsubscribed(
        &mut self,
        filter: &TopicFilter,
        code: Option<ReasonCode>,
        asked_again: bool,
    ) {
        let Some(index) = self.find(filter) else {
            return;
        };
        let Some(subscription) = self.all.get_mut(index) else {
            return;
        };
        if code.is_some_and(ReasonCode::is_error) {
            // The server goes on with it.
            subscription.leaving = false;
        } else if asked_again && !subscription.leaving && !subscription.queues.is_empty() {
            subscription.waiting.clone_from(&subscription.queues);
        } else if subscription.leaving || !subscription.is_granted() {
            self.remove_at(index);
        }
    }

    /// The server has no such subscription any more.
    pub(super) fn remove(&mut self, filter: &TopicFilter) {
        if let Some(index) = self.find(filter) {
            self.remove_at(index);
        }
    }

    /// Takes the handles of a queue off. The server goes on with what it has, and so it stays known.
    pub(super) fn remove_queue(&mut self, queue: QueueId) {
        let filters = self.of_queue.get_mut(queue.place());
        for index in filters.map(core::mem::take).unwrap_or_default() {
            if let Some(subscription) = self.all.get_mut(index) {
                subscription.leave(queue);
            }
        }
        while self.of_queue.last().is_some_and(Vec::is_empty) {
            self.of_queue.pop();
        }
    }

    /// The queues that a message goes to; each once.
    ///
    /// The subscriptions that its Subscription Identifiers name get it, and no others. An identifier may be one of an earlier process whose
    /// session goes on: so one counts only where the filter matches, and where none does, everything that matches gets the message.
    fn matches(&mut self, topic: TopicRef<'_>, properties: PropertiesRef<'_>) -> &[QueueId] {
        let Self {
            all,
            tree,
            groups,
            found,
            matched,
            naming,
            last,
            last_found,
            ..
        } = self;
        if *topic.as_bytes() == **last
            && let Some(one) = all.get(*last_found)
        {
            return &one.queues;
        }
        found.clear();
        if tree.is_empty() {
            for (index, one) in all.iter() {
                if one.filter.matches(topic) {
                    found.push(index);
                }
            }
        } else {
            tree.matches(topic, |index| found.push(*index));
        }
        // Where one alone matches, it does not matter what is named.
        if let [one] = **found {
            if topic.as_bytes().len() <= SHORT {
                last.clear();
                last.extend_from_slice(topic.as_bytes());
                *last_found = one;
            }
            return all.get(one).map(|one| &*one.queues).unwrap_or_default();
        }
        if properties.has(PropertyId::SUBSCRIPTION_IDENTIFIER) {
            // Each is looked at once, however many a server names.
            *naming += 1;
            for identifier in properties.subscription_identifiers() {
                if let Some(group) = groups.get_mut(identifier.wrapping_sub(1)) {
                    group.named_by = *naming;
                }
            }
            let is_named = |index: &u32| {
                let one = all.get(*index).and_then(|one| groups.get(one.group));
                one.is_some_and(|group| group.named_by == *naming)
            };
            if found.iter().any(is_named) {
                found.retain(is_named);
            }
        }
        matched.clear();
        let found = found.iter().filter_map(|index| all.get(*index));
        found.for_each(|one| matched.extend_from_slice(&one.queues));
        matched.sort_unstable();
        matched.dedup();
        matched
    }

    /// The Subscription Identifier for a SUBSCRIBE: all that it asks for must be of one group.
    pub(super) fn identifier(&self, request: &Request) -> Option<u32> {
        let RequestKind::Subscribe { filters, .. } = &request.kind else {
            return None;
        };
        let mut identifiers = filters
            .iter()
            .map(|(filter, _)| self.get(filter).map(Subscription::identifier));
        let first = identifiers.next()??;
        identifiers
            .all(|identifier| identifier == Some(first))
            .then_some(first)
    }
}

impl Subscriptions {
    /// As [`Routes::matches`].
    #[inline]
    pub(super) fn matches(
        &mut self,
        topic: TopicRef<'_>,
        properties: PropertiesRef<'_>,
    ) -> &[QueueId] {
        match &mut self.routes {
            Some(routes) => routes.matches(topic, properties),
            None => &[],
        }
    }

    /// The server has no session, for `certain` or perhaps: everything that it had granted is asked for anew, ahead of what was not sent yet. What
    /// was asked for at once is again, with its properties, where there are any or the identifier is to be the same.
    pub(super) fn resubscribe(&mut self, identified: bool, certain: bool) {
        // What was under way to the same end begins anew, and there is nothing left to undo.
        self.pending.retain(|request| {
            !request.own || (!certain && matches!(request.kind, RequestKind::Unsubscribe { .. }))
        });
        let detached: Vec<_> = self
            .all
            .iter()
            .filter(|(_, subscription)| certain && subscription.queues.is_empty())
            .map(|(index, _)| index)
            .collect();
        for index in detached {
            self.remove_at(index);
        }
        let mut wanted: Vec<_> = self
            .all
            .iter()
            .filter(|(_, subscription)| subscription.is_granted() && !subscription.leaving)
            .map(|(index, subscription)| (subscription.group, index))
            .collect();
        wanted.sort_unstable();
        let properties = |group: u32| {
            let group = self.groups.get(group);
            group
                .map(|group| group.properties.clone())
                .unwrap_or_default()
        };
        let together = |one: u32, other: u32| {
            one == other
                || (!identified
                    && properties(one) == Properties::new()
                    && properties(other) == Properties::new())
        };
        let requests: Vec<_> = wanted
            .chunk_by(|(one, _), (other, _)| together(*one, *other))
            .flat_map(|group| group.chunks(FILTERS_AT_ONCE))
            .map(|chunk| {
                let filters = chunk
                    .iter()
                    .filter_map(|(_, index)| self.all.get(*index))
                    .map(|one| (one.filter.clone(), one.options));
                let filters = filters.collect();
                let group = chunk.first().map(|(group, _)| properties(*group));
                Request::own(filters, group.unwrap_or_default())
            })
            .collect();
        for request in requests.into_iter().rev() {
            self.pending.push_front(request);
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
            request.sent = None;
            self.pending.push_front(request);
        }
    }

    /// An UNSUBSCRIBE for those of these filters that no queue wants. Who waits to subscribe to the others is to undo what there may be at the
    /// server as soon as that is taken back, or refused: as if it were its own.
    pub(super) fn undo(&mut self, mut filters: Vec<TopicFilter>) -> Option<Request> {
        filters.retain(|filter| {
            let unwanted = self.get(filter).is_none_or(|one| one.queues.is_empty());
            if !unwanted {
                let subscribes = self.pending.iter_mut();
                subscribes
                    .filter(|request| request.subscribes_to(filter))
                    .for_each(|request| request.was_sent = true);
            }
            unwanted
        });
        let kind = RequestKind::Unsubscribe { filters };
        let undo = Request {
            token: None,
            kind,
            properties: Properties::new(),
            was_sent: false,
            withdrawn: false,
            own: true,
            sent: None,
        };
        (undo.filters() > 0).then_some(undo)
    }
}

impl Subscription {
    fn leave(&mut self, queue: QueueId) {
        self.queues.retain(|of| *of != queue);
        self.waiting.retain(|of| *of != queue);
    }

    const fn identifier(&self) -> u32 {
        self.group + 1
    }

    /// Somebody wants it as it is.
    fn is_live(&self) -> bool {
        !self.queues.is_empty() && !self.leaving
    }

    fn is_granted(&self) -> bool {
        self.waiting.len() < self.queues.len()
    }
}
