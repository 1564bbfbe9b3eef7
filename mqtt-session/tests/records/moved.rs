//! What is known after a restart of the server to which a redirect had moved the session (section 4.11).

use super::*;

const ELSEWHERE: &str = "192.0.2.9:1884";

fn allowing() -> ConfigBuilder {
    ahead().redirects(Redirects::to(["192.0.2.9"]))
}

/// The server whose turn it is sends us away.
fn send_away(raw: &mut Raw, reason: ReasonCode) {
    raw.open();
    let reference = Properties::builder().server_reference(ELSEWHERE);
    raw.feed(&Packet::ConnAck(ConnAck {
        session_present: false,
        reason,
        properties: reference.build().expect("good properties"),
    }));
    raw.hang_up();
}

/// A process that stops once it has a session at the server to which it was sent, and the records that it leaves.
fn log_of_one_sent_away(servers: Servers, reason: ReasonCode) -> Vec<Record> {
    let mut raw = Raw::of(allowing(), servers);
    raw.session.start(raw.now);
    send_away(&mut raw, reason);
    raw.open();
    raw.accept(false, NONE);
    store(&mut raw)
}

/// One that goes on with these records, and begins to look for a server.
fn next_process(config: ConfigBuilder, servers: Servers, log: Vec<Record>) -> Raw {
    let built = config.clone().build().expect("a good configuration");
    let mut next = Raw::of(config, servers.clone());
    next.session = Session::restore(built, servers, 7, CLOCK, log).expect("good records");
    next.session.start(next.now);
    next
}

/// Where the next process looks for a server, while none answers.
fn dialled_next(config: ConfigBuilder, servers: Servers, log: Vec<Record>) -> Vec<String> {
    let mut raw = next_process(config, servers, log);
    let mut dialled = Vec::new();
    while dialled.len() < 4 {
        if raw.dials().is_empty() {
            raw.wait_for_dial();
        }
        dialled.extend(raw.dials().iter().map(ToString::to_string));
        raw.actions.clear();
        raw.closed(Cause::ConnectionRefused);
    }
    dialled
}

/// Section 3.1.2.11.2.
#[test]
fn a_session_that_the_server_does_not_keep_is_begun_anew_after_a_restart() {
    for (expiry, begins) in [(0, true), (1, false)] {
        let config = || ahead().session_expiry(Duration::from_secs(expiry));
        let (mut raw, mut log) = connected(config().clean_start(false));
        raw.publish(QoS::AtLeastOnce, b"x");
        log.extend(store(&mut raw));
        let mut next = restore(config().clean_start(false), log);
        next.session.connect(next.now);
        let Packet::Connect(connect) = next.open() else {
            panic!("no CONNECT");
        };
        assert_eq!(connect.clean_start, begins, "{expiry} s");
    }
}

fn endpoint(number: u8) -> Endpoint {
    Endpoint::new(format!("192.0.2.{number}"), 1883)
}

#[test]
fn a_server_that_has_moved_for_good_is_not_looked_for_where_it_was() {
    let one = || Servers::new(endpoint(1));
    let log = log_of_one_sent_away(one(), ReasonCode::SERVER_MOVED);
    assert_eq!(dialled_next(allowing(), one(), log), [ELSEWHERE; 4]);

    let two = || one().or(endpoint(2));
    let log = log_of_one_sent_away(two(), ReasonCode::SERVER_MOVED);
    let other = "192.0.2.2:1883";
    assert_eq!(
        dialled_next(allowing(), two(), log.clone()),
        [ELSEWHERE, other, ELSEWHERE, other]
    );
    // In another order the place is the same server's.
    let turned = Servers::new(endpoint(2)).or(endpoint(1));
    assert_eq!(
        dialled_next(allowing(), turned, log.clone()),
        [ELSEWHERE, other, ELSEWHERE, other]
    );
    // It is no longer in the list.
    assert_eq!(
        dialled_next(allowing(), Servers::new(endpoint(2)), log),
        [ELSEWHERE, other, ELSEWHERE, other]
    );
}

