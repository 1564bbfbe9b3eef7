//! What a scenario says, and what it hears, in lines that two brokers can be compared by.

use std::collections::BTreeMap;

use bytes::BytesMut;
use mqtt_proto::{
    Ack, Connect, Decoder, Disconnect, Encoder, Flow, Outbox, Packet, PacketId, PacketType,
    Properties, Publish, PublishView, QoS, Sender, Subscribe, SubscribeOptions, Text, Topic,
    TopicFilter, Unsubscribe, Version, Will,
};

use crate::net::Net;

pub(crate) struct Script<'n> {
    net: &'n mut dyn Net,
    pub(crate) version: Version,
    clients: Vec<Client>,
    told: Vec<String>,
}

struct Client {
    name: String,
    conn: usize,
    input: BytesMut,
    /// Packet identifiers of the broker by the order in which they came: it chooses them.
    seen: BTreeMap<u16, usize>,
    last: Option<PacketId>,
}

/// How a client connects.
#[derive(Clone, Default)]
pub(crate) struct As {
    pub(crate) resumes: bool,
    pub(crate) will: Option<(&'static str, QoS)>,
    /// Session Expiry Interval, in 5.0.
    pub(crate) expiry: u32,
}

impl As {
    /// A session that is kept.
    pub(crate) fn durable() -> Self {
        Self {
            resumes: true,
            expiry: 600,
            ..Self::default()
        }
    }
}

impl<'n> Script<'n> {
    pub(crate) fn new(net: &'n mut dyn Net, version: Version) -> Self {
        Self {
            net,
            version,
            clients: Vec::new(),
            told: Vec::new(),
        }
    }

    pub(crate) fn told(self) -> Vec<String> {
        self.told
    }

    /// Connects, and hears the answer with whatever comes behind it.
    pub(crate) fn connect(&mut self, name: &str, how: As) -> usize {
        let mut properties = Properties::builder();
        if self.version.is_v5() && how.expiry > 0 {
            properties = properties.session_expiry_interval(how.expiry);
        }
        let will = how.will.map(|(topic, qos)| Will {
            topic: Topic::try_from(topic).expect("a topic"),
            payload: "gone".into(),
            qos,
            retain: false,
            properties: Properties::new(),
        });
        let connect = Connect {
            version: self.version,
            client_id: Text::try_from(name).expect("a name"),
            clean_start: !how.resumes,
            keep_alive: 60,
            will,
            user_name: None,
            password: None,
            properties: properties.build().expect("properties"),
        };
        let conn = self.net.open();
        self.clients.push(Client {
            name: name.to_owned(),
            conn,
            input: BytesMut::new(),
            seen: BTreeMap::new(),
            last: None,
        });
        let client = self.clients.len() - 1;
        self.say(client, &Packet::Connect(connect.into()));
        client
    }

    /// Sends a packet, and hears everything that comes of it.
    pub(crate) fn say(&mut self, client: usize, packet: &Packet) {
        let mut outbox = Outbox::new();
        Encoder::new(self.version, Sender::Client)
            .encode(packet, &mut outbox)
            .expect("a good packet");
        self.send(client, outbox.to_vec());
    }

    fn send(&mut self, client: usize, mut bytes: Vec<u8>) {
        // Behind its answer everything before has been answered.
        bytes.extend([0xC0, 0x00]);
        loop {
            let Client { conn, input, .. } = &mut self.clients[client];
            let closed = self.net.exchange(*conn, &bytes, input);
            bytes.clear();
            let answered = self.hear(client);
            if closed {
                self.tell(client, "closed");
            }
            if closed || answered {
                return;
            }
        }
    }

    /// What others have done reaches this client.
    pub(crate) fn listen(&mut self, client: usize) {
        self.send(client, Vec::new());
    }

    /// Waits for a broker to close the connection. mosquitto 2.0 does it without the DISCONNECT that 5.0 asks for.
    pub(crate) fn hear_the_end(&mut self, client: usize) {
        loop {
            let Client { conn, input, .. } = &mut self.clients[client];
            let closed = self.net.exchange(*conn, &[], input);
            if closed {
                return self.tell(client, "closed");
            }
        }
    }

    fn hear(&mut self, client: usize) -> bool {
        let decoder = Decoder::new(self.version, Sender::Server);
        let mut answered = false;
        while let Some(packet) = decoder
            .decode(&mut self.clients[client].input)
            .expect("a good packet")
        {
            if matches!(packet, Packet::PingResp) {
                answered = true;
                continue;
            }
            let line = self.clients[client].describe(&packet);
            self.tell(client, &line);
        }
        answered
    }

    fn tell(&mut self, client: usize, line: &str) {
        let name = &self.clients[client].name;
        self.told.push(format!("{name} <- {line}"));
    }

    /// The identifier of the last message or release that a client was sent.
    pub(crate) fn last(&self, client: usize) -> PacketId {
        self.clients[client].last.expect("a message came")
    }

    pub(crate) fn subscribe(&mut self, client: usize, filters: &[(&str, SubscribeOptions)]) {
        self.subscribe_with(client, filters, Properties::new());
    }

