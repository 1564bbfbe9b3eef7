//! A session whose server is the test itself: it sees each action and packet, and answers with any bytes.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use mqtt_session::proto::{
    Ack, ConnAck, Decoder, Encoder, Flow, Outbox, Packet, PacketId, PacketType, Properties,
    Publish, QoS, ReasonCode, Sender, Version,
};
use mqtt_session::{
    Action, Attempt, Cause, ConfigBuilder, ConnectionError, Endpoint, Event, Instant, Outcome,
    QueueId, Received, Servers, Session, Token,
};

pub struct Raw {
    pub session: Session,
    pub version: Version,
    pub now: Instant,
    /// The attempt that was told last.
    pub attempt: Option<Attempt>,
    pub actions: Vec<Action>,
    pub events: Vec<Event>,
    /// Everything that the session wrote.
    pub wire: Vec<u8>,
    /// What of it [`packets`](Self::packets) has not told.
    unread: BytesMut,
    pub input: BytesMut,
}

impl Raw {
    pub fn new(config: ConfigBuilder) -> Self {
        Self::at(config, "192.0.2.1")
    }

    pub fn at(config: ConfigBuilder, host: &str) -> Self {
        Self::of(config, Endpoint::new(host, 1883))
    }

    /// With these servers.
    pub fn of(config: ConfigBuilder, servers: impl Into<Servers>) -> Self {
        let config = config.build().expect("the test's configuration is good");
        Self {
            version: config.version(),
            session: Session::new(config, servers, 7),
            now: Instant::ZERO,
            attempt: None,
            actions: Vec::new(),
            events: Vec::new(),
            wire: Vec::new(),
            unread: BytesMut::new(),
            input: BytesMut::new(),
        }
    }

    /// A session that the server has accepted.
    pub fn connected(config: ConfigBuilder) -> Self {
        Self::connected_with(config, Properties::new())
    }

    /// The same, and this is what the server said of itself.
    pub fn connected_with(config: ConfigBuilder, properties: Properties) -> Self {
        let mut raw = Self::new(config);
        raw.session.connect(raw.now);
        raw.open();
        raw.accept(false, properties);
        raw
    }

    /// Answers the dial, and swallows CONNECT.
    pub fn open(&mut self) -> Packet {
        self.poll();
        let attempt = self.attempt.expect("an attempt");
        self.input.clear();
        self.unread.clear();
        self.session.handle_opened(self.now, attempt);
        let mut packets = self.packets();
        assert_eq!(packets.len(), 1, "{packets:?}");
        assert_eq!(packets[0].packet_type(), PacketType::Connect);
        packets.remove(0)
    }

    /// CONNACK; what the session writes upon it is still to be had.
    pub fn accept(&mut self, session_present: bool, properties: Properties) {
        // 3.1 can't tell.
        let session_present = session_present && self.version != Version::V3_1;
        let connack = ConnAck {
            session_present,
            reason: ReasonCode::SUCCESS,
            properties,
        };
        self.feed(&Packet::ConnAck(connack));
    }

    /// The network ends the connection; the session waits, dials, and is accepted again.
    pub fn reconnect(&mut self, session_present: bool, properties: Properties) {
        self.closed(Cause::Eof);
        self.wait_for_dial();
        self.open();
        self.accept(session_present, properties);
    }

    pub fn closed(&mut self, cause: Cause) {
        let attempt = self.attempt.expect("an attempt");
        self.session.handle_closed(self.now, attempt, cause);
        self.poll();
    }

    pub fn wait_for_dial(&mut self) {
        self.actions.clear();
        self.poll();
        for _ in 0..100 {
            if self
                .actions
                .iter()
                .any(|action| matches!(action, Action::Dial { .. }))
            {
                return;
            }
            self.next_timer();
        }
        panic!("it does not dial: {:?}", self.events);
    }

    /// Lets time pass until the next deadline, which must exist.
    pub fn next_timer(&mut self) {
        self.now = self
            .now
            .max(self.session.poll_timeout().expect("a deadline"));
        self.session.handle_timeout(self.now);
        self.poll();
    }

