//! Whose session it is: the group of servers and the client identifier that it belongs to.

mod pair;

use std::time::Duration;

use mqtt_session::proto::{
    Connect, Packet, PacketType, Properties, Publish, QoS, ReasonCode, Version,
};
use mqtt_session::{
    Cause, ConfigBuilder, ConnectionError, Endpoint, Event, Outcome, Phase, QueueId, Servers,
    SessionLost, Stale,
};
use pair::raw::{Raw, exactly_once};
use pair::{VERSIONS, config};

const NONE: Properties = Properties::new();

fn endpoint(number: u8) -> Endpoint {
    Endpoint::new(format!("192.0.2.{number}"), 1883)
}

fn apart() -> Servers {
    Servers::new(endpoint(1)).or(endpoint(2))
}

fn sharing() -> Servers {
    Servers::new(endpoint(1)).or_sharing(endpoint(2))
}

/// Sessions that outlive their connection.
fn lasting(version: Version) -> ConfigBuilder {
    config(version).clean_start(false)
}

fn connect_packet(raw: &mut Raw) -> Connect {
    match raw.open() {
        Packet::Connect(connect) => *connect,
        other => panic!("{other:?}"),
    }
}

/// Connected with the first server.
fn at_the_first(config: ConfigBuilder, servers: Servers) -> Raw {
    let mut raw = Raw::of(config, servers);
    raw.session.start(raw.now);
    raw.open();
    raw.accept(false, NONE);
    raw
}

/// The first one is gone: the second one is dialled.
fn to_the_second(raw: &mut Raw) {
    raw.closed(Cause::Eof);
    raw.wait_for_dial();
    raw.closed(Cause::ConnectionRefused);
    assert_eq!(*raw.session.server(), endpoint(2));
}

fn assigned(id: &str) -> Properties {
    let properties = Properties::builder().assigned_client_identifier(id);
    properties.build().expect("good properties")
}

#[test]
fn a_server_that_the_list_has_twice_keeps_the_session_in_both_places() {
    let twice = [
        apart().or(endpoint(1)).or(endpoint(3)),
        apart().or(endpoint(3)).or_sharing(endpoint(1)),
    ];
    for (servers, third) in twice.into_iter().zip([true, false]) {
        let mut raw = at_the_first(lasting(Version::V5), servers);
        raw.closed(Cause::Eof);
        raw.wait_for_dial();
        let mut asked = Vec::new();
        for _ in 0..4 {
            let clean_start = connect_packet(&mut raw).clean_start;
            asked.push((raw.session.server().clone(), clean_start));
            raw.closed(Cause::Eof);
        }
        asked.sort_by_key(|(server, _)| server.to_string());
        let expected = [(1, false), (1, false), (2, true), (3, third)];
        assert_eq!(
            asked,
            expected.map(|(number, clean)| (endpoint(number), clean))
        );
    }
}

/// One user's sessions may be none of another's, as where each has a host of its own there.
#[test]
fn a_server_that_the_list_has_for_two_users_is_a_group_for_each() {
    let [one, other] = ["mqtt://a:x@192.0.2.1", "mqtt://b:x@192.0.2.1"]
        .map(|url| Endpoint::parse(url).expect("a good URL"));
    let mut raw = at_the_first(lasting(Version::V5), Servers::new(one).or(other));
    raw.closed(Cause::Eof);
    raw.wait_for_dial();
    assert!(!connect_packet(&mut raw).clean_start);
    raw.closed(Cause::Eof);
    assert!(connect_packet(&mut raw).clean_start);
}

#[test]
fn another_group_is_asked_for_a_clean_start_and_gets_what_was_in_flight_anew() {
    let mut raw = at_the_first(lasting(Version::V5), apart());
    let token = raw.publish(QoS::AtLeastOnce, b"1");
    let second = raw.publish(QoS::ExactlyOnce, b"2");
    raw.packets();
    to_the_second(&mut raw);
    assert!(connect_packet(&mut raw).clean_start);
    raw.accept(false, NONE);
    let sent: Vec<(u16, bool)> = raw
        .packets()
        .iter()
        .filter_map(|packet| match packet {
            Packet::Publish(publish) => Some((publish.packet_id()?.get(), publish.dup())),
            _ => None,
        })
        .collect();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|(_, dup)| !dup));
    raw.feed_ack(PacketType::PubAck, sent[0].0);
    assert!(matches!(
        raw.outcome(token),
        Some(Outcome::Acknowledged {
            republished: true,
            ..
        })
    ));
    assert_eq!(raw.outcome(second), None);
}

