//! What must hold at each step, and what the client tells.

use mqtt_session::proto::{PublishView, QoS, Version};
use mqtt_session::{ConnectionError, Outcome, SubscribeError};

use crate::app::{DOWN, REFUSABLE, STABLE, UP, Wanted, number, payload};
use crate::engine::Notice;
use crate::tally::Kind;
use crate::world::{CLIENT, Checked, Failure, World, ensure};

impl World {
    /// Takes what the client tells. Whether there was something.
    pub(crate) fn hear(&mut self) -> Checked<bool> {
        let mut any = self.note_received()?;
        if self.setup.handles > 0 {
            // Nobody tells of room but to those who wait for it.
            self.retry()?;
        }
        while let Some(notice) = self.engine.notice() {
            any = true;
            self.note(|| match &notice {
                Notice::Readable | Notice::Room | Notice::Stored { .. } => String::new(),
                notice => format!("* {notice:?}"),
            });
            self.heard(notice)?;
        }
        Ok(any)
    }

    fn heard(&mut self, notice: Notice) -> Checked {
        match notice {
            Notice::Accepted { n } => {
                self.app.waiting -= 1;
                self.app.passed_over += self.app.waiting;
                self.app.accept(n, self.time);
            }
            Notice::Refused { n, why } => {
                self.app.waiting -= 1;
                self.publish_refused(n, why)?;
            }
            Notice::Outcome { n, outcome } => self.ended(n, outcome)?,
            Notice::Stored { n } => self.app.messages[n as usize].stored = true,
            Notice::Subscribed { op, result } => {
                if let Some(request) = self.app.requests.remove(&op) {
                    let filter = &mut self.app.filters[request.filter];
                    filter.request = None;
                    filter.state = match &result {
                        Ok(codes) if codes.iter().all(|code| !code.is_error()) => Wanted::Yes,
                        // What an earlier request left open stays open.
                        _ if filter.state == Wanted::Either => Wanted::Either,
                        _ => Wanted::No,
                    };
                    let refused = filter.state != Wanted::Yes
                        && !matches!(result, Err(SubscribeError::Closed));
                    if refused && request.filter < STABLE.len() {
                        let text = format!("{} is not granted: {result:?}", filter.name);
                        return Err(Failure::new("stable subscriptions are granted", text));
                    }
                }
            }
            Notice::Unsubscribed { op, result } => {
                if let Some(request) = self.app.requests.remove(&op) {
                    let filter = &mut self.app.filters[request.filter];
                    filter.request = None;
                    filter.state = match &result {
                        Ok(codes) if codes.iter().all(|code| !code.is_error()) => Wanted::No,
                        _ => Wanted::Either,
                    };
                }
            }
            Notice::Connected { session_present } => {
                let before = self.watch.session;
                self.watch_connected(session_present)?;
                self.app.connections += 1;
                self.connections += 1;
                if let Some(session) = self.broker.session(CLIENT) {
                    if self.version == Version::V3_1 {
                        self.app.lost_untold |= before != 0 && before != session.number;
                    } else if session_present {
                        self.app.lost_untold |= !self.told.contains(&session.number);
                    }
                    if !session_present && !self.app.denied {
                        self.told.insert(session.number);
                    }
                }
                self.tally.add(
                    Kind::Other,
                    if session_present {
                        "sessions resumed"
                    } else {
                        "sessions begun"
                    },
                );
            }
            Notice::Lost { error, retries } => {
                self.tally.add(Kind::Lost, lost(&error, retries));
                self.watch_lost(&error);
                if let ConnectionError::Protocol { .. } | ConnectionError::Decode { .. } = error {
                    ensure!(
                        self.app.nonsense,
                        "no fault is found with a broker that is right",
                        "{error}"
                    );
                }
            }
            Notice::SubscriptionLost { filter, reason } => {
                let what = format!("subscriptions lost 0x{:02X}", reason.0);
                self.tally.add(Kind::Other, what);
                let entry = self.app.filters.iter_mut();
                if let Some(entry) = entry.into_iter().find(|e| e.name == filter.as_str()) {
                    entry.state = Wanted::Either;
                }
            }
            Notice::Closed => {
                self.app.closed = true;
                let left = self.app.reauthentications + self.app.pending + self.app.waiting;
                ensure!(
                    left == 0,
                    "every message has an outcome at the end",
                    "{left} have none"
                );
            }
            Notice::Room => self.retry()?,
            Notice::Dropping => self.tally.add(Kind::Other, "QoS 0 dropped"),
            Notice::Reauthenticated { result } => {
                let good = if result.is_ok() { "done" } else { "failed" };
                self.tally
                    .add(Kind::Other, format!("re-authentications {good}"));
                ensure!(
                    self.app.reauthentications > 0,
                    "exactly one result of a re-authentication",
                    "another one: {result:?}"
                );
                self.app.reauthentications -= 1;
            }
            Notice::Readable => {}
        }
        Ok(())
    }

