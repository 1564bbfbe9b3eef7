//! What the server sends.

use alloc::string::ToString;

use bytes::BytesMut;
use mqtt_proto::{
    Ack, DecodeError, Decoder, Flow, Packet, PacketId, PacketType, PublishView, QoS, ReasonCode,
};

use super::Session;
use super::asked::has_problem_information;
use super::inbox::{Seen, cost};
use super::stage::Farewell;
use crate::{
    ConnectionError, Direction, Event, InboxFull, PacketSummary, QueueId, QueueOptions, Record,
    Stale, Ticket, Violation,
};

impl Session {
    pub(super) fn input(&mut self, input: &mut BytesMut) {
        if input.len() > self.link.left {
            self.stats.bytes_received += (input.len() - self.link.left) as u64;
            self.link.last_received = self.now;
        }
        self.inbox.read_from(input, self.config.limits.inbox_bytes);
        self.detect_old_server(input);
        let begin = match self.link.connected {
            true => None,
            false => other_protocol(input),
        };
        while self.is_open() && self.wants_read() {
            let before = input.len();
            match self.link.decoder.decode_publish(input) {
                Ok(Some(publish)) => {
                    let flow = publish.flow();
                    self.events.packet(|| {
                        PacketSummary::publish(Direction::Received, flow, before - input.len())
                    });
                    self.publish_received(publish);
                    continue;
                }
                // The rest of it is awaited.
                Ok(None) if Decoder::begins_publish(input) => break,
                Ok(None) => {}
                Err(error) => {
                    self.undecodable(error, begin);
                    break;
                }
            }
            if let Some((packet, id)) = self.link.decoder.decode_ack_success(input) {
                self.succeeded(packet, id);
                continue;
            }
            match self.decode_other(input) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.undecodable(error, begin);
                    break;
                }
            }
        }
        if !self.is_open() {
            // What comes behind the end means nothing.
            input.clear();
        }
        self.link.left = input.len();
    }

    /// An acknowledgement that needs no words.
    #[inline]
    fn succeeded(&mut self, packet: PacketType, id: PacketId) {
        const SIZE: usize = 4;
        let reason = ReasonCode::SUCCESS;
        self.events.packet(|| PacketSummary {
            id: Some(id),
            reason: Some(reason),
            ..PacketSummary::new(Direction::Received, packet, SIZE)
        });
        if self.link.connected {
            self.ack_received(packet, id, reason);
        } else {
            // [MQTT-3.2.0-1], [MQTT-3.14.0-1]
            self.violated(Violation::BeforeConnAck { packet });
        }
    }

    #[inline]
    fn ack_received(&mut self, packet: PacketType, id: PacketId, reason: ReasonCode) {
        match packet {
            PacketType::PubRel => self.released(id),
            _ => self.acknowledged(packet, id, reason),
        }
    }

    /// What is neither. Whether there was a whole packet.
    #[inline(never)]
    fn decode_other(&mut self, input: &mut BytesMut) -> Result<bool, DecodeError> {
        let before = input.len();
        let Some(packet) = self.link.decoder.decode(input)? else {
            return Ok(false);
        };
        let size = before - input.len();
        self.events
            .packet(|| PacketSummary::of(Direction::Received, &packet, size));
        self.packet(packet);
        Ok(true)
    }

    #[cold]
    fn undecodable(&mut self, error: DecodeError, begin: Option<Begin>) {
        let Some(addr) = self.peer() else { return };
        match begin {
            // What the network cuts up is waited for, no longer than for CONNACK.
            Some(Begin::Part) => {}
            Some(Begin::Whole(protocol)) => {
                let error = ConnectionError::OtherProtocol { addr, protocol };
                self.lose(error, Farewell::Silent);
            }
            None => {
                let farewell = Farewell::Reason(error.reason());
                self.lose(ConnectionError::Decode { addr, error }, farewell);
            }
        }
    }

    /// Whether the driver shall read. Not while the inbox is full, unless the session itself waits for something from the
    /// server: then reading goes on, so that nothing deadlocks. And not while [`Limits::outbox_bytes`](crate::Limits::outbox_bytes) of
    /// acknowledgements wait for the driver: a server that does not read them is found out by the keep-alive. And not while an
    /// authenticator checks what came with CONNACK: what follows is believed only after it. Once the session has hung up, always: what still
    /// comes is thrown away.
    #[inline]
    pub fn wants_read(&self) -> bool {
        let waits = self.verifies_connack()
            || self.link.answers >= self.config.limits.outbox_bytes
            || self.records_are_full();
        if waits {
            return !self.is_open();
        }
        if self.inbox.bytes() < self.config.limits.inbox_bytes {
            return true;
        }
        self.reads_though_full()
    }

    #[cold]
    fn reads_though_full(&self) -> bool {
        let awaits = !self.link.connected
            || self.link.ping.is_some()
            || self.outgoing.inflight.len() > 0
            || self.outgoing.inflight.requests() > 0
            || self.outgoing.wants_room;
        awaits || self.config.inbox_full == InboxFull::DropOldest
    }

    #[inline]
    fn packet(&mut self, packet: Packet) {
        let packet_type = packet.packet_type();
        // [MQTT-3.1.2-29]
        if self.link.quiet && has_problem_information(&packet) {
            return self.violated(Violation::ProblemInformation {
                packet: packet_type,
            });
        }
        if !self.link.connected {
            return match packet {
                Packet::ConnAck(connack) => self.connack(connack),
                Packet::Auth(auth) => self.auth_received(auth),
                // [MQTT-3.2.0-1], [MQTT-3.14.0-1]
                _ => self.violated(Violation::BeforeConnAck {
                    packet: packet_type,
                }),
            };
        }
        match packet {
            Packet::PubAck(ack)
            | Packet::PubRec(ack)
            | Packet::PubRel(ack)
            | Packet::PubComp(ack) => self.ack_received(packet_type, ack.id, ack.reason),
            Packet::SubAck(suback) => self.request_answered(packet_type, suback.id, &suback.codes),
            Packet::UnsubAck(unsuback) => {
                self.request_answered(packet_type, unsuback.id, &unsuback.codes)
            }
            Packet::PingResp => self.ping_answered(),
            Packet::Disconnect(disconnect) => {
                let Some(addr) = self.peer() else { return };
                let words = disconnect
                    .properties
                    .view()
                    .reason_string()
                    .map(ToString::to_string);
                self.redirected(disconnect.reason, disconnect.properties.view());
                let error = ConnectionError::Disconnected {
                    addr,
                    reason: disconnect.reason,
                    words,
                };
                self.lose(error, Farewell::Silent);
            }
            // [MQTT-3.2.0-2]
            Packet::ConnAck(_) => self.violated(Violation::SecondConnAck),
            Packet::Auth(auth) => self.auth_received(auth),
            _ => self.violated(Violation::Unexpected {
                packet: packet_type,
            }),
        }
    }

    /// Its parts go from the decoder to a queue by way of registers, as long as nothing on the way is given a reference to the whole.
    #[inline(always)]
    fn publish_received(&mut self, mut publish: PublishView) {
        if !self.link.connected {
            // [MQTT-3.2.0-1], [MQTT-3.14.0-1]
            return self.violated(Violation::BeforeConnAck {
                packet: PacketType::Publish,
            });
        }
        self.stats.received += 1;
        if publish.topic_alias().is_some() {
            match self.resolve_alias(publish) {
                Ok(resolved) => publish = resolved,
                Err(violation) => return self.violated(violation),
            }
        }
        let cost = cost(publish.size());
        let full = self.inbox.bytes().saturating_add(cost) > self.config.limits.inbox_bytes;
        let flow = publish.flow();
        let arrival = match flow.packet_id() {
            None => {
                if full {
                    let queues = self
                        .subscriptions
                        .matches(publish.topic(), publish.properties());
                    let queue = queues.first().copied().unwrap_or(QueueId::DEFAULT);
                    if !self.makes_room(cost, queue) {
                        return;
                    }
                }
                None
            }
            Some(id) => match self.arrives(id, flow, full) {
                None => return,
                new => new,
            },
        };
        self.deliver(publish, arrival);
    }

    #[inline(never)]
    fn resolve_alias(&mut self, mut publish: PublishView) -> Result<PublishView, Violation> {
        if let Some(alias) = publish.topic_alias() {
            let max = self.config.limits.topic_alias_maximum;
            self.link.known.resolve(alias, max, &mut publish)?;
        }
        Ok(publish)
    }

    /// Takes note of a message of QoS 1 or 2. Nothing, where it is none to deliver.
    #[inline]
    fn arrives(&mut self, id: PacketId, flow: Flow, full: bool) -> Option<u32> {
        let (qos, dup) = (flow.qos(), flow.dup());
        let is_another = qos != QoS::ExactlyOnce || !dup;
        if is_another && self.records.is_some() {
            if self.inbox.is_taken(id) {
                // Only a snapshot has it, and only what is recorded can be released.
                self.record(|| Record::Recorded { id });
                self.record(|| Record::Released { id });
            } else if self.inbox.is_doubtful(id) {
                self.record(|| Record::Released { id });
            }
        }
        let (seen, arrival) = self.inbox.see(id, qos, dup);
        self.stats.duplicates += u64::from(seen != Seen::New);
        match seen {
            Seen::New => {
                // [MQTT-3.3.4-9]
                let max = self.config.limits.receive_maximum.get();
                if self.link.version.is_v5() && self.inbox.in_flight() >= usize::from(max) {
                    if self.inbox.in_flight() > usize::from(max) {
                        self.inbox.unsee(arrival);
                        self.violated(Violation::ReceiveMaximum { max });
                        return None;
                    }
                    self.window_is_full();
                }
                if full && self.inbox.bytes() >= self.config.limits.inbox_bytes {
                    self.inbox.unsee(arrival);
                    let bytes = self.inbox.bytes();
                    let farewell = Farewell::AfterAll(ReasonCode::QUOTA_EXCEEDED);
                    self.lose(ConnectionError::InboxFull { bytes }, farewell);
                    return None;
                }
                return arrival;
            }
            // It may have been dealt with while there was no connection.
            Seen::Held => self.send_acks(),
            // [MQTT-4.3.3-10]
            Seen::Recorded => self.acknowledge(PacketType::PubRec, id, ReasonCode::SUCCESS),
        }
        None
    }

    /// The inbox is full, and a message of QoS 0 came for this queue. `false` where it is dropped.
    #[cold]
    fn makes_room(&mut self, cost: usize, queue: QueueId) -> bool {
        let limit = self.config.limits.inbox_bytes;
        while self.inbox.bytes() + cost > limit && self.drop_one(queue) {}
        let dropped =
            self.inbox.bytes() > 0 && self.inbox.bytes() + cost > limit && !self.may_exceed();
        self.stats.dropped += u64::from(dropped);
        self.stats.dropped_full += u64::from(dropped);
        !dropped
    }

    /// One message over the bound is taken while reading would pause behind it.
    fn may_exceed(&self) -> bool {
        self.config.inbox_full == InboxFull::Pause
            && self.inbox.bytes() < self.config.limits.inbox_bytes
    }

    /// Drops the oldest QoS 0 message, unless reading can pause instead.
    fn drop_one(&mut self, queue: QueueId) -> bool {
        let dropped = !self.may_exceed() && self.inbox.drop_oldest(queue);
        if dropped {
            self.stats.dropped += 1;
            self.stats.dropped_full += 1;
            if !self.inbox.dropping {
                self.inbox.dropping = true;
                self.events.push_back(Event::Dropping);
            }
        }
        dropped
    }

    /// Puts a message into every queue that claims it, or into the default one. QoS 0 that nothing claims is kept there only if
    /// somebody may look.
    #[inline(always)]
    fn deliver(&mut self, publish: PublishView, arrival: Option<u32>) {
        let queues = match self
            .subscriptions
            .matches(publish.topic(), publish.properties())
        {
            [] if arrival.is_none() && !self.inbox.keep_unclaimed => {
                self.stats.dropped += 1;
                self.stats.dropped_unclaimed += 1;
                return;
            }
            [] => return self.deliver_unclaimed(publish, arrival),
            queues => queues,
        };
        let events = &mut self.events;
        let acked = self.inbox.push(publish, arrival, queues, |queue| {
            events.push_back(Event::Readable(queue))
        });
        if acked {
            self.send_acks();
        }
    }

    pub(super) fn configure_queue(&mut self, queue: QueueId, options: QueueOptions) {
        self.inbox.set_queue(queue, options);
        self.send_acks();
        if self.inbox_was_full {
            self.retry();
        }
    }

    #[cold]
    fn deliver_unclaimed(&mut self, publish: PublishView, arrival: Option<u32>) {
        let acked = self.telling_unclaimed(|session| {
            let events = &mut session.events;
            let queues = &[QueueId::DEFAULT];
            session.inbox.push(publish, arrival, queues, |queue| {
                events.push_back(Event::Readable(queue));
            })
        });
        // The default queue may acknowledge on arrival, too.
        if acked {
            self.send_acks();
        }
    }

    fn released(&mut self, id: PacketId) {
        // [MQTT-4.3.3-11]
        let reason = if self.inbox.release(id) {
            self.record(|| Record::Released { id });
            ReasonCode::SUCCESS
        } else {
            ReasonCode::PACKET_IDENTIFIER_NOT_FOUND
        };
        self.acknowledge(PacketType::PubComp, id, reason);
    }

    /// Encodes PUBACK, PUBREC, PUBREL or PUBCOMP. 3.x has no reason codes.
    #[inline]
    pub(super) fn acknowledge(&mut self, packet: PacketType, id: PacketId, reason: ReasonCode) {
        if !self.withhold(packet, id, reason) {
            self.put_ack(packet, id, reason);
        }
    }

    pub(super) fn put_ack(&mut self, packet: PacketType, id: PacketId, reason: ReasonCode) {
        let reason = if self.link.version.is_v5() {
            reason
        } else {
            ReasonCode::SUCCESS
        };
        let (encoder, outbox) = (&self.link.encoder, &mut self.link.outbox);
        let encoded = if reason == ReasonCode::SUCCESS {
            encoder.ack_success(packet, id, outbox)
        } else {
            let ack = Ack::new(id).with_reason(reason);
            let encoded = encoder.ack(packet, &ack, outbox);
            // Rather without the reason than not at all: a server's maximum that forbids also that is refused with CONNACK.
            encoded.or_else(|_| encoder.ack_success(packet, id, outbox))
        };
        if let Ok(len) = encoded {
            self.events.packet(|| PacketSummary {
                id: Some(id),
                reason: Some(reason),
                ..PacketSummary::new(Direction::Sent, packet, len)
            });
            self.link.encoded += len as u64;
            self.link.answers += len;
        }
    }

    #[inline]
    pub(super) fn give_back(&mut self, ticket: Ticket) -> Result<(), Stale> {
        let needs_ack = ticket.arrival.is_some();
        let result = self.inbox.give_back(ticket);
        self.inbox.dropping &= self.inbox.bytes() > self.config.limits.inbox_bytes / 2;
        if needs_ack {
            self.send_acks();
        }
        if self.inbox_was_full {
            self.retry();
        }
        result
    }

    /// Sends the acknowledgements that are due [MQTT-4.6.0-2], [MQTT-4.6.0-3].
    fn send_acks(&mut self) {
        if !self.link.connected {
            return;
        }
        while let Some((id, qos)) = self.inbox.next_ack() {
            self.window_moves();
            let packet = if qos == QoS::ExactlyOnce {
                self.record(|| Record::Recorded { id });
                PacketType::PubRec
            } else {
                PacketType::PubAck
            };
            self.stats.acks_sent += 1;
            self.acknowledge(packet, id, ReasonCode::SUCCESS);
        }
    }

    /// Acknowledges a message before its room is given back: the ticket is then as that of a QoS 0 message.
    #[cfg(feature = "client")]
    pub(crate) fn ack_early(&mut self, now: crate::Instant, mut ticket: Ticket) -> Ticket {
        if ticket.arrival.is_some() {
            let room = core::mem::take(&mut ticket.bytes);
            let left = Ticket {
                arrival: None,
                bytes: room,
                ..ticket
            };
            // A stale one can't be acknowledged, and will be gone with the rest.
            let _ = self.ack(now, ticket);
            return left;
        }
        ticket
    }

    /// The next message of a queue, if it waits in this read buffer (in any, for the first) or has memory of its own.
    #[cfg(feature = "client")]
    #[inline]
    pub(crate) fn poll_message_of(
        &mut self,
        queue: QueueId,
        block: &mut Option<u32>,
    ) -> Option<crate::Received> {
        self.inbox.pop_of(queue, block)
    }

    /// Takes some messages of a queue together: a whole run of them that wait in one read buffer, for `batch`, which is empty. `false` where there is
    /// none of which all come before the others.
    #[cfg(feature = "client")]
    pub(crate) fn poll_run_of(
        &mut self,
        queue: QueueId,
        batch: &mut alloc::collections::VecDeque<crate::Received>,
    ) -> bool {
        self.inbox.take_run(queue, batch)
    }

    /// Takes unread messages back into the default queue, in the order of arrival: for a later subscription or reader, whom the caller tells.
    #[cfg(feature = "client")]
    pub(crate) fn take_back(&mut self, unread: alloc::vec::Vec<crate::Received>) {
        self.telling_unclaimed(|session| session.inbox.take_back(unread));
    }

    /// Messages of QoS 0 that were polled were dropped before the application had them.
    #[cfg(feature = "client")]
    pub(crate) const fn count_dropped(&mut self, dropped: usize) {
        self.stats.dropped += dropped as u64;
    }

    pub(super) fn detach(&mut self, queue: QueueId) {
        if !self.inbox.has_queue(queue) {
            return;
        }
        self.subscriptions.remove_queue(queue);
        let was_readable = self.inbox.is_readable(QueueId::DEFAULT);
        for dropped in self.inbox.close_queue(queue) {
            self.stats.dropped += 1;
            // Without an arrival there is nothing to be stale.
            let _ = self.give_back(dropped.ticket);
        }
        if !was_readable && self.inbox.is_readable(QueueId::DEFAULT) {
            self.events.push_back(Event::Readable(QueueId::DEFAULT));
        }
    }
}

/// What tells another protocol.
#[derive(Clone, Copy)]
enum Begin {
    Whole(&'static str),
    Part,
}

/// What a server speaks whose first bytes are no packet.
#[cold]
fn other_protocol(input: &[u8]) -> Option<Begin> {
    // Of TLS an alert, which is how a server answers that has got no greeting.
    const BEGINS: [(&str, &[u8]); 7] = [
        ("HTTP", b"HTTP/"),
        ("SSH", b"SSH-"),
        ("TLS", &[0x15, 3, 0]),
        ("TLS", &[0x15, 3, 1]),
        ("TLS", &[0x15, 3, 2]),
        ("TLS", &[0x15, 3, 3]),
        ("TLS", &[0x15, 3, 4]),
    ];
    BEGINS.into_iter().find_map(|(protocol, begin)| {
        let len = input.len().min(begin.len());
        let same = input[..len] == begin[..len];
        same.then_some(if len == begin.len() {
            Begin::Whole(protocol)
        } else {
            Begin::Part
        })
    })
}
