//! Enhanced authentication (section 4.12) at connect, and servers that get it wrong.

mod pair;

use std::time::Duration;

use bytes::BytesMut;
use mqtt_session::auth::{AuthAnswer, AuthError, AuthStep};
use mqtt_session::proto::{
    ConnAck, Decoder, Outbox, Packet, PacketType, Properties, QoS, ReasonCode, Sender, Version,
};
use mqtt_session::{
    Action, Config, ConfigError, Connection, ConnectionError, Endpoint, Event, Fault, Instant,
    Limits, Phase, Session, Timeouts, Timer, Violation,
};
use pair::config;
use pair::exchange::*;
use pair::raw::{Raw, at_least_once};

#[test]
fn connect_waits_for_the_first_data_and_carries_them() {
    let mut raw = opened(authenticating());
    let (id, begin) = step(&mut raw);
    let method = METHOD.to_owned();
    let again = false;
    assert_eq!(begin, AuthStep::Begin { method, again });
    raw.advance(Duration::from_secs(5));
    assert!(raw.packets().is_empty());
    raw.session.handle_auth(raw.now, id, Ok("me".into()));
    let Packet::Connect(connect) = raw.packets().remove(0) else {
        panic!("no CONNECT")
    };
    assert_eq!(
        data_of(connect.properties.view()),
        (Some(METHOD), Some("me"))
    );
    // A second answer to the same question is none.
    raw.session.handle_auth(raw.now, id, Ok("again".into()));
    assert!(raw.packets().is_empty());
}

#[test]
fn data_may_be_none_and_user_properties_go_along() {
    let mut raw = opened(authenticating());
    let (id, _) = step(&mut raw);
    let users = Properties::builder().user_property("realm", "x");
    let answer = AuthAnswer::default().with_properties(users.build().unwrap());
    raw.session.handle_auth(raw.now, id, Ok(answer));
    let Packet::Connect(connect) = raw.packets().remove(0) else {
        panic!("no CONNECT")
    };
    let said = connect.properties.view();
    assert_eq!(data_of(said), (Some(METHOD), None));
    assert_eq!(said.user_properties().next(), Some(("realm", "x")));
}

/// [MQTT-4.12.0-3], [MQTT-4.12.0-5], [MQTT-3.1.2-30]
#[test]
fn each_challenge_is_answered_with_the_same_method_and_nothing_else_is_sent_before_connack() {
    let mut raw = begun();
    raw.publish(QoS::AtMostOnce, b"waits");
    for round in 0..3 {
        raw.feed(&challenge("who?"));
        let (id, step) = step(&mut raw);
        let AuthStep::Challenge { properties } = step else {
            panic!("{step:?}")
        };
        assert_eq!(data_of(properties.view()), (Some(METHOD), Some("who?")));
        raw.advance(Duration::from_secs(2));
        assert!(raw.packets().is_empty(), "round {round}");
        raw.session.handle_auth(raw.now, id, Ok("me".into()));
        assert_eq!(raw.packets(), [auth(CONTINUE, with_data("me"))]);
    }
    raw.feed(&connack(with_data("welcome")));
    answer(&mut raw, "");
    assert_eq!(raw.lines(), ["PUBLISH"]);
    assert!(raw.losses().is_empty());
}

#[test]
fn connack_is_taken_when_the_authenticator_is_satisfied_and_what_follows_it_not_before() {
    let mut raw = begun();
    let mut bytes = raw.encode(&connack(with_data("signature")));
    bytes.extend(raw.encode_publish("a", at_least_once(1), b"early"));
    raw.bytes_in(&bytes);
    assert_eq!(raw.session.phase(), Phase::Handshaking);
    assert!(!raw.session.wants_read());
    assert!(raw.events.is_empty());
    let (id, step) = step(&mut raw);
    let AuthStep::Verify { properties } = step else {
        panic!("{step:?}")
    };
    assert_eq!(
        data_of(properties.view()),
        (Some(METHOD), Some("signature"))
    );
    raw.session
        .handle_auth(raw.now, id, Ok(AuthAnswer::default()));
    assert_eq!(raw.session.phase(), Phase::Connected);
    assert!(raw.session.wants_read());
    raw.bytes_in(&[]);
    assert_eq!(raw.take_and_ack(), b"early");
}