#[test]
fn a_server_that_stands_in_for_another_leaves_the_turn_to_it() {
    let one = || Servers::new(endpoint(1));
    let log = log_of_one_sent_away(one(), ReasonCode::USE_ANOTHER_SERVER);
    assert_eq!(
        dialled_next(allowing(), one(), log)[..2],
        [ELSEWHERE, "192.0.2.1:1883"]
    );
}

#[test]
fn a_server_that_first_stood_in_may_take_the_place_for_good_later() {
    let one = || Servers::new(endpoint(1));
    let mut raw = Raw::of(allowing(), one());
    raw.session.start(raw.now);
    send_away(&mut raw, ReasonCode::USE_ANOTHER_SERVER);
    raw.open();
    raw.accept(false, NONE);
    let token = raw.publish(QoS::AtLeastOnce, b"x");
    let mut log = store(&mut raw);
    raw.closed(Cause::Eof);
    raw.wait_for_dial();
    send_away(&mut raw, ReasonCode::SERVER_MOVED);
    raw.open();
    raw.accept(true, NONE);
    log.extend(store(&mut raw));
    assert_eq!(dialled_next(allowing(), one(), log.clone()), [ELSEWHERE; 4]);
    // The session is the same: what is in flight is sent again there.
    let mut next = resumed(allowing(), log);
    assert_eq!(next.lines(), ["PUBLISH 1 DUP"]);
    next.feed_ack(PacketType::PubAck, 1);
    assert_eq!(next.outcome(token), Some(ACKNOWLEDGED));
}

#[test]
fn a_moved_server_that_sends_us_to_itself_for_now_stays_moved() {
    let one = || Servers::new(endpoint(1));
    let mut raw = Raw::of(allowing(), one());
    raw.session.start(raw.now);
    send_away(&mut raw, ReasonCode::SERVER_MOVED);
    raw.open();
    raw.accept(false, NONE);
    let mut log = store(&mut raw);
    raw.closed(Cause::Eof);
    raw.wait_for_dial();
    send_away(&mut raw, ReasonCode::USE_ANOTHER_SERVER);
    raw.open();
    raw.accept(true, NONE);
    log.extend(store(&mut raw));
    assert_eq!(dialled_next(allowing(), one(), log), [ELSEWHERE; 4]);
}

/// It counts as a node of the cluster that the list has.
#[test]
fn a_moved_server_that_shares_sessions_is_of_the_same_group_after_a_restart() {
    // The group goes by the name that comes first: that of a server of the list, or of the one that was moved to.
    for network in ["192.0.2", "198.51.100"] {
        check_moved_server_that_shares_sessions(network);
    }
}

fn check_moved_server_that_shares_sessions(network: &str) {
    let endpoint = |number: u8| Endpoint::new(format!("{network}.{number}"), 1883);
    let servers = || Servers::new(endpoint(1)).or_sharing(endpoint(2));
    let mut raw = Raw::of(sharing(), servers());
    raw.session.start(raw.now);
    send_away(&mut raw, ReasonCode::SERVER_MOVED);
    raw.open();
    raw.accept(false, NONE);
    raw.publish(QoS::AtLeastOnce, b"x");
    let log = store(&mut raw);
    let mut next = next_process(sharing(), servers(), log);
    next.poll();
    let mut asked = Vec::new();
    for _ in 0..2 {
        let Packet::Connect(connect) = next.open() else {
            panic!("no CONNECT");
        };
        assert!(!connect.clean_start, "each of them has the session");
        asked.push(next.session.server().clone());
        // The other has its turn at once.
        next.closed(Cause::Eof);
    }
    assert_ne!(asked[0], asked[1]);
}

