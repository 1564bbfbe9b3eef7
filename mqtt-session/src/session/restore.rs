//! A session made of the records of an earlier process.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use mqtt_proto::{PacketId, Publish, QoS, Text};

use super::Session;
use super::expiry::Expiry;
use super::home::Home;
use super::inflight::{InFlight, Sent, SentState};
use super::records::Records;
use super::replay::{Message, Replay, State};
use super::send::Queued;
use crate::{
    Accepted, Config, Identity, Lifetime, PublishOptions, Record, RestoreError, Servers, Snapshot,
    Token, WallClock,
};

impl Session {
    /// A session that goes on where the records of an earlier process end; without any, a new one.
    ///
    /// The records come in the order in which they came out of [`poll_record`](Self::poll_record), or of a
    /// [`snapshot`](Self::snapshot) and what came after it. The end may be missing: what was not reported with
    /// [`handle_stored`](Self::handle_stored) need not be there. Records that come out of this session are to be stored behind those.
    ///
    /// Subscriptions are not among the records: the server keeps its own with the session, and the application subscribes as it does at
    /// each start; messages that come before wait in the default queue. Received messages that were not acknowledged come again.
    ///
    /// # Errors
    ///
    /// The records are of another session than the configuration describes, or are not the records of a session. A session that a redirect has moved
    /// to a server which is not in the list is that of the configuration, where [`Redirects`](crate::Redirects) still lists that server.
    pub fn restore(
        config: Config,
        servers: impl Into<Servers>,
        seed: u64,
        clock: WallClock,
        records: impl IntoIterator<Item = Record>,
    ) -> Result<Self, RestoreError> {
        let mut session = Self::new(config, servers, seed);
        session.tick(clock.now);
        session.handle_wall_clock(clock);
        let mut replay = Replay::default();
        for (index, record) in records.into_iter().enumerate() {
            replay
                .apply(record)
                .map_err(|problem| RestoreError::Misfit { index, problem })?;
        }
        let Some(mut configured) = session.records.as_ref().map(|new| new.identity.clone()) else {
            return Err(RestoreError::Off);
        };
        if let Some(identity) = replay.identity.take() {
            if session.settle_in(&identity.group, &identity.moved) {
                configured.group.clone_from(&identity.group);
            }
            check(&identity, &configured)?;
            session.adopt(replay, identity, clock);
        }
        Ok(session)
    }

    fn adopt(&mut self, replay: Replay, recorded: Identity, clock: WallClock) {
        let write_ahead = self
            .records
            .as_ref()
            .is_some_and(|records| records.write_ahead);
        // That the server has begun another session may have come too late to be stored.
        self.is_unsure = true;
        // Where records may be missing, the server may know of identifiers that they do not: those that are used next shall not be among
        // them.
        let exact = recorded.write_ahead;
        if recorded.client_id != self.config.connect.client_id.as_str() {
            let assigned = Text::try_from(recorded.client_id.as_str());
            self.round.assign(assigned.unwrap_or_default());
        }
        self.home = replay.begun.then(|| Home {
            group: self.round.server().group,
            lasts: self.config.expiry_seconds() > 0,
            cleared: false,
        });

        let mut queue = VecDeque::new();
        let mut sent = BTreeMap::new();
        let mut bytes = 0;
        let mut live = BTreeMap::new();
        for (token, message) in replay.messages {
            let Message {
                tag,
                lifetime,
                republished,
                state,
            } = message;
            live.insert(token, tag);
            let (id, state) = match state {
                State::Queued { qos, publish } => {
                    let (expiry, publish) = self.take_up(lifetime, publish, clock);
                    bytes += publish.size();
                    self.watch_expiry(expiry);
                    queue.push_back(Queued {
                        token,
                        qos,
                        publish,
                        republished,
                        expiry,
                    });
                    continue;
                }
                State::Sent { id, qos, publish } => {
                    let (expiry, publish) = self.take_up(lifetime, publish, clock);
                    bytes += publish.size();
                    let state = SentState::Unacknowledged {
                        qos,
                        publish,
                        expiry,
                    };
                    (id, state)
                }
                State::AwaitsPubComp { id, reason, order } => {
                    (id, SentState::Released { reason, order })
                }
            };
            sent.insert(
                id,
                Sent {
                    token,
                    republished,
                    counted: false,
                    // For all that is known here.
                    unsent: None,
                    state,
                },
            );
        }
        for (id, token) in replay.taken {
            if token.is_none() {
                // Nobody asks for the token of a message that is finished.
                let (token, republished, counted) = (Token(0), false, false);
                let state = SentState::GIVEN_UP;
                sent.insert(
                    id,
                    Sent {
                        token,
                        republished,
                        counted,
                        unsent: None,
                        state,
                    },
                );
            }
        }
        let base = if exact {
            recorded.base
        } else {
            self.base_beside(&sent)
        };
        let mut records = Records::silent(Identity {
            base,
            write_ahead,
            next_token: Token(replay.next_token),
            ..recorded.clone()
        });
        records.wall = self.records.as_ref().and_then(|new| new.wall);
        records.begun = replay.begun;
        if (base, write_ahead) != (recorded.base, recorded.write_ahead) {
            records.push(Record::Identity(records.identity.clone()));
        }
        records.live = live;

        self.outgoing.queue = queue;
        self.outgoing.bytes = bytes;
        self.outgoing.inflight = InFlight::restore(base, self.config.packet_ids(), sent);
        self.outgoing
            .restore_counters(replay.next_token, replay.pubrecs);
        self.inbox.restore(replay.recorded);
        self.records = Some(Box::new(records));
    }

