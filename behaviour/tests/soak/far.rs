//! The far side: a publisher and a subscriber of a few lines each, on packets and sockets, that do what section 4.3 of MQTT 3.1.1 says and know nothing
//! of the session. Both keep their state over connections, in memory.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use mqtt_behaviour::Result;
use mqtt_proto::{
    Ack, Connect, Decoder, Encoder, Flow as Exchange, Outbox, Packet, PacketId, PacketType,
    Properties, Publish, Sender, Subscribe, SubscribeOptions, Text, Topic, TopicFilter,
};
use mqtt_session::client::exports::{QoS, Version};

use crate::tally::{Flow, Key, Tally, pause};

/// The version that it speaks.
pub(crate) const VERSION: Version = Version::V3_1_1;
/// In flight. mosquitto is told to take more.
const WINDOW: usize = 40;
const LOOK: Duration = Duration::from_millis(5);
/// For the broker to accept a connection. It is there again long before.
const COME_BACK: Duration = Duration::from_secs(30);
/// For it to answer anything, while it is connected.
const ANSWER: Duration = Duration::from_secs(20);

/// A connection, whose errors are for its owner to mend.
struct Line {
    stream: TcpStream,
    decoder: Decoder,
    input: BytesMut,
    output: Outbox,
}

/// Publishes what [`Tally::draw`] gives it, and returns when all of it is acknowledged.
///
/// # Errors
///
/// The broker refused something, lost the session, or did not come back.
pub(crate) fn publish(addr: SocketAddr, tally: &Tally) -> Result {
    let mut publisher = Publisher {
        tally,
        window: VecDeque::new(),
        last_id: 0,
        known: false,
        last_answer: Instant::now(),
    };
    loop {
        let mut line = connect(addr, "far-publisher", &mut publisher.known)?;
        match publisher.go_on(&mut line) {
            Ok(()) => return Ok(()),
            Err(Fault::Connection) => sleep(LOOK),
            Err(Fault::Of(why)) => return Err(why.into()),
        }
    }
}

/// Tells the tally what comes on a filter, until that says that it is enough. `ready` when it is subscribed.
///
/// # Errors
///
/// As [`publish`], and a message that nobody sent.
pub(crate) fn subscribe(addr: SocketAddr, tally: &Tally, ready: impl FnOnce()) -> Result {
    let mut subscriber = Subscriber {
        tally,
        received: BTreeSet::new(),
        ready: Some(ready),
    };
    let mut known = false;
    loop {
        let mut line = connect(addr, "far-subscriber", &mut known)?;
        match subscriber.go_on(&mut line) {
            Ok(()) => return Ok(()),
            Err(Fault::Connection) => sleep(LOOK),
            Err(Fault::Of(why)) => return Err(why.into()),
        }
    }
}

enum Fault {
    /// Another one mends it.
    Connection,
    Of(String),
}

impl From<io::Error> for Fault {
    fn from(_: io::Error) -> Self {
        Self::Connection
    }
}

impl From<String> for Fault {
    fn from(why: String) -> Self {
        Self::Of(why)
    }
}

struct Publisher<'a> {
    tally: &'a Tally,
    /// In the order of sending.
    window: VecDeque<Sent>,
    last_id: u16,
    known: bool,
    last_answer: Instant,
}

struct Sent {
    id: PacketId,
    key: Key,
    /// QoS 2: PUBREC has come.
    received: bool,
}