#[test]
fn a_server_that_does_not_prove_itself_is_left_and_not_tried_again() {
    let mut raw = begun();
    let mut bytes = raw.encode(&connack(with_data("forged")));
    bytes.extend(raw.encode_publish("a", at_least_once(1), b"forged"));
    raw.bytes_in(&bytes);
    let (id, _) = step(&mut raw);
    let error = AuthError::Signature;
    raw.session.handle_auth(raw.now, id, Err(error.clone()));
    let addr = server();
    let wanted = ConnectionError::Authentication { addr, error };
    assert_eq!(wanted.fault(), Fault::Peer);
    assert_eq!(raw.losses(), [(wanted.clone(), None)]);
    assert!(
        raw.session
            .poll_message(mqtt_session::QueueId::DEFAULT)
            .is_none()
    );
    assert!(
        !raw.events
            .iter()
            .any(|event| matches!(event, Event::Connected { .. }))
    );
    ends(raw, &wanted, "DISCONNECT 0x80");
}

#[test]
fn an_authenticator_that_has_no_answer_now_is_asked_again_later() {
    let mut raw = opened(authenticating());
    let (id, _) = step(&mut raw);
    let error = AuthError::Unavailable("the token server is down".into());
    raw.session.handle_auth(raw.now, id, Err(error));
    // No DISCONNECT ahead of a CONNECT [MQTT-3.1.0-1].
    assert!(raw.packets().is_empty());
    assert!(!raw.hang_up());
    assert!(matches!(raw.losses()[..], [(_, Some(_))]));
    raw.wait_for_dial();
}

#[test]
fn an_authenticator_that_never_answers_is_waited_for_as_long_as_configured() {
    for (reached, disconnect) in [(0, false), (1, true), (2, true)] {
        let mut timeouts = Timeouts::default();
        timeouts.auth = Duration::from_secs(7);
        let mut raw = opened(authenticating().timeouts(timeouts));
        if reached > 0 {
            answer(&mut raw, "me");
            raw.packets();
        }
        match reached {
            1 => raw.feed(&challenge("who?")),
            2 => raw.feed(&connack(with_data("welcome"))),
            _ => {}
        }
        assert_eq!(raw.session.next_timer().unwrap().0, Timer::Auth);
        raw.advance(Duration::from_secs(7));
        let addr = server();
        let after = Duration::from_secs(7);
        let wanted = ConnectionError::AuthenticatorTimedOut { addr, after };
        assert_eq!(wanted.fault(), Fault::Caller);
        assert_eq!(raw.last_loss(), wanted);
        let wrote = if disconnect {
            vec!["DISCONNECT 0x80"]
        } else {
            vec![]
        };
        assert_eq!(raw.lines(), wrote, "{reached}");
        // What it says now is too late.
        let (id, _) = step_of(&raw);
        raw.session.handle_auth(raw.now, id, Ok("late".into()));
        assert!(raw.packets().is_empty());
    }
}

