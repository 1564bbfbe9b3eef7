//! Each way to publish, to subscribe, to wait and to leave: with and without a bound they come to the same.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod server;

use std::num::NonZeroUsize;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use mqtt_blocking::{
    BuildError, Capacity, Client, ClientEvent, ConnectError, Delivery, Limits, Phase, Properties,
    Publish, PublishOptions, QoS, SubscribeOptions, Subscription, Topic, TopicFilter, Version,
    build, connect, connect_timeout, start,
};
use server::{LONG, Result, Server, config, until};

/// One way to publish this payload.
type Publishes<'a> = &'a dyn Fn(&'static str) -> Result<Delivery>;

fn message(payload: &'static str) -> Publish {
    Publish::new(Topic::try_from("a/topic").unwrap(), payload)
}

fn filters(names: &[&str]) -> Vec<(TopicFilter, SubscribeOptions)> {
    names
        .iter()
        .map(|name| {
            (
                TopicFilter::try_from(*name).unwrap(),
                QoS::AtLeastOnce.into(),
            )
        })
        .collect()
}

fn next(subscription: &mut Subscription) -> String {
    let message = subscription.next_timeout(LONG).unwrap().expect("a message");
    String::from_utf8(message.payload().to_vec()).unwrap()
}

fn joined(server: &Server) -> Result<Client> {
    Ok(connect_timeout(
        &server.url,
        config("client").build()?,
        LONG,
    )?)
}

#[test]
fn every_way_to_publish_delivers_the_message() -> Result {
    let server = Server::start()?;
    let client = joined(&server)?;
    let mut messages = client.subscribe("a/topic", QoS::AtLeastOnce)?;
    let (qos, options) = (QoS::AtLeastOnce, PublishOptions::new());
    let ways: [(&'static str, Publishes<'_>); 8] = [
        ("publish", &|p| Ok(client.publish("a/topic", qos, p)?)),
        ("publish_timeout", &|p| {
            Ok(client.publish_timeout("a/topic", qos, p, LONG)?)
        }),
        ("publish_message", &|p| {
            Ok(client.publish_message(qos, message(p))?)
        }),
        ("publish_with", &|p| {
            Ok(client.publish_with(qos, message(p), options.clone())?)
        }),
        ("publish_with_timeout", &|p| {
            Ok(client.publish_with_timeout(qos, message(p), options.clone(), LONG)?)
        }),
        ("try_publish", &|p| {
            Ok(client.try_publish("a/topic", qos, p)?)
        }),
        ("try_publish_message", &|p| {
            Ok(client.try_publish_message(qos, message(p))?)
        }),
        ("try_publish_with", &|p| {
            Ok(client.try_publish_with(qos, message(p), &options)?)
        }),
    ];
    let mut tokens = Vec::new();
    for (name, publish) in ways {
        let delivery = publish(name)?;
        tokens.push(delivery.token());
        assert!(delivery.wait()?.is_success(), "{name}");
        assert_eq!(next(&mut messages), name);
    }
    assert!(tokens.is_sorted(), "{tokens:?}");
    server.assert_no_violations();
    Ok(())
}

#[test]
fn every_way_to_subscribe_gets_the_messages_until_it_is_given_up() -> Result {
    let server = Server::start()?;
    let client = joined(&server)?;
    let qos = QoS::AtLeastOnce;
    let ways: [(&str, &dyn Fn() -> Result<Subscription>); 8] = [
        ("subscribe", &|| Ok(client.subscribe("a/topic", qos)?)),
        ("subscribe_timeout", &|| {
            Ok(client.subscribe_timeout("a/topic", qos, LONG)?)
        }),
        ("subscribe_many", &|| {
            Ok(client.subscribe_many(filters(&["a/topic", "b"]))?)
        }),
        ("subscribe_with", &|| {
            Ok(client.subscribe_with(filters(&["a/topic"]), Properties::new())?)
        }),
        ("subscribe_with_timeout", &|| {
            Ok(client.subscribe_with_timeout(filters(&["a/topic"]), Properties::new(), LONG)?)
        }),
        ("declare_many", &|| {
            Ok(client.declare_many(filters(&["a/topic", "b"]))?)
        }),
        ("replace_subscription", &|| {
            Ok(client.replace_subscription("a/topic", qos)?)
        }),
        ("replace_subscription_timeout", &|| {
            Ok(client.replace_subscription_timeout("a/topic", qos, LONG)?)
        }),
    ];
    for (name, subscribe) in ways {
        let mut messages = subscribe()?
            .with_max_at_most_once(NonZeroUsize::MIN)
            .unsubscribe_on_drop(true);
        assert_eq!(messages.filters()[0].as_str(), "a/topic", "{name}");
        client.publish("a/topic", qos, name)?.wait()?;
        assert_eq!(next(&mut messages), name);
        assert!(messages.try_next().is_none() && messages.try_iter().next().is_none());
        assert_eq!(messages.dropped(), 0);
        if name.ends_with("timeout") {
            messages.unsubscribe_timeout(LONG)?;
        } else {
            messages.unsubscribe()?;
        }
    }
    let kept = client.subscribe("a/topic", qos)?;
    client.unsubscribe(vec![kept.filters()[0].clone()])?;
    client.publish("a/topic", qos, "to nobody")?.wait()?;
    assert_eq!(client.discard_unclaimed(), 0);
    server.assert_no_violations();
    Ok(())
}

#[test]
fn a_handler_is_called_for_each_message_until_the_session_is_closed() -> Result {
    let server = Server::start()?;
    let client = joined(&server)?;
    let messages = client.subscribe("a/topic", QoS::AtLeastOnce)?;
    let (told, calls) = mpsc::channel();
    let handler = thread::spawn(move || messages.handle(|message| drop(told.send(message))));
    for payload in ["one", "two"] {
        client
            .publish("a/topic", QoS::AtLeastOnce, payload)?
            .wait()?;
        let message = calls.recv_timeout(LONG)?;
        assert_eq!(message.payload(), payload.as_bytes());
        drop(message);
    }
    client.disconnect(Duration::ZERO);
    assert_eq!(handler.join().unwrap(), Ok(()));
    Ok(())
}

#[test]
fn what_is_asked_of_a_client_is_what_it_was_made_with() -> Result {
    let server = Server::start()?;
    let config = config("client").version(Version::V5).build()?;
    let client = start(&server.url, config)?;
    assert!(client.closed_timeout(Duration::from_millis(1)).is_err());
    client.connected()?;
    assert_eq!(client.phase(), Phase::Connected);
    assert_eq!(client.version(), Version::V5);
    assert_eq!(client.client_identifier(), "client");
    assert_eq!(client.response_information(), None);
    assert_eq!(client.server().host(), "127.0.0.1");
    let Capacity {
        messages, bytes, ..
    } = client.publish_capacity();
    let limits = Limits::default();
    assert_eq!(
        (messages, bytes),
        (limits.max_queued, limits.outgoing_bytes)
    );
    // The connection that there is comes first.
    let first = client.watch().next();
    assert!(
        matches!(first, Some(ClientEvent::Connected { .. })),
        "{first:?}"
    );

    assert_eq!(client.as_async().stats().connections, 1);
    client.disconnect_with(Default::default(), Duration::ZERO)?;
    let closed = client.closed_timeout(LONG)?;
    assert_eq!(closed, client.closed());
    assert_eq!(closed.error, None);
    until("the server has DISCONNECT", || {
        server.received("DISCONNECT") == 1
    });
    Ok(())
}

/// `main` ends with the first, a log has the second.
#[test]
fn an_error_reads_as_a_sentence_and_shows_its_parts_where_that_is_asked_for() -> Result {
    let refused = connect("nonsense://host", config("client").build()?).unwrap_err();
    let ConnectError::Build(BuildError::Endpoint(error)) = &refused else {
        panic!("{refused:?}");
    };
    assert_eq!(format!("{refused:?}"), refused.to_string());
    assert!(format!("{refused:#?}").starts_with("Build(\n    Endpoint("));
    let refused = build("nonsense://host", config("client").build()?).unwrap_err();
    assert_eq!(refused, BuildError::Endpoint(error.clone()));
    assert_eq!(format!("{refused:?}"), refused.to_string());

    let unbound = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let url = format!("mqtt://{unbound}");
    let refused = connect(&*url, config("client").build()?).unwrap_err();
    assert!(
        matches!(refused, ConnectError::Connection(_)),
        "{refused:?}"
    );
    assert!(format!("{refused:?}").contains(&unbound.to_string()));
    assert!(format!("{refused:#?}").starts_with("Connection("));
    Ok(())
}
