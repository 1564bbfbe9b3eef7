//! A client without any rules: what a test says, it sends.

use core::num::NonZeroU16;
use core::time::Duration;

use bytes::BytesMut;
use mqtt_proto::{
    Ack, ConnAck, Connect, Decoder, Encoder, Flow, Outbox, Packet, PacketId, PacketType,
    Properties, PropertiesBuilder, Publish, PublishView, QoS, ReasonCode, Sender, Subscribe,
    SubscribeOptions, Text, Topic, TopicFilter, Version,
};
use mqtt_testkit::{Broker, BrokerConfig, Clock, ConnId, Time};

pub(crate) const ALL_VERSIONS: [Version; 3] = [Version::V3_1, Version::V3_1_1, Version::V5];

/// A broker and the time.
pub(crate) struct World {
    pub(crate) broker: Broker,
    pub(crate) clock: Clock,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(BrokerConfig::default())
    }

    pub(crate) fn with(config: BrokerConfig) -> Self {
        let (broker, clock) = (Broker::new(config), Clock::new());
        Self { broker, clock }
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    pub(crate) fn open(&mut self, version: Version) -> Client {
        Client {
            conn: self.broker.open(self.clock.now()),
            version,
            input: BytesMut::new(),
        }
    }

    /// Connects and expects to be accepted.
    pub(crate) fn connect(&mut self, connect: Connect) -> Client {
        self.connect_with_ack(connect).0
    }

    pub(crate) fn connect_with_ack(&mut self, connect: Connect) -> (Client, ConnAck) {
        let mut client = self.open(connect.version);
        client.send(self, Packet::Connect(connect.into()));
        let connack = client.receive_one(self);
        let Packet::ConnAck(connack) = connack else {
            panic!("{connack:?} instead of CONNACK")
        };
        assert_eq!(connack.reason, ReasonCode::SUCCESS);
        (client, connack)
    }

    /// Lets time pass, with all timeouts on the way.
    pub(crate) fn wait(&mut self, seconds: u64) {
        let end = self.clock.now() + Duration::from_secs(seconds);
        while let Some(next) = self.broker.next_timeout().filter(|next| *next <= end) {
            self.clock.advance_to(next);
            self.broker.timeout(self.clock.now());
        }
        self.clock.advance_to(end);
    }

    #[track_caller]
    pub(crate) fn expect_no_violation(&self) {
        let violations = self.broker.violations();
        assert!(violations.is_empty(), "{}", self.broker.ladder());
    }

    /// Expects exactly one violation, of this rule, that has ended the connection with this code.
    #[track_caller]
    pub(crate) fn expect_violation(&mut self, client: &mut Client, rule: &str, code: ReasonCode) {
        let violations = self.broker.take_violations();
        let ladder = self.broker.ladder();
        assert_eq!(violations.len(), 1, "{violations:?}\n{ladder}");
        assert_eq!(violations[0].rule, rule, "{}\n{ladder}", violations[0]);
        assert_eq!(violations[0].reason, code, "{}", violations[0]);
        assert!(self.broker.wants_close(client.conn), "{ladder}");
        let last = client.receive(self).pop();
        match (client.version, last) {
            (Version::V5, Some(Packet::Disconnect(d))) => assert_eq!(d.reason, code),
            (Version::V5, other) => panic!("{other:?} instead of DISCONNECT"),
            (_, last) => assert!(!matches!(last, Some(Packet::Disconnect(_)))),
        }
    }
}

pub(crate) struct Client {
    pub(crate) conn: ConnId,
    pub(crate) version: Version,
    input: BytesMut,
}

impl Client {
    pub(crate) fn send(&self, world: &mut World, packet: Packet) {
        let mut outbox = Outbox::new();
        Encoder::new(self.version, Sender::Client)
            .encode(&packet, &mut outbox)
            .unwrap();
        self.send_raw(world, &outbox.to_vec());
    }

    pub(crate) fn send_raw(&self, world: &mut World, bytes: &[u8]) {
        let mut bytes = BytesMut::from(bytes);
        world.broker.input(world.clock.now(), self.conn, &mut bytes);
    }

    pub(crate) fn publish(&self, world: &mut World, message: &Publish, flow: Flow) {
        let mut outbox = Outbox::new();
        Encoder::new(self.version, Sender::Client)
            .publish(message, flow, None, &mut outbox)
            .unwrap();
        self.send_raw(world, &outbox.to_vec());
    }

    pub(crate) fn publish_alias(&self, world: &mut World, topic: Option<&str>, alias: u16) {
        let alias = NonZeroU16::new(alias).unwrap();
        let encoder = Encoder::new(self.version, Sender::Client);
        let mut outbox = Outbox::new();
        let message = message(topic.unwrap_or("unused"), "aliased");
        if topic.is_some() {
            encoder
                .publish(&message, Flow::AtMostOnce, Some(alias), &mut outbox)
                .unwrap();
        } else {
            encoder
                .publish_by_alias(&message, Flow::AtMostOnce, alias, &mut outbox)
                .unwrap();
        }
        self.send_raw(world, &outbox.to_vec());
    }