#[test]
fn messages_in_flight_end_as_session_lost_at_another_group_where_that_is_configured() {
    let config = lasting(Version::V5).session_lost(SessionLost::Fail);
    let mut raw = at_the_first(config, apart());
    let token = raw.publish(QoS::AtLeastOnce, b"1");
    raw.packets();
    to_the_second(&mut raw);
    raw.open();
    raw.accept(false, NONE);
    assert_eq!(raw.outcome(token), Some(Outcome::SessionLost));
}

#[test]
fn a_server_that_shares_sessions_is_asked_to_go_on() {
    for version in VERSIONS {
        let mut raw = at_the_first(lasting(version), sharing());
        let token = raw.publish(QoS::AtLeastOnce, b"1");
        let before = raw.lines();
        to_the_second(&mut raw);
        assert!(!connect_packet(&mut raw).clean_start, "{version}");
        raw.accept(true, NONE);
        assert_eq!(raw.lines(), [format!("{} DUP", before[0])]);
        let id = before[0]["PUBLISH ".len()..].parse().expect("a number");
        raw.feed_ack(PacketType::PubAck, id);
        assert_eq!(raw.outcome(token), Some(pair::ACKNOWLEDGED));
    }
}

#[test]
fn a_group_is_named_by_its_first_server() {
    for (servers, expected) in [(apart(), endpoint(2)), (sharing(), endpoint(1))] {
        let mut raw = at_the_first(lasting(Version::V5), servers);
        assert_eq!(*raw.session.server_group(), endpoint(1));
        to_the_second(&mut raw);
        assert_eq!(*raw.session.server_group(), expected);
    }
}

#[test]
fn coming_back_to_the_first_group_before_another_accepted_goes_on_there() {
    let mut raw = at_the_first(lasting(Version::V5), apart());
    to_the_second(&mut raw);
    raw.closed(Cause::ConnectionRefused);
    raw.wait_for_dial();
    assert_eq!(*raw.session.server(), endpoint(1));
    assert!(!connect_packet(&mut raw).clean_start);
}

#[test]
fn identifiers_and_tickets_of_the_old_group_mean_nothing_at_the_new_one() {
    let mut raw = at_the_first(lasting(Version::V5), apart());
    // One is recorded as received, and waits for PUBREL; the other is in the application's hands.
    raw.feed_publish("a", exactly_once(7), b"old");
    assert_eq!(raw.take_and_ack(), b"old");
    raw.feed_publish("a", exactly_once(8), b"held");
    let held = raw.take(QueueId::DEFAULT);
    to_the_second(&mut raw);
    raw.open();
    raw.accept(false, NONE);
    raw.packets();
    assert_eq!(raw.session.ack(raw.now, held.ticket), Err(Stale));
    // The same identifier, for another message: it is none that came before.
    raw.feed_publish("a", exactly_once(7), b"new");
    assert_eq!(raw.take_and_ack(), b"new");
    assert_eq!(raw.lines(), ["PUBREC 7"]);
}

#[test]
fn subscriptions_are_asked_for_anew_at_another_group() {
    let mut raw = at_the_first(lasting(Version::V5), apart());
    raw.subscribe("a/#", QueueId::DEFAULT);
    let Some(Packet::Subscribe(subscribe)) = raw.packets().pop() else {
        panic!("no SUBSCRIBE")
    };
    raw.feed(&Packet::SubAck(mqtt_session::proto::SubAck {
        id: subscribe.id,
        codes: vec![ReasonCode::GRANTED_QOS_2],
        properties: NONE,
    }));
    to_the_second(&mut raw);
    raw.open();
    raw.accept(false, NONE);
    assert_eq!(raw.packets().len(), 1);
    let wire = String::from_utf8_lossy(&raw.wire).into_owned();
    assert_eq!(wire.matches("a/#").count(), 2);
}

#[test]
fn a_session_present_at_another_group_breaks_the_protocol() {
    let mut raw = at_the_first(lasting(Version::V5), apart());
    to_the_second(&mut raw);
    raw.open();
    raw.accept(true, NONE);
    assert!(matches!(raw.last_loss(), ConnectionError::Protocol { .. }));
}

#[test]
fn in_3_x_a_lasting_session_at_another_group_is_cleared_first_and_then_begun() {
    for version in [Version::V3_1, Version::V3_1_1] {
        let mut raw = at_the_first(lasting(version), apart());
        let token = raw.publish(QoS::AtLeastOnce, b"1");
        raw.packets();
        to_the_second(&mut raw);
        raw.actions.clear();
        assert!(connect_packet(&mut raw).clean_start, "{version}");
        raw.accept(false, NONE);
        // Nothing is told of this connection, and nothing else is sent over it.
        assert_eq!(raw.lines(), ["DISCONNECT 0x00"]);
        assert_eq!(raw.session.stats().connections, 1);
        assert!(raw.hang_up());
        assert_eq!(*raw.session.server(), endpoint(2));
        assert!(!connect_packet(&mut raw).clean_start);
        raw.accept(false, NONE);
        let lines = raw.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(!lines[0].ends_with("DUP"), "{version} {lines:?}");
        let id = lines[0]["PUBLISH ".len()..].parse().expect("a number");
        raw.feed_ack(PacketType::PubAck, id);
        assert!(matches!(
            raw.outcome(token),
            Some(Outcome::Acknowledged {
                republished: true,
                ..
            })
        ));
        // Later connections go on with it.
        raw.closed(Cause::Eof);
        raw.wait_for_dial();
        assert!(!connect_packet(&mut raw).clean_start);
    }
}

