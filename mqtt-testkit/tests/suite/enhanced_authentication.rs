use mqtt_proto::{Auth, ConnAck, Connect, Packet, ReasonCode, Version};
use mqtt_testkit::{AuthStep, Authenticator, ConnId};

use crate::client::{Client, World, clean, message, props, qos1};

/// Asks for the password behind a challenge.
#[derive(Debug)]
struct Challenge;

impl Authenticator for Challenge {
    fn step(&mut self, _: ConnId, first: bool, method: &str, data: Option<&[u8]>) -> AuthStep {
        match (method, first, data) {
            ("CHALLENGE", true, _) => AuthStep::Continue("who?".into()),
            ("CHALLENGE", false, Some(b"me")) => AuthStep::Accept(Some("welcome".into())),
            ("CHALLENGE", false, _) => AuthStep::Refuse(ReasonCode::NOT_AUTHORIZED),
            _ => AuthStep::Refuse(ReasonCode::BAD_AUTHENTICATION_METHOD),
        }
    }
}

fn connect(method: &str) -> Connect {
    Connect {
        properties: props(|p| p.authentication_method(method)),
        ..clean(Version::V5, "c")
    }
}

fn auth(reason: ReasonCode, method: &str, data: &str) -> Packet {
    let properties = props(|p| {
        p.authentication_method(method)
            .authentication_data(data.as_bytes())
    });
    Packet::Auth(Auth { reason, properties })
}

fn begin(world: &mut World) -> Client {
    world.broker.set_authenticator(Box::new(Challenge));
    let mut client = world.open(Version::V5);
    client.send(world, Packet::Connect(connect("CHALLENGE").into()));
    let more = ReasonCode::CONTINUE_AUTHENTICATION;
    let challenge = client.receive_one(world);
    assert_eq!(challenge, auth(more, "CHALLENGE", "who?"));
    client
}

fn connack(client: &mut Client, world: &mut World) -> ConnAck {
    match client.receive_one(world) {
        Packet::ConnAck(connack) => connack,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_method_is_refused_where_no_authenticator_is_set() {
    let mut world = World::new();
    let mut client = world.open(Version::V5);
    client.send(&mut world, Packet::Connect(connect("ANY").into()));
    let reason = connack(&mut client, &mut world).reason;
    assert_eq!(reason, ReasonCode::BAD_AUTHENTICATION_METHOD);
    assert!(world.broker.wants_close(client.conn));
    world.expect_no_violation();
}

#[test]
fn the_right_answer_is_accepted_and_may_be_asked_for_again() {
    let mut world = World::new();
    let mut client = begin(&mut world);
    let more = ReasonCode::CONTINUE_AUTHENTICATION;
    client.send(&mut world, auth(more, "CHALLENGE", "me"));
    let connack = connack(&mut client, &mut world);
    let properties = connack.properties.view();
    assert_eq!(properties.authentication_method(), Some("CHALLENGE"));
    assert_eq!(properties.authentication_data(), Some(&b"welcome"[..]));
    let again = ReasonCode::RE_AUTHENTICATE;
    client.send(&mut world, auth(again, "CHALLENGE", ""));
    client.receive_one(&mut world);
    client.send(&mut world, auth(more, "CHALLENGE", "me"));
    let success = auth(ReasonCode::SUCCESS, "CHALLENGE", "welcome");
    assert_eq!(client.receive_one(&mut world), success);
    world.expect_no_violation();
}

#[test]
fn a_wrong_answer_is_refused() {
    let mut world = World::new();
    let mut client = begin(&mut world);
    let more = ReasonCode::CONTINUE_AUTHENTICATION;
    client.send(&mut world, auth(more, "CHALLENGE", "you"));
    let reason = connack(&mut client, &mut world).reason;
    assert_eq!(reason, ReasonCode::NOT_AUTHORIZED);
    assert!(world.broker.session("c").is_none());
}

#[test]
fn only_auth_and_disconnect_may_come_before_connack() {
    let mut world = World::new();
    let mut client = begin(&mut world);
    client.publish(&mut world, &message("t", "early"), qos1(1, false));
    client.expect_nothing(&mut world);
    assert!(world.broker.wants_close(client.conn));
    assert_eq!(world.broker.violations()[0].rule, "MQTT-3.1.2-30");
}

#[test]
fn another_method_than_in_connect_is_a_violation() {
    let mut world = World::new();
    let client = begin(&mut world);
    let more = ReasonCode::CONTINUE_AUTHENTICATION;
    client.send(&mut world, auth(more, "OTHER", "me"));
    assert_eq!(world.broker.violations()[0].rule, "MQTT-4.12.0-5");
}

#[test]
fn auth_without_a_method_in_connect_is_a_violation() {
    let mut world = World::new();
    let mut client = world.connect(clean(Version::V5, "c"));
    client.send(&mut world, auth(ReasonCode::RE_AUTHENTICATE, "M", ""));
    let code = ReasonCode::PROTOCOL_ERROR;
    world.expect_violation(&mut client, "MQTT-4.12.0-7", code);
}