    pub fn advance(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.poll();
        while let Some(at) = self.session.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.session.handle_timeout(self.now);
            self.poll();
        }
        self.now = end;
        self.session.handle_timeout(end);
        self.poll();
    }

    pub fn bytes_in(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        self.session.handle_input(self.now, &mut self.input);
        self.poll();
    }

    pub fn feed(&mut self, packet: &Packet) {
        let bytes = self.encode(packet);
        self.bytes_in(&bytes);
    }

    pub fn encode(&self, packet: &Packet) -> Vec<u8> {
        let mut out = Outbox::new();
        Encoder::new(self.version, Sender::Server)
            .encode(packet, &mut out)
            .expect("the test's packet is good");
        out.to_vec()
    }

    pub fn feed_publish(&mut self, topic: &str, flow: Flow, payload: &[u8]) {
        let bytes = self.encode_publish(topic, flow, payload);
        self.bytes_in(&bytes);
    }

    pub fn encode_publish(&self, topic: &str, flow: Flow, payload: &[u8]) -> Vec<u8> {
        let mut out = Outbox::new();
        let publish = super::message(topic, payload);
        let encoder = Encoder::new(self.version, Sender::Server);
        encoder
            .publish(&publish, flow, None, &mut out)
            .expect("a good message");
        out.to_vec()
    }

    pub fn feed_ack(&mut self, packet: PacketType, id: u16) {
        self.feed_ack_with(packet, id, ReasonCode::SUCCESS);
    }

    pub fn feed_ack_with(&mut self, packet: PacketType, id: u16, reason: ReasonCode) {
        self.feed(&ack(packet, id, reason));
    }

    /// Takes and writes everything that the session has, and keeps what it tells.
    pub fn poll(&mut self) {
        loop {
            let mut any = false;
            let mut out = Outbox::new();
            // What precedes an action is written before it, as by a driver.
            while polls_as_told(&mut self.session, self.now, &mut out) {
                let bytes = out.to_vec();
                out.clear();
                self.wire.extend_from_slice(&bytes);
                self.unread.extend_from_slice(&bytes);
                self.session.handle_written(self.now, bytes.len());
                any = true;
            }
            while let Some(action) = self.session.poll_action() {
                match &action {
                    Action::Credentials { attempt, .. }
                    | Action::Dial { attempt, .. }
                    | Action::Resolve { attempt, .. } => self.attempt = Some(*attempt),
                    _ => {}
                }
                self.actions.push(action);
                any = true;
            }
            while let Some(event) = self.session.poll_event() {
                self.events.push(event);
                any = true;
            }
            if !any {
                return;
            }
        }
    }

    /// Where to it dialled.
    pub fn dials(&self) -> Vec<SocketAddr> {
        let dials = self.actions.iter().filter_map(|action| match action {
            Action::Dial { addr, .. } => Some(*addr),
            _ => None,
        });
        dials.collect()
    }

    /// The attempt at this address.
    pub fn dial_to(&self, addr: SocketAddr) -> Attempt {
        let dial = self.actions.iter().rev().find_map(|action| match action {
            Action::Dial { attempt, addr: to } if *to == addr => Some(*attempt),
            _ => None,
        });
        dial.expect("a dial to this address")
    }

    /// The packets that the session wrote since the last call.
    pub fn packets(&mut self) -> Vec<Packet> {
        self.poll();
        let decoder = Decoder::new(self.version, Sender::Client);
        let mut packets = Vec::new();
        while let Some(packet) = decoder
            .decode(&mut self.unread)
            .expect("the session writes whole packets")
        {
            packets.push(packet);
        }
        packets
    }

    /// The same in short: `PUBLISH 1 DUP`, `PUBACK 3`.
    pub fn lines(&mut self) -> Vec<String> {
        self.packets().iter().map(line).collect()
    }

    /// Carries out the `Hangup` that must have been asked for, and tells whether the last bytes were to be written.
    pub fn hang_up(&mut self) -> bool {
        self.poll();
        let flush = self.actions.iter().rev().find_map(|action| match action {
            Action::Hangup { flush, .. } => Some(*flush),
            _ => None,
        });
        self.closed(Cause::HungUp);
        flush.expect("the session hangs up")
    }

    pub fn publish(&mut self, qos: QoS, payload: &[u8]) -> Token {
        self.publish_to("a", qos, payload)
    }

    pub fn publish_to(&mut self, topic: &str, qos: QoS, payload: &[u8]) -> Token {
        self.session
            .publish(self.now, qos, super::message(topic, payload))
            .expect("accepted")
    }

    pub fn offer(
        &mut self,
        qos: QoS,
        publish: Publish,
    ) -> Result<Token, mqtt_session::PublishError> {
        self.session.publish(self.now, qos, publish)
    }

    pub fn subscribe(&mut self, filter: &str, queue: QueueId) -> Token {
        let filters = vec![(
            filter.try_into().expect("a filter"),
            QoS::ExactlyOnce.into(),
        )];
        self.session
            .subscribe(self.now, filters, Properties::new(), queue)
            .expect("accepted")
    }

    /// Takes the next message, which must be there.
    pub fn take(&mut self, queue: QueueId) -> Received {
        self.session.poll_message(queue).expect("a message")
    }

    /// Takes and acknowledges one message of the default queue; tells its payload.
    pub fn take_and_ack(&mut self) -> Vec<u8> {
        let received = self.take(QueueId::DEFAULT);
        self.session
            .ack(self.now, received.ticket)
            .expect("a fresh ticket");
        self.poll();
        received.publish.payload().to_vec()
    }

    pub fn outcomes(&mut self) -> Vec<(Token, Outcome)> {
        self.poll();
        let outcomes = self.events.iter().filter_map(|event| match event {
            Event::Published { token, outcome } => Some((*token, *outcome)),
            _ => None,
        });
        outcomes.collect()
    }

    pub fn outcome(&mut self, token: Token) -> Option<Outcome> {
        let outcomes = self.outcomes();
        let mut own = outcomes.into_iter().filter(|(t, _)| *t == token);
        let first = own.next();
        assert!(own.next().is_none(), "{token:?} has two outcomes");
        first.map(|(_, outcome)| outcome)
    }

    /// Why connections and attempts ended, and after how long the next one comes.
    pub fn losses(&mut self) -> Vec<(ConnectionError, Option<Duration>)> {
        self.poll();
        let losses = self.events.iter().filter_map(|event| match event {
            Event::Lost { error, retry_in } => Some((error.clone(), *retry_in)),
            _ => None,
        });
        losses.collect()
    }

    pub fn last_loss(&mut self) -> ConnectionError {
        self.losses().pop().expect("a loss").0
    }
}