/// [MQTT-3.1.2-20]
#[test]
fn an_authenticator_is_not_waited_for_longer_than_the_server_waits_for_a_packet() {
    let keep_alive = |seconds| Properties::builder().server_keep_alive(seconds);
    for (packet, most) in [
        (challenge("who?"), 10),
        (connack(with_data("welcome")), 10),
        (
            connack(
                keep_alive(4)
                    .extend(with_data("welcome").view())
                    .build()
                    .unwrap(),
            ),
            4,
        ),
        (
            connack(
                keep_alive(0)
                    .extend(with_data("welcome").view())
                    .build()
                    .unwrap(),
            ),
            30,
        ),
    ] {
        let mut raw = opened(authenticating().keep_alive(Duration::from_secs(10)));
        answer(&mut raw, "me");
        raw.packets();
        let asked = raw.now;
        raw.feed(&packet);
        let (timer, at) = raw.session.next_timer().unwrap();
        assert_eq!(
            (timer, at - asked),
            (Timer::Auth, Duration::from_secs(most))
        );
        raw.advance(at - asked);
        let loss = raw.last_loss();
        assert!(
            matches!(loss, ConnectionError::AuthenticatorTimedOut { .. }),
            "{loss}"
        );
    }
    // Where the server took long itself, a quarter of the interval is left: it waits for one and a half.
    let mut raw = opened(authenticating().keep_alive(Duration::from_secs(8)));
    answer(&mut raw, "me");
    raw.packets();
    raw.advance(Duration::from_secs(8));
    raw.feed(&challenge("who?"));
    let (timer, at) = raw.session.next_timer().unwrap();
    assert_eq!((timer, at - raw.now), (Timer::Auth, Duration::from_secs(2)));
}

#[test]
fn a_server_that_falls_silent_during_the_exchange_is_given_the_time_for_connack() {
    let mut raw = begun();
    raw.advance(Duration::from_secs(9));
    raw.feed(&challenge("who?"));
    raw.advance(Duration::from_secs(9));
    // The time that the authenticator took is not the server's.
    answer(&mut raw, "me");
    raw.packets();
    raw.advance(Duration::from_secs(9));
    assert!(raw.losses().is_empty());
    raw.advance(Duration::from_secs(1));
    let loss = raw.last_loss();
    assert!(matches!(loss, ConnectionError::NoConnAck { .. }), "{loss}");
}

/// [MQTT-4.12.0-1], [MQTT-4.12.0-4]
#[test]
fn a_refusal_is_told_at_any_step_and_needs_no_method() {
    for rounds in 0..2 {
        for (reason, again) in [
            (ReasonCode::BAD_AUTHENTICATION_METHOD, false),
            (ReasonCode::NOT_AUTHORIZED, false),
            (ReasonCode::SERVER_BUSY, true),
        ] {
            let mut raw = begun();
            for _ in 0..rounds {
                raw.feed(&challenge("who?"));
                answer(&mut raw, "me");
            }
            raw.packets();
            raw.feed(&Packet::ConnAck(ConnAck {
                session_present: false,
                reason,
                properties: Properties::new(),
            }));
            let (error, retry_in) = raw.losses().pop().unwrap();
            assert!(
                matches!(error, ConnectionError::Refused { reason: r, .. } if r == reason),
                "{error}"
            );
            assert_eq!(retry_in.is_some(), again, "{reason}");
            assert!(raw.packets().is_empty());
        }
    }
}

/// [MQTT-4.12.0-5]
#[test]
fn another_method_or_none_ends_the_connection() {
    for method in [None, Some("OTHER"), Some("challenge"), Some("")] {
        let mut raw = begun();
        raw.feed(&connack(properties(method, None)));
        let packet = PacketType::ConnAck;
        violates(raw, Violation::AuthenticationMethod { packet });
        let Some(method) = method else { continue };
        for reauthenticating in [false, true] {
            let mut raw = if reauthenticating { again().0 } else { begun() };
            raw.feed(&auth(CONTINUE, properties(Some(method), Some("who?"))));
            let packet = PacketType::Auth;
            violates(raw, Violation::AuthenticationMethod { packet });
        }
    }
    // The short form has no method.
    let (mut raw, _) = again();
    raw.bytes_in(&[0xF0, 0]);
    let packet = PacketType::Auth;
    violates(raw, Violation::AuthenticationMethod { packet });
}

/// [MQTT-4.12.0-2]
#[test]
fn auth_with_success_before_connack_ends_the_connection() {
    let mut raw = begun();
    raw.feed(&success("welcome"));
    let reason = ReasonCode::SUCCESS;
    violates(raw, Violation::AuthReason { reason });
}

