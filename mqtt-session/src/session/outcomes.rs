//! How accepted messages end other than by an acknowledgement, and how they get back into the queue instead.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;
use mqtt_proto::{PacketId, Publish, QoS};

use super::Session;
use super::inflight::{GivenUp, Sent, SentState};
use super::link::Unwritten;
use super::send::Queued;
use crate::{Outcome, Record, SessionLost, Token};

impl Session {
    /// The server has lost the session: what was in flight is published anew, or ends.
    pub(super) fn lose_session(&mut self) {
        let mut again = Vec::new();
        for Sent {
            token,
            republished,
            state,
            unsent,
            ..
        } in self.outgoing.inflight.drain()
        {
            match state {
                SentState::GivenUp { .. } => {}
                SentState::Released { reason, .. } => {
                    let outcome = Outcome::Acknowledged {
                        reason,
                        republished,
                        completed: false,
                    };
                    self.finish(token, outcome);
                }
                // Of which no byte had left: the server has lost nothing of it.
                SentState::Unacknowledged {
                    qos,
                    publish,
                    expiry,
                } if unsent.is_some() => again.push(Queued {
                    token,
                    qos,
                    publish,
                    republished,
                    expiry,
                }),
                SentState::Unacknowledged { publish, .. }
                    if self.config.session_lost == SessionLost::Fail =>
                {
                    self.finish_with(token, publish, Outcome::SessionLost);
                }
                SentState::Unacknowledged {
                    qos,
                    publish,
                    expiry,
                } => {
                    self.stats.republished += 1;
                    again.push(Queued {
                        token,
                        qos,
                        publish,
                        republished: true,
                        expiry,
                    });
                }
            }
        }
        self.put_back(again);
    }

    /// Throws away what the driver has not taken: whole packets, since it takes whole packets. QoS 0 messages among them go
    /// back to the queue.
    pub(super) fn discard(&mut self) {
        self.link.encoded -= self.link.outbox.len() as u64;
        self.link.outbox.clear();
        self.link.answers = 0;
        let taken = self.link.encoded;
        self.outgoing.inflight.discarded(taken);
        let first = self
            .link
            .unwritten
            .partition_point(|unwritten| unwritten.end <= taken);
        let untaken = self.link.unwritten.split_off(first);
        self.put_back(untaken.into_iter().map(Unwritten::into_queued).collect());
    }

    /// QoS 0 messages of which no byte has left go back to the queue.
    pub(super) fn requeue_unwritten(&mut self) {
        let mut again = Vec::new();
        for unwritten in core::mem::take(&mut self.link.unwritten) {
            if unwritten.end - unwritten.len < self.link.written {
                self.finish_with(unwritten.token, unwritten.publish, Outcome::ConnectionLost);
            } else {
                again.push(unwritten.into_queued());
            }
        }
        self.put_back(again);
    }

    /// Puts messages back into their place in the queue: the tokens are the order.
    fn put_back(&mut self, again: Vec<Queued>) {
        if again.is_empty() {
            return;
        }
        for queued in again.into_iter().rev() {
            self.watch_expiry(queued.expiry);
            self.outgoing.queue.push_front(queued);
        }
        self.outgoing
            .queue
            .make_contiguous()
            .sort_by_key(|queued| queued.token);
    }

    /// After CONNACK: what this server can't be sent ends, and says which limit it was.
    ///
    /// Looks at nothing where the limits are no narrower than those that everything was accepted under.
    pub(super) fn refuse_what_no_longer_fits(&mut self) {
        let fits = self.link.fits();
        let before = self.outgoing.fits.replace(fits);
        if before.is_some_and(|before| before.is_within(&fits)) {
            return;
        }
        let refused = self
            .outgoing
            .inflight
            .find(|qos, publish| self.refuses(qos, publish));
        for (id, refused) in refused {
            self.give_up(id, Outcome::Refused(refused));
        }
        let queue = core::mem::take(&mut self.outgoing.queue);
        let mut kept = VecDeque::with_capacity(queue.len());
        for queued in queue {
            match self.refuses(queued.qos, &queued.publish) {
                None => kept.push_back(queued),
                Some(refused) => {
                    self.finish_with(queued.token, queued.publish, Outcome::Refused(refused))
                }
            }
        }
        self.outgoing.queue = kept;
    }