/// Section 4.11: the records name the server that has the session.
#[test]
fn a_session_that_was_moved_off_the_list_goes_on_where_it_is() {
    for reason in [ReasonCode::SERVER_MOVED, ReasonCode::USE_ANOTHER_SERVER] {
        let mut raw = Raw::new(allowing());
        raw.session.start(raw.now);
        send_away(&mut raw, reason);
        raw.open();
        raw.accept(false, NONE);
        let mut log = store(&mut raw);
        let token = raw.publish(QoS::AtLeastOnce, b"x");
        log.extend(store(&mut raw));
        assert_eq!(raw.lines(), ["PUBLISH 1"]);

        let mut next = restore(allowing(), log.clone());
        next.session.connect(next.now);
        next.poll();
        let there = std::net::SocketAddr::from(([192, 0, 2, 9], 1884));
        assert_eq!(next.dials(), [there]);
        let Packet::Connect(connect) = next.open() else {
            panic!("no CONNECT");
        };
        assert!(!connect.clean_start, "the session goes on");
        next.accept(true, NONE);
        assert_eq!(next.lines(), ["PUBLISH 1 DUP"]);
        next.feed_ack(PacketType::PubAck, 1);
        assert_eq!(next.outcome(token), Some(ACKNOWLEDGED));

        // Where we would not be sent there any more, it is not ours.
        for redirects in [Redirects::refuse(), Redirects::to(["192.0.2.8"])] {
            let error = try_restore(ahead().redirects(redirects), log.clone());
            let Err(RestoreError::Mismatch { field, .. }) = error else {
                panic!("{error:?}");
            };
            assert_eq!(field, "server group");
        }
    }
}

#[test]
fn a_moved_server_that_is_not_said_to_share_sessions_shares_none_after_a_restart() {
    let servers = || {
        let one = Servers::new(Endpoint::new("198.51.100.1", 1883));
        one.or_sharing(Endpoint::new("198.51.100.2", 1883))
    };
    let log = log_of_one_sent_away(servers(), ReasonCode::SERVER_MOVED);
    let mut next = next_process(allowing(), servers(), log);
    for clean_start in [false, true] {
        if next.dials().is_empty() {
            next.wait_for_dial();
        }
        let Packet::Connect(connect) = next.open() else {
            panic!("no CONNECT");
        };
        assert_eq!(connect.clean_start, clean_start);
        next.actions.clear();
        next.closed(Cause::Eof);
    }
}

fn sharing() -> ConfigBuilder {
    ahead().redirects(Redirects::to(["192.0.2.9"]).sharing_sessions())
}

#[test]
fn servers_that_share_sessions_are_all_tried_after_one_of_them_has_moved() {
    let servers = || Servers::new(endpoint(1)).or_sharing(endpoint(2));
    let mut raw = Raw::of(sharing(), servers());
    raw.session.start(raw.now);
    raw.poll();
    raw.closed(Cause::ConnectionRefused);
    // The second of them has moved.
    send_away(&mut raw, ReasonCode::SERVER_MOVED);
    raw.open();
    raw.accept(false, NONE);
    let log = store(&mut raw);
    let dialled = dialled_next(sharing(), servers(), log);
    assert_eq!(dialled, [ELSEWHERE, "192.0.2.1:1883"].repeat(2));
}

/// Such a session is not begun anew: what is in flight at one of the servers goes on at each.
#[test]
fn a_server_that_moved_shares_the_session_after_a_restart_whichever_was_connected_to() {
    // The server that was moved to comes before those of the list by its text, and behind them.
    for network in ["198.51.100", "192.0.2"] {
        for back_at_the_first in [false, true] {
            check_one_of_three_that_moved(network, back_at_the_first);
        }
    }
}

