//! What records add up to.

use alloc::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use mqtt_proto::{PacketId, Publish, QoS, ReasonCode};

use crate::{Accepted, Ending, Identity, Lifetime, Record, Token};

/// What the records say, one after the other.
#[derive(Debug, Default)]
pub(super) struct Replay {
    pub(super) identity: Option<Identity>,
    pub(super) begun: bool,
    pub(super) messages: BTreeMap<Token, Message>,
    /// Packet identifiers in use, and the messages that have them: none where the message is finished.
    pub(super) taken: BTreeMap<PacketId, Option<Token>>,
    pub(super) recorded: BTreeSet<PacketId>,
    pub(super) pubrecs: u64,
    pub(super) next_token: u64,
}

#[derive(Debug)]
pub(super) struct Message {
    pub(super) tag: Option<Bytes>,
    pub(super) lifetime: Option<Lifetime>,
    pub(super) republished: bool,
    pub(super) state: State,
}

#[derive(Debug)]
pub(super) enum State {
    Queued {
        qos: QoS,
        publish: Publish,
    },
    Sent {
        id: PacketId,
        qos: QoS,
        publish: Publish,
    },
    AwaitsPubComp {
        id: PacketId,
        reason: ReasonCode,
        order: u64,
    },
}

/// What is wrong with a record in its place.
pub(super) type Misfit = &'static str;

impl Replay {
    pub(super) fn apply(&mut self, record: Record) -> Result<(), Misfit> {
        if self.identity.is_none() && !matches!(record, Record::Identity(_)) {
            return Err("the first record does not say whose session it is");
        }
        match record {
            Record::Identity(identity) => return self.identify(identity),
            Record::SessionBegan => {
                self.begun = true;
                return self.lose_session();
            }
            Record::Accepted(accepted) => return self.accept(accepted),
            Record::Sent { token, id } => return self.send(token, id),
            Record::PubRec { token, reason } => {
                let order = self.pubrecs;
                let message = self.messages.get_mut(&token).ok_or(UNKNOWN)?;
                let State::Sent {
                    id,
                    qos: QoS::ExactlyOnce,
                    ..
                } = message.state
                else {
                    return Err("PUBREC for a message that was not sent at QoS 2");
                };
                message.state = State::AwaitsPubComp { id, reason, order };
                self.pubrecs += 1;
            }
            Record::AwaitsPubComp {
                token,
                id,
                reason,
                republished,
                tag,
            } => {
                let order = self.pubrecs;
                let state = State::AwaitsPubComp { id, reason, order };
                self.take(id, Some(token))?;
                self.add(
                    token,
                    Message {
                        tag,
                        lifetime: None,
                        republished,
                        state,
                    },
                )?;
                self.pubrecs += 1;
            }
            Record::Finished { token, ending } => return self.finish(token, ending),
            Record::Kept { id } => return self.take(id, None),
            Record::Freed { id } => match self.taken.remove(&id) {
                Some(None) => {}
                _ => return Err("a packet identifier is freed that no finished message keeps"),
            },
            Record::Recorded { id } => {
                self.recorded.insert(id);
            }
            Record::Released { id } => {
                if !self.recorded.remove(&id) {
                    return Err("a packet identifier is released that was not recorded");
                }
            }
        }
        Ok(())
    }

    fn identify(&mut self, identity: Identity) -> Result<(), Misfit> {
        check_token(identity.next_token)?;
        self.next_token = self.next_token.max(identity.next_token.get());
        let before = self.identity.replace(identity);
        let same = self
            .identity
            .as_ref()
            .zip(before)
            .is_none_or(|(now, was)| now.group == was.group && now.client_id == was.client_id);
        if same {
            return Ok(());
        }
        // It is recorded when a server has begun a session: one that is elsewhere has none of it, though a crash may have taken what says so.
        self.begun = true;
        self.lose_session()
    }

    /// Messages in flight go back into the queue. Those that PUBREC had come for had their outcome before.
    fn lose_session(&mut self) -> Result<(), Misfit> {
        self.taken.clear();
        self.recorded.clear();
        for message in self.messages.values_mut() {
            match &message.state {
                State::Queued { .. } => {}
                State::Sent { qos, publish, .. } => {
                    message.republished = true;
                    message.state = State::Queued {
                        qos: *qos,
                        publish: publish.clone(),
                    };
                }
                State::AwaitsPubComp { .. } => {
                    return Err("a message that the server had taken has lost its session");
                }
            }
        }
        Ok(())
    }

    fn accept(&mut self, accepted: Accepted) -> Result<(), Misfit> {
        let Accepted {
            token,
            qos,
            publish,
            tag,
            lifetime,
            republished,
        } = accepted;
        if qos == QoS::AtMostOnce {
            return Err("a message of QoS 0 is recorded");
        }
        let state = State::Queued { qos, publish };
        self.add(
            token,
            Message {
                tag,
                lifetime,
                republished,
                state,
            },
        )
    }

    fn add(&mut self, token: Token, message: Message) -> Result<(), Misfit> {
        check_token(token)?;
        self.next_token = self.next_token.max(token.get() + 1);
        match self.messages.insert(token, message) {
            None => Ok(()),
            Some(_) => Err("a token is used twice"),
        }
    }

    fn take(&mut self, id: PacketId, token: Option<Token>) -> Result<(), Misfit> {
        match self.taken.insert(id, token) {
            None => Ok(()),
            Some(_) => Err("a packet identifier is used twice"),
        }
    }

    fn send(&mut self, token: Token, id: PacketId) -> Result<(), Misfit> {
        self.take(id, Some(token))?;
        let message = self.messages.get_mut(&token).ok_or(UNKNOWN)?;
        let State::Queued { qos, publish } = &message.state else {
            return Err("a message is sent twice");
        };
        message.state = State::Sent {
            id,
            qos: *qos,
            publish: publish.clone(),
        };
        Ok(())
    }

    fn finish(&mut self, token: Token, ending: Ending) -> Result<(), Misfit> {
        let message = self.messages.remove(&token).ok_or(UNKNOWN)?;
        let answered = matches!(ending, Ending::Acknowledged(_) | Ending::Rejected(_));
        match message.state {
            State::Queued { .. } => {}
            State::Sent {
                id,
                qos: QoS::ExactlyOnce,
                ..
            } if !answered => {
                self.taken.insert(id, None);
            }
            State::Sent { id, .. } | State::AwaitsPubComp { id, .. } => {
                self.taken.remove(&id);
            }
        }
        Ok(())
    }
}

/// Tokens count up, and can't have come that far: there would be none left for what is published next.
fn check_token(token: Token) -> Result<(), Misfit> {
    const MOST: u64 = u64::MAX / 2;
    if token.get() > MOST {
        return Err("a token is greater than any that was ever given");
    }
    Ok(())
}

const UNKNOWN: Misfit = "a token is unknown";