    pub(crate) fn ack(&self, world: &mut World, packet_type: PacketType, id: u16) {
        self.send(world, ack(packet_type, id, ReasonCode::SUCCESS));
    }

    pub(crate) fn subscribe(&mut self, world: &mut World, filter: &str, qos: QoS) {
        self.subscribe_with(world, filter, SubscribeOptions::new(qos), Properties::new());
        let suback = self.receive_one(world);
        assert!(matches!(suback, Packet::SubAck(_)), "{suback:?}");
    }

    pub(crate) fn subscribe_with(
        &self,
        world: &mut World,
        filter: &str,
        options: SubscribeOptions,
        properties: Properties,
    ) {
        let subscribe = Subscribe {
            id: id(60_000),
            filters: vec![(TopicFilter::try_from(filter).unwrap(), options)],
            properties,
        };
        self.send(world, Packet::Subscribe(subscribe));
    }

    /// Everything that has come.
    pub(crate) fn receive(&mut self, world: &mut World) -> Vec<Packet> {
        let mut bytes = Vec::new();
        world.broker.output(self.conn, &mut bytes);
        self.input.extend_from_slice(&bytes);
        let decoder = Decoder::new(self.version, Sender::Server);
        let mut packets = Vec::new();
        while let Some(packet) = decoder.decode(&mut self.input).unwrap() {
            packets.push(packet);
        }
        packets
    }

    #[track_caller]
    pub(crate) fn receive_one(&mut self, world: &mut World) -> Packet {
        let mut packets = self.receive(world);
        assert_eq!(packets.len(), 1, "{packets:?}");
        packets.remove(0)
    }

    #[track_caller]
    pub(crate) fn receive_message(&mut self, world: &mut World) -> PublishView {
        match self.receive_one(world) {
            Packet::Publish(view) => view,
            other => panic!("{other:?} instead of PUBLISH"),
        }
    }

    #[track_caller]
    pub(crate) fn expect_nothing(&mut self, world: &mut World) {
        let packets = self.receive(world);
        assert!(packets.is_empty(), "{packets:?}");
    }

    #[track_caller]
    pub(crate) fn expect_ack(&mut self, world: &mut World, packet_type: PacketType, id: u16) {
        let expected = ack(packet_type, id, ReasonCode::SUCCESS);
        assert_eq!(self.receive_one(world), expected);
    }

    /// The network is lost.
    pub(crate) fn cut(self, world: &mut World) {
        world.broker.closed(world.clock.now(), self.conn);
    }
}

pub(crate) fn id(id: u16) -> PacketId {
    PacketId::new(id).unwrap()
}

pub(crate) fn ack(packet_type: PacketType, packet_id: u16, reason: ReasonCode) -> Packet {
    let ack = Ack::new(id(packet_id)).with_reason(reason);
    match packet_type {
        PacketType::PubAck => Packet::PubAck(ack),
        PacketType::PubRec => Packet::PubRec(ack),
        PacketType::PubRel => Packet::PubRel(ack),
        PacketType::PubComp => Packet::PubComp(ack),
        other => panic!("{other} is no acknowledgement"),
    }
}

pub(crate) fn qos1(packet_id: u16, dup: bool) -> Flow {
    let id = id(packet_id);
    Flow::AtLeastOnce { id, dup }
}

pub(crate) fn qos2(packet_id: u16, dup: bool) -> Flow {
    let id = id(packet_id);
    Flow::ExactlyOnce { id, dup }
}

pub(crate) fn topic(topic: &str) -> Topic {
    Topic::try_from(topic).unwrap()
}

pub(crate) fn message(topic_name: &str, payload: &'static str) -> Publish {
    Publish::new(topic(topic_name), payload)
}

pub(crate) fn props(build: impl FnOnce(PropertiesBuilder) -> PropertiesBuilder) -> Properties {
    build(Properties::builder()).build().unwrap()
}

/// A CONNECT that starts clean, without keep-alive.
pub(crate) fn clean(version: Version, client_id: &str) -> Connect {
    Connect {
        version,
        client_id: Text::try_from(client_id).unwrap(),
        clean_start: true,
        keep_alive: 0,
        will: None,
        user_name: None,
        password: None,
        properties: Properties::new(),
    }
}

/// A CONNECT that goes on with its session, which lasts.
pub(crate) fn resuming(version: Version, client_id: &str) -> Connect {
    Connect {
        clean_start: false,
        properties: if version.is_v5() {
            props(|p| p.session_expiry_interval(1000))
        } else {
            Properties::new()
        },
        ..clean(version, client_id)
    }
}
