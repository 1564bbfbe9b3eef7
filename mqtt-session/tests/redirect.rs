//! Servers that send us to another one (section 4.11).

mod pair;

use std::time::Duration;

use mqtt_session::proto::{ConnAck, Connect, Disconnect, Packet, Properties, ReasonCode, Version};
use mqtt_session::{
    Action, Cause, ConfigBuilder, Credentials, Endpoint, Event, Phase, RedirectRefused, Redirects,
    Servers,
};
use pair::config;
use pair::raw::Raw;

const NONE: Properties = Properties::new();
const FOR_NOW: ReasonCode = ReasonCode::USE_ANOTHER_SERVER;
const FOR_GOOD: ReasonCode = ReasonCode::SERVER_MOVED;

fn endpoint(number: u8) -> Endpoint {
    Endpoint::new(format!("192.0.2.{number}"), 1883)
}

fn allowing() -> ConfigBuilder {
    let hosts = (1..=9).map(|number| format!("192.0.2.{number}"));
    config(Version::V5).redirects(Redirects::to(hosts))
}

fn started(config: ConfigBuilder) -> Raw {
    let mut raw = Raw::of(config, Servers::new(endpoint(1)).or(endpoint(2)));
    raw.session.start(raw.now);
    raw
}

fn reference(to: &str) -> Properties {
    let properties = Properties::builder().server_reference(to);
    properties.build().expect("good properties")
}

/// CONNACK sends us away.
fn turned_away(raw: &mut Raw, reason: ReasonCode, properties: Properties) -> Connect {
    let connect = raw.open();
    raw.feed(&Packet::ConnAck(ConnAck {
        session_present: false,
        reason,
        properties,
    }));
    raw.hang_up();
    match connect {
        Packet::Connect(connect) => *connect,
        other => panic!("{other:?}"),
    }
}

/// DISCONNECT sends us away.
fn sent_away(raw: &mut Raw, reason: ReasonCode, to: &str) {
    raw.feed(&Packet::Disconnect(Disconnect {
        reason,
        properties: reference(to),
    }));
    raw.hang_up();
}

/// What was told of redirects.
fn told(raw: &Raw) -> Vec<Result<String, RedirectRefused>> {
    let told = raw.events.iter().filter_map(|event| match event {
        Event::Redirected { followed, .. } => Some(followed.clone().map(|to| to.to_string())),
        _ => None,
    });
    told.collect()
}

fn dialled(raw: &Raw) -> Vec<String> {
    raw.dials().iter().map(ToString::to_string).collect()
}

#[test]
fn by_default_nothing_is_followed_and_the_next_server_of_the_list_has_its_turn() {
    let mut raw = started(config(Version::V5));
    turned_away(&mut raw, FOR_GOOD, reference("192.0.2.9"));
    assert_eq!(dialled(&raw), ["192.0.2.1:1883", "192.0.2.2:1883"]);
    let [Err(refused)] = &told(&raw)[..] else {
        panic!("{:?}", told(&raw))
    };
    assert_eq!(
        refused.to_string(),
        "192.0.2.9:1883 is not among the hosts to which the configuration lets us be sent (redirects)"
    );
    let Some(Event::Redirected {
        from,
        reference,
        permanent: true,
        ..
    }) = raw.events.first()
    else {
        panic!("{:?}", raw.events)
    };
    assert_eq!(
        (from, reference.as_deref()),
        (&endpoint(1), Some("192.0.2.9"))
    );
}

#[test]
fn a_redirect_to_a_listed_host_is_followed_at_once_from_connack_and_from_disconnect() {
    for connected in [false, true] {
        let mut raw = started(allowing());
        if connected {
            raw.open();
            raw.accept(false, NONE);
            sent_away(&mut raw, FOR_NOW, "192.0.2.9:1884");
        } else {
            turned_away(&mut raw, FOR_NOW, reference("192.0.2.9:1884"));
        }
        assert_eq!(raw.now, mqtt_session::Instant::ZERO);
        assert_eq!(dialled(&raw), ["192.0.2.1:1883", "192.0.2.9:1884"]);
        assert_eq!(told(&raw), [Ok("192.0.2.9:1884".to_owned())]);
        let retry = raw.losses().pop().expect("a loss").1;
        assert_eq!(retry, Some(Duration::ZERO));
        raw.open();
        raw.accept(false, NONE);
        assert_eq!(raw.session.phase(), Phase::Connected);
        assert_eq!(raw.session.server().to_string(), "192.0.2.9:1884");
    }
}