    /// Ends a message in flight that can't be sent again; one that the server has taken over ends as acknowledged.
    pub(super) fn give_up(&mut self, id: PacketId, outcome: Outcome) {
        match self.outgoing.inflight.give_up(id) {
            None => {}
            Some(GivenUp::Message { token, publish }) => self.finish_with(token, publish, outcome),
            Some(GivenUp::Release {
                token,
                reason,
                republished,
            }) => {
                let completed = false;
                self.finish(
                    token,
                    Outcome::Acknowledged {
                        reason,
                        republished,
                        completed,
                    },
                );
                self.record(|| Record::Kept { id });
            }
        }
    }

    /// Everything that was accepted ends as closed, but for what the server has taken over with PUBREC.
    pub(super) fn end_all(&mut self) {
        for Sent {
            token,
            republished,
            state,
            ..
        } in self.outgoing.inflight.drain()
        {
            match state {
                SentState::Released { reason, .. } => {
                    let completed = false;
                    self.finish(
                        token,
                        Outcome::Acknowledged {
                            reason,
                            republished,
                            completed,
                        },
                    );
                }
                SentState::Unacknowledged { publish, .. } => {
                    self.finish_with(token, publish, Outcome::Closed)
                }
                SentState::GivenUp { .. } => {}
            }
        }
        while let Some(queued) = self.outgoing.queue.pop_front() {
            self.finish_with(queued.token, queued.publish, Outcome::Closed);
        }
        // Nobody is to try again.
        self.outgoing.wants_room = false;
    }

    /// A message gets its outcome, and the memory that it holds is free.
    #[inline]
    pub(super) fn finish_with(&mut self, token: Token, publish: Publish, outcome: Outcome) {
        self.outgoing.bytes -= publish.size();
        self.finish(token, outcome);
        self.release(publish);
    }

    /// A message of which nothing is held any more gets its outcome.
    #[inline]
    pub(super) fn finish(&mut self, token: Token, outcome: Outcome) {
        self.record_finished(token, &outcome);
        self.events.published(token, outcome);
    }

    #[inline]
    pub(super) fn release(&mut self, publish: Publish) {
        if let Some(released) = &mut self.outgoing.released {
            released.push(publish);
        }
    }

    /// QoS 0 messages whose last byte is written are done.
    pub(super) fn finish_written(&mut self) {
        let (written, unwritten) = (self.link.written, &mut self.link.unwritten);
        let all = unwritten.back().is_some_and(|last| last.end <= written);
        let released = self.outgoing.released.as_mut();
        if all
            && released
                .as_ref()
                .is_none_or(|released| released.written.is_empty())
        {
            for done in unwritten.iter() {
                self.outgoing.bytes -= done.publish.size();
                self.events.published(done.token, Outcome::Written);
            }
            match released {
                Some(released) => core::mem::swap(&mut released.written, unwritten),
                None => unwritten.clear(),
            }
            return;
        }
        while let Some(first) = self.link.unwritten.front()
            && first.end <= written
            && let Some(done) = self.link.unwritten.pop_front()
        {
            self.finish_with(done.token, done.publish, Outcome::Written);
        }
    }

    /// Whether every accepted message has its outcome.
    pub(super) fn is_drained(&self) -> bool {
        self.outgoing.queue.is_empty()
            && self.outgoing.inflight.len() == 0
            && self.link.unwritten.is_empty()
    }
}

/// Messages that have their outcome, and their tags, to be dropped: see [`Session::poll_released`].
#[derive(Debug, Default)]
pub struct Released {
    publishes: Vec<Publish>,
    /// What the application called messages: its own memory, too.
    tags: Vec<Bytes>,
    /// A whole list, handed over as it is: moving the messages one by one would cost more than sending them.
    written: VecDeque<Unwritten>,
}

impl Released {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.publishes.is_empty() && self.tags.is_empty() && self.written.is_empty()
    }

    /// Drops them; keeps the memory of the list.
    pub fn clear(&mut self) {
        self.publishes.clear();
        self.tags.clear();
        self.written.clear();
    }

    pub(super) fn push(&mut self, publish: Publish) {
        self.publishes.push(publish);
    }

    pub(super) fn push_tag(&mut self, tag: Bytes) {
        self.tags.push(tag);
    }

    pub(super) fn append(&mut self, other: &mut Self) {
        if self.is_empty() {
            core::mem::swap(self, other);
        } else {
            self.publishes.append(&mut other.publishes);
            self.tags.append(&mut other.tags);
            self.written.append(&mut other.written);
        }
    }
}

impl Unwritten {
    fn into_queued(self) -> Queued {
        Queued {
            token: self.token,
            qos: QoS::AtMostOnce,
            publish: self.publish,
            republished: false,
            expiry: self.expiry,
        }
    }
}
