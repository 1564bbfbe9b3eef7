//! The driver's reads: what the server said, cut as the network pleases, and judged packet by packet.

use std::collections::VecDeque;

use arbitrary::Unstructured;
use bytes::BytesMut;
use mqtt_proto::{DecodeError, Decoder, Outbox, Packet, PacketType, Sender};
use mqtt_session::{
    ConnectionError, Direction, Event, Observation, PacketSummary, Phase, Received,
};

use super::super::model::Verdict;
use super::{MAX_PACKET, World, byte, codec};
use crate::ReadOutcome;

/// CONNACK of 3.x, with which a server refuses a version that it does not know.
const UNACCEPTABLE: &[u8] = &[0x20, 2, 0, 1];
/// What begins like another protocol is waited for.
const OTHERS: [&[u8]; 7] = [
    b"HTTP/",
    b"SSH-",
    &[0x15, 3, 0],
    &[0x15, 3, 1],
    &[0x15, 3, 2],
    &[0x15, 3, 3],
    &[0x15, 3, 4],
];
/// Sizes of the driver's reads. Of the largest a message is copied when it is taken.
const READS: [usize; 8] = [64, 1_024, 8_192, 120_000, 16, 256, 32_768, 160_000];

/// What is on its way from the server.
#[derive(Debug)]
pub(super) struct Network {
    /// Sent, and not read.
    wire: VecDeque<u8>,
    /// How many of those bytes have come.
    here: usize,
    /// No more of them is read at once.
    piece: usize,
    /// What the driver makes room for.
    room: usize,
    /// Packets are read one by one, whatever has come.
    single: bool,
    /// Until it is told otherwise, nothing comes.
    holds: bool,
    /// So many bytes were given to the session,
    given: u64,
    /// and so many of them it left.
    left: usize,
    /// So many bytes of a packet were read before.
    part: usize,
    /// The memory that was read into.
    buffers: Vec<Buffer>,
}

/// An allocation that was read into.
#[derive(Debug)]
struct Buffer {
    /// The address behind it.
    end: usize,
    extent: usize,
    /// What waited in it kept too much alive: nothing may be left in it.
    is_given_up: bool,
}

/// What is read at once.
struct Read {
    bytes: BytesMut,
    packets: Vec<(Packet, usize)>,
    error: Option<DecodeError>,
    is_refusal: bool,
}

impl Network {
    pub(super) fn new() -> Self {
        Self {
            wire: VecDeque::new(),
            here: 0,
            piece: usize::MAX,
            room: READS[1],
            single: true,
            holds: false,
            given: 0,
            left: 0,
            part: 0,
            buffers: Vec::new(),
        }
    }

    /// The stream is another one.
    pub(super) fn clear(&mut self) {
        self.wire.clear();
        self.here = 0;
        self.left = 0;
        self.part = 0;
        self.holds = false;
    }

    /// Whether there is something to read.
    pub(super) fn is_readable(&self) -> bool {
        self.here > 0
    }
}