fn check_one_of_three_that_moved(network: &str, back_at_the_first: bool) {
    let endpoint = |number: u8| Endpoint::new(format!("{network}.{number}"), 1883);
    let servers = || {
        let cluster = Servers::new(endpoint(1)).or_sharing(endpoint(2));
        cluster.or(endpoint(3))
    };
    let mut raw = Raw::of(sharing(), servers());
    raw.session.start(raw.now);
    raw.open();
    raw.accept(false, NONE);
    raw.closed(Cause::Eof);
    raw.wait_for_dial();
    raw.closed(Cause::ConnectionRefused);
    send_away(&mut raw, ReasonCode::SERVER_MOVED);
    raw.open();
    raw.accept(true, NONE);
    if back_at_the_first {
        raw.closed(Cause::Eof);
        raw.wait_for_dial();
        while raw.session.server() != &endpoint(1) {
            raw.closed(Cause::ConnectionRefused);
            raw.poll();
        }
        raw.open();
        raw.accept(true, NONE);
    }
    let log = store(&mut raw);
    let mut next = next_process(sharing(), servers(), log);
    next.poll();
    let mut asked = Vec::new();
    for _ in 0..3 {
        let Packet::Connect(connect) = next.open() else {
            panic!("no CONNECT");
        };
        asked.push((next.session.server().to_string(), connect.clean_start));
        next.closed(Cause::Eof);
    }
    asked.sort();
    let mut expected = [
        (ELSEWHERE.to_owned(), false),
        (endpoint(1).to_string(), false),
        (endpoint(3).to_string(), true),
    ];
    expected.sort();
    assert_eq!(asked, expected, "{back_at_the_first}");
}

/// A process whose session is moved for good while it lasts, and the records that it leaves.
fn log_of_one_moved_meanwhile() -> Vec<Record> {
    let mut raw = Raw::of(sharing(), Servers::new(endpoint(1)).or(endpoint(2)));
    raw.session.start(raw.now);
    raw.open();
    raw.accept(false, NONE);
    raw.closed(Cause::Eof);
    raw.wait_for_dial();
    send_away(&mut raw, ReasonCode::SERVER_MOVED);
    raw.open();
    raw.accept(true, NONE);
    store(&mut raw)
}

#[test]
fn a_server_that_took_the_session_along_is_not_looked_for_where_it_was() {
    let servers = Servers::new(endpoint(1)).or(endpoint(2));
    let dialled = dialled_next(sharing(), servers, log_of_one_moved_meanwhile());
    assert_eq!(dialled, [ELSEWHERE, "192.0.2.2:1883"].repeat(2));
}

#[test]
fn the_list_may_name_a_moved_server_where_it_is_now() {
    let servers = || Servers::new(Endpoint::new("192.0.2.9", 1884)).or(endpoint(2));
    // Whether or not we may still be sent there.
    for config in [sharing, ahead] {
        let mut log = log_of_one_moved_meanwhile();
        for _ in 0..2 {
            let mut next = next_process(config(), servers(), log.clone());
            let Packet::Connect(connect) = next.open() else {
                panic!("no CONNECT");
            };
            assert_eq!(next.session.server().to_string(), ELSEWHERE);
            assert!(!connect.clean_start);
            next.accept(true, NONE);
            log.extend(store(&mut next));
        }
    }
}

/// [MQTT-4.3.3-10]: an identifier of ours could meet an old one there.
#[test]
fn no_server_of_the_list_is_taken_for_the_one_that_the_session_was_moved_to() {
    let servers = || Servers::new(endpoint(1)).or(endpoint(2)).or(endpoint(3));
    let log = log_of_one_sent_away(servers(), ReasonCode::USE_ANOTHER_SERVER);
    let mut next = next_process(allowing(), servers(), log);
    let mut asked = Vec::new();
    for _ in 0..4 {
        if next.dials().is_empty() {
            next.wait_for_dial();
        }
        let Packet::Connect(connect) = next.open() else {
            panic!("no CONNECT");
        };
        next.actions.clear();
        let server = next.session.server().to_string();
        assert_eq!(next.session.server_group().to_string(), server);
        asked.push((server, connect.clean_start));
        next.closed(Cause::Eof);
    }
    let listed = (1..=3).map(|number| (endpoint(number).to_string(), true));
    let mut expected = vec![(ELSEWHERE.to_owned(), false)];
    expected.extend(listed);
    assert_eq!(asked, expected);
}