/// Polls what is to be written. [`Session::has_transmit`] tells whether there is something: who waits for it alone neither misses anything nor is
/// called in vain again and again.
pub fn polls_as_told(session: &mut Session, now: Instant, out: &mut Outbox) -> bool {
    let told = session.has_transmit();
    let any = session.poll_transmit(now, out);
    assert!(
        told || !any,
        "there is something to write, and it is not told"
    );
    assert!(any || !session.has_transmit(), "there is nothing to write");
    any
}

pub fn id(id: u16) -> PacketId {
    PacketId::new(id).expect("not 0")
}

pub fn at_least_once(number: u16) -> Flow {
    Flow::AtLeastOnce {
        id: id(number),
        dup: false,
    }
}

pub fn exactly_once(number: u16) -> Flow {
    Flow::ExactlyOnce {
        id: id(number),
        dup: false,
    }
}

pub fn ack(packet: PacketType, number: u16, reason: ReasonCode) -> Packet {
    let ack = Ack::new(id(number)).with_reason(reason);
    match packet {
        PacketType::PubAck => Packet::PubAck(ack),
        PacketType::PubRec => Packet::PubRec(ack),
        PacketType::PubRel => Packet::PubRel(ack),
        PacketType::PubComp => Packet::PubComp(ack),
        other => panic!("{other} is no acknowledgement"),
    }
}

fn line(packet: &Packet) -> String {
    let name = packet.packet_type();
    match packet {
        Packet::Publish(publish) => {
            let id = publish
                .packet_id()
                .map(|id| format!(" {id}"))
                .unwrap_or_default();
            format!("{name}{id}{}", if publish.dup() { " DUP" } else { "" })
        }
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            let reason = if ack.reason.is_error() {
                format!(" 0x{:02X}", ack.reason.0)
            } else {
                String::new()
            };
            format!("{name} {}{reason}", ack.id)
        }
        Packet::Subscribe(subscribe) => {
            let filters: Vec<_> = subscribe
                .filters
                .iter()
                .map(|(filter, _)| filter.to_string())
                .collect();
            format!("{name} {} {}", subscribe.id, filters.join(","))
        }
        Packet::Unsubscribe(unsubscribe) => {
            let filters: Vec<_> = unsubscribe
                .filters
                .iter()
                .map(ToString::to_string)
                .collect();
            format!("{name} {} {}", unsubscribe.id, filters.join(","))
        }
        Packet::Disconnect(disconnect) => format!("{name} 0x{:02X}", disconnect.reason.0),
        _ => name.to_string(),
    }
}