    pub(crate) fn subscribe_with(
        &mut self,
        client: usize,
        filters: &[(&str, SubscribeOptions)],
        properties: Properties,
    ) {
        let filters = filters.iter().map(|(filter, options)| {
            let filter = TopicFilter::try_from(*filter).expect("a filter");
            (filter, *options)
        });
        let subscribe = Subscribe {
            id: id(100),
            filters: filters.collect(),
            properties,
        };
        self.say(client, &Packet::Subscribe(subscribe));
    }

    pub(crate) fn unsubscribe(&mut self, client: usize, filters: &[&str]) {
        let filters = filters.iter();
        let filters = filters.map(|filter| TopicFilter::try_from(*filter).expect("a filter"));
        let unsubscribe = Unsubscribe {
            id: id(101),
            filters: filters.collect(),
            properties: Properties::new(),
        };
        self.say(client, &Packet::Unsubscribe(unsubscribe));
    }

    pub(crate) fn publish(&mut self, client: usize, topic: &str, payload: &str, flow: Flow) {
        let topic = Topic::try_from(topic).expect("a topic");
        self.publish_message(client, &Publish::new(topic, payload.to_owned()), flow);
    }

    pub(crate) fn retain(&mut self, client: usize, topic: &str, payload: &str) {
        let topic = Topic::try_from(topic).expect("a topic");
        let publish = Publish::new(topic, payload.to_owned()).with_retain(true);
        self.publish_message(client, &publish, Flow::AtMostOnce);
    }

    fn publish_message(&mut self, client: usize, publish: &Publish, flow: Flow) {
        let mut outbox = Outbox::new();
        Encoder::new(self.version, Sender::Client)
            .publish(publish, flow, None, &mut outbox)
            .expect("a good packet");
        self.send(client, outbox.to_vec());
    }

    pub(crate) fn ack(&mut self, client: usize, packet_type: PacketType, id: PacketId) {
        let ack = Ack::new(id);
        self.say(
            client,
            &match packet_type {
                PacketType::PubAck => Packet::PubAck(ack),
                PacketType::PubRec => Packet::PubRec(ack),
                PacketType::PubRel => Packet::PubRel(ack),
                _ => Packet::PubComp(ack),
            },
        );
    }

    /// DISCONNECT, and the end of the stream.
    pub(crate) fn disconnect(&mut self, client: usize) {
        let mut outbox = Outbox::new();
        Encoder::new(self.version, Sender::Client)
            .encode(&Packet::Disconnect(Disconnect::default()), &mut outbox)
            .expect("a good packet");
        let Client { conn, input, .. } = &mut self.clients[client];
        self.net.exchange(*conn, &outbox.to_vec(), input);
        self.net.cut(self.clients[client].conn);
    }

    pub(crate) fn cut(&mut self, client: usize) {
        self.net.cut(self.clients[client].conn);
    }
}

impl Client {
    fn describe(&mut self, packet: &Packet) -> String {
        match packet {
            Packet::ConnAck(connack) => {
                format!("CONNACK {} {}", connack.reason, connack.session_present)
            }
            Packet::Publish(publish) => self.describe_publish(publish),
            Packet::PubRel(ack) => {
                self.last = Some(ack.id);
                format!("PUBREL number {} {}", self.number(ack.id), ack.reason)
            }
            Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubComp(ack) => {
                format!("{} {} {}", packet.packet_type(), ack.id, ack.reason)
            }
            Packet::SubAck(suback) => format!("SUBACK {} {:?}", suback.id, suback.codes),
            Packet::UnsubAck(unsuback) => format!("UNSUBACK {} {:?}", unsuback.id, unsuback.codes),
            Packet::Disconnect(disconnect) => format!("DISCONNECT {}", disconnect.reason),
            other => format!("{}", other.packet_type()),
        }
    }

    fn describe_publish(&mut self, publish: &PublishView) -> String {
        let number = publish.packet_id().map(|id| {
            self.last = Some(id);
            self.number(id)
        });
        let ids: Vec<_> = publish.properties().subscription_identifiers().collect();
        format!(
            "PUBLISH {} number {number:?} dup {} retain {} '{}' {:?} {ids:?}",
            publish.qos(),
            publish.dup(),
            publish.retain(),
            publish.topic(),
            String::from_utf8_lossy(publish.payload())
        )
    }

    fn number(&mut self, id: PacketId) -> usize {
        let next = self.seen.len() + 1;
        *self.seen.entry(id.get()).or_insert(next)
    }
}

pub(crate) fn id(number: u16) -> PacketId {
    PacketId::new(number).expect("not 0")
}

/// How a message is sent for the first time.
pub(crate) fn flow(qos: QoS, number: u16) -> Flow {
    let (id, dup) = (id(number), false);
    match qos {
        QoS::AtMostOnce => Flow::AtMostOnce,
        QoS::AtLeastOnce => Flow::AtLeastOnce { id, dup },
        QoS::ExactlyOnce => Flow::ExactlyOnce { id, dup },
    }
}
