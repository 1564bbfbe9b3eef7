//! The protocol state machine: its state, and its public methods.

mod acknowledged;
mod alias;
mod asked;
mod authenticate;
mod blocked;
mod events;
mod expiry;
mod getters;
mod handshake;
mod home;
mod inbox;
mod inflight;
mod keep_alive;
mod leaving;
mod link;
mod memory;
mod outcomes;
mod phase;
mod poison;
mod race;
mod receive;
mod records;
mod redirect;
mod replay;
mod request;
mod requests;
mod restore;
mod room;
mod round;
mod send;
mod slab;
mod stage;
mod subscriptions;
mod unclaimed;
mod withhold;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use bytes::{Bytes, BytesMut};
use mqtt_proto::{
    Disconnect, Outbox, Properties, Publish, QoS, SubscribeOptions, TopicFilter, Version,
};

use crate::auth::{AuthAnswer, AuthError};
use crate::backoff::Dice;
use crate::stats::Counters;
use crate::timer::TimerTable;
use crate::{
    Action, Attempt, Cause, Config, Credentials, DisconnectError, Event, Instant, Observation,
    PublishError, PublishOptions, QueueId, QueueOptions, ReauthenticateError, Received, Record,
    Seq, Servers, Stale, SubscribeError, Ticket, Token, WallClock,
};
use events::Events;
#[cfg(feature = "client")]
pub(crate) use events::{News, Run};
#[cfg(feature = "client")]
pub(crate) use expiry::expires;
use home::Home;
use inbox::Inbox;
use link::Link;
pub use outcomes::Released;
use records::Records;
use requests::How;
use round::Round;
use send::Outgoing;
use stage::{Farewell, Stage};
use subscriptions::Subscriptions;

static AS_CONFIGURED: PublishOptions = PublishOptions::new();

/// An MQTT client session: the whole protocol without any I/O. The crate's front page shows a loop that drives one.
///
/// It lasts over many connections. What belongs to one connection only stands in a group of its own, which is replaced when the
/// connection is lost.
#[derive(Debug)]
pub struct Session {
    config: Config,
    round: Round,

    // The session: lasts until the server loses it.
    outgoing: Outgoing,
    inbox: Inbox,
    subscriptions: Subscriptions,
    records: Option<Box<Records>>,
    /// Where the session is, once a server has accepted us.
    home: Option<Home>,
    /// The version of the latest connection that was accepted, or the configured one.
    version: Version,

    // The attempt to connect, and the connection.
    stage: Stage,
    link: Link,
    timers: TimerTable,

    // Since the beginning.
    now: Instant,
    dice: Dice,
    attempts: u64,
    /// Rounds that failed since a connection was stable.
    failures: u32,
    /// The next round waits until the inbox is half empty.
    inbox_was_full: bool,
    /// A round that fails before the first connection does not end the session.
    persistent: bool,
    /// The server has accepted a connection before.
    connected_before: bool,
    /// CONNECT was sent, and no CONNACK has come since, or none is recorded: the server may have begun a session that we know nothing of.
    is_unsure: bool,
    /// A [`Connection`](crate::Connection) has this session, and with it what a URL may ask for above the byte stream.
    layered: bool,
    /// The application wants to disconnect, with this packet.
    leaving: Option<Box<Disconnect>>,
    stats: Counters,

    // What is to be told.
    actions: VecDeque<Action>,
    events: Events,
}

impl Session {
    /// A session that is not connected yet, and the servers that it may connect to. The seed decides the jitter of reconnecting, the order of
    /// shuffled servers, and where packet identifiers begin when an earlier session is resumed: the same seed and inputs give the same bytes.
    pub fn new(mut config: Config, servers: impl Into<Servers>, seed: u64) -> Self {
        let servers = servers.into();
        config.adopt(&servers.options());
        let mut dice = Dice::new(seed);
        // A process that resumes a session without records must not meet an identifier of before: a QoS 2 message would be
        // swallowed as a duplicate [MQTT-4.3.3-10].
        let base = if config.connect.clean_start {
            0
        } else {
            dice.roll() as u16
        };
        let round = Round::new(servers.into_list(&mut dice));
        Self {
            outgoing: Outgoing::new(base, config.packet_ids()),
            inbox: Inbox::new(Dice::new(!seed).roll() as u32),
            subscriptions: Subscriptions::default(),
            records: Records::new(&config, round.group_name(), base),
            home: None,
            version: config.version(),
            stage: Stage::Idle,
            link: Link::new(config.version(), &config),
            timers: TimerTable::default(),
            now: Instant::ZERO,
            round,
            dice,
            attempts: 0,
            failures: 0,
            inbox_was_full: false,
            persistent: false,
            connected_before: false,
            is_unsure: false,
            layered: false,
            leaving: None,
            stats: Counters::default(),
            actions: VecDeque::new(),
            events: Events::default(),
            config,
        }
    }