#[test]
fn a_reference_is_a_host_with_or_without_port_or_a_url_and_may_name_several() {
    for (named, expected) in [
        ("192.0.2.9", Ok("192.0.2.9:1883")),
        ("192.0.2.9:8000", Ok("192.0.2.9:8000")),
        ("mqtt://192.0.2.9:8000", Ok("192.0.2.9:8000")),
        ("tcp://192.0.2.9", Ok("192.0.2.9:1883")),
        ("[2001:db8::9]:8000", Ok("[2001:db8::9]:8000")),
        (
            "elsewhere.example 192.0.2.8 192.0.2.9",
            Ok("192.0.2.8:1883"),
        ),
        (
            "http://192.0.2.9",
            Err("the server reference is none: the scheme \"http\""),
        ),
        (
            "192.0.2.9:0",
            Err("the server reference is none: \"0\" is no port"),
        ),
        (
            "user:pass@192.0.2.9",
            Err("the server reference is none: \"user:password@\""),
        ),
        (
            "elsewhere.example",
            Err("elsewhere.example:1883 is not among the hosts"),
        ),
        ("", Err("the server named no other")),
    ] {
        let hosts = ["192.0.2.8", "192.0.2.9", "2001:db8::9"];
        let mut raw = started(config(Version::V5).redirects(Redirects::to(hosts)));
        turned_away(&mut raw, FOR_NOW, reference(named));
        match (told(&raw).pop().expect("told"), expected) {
            (Ok(to), Ok(expected)) => assert_eq!(to, expected, "{named}"),
            (Err(refused), Err(text)) => {
                assert!(refused.to_string().starts_with(text), "{named}: {refused}");
            }
            (got, _) => panic!("{named}: {got:?}"),
        }
    }
    let mut raw = started(allowing());
    turned_away(&mut raw, FOR_NOW, NONE);
    assert_eq!(told(&raw), [Err(RedirectRefused::NoReference)]);
}

#[test]
fn hosts_are_listed_by_name_or_by_what_is_above_them() {
    let hosts = ["One.example", "*.two.example"];
    for (host, allowed) in [
        ("one.example", true),
        ("ONE.example.", true),
        ("a.one.example", false),
        ("a.two.example", true),
        ("a.b.TWO.example", true),
        ("two.example", false),
        (".two.example", false),
        ("nottwo.example", false),
        ("one.example.evil", false),
    ] {
        let mut raw = started(config(Version::V5).redirects(Redirects::to(hosts)));
        turned_away(&mut raw, FOR_NOW, reference(host));
        assert_eq!(told(&raw)[0].is_ok(), allowed, "{host}");
    }
}

#[test]
fn when_a_target_does_not_answer_the_others_named_and_then_the_list_have_their_turn() {
    let mut raw = started(allowing());
    turned_away(&mut raw, FOR_NOW, reference("192.0.2.8 192.0.2.9"));
    for _ in 0..3 {
        raw.closed(Cause::ConnectionRefused);
    }
    assert_eq!(
        dialled(&raw),
        [
            "192.0.2.1:1883",
            "192.0.2.8:1883",
            "192.0.2.9:1883",
            "192.0.2.2:1883"
        ]
    );
    assert_eq!(raw.session.phase(), Phase::Waiting);
}

#[test]
fn for_now_means_this_connection_and_for_good_means_the_session_s_life() {
    for (reason, again) in [(FOR_NOW, "192.0.2.1:1883"), (FOR_GOOD, "192.0.2.9:1883")] {
        let mut raw = started(allowing());
        turned_away(&mut raw, reason, reference("192.0.2.9"));
        raw.open();
        raw.accept(false, NONE);
        for _ in 0..2 {
            raw.closed(Cause::Eof);
            raw.wait_for_dial();
            assert_eq!(dialled(&raw), [again]);
            raw.open();
            raw.accept(false, NONE);
        }
    }
}

#[test]
fn a_server_that_moved_to_where_nobody_answers_stays_in_the_list() {
    let mut raw = started(allowing());
    turned_away(&mut raw, FOR_GOOD, reference("192.0.2.9"));
    for _ in 0..2 {
        raw.closed(Cause::ConnectionRefused);
    }
    raw.wait_for_dial();
    assert_eq!(dialled(&raw), ["192.0.2.1:1883"]);
}

#[test]
fn not_more_than_three_are_followed_in_a_row() {
    let mut raw = started(allowing());
    for number in 4..=7 {
        turned_away(&mut raw, FOR_NOW, reference(&format!("192.0.2.{number}")));
    }
    let Some(Err(refused)) = told(&raw).pop() else {
        panic!("{:?}", told(&raw))
    };
    assert_eq!(refused, RedirectRefused::TooMany { max: 3 });
    assert_eq!(
        dialled(&raw)[1..],
        [
            "192.0.2.4:1883",
            "192.0.2.5:1883",
            "192.0.2.6:1883",
            "192.0.2.2:1883"
        ]
    );
}