#[test]
fn in_3_x_a_clean_session_at_another_group_needs_no_clearing() {
    let mut raw = at_the_first(config(Version::V3_1_1), apart());
    to_the_second(&mut raw);
    assert!(connect_packet(&mut raw).clean_start);
    raw.accept(false, NONE);
    assert_eq!(raw.session.phase(), Phase::Connected);
}

#[test]
fn an_assigned_client_identifier_is_kept_for_its_group_and_dropped_at_another() {
    // [MQTT-3.1.3-7]
    let empty = || mqtt_session::Config::builder("");
    for servers in [sharing(), apart()] {
        let shared = servers == sharing();
        let mut raw = Raw::of(empty(), servers);
        raw.session.start(raw.now);
        assert!(connect_packet(&mut raw).client_id.is_empty());
        raw.accept(false, assigned("from-1"));
        assert_eq!(raw.session.client_identifier(), "from-1");
        to_the_second(&mut raw);
        let connect = connect_packet(&mut raw);
        assert_eq!(
            connect.client_id.as_str(),
            if shared { "from-1" } else { "" }
        );
        assert_eq!(connect.clean_start, !shared);
        if !shared {
            raw.accept(false, assigned("from-2"));
            assert_eq!(raw.session.client_identifier(), "from-2");
        }
    }
}

#[test]
fn a_session_that_the_server_does_not_keep_is_begun_anew() {
    // What CONNACK says of Session Expiry counts, whatever was asked for.
    for (asked, said, begins) in [(60, Some(0), true), (60, None, false), (0, Some(60), false)] {
        let config = config(Version::V5).session_expiry(Duration::from_secs(asked));
        let mut raw = Raw::new(config);
        raw.session.start(raw.now);
        raw.open();
        let mut properties = Properties::builder();
        if let Some(seconds) = said {
            properties = properties.session_expiry_interval(seconds);
        }
        raw.accept(false, properties.build().expect("good properties"));
        raw.closed(Cause::Eof);
        raw.wait_for_dial();
        assert_eq!(
            connect_packet(&mut raw).clean_start,
            begins,
            "{asked} {said:?}"
        );
    }
}

#[test]
fn a_process_that_begins_anew_goes_on_with_the_session_that_the_server_kept() {
    for version in [Version::V3_1_1, Version::V5] {
        let mut raw = Raw::new(lasting(version));
        raw.session.start(raw.now);
        raw.open();
        raw.accept(true, NONE);
        assert_eq!(raw.session.phase(), Phase::Connected, "{version}");
    }
}

#[test]
fn a_session_of_which_nothing_is_known_here_is_refused_where_local_state_is_required() {
    // [MQTT-3.2.2-4]
    for version in [Version::V3_1_1, Version::V5] {
        let config = || lasting(version).require_local_state(true);
        let mut raw = Raw::new(config());
        raw.session.start(raw.now);
        raw.open();
        raw.accept(true, NONE);
        let error = raw.last_loss();
        assert!(
            matches!(error, ConnectionError::NoLocalState { .. }),
            "{error}"
        );
        let said = raw.lines();
        assert_eq!(said.is_empty(), !version.is_v5(), "{said:?}");
        raw.hang_up();
        assert!(raw.session.is_closed());

        // One that is known is taken.
        let mut raw = Raw::new(config());
        raw.session.start(raw.now);
        raw.open();
        raw.accept(false, NONE);
        raw.reconnect(true, NONE);
        assert_eq!(raw.session.phase(), Phase::Connected);
    }
}

#[test]
fn a_message_that_waits_is_sent_to_whichever_server_is_there() {
    let mut raw = at_the_first(lasting(Version::V5), apart());
    raw.closed(Cause::Eof);
    let publish = Publish::new("a".try_into().expect("a topic"), "x");
    let token = raw.offer(QoS::AtMostOnce, publish).expect("accepted");
    raw.wait_for_dial();
    raw.closed(Cause::ConnectionRefused);
    raw.open();
    raw.accept(false, NONE);
    assert_eq!(raw.outcome(token), Some(Outcome::Written));
    let connected = raw.events.iter();
    let connected = connected.filter(|event| matches!(event, Event::Connected { .. }));
    assert_eq!(connected.count(), 2);
}
