//! What the application does, step by step.

use std::time::Duration;

use mqtt_session::proto::{Properties, QoS, SubscribeOptions, TopicFilter};
use mqtt_session::{PublishRefused, SubscribeError};

use crate::app::{DOWN, EXPIRY, PASSING, STABLE, UP, Wanted, qos};
use crate::case::Step;
use crate::engine::Accepted;
use crate::faults::downward_size;
use crate::tally::Kind;
use crate::world::{CLIENT, Checked, Failure, World, ensure};

/// Bits of `extra`.
const RETAIN: u64 = 1;
const USER_PROPERTY: u64 = 2;
const EXPIRES: u64 = 4;
const WAITS: u64 = 8;

impl World {
    pub(crate) fn step(&mut self, step: Step) -> Checked {
        if self.app.closed {
            self.begin_again()?;
        }
        if !matches!(step, Step::Run { .. }) {
            self.note(|| format!(". {step}"));
        }
        match step {
            Step::Publish {
                topic,
                qos: level,
                size,
                extra,
                count,
            } => {
                for _ in 0..count.max(1) {
                    let topic = topic as usize % UP.len();
                    self.publish(topic, qos(level), size as usize, extra);
                }
                self.retry()?;
            }
            Step::Send {
                topic,
                qos: level,
                size,
                extra,
                count,
            } => {
                for _ in 0..count.max(1) {
                    let topic = topic as usize % DOWN.len();
                    self.send(topic, qos(level), size as usize, extra);
                }
            }
            Step::Take { queue, count } => {
                let queue = queue as usize % self.setup.queues.max(1) as usize;
                self.take(queue, count)?;
            }
            Step::Ack { which, count } => self.ack(which, count)?,
            Step::Subscribe {
                filter,
                qos: level,
                queue,
                options,
            } => {
                let filter = STABLE.len() + filter as usize % self.passing();
                let entry = &mut self.app.filters[filter];
                if entry.request.is_none() && entry.state != Wanted::Yes {
                    entry.qos = qos(level);
                    entry.queue = queue as usize % self.setup.queues.max(1) as usize;
                    self.subscribe_to(filter, options)?;
                }
            }
            Step::Unsubscribe { filter } => {
                let filter = STABLE.len() + filter as usize % self.passing();
                self.unsubscribe_from(filter)?;
            }
            Step::Withdraw { filter } => {
                let filter = STABLE.len() + filter as usize % self.passing();
                self.withdraw(filter);
            }
            Step::Forget { which } => self.forget(which as usize),
            Step::Reauthenticate {} => {
                let now = self.clock.at(self.time);
                if self.engine.reauthenticate(now).is_ok() {
                    self.app.reauthentications += 1;
                }
            }
            Step::Run { ms } => self.run_for(Duration::from_millis(ms))?,
            fault => self.fault(fault)?,
        }
        Ok(())
    }

    fn passing(&self) -> usize {
        (self.app.filters.len() - STABLE.len()).min(PASSING.len())
    }

    fn publish(&mut self, topic: usize, qos: QoS, len: usize, extra: u64) {
        let n = self.app.message(true, topic, qos, len);
        let message = &mut self.app.messages[n as usize];
        let mut publish = message.publish(n);
        if extra & RETAIN > 0 && message.topic_name().starts_with('v') {
            publish = publish.with_retain(true);
        }
        if self.version.is_v5() {
            let mut properties = Properties::builder();
            if extra & USER_PROPERTY > 0 {
                properties = properties.user_property("number", &n.to_string());
            }
            if extra & EXPIRES > 0 {
                properties = properties.message_expiry_interval(EXPIRY);
                message.optional = true;
            }
            publish = publish.with_properties(properties.build().expect("good properties"));
        }
        message.size = publish.size();
        message.waits = extra & WAITS > 0;
        self.app.backlog.push_back((n, publish));
    }

    /// Offers what waits to the client, in order, until it takes no more.
    pub(crate) fn retry(&mut self) -> Checked {
        while !self.app.leaving
            && let Some((n, publish)) = self.app.backlog.pop_front()
        {
            let now = self.clock.at(self.time);
            let (qos, waits) = (
                self.app.messages[n as usize].qos,
                self.app.messages[n as usize].waits,
            );
            match self.engine.publish(now, n, qos, publish, waits) {
                Ok(Accepted::Now) => self.app.accept(n, self.time),
                Ok(Accepted::Perhaps) => self.app.waiting += 1,
                Err((publish, why)) if why.is_full() => {
                    self.tally.add(Kind::Other, "publishes refused: full");
                    self.app.backlog.push_front((n, publish));
                    return Ok(());
                }
                Err((_, why)) => self.publish_refused(n, why)?,
            }
        }
        Ok(())
    }

    pub(crate) fn publish_refused(&mut self, n: u32, why: PublishRefused) -> Checked {
        self.tally.add(Kind::Other, "publishes refused: for good");
        let qos = self.app.messages[n as usize].qos;
        ensure!(
            self.may_refuse(&why, qos),
            "a publish is refused for a reason",
            "message {n} at {qos}: {why}"
        );
        Ok(())
    }

    /// Drops a future that waits for room, or for an outcome.
    fn forget(&mut self, which: usize) {
        let now = self.clock.at(self.time);
        if let Some((n, accepted)) = self.engine.forget(now, which) {
            self.note(|| format!("  forgets {n}"));
            self.tally.add(Kind::Other, "publishes forgotten");
            if accepted {
                self.app.forget(n);
            } else {
                self.app.waiting -= 1;
            }
        }
    }

    pub(crate) fn may_refuse(&self, why: &PublishRefused, qos: QoS) -> bool {
        match why {
            PublishRefused::Offline => self.setup.offline > 0 && qos == QoS::AtMostOnce,
            PublishRefused::Closed => self.engine.is_closed() || self.app.leaving,
            PublishRefused::AboveLimit { .. } => true,
            _ => self.app.limited,
        }
    }

