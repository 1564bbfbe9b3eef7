//! Where an answer was lost with its connection, the server may have done what was asked, and may have begun a session that we never
//! heard of.

mod pair;

use std::time::Duration;

use mqtt_session::proto::{PacketType, QoS, Version};
use pair::{Network, Pair};

fn filters(pair: &Pair) -> Vec<String> {
    let session = pair.broker.session("client").expect("a session");
    let filters = session.subscriptions.iter();
    filters.map(|(filter, _)| filter.to_string()).collect()
}

#[test]
fn a_subscribe_that_is_withdrawn_offline_after_it_was_sent_is_undone_at_the_server() {
    for version in pair::VERSIONS {
        let mut pair = Pair::connected(pair::config(version).clean_start(false));
        pair.subscribe("kept", QoS::AtLeastOnce);
        pair.run();
        pair.broker.hold(PacketType::SubAck);
        let token = pair.subscribe("withdrawn", QoS::AtLeastOnce);
        pair.run();
        assert_eq!(filters(&pair), ["kept", "withdrawn"]);
        pair.network = Network::Refuses;
        pair.cut();
        let now = pair.now();
        pair.session.withdraw(now, token);
        pair.network = Network::Up;
        pair.broker.release(pair.clock.now(), PacketType::SubAck);
        pair.run_for(Duration::from_secs(10));
        assert_eq!(filters(&pair), ["kept"], "{version}");
        pair.check();
    }
}

#[test]
fn what_the_application_wants_is_asked_for_again_when_a_connack_was_lost() {
    for version in [Version::V3_1_1, Version::V5] {
        let mut pair = Pair::connected(pair::config(version).clean_start(false));
        pair.subscribe("wanted", QoS::AtLeastOnce);
        pair.run();
        // The server loses its state, and the CONNACK that says so never arrives.
        pair.broker.hold(PacketType::ConnAck);
        pair.broker.restart(pair.clock.now(), false);
        pair.cut();
        pair.run_for(Duration::from_secs(5));
        pair.cut();
        pair.broker.release(pair.clock.now(), PacketType::ConnAck);
        // The next one says that a session is present: the one that was begun then.
        pair.run_for(Duration::from_secs(10));
        assert_eq!(filters(&pair), ["wanted"], "{version}");
        let now = pair.clock.now();
        let message = pair::message("wanted", b"here");
        pair.broker.publish(now, &message, QoS::AtLeastOnce);
        pair.run();
        assert_eq!(pair.take_all(), [b"here"], "{version}");
        pair.check();
    }
}

#[test]
fn what_comes_without_dup_behind_a_lost_connack_is_a_new_message() {
    let mut pair = Pair::connected(pair::config(Version::V5).clean_start(false));
    pair.subscribe("down", QoS::ExactlyOnce);
    pair.run();
    let send = |pair: &mut Pair, text: &[u8]| {
        let now = pair.clock.now();
        let message = pair::message("down", text);
        pair.broker.publish(now, &message, QoS::ExactlyOnce);
    };
    // PUBREC is sent, and PUBREL never comes.
    pair.broker.hold(PacketType::PubRel);
    send(&mut pair, b"first");
    pair.run();
    assert_eq!(pair.take_all(), [b"first"]);
    pair.broker.hold(PacketType::ConnAck);
    pair.broker.restart(pair.clock.now(), false);
    pair.cut();
    pair.run_for(Duration::from_secs(5));
    pair.cut();
    let now = pair.clock.now();
    pair.broker.release(now, PacketType::ConnAck);
    pair.broker.release(now, PacketType::PubRel);
    pair.run_for(Duration::from_secs(10));
    // In the session that was begun then, the identifier is another message's.
    send(&mut pair, b"anew");
    pair.run();
    assert_eq!(pair.take_all(), [b"anew"]);
    pair.check();
}
