//! The end of a case: faults stop, everything settles, and what must hold then.

use std::time::Duration;

use mqtt_session::Outcome;
use mqtt_session::proto::QoS;

use crate::app::{STABLE, Wanted};
use crate::tally::Kind;
use crate::world::{CLIENT, Checked, Failure, World, ensure};

/// How long after the last fault everything must be settled.
const PATIENCE: Duration = Duration::from_secs(1800);

/// The same where each connection brings a message or two, as the inbox has no room for more and 3.x has no Receive Maximum.
const LONG_PATIENCE: Duration = Duration::from_secs(6 * 3600);

/// An inbox that is never full.
const WIDE: u64 = 16 << 20;

/// Longer than a few exchanges take with the longest delay.
const UNDER_WAY: Duration = Duration::from_secs(4);

impl World {
    pub(crate) fn end(&mut self) -> Checked {
        self.settle()?;
        self.check_end()?;
        self.probe()?;
        self.check_quiet()?;
        self.leave()
    }

    /// All faults end, and everything that waits is dealt with.
    fn settle(&mut self) -> Checked {
        self.heal();
        let narrow = self.setup.inbox_bytes < WIDE && !self.version.is_v5();
        let until = self.time + if narrow { LONG_PATIENCE } else { PATIENCE };
        let mut step = Duration::from_millis(100);
        loop {
            if self.app.closed {
                self.begin_again()?;
            }
            self.run_for(step)?;
            self.drain()?;
            let Some(what) = self.unsettled() else {
                // What is still under way must not change that.
                self.run_for(UNDER_WAY)?;
                self.drain()?;
                if self.unsettled().is_none() {
                    return Ok(());
                }
                continue;
            };
            ensure!(
                self.time < until,
                "everything settles once faults stop",
                "{what}"
            );
            step = (step * 2).min(Duration::from_secs(5));
        }
    }

    /// The application takes and acknowledges everything.
    fn drain(&mut self) -> Checked {
        self.retry()?;
        loop {
            for queue in 0..self.setup.queues.max(1) as usize {
                self.take(queue, u64::MAX)?;
            }
            if self.app.claims.is_empty() {
                return Ok(());
            }
            self.ack(0, u64::MAX)?;
            self.run()?;
        }
    }

    fn unsettled(&mut self) -> Option<String> {
        if self.net.open_wire().is_some_and(|wire| wire.half_open) {
            return Some("nobody has noticed that the link is half open".into());
        }
        if !self.engine.is_connected() {
            return Some("the client is not connected".into());
        }
        let waiting = self.app.backlog.len() + self.app.waiting;
        if waiting > 0 {
            return Some(format!("{waiting} messages are not accepted"));
        }
        if self.app.reauthentications > 0 {
            return Some("a re-authentication has no result".into());
        }
        if self.app.pending > 0 {
            let mut open = self.app.messages.iter().enumerate();
            let open = open.find(|(_, m)| m.place.is_some() && m.outcome.is_none());
            let open = open.map(|(n, message)| (n, message.qos));
            return Some(format!(
                "{} messages have no outcome, {open:?} for one",
                self.app.pending
            ));
        }
        if let Some((op, request)) = self.app.requests.iter().next() {
            let filter = self.app.filters[request.filter].name;
            return Some(format!("request {op} for '{filter}' has no answer"));
        }
        if self.engine.stats().requests > 0 {
            return Some("the client subscribes".into());
        }
        let session = self.broker.session(CLIENT);
        match session {
            None => Some("the broker has no session".into()),
            Some(s) if s.queued > 0 || !s.sending.is_empty() => Some(format!(
                "the broker waits: {} queued, {:?} in flight",
                s.queued, s.sending
            )),
            Some(s) if !s.receiving.is_empty() && !self.app.gave_up => {
                Some(format!("exchanges are not complete: {:?}", s.receiving))
            }
            Some(_) => None,
        }
    }

    fn check_end(&self) -> Checked {
        let all = self.setup.outgoing_bytes as usize;
        let held = all - self.engine.free_bytes().unwrap_or(all);
        ensure!(
            held == 0,
            "memory is given back",
            "{held} bytes are held for nothing"
        );
        let session = self.broker.session(CLIENT);
        let number = session.as_ref().map_or(0, |session| session.number);
        // 3.1 does not tell that a session is lost, and others may be cut off while they do.
        let untold = self.setup.version == 3 || number as usize > self.told.len();
        for (n, message) in self.app.messages.iter().enumerate() {
            let arrivals: u32 = message.receptions.iter().map(|(_, count)| count).sum();
            let qos = message.qos;
            match message.outcome {
                Some(Outcome::Acknowledged { republished, .. }) => ensure!(
                    qos == QoS::AtLeastOnce
                        || arrivals <= 1
                        || republished
                        || self.app.denied
                        || untold,
                    "QoS 0 at most once, QoS 2 exactly once while the session lasts",
                    "message {n} arrived {arrivals} times and was not published anew"
                ),
                Some(Outcome::Rejected(_)) => ensure!(
                    qos == QoS::AtLeastOnce || arrivals == 0 || self.app.denied || number > 1,
                    "an outcome is true",
                    "message {n} was rejected, and arrived {arrivals} times"
                ),
                _ => {}
            }
            let due = message.is_stable()
                && message.session == number
                && !message.optional
                && self.told.contains(&number)
                && !self.app.lost_untold;
            let wanted = message.delivered.filter(|_| due).unwrap_or(QoS::AtMostOnce);
            ensure!(
                wanted == QoS::AtMostOnce || message.taken > 0,
                "QoS 1 at least once, QoS 2 exactly once while the session lasts",
                "message {n} on '{}' at {wanted} never came to the application",
                message.topic_name()
            );
        }
        self.check_subscriptions()?;
        // Who waits for room may find that another was quicker.
        let (in_vain, most) = (
            self.engine.in_vain(),
            (4 * self.app.messages.len() + 3 * self.app.passed_over) as u64 + 50,
        );
        ensure!(
            in_vain <= most,
            "no wake storm",
            "{in_vain} polls found nothing, with {} messages, of at most {most}",
            self.app.accepted
        );
        let stats = self.engine.stats();
        ensure!(
            stats.accepted == self.app.accepted && stats.connections == self.app.connections,
            "the counters are right",
            "{stats:?}; {} were accepted over {} connections",
            self.app.accepted,
            self.app.connections
        );
        Ok(())
    }

