//! Packet identifiers, and what is in flight under them.
//!
//! Publications take identifiers from the bottom, SUBSCRIBE and UNSUBSCRIBE from the top, until they meet; then these borrow one that is free among
//! those of publications. So each is in use once, and one is found while there is one free [MQTT-2.2.1-3].
//!
//! Where they are to ascend ([`PacketIds::Ascending`]) all of them stand in [`Apart`], by identifier, and nothing in the slabs.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::num::NonZeroU64;

use mqtt_proto::{PacketId, Publish, QoS, ReasonCode};

use super::expiry::Expiry;
use super::outcomes::Released;
use super::request::Request;
use super::slab::Slab;
use crate::{PacketIds, Token};

/// How many packet identifiers there are.
const IDS: u32 = 65_535;
/// How many of them SUBSCRIBE and UNSUBSCRIBE may have: a server that answers none of them must not keep us from publishing.
const FOR_REQUESTS: usize = 32_768;
/// So many indices may be free between two that an earlier process had in use.
const NEAR: u32 = 64;

#[derive(Debug)]
pub(super) struct InFlight {
    publishes: Slab<Sent>,
    requests: Slab<Request>,
    /// There is seldom anything in it, and an idle session is small.
    apart: Option<Box<Apart>>,
    /// Those in the state [`SentState::GivenUp`].
    given_up: u32,
    /// Index 0 stands for the identifier `base + 1`.
    base: u16,
    /// How many indices there are. Those above are in use by an earlier process.
    room: u16,
}

#[derive(Debug, Default)]
struct Apart {
    /// Requests whose identifier is borrowed from `publishes`. All requests, where identifiers ascend.
    borrowers: BTreeMap<PacketId, Request>,
    /// What an earlier process had in flight, and would stretch `publishes` where it lies. All messages, where identifiers ascend.
    earlier: BTreeMap<PacketId, Sent>,
    /// The index behind the one that was given last, where they ascend.
    next: Option<u16>,
}

/// A message of QoS 1 or 2 that was sent and is not yet dealt with.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) token: Token,
    pub(super) republished: bool,
    /// Its PUBLISH went out on this connection, and counts against the server's Receive Maximum until its end.
    pub(super) counted: bool,
    /// Where its PUBLISH begins among the encoded bytes of the connection, unless it went out on an earlier one. Without a connection: none of
    /// its bytes has ever left.
    pub(super) unsent: Option<NonZeroU64>,
    pub(super) state: SentState,
}

impl Sent {
    /// PUBREL is sent again, and not the message.
    pub(super) const fn is_released(&self) -> bool {
        matches!(
            self.state,
            SentState::Released { .. } | SentState::GivenUp { order: Some(_) }
        )
    }

    pub(super) const fn is_given_up(&self) -> bool {
        matches!(self.state, SentState::GivenUp { .. })
    }

    /// The message is held no more. It is dropped where it stands, unless somebody wants to drop it elsewhere.
    #[inline]
    pub(super) fn release(&mut self, released: Option<&mut Released>, next: SentState) {
        match released {
            None => self.state = next,
            Some(released) => {
                let before = core::mem::replace(&mut self.state, next);
                if let SentState::Unacknowledged { publish, .. } = before {
                    released.push(publish);
                }
            }
        }
    }
}

/// What was given up.
pub(super) enum GivenUp {
    Message {
        token: Token,
        publish: Publish,
    },
    /// A PUBREL: the server has the message.
    Release {
        token: Token,
        reason: ReasonCode,
        republished: bool,
    },
}

#[derive(Debug)]
pub(super) enum SentState {
    /// PUBACK or PUBREC is awaited. The message is kept to be sent again.
    Unacknowledged {
        qos: QoS,
        publish: Publish,
        expiry: Option<Expiry>,
    },
    /// PUBREC came, PUBCOMP is awaited: the message itself must not be sent again [MQTT-4.3.3-6].
    Released {
        reason: ReasonCode,
        /// Which PUBREC it was: PUBRELs keep their order [MQTT-4.6.0-4].
        order: u64,
    },
    /// QoS 2: sent on an earlier connection, and not to be sent again. The message has its outcome; the identifier stays taken until PUBCOMP
    /// or the end of the session, since the server may hold the message under it and would swallow another as a duplicate
    /// [MQTT-4.3.3-10].
    GivenUp {
        /// PUBREC came all the same, as the PUBREC of that number: PUBREL is sent until PUBCOMP comes [MQTT-4.4.0-1]. A later process
        /// does not know of it.
        order: Option<u64>,
    },
}

impl SentState {
    /// PUBREC has not come.
    pub(super) const GIVEN_UP: Self = Self::GivenUp { order: None };
}