#[test]
fn auth_with_a_reason_that_only_a_client_has_is_no_packet() {
    for mut raw in [begun(), again().0] {
        let mut bytes = raw.encode(&challenge("who?"));
        bytes[2] = ReasonCode::RE_AUTHENTICATE.0;
        raw.bytes_in(&bytes);
        let loss = raw.last_loss();
        assert!(matches!(loss, ConnectionError::Decode { .. }), "{loss}");
        ends(raw, &loss, "DISCONNECT 0x82");
    }
}

/// [MQTT-4.12.0-6]
#[test]
fn auth_or_a_method_without_one_in_connect_ends_the_connection() {
    let packet = PacketType::ConnAck;
    for (method, data) in [
        (Some(METHOD), None),
        (Some(METHOD), Some("x")),
        (None, Some("x")),
    ] {
        let mut raw = Raw::new(config(Version::V5));
        raw.session.start(raw.now);
        raw.open();
        raw.feed(&connack(properties(method, data)));
        assert_eq!(raw.lines(), ["DISCONNECT 0x82"]);
        let violation = Violation::AuthenticationMethod { packet };
        let loss = raw.last_loss();
        assert!(matches!(loss, ConnectionError::Protocol { violation: v, .. } if v == violation));
    }
    let packet = PacketType::Auth;
    let mut raw = Raw::new(config(Version::V5));
    raw.session.start(raw.now);
    raw.open();
    raw.feed(&challenge("who?"));
    assert_eq!(raw.lines(), ["DISCONNECT 0x82"]);
    let violation = Violation::BeforeConnAck { packet };
    let loss = raw.last_loss();
    assert!(matches!(loss, ConnectionError::Protocol { violation: v, .. } if v == violation));
    for packet in [challenge("who?"), success("welcome")] {
        let mut raw = Raw::connected(config(Version::V5));
        raw.packets();
        raw.feed(&packet);
        assert_eq!(raw.lines(), ["DISCONNECT 0x82"]);
    }
}

#[test]
fn auth_that_nothing_asks_for_ends_the_connection() {
    let packet = PacketType::Auth;
    for unasked in [challenge("who?"), success("welcome")] {
        let mut raw = authenticated();
        raw.feed(&unasked);
        violates(raw, Violation::Unexpected { packet });
    }
    // The last one is not answered yet.
    let mut raw = begun();
    raw.feed(&challenge("who?"));
    raw.feed(&challenge("who?"));
    violates(raw, Violation::BeforeConnAck { packet });
    let mut raw = begun();
    raw.feed(&challenge("who?"));
    raw.feed(&connack(with_data("welcome")));
    let packet = PacketType::ConnAck;
    violates(raw, Violation::Unexpected { packet });
}

#[test]
fn a_server_that_goes_on_asking_is_left() {
    let mut limits = Limits::default();
    limits.max_auth_challenges = 3;
    let mut raw = opened(authenticating().limits(limits));
    answer(&mut raw, "me");
    for _ in 0..3 {
        raw.feed(&challenge("who?"));
        answer(&mut raw, "me");
    }
    raw.packets();
    raw.feed(&challenge("who?"));
    violates(raw, Violation::AuthChallenges { max: 3 });
}

#[test]
fn an_older_version_takes_no_auth() {
    for version in [Version::V3_1, Version::V3_1_1] {
        let mut raw = Raw::connected(config(version));
        raw.packets();
        raw.bytes_in(&[0xF0, 0]);
        let loss = raw.last_loss();
        assert!(matches!(loss, ConnectionError::Decode { .. }), "{loss}");
        assert!(raw.packets().is_empty());
    }
}