    /// What the broker has is what the application wants.
    fn check_subscriptions(&self) -> Checked {
        let session = self.broker.session(CLIENT);
        let has = session
            .map(|session| session.subscriptions)
            .unwrap_or_default();
        for filter in &self.app.filters {
            let there = has.iter().find(|(name, _)| name.as_str() == filter.name);
            let good = match filter.state {
                Wanted::Either => true,
                Wanted::Yes => there.is_some_and(|(_, options)| options.qos <= filter.qos),
                Wanted::No => there.is_none() || self.app.denied,
            };
            ensure!(
                good,
                "subscriptions are what the application wants",
                "'{}': {:?}, and the broker has {there:?}",
                filter.name,
                filter.state
            );
        }
        Ok(())
    }

    /// One message to each topic: all that is subscribed to arrives.
    fn probe(&mut self) -> Checked {
        self.note(|| "a last message to each topic".into());
        let (first, connections) = (self.app.messages.len(), self.app.connections);
        for topic in 0..crate::app::DOWN.len() as u64 {
            let step = crate::case::Step::Send {
                topic,
                qos: 1,
                size: 8,
                extra: 0,
                count: 1,
            };
            self.step(step)?;
        }
        self.run_for(UNDER_WAY)?;
        self.drain()?;
        self.settle()?;
        let session = self.broker.session(CLIENT);
        let number = session.map_or(0, |session| session.number);
        let narrow = self.setup.inbox_bytes < WIDE;
        // A narrow inbox may end the connection meanwhile, and the messages come again.
        let again = self.app.connections > connections;
        // Who was told that the session is lost, which it is not, takes them for others.
        let repeated = again && self.app.denied;
        // With DUP, under an identifier that the client still holds from a session of which nobody told that it is lost, a message passes
        // for the old one.
        let mistaken = again && self.app.lost_untold;
        for n in first..first + STABLE.len() {
            let message = &self.app.messages[n];
            ensure!(
                message.taken == 1
                    || message.session != number
                    || (narrow && message.delivered == Some(QoS::AtMostOnce))
                    || (mistaken && message.taken == 0)
                    || (repeated && message.taken > 1),
                "subscriptions work at the end",
                "message {n} on '{}' came {} times",
                message.topic_name(),
                message.taken
            );
        }
        Ok(())
    }

    /// Nothing but keep-alive happens where nobody wants anything.
    fn check_quiet(&mut self) -> Checked {
        if !self.engine.is_connected() {
            return Ok(());
        }
        self.run_for(Duration::from_secs(1))?;
        let (before, turns) = (self.engine.stats(), self.turns);
        let announced = u16::try_from(self.setup.broker_keep_alive).ok();
        let limits = self.broker.config_mut().server_keep_alive.or(announced);
        let keep_alive = limits
            .unwrap_or(self.setup.keep_alive as u16)
            .min(self.setup.keep_alive as u16);
        let shortest = if keep_alive == 0 {
            5
        } else {
            keep_alive.min(5)
        };
        let span = Duration::from_secs(400);
        self.run_for(span)?;
        let after = self.engine.stats();
        let pings = 400 / u64::from(shortest) * 2 + 4;
        let (written, turns) = (
            after.bytes_written - before.bytes_written,
            self.turns - turns,
        );
        ensure!(
            written <= pings * 2 && after.sent == before.sent,
            "quiet when idle",
            "{written} bytes were written in {span:?}"
        );
        ensure!(
            turns <= pings * 8,
            "quiet when idle",
            "{turns} turns in {span:?}"
        );
        ensure!(
            after.connections == before.connections,
            "a connection without faults lasts",
            "{} new connections in {span:?}",
            after.connections - before.connections
        );
        Ok(())
    }

    /// The application ends it.
    fn leave(&mut self) -> Checked {
        if self.setup.ending == 0 || self.app.closed {
            return Ok(());
        }
        for topic in 0..4 {
            let step = crate::case::Step::Publish {
                topic,
                qos: topic % 3,
                size: 20,
                extra: 0,
                count: 2,
            };
            self.step(step)?;
        }
        self.note(|| "the application disconnects".into());
        self.app.leaving = true;
        let drains = self.setup.ending == 1;
        let drain = drains.then_some(Duration::from_secs(10));
        let (last, now) = (self.app.messages.len(), self.clock.at(self.time));
        self.engine.disconnect(now, drain);
        self.run_for(Duration::from_secs(15))?;
        ensure!(
            self.app.closed,
            "a disconnect ends the session",
            "it goes on"
        );
        self.tally
            .add(Kind::Other, "sessions ended by the application");
        if drains {
            for message in &self.app.messages[last - 8..] {
                ensure!(
                    message.place.is_none()
                        || !matches!(message.outcome, None | Some(Outcome::Closed)),
                    "a disconnect that drains waits for what was accepted",
                    "{:?}",
                    message.outcome
                );
            }
        }
        let online = self.broker.connection_of(CLIENT);
        if online.is_some() {
            return Err(Failure::new(
                "a disconnect ends the session",
                "the broker has a connection",
            ));
        }
        Ok(())
    }
}