    fn ended(&mut self, n: u32, outcome: Outcome) -> Checked {
        let lossy = self.app.denied || self.session_may_be_lost();
        let message = &mut self.app.messages[n as usize];
        let (qos, before) = (message.qos, message.outcome.replace(outcome));
        ensure!(
            before.is_none(),
            "exactly one outcome",
            "message {n} ended as {before:?}, and now as {outcome:?}"
        );
        ensure!(
            message.place.is_some(),
            "only what was accepted has an outcome",
            "message {n}: {outcome:?}"
        );
        self.app.gave_up |= matches!(
            outcome,
            Outcome::Refused(_)
                | Outcome::Expired
                | Outcome::Poisonous { .. }
                | Outcome::Acknowledged {
                    completed: false,
                    ..
                }
        );
        self.app.pending_bytes -= message.size;
        if qos < QoS::ExactlyOnce {
            self.app.pending_bytes_below_2 -= message.size;
        }
        self.app.pending -= 1;
        let arrivals: u32 = message.receptions.iter().map(|(_, count)| count).sum();
        let (topic, may_expire) = (message.topic, message.optional);
        self.tally.add(Kind::Outcome, outcome_name(&outcome));
        let good = match outcome {
            Outcome::Written => qos == QoS::AtMostOnce,
            Outcome::Acknowledged {
                reason,
                republished,
                completed,
            } => {
                // A server of 3.x can't say that it refuses.
                let unsaid = self.app.scripted && !self.version.is_v5();
                qos > QoS::AtMostOnce
                    && !reason.is_error()
                    && (arrivals > 0 || unsaid)
                    && (lossy || !republished)
                    && (completed || lossy || self.setup.poisonous > 0 || self.engine.is_closed())
            }
            Outcome::Rejected(_) => {
                self.version.is_v5() && qos > QoS::AtMostOnce && topic >= REFUSABLE
            }
            Outcome::Refused(why) => self.may_refuse(&why, qos),
            Outcome::Expired => may_expire || self.setup.time_to_live > 0,
            Outcome::Poisonous { connections } => {
                self.setup.poisonous > 0 && connections >= 3 && qos > QoS::AtMostOnce
            }
            Outcome::SessionLost => self.setup.session_lost > 0 && lossy && qos > QoS::AtMostOnce,
            Outcome::ConnectionLost => qos == QoS::AtMostOnce,
            Outcome::Closed => true,
            other => {
                return Err(Failure::new(
                    "an outcome is known here",
                    format!("{other:?}"),
                ));
            }
        };
        ensure!(
            good,
            "an outcome is true",
            "message {n} at {qos}: {outcome:?}; the broker accepted it {arrivals} times"
        );
        Ok(())
    }

    /// Whether the server may have lost a session so far.
    fn session_may_be_lost(&self) -> bool {
        let session = self.broker.session(CLIENT);
        session.is_none_or(|session| session.number > 1) || self.setup.clean_start > 0
    }