/// [MQTT-4.12.1-1]
/// [MQTT-4.12.1-2]
/// [MQTT-4.12.1-2]
#[test]
fn an_answer_that_can_not_be_sent_is_the_authenticators_failure() {
    let mut raw = begun();
    raw.feed(&challenge("who?"));
    let (id, _) = step(&mut raw);
    let huge = vec![0; 65_536];
    raw.session.handle_auth(raw.now, id, Ok(huge.into()));
    let loss = raw.last_loss();
    let properties = matches!(
        loss,
        ConnectionError::Authentication {
            error: AuthError::Properties(_),
            ..
        }
    );
    assert!(properties, "{loss}");
    assert_eq!(loss.fault(), Fault::Caller);

    let mut raw = begun();
    let small = Properties::builder()
        .authentication_method(METHOD)
        .maximum_packet_size(20.try_into().unwrap());
    raw.feed(&connack(small.build().unwrap()));
    answer(&mut raw, "");
    raw.session.reauthenticate(raw.now).unwrap();
    answer(&mut raw, "this is more than twenty bytes");
    let loss = raw.last_loss();
    let encode = matches!(
        loss,
        ConnectionError::Authentication {
            error: AuthError::Encode(_),
            ..
        }
    );
    assert!(encode, "{loss}");
}

#[test]
fn the_configuration_takes_a_method_for_5_0_alone_and_through_its_own_field() {
    for version in [Version::V3_1, Version::V3_1_1] {
        let refused = config(version).authentication_method(METHOD).build();
        assert_eq!(
            refused.unwrap_err(),
            ConfigError::AuthenticationMethod { version }
        );
    }
    let own = Config::builder("c").connect_properties(with_data("x"));
    assert!(matches!(
        own.build(),
        Err(ConfigError::OwnProperty { field, .. }) if field == "authentication_method"
    ));
    let long = Config::builder("c").authentication_method("x".repeat(65_536));
    assert!(matches!(long.build(), Err(ConfigError::Properties(_))));
}

#[test]
fn authentication_data_are_not_shown() {
    let mut raw = begun();
    raw.feed(&challenge("qwertz"));
    let (_, step) = step_of(&raw);
    let shown = format!("{step:?} {:?}", AuthAnswer::new("qwertz"));
    assert!(!shown.contains("qwertz"), "{shown}");
    assert!(!format!("{:?}", raw.session).contains("qwertz"));
}

#[test]
fn a_connection_takes_the_authenticators_answers_for_its_session() {
    let config = authenticating().build().expect("a good configuration");
    let session = Session::new(config, Endpoint::new("192.0.2.1", 1883), 7);
    let mut connection = Connection::new(session);
    let now = Instant::ZERO;
    connection.session_mut().connect(now);
    let Some(Action::Dial { attempt, .. }) = connection.poll_action() else {
        panic!("it does not dial");
    };
    connection.handle_opened(now, attempt);
    let Some(Action::Authenticate { attempt, .. }) = connection.poll_action() else {
        panic!("it asks for no data");
    };
    let mut out = Outbox::new();
    assert!(!connection.poll_transmit(now, &mut out));
    connection.handle_auth(now, attempt, Ok(b"me"[..].into()));
    assert!(connection.poll_transmit(now, &mut out));
    let decoder = Decoder::new(Version::V5, Sender::Client);
    let packet = decoder.decode(&mut BytesMut::from(&out.to_vec()[..]));
    let Ok(Some(Packet::Connect(connect))) = packet else {
        panic!("{packet:?}");
    };
    assert_eq!(
        connect.properties.view().authentication_data(),
        Some(&b"me"[..])
    );
}

#[test]
fn an_answer_to_an_earlier_question_answers_no_later_one() {
    let mut raw = opened(authenticating());
    let (first, _) = step(&mut raw);
    raw.session.handle_auth(raw.now, first, Ok("me".into()));
    assert_eq!(raw.lines(), ["CONNECT"]);
    raw.feed(&challenge("who?"));
    let (second, _) = step(&mut raw);
    raw.session.handle_auth(raw.now, first, Ok("late".into()));
    assert_eq!(raw.lines(), Vec::<String>::new());
    raw.session.handle_auth(raw.now, second, Ok("me".into()));
    assert_eq!(raw.lines(), ["AUTH"]);
}
