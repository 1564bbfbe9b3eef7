//! What the application is to be given, and what it costs until it is given back.

use mqtt_proto::{PublishView, QoS, Version};
use mqtt_session::Received;

use super::{Arrival, Model, Verdict};

/// How much may wait for the application.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct Bounds {
    /// Its bytes, as the session counts them.
    pub(in crate::session) inbox: usize,
    /// Messages of QoS 1 and 2 at once, in 5.0.
    pub(in crate::session) receive_maximum: usize,
    /// Bytes of acknowledgements that wait for the driver.
    pub(in crate::session) answers: usize,
    /// Of QoS 0 the oldest are dropped where there is no room; else reading stops.
    pub(in crate::session) drop_oldest: bool,
}

/// What the application is to be given.
#[derive(Debug)]
pub(in crate::session) struct Waiting {
    pub(in crate::session) number: u32,
    content: Content,
    /// The bytes of its packet, and of a topic that an alias stood for.
    size: usize,
    /// The read buffer that it is a part of.
    pub(in crate::session) buffer: Option<usize>,
}

#[derive(Debug, PartialEq, Eq)]
struct Content {
    id: Option<u16>,
    qos: QoS,
    retain: bool,
    topic: String,
    payload: Vec<u8>,
}

impl Content {
    fn of(publish: &PublishView, topic: &str) -> Self {
        Self {
            id: publish.packet_id().map(|id| id.get()),
            qos: publish.qos(),
            retain: publish.retain(),
            topic: topic.to_owned(),
            payload: publish.payload().to_vec(),
        }
    }
}

const fn cost(size: usize) -> usize {
    size + Received::OVERHEAD
}

impl Model {
    /// The application is given a message.
    pub(in crate::session) fn taken(&mut self, publish: &PublishView) -> Waiting {
        let next = self.waiting.pop_front();
        let next = next.unwrap_or_else(|| panic!("{publish:?} is delivered again"));
        let taken = Content::of(publish, publish.topic().as_str());
        assert_eq!(taken, next.content, "delivered in the order of arrival");
        next
    }

    /// There is nothing for the application, as it seems.
    pub(in crate::session) fn nothing_taken(&self) {
        let first = self.waiting.front();
        assert!(first.is_none(), "it is not delivered: {first:?}");
    }

    /// A ticket is taken back. Whether it is none, or there is somebody to acknowledge it to.
    pub(in crate::session) fn ticket(&mut self, taken: &Waiting) -> bool {
        self.bytes -= cost(taken.size);
        let Some(id) = taken.content.id else {
            return true;
        };
        let arrival = self.unacknowledged.get_mut(&id);
        let arrival = arrival.filter(|arrival| arrival.number == taken.number);
        arrival.is_some_and(|arrival| !std::mem::replace(&mut arrival.given_back, true))
    }

    /// How many messages wait, and what they and those cost that the application has.
    pub(in crate::session) fn inbox(&self) -> (usize, usize) {
        (self.waiting.len(), self.bytes)
    }

    /// Whether nothing is read: the inbox is full, and no answer of the server is awaited to a PINGREQ.
    pub(in crate::session) fn is_full(&self) -> bool {
        let pauses = !self.bounds.drop_oldest && !self.link.pinging;
        pauses && self.bytes >= self.bounds.inbox
    }

    /// What waits in this read buffer.
    pub(in crate::session) fn waiting_in(&self, buffer: usize) -> usize {
        let there = self
            .waiting
            .iter()
            .filter(|one| one.buffer == Some(buffer))
            .map(|one| one.size);
        there.sum()
    }

    /// What the server may count of its messages against Receive Maximum.
    pub(in crate::session) fn receiving(&self) -> usize {
        self.link.pubacks.len() + self.link.pubrecs.len() + self.link.recorded_here
    }

    /// A new message of QoS 1 or 2 comes: there may be one too many, and then the server is to send it again.
    pub(super) fn kept_came(&mut self, publish: &PublishView, topic: &str, size: usize) -> Verdict {
        let too_many =
            self.version == Version::V5 && self.receiving() > self.bounds.receive_maximum;
        if too_many || self.bytes >= self.bounds.inbox {
            let id = publish.packet_id().map_or(0, |id| id.get());
            self.unacknowledged.remove(&id);
            match publish.qos() {
                QoS::ExactlyOnce => self.link.pubrecs.pop_back(),
                _ => self.link.pubacks.pop_back(),
            };
            return Verdict::Ends;
        }
        self.waits(publish, topic, size);
        Verdict::Goes
    }

    /// A message of QoS 0 comes. Where there is no room, one above the bound is taken if reading stops behind it; else the oldest are
    /// dropped, or this one if that does not help.
    pub(super) fn droppable_came(&mut self, publish: &PublishView, topic: &str, size: usize) {
        let Bounds {
            inbox, drop_oldest, ..
        } = self.bounds;
        self.arrived += 1;
        loop {
            let fits = self.bytes + cost(size) <= inbox;
            let stops_behind = !drop_oldest && self.bytes < inbox;
            if fits || stops_behind {
                break;
            }
            let is_droppable = |one: &Waiting| one.content.qos == QoS::AtMostOnce;
            let Some(oldest) = self.waiting.iter().position(is_droppable) else {
                if self.bytes > 0 {
                    self.dropped += 1;
                    return;
                }
                break;
            };
            if let Some(oldest) = self.waiting.remove(oldest) {
                self.bytes -= cost(oldest.size);
                self.dropped += 1;
            }
        }
        self.waits(publish, topic, size);
    }

    fn waits(&mut self, publish: &PublishView, topic: &str, size: usize) {
        let named = publish.topic().as_str().is_empty();
        self.bytes += cost(size);
        self.waiting.push_back(Waiting {
            number: self.arrived,
            content: Content::of(publish, topic),
            size,
            // Where its topic was put in, it has memory of its own.
            buffer: if named { None } else { self.buffer },
        });
    }

    /// The next packets come out of this read buffer.
    pub(in crate::session) fn reads_from(&mut self, buffer: usize) {
        self.buffer = Some(buffer);
    }

    /// A message of QoS 1 or 2 is noted as unacknowledged.
    pub(super) fn arrives(&mut self, id: u16, qos: QoS, given_back: bool) {
        self.arrived += 1;
        let arrival = Arrival {
            number: self.arrived,
            qos,
            given_back,
        };
        self.unacknowledged.insert(id, arrival);
    }

    /// The session is at rest, with a connection: every answer that is due went out.
    pub(in crate::session) fn check_answered(&self) {
        let link = &self.link;
        assert_eq!(link.pubcomps, [0; 0], "PUBREL is not answered");
        assert_eq!(link.pubrecs_again, [0; 0], "PUBLISH is not answered again");
        for due in [link.pubacks.front(), link.pubrecs.front()] {
            let arrival = due.and_then(|id| self.unacknowledged.get(id));
            let waits = arrival.is_none_or(|arrival| !arrival.given_back);
            assert!(waits, "{due:?} is not acknowledged");
        }
    }
}
