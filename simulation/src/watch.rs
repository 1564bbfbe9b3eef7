//! What must hold over some time: what was remembered then is looked at now.

use std::time::Duration;

use mqtt_session::ConnectionError;
use mqtt_session::proto::{PacketType, QoS};
use mqtt_testkit::{Direction, Time};

use crate::app::EXPIRY;
use crate::world::{CLIENT, Checked, World, ensure};

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// The broker's session when the client last connected.
    pub(crate) session: u64,
    is_connected: bool,
    /// Something has happened that may end a session.
    pub(crate) may_lose: bool,
    /// Streams that were opened, and brought no CONNACK: the server may have begun a session that the client never heard of.
    pub(crate) unanswered: u64,
    /// SUBSCRIBEs that had come when the client last connected, and how many may come on that connection.
    subscribes: Option<(u64, u64)>,
    /// Streams may have been given ahead of SUBACK.
    handed_out: bool,
    /// When the client began to ask for everything anew, until a connection has lasted that surely brought the answers.
    unsettled: Option<Time>,
    /// When the last connection or round of attempts was lost, and how far the client's clock was off then.
    lost: Option<(Time, i64)>,
    /// How far the client's clock went back in all.
    pub(crate) back: Duration,
    /// Claims on messages of QoS 1 that were given back.
    pub(crate) claims: u64,
}

/// What comes on top of an expiry on the way: the delay both ways, and rounding.
const ON_THE_WAY: Duration = Duration::from_millis(2500);

/// Longer than an exchange takes over any link.
const LONG: Duration = Duration::from_secs(5);

impl World {
    /// The client has connected.
    pub(crate) fn watch_connected(&mut self, session_present: bool) -> Checked {
        let number = self.broker.session(CLIENT).map_or(0, |s| s.number);
        let durable = self.setup.clean_start == 0
            && self.setup.servers < 3
            && self.setup.redirects < 2
            && (!self.version.is_v5() || self.setup.session_expiry > 3000);
        let watch = &self.watch;
        ensure!(
            !durable || watch.may_lose || watch.session == 0 || watch.session == number,
            "a session that the server keeps is resumed",
            "it was number {} and is {number}",
            watch.session
        );
        let answered = std::mem::take(&mut self.watch.unanswered) <= 1;
        // What was asked for anew and not answered is asked for once more.
        let sure = answered && self.watch.unsettled.is_none();
        if !session_present || !sure {
            self.watch.unsettled = Some(self.time);
        }
        self.watch.session = number;
        self.watch.may_lose = false;
        self.watch.is_connected = true;
        self.watch.lost = None;
        let pending = self.app.requests.values().filter(|r| r.subscribes).count();
        let come = self.subscribes();
        // Where the server has no session, or perhaps another one, everything is asked for.
        self.watch.subscribes = (session_present && sure).then_some((come, pending as u64));
        Ok(())
    }

    /// The application subscribes to something.
    pub(crate) fn watch_subscribe(&mut self) {
        if let Some((_, may_come)) = &mut self.watch.subscribes {
            *may_come += 1;
        }
    }

    fn subscribes(&self) -> u64 {
        let traffic = self.broker.traffic();
        traffic.packets(Direction::ToBroker, PacketType::Subscribe)
    }

    /// A connection, or a round of attempts, is lost.
    pub(crate) fn watch_lost(&mut self, error: &ConnectionError) {
        if let ConnectionError::Refused { .. } = error {
            self.watch.unanswered = self.watch.unanswered.saturating_sub(1);
        }
        // A subscribe is answered ahead of its SUBACK then, which is still asked for.
        let full = matches!(error, ConnectionError::InboxFull { .. });
        self.watch.handed_out |= full && self.setup.handles > 0;
        let was_connected = std::mem::take(&mut self.watch.is_connected);
        let impaired = !self.net.impaired.is_empty();
        self.watch.unsettled = self.watch.unsettled.take_if(|since| {
            !was_connected
                || impaired
                || self.time.saturating_sub(*since) < LONG
                || self.watch.unanswered > 0
        });
        self.watch.lost = Some((self.time, self.clock.skew));
    }

    /// The application begins anew.
    pub(crate) fn watch_new_session(&mut self) {
        let back = self.watch.back;
        let claims = self.watch.claims;
        self.watch = Watch {
            may_lose: true,
            back,
            claims,
            ..Watch::default()
        };
    }

    /// Another process takes over what is stored.
    pub(crate) fn watch_crash(&mut self) {
        self.watch.lost = None;
        self.watch.subscribes = None;
        self.watch.is_connected = false;
    }

    /// The client looks a name up or dials: not too soon.
    pub(crate) fn watch_attempt(&mut self) -> Checked {
        let Some((at, skew)) = self.watch.lost.take() else {
            return Ok(());
        };
        let waited = self.time.saturating_sub(at);
        // The next server of a list, and where a server sends us, is tried at once.
        let alone = self.setup.servers == 1 && self.setup.redirects == 0;
        // The jitter takes a quarter off.
        let least = Duration::from_millis(self.setup.backoff_first * 7 / 10);
        ensure!(
            !alone
                || waited >= least
                || skew != self.clock.skew
                || self.setup.backoff_longest < 100,
            "attempts keep their distance",
            "the next one began {waited:?} after the last had failed"
        );
        Ok(())
    }

    /// A message with an expiry has come to the broker.
    pub(crate) fn watch_expiry(&self, n: u32, impaired: bool) -> Checked {
        let message = &self.app.messages[n as usize];
        // Of a QoS 2 message that was sent once the server may hold the identifier: its exchange is completed.
        let expires = message.optional && message.qos < QoS::ExactlyOnce;
        let Some(accepted) = message.accepted_at.filter(|_| expires && !impaired) else {
            return Ok(());
        };
        let waited = self.time.saturating_sub(accepted);
        let most = Duration::from_secs(EXPIRY.into()) + ON_THE_WAY + self.watch.back;
        ensure!(
            waited <= most,
            "what has expired is not sent",
            "message {n} arrived {waited:?} after it was accepted"
        );
        Ok(())
    }

    /// After each step.
    pub(crate) fn watch_step(&self) -> Checked {
        if let Some((before, may_come)) = self.watch.subscribes {
            let come = self.subscribes() - before;
            ensure!(
                come <= may_come || self.watch.handed_out,
                "nothing is subscribed to that the server has",
                "{come} SUBSCRIBEs came where {may_come} were asked for"
            );
        }
        if self.setup.handles == 0 || self.setup.acks == 0 {
            let acknowledged = self.broker.counts(CLIENT).delivered[1];
            ensure!(
                acknowledged <= self.watch.claims,
                "acknowledged when the application says so",
                "{acknowledged} PUBACKs came, and {} claims were given back",
                self.watch.claims
            );
        }
        Ok(())
    }
}