impl InFlight {
    pub(super) fn new(base: u16, order: PacketIds) -> Self {
        let apart = match order {
            PacketIds::Reused => None,
            PacketIds::Ascending => Some(Box::new(Apart {
                next: Some(0),
                ..Apart::default()
            })),
        };
        Self {
            publishes: Slab::new(),
            requests: Slab::new(),
            apart,
            given_up: 0,
            base: base % IDS as u16,
            room: IDS as u16,
        }
    }

    /// What an earlier process had in flight, with its identifiers. Few of them far apart take no room between them.
    pub(super) fn restore(base: u16, order: PacketIds, sent: BTreeMap<PacketId, Sent>) -> Self {
        let mut inflight = Self::new(base, order);
        inflight.given_up = sent.values().filter(|sent| sent.is_given_up()).count() as u32;
        if let Some(apart) = &mut inflight.apart {
            apart.earlier = sent;
            return inflight;
        }
        let mut near: BTreeMap<_, _> = sent
            .into_iter()
            .map(|(id, sent)| (inflight.index(id), sent))
            .collect();
        let first_far = near
            .keys()
            .zip(0..)
            .find(|(index, before)| **index > 2 * before + NEAR);
        if let Some((&first, _)) = first_far {
            let far = near.split_off(&first).into_iter();
            let earlier = far
                .map(|(index, sent)| (inflight.id(index), sent))
                .collect();
            inflight.room = first as u16;
            inflight.apart.get_or_insert_default().earlier = earlier;
        }
        inflight.publishes = Slab::restore(near);
        inflight
    }

    /// How many identifiers new messages and requests could have, if numbers began here and these were in use.
    pub(super) fn room_beside(base: u16, sent: &BTreeMap<PacketId, Sent>) -> u32 {
        let inflight = Self::new(base, PacketIds::Reused);
        let indices = sent.keys().map(|id| inflight.index(*id));
        indices.min().unwrap_or(IDS)
    }