    /// Whoever drives the session has the layers that a server's URL asks for.
    pub(crate) const fn set_layered(&mut self) {
        self.layered = true;
    }

    #[cfg(feature = "client")]
    pub(crate) fn ask_for_credentials(&mut self) {
        self.config.rare.get_or_insert_default().ask_for_credentials = true;
    }

    /// Gives the credentials that an [`Action::Credentials`] asked for, or tells why there are none: then the attempt has failed.
    pub fn handle_credentials(
        &mut self,
        now: Instant,
        attempt: Attempt,
        given: Result<Credentials, Cause>,
    ) {
        self.tick(now);
        self.authorized(attempt, given);
    }

    /// Tells the addresses that were found for an [`Action::Resolve`].
    pub fn handle_resolved(
        &mut self,
        now: Instant,
        attempt: Attempt,
        found: Result<Vec<SocketAddr>, Cause>,
    ) {
        self.tick(now);
        self.resolved(attempt, found);
    }

    /// Tells that the byte stream of an [`Action::Dial`] or [`Action::Open`] is open, and that something of the caller's own has still to be
    /// done above it before it carries bytes of MQTT: then [`handle_opened`](Self::handle_opened) follows. No other address is dialled any more.
    /// The session waits without a bound of its own.
    pub fn handle_dialled(&mut self, now: Instant, attempt: Attempt) {
        self.tick(now);
        self.dialled(attempt);
    }

    /// Whether the byte stream of this attempt is open, and layers above it shake hands.
    pub(crate) fn is_shaking(&self, attempt: Attempt) -> bool {
        matches!(self.stage, Stage::Shaking { attempt: current, .. } if current == attempt)
    }

    /// The layers above the byte stream are at their end, and may have something to say of it.
    pub(crate) fn handle_broken(&mut self, now: Instant, attempt: Attempt, cause: Cause) {
        self.tick(now);
        self.broken(attempt, cause, Farewell::Layers);
    }

    /// So many bytes behind those that are written may have left in part.
    pub(crate) fn handle_touched(&mut self, n: usize) {
        self.link.touched = self.link.written + n as u64;
    }

    /// Tells that the byte stream of an [`Action::Dial`] or [`Action::Open`] is open, and carries the bytes of the session.
    pub fn handle_opened(&mut self, now: Instant, attempt: Attempt) {
        self.tick(now);
        self.opened(attempt);
    }

    /// Tells that a dial failed, or that the stream is gone: by end of file, by an error, or because of [`Action::Hangup`].
    ///
    /// What was read and not taken, and what [`poll_transmit`](Self::poll_transmit) gave and was not written, belonged to that
    /// stream: clear both before the next [`handle_opened`](Self::handle_opened).
    pub fn handle_closed(&mut self, now: Instant, attempt: Attempt, cause: Cause) {
        self.tick(now);
        self.closed(attempt, cause);
    }

    /// Takes whole packets from the front of what was read; a part of one stays.
    ///
    /// Where the inbox is full, whole packets stay, too: then [`wants_read`](Self::wants_read) is false, and when it is true again
    /// this is to be called with what stayed, before more is read.
    pub fn handle_input(&mut self, now: Instant, input: &mut BytesMut) {
        self.tick(now);
        self.input(input);
    }

    /// Tells that the operating system took the next `n` bytes of what [`poll_transmit`](Self::poll_transmit) gave.
    pub fn handle_written(&mut self, now: Instant, n: usize) {
        self.tick(now);
        self.written(n);
    }

    /// Brings the answer to an [`Action::Authenticate`]. One that comes late, or twice, does nothing.
    pub fn handle_auth(
        &mut self,
        now: Instant,
        attempt: Attempt,
        answer: Result<AuthAnswer, AuthError>,
    ) {
        self.tick(now);
        self.auth_answered(attempt, answer);
    }