impl Publisher<'_> {
    fn go_on(&mut self, line: &mut Line) -> std::result::Result<(), Fault> {
        for sent in &self.window {
            if sent.received {
                line.ack(PacketType::PubRel, sent.id)?;
            } else {
                line.publish(sent, true)?;
            }
        }
        self.last_answer = Instant::now();
        let mut ended = [false; 2];
        loop {
            for (flow, ended) in Flow::both(false).into_iter().zip(&mut ended) {
                while self.window.len() < WINDOW {
                    match self.tally.draw(flow) {
                        Some(Some(key)) => {
                            let sent = Sent {
                                id: self.free_id(),
                                key,
                                received: false,
                            };
                            line.publish(&sent, false)?;
                            self.window.push_back(sent);
                        }
                        Some(None) => break,
                        None => {
                            *ended = true;
                            break;
                        }
                    }
                    // In turn with the other flow.
                    if self.window.len() * 2 >= WINDOW && flow.qos == QoS::AtLeastOnce {
                        break;
                    }
                }
            }
            line.flush()?;
            if ended == [true, true] && self.window.is_empty() || self.tally.stopped() {
                return Ok(());
            }
            line.read()?;
            while let Some(packet) = line.next()? {
                self.last_answer = Instant::now();
                self.take(line, packet)?;
            }
            if !self.window.is_empty() && self.last_answer.elapsed() > ANSWER {
                return Err(
                    format!("the broker answers the far side nothing in {ANSWER:?}").into(),
                );
            }
        }
    }

    fn take(&mut self, line: &mut Line, packet: Packet) -> std::result::Result<(), Fault> {
        let packet_type = packet.packet_type();
        let (Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubComp(ack)) = packet else {
            return Err(format!("the far publisher was sent a {packet_type}").into());
        };
        let at = self.window.iter().position(|sent| sent.id == ack.id);
        let qos = at.map(|at| self.window[at].key.flow.qos);
        match (packet_type, qos, at) {
            (PacketType::PubAck, Some(QoS::AtLeastOnce), Some(at))
            | (PacketType::PubComp, Some(QoS::ExactlyOnce), Some(at)) => {
                self.window.remove(at);
            }
            (PacketType::PubRec, Some(QoS::ExactlyOnce), Some(at)) => {
                self.window[at].received = true;
                line.ack(PacketType::PubRel, ack.id)?;
            }
            // Whatever it is about is over.
            (PacketType::PubRec, None, _) => line.ack(PacketType::PubRel, ack.id)?,
            _ => {
                let id = ack.id.get();
                return Err(format!("{packet_type} {id} for the far side's {qos:?}").into());
            }
        }
        Ok(())
    }

    fn free_id(&mut self) -> PacketId {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            let id = PacketId::new(self.last_id);
            if let Some(id) = id.filter(|id| self.window.iter().all(|sent| sent.id != *id)) {
                return id;
            }
        }
    }
}

struct Subscriber<'a, F> {
    tally: &'a Tally,
    /// Identifiers of QoS 2 until PUBREL.
    received: BTreeSet<PacketId>,
    ready: Option<F>,
}

impl<F: FnOnce()> Subscriber<'_, F> {
    fn go_on(&mut self, line: &mut Line) -> std::result::Result<(), Fault> {
        if self.ready.is_some() {
            line.subscribe("soak/out/+")?;
        }
        loop {
            line.flush()?;
            if self.tally.stopped() {
                return Ok(());
            }
            line.read()?;
            while let Some(packet) = line.next()? {
                self.take(line, packet)?;
            }
        }
    }

    fn take(&mut self, line: &mut Line, packet: Packet) -> std::result::Result<(), Fault> {
        match packet {
            Packet::Publish(publish) => {
                let arrive = || {
                    let arrived = self.tally.arrive(true, publish.payload());
                    arrived.map_err(|error| error.to_string())
                };
                match publish.flow() {
                    Exchange::AtMostOnce => return Err("QoS 0".to_owned().into()),
                    Exchange::AtLeastOnce { id, .. } => {
                        arrive()?;
                        line.ack(PacketType::PubAck, id)?;
                    }
                    Exchange::ExactlyOnce { id, .. } => {
                        if self.received.insert(id) {
                            arrive()?;
                        }
                        line.ack(PacketType::PubRec, id)?;
                    }
                }
            }
            Packet::PubRel(ack) => {
                self.received.remove(&ack.id);
                line.ack(PacketType::PubComp, ack.id)?;
            }
            Packet::SubAck(_) => {
                if let Some(ready) = self.ready.take() {
                    ready();
                }
            }
            other => {
                let packet_type = other.packet_type();
                return Err(format!("the far subscriber was sent a {packet_type}").into());
            }
        }
        Ok(())
    }
}

