//! What the last packet may say, and what the server makes of it: session expiry and the will.

mod pair;

use std::time::Duration;

use mqtt_session::proto::{
    Disconnect, EncodeError, Packet, Properties, QoS, ReasonCode, Version, Will,
};
use mqtt_session::{ConfigBuilder, DisconnectError, Phase};
use pair::raw::Raw;
use pair::{Pair, VERSIONS, config};

const NONE: Properties = Properties::new();

fn lasting(seconds: u32) -> Disconnect {
    let properties = Properties::builder().session_expiry_interval(seconds);
    Disconnect {
        reason: ReasonCode::SUCCESS,
        properties: properties.build().expect("good properties"),
    }
}

fn with_delayed_will(delay: u32) -> ConfigBuilder {
    let properties = Properties::builder()
        .will_delay_interval(delay)
        .content_type("text/plain")
        .user_property("key", "value");
    config(Version::V5).will(Will {
        topic: "will".try_into().expect("a topic"),
        payload: "gone".into(),
        qos: QoS::AtLeastOnce,
        retain: true,
        properties: properties.build().expect("good properties"),
    })
}

#[test]
fn disconnect_can_change_how_long_the_session_lasts() {
    for (asked, said, still_there) in [(3600, 0, false), (10, 3600, true), (3600, 20, false)] {
        let config = config(Version::V5).session_expiry(Duration::from_secs(asked));
        let mut pair = Pair::connected(config);
        let now = pair.now();
        pair.session
            .disconnect(now, lasting(said), Duration::ZERO)
            .expect("allowed");
        pair.run();
        pair.run_for(Duration::from_secs(30));
        assert_eq!(
            pair.broker.session("client").is_some(),
            still_there,
            "{asked} {said}\n{}",
            pair.broker.ladder()
        );
        pair.check();
    }
}

#[test]
fn a_session_that_ends_with_its_connection_can_not_be_made_to_last() {
    let config = config(Version::V5).session_expiry(Duration::ZERO);
    let mut raw = Raw::connected(config);
    let error = raw
        .session
        .disconnect(raw.now, lasting(1), Duration::ZERO)
        .expect_err("a protocol error");
    assert_eq!(error, DisconnectError::SessionExpiry);
    assert_eq!(raw.session.phase(), Phase::Connected, "nothing changes");
    raw.session
        .disconnect(raw.now, lasting(0), Duration::ZERO)
        .expect("the same as before");
    assert_eq!(raw.lines(), ["DISCONNECT 0x00"]);
}

#[test]
fn what_the_version_has_not_is_refused_at_the_call() {
    for version in [Version::V3_1, Version::V3_1_1] {
        let mut raw = Raw::connected(config(version));
        for bad in [lasting(1), Disconnect::new(ReasonCode::UNSPECIFIED_ERROR)] {
            let refused = raw.session.disconnect(raw.now, bad, Duration::ZERO);
            assert!(matches!(refused, Err(DisconnectError::Encode(_))));
        }
        assert_eq!(raw.session.phase(), Phase::Connected);
    }
    // A reason of 5.0 that only a server may give.
    let mut raw = Raw::connected(config(Version::V5));
    let bad = Disconnect::new(ReasonCode::SERVER_BUSY);
    let refused = raw.session.disconnect(raw.now, bad, Duration::ZERO);
    assert!(
        matches!(
            refused,
            Err(DisconnectError::Encode(
                EncodeError::ReasonNotAllowed { .. }
            ))
        ),
        "{refused:?}"
    );
}

#[test]
fn properties_that_are_too_large_for_the_server_are_left_out_with_their_packet() {
    // [MQTT-3.14.2-3], [MQTT-3.14.2-4]
    let limits = Properties::builder()
        .maximum_packet_size(20u32.try_into().expect("not 0"))
        .build()
        .expect("good properties");
    let mut raw = Raw::connected_with(config(Version::V5), limits);
    let wordy = Disconnect {
        reason: ReasonCode::UNSPECIFIED_ERROR,
        properties: Properties::builder()
            .reason_string("because of many things")
            .build()
            .expect("good properties"),
    };
    raw.session
        .disconnect(raw.now, wordy, Duration::ZERO)
        .expect("allowed");
    let Some(Packet::Disconnect(said)) = raw.packets().pop() else {
        panic!("no DISCONNECT")
    };
    assert_eq!(said.reason, ReasonCode::UNSPECIFIED_ERROR);
    assert!(said.properties.is_empty());
}

#[test]
fn the_will_is_published_when_its_delay_is_over_and_has_its_properties() {
    let mut pair = Pair::connected(with_delayed_will(30));
    pair.network = pair::Network::Refuses;
    pair.cut();
    pair.run_for(Duration::from_secs(29));
    assert_eq!(
        pair.broker.retained().count(),
        0,
        "{}",
        pair.broker.ladder()
    );
    pair.run_for(Duration::from_secs(2));
    let will = pair.broker.retained().next().expect("the will");
    assert_eq!(will.payload(), b"gone");
    assert_eq!(will.properties().content_type(), Some("text/plain"));
    assert_eq!(will.properties().user_properties().count(), 1);
    pair.check();
}

#[test]
fn a_reconnect_before_the_delay_is_over_keeps_the_will_back() {
    let mut pair = Pair::connected(with_delayed_will(30));
    pair.cut();
    pair.run_for(Duration::from_secs(100));
    assert_eq!(pair.session.phase(), Phase::Connected);
    assert_eq!(pair.broker.retained().count(), 0);
    pair.check();
}

#[test]
fn response_information_is_told_while_the_server_that_gave_it_is_there() {
    let asking = Properties::builder().request_response_information(true);
    let config = config(Version::V5).connect_properties(asking.build().expect("good"));
    let given = Properties::builder().response_information("responses/client");
    let mut raw = Raw::connected_with(config, given.build().expect("good"));
    assert_eq!(raw.session.response_information(), Some("responses/client"));
    raw.reconnect(true, NONE);
    assert_eq!(raw.session.response_information(), None);
}

#[test]
fn the_client_identifier_and_version_in_use_are_told() {
    for version in VERSIONS {
        let raw = Raw::connected(config(version));
        assert_eq!(raw.session.version(), version);
        assert_eq!(raw.session.client_identifier(), "client");
    }
}