    /// Where identifiers begin, at random, so that there are many before those that are in use.
    fn base_beside(&mut self, sent: &BTreeMap<PacketId, Sent>) -> u16 {
        const TRIES: usize = 16;
        const MANY: u32 = 16_384;
        let (mut base, mut most) = (self.dice.roll() as u16, 0);
        let mut next = base;
        for _ in 0..TRIES {
            let room = InFlight::room_beside(next, sent);
            if room > most {
                (base, most) = (next, room);
            }
            if most >= MANY {
                break;
            }
            next = self.dice.roll() as u16;
        }
        base
    }

    /// When a message of an earlier process expires. Where that is not known, its time begins anew.
    fn take_up(
        &self,
        lifetime: Option<Lifetime>,
        publish: Publish,
        clock: WallClock,
    ) -> (Option<Expiry>, Publish) {
        match lifetime {
            Some(lifetime) => {
                let (expiry, publish) = Expiry::restore(lifetime, publish, clock);
                (Some(expiry), publish)
            }
            None => (self.expiry(&publish, &PublishOptions::new()), publish),
        }
    }

    /// Everything that must not be forgotten, as it stands after the record with this number: a store may keep these records instead of
    /// all up to that one, and need not store those of them that come out later. When it has them safe, that is to be told by
    /// [`handle_stored`](Self::handle_stored) with the same number, once these were polled.
    ///
    /// `None` where nothing is recorded, and when the session is closed: then the records that there are must be kept.
    pub fn snapshot(&self) -> Option<Snapshot> {
        let records = self.records.as_ref().filter(|_| !self.is_closed())?;
        let mut all = alloc::vec![Record::Identity(Identity {
            next_token: self.outgoing.upcoming_token(),
            ..records.identity.clone()
        })];
        all.extend(records.begun.then_some(Record::SessionBegan));
        let tag = |token| records.live.get(&token).cloned().flatten();
        let accepted = |token, qos, publish: &Publish, republished, expiry| {
            Record::Accepted(Accepted {
                token,
                qos,
                publish: publish.clone(),
                tag: tag(token),
                lifetime: records.lifetime(expiry),
                republished,
            })
        };
        let mut pubrecs = Vec::new();
        for (id, sent) in self.outgoing.inflight.iter() {
            let &Sent {
                token,
                republished,
                ref state,
                ..
            } = sent;
            match *state {
                SentState::Unacknowledged {
                    qos,
                    ref publish,
                    expiry,
                } => {
                    all.push(accepted(token, qos, publish, republished, expiry));
                    all.push(Record::Sent { token, id });
                }
                SentState::Released { reason, order } => pubrecs.push((
                    order,
                    Record::AwaitsPubComp {
                        token,
                        id,
                        reason,
                        republished,
                        tag: tag(token),
                    },
                )),
                SentState::GivenUp { .. } => all.push(Record::Kept { id }),
            }
        }
        pubrecs.sort_unstable_by_key(|(order, _)| *order);
        all.extend(pubrecs.into_iter().map(|(_, record)| record));
        for queued in &self.outgoing.queue {
            if queued.qos != QoS::AtMostOnce {
                all.push(accepted(
                    queued.token,
                    queued.qos,
                    &queued.publish,
                    queued.republished,
                    queued.expiry,
                ));
            }
        }
        all.extend(self.inbox.recorded().map(|id| Record::Recorded { id }));
        Some(Snapshot {
            seq: records.last(),
            records: all,
        })
    }
}

/// Refuses what belongs to another session, naming the first field that differs.
fn check(recorded: &Identity, configured: &Identity) -> Result<(), RestoreError> {
    let fields: [(_, &dyn ToString, &dyn ToString); 4] = [
        ("server group", &recorded.group, &configured.group),
        (
            "client identifier",
            &recorded.client_id,
            &configured.client_id,
        ),
        ("protocol version", &recorded.version, &configured.version),
        (
            "session expiry",
            &recorded.session_expiry,
            &configured.session_expiry,
        ),
    ];
    for (field, recorded, configured) in fields {
        let (recorded, configured): (String, String) =
            (recorded.to_string(), configured.to_string());
        // An identifier that a server assigned belongs to the session that is restored.
        let assigned = field == "client identifier" && configured.is_empty();
        if recorded != configured && !assigned {
            return Err(RestoreError::Mismatch {
                field,
                recorded,
                configured,
            });
        }
    }
    Ok(())
}