#[test]
fn servers_that_accept_and_send_each_other_their_clients_are_not_followed_for_ever() {
    let mut raw = started(allowing());
    let begin = raw.now;
    let mut connections = 0;
    while raw.now - begin < Duration::from_secs(600) {
        raw.open();
        raw.accept(false, NONE);
        connections += 1;
        let to = if connections % 2 == 0 {
            "192.0.2.1"
        } else {
            "192.0.2.9"
        };
        sent_away(&mut raw, FOR_NOW, to);
        if raw.session.phase() == Phase::Waiting {
            raw.wait_for_dial();
        }
    }
    assert!(connections < 60, "{connections}");
    // After connections that lasted, each is the first again.
    for to in [
        "192.0.2.9",
        "192.0.2.8",
        "192.0.2.7",
        "192.0.2.6",
        "192.0.2.5",
    ] {
        raw.open();
        raw.accept(false, NONE);
        raw.advance(Duration::from_secs(5));
        sent_away(&mut raw, FOR_NOW, to);
        assert!(told(&raw).pop().expect("told").is_ok());
    }
}

#[test]
fn a_target_is_another_group_unless_it_is_declared_to_share_sessions() {
    for shares in [false, true] {
        let redirects = Redirects::to(["192.0.2.9"]);
        let redirects = if shares {
            redirects.sharing_sessions()
        } else {
            redirects
        };
        let mut raw = started(config(Version::V5).redirects(redirects));
        raw.open();
        raw.accept(false, NONE);
        sent_away(&mut raw, FOR_NOW, "192.0.2.9");
        let Packet::Connect(connect) = raw.open() else {
            panic!("no CONNECT")
        };
        assert_eq!(connect.clean_start, !shares);
    }
}

#[test]
fn a_target_that_has_our_session_is_known_again() {
    // One of the list, and one that was followed to before.
    for to in ["192.0.2.2", "192.0.2.9"] {
        let mut raw = started(allowing());
        turned_away(&mut raw, FOR_NOW, reference(to));
        raw.open();
        raw.accept(false, NONE);
        raw.closed(Cause::Eof);
        raw.wait_for_dial();
        turned_away(&mut raw, FOR_NOW, reference(to));
        let Packet::Connect(connect) = raw.open() else {
            panic!("no CONNECT")
        };
        assert!(!connect.clean_start, "{to}");
    }
}

#[test]
fn credentials_are_asked_for_anew_with_the_target_named() {
    let mut raw = started(allowing().ask_for_credentials(true));
    for number in [1, 9] {
        raw.poll();
        let Some(Action::Credentials { attempt, server }) = raw.actions.last().cloned() else {
            panic!("{:?}", raw.actions)
        };
        assert_eq!(server, endpoint(number));
        let given = Credentials::new("user", vec![number]).expect("good");
        raw.session.handle_credentials(raw.now, attempt, Ok(given));
        let connect = turned_away(&mut raw, FOR_NOW, reference("192.0.2.9"));
        assert_eq!(connect.password.expect("one"), [number].as_slice());
    }
}

#[test]
fn who_wants_to_leave_is_not_sent_on() {
    let mut raw = started(allowing());
    raw.open();
    raw.accept(false, NONE);
    raw.publish(mqtt_session::proto::QoS::AtMostOnce, b"x");
    let now = raw.now;
    let drain = Duration::ZERO;
    raw.session
        .disconnect(now, Disconnect::default(), drain)
        .expect("a good DISCONNECT");
    raw.feed(&Packet::Disconnect(Disconnect {
        reason: FOR_NOW,
        properties: reference("192.0.2.9"),
    }));
    raw.hang_up();
    assert!(raw.session.is_closed());
    assert!(told(&raw).is_empty());
}

#[test]
fn who_leaves_while_one_server_hangs_up_is_not_dialled_to_the_next() {
    let mut raw = started(allowing());
    raw.open();
    raw.feed(&Packet::ConnAck(ConnAck {
        session_present: false,
        reason: FOR_NOW,
        properties: reference("192.0.2.9"),
    }));
    assert_eq!(raw.session.phase(), Phase::Closing);
    raw.session
        .disconnect(raw.now, Disconnect::default(), Duration::ZERO)
        .expect("a good DISCONNECT");
    raw.hang_up();
    assert!(raw.session.is_closed());
    assert_eq!(dialled(&raw), ["192.0.2.1:1883"]);
}
