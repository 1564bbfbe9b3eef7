//! Packets and properties made by hand: what may be left out, which types do, and how they are shown.

use std::num::NonZeroU16;

use bytes::{Bytes, BytesMut};
use mqtt_proto::{
    Decoder, Encoder, Flow, Outbox, Packet, Properties, PropertyId, Publish, PublishView, QoS,
    Sender, Topic, TopicError, Version, Will,
};

fn received(publish: &Publish) -> PublishView {
    let encoder = Encoder::new(Version::V5, Sender::Client);
    let mut out = Outbox::new();
    encoder
        .publish(publish, Flow::AtMostOnce, None, &mut out)
        .expect("5.0 carries it");
    let mut bytes = BytesMut::from(&out.to_vec()[..]);
    let decoder = Decoder::new(Version::V5, Sender::Client);
    match decoder.decode(&mut bytes) {
        Ok(Some(Packet::Publish(view))) => view,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_will_is_of_qos_0_and_not_retained_unless_it_says_so() {
    let will = Will::new("status/7", "gone").unwrap();
    assert_eq!(will.topic, Topic::try_from("status/7").unwrap());
    assert_eq!(will.payload, "gone");
    assert_eq!(will.qos, QoS::AtMostOnce);
    assert!(!will.retain);
    assert!(will.properties.is_empty());

    let delay = Properties::builder()
        .will_delay_interval(5)
        .build()
        .unwrap();
    let will = Will::new(String::from("status/7"), vec![0, 1])
        .unwrap()
        .with_qos(QoS::ExactlyOnce)
        .with_retain(true)
        .with_properties(delay.clone());
    assert_eq!(will.qos, QoS::ExactlyOnce);
    assert!(will.retain);
    assert_eq!(will.properties, delay);

    assert_eq!(
        Will::new("status/#", "gone"),
        Err(TopicError::Wildcard {
            wildcard: '#',
            at: 7
        })
    );
    // A topic is one already.
    let Ok(will) = Will::new(Topic::try_from("t").unwrap(), Vec::new());
    assert!(will.payload.is_empty());
}

#[test]
fn binary_data_may_be_of_any_kind() {
    fn data(properties: mqtt_proto::PropertiesBuilder) -> Vec<u8> {
        let properties = properties.build().unwrap();
        let view = properties.view();
        view.correlation_data().unwrap().to_vec()
    }
    let (text, owned) = (String::from("7f"), vec![b'7', b'f']);
    let new = Properties::builder;
    for data in [
        data(new().correlation_data("7f")),
        data(new().correlation_data(&text)),
        data(new().correlation_data(text)),
        data(new().correlation_data(&owned)),
        data(new().correlation_data(&owned[..])),
        data(new().correlation_data(owned.clone())),
        data(new().correlation_data(b"7f")),
        data(new().correlation_data(0x3766_u16.to_be_bytes())),
        data(new().correlation_data(Bytes::from_static(b"7f"))),
    ] {
        assert_eq!(data, b"7f");
    }
}

#[test]
fn an_answer_goes_to_the_response_topic_with_the_correlation_data() {
    let asked = Properties::builder()
        .response_topic("answers/7")
        .correlation_data([0, 0xFF])
        .content_type("of the question")
        .user_property("of", "the question")
        .build()
        .unwrap();
    let request = Publish::new(Topic::try_from("questions").unwrap(), "?")
        .with_retain(true)
        .with_properties(asked);
    let answer = received(&request).answer("!").unwrap();
    assert_eq!(answer.topic(), "answers/7");
    assert_eq!(answer.payload(), b"!");
    assert!(!answer.retain());
    assert_eq!(answer.properties().correlation_data(), Some(&[0, 0xFF][..]));
    // Nothing else of the question.
    assert_eq!(answer.properties().iter().count(), 1);
}

#[test]
fn an_answer_needs_a_response_topic_but_no_correlation_data() {
    let topic = Topic::try_from("questions").unwrap();
    let no_question = Publish::new(topic.clone(), "?").with_properties(
        Properties::builder()
            .correlation_data("7f")
            .build()
            .unwrap(),
    );
    assert_eq!(received(&no_question).answer("!"), None);

    let short = Properties::builder().response_topic("a").build().unwrap();
    let question = Publish::new(topic, "?").with_properties(short);
    let answer = received(&question).answer("!").unwrap();
    assert_eq!(answer.topic(), "a");
    assert!(answer.properties().is_empty());
}

#[test]
fn properties_are_shown_by_their_names_and_values() {
    let properties = Properties::builder()
        .receive_maximum(NonZeroU16::new(10).unwrap())
        .maximum_qos(true)
        .session_expiry_interval(3600)
        .assigned_client_identifier("auto-7")
        .correlation_data([0, b'x'])
        .subscription_identifier(300)
        .user_property("region", "eu")
        .authentication_data("hunter2")
        .build()
        .unwrap();
    assert!(properties.view().has(PropertyId::AUTHENTICATION_DATA));
    assert_eq!(
        format!("{properties:?}"),
        r#"{Receive Maximum: 10, Maximum QoS: 1, Session Expiry Interval: 3600, Assigned Client Identifier: "auto-7", "#
            .to_owned()
            + r#"Correlation Data: b"\x00x", Subscription Identifier: 300, User Property: ("region", "eu"), "#
            + r#"Authentication Data: "(secret)"}"#
    );
}