    /// All publishes, with their identifiers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (PacketId, &Sent)> {
        let publishes = self.publishes.iter();
        let publishes = publishes.map(|(index, sent)| (self.id(index), sent));
        publishes.chain(self.earlier().map(|(id, sent)| (*id, sent)))
    }

    fn earlier(&self) -> impl Iterator<Item = (&PacketId, &Sent)> {
        self.apart.iter().flat_map(|apart| &apart.earlier)
    }

    /// Messages in flight: they have no outcome yet.
    pub(super) fn len(&self) -> usize {
        let lent = if self.ascends() { 0 } else { self.borrowers() };
        let all = self.publishes.len() - lent + self.apart_sent();
        all - self.given_up as usize
    }

    pub(super) fn give_memory_back(&mut self) {
        self.publishes.give_memory_back();
        self.requests.give_memory_back();
        let apart = self.apart.as_ref();
        if self.requests() == 0
            && apart.is_none_or(|apart| apart.earlier.is_empty() && apart.next.is_none())
        {
            self.apart = None;
            self.room = IDS as u16;
        }
    }

    /// SUBSCRIBE and UNSUBSCRIBE in flight.
    pub(super) fn requests(&self) -> usize {
        self.requests.len() + self.borrowers()
    }

    fn apart_sent(&self) -> usize {
        self.apart.as_ref().map_or(0, |apart| apart.earlier.len())
    }

    fn borrowers(&self) -> usize {
        self.apart.as_ref().map_or(0, |apart| apart.borrowers.len())
    }

    fn ascends(&self) -> bool {
        self.ascending().is_some()
    }

    /// The index behind the one that was given last, where they ascend.
    fn ascending(&self) -> Option<u32> {
        self.apart.as_ref()?.next.map(u32::from)
    }

    fn has_room(&self) -> bool {
        if self.ascends() {
            return self.apart_sent() + self.borrowers() < IDS as usize;
        }
        self.publishes.span() + self.requests.span() < usize::from(self.room)
    }

    /// Whether an identifier is free for a publish.
    pub(super) fn can_publish(&self) -> bool {
        self.publishes.has_gap() || self.has_room()
    }

    /// Whether an identifier is free for a request.
    pub(super) fn can_request(&self) -> bool {
        self.requests() < FOR_REQUESTS && (self.has_top() || self.publishes.has_gap())
    }

    /// Whether there is one at the top.
    fn has_top(&self) -> bool {
        self.requests.has_gap() || self.has_room()
    }

    /// The identifier that [`insert`](Self::insert) will give next.
    #[inline]
    pub(super) fn next_id(&self) -> PacketId {
        let index = match self.ascending() {
            None => self.publishes.next_index(),
            Some(from) => self.free_from(from),
        };
        self.id(index)
    }

    /// The first free index from here on, where identifiers ascend.
    fn free_from(&self, from: u32) -> u32 {
        let free = |index: &u32| {
            let id = self.id(*index);
            self.get(id).is_none() && self.request(id).is_none()
        };
        let mut all = (0..IDS).map(|step| (from + step) % IDS);
        // Nobody uses it where none is free.
        all.find(free).unwrap_or(from)
    }

    #[inline]
    pub(super) fn insert(&mut self, sent: Sent) -> PacketId {
        if let Some(id) = self.ascend() {
            let apart = self.apart.get_or_insert_default();
            apart.earlier.insert(id, sent);
            return id;
        }
        let index = self.publishes.insert(sent);
        self.id(index)
    }

    /// Takes the next identifier, where they ascend.
    fn ascend(&mut self) -> Option<PacketId> {
        let index = self.free_from(self.ascending()?);
        if let Some(apart) = &mut self.apart {
            apart.next = Some((index + 1) as u16);
        }
        Some(self.id(index))
    }

    /// The identifier that [`insert_request`](Self::insert_request) will give next.
    pub(super) fn next_request_id(&self) -> PacketId {
        if !self.ascends() && self.has_top() {
            self.id(u32::from(self.room) - 1 - self.requests.next_index())
        } else {
            self.next_id()
        }
    }

    pub(super) fn insert_request(&mut self, request: Request) {
        if let Some(id) = self.ascend() {
            let apart = self.apart.get_or_insert_default();
            apart.borrowers.insert(id, request);
        } else if self.has_top() {
            self.requests.insert(request);
        } else if let Some(index) = self.publishes.lend() {
            let id = self.id(index);
            let apart = self.apart.get_or_insert_default();
            apart.borrowers.insert(id, request);
        }
    }

    fn id(&self, index: u32) -> PacketId {
        let id = (u32::from(self.base) + index) % IDS + 1;
        u16::try_from(id)
            .ok()
            .and_then(PacketId::new)
            .unwrap_or(PacketId::MIN)
    }

    fn index(&self, id: PacketId) -> u32 {
        (u32::from(id.get()) - 1 + IDS - u32::from(self.base)) % IDS
    }

    pub(super) fn get(&self, id: PacketId) -> Option<&Sent> {
        let near = self.publishes.get(self.index(id));
        near.or_else(|| self.apart.as_ref()?.earlier.get(&id))
    }

    pub(super) fn get_mut(&mut self, id: PacketId) -> Option<&mut Sent> {
        let index = self.index(id);
        let near = self.publishes.get_mut(index);
        near.or_else(|| self.apart.as_mut()?.earlier.get_mut(&id))
    }

    pub(super) fn remove(&mut self, id: PacketId) -> Option<Sent> {
        let index = self.index(id);
        let near = self.publishes.remove(index);
        let sent = near.or_else(|| self.apart.as_mut()?.earlier.remove(&id))?;
        self.given_up -= u32::from(sent.is_given_up());
        Some(sent)
    }

    /// The same where it stands: it is moved nowhere, and dropped after the closure has seen it. Not for one that was given up.
    #[inline]
    pub(super) fn end<R>(&mut self, id: PacketId, take: impl FnOnce(&mut Sent) -> R) -> Option<R> {
        if let Some(apart) = &mut self.apart
            && let Some(mut sent) = apart.earlier.remove(&id)
        {
            return Some(take(&mut sent));
        }
        let index = self.index(id);
        self.publishes.remove_with(index, take)
    }

    /// Takes a message out that can't be sent again. Its identifier is free at QoS 1 only.
    pub(super) fn give_up(&mut self, id: PacketId) -> Option<GivenUp> {
        let sent = self.get_mut(id)?;
        let (token, republished) = (sent.token, sent.republished);
        match core::mem::replace(&mut sent.state, SentState::GIVEN_UP) {
            SentState::Unacknowledged { qos, publish, .. } => {
                self.given_up += 1;
                if qos != QoS::ExactlyOnce {
                    self.remove(id);
                }
                Some(GivenUp::Message { token, publish })
            }
            SentState::Released { reason, .. } => {
                self.given_up += 1;
                Some(GivenUp::Release {
                    token,
                    reason,
                    republished,
                })
            }
            SentState::GivenUp { .. } => None,
        }
    }

    fn sent_mut(&mut self) -> impl Iterator<Item = &mut Sent> {
        let apart = self.apart.iter_mut();
        let earlier = apart.flat_map(|apart| apart.earlier.values_mut());
        self.publishes.iter_mut().chain(earlier)
    }

    /// The connection is gone, which had written so many bytes.
    pub(super) fn disconnected(&mut self, written: u64) {
        // Those of an earlier process count as sent ever since.
        for sent in self.sent_mut() {
            sent.unsent = sent
                .unsent
                .filter(|start| start.get() >= written)
                .map(|_| NonZeroU64::MAX);
        }
    }

    /// The connection will write no more than these bytes of what was encoded.
    pub(super) fn discarded(&mut self, encoded: u64) {
        for sent in self.sent_mut() {
            if sent.unsent.is_some_and(|start| start.get() >= encoded) {
                sent.unsent = Some(NonZeroU64::MAX);
            }
        }
    }

    pub(super) fn request(&self, id: PacketId) -> Option<&Request> {
        let at_top = self.at_top(id).and_then(|index| self.requests.get(index));
        at_top.or_else(|| self.apart.as_ref()?.borrowers.get(&id))
    }

    /// Where an identifier stands among those at the top.
    fn at_top(&self, id: PacketId) -> Option<u32> {
        (u32::from(self.room) - 1).checked_sub(self.index(id))
    }

    pub(super) fn remove_request(&mut self, id: PacketId) -> Option<Request> {
        if let Some(apart) = &mut self.apart
            && let Some(request) = apart.borrowers.remove(&id)
        {
            self.publishes.bring_back(self.index(id));
            return Some(request);
        }
        let index = self.at_top(id)?;
        self.requests.remove(index)
    }

    /// The requests that were sent and not answered, in the order of sending.
    pub(super) fn drain_requests(&mut self) -> Vec<Request> {
        let mut requests: Vec<_> = self.requests.drain().collect();
        let borrowers = self
            .apart
            .as_mut()
            .map(|apart| core::mem::take(&mut apart.borrowers));
        for (id, request) in borrowers.into_iter().flatten() {
            self.publishes.bring_back(self.index(id));
            requests.push(request);
        }
        requests.sort_by_key(|request| request.sent);
        requests
    }

    pub(super) fn requests_iter_mut(&mut self) -> impl Iterator<Item = &mut Request> {
        self.all_requests()
    }

    pub(super) fn requests_iter(&self) -> impl Iterator<Item = &Request> {
        let apart = self.apart.iter();
        let borrowers = apart.flat_map(|apart| apart.borrowers.values());
        let requests = self.requests.iter().map(|(_, request)| request);
        requests.chain(borrowers)
    }

    fn all_requests(&mut self) -> impl Iterator<Item = &mut Request> {
        let apart = self.apart.iter_mut();
        let borrowers = apart.flat_map(|apart| apart.borrowers.values_mut());
        self.requests.iter_mut().chain(borrowers)
    }

    pub(super) fn requests_mut(&mut self, token: Token) -> Option<&mut Request> {
        self.all_requests()
            .find(|request| request.token == Some(token))
    }

    /// Everything in flight, in the order of the tokens.
    pub(super) fn drain(&mut self) -> Vec<Sent> {
        self.given_up = 0;
        let mut all: Vec<_> = self.publishes.drain().collect();
        let earlier = self
            .apart
            .as_mut()
            .map(|apart| core::mem::take(&mut apart.earlier));
        all.extend(earlier.into_iter().flat_map(BTreeMap::into_values));
        all.retain(|sent| !sent.is_given_up());
        all.sort_by_key(|sent| sent.token);
        all
    }

    /// What is to be sent again when the session goes on: PUBRELs in the order of their PUBRECs, then messages in the order of
    /// their tokens [MQTT-4.4.0-1], [MQTT-4.6.0-1].
    pub(super) fn begin_resend(&mut self) -> Vec<PacketId> {
        self.sent_mut().for_each(|sent| sent.counted = false);
        let mut all: Vec<_> = self
            .iter()
            .filter_map(|(id, sent)| {
                let order = match sent.state {
                    SentState::Released { order, .. }
                    | SentState::GivenUp { order: Some(order) } => (0, order),
                    SentState::Unacknowledged { .. } => (1, sent.token.get()),
                    SentState::GivenUp { order: None } => return None,
                };
                Some((order, id))
            })
            .collect();
        all.sort_unstable_by_key(|(order, _)| *order);
        all.into_iter().map(|(_, id)| id).collect()
    }

    /// Those messages that `wrong` finds a reason against.
    pub(super) fn find<R>(&self, wrong: impl Fn(QoS, &Publish) -> Option<R>) -> Vec<(PacketId, R)> {
        let refused = self.iter().filter_map(|(id, sent)| match &sent.state {
            SentState::Unacknowledged { qos, publish, .. } => Some((id, wrong(*qos, publish)?)),
            SentState::Released { .. } | SentState::GivenUp { .. } => None,
        });
        refused.collect()
    }
}