/// The server whose turn it is sends us there.
fn send_to(raw: &mut Raw, reason: ReasonCode, server: &Endpoint) {
    raw.open();
    let reference = Properties::builder().server_reference(&server.to_string());
    raw.feed(&Packet::ConnAck(ConnAck {
        session_present: false,
        reason,
        properties: reference.build().expect("good properties"),
    }));
    raw.hang_up();
}

/// Which servers the next process asks, none of which accepts, and whether for a clean start.
fn asked_next(config: ConfigBuilder, servers: Servers, log: Vec<Record>) -> Vec<(u8, bool)> {
    let mut next = next_process(config, servers.clone(), log);
    let turns = servers.endpoints().map(|_| {
        let Packet::Connect(connect) = next.open() else {
            panic!("no CONNECT");
        };
        let server = next.session.server().host().rsplit('.').next();
        let number = server.and_then(|number| number.parse().ok());
        next.closed(Cause::Eof);
        (number.expect("an address"), connect.clean_start)
    });
    turns.collect()
}

/// [MQTT-4.3.3-10]: what is in flight there could meet what another server keeps.
#[test]
fn a_session_that_a_server_had_before_is_not_looked_for_at_others_after_a_restart() {
    let config = || ahead().clean_start(false);
    let servers = || Servers::new(endpoint(1)).or(endpoint(2));
    let mut raw = Raw::of(config(), servers());
    raw.session.start(raw.now);
    raw.poll();
    raw.closed(Cause::ConnectionRefused);
    raw.open();
    raw.accept(true, NONE);
    let token = raw.publish(QoS::ExactlyOnce, b"x");
    let mut log = store(&mut raw);
    log.extend(store(&mut raw));
    let sent = raw.lines();
    assert_eq!(sent.len(), 1, "{sent:?}");
    let asked = asked_next(config(), servers(), log.clone());
    assert_eq!(asked, [(2, false), (1, true)]);

    let mut next = Raw::of(config(), servers());
    let built = config().build().expect("a good configuration");
    next.session = Session::restore(built, servers(), 7, CLOCK, log).expect("good records");
    next.session.start(next.now);
    next.open();
    next.accept(true, NONE);
    assert_eq!(next.lines(), [format!("{} DUP", sent[0])]);
    assert_eq!(next.outcome(token), None);
}

#[test]
fn a_session_that_was_begun_elsewhere_is_not_resumed_where_it_was_though_the_log_ends_there() {
    let config = || ahead().clean_start(false);
    let servers = || Servers::new(endpoint(1)).or(endpoint(2));
    let mut raw = Raw::of(config(), servers());
    raw.session.start(raw.now);
    raw.open();
    raw.accept(false, NONE);
    raw.publish(QoS::ExactlyOnce, b"x");
    let mut log = store(&mut raw);
    log.extend(store(&mut raw));
    raw.closed(Cause::Eof);
    raw.wait_for_dial();
    raw.closed(Cause::ConnectionRefused);
    raw.open();
    raw.accept(false, NONE);
    let records = store(&mut raw);
    assert!(
        matches!(
            &records[..],
            [Record::Identity(_), Record::SessionBegan, ..]
        ),
        "{records:?}"
    );
    for len in 1..=records.len() {
        log.push(records[len - 1].clone());
        let asked = asked_next(config(), servers(), log.clone());
        assert_eq!(asked, [(2, false), (1, true)], "{len}");
    }
}