    /// What the broker has accepted since.
    fn note_received(&mut self) -> Checked<bool> {
        let mut any = false;
        while let Some(received) = self.broker.received().get(self.received) {
            any = true;
            self.received += 1;
            if &*received.client_id != CLIENT {
                continue;
            }
            // One that has ended with the same packet is no other's.
            let ended = u64::MAX - self.received as u64;
            let session = self.broker.session(CLIENT).map_or(ended, |s| s.number);
            let payload_bytes = received.message.payload();
            let Some(n) = number(payload_bytes) else {
                let text = "no number in the payload";
                return Err(Failure::new("content arrives unchanged", text));
            };
            let (qos, topic) = (received.qos, received.message.topic());
            let Some(message) = self.app.messages.get_mut(n as usize) else {
                let text = format!("message {n} was never made");
                return Err(Failure::new("content arrives unchanged", text));
            };
            let same = message.up
                && message.qos == qos
                && UP[message.topic] == topic.as_str()
                && payload_bytes == payload(n, message.len);
            ensure!(
                same,
                "content arrives unchanged",
                "message {n} at {qos} on '{topic}'"
            );
            let Some(place) = message.place else {
                let text = format!("message {n} was given back, and arrives all the same");
                return Err(Failure::new("what was not accepted is not sent", text));
            };
            let conn = self.broker.connection_of(CLIENT);
            let impaired = conn.is_none_or(|conn| self.net.impaired.contains(&conn));
            let (index, ended) = (message.topic, message.outcome);
            let again = match message.receptions.iter_mut().find(|(s, _)| *s == session) {
                Some((_, count)) => {
                    *count += 1;
                    true
                }
                None => {
                    message.receptions.push((session, 1));
                    false
                }
            };
            let sessions = message.receptions.len();
            self.watch_expiry(n, impaired)?;
            if again {
                ensure!(
                    qos == QoS::AtLeastOnce || self.app.denied,
                    "QoS 0 at most once, QoS 2 exactly once while the session lasts",
                    "message {n} at {qos} came again in session {session}"
                );
            } else if index < REFUSABLE && !self.app.denied {
                let last = self.app.arrived.entry((session, index, qos)).or_default();
                // That it had ended was lost by a crash: it is sent after all, behind those that came later.
                let revived = self.app.gave_up && n < self.app.crashed_at;
                ensure!(
                    *last < place || revived,
                    "order per topic and QoS, to the broker",
                    "message {n} at {qos} on '{}' came behind a later one",
                    UP[index]
                );
                *last = (*last).max(place);
            }
            ensure!(
                qos != QoS::AtMostOnce || sessions == 1,
                "QoS 0 at most once, QoS 2 exactly once while the session lasts",
                "message {n} at {qos} came in {sessions} sessions"
            );
            if let Some(Outcome::Refused(_) | Outcome::Closed) = ended
                && qos == QoS::AtMostOnce
                && !again
            {
                let text = format!("message {n}: {ended:?}");
                return Err(Failure::new("what was refused is not sent", text));
            }
        }
        Ok(any)
    }

    /// A message that the application has taken: its number.
    pub(crate) fn check_taken(&mut self, publish: &PublishView, queue: usize) -> Checked<u32> {
        let Some(n) = number(publish.payload()) else {
            let text = "no number in the payload";
            return Err(Failure::new("content arrives unchanged", text));
        };
        self.note(|| format!("  takes {n} {} '{}'", publish.qos(), publish.topic()));
        let denied = self.app.denied;
        let Some(message) = self.app.messages.get_mut(n as usize) else {
            let text = format!("message {n} was never made");
            return Err(Failure::new("content arrives unchanged", text));
        };
        let qos = publish.qos();
        let same = message.topic_name() == publish.topic().as_str()
            && publish.payload() == payload(n, message.len)
            && qos <= message.qos;
        ensure!(same, "content is taken unchanged", "message {n} at {qos}");
        message.taken += 1;
        if !message.is_stable() {
            return Ok(n);
        }
        let (taken, topic) = (message.taken, message.topic);
        ensure!(
            message.delivered == Some(qos),
            "messages come with the QoS that was granted",
            "message {n} on '{}' came at {qos} and not at {:?}",
            DOWN[topic],
            message.delivered
        );
        let wanted = self.app.filters[topic].queue;
        // What came before anybody had subscribed again waits in the first queue.
        let early = self.app.crashed_at > 0 && queue == 0;
        ensure!(
            queue == wanted || early,
            "messages come to the queue that asked for them",
            "message {n} on '{}' came to {queue} and not to {wanted}",
            DOWN[topic]
        );
        if taken > 1 {
            ensure!(
                qos == QoS::AtLeastOnce || denied || n < self.app.crashed_at,
                "taken at most once at QoS 0 and 2",
                "message {n} at {qos} came {taken} times"
            );
        } else if !denied && !self.app.lost_untold && n >= self.app.crashed_at {
            let last = self.app.taken.entry((topic, qos)).or_default();
            ensure!(
                *last <= n,
                "order per topic and QoS, to the application",
                "message {n} at {qos} on '{}' came behind {last}",
                DOWN[topic]
            );
            *last = n;
        }
        Ok(n)
    }

