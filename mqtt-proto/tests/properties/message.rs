//! What is encoded in these tests.

use std::num::NonZeroU16;

use mqtt_proto::{EncodeError, Encoder, Flow, Outbox, Packet, Publish, Sender, Version};

/// Something to encode. A PUBLISH to send is no [`Packet`], since that holds what was received.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Packet(Packet),
    Publish {
        publish: Publish,
        flow: Flow,
        alias: Alias,
    },
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Alias {
    None,
    BesideTopic(NonZeroU16),
    InsteadOfTopic(NonZeroU16),
}

/// Who speaks in which version.
pub(crate) type Side = (Version, Sender);

impl Message {
    pub(crate) fn encode(&self, encoder: &Encoder, out: &mut Outbox) -> Result<usize, EncodeError> {
        match self {
            Self::Packet(packet) => encoder.encode(packet, out),
            Self::Publish {
                publish,
                flow,
                alias: Alias::None,
            } => encoder.publish(publish, *flow, None, out),
            Self::Publish {
                publish,
                flow,
                alias: Alias::BesideTopic(alias),
            } => encoder.publish(publish, *flow, Some(*alias), out),
            Self::Publish {
                publish,
                flow,
                alias: Alias::InsteadOfTopic(alias),
            } => encoder.publish_by_alias(publish, *flow, *alias, out),
        }
    }

    /// The length that is announced; `None` where there is no method that tells it.
    pub(crate) fn announced(&self, encoder: &Encoder) -> Option<Result<usize, EncodeError>> {
        match self {
            Self::Packet(packet) => Some(encoder.encoded_len(packet)),
            Self::Publish {
                publish,
                flow,
                alias: Alias::None,
            } => Some(encoder.publish_len(publish, *flow, None)),
            Self::Publish {
                publish,
                flow,
                alias: Alias::BesideTopic(alias),
            } => Some(encoder.publish_len(publish, *flow, Some(*alias))),
            Self::Publish {
                alias: Alias::InsteadOfTopic(_),
                ..
            } => None,
        }
    }

    pub(crate) fn bytes(&self, (version, sender): Side) -> Vec<u8> {
        let mut out = Outbox::new();
        let len = self.encode(&Encoder::new(version, sender), &mut out);
        let bytes = out.to_vec();
        assert_eq!(len, Ok(bytes.len()), "{self:?} in {version}");
        bytes
    }

    /// Whether this is what was read.
    pub(crate) fn assert_is(&self, read: &Packet) {
        let (publish, flow, alias) = match self {
            Self::Packet(packet) => return assert_eq!(packet, read),
            Self::Publish {
                publish,
                flow,
                alias,
            } => (publish, *flow, *alias),
        };
        let Packet::Publish(view) = read else {
            panic!("{read:?} is no PUBLISH")
        };
        assert_eq!(view.flow(), flow);
        assert_eq!(view.retain(), publish.retain());
        assert_eq!(view.payload(), publish.payload());
        let own: Vec<_> = view
            .properties()
            .iter()
            .skip(usize::from(!matches!(alias, Alias::None)))
            .collect();
        assert_eq!(own, publish.properties().iter().collect::<Vec<_>>());
        match alias {
            Alias::None => assert_eq!((view.topic_alias(), view.topic()), (None, publish.topic())),
            Alias::BesideTopic(alias) => assert_eq!(
                (view.topic_alias(), view.topic()),
                (Some(alias), publish.topic())
            ),
            Alias::InsteadOfTopic(alias) => {
                assert!(view.topic_alias() == Some(alias) && view.topic().is_empty())
            }
        }
    }
}