    /// Somebody else publishes.
    fn send(&mut self, topic: usize, qos: QoS, len: usize, extra: u64) {
        let n = self.app.message(false, topic, qos, len);
        let session = self.broker.session(CLIENT);
        let message = &mut self.app.messages[n as usize];
        let mut publish = message.publish(n);
        let mut properties = Properties::builder();
        if extra & USER_PROPERTY > 0 && self.version.is_v5() {
            properties = properties.user_property("number", &n.to_string());
        }
        if extra & EXPIRES > 0 && self.version.is_v5() {
            properties = properties.message_expiry_interval(EXPIRY);
            message.optional = true;
        }
        publish = publish.with_properties(properties.build().expect("good properties"));
        if extra & RETAIN > 0 && message.topic_name().starts_with('v') {
            publish = publish.with_retain(true);
        }
        if let Some(session) = session {
            message.session = session.number;
            if message.is_stable() {
                let filter = STABLE[topic].0;
                let mut own = session.subscriptions.iter();
                let granted = own.find(|(f, _)| f.as_str() == filter);
                let granted = granted.map(|(_, options)| options.qos.min(qos));
                let came = granted.unwrap_or(qos);
                let size = downward_size(self.version, &publish, came) as u64;
                message.delivered = granted.filter(|_| size <= self.setup.max_packet_size);
                // Identifiers of subscriptions may come on top.
                message.optional |= size + 16 > self.setup.max_packet_size;
            }
            if !session.subscriptions.is_empty() {
                self.app.count += 1;
            }
        }
        self.broker.publish(self.time, &publish, qos);
    }

    pub(crate) fn take(&mut self, queue: usize, count: u64) -> Checked {
        for _ in 0..count.max(1) {
            let now = self.clock.at(self.time);
            let Some(taken) = self.engine.take(now, queue) else {
                break;
            };
            let n = self.check_taken(&taken.publish, queue)?;
            self.app.claims.push((taken.claim, n));
        }
        Ok(())
    }

    pub(crate) fn ack(&mut self, which: u64, count: u64) -> Checked {
        for _ in 0..count.max(1) {
            if self.app.claims.is_empty() {
                break;
            }
            let at = which as usize % self.app.claims.len();
            let (claim, n) = self.app.claims.remove(at);
            self.watch.claims += 1;
            let now = self.clock.at(self.time);
            if self.engine.ack(now, claim).is_err() {
                self.tally.add(Kind::Other, "stale tickets");
                let session = self.broker.session(CLIENT).map(|session| session.number);
                let message = &self.app.messages[n as usize];
                ensure!(
                    self.app.denied
                        || self.app.closed
                        || message.up
                        || session != Some(message.session),
                    "a ticket is stale only when its session is lost",
                    "message {n} came in session {}",
                    message.session
                );
            }
        }
        Ok(())
    }

    pub(crate) fn subscribe_to(&mut self, filter: usize, options: u64) -> Checked {
        let entry = &self.app.filters[filter];
        let mut wanted = SubscribeOptions::from(entry.qos);
        let name = TopicFilter::try_from(entry.name).expect("a filter");
        let queue = entry.queue;
        if self.version.is_v5() {
            wanted.no_local = options & 1 > 0 && name.share_name().is_none();
            wanted.retain_as_published = options & 2 > 0;
        }
        let op = self.app.request(filter, true);
        self.watch_subscribe();
        let now = self.clock.at(self.time);
        let filters = vec![(name, wanted)];
        let result = self.engine.subscribe(now, op, filters, queue);
        if let Err(error) = result {
            self.request_refused(op, &error)?;
        }
        Ok(())
    }

    pub(crate) fn unsubscribe_from(&mut self, filter: usize) -> Checked {
        let entry = &self.app.filters[filter];
        if entry.request.is_some() || entry.state == Wanted::No {
            return Ok(());
        }
        let name = TopicFilter::try_from(entry.name).expect("a filter");
        let op = self.app.request(filter, false);
        let now = self.clock.at(self.time);
        if let Err(error) = self.engine.unsubscribe(now, op, name) {
            self.request_refused(op, &error)?;
        }
        Ok(())
    }

    /// A request that was not even accepted.
    fn request_refused(&mut self, op: u32, error: &SubscribeError) -> Checked {
        let request = self.app.requests.remove(&op);
        if let Some(request) = request {
            self.app.filters[request.filter].request = None;
        }
        self.check_refusal(error)
    }

    pub(crate) fn check_refusal(&mut self, error: &SubscribeError) -> Checked {
        self.tally.add(Kind::Other, "requests refused");
        let good = match error {
            SubscribeError::Full { .. } => true,
            SubscribeError::Closed => self.engine.is_closed(),
            SubscribeError::NoFilters => false,
            _ => self.app.limited || self.setup.broker_wildcards + self.setup.broker_shared < 2,
        };
        if good {
            Ok(())
        } else {
            let text = format!("{error}");
            Err(Failure::new("a request is refused for a reason", text))
        }
    }

    fn withdraw(&mut self, filter: usize) {
        let Some(op) = self.app.filters[filter].request else {
            return;
        };
        if !self.app.requests.get(&op).is_some_and(|r| r.subscribes) {
            return;
        }
        self.tally.add(Kind::Other, "subscribes withdrawn");
        self.app.requests.remove(&op);
        self.app.filters[filter].request = None;
        if self.app.filters[filter].state != Wanted::Either {
            self.app.filters[filter].state = Wanted::No;
        }
        let now = self.clock.at(self.time);
        self.engine.withdraw(now, op);
    }
}