    /// After each step.
    pub(crate) fn check_step(&mut self) -> Checked {
        self.check_violations()?;
        if let Some(wrong) = self.auth.wrong() {
            return Err(Failure::new(
                "authentication data arrive as they were given",
                wrong,
            ));
        }
        self.watch_step()?;
        if let Some(at) = self.io.deadline {
            let at = self.clock.time_of(at);
            ensure!(
                at > self.time,
                "no deadline stays in the past",
                "{at:?} at {:?}",
                self.time
            );
        }
        if let Some(free) = self.engine.free_bytes() {
            let used = self.setup.outgoing_bytes as usize - free;
            let most = self.app.pending_bytes;
            ensure!(
                used <= most,
                "bytes are given back with the outcome",
                "{used} bytes are held, and {most} have no outcome"
            );
        }
        let now = self.clock.at(self.time);
        self.engine.check_asleep(now, &mut self.io)?;
        // At QoS 2 a message is given back with PUBREC.
        let most = self.app.pending_bytes_below_2;
        let forgets = self.app.messages.iter().any(|message| message.forgotten);
        ensure!(
            forgets || most <= self.setup.outgoing_bytes as usize,
            "queues stay within their bounds",
            "{most} bytes wait"
        );
        ensure!(
            // So small an outbox takes a few acknowledgements at a time, and a driver reads as much as comes.
            self.setup.outbox_bytes < 1000
                || self.io.input.len()
                    <= self.io.largest_read + self.setup.max_packet_size as usize,
            "queues stay within their bounds",
            "{} bytes are read and not taken",
            self.io.input.len()
        );
        Ok(())
    }

    fn check_violations(&mut self) -> Checked {
        while let Some(violation) = self.broker.violations().get(self.violations) {
            self.violations += 1;
            let silent = violation.rule == "MQTT-3.1.2-20";
            // A new message under the identifier of an old one, whose PUBREC it gets.
            let unordered = violation.rule == "MQTT-4.6.0-3" && self.app.lost_untold;
            // That an old message had ended was lost by the crash: it is resent after all, and new to the broker.
            let revived =
                violation.rule == "MQTT-4.6.0-1" && self.app.crashed_at > 0 && self.app.gave_up;
            let excused = unordered
                || revived
                || (silent && self.net.impaired.contains(&violation.conn))
                || self.tampered.contains(&violation.conn)
                || violation.client_id.as_deref() == Some("other");
            if !excused {
                let check = format!("broker: {}", violation.rule);
                return Err(Failure::new(check, violation.to_string()));
            }
        }
        Ok(())
    }
}

fn lost(error: &ConnectionError, retries: bool) -> String {
    let name = format!("{error:?}");
    let name = name.split([' ', '{', '(']).next().unwrap_or_default();
    let what = match error {
        ConnectionError::Refused { reason, .. } | ConnectionError::Disconnected { reason, .. } => {
            format!("{name} 0x{:02X}", reason.0)
        }
        ConnectionError::Protocol { violation, .. } => {
            let violation = format!("{violation:?}");
            let violation = violation.split([' ', '{', '(']).next().unwrap_or_default();
            format!("{name} {violation}")
        }
        _ => name.to_owned(),
    };
    what + if retries { "" } else { ", for good" }
}

fn outcome_name(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Written => "written".into(),
        Outcome::Acknowledged {
            completed: false, ..
        } => "acknowledged: not completed".into(),
        Outcome::Acknowledged {
            republished: true, ..
        } => "acknowledged: republished".into(),
        Outcome::Acknowledged { .. } => "acknowledged".into(),
        Outcome::Rejected(_) => "rejected".into(),
        Outcome::Refused(_) => "refused".into(),
        Outcome::SessionLost => "session lost".into(),
        Outcome::ConnectionLost => "connection lost".into(),
        Outcome::Closed => "closed".into(),
        Outcome::Expired => "expired".into(),
        Outcome::Poisonous { .. } => "poisonous".into(),
        other => format!("{other:?}").to_lowercase(),
    }
}
