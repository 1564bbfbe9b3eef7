//! What a peer's packet costs that can be made longer at will: it may cost more as it grows, and not faster than it grows.

use bytes::BytesMut;
use mqtt_proto::{Properties, PropertiesBuilder, Publish, QoS, SubscribeOptions, Topic};
use mqtt_session::{QueueId, Session};

use crate::{NOW, connected, server_publish};

/// A session to which a packet is on its way.
#[derive(Debug)]
pub struct Growing {
    session: Session,
    queues: Vec<QueueId>,
    arriving: Vec<u8>,
    /// Bytes that come at a time.
    piece: usize,
}

/// Subscriptions that match: all that can be made of `+` in four levels.
pub const MATCHING: usize = 16;
const LEVELS: [&str; 4] = ["a", "b", "c", "d"];

impl Growing {
    /// A PUBLISH with so many subscription identifiers, those of all subscriptions among them.
    pub fn identifiers(count: u32) -> Self {
        let all = (1..=count).fold(
            Properties::builder(),
            PropertiesBuilder::subscription_identifier,
        );
        Self::new(all, Vec::new(), usize::MAX)
    }

    /// A PUBLISH with so many user properties.
    pub fn user_properties(count: u32) -> Self {
        let add = |builder: PropertiesBuilder, _| builder.user_property("n", "v");
        Self::new(
            (0..count).fold(Properties::builder(), add),
            Vec::new(),
            usize::MAX,
        )
    }

    /// A PUBLISH with so many bytes of payload, which come one at a time.
    pub fn single_bytes(count: u32) -> Self {
        Self::new(Properties::builder(), vec![b'x'; count as usize], 1)
    }

    fn new(properties: PropertiesBuilder, payload: Vec<u8>, piece: usize) -> Self {
        let mut session = connected();
        let queues = (0..MATCHING).map(|which| {
            let level = |at: usize| {
                if which >> at & 1 == 1 {
                    "+"
                } else {
                    LEVELS[at]
                }
            };
            let filter = [0, 1, 2, 3]
                .map(level)
                .join("/")
                .try_into()
                .expect("a filter");
            let queue = session.open_queue();
            let asked = vec![(filter, SubscribeOptions::new(QoS::AtMostOnce))];
            session
                .subscribe(NOW, asked, Properties::new(), queue)
                .expect("accepted");
            queue
        });
        let queues = queues.collect();
        let topic = Topic::try_from(LEVELS.join("/")).expect("a topic");
        let properties = properties.build().expect("good properties");
        let arriving = server_publish(&Publish::new(topic, payload).with_properties(properties));
        Self {
            session,
            queues,
            arriving,
            piece,
        }
    }

    /// It comes, is read by each subscription, and is taken. How many subscriptions it came to.
    ///
    /// # Panics
    ///
    /// If a ticket is stale.
    pub fn arrive(&mut self) -> usize {
        let mut input = BytesMut::with_capacity(self.arriving.len());
        for piece in self.arriving.chunks(self.piece) {
            input.extend_from_slice(piece);
            self.session.handle_input(NOW, &mut input);
        }
        let mut came = 0;
        for queue in &self.queues {
            while let Some(received) = self.session.poll_message(*queue) {
                came += usize::from(
                    received
                        .publish
                        .properties()
                        .user_properties()
                        .all(|(name, _)| name == "n"),
                );
                self.session.ack(NOW, received.ticket).expect("fresh");
            }
        }
        came
    }
}