/// A group that a redirect has made is that of one server.
#[test]
fn servers_to_which_different_ones_send_us_are_not_taken_to_share_a_session() {
    let config = || ahead().redirects(Redirects::to(["192.0.2.1", "192.0.2.8", "192.0.2.9"]));
    let mut raw = Raw::of(config(), Servers::new(endpoint(1)).or(endpoint(2)));
    raw.session.start(raw.now);
    send_to(&mut raw, ReasonCode::USE_ANOTHER_SERVER, &endpoint(9));
    raw.open();
    raw.accept(false, NONE);
    raw.closed(Cause::Eof);
    raw.wait_for_dial();
    raw.closed(Cause::ConnectionRefused);
    send_to(&mut raw, ReasonCode::SERVER_MOVED, &endpoint(1));
    raw.open();
    raw.accept(false, NONE);
    raw.closed(Cause::Eof);
    raw.wait_for_dial();
    send_to(&mut raw, ReasonCode::USE_ANOTHER_SERVER, &endpoint(9));
    raw.open();
    raw.accept(false, NONE);
    raw.closed(Cause::Eof);
    raw.wait_for_dial();
    send_to(&mut raw, ReasonCode::USE_ANOTHER_SERVER, &endpoint(8));
    let Packet::Connect(connect) = raw.open() else {
        panic!("no CONNECT");
    };
    assert_eq!(raw.session.server(), &endpoint(8));
    assert!(connect.clean_start, "the session is at another server");
}

/// Of servers that share sessions the third, which shares none, has moved to the second, and that to another one, which comes before all by its text.
#[test]
fn a_server_that_moved_into_a_group_does_not_give_it_its_name() {
    let config = || ahead().redirects(Redirects::to(["192.0.2.5", "192.0.2.2"]).sharing_sessions());
    let servers = || {
        let cluster = Servers::new(endpoint(5)).or_sharing(endpoint(6));
        cluster.or(endpoint(7))
    };
    let mut raw = Raw::of(config(), servers());
    raw.session.start(raw.now);
    for _ in 0..2 {
        raw.poll();
        raw.closed(Cause::ConnectionRefused);
    }
    send_to(&mut raw, ReasonCode::SERVER_MOVED, &endpoint(5));
    send_to(&mut raw, ReasonCode::SERVER_MOVED, &endpoint(2));
    raw.open();
    raw.accept(false, NONE);
    let log = store(&mut raw);
    let asked = asked_next(config(), servers(), log);
    assert_eq!(asked, [(2, false), (5, false), (6, false)]);
}

#[test]
fn a_server_that_moved_to_one_which_has_left_the_list_does_not_take_the_session_along() {
    let config = || ahead().redirects(Redirects::to(["192.0.2.2"]));
    let cluster = Servers::new(endpoint(1)).or_sharing(endpoint(2));
    let mut raw = Raw::of(config(), cluster.or(endpoint(3)));
    raw.session.start(raw.now);
    for _ in 0..2 {
        raw.poll();
        raw.closed(Cause::ConnectionRefused);
    }
    send_to(&mut raw, ReasonCode::SERVER_MOVED, &endpoint(2));
    raw.open();
    raw.accept(false, NONE);
    let log = store(&mut raw);
    let asked = asked_next(config(), Servers::new(endpoint(1)).or(endpoint(3)), log);
    assert_eq!(asked, [(1, false), (3, true)]);
}

#[test]
fn a_server_that_is_not_in_the_list_and_has_moved_is_not_looked_for_where_it_was() {
    let one = || Servers::new(endpoint(1));
    let mut log = log_of_one_sent_away(one(), ReasonCode::USE_ANOTHER_SERVER);
    let mut next = resumed_at_target(log.clone());
    next.closed(Cause::Eof);
    next.wait_for_dial();
    let further = Endpoint::new("192.0.2.9", 1885);
    send_to(&mut next, ReasonCode::SERVER_MOVED, &further);
    next.open();
    next.accept(true, NONE);
    log.extend(store(&mut next));
    let dialled = dialled_next(sharing(), one(), log);
    assert_eq!(dialled[0], further.to_string());
}

/// The session goes on where an earlier process was sent.
fn resumed_at_target(log: Vec<Record>) -> Raw {
    let servers = Servers::new(endpoint(1));
    let mut raw = next_process(sharing(), servers, log);
    raw.open();
    raw.accept(true, NONE);
    raw
}