/// Connects, as often as it takes. `known`: there was a session before, so there must be one now.
fn connect(addr: SocketAddr, client_id: &str, known: &mut bool) -> Result<Line> {
    let begun = Instant::now();
    loop {
        match Line::open(addr, client_id) {
            Ok((_, false)) if *known => {
                return Err(format!("the broker has lost the session of {client_id}").into());
            }
            Ok((line, _)) => {
                *known = true;
                return Ok(line);
            }
            Err(Fault::Of(why)) => return Err(why.into()),
            Err(Fault::Connection) => pause(begun, COME_BACK, "the broker comes back")?,
        }
    }
}

impl Line {
    /// Gives the connection and Session Present.
    fn open(addr: SocketAddr, client_id: &str) -> std::result::Result<(Self, bool), Fault> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LOOK))?;
        stream.set_write_timeout(Some(ANSWER))?;
        let mut line = Self {
            stream,
            decoder: Decoder::new(VERSION, Sender::Server),
            input: BytesMut::new(),
            output: Outbox::new(),
        };
        let connect = Connect {
            version: VERSION,
            client_id: Text::try_from(client_id).map_err(|error| error.to_string())?,
            clean_start: false,
            keep_alive: 0,
            will: None,
            user_name: None,
            password: None,
            properties: Properties::new(),
        };
        line.send(&Packet::Connect(connect.into()))?;
        line.flush()?;
        let begun = Instant::now();
        while begun.elapsed() < ANSWER {
            line.read()?;
            match line.next()? {
                None => {}
                Some(Packet::ConnAck(connack)) if !connack.reason.is_error() => {
                    return Ok((line, connack.session_present));
                }
                Some(other) => return Err(format!("{other:?} instead of CONNACK").into()),
            }
        }
        Err(Fault::Connection)
    }

    fn publish(&mut self, sent: &Sent, dup: bool) -> std::result::Result<(), Fault> {
        let (id, flow) = (sent.id, sent.key.flow);
        let topic = Topic::try_from(flow.topic()).map_err(|error| error.to_string())?;
        let message = Publish::new(topic, sent.key.payload());
        let exchange = match flow.qos {
            QoS::ExactlyOnce => Exchange::ExactlyOnce { id, dup },
            _ => Exchange::AtLeastOnce { id, dup },
        };
        self.encoder()
            .publish(&message, exchange, None, &mut self.output)
            .map_err(|error| error.to_string())?;
        Ok(())
    }

    fn ack(&mut self, packet: PacketType, id: PacketId) -> std::result::Result<(), Fault> {
        self.encoder()
            .ack(packet, &Ack::new(id), &mut self.output)
            .map_err(|error| error.to_string())?;
        Ok(())
    }

    fn subscribe(&mut self, filter: &str) -> std::result::Result<(), Fault> {
        let filter = TopicFilter::try_from(filter).map_err(|error| error.to_string())?;
        self.send(&Packet::Subscribe(Subscribe {
            id: PacketId::new(1).ok_or_else(|| "no identifier".to_owned())?,
            filters: vec![(filter, SubscribeOptions::new(QoS::ExactlyOnce))],
            properties: Properties::new(),
        }))
    }

    fn send(&mut self, packet: &Packet) -> std::result::Result<(), Fault> {
        let encoder = self.encoder();
        encoder
            .encode(packet, &mut self.output)
            .map_err(|error| error.to_string())?;
        Ok(())
    }

    fn encoder(&self) -> Encoder {
        Encoder::new(VERSION, Sender::Client)
    }

    fn flush(&mut self) -> std::result::Result<(), Fault> {
        if !self.output.is_empty() {
            self.stream.write_all(&self.output.to_vec())?;
            self.output.clear();
        }
        Ok(())
    }

    /// What has come, or comes in a moment.
    fn read(&mut self) -> std::result::Result<(), Fault> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(Fault::Connection),
            Ok(count) => {
                self.input.extend_from_slice(&buffer[..count]);
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(())
            }
            Err(_) => Err(Fault::Connection),
        }
    }

    fn next(&mut self) -> std::result::Result<Option<Packet>, Fault> {
        self.decoder
            .decode(&mut self.input)
            .map_err(|error| Fault::Of(format!("from the broker to the far side: {error}")))
    }
}