impl World {
    /// The server says this, and it is read packet by packet; behind what is still on its way.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.stream.is_none() {
            return;
        }
        if self.network.holds {
            self.network.wire.extend(bytes);
        } else if !self.network.single && !self.input.is_empty() {
            // What stayed is handed over again before more, and as a whole.
            self.network.wire.extend(bytes);
            self.bring(usize::MAX);
        } else {
            self.network.single = true;
            let late = self.network.wire.drain(..);
            self.input.extend(late);
            self.network.here = 0;
            self.input.extend_from_slice(bytes);
            self.read();
        }
        self.settle();
    }

    /// The server says this, and it comes in other pieces than packets.
    pub(super) fn feed_in_pieces(&mut self, u: &mut Unstructured<'_>, bytes: &[u8]) {
        let (how, size) = (byte(u), usize::from(byte(u)));
        if self.stream.is_some() {
            let network = &mut self.network;
            network.wire.extend(bytes);
            network.room = READS[usize::from(how / 4 % 8)];
            let (piece, late) = match how % 4 {
                0 => (usize::MAX, 0),
                1 => (1, 0),
                2 => (1 + size, 0),
                _ => (usize::MAX, 1 + size),
            };
            network.piece = piece;
            let comes = network.wire.len().saturating_sub(late);
            if !network.holds {
                self.comes(comes);
            }
        }
        self.settle();
    }

    /// From now on nothing comes of what the server says, or all of it.
    pub(super) fn hold(&mut self, u: &mut Unstructured<'_>) {
        self.network.holds = !self.network.holds;
        if !self.network.holds {
            self.feed_in_pieces(u, &[]);
        }
    }

    /// Of what is on its way more comes.
    pub(super) fn bring(&mut self, more: usize) {
        let here = self.network.here.saturating_add(more);
        self.comes(here.min(self.network.wire.len()));
    }

    fn comes(&mut self, here: usize) {
        self.network.here = self.network.here.max(here);
        self.network.single = false;
        self.read();
    }

    /// The driver reads, as long as the session wants it.
    pub(super) fn read(&mut self) {
        if self.network.single {
            return self.read_packets();
        }
        if !self.input.is_empty() && self.stream.is_some() && self.session.wants_read() {
            self.hand_over();
        }
        while self.network.here > 0 && self.stream.is_some() && self.session.wants_read() {
            let network = &mut self.network;
            self.input.reserve(network.room);
            let room = self.input.capacity() - self.input.len();
            let n = network.here.min(network.piece).min(room);
            self.input.extend(network.wire.drain(..n));
            network.here -= n;
            self.hand_over();
        }
    }

    /// Hands the input to the session packet by packet.
    fn read_packets(&mut self) {
        let decoder = Decoder::new(self.version, Sender::Server).with_max_packet_size(MAX_PACKET);
        while self.stream.is_some() && !self.input.is_empty() {
            let mut rest = self.input.clone();
            // An error, or a part of a packet: the session shall find that out by itself.
            let is_packet = self.is_open() && matches!(decoder.decode(&mut rest), Ok(Some(_)));
            let len = self.input.len() - if is_packet { rest.len() } else { 0 };
            let rest = self.input.split_off(len);
            self.hand_over();
            let taken = self.input.is_empty();
            self.input.unsplit(rest);
            if !taken {
                return;
            }
        }
    }

    /// Gives the session what was read, and judges what it makes of it: one packet after the other, and nothing behind one that
    /// ends the connection.
    fn hand_over(&mut self) {
        if !self.is_open() {
            self.handle_input();
            assert!(
                self.input.is_empty(),
                "what comes behind the end is thrown away"
            );
            return;
        }
        self.reads_from_buffer();
        let read = self.what_is_read();
        let awaits_nothing = self.awaits_nothing();
        let mut answers = 0;
        self.handle_input();
        let is_open = self.is_open();
        let wants_read = self.session.wants_read();
        let mut events: VecDeque<Event> =
            std::iter::from_fn(|| self.session.poll_event()).collect();
        let trace = self.observed();
        let mut output = self.transmit();
        let (mut came, mut verdict) = (0, Verdict::Goes);
        for summary in trace {
            if summary.direction == Direction::Sent {
                answers += if is_ack(summary.packet_type) {
                    summary.size
                } else {
                    0
                };
                if came > 0 && came < read.packets.len() {
                    self.reached.add_read(ReadOutcome::AnswersBetweenPackets);
                }
                let is_next =
                    |(packet, _): &(Packet, usize)| packet.packet_type() == summary.packet_type;
                if is_open || output.front().is_some_and(is_next) {
                    self.sent(summary, &mut output);
                } else {
                    // What is encoded goes nowhere where a later packet ends the connection.
                    self.model.sent_in_vain(summary);
                    self.reached.add_read(ReadOutcome::LostOutput);
                }
                continue;
            }
            assert_ne!(verdict, Verdict::Ends, "{summary:?} is acted on");
            let pauses = awaits_nothing && self.model.is_full();
            assert!(!pauses, "{summary:?} is taken into a full inbox");
            assert!(
                answers < self.bounds.answers,
                "{summary:?} is taken above a full outbox"
            );
            let (packet, size) = &read.packets[came];
            assert_summary(summary, packet, *size);
            self.reached
                .add(codec(self.version, Sender::Server), packet.packet_type());
            verdict = self.model.came(packet, *size);
            came += 1;
            // Those that this packet may have led to.
            while let Some(event) = events.pop_front_if(|event| self.model.explains(event)) {
                self.tell(&event);
            }
        }
        self.judge(&read, came, verdict, is_open, wants_read, &events);
        self.note(&read, came, is_open, &events);
        if came == 0 && read.is_refusal && !is_open {
            self.model.refused();
        }
        events.iter().for_each(|event| self.tell(event));
        for summary in self.observed() {
            self.sent(summary, &mut output);
        }
        assert!(output.is_empty(), "not observed: {output:?}");
        self.check_inbox();
    }

    /// Nothing but messages is to be read: with a full inbox, nothing is.
    fn awaits_nothing(&self) -> bool {
        let stats = self.session.stats();
        let asks = stats.queued + stats.in_flight + stats.requests;
        asks == 0 && !self.awaits_room && self.session.phase() == Phase::Connected
    }

    fn handle_input(&mut self) {
        let network = &mut self.network;
        network.given += (self.input.len() - network.left) as u64;
        self.session.handle_input(self.now, &mut self.input);
        network.left = self.input.len();
    }

    fn judge(
        &self,
        read: &Read,
        came: usize,
        verdict: Verdict,
        is_open: bool,
        wants_read: bool,
        events: &VecDeque<Event>,
    ) {
        let all_came = came == read.packets.len();
        if is_open {
            assert_ne!(verdict, Verdict::Ends, "the connection goes on");
            let taken: usize = read.packets[..came].iter().map(|(_, size)| size).sum();
            assert_eq!(self.input, read.bytes[taken..], "whole packets are taken");
            let is_first = came == 0 && !self.model.is_connected();
            let is_other = |other: &&[u8]| is_first && other.starts_with(&read.bytes);
            let is_error = read.error.is_some() && !OTHERS.iter().any(is_other);
            let stays = !all_came || is_error;
            assert!(!stays || !wants_read, "what can be taken stays");
            return;
        }
        assert!(
            self.input.is_empty(),
            "what comes behind the end is thrown away"
        );
        // It may also be over because the application wanted to leave, and this was what it waited for.
        if verdict == Verdict::Goes && !self.leaving {
            assert!(
                all_came && read.error.is_some(),
                "the connection ended for no reason"
            );
            let of_bytes = |event: &Event| {
                matches!(
                    event,
                    Event::Lost {
                        error: ConnectionError::Decode { .. }
                            | ConnectionError::OtherProtocol { .. }
                            | ConnectionError::Refused { .. },
                        ..
                    }
                )
            };
            assert!(
                events.iter().any(of_bytes),
                "it ended for another reason: {events:?}"
            );
        }
    }

    /// What kind of read it was, for the test that the corpus has them all.
    fn note(&mut self, read: &Read, came: usize, is_open: bool, events: &VecDeque<Event>) {
        use ReadOutcome as Is;
        let taken = &read.packets[..came];
        let count = |is: fn(&Packet) -> bool| taken.iter().filter(|(packet, _)| is(packet)).count();
        let messages = count(|packet| matches!(packet, Packet::Publish(_)));
        let acks = count(|packet| is_ack(packet.packet_type()));
        let has_connack = count(|packet| matches!(packet, Packet::ConnAck(_))) > 0;
        let is_full = |event: &Event| {
            let full = |error: &ConnectionError| matches!(error, ConnectionError::InboxFull { .. });
            matches!(event, Event::Lost { error, .. } if full(error))
        };
        let more_came = came < read.packets.len();
        let part = self.input.len();
        let begun = self.network.part;
        let new = read.bytes.len() - begun;
        for (is, outcome) in [
            (messages > 1, Is::SeveralMessages),
            (messages > 64, Is::MoreMessagesThanARun),
            (acks > 1, Is::SeveralAcknowledgements),
            (messages > 0 && acks > 0, Is::MessagesAndAcknowledgements),
            (is_open && has_connack && came > 1, Is::ConnAckAndMore),
            (
                is_open && came > 0 && !more_came && part > 0,
                Is::PartBehindPackets,
            ),
            (begun > 0 && came == 1, Is::RestOfAPacket),
            (begun > 0 && came > 1, Is::RestOfAPacketAndMore),
            (is_open && came == 0 && new == 1, Is::OneByteOfAPacket),
            (!is_open && came > 1 && more_came, Is::BreachBetweenPackets),
            (
                !is_open && came > 0 && !more_came && read.error.is_some(),
                Is::ErrorBehindPackets,
            ),
            (
                came > 1 && more_came && events.iter().any(is_full),
                Is::InboxFullBetweenPackets,
            ),
            (is_open && came > 0 && more_came, Is::StopsBetweenPackets),
        ] {
            if is {
                self.reached.add_read(outcome);
            }
        }
        // What stays because reading stops is no part of a packet.
        self.network.part = if more_came { 0 } else { part };
    }

    fn what_is_read(&self) -> Read {
        let decoder = Decoder::new(self.version, Sender::Server).with_max_packet_size(MAX_PACKET);
        let bytes = self.input.clone();
        let mut rest = bytes.clone();
        let mut packets = Vec::new();
        let error = loop {
            let before = rest.len();
            match decoder.decode(&mut rest) {
                Ok(Some(packet)) => packets.push((packet, before - rest.len())),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        let is_refusal = self.version.is_v5() && bytes.starts_with(UNACCEPTABLE);
        Read {
            bytes,
            packets,
            error,
            is_refusal,
        }
    }

    /// The summaries of packets since the last call.
    fn observed(&mut self) -> Vec<PacketSummary> {
        let observations = std::iter::from_fn(|| self.session.poll_observation());
        let packets = observations.filter_map(|observation| match observation {
            Observation::Packet(summary) => Some(summary),
            Observation::Missed { count } => panic!("{count} were missed"),
            _ => None,
        });
        packets.collect()
    }

    /// Takes what is encoded.
    fn transmit(&mut self) -> VecDeque<(Packet, usize)> {
        let mut packets = VecDeque::new();
        let mut fresh = Outbox::new();
        if !self.session.poll_transmit(self.now, &mut fresh) {
            return packets;
        }
        assert!(self.stream.is_some(), "output without a stream");
        let decoder = Decoder::new(self.version, Sender::Client);
        let mut bytes = BytesMut::from(&fresh.to_vec()[..]);
        self.output.append(&mut fresh);
        while !bytes.is_empty() {
            let before = bytes.len();
            let packet = decoder.decode(&mut bytes).expect("valid packets");
            packets.push_back((packet.expect("whole packets"), before - bytes.len()));
        }
        packets
    }

    /// Shows the model the next packet of the output.
    fn sent(&mut self, summary: PacketSummary, output: &mut VecDeque<(Packet, usize)>) {
        assert_eq!(summary.direction, Direction::Sent, "{summary:?} came again");
        let (packet, size) = output.pop_front().expect("it was encoded");
        assert_summary(summary, &packet, size);
        self.reached
            .add(codec(self.version, Sender::Client), packet.packet_type());
        self.model.sent(&packet, size);
    }

    /// Takes what is encoded, and shows it to the model packet by packet.
    pub(super) fn collect_output(&mut self) -> bool {
        let mut output = self.transmit();
        let any = !output.is_empty();
        for summary in self.observed() {
            self.sent(summary, &mut output);
        }
        assert!(output.is_empty(), "not observed: {output:?}");
        any
    }

    pub(super) fn collect_events(&mut self) -> bool {
        let mut any = false;
        while let Some(event) = self.session.poll_event() {
            any = true;
            self.tell(&event);
        }
        any
    }

    fn tell(&mut self, event: &Event) {
        self.model.event(event);
        self.awaits_room &= !matches!(event, Event::Room);
        if let Event::Lost {
            error: ConnectionError::InboxFull { bytes },
            ..
        } = event
        {
            let full = self.bounds.inbox;
            assert!(*bytes >= full, "an inbox with {bytes} bytes is not full");
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.session.phase(), Phase::Handshaking | Phase::Connected)
    }

    /// What the session says of its inbox is what waits, and what the application has.
    pub(super) fn check_inbox(&self) {
        let stats = self.session.stats();
        let told = (stats.inbox_messages, stats.inbox_bytes);
        assert_eq!(told, self.model.inbox(), "messages and bytes in the inbox");
        assert_eq!(stats.dropped, self.model.dropped, "dropped messages");
        assert_eq!(stats.bytes_received, self.network.given, "received bytes");
    }

    /// Where packets come out of another buffer than before, what the earlier ones keep alive beyond what is counted is bounded.
    fn reads_from_buffer(&mut self) {
        let extent = self.input.capacity();
        let end = self.input.as_ptr() as usize + extent;
        let buffers = &mut self.network.buffers;
        match buffers.last_mut() {
            Some(last) if last.end == end => last.extent = last.extent.max(extent),
            _ => {
                let most = (self.bounds.inbox / 8).min(128 * 1024);
                for (at, buffer) in buffers.iter_mut().enumerate() {
                    let waiting = self.model.waiting_in(at);
                    buffer.is_given_up |= buffer.extent > most + waiting;
                }
                self.model.reads_from(buffers.len());
                buffers.push(Buffer {
                    end,
                    extent,
                    is_given_up: false,
                });
            }
        }
    }

    /// A message that was taken is not a part of a buffer that kept too much alive.
    pub(super) fn check_copied(&self, received: &Received, buffer: Option<usize>) {
        let payload = received.publish.payload();
        if let Some(buffer) = buffer.and_then(|at| self.network.buffers.get(at))
            && buffer.is_given_up
            && !payload.is_empty()
        {
            let at = payload.as_ptr() as usize;
            let is_there = (buffer.end - buffer.extent..buffer.end).contains(&at);
            assert!(!is_there, "a message keeps a read buffer alive");
        }
    }
}

const fn is_ack(packet: PacketType) -> bool {
    use PacketType::{PubAck, PubComp, PubRec, PubRel};
    matches!(packet, PubAck | PubRec | PubRel | PubComp)
}

fn assert_summary(summary: PacketSummary, packet: &Packet, size: usize) {
    let (id, reason) = match packet {
        Packet::Publish(publish) => {
            let expected = (publish.packet_id(), publish.qos(), publish.dup());
            let told = (summary.id, summary.qos.expect("of PUBLISH"), summary.dup);
            assert_eq!(told, expected, "{summary:?}");
            (publish.packet_id(), None)
        }
        Packet::ConnAck(connack) => (None, Some(connack.reason)),
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            (Some(ack.id), Some(ack.reason))
        }
        Packet::SubAck(suback) => (Some(suback.id), None),
        Packet::UnsubAck(unsuback) => (Some(unsuback.id), None),
        Packet::Subscribe(subscribe) => (Some(subscribe.id), None),
        Packet::Unsubscribe(unsubscribe) => (Some(unsubscribe.id), None),
        Packet::Disconnect(disconnect) => (None, Some(disconnect.reason)),
        Packet::Auth(auth) => (None, Some(auth.reason)),
        _ => (None, None),
    };
    let told = (
        summary.packet_type,
        summary.size,
        summary.id,
        summary.reason,
    );
    assert_eq!(told, (packet.packet_type(), size, id, reason), "{packet:?}");
}