    /// Does what is due. An early or extra call does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.tick(now);
        while let Some(timer) = self.timers.expire(self.now) {
            self.timeout(timer);
        }
    }

    /// Tells that everything is stored up to this record of [`poll_record`](Self::poll_record), so that a crash does not lose it.
    ///
    /// [`Event::Stored`] tells it of messages; with [`Durability::WriteAhead`](crate::Durability) what waited for it can be sent. Earlier
    /// records than were told before, and those that were not polled, change nothing.
    pub fn handle_stored(&mut self, now: Instant, seq: Seq) {
        self.tick(now);
        self.stored(seq);
    }

    /// Tells what the clock on the wall says, for the deadlines in records; may be told again when that clock was set. Without it deadlines
    /// are not recorded, and what is restored does not expire by them.
    pub fn handle_wall_clock(&mut self, clock: WallClock) {
        if let Some(records) = &mut self.records {
            records.wall = Some((clock.now, clock.time));
        }
    }

    /// Begins to connect. Where the first round of attempts fails, the session ends with [`Event::Closed`]; after a first success it
    /// reconnects by itself. Does nothing on a session that has begun.
    pub fn connect(&mut self, now: Instant) {
        self.tick(now);
        self.begin(false);
    }

    /// Begins to connect, and keeps trying from the beginning. Does nothing on a session that has begun.
    pub fn start(&mut self, now: Instant) {
        self.tick(now);
        self.begin(true);
    }

    /// Accepts a message. [`Event::Published`] tells its outcome, exactly one for each accepted message.
    ///
    /// # Errors
    ///
    /// The message is given back when the queue is full (then [`Event::Room`] tells when to try again), when it can't be sent
    /// to this server or in this version, or when the session is closed.
    #[inline]
    pub fn publish(
        &mut self,
        now: Instant,
        qos: QoS,
        publish: Publish,
    ) -> Result<Token, PublishError> {
        self.publish_with(now, qos, publish, &AS_CONFIGURED)
    }

    /// Accepts a message with options: see [`publish`](Self::publish).
    ///
    /// A message waits for as long as its time to live and, in 5.0, its Message Expiry Interval allow: then it ends as
    /// [`Outcome::Expired`](crate::Outcome::Expired), in the queue at once, in flight when it would be sent again
    /// (but not by the interval at QoS 2 [MQTT-4.3.3-7], once a byte of it has left).
    /// What is sent after it has waited carries the rest of the interval; the time waited is rounded up to whole seconds, and with
    /// less than a second left it has expired.
    ///
    /// # Errors
    ///
    /// As for [`publish`](Self::publish).
    pub fn publish_with(
        &mut self,
        now: Instant,
        qos: QoS,
        publish: Publish,
        options: &PublishOptions,
    ) -> Result<Token, PublishError> {
        self.accept(now, qos, publish, options)
    }

    /// Opens another queue for received messages.
    pub fn open_queue(&mut self) -> QueueId {
        self.inbox.open_queue()
    }

    /// How a queue treats what is put into it from now on, and whether it acknowledges what waits in it already.
    pub fn set_queue(&mut self, now: Instant, queue: QueueId, options: QueueOptions) {
        self.tick(now);
        self.configure_queue(queue, options);
    }

    /// How many messages of QoS 0 were dropped since a queue was opened, because there were more than
    /// [`QueueOptions::max_at_most_once`] in it.
    pub fn dropped_of(&self, queue: QueueId) -> u64 {
        self.inbox.dropped_of(queue)
    }

    /// Closes a queue. Its subscriptions are detached: the server keeps them, but they are not asked for again when it loses the
    /// session. Messages of QoS 1 and 2 that wait in it go to [`QueueId::DEFAULT`], those of QoS 0 are dropped and counted. The
    /// default queue can't be closed.
    pub fn close_queue(&mut self, now: Instant, queue: QueueId) {
        self.tick(now);
        self.telling_unclaimed(|session| session.detach(queue));
    }

    /// Whether QoS 0 messages that no subscription claims go to the default queue (yes), or are dropped and counted. Those of QoS 1
    /// and 2 are always held there, unacknowledged, until a subscription claims them or the application takes them: to discard them, take and
    /// acknowledge them. They count against our Receive Maximum and the bound of the inbox meanwhile. Where those of QoS 0 are dropped, nobody is
    /// expected to look: then [`Event::Unclaimed`] tells of them. Those of QoS 0 that wait already stay, as long as the inbox is no more than half
    /// full.
    pub fn keep_unclaimed(&mut self, keep: bool) {
        self.set_keep_unclaimed(keep);
    }

    /// Subscribes to these filters; messages that match go to `queue`. [`Event::Subscribed`] brings the answer.
    ///
    /// May be called before the connection is there. Subscriptions that the server granted are asked for again when it has lost
    /// the session, with the same properties.
    ///
    /// Where the server has granted all of the filters with the same options, to queues that are still open, this queue shares its subscriptions:
    /// nothing is sent, and so no retained messages come.
    ///
    /// In 5.0, and where the server can, the session gives each SUBSCRIBE a Subscription Identifier, and a message that comes with some goes to
    /// the subscriptions that they name alone. Without, each copy that the server sends goes to all queues with a matching filter.
    ///
    /// # Errors
    ///
    /// Nothing is sent if there is no such queue, if a filter can't be subscribed to at this server or in this version, if one is subscribed to with other options
    /// ([`replace_subscription`](Self::replace_subscription) changes them), or if a Subscription Identifier is among the properties.
    pub fn subscribe(
        &mut self,
        now: Instant,
        filters: Vec<(TopicFilter, SubscribeOptions)>,
        properties: Properties,
        queue: QueueId,
    ) -> Result<Token, SubscribeError> {
        self.tick(now);
        self.request_subscribe(filters, properties, queue, How::Ask)
    }

    /// The same for who does not wait for an answer: [`Event::SubscriptionLost`] tells where the server refuses, and nothing else is told.
    pub fn declare_subscription(
        &mut self,
        now: Instant,
        filters: Vec<(TopicFilter, SubscribeOptions)>,
        properties: Properties,
        queue: QueueId,
    ) -> Result<(), SubscribeError> {
        self.tick(now);
        self.request_subscribe(filters, properties, queue, How::Declare)
            .map(|_| ())
    }

    /// Subscribes as [`subscribe`](Self::subscribe) does, and always sends SUBSCRIBE: what there is under these filters gets these options and
    /// properties, for all queues that share it.
    pub fn replace_subscription(
        &mut self,
        now: Instant,
        filters: Vec<(TopicFilter, SubscribeOptions)>,
        properties: Properties,
        queue: QueueId,
    ) -> Result<Token, SubscribeError> {
        self.tick(now);
        self.request_subscribe(filters, properties, queue, How::Replace)
    }

    /// Takes back a subscribe that nobody waits for any more: one that is not sent yet vanishes, one that is sent is unsubscribed
    /// after its SUBACK.
    pub fn withdraw(&mut self, now: Instant, token: Token) {
        self.tick(now);
        self.withdraw_request(token);
    }

    /// Unsubscribes from these filters, in whichever queue. [`Event::Unsubscribed`] brings the answer; until then messages may come.
    pub fn unsubscribe(
        &mut self,
        now: Instant,
        filters: Vec<TopicFilter>,
        properties: Properties,
    ) -> Result<Token, SubscribeError> {
        self.tick(now);
        self.request_unsubscribe(filters, properties)
    }

    /// Gives the ticket of a message back: a message of QoS 1 or 2 is acknowledged as soon as those before it are, and its room
    /// in the inbox is free.
    ///
    /// # Errors
    ///
    /// The message belongs to a session that the server has lost: it can't be acknowledged any more, and may come again.
    pub fn ack(&mut self, now: Instant, ticket: Ticket) -> Result<(), Stale> {
        self.tick(now);
        self.give_back(ticket)
    }

    /// Authenticates once more on the same connection (section 4.12.1), because a token expires, say. Messages flow meanwhile.
    /// [`Event::Reauthenticated`] tells what came of it; a failure ends the connection.
    ///
    /// # Errors
    ///
    /// There is no connection or no method, or a re-authentication is under way.
    pub fn reauthenticate(&mut self, now: Instant) -> Result<Token, ReauthenticateError> {
        self.tick(now);
        self.begin_reauthentication()
    }

    /// Ends the session: nothing more is accepted; what was is sent and acknowledged for at most `drain`, then DISCONNECT is sent and
    /// the stream closed. What is left then ends as [`Outcome::Closed`](crate::Outcome::Closed).
    ///
    /// A Session Expiry Interval in it replaces that of CONNECT. 3.x has neither reason codes nor properties here; there,
    /// [`ReasonCode::DISCONNECT_WITH_WILL`](mqtt_proto::ReasonCode) closes the stream without DISCONNECT, so that the server publishes the
    /// will. Properties that turn out too large for the server when it is sent are left out.
    ///
    /// # Errors
    ///
    /// The version in use has no such DISCONNECT; then nothing changes. [`Disconnect::default`] always does.
    pub fn disconnect(
        &mut self,
        now: Instant,
        disconnect: Disconnect,
        drain: Duration,
    ) -> Result<(), DisconnectError> {
        self.tick(now);
        self.may_leave_with(&disconnect)?;
        self.leave(disconnect, drain);
        Ok(())
    }

    /// The next thing that the driver shall do outside of reading and writing.
    pub fn poll_action(&mut self) -> Option<Action> {
        let action = self.actions.pop_front();
        if action.is_some() && self.actions.is_empty() {
            // They are for connections that are made or end: one that is idle keeps no room for them.
            self.actions = VecDeque::new();
        }
        action
    }

    /// Whether [`poll_action`](Self::poll_action) has something.
    pub fn has_action(&self) -> bool {
        !self.actions.is_empty()
    }

    /// Moves encoded packets behind those in `out`, and tells whether there were any. Where `out` is empty this exchanges two
    /// buffers. More may come when these are written: at most [`Limits::outbox_bytes`](crate::Limits::outbox_bytes) and one message
    /// at a time.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Outbox) -> bool {
        self.tick(now);
        self.pump();
        // What has expired instead of being sent again was perhaps the last.
        self.leave_if_drained();
        let any = !self.link.outbox.is_empty();
        if any {
            out.append(&mut self.link.outbox);
            self.link.answers = 0;
        }
        any
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) has something.
    pub fn has_transmit(&self) -> bool {
        !self.link.outbox.is_empty() || self.can_pump()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.earliest()
    }

    /// The next thing to store, with its number: they count up from 1 without a gap. When it is safe,
    /// [`handle_stored`](Self::handle_stored) is to be told, for each or for the last of many.
    ///
    /// There are none with [`Durability::Off`](crate::Durability). They come out until they are polled, after [`Event::Closed`], too.
    pub fn poll_record(&mut self) -> Option<(Seq, Record)> {
        self.next_record()
    }

    /// Whether [`poll_record`](Self::poll_record) has something.
    pub fn has_record(&self) -> bool {
        self.records_wait()
    }

    /// The messages of an earlier process that have no outcome yet, in the order of their tokens, and what the application calls them.
    /// [`Event::Published`] tells their outcome as that of others.
    pub fn restored(&self) -> impl Iterator<Item = (Token, Option<&Bytes>)> {
        self.records
            .iter()
            .flat_map(|records| records.live.range(..records.first_token))
            .map(|(token, tag)| (*token, tag.as_ref()))
    }

    /// The next thing to tell the application.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// From now on summaries of packets and changes of the connection are kept for [`poll_observation`](Self::poll_observation), at most
    /// [`Limits::observations`](crate::Limits::observations). Without this call nothing is kept.
    pub fn keep_observations(&mut self) {
        self.events.observe(self.config.limits.observations);
    }

    /// The next thing for who only watches: see [`keep_observations`](Self::keep_observations).
    pub fn poll_observation(&mut self) -> Option<Observation> {
        self.events.pop_observation()
    }

    /// From now on messages that have their outcome are kept for [`poll_released`](Self::poll_released), which must then be called.
    ///
    /// Dropping the last handle on a payload or tag may run code of its owner (`Bytes::from_owner`): who calls the session under a lock can
    /// drop them after it.
    pub fn keep_released(&mut self) {
        self.outgoing.released.get_or_insert_default();
    }

    /// Moves the messages that have their outcome to those in `into`, and tells whether there were any. Where `into` is empty this
    /// exchanges two lists. Does nothing unless [`keep_released`](Self::keep_released) was called.
    #[inline]
    pub fn poll_released(&mut self, into: &mut Released) -> bool {
        match &mut self.outgoing.released {
            Some(released) if !released.is_empty() => {
                into.append(released);
                true
            }
            _ => false,
        }
    }

    /// The next message of a queue. Its ticket is to be given to [`ack`](Self::ack) when the message is dealt with.
    pub fn poll_message(&mut self, queue: QueueId) -> Option<Received> {
        self.inbox.pop(queue)
    }

    /// Time does not run backwards: an earlier `now` counts as the latest.
    #[inline]
    fn tick(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }
}
