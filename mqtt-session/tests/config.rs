//! What a configuration or an endpoint can't be, and what is said about it.

mod pair;

use std::time::Duration;

use mqtt_session::proto::{Packet, Properties, PropertyId, QoS, Version};
use mqtt_session::{Backoff, Config, ConfigBuilder, Limits, Timeouts};
use pair::raw::Raw;

fn refused(builder: ConfigBuilder) -> String {
    builder
        .build()
        .expect_err("a bad configuration")
        .to_string()
}

fn with_limits(change: impl Fn(&mut Limits)) -> ConfigBuilder {
    let mut limits = Limits::default();
    change(&mut limits);
    Config::builder("client").limits(limits)
}

fn with_timeouts(change: impl Fn(&mut Timeouts)) -> ConfigBuilder {
    let mut timeouts = Timeouts::default();
    change(&mut timeouts);
    Config::builder("client").timeouts(timeouts)
}

fn with_backoff(change: impl Fn(&mut Backoff)) -> ConfigBuilder {
    let mut backoff = Backoff::default();
    change(&mut backoff);
    Config::builder("client").backoff(backoff)
}

#[test]
fn a_limit_timeout_or_delay_of_zero_is_refused_by_name() {
    let zeros = [
        (
            with_limits(|limits| limits.max_packet_size = 0),
            "limits.max_packet_size",
        ),
        (
            with_limits(|limits| limits.inbox_bytes = 0),
            "limits.inbox_bytes",
        ),
        (
            with_limits(|limits| limits.max_queued = 0),
            "limits.max_queued",
        ),
        (
            with_limits(|limits| limits.outgoing_bytes = 0),
            "limits.outgoing_bytes",
        ),
        (
            with_limits(|limits| limits.outbox_bytes = 0),
            "limits.outbox_bytes",
        ),
        (
            with_limits(|limits| limits.observations = 0),
            "limits.observations",
        ),
        (
            with_limits(|limits| limits.max_requests = 0),
            "limits.max_requests",
        ),
        (
            with_timeouts(|timeouts| timeouts.resolve = Duration::ZERO),
            "timeouts.resolve",
        ),
        (
            with_timeouts(|timeouts| timeouts.dial = Duration::ZERO),
            "timeouts.dial",
        ),
        (
            with_timeouts(|timeouts| timeouts.handshake = Duration::ZERO),
            "timeouts.handshake",
        ),
        (
            with_timeouts(|timeouts| timeouts.connack = Duration::ZERO),
            "timeouts.connack",
        ),
        (
            with_timeouts(|timeouts| timeouts.pingresp = Duration::ZERO),
            "timeouts.pingresp",
        ),
        (
            with_timeouts(|timeouts| timeouts.liveness = Duration::ZERO),
            "timeouts.liveness",
        ),
        (
            with_timeouts(|timeouts| timeouts.blocked = Duration::ZERO),
            "timeouts.blocked",
        ),
        (
            with_timeouts(|timeouts| timeouts.hangup = Duration::ZERO),
            "timeouts.hangup",
        ),
        (
            with_backoff(|backoff| backoff.first = Duration::ZERO),
            "backoff.first",
        ),
        (
            with_backoff(|backoff| backoff.longest = Duration::ZERO),
            "backoff.longest",
        ),
    ];
    for (builder, field) in zeros {
        assert_eq!(refused(builder), format!("{field} may not be zero"));
    }
}

/// Section 5 of RFC 8305.
#[test]
fn dials_may_follow_each_other_after_10_ms_and_no_sooner() {
    let staggered = |millis| {
        with_timeouts(move |timeouts| timeouts.dial_stagger = Duration::from_millis(millis))
    };
    let refused = refused(staggered(9));
    assert!(refused.contains("timeouts.dial_stagger"), "{refused}");
    assert!(staggered(10).build().is_ok());
}

#[test]
fn what_the_protocol_can_not_carry_is_refused() {
    let keep_alive = |seconds| Config::builder("client").keep_alive(Duration::from_secs(seconds));
    assert_eq!(
        refused(keep_alive(65_536)),
        "keep_alive may be at most 65535"
    );
    assert!(keep_alive(65_535).build().is_ok());
    let jitter = with_backoff(|backoff| backoff.jitter_percent = 101);
    assert_eq!(refused(jitter), "backoff.jitter_percent may be at most 100");
    let password = Config::builder("client").credentials("me", vec![0; 65_536]);
    assert_eq!(
        refused(password),
        "connect: the password is 65536 bytes long; the maximum is 65,535"
    );
    assert!(
        Config::builder("client")
            .session_expiry(Duration::MAX)
            .build()
            .is_ok()
    );
}

#[test]
fn strings_that_mqtt_does_not_have_are_refused() {
    assert_eq!(
        refused(Config::builder("a\0")),
        "client_id: holds U+0000 at byte 1"
    );
    let long = "x".repeat(65_536);
    let text = "client_id: 65536 bytes long; a string holds at most 65,535";
    assert_eq!(refused(Config::builder(long)), text);
    let user_name = Config::builder("client").user_name("\0");
    assert_eq!(refused(user_name), "user_name: holds U+0000 at byte 0");
}

#[test]
fn each_version_has_its_own_rules_for_client_identifier_password_and_session_expiry() {
    let refused_id =
        |version, id: &str, clean| refused(Config::builder(id).version(version).clean_start(clean));
    assert_eq!(
        refused_id(Version::V3_1, "", true),
        "client_id: MQTT 3.1 does not allow an identifier of 0 bytes with clean_start true"
    );
    assert_eq!(
        refused_id(Version::V3_1, "123456789012345678901234", true),
        "client_id: MQTT 3.1 does not allow an identifier of 24 bytes with clean_start true"
    );
    assert_eq!(
        refused_id(Version::V3_1_1, "", false),
        "client_id: MQTT 3.1.1 does not allow an identifier of 0 bytes with clean_start false"
    );
    for version in [Version::V3_1, Version::V3_1_1] {
        let password = Config::builder("client")
            .version(version)
            .password("secret");
        assert_eq!(
            refused(password),
            format!("password: {version} allows no password without a user name")
        );
        let expiry = Config::builder("client")
            .version(version)
            .session_expiry(Duration::from_secs(1));
        let text = format!(
            "session_expiry: {version} has none; use clean_start(false) to keep the session"
        );
        assert_eq!(refused(expiry), text);
        let properties = Properties::builder()
            .user_property("a", "b")
            .build()
            .expect("good properties");
        let connect = Config::builder("client")
            .version(version)
            .connect_properties(properties);
        assert!(refused(connect).starts_with(&format!("connect: {version} can't carry ")));
    }
    for builder in [
        Config::builder(""),
        Config::builder("client").password("secret"),
    ] {
        assert!(builder.build().is_ok(), "5.0 allows it");
    }
}

#[test]
fn properties_that_the_session_sets_itself_or_can_not_keep_are_refused() {
    let max = 5u16.try_into().expect("not 0");
    let cases = [
        (
            Properties::builder().session_expiry_interval(5),
            "Session Expiry Interval is set through `session_expiry`",
        ),
        (
            Properties::builder().receive_maximum(max),
            "Receive Maximum is set through `limits.receive_maximum`",
        ),
        (
            Properties::builder().maximum_packet_size(5u32.try_into().expect("not 0")),
            "Maximum Packet Size is set through `limits.max_packet_size`",
        ),
        (
            Properties::builder().topic_alias_maximum(5),
            "Topic Alias Maximum is set through `limits.topic_alias_maximum`",
        ),
        (
            Properties::builder().authentication_method("x"),
            "Authentication Method is set through `authentication_method`",
        ),
    ];
    for (properties, text) in cases {
        let properties = properties.build().expect("good properties");
        let builder = Config::builder("client").connect_properties(properties);
        assert_eq!(refused(builder), format!("connect_properties: {text}"));
    }
    let properties = Properties::builder()
        .user_property("a", "b")
        .request_response_information(true);
    let properties = properties.build().expect("good properties");
    assert!(
        Config::builder("client")
            .connect_properties(properties)
            .build()
            .is_ok()
    );
}

#[test]
fn a_configuration_does_not_show_its_password() {
    let config = Config::builder("client")
        .credentials("me", "hunter2")
        .build()
        .expect("a good configuration");
    let shown = format!("{config:?}");
    assert!(
        !shown.contains("hunter2") && !shown.contains("104, 117"),
        "{shown}"
    );
    let builder = format!(
        "{:?}",
        Config::builder("client").credentials("me", "hunter2")
    );
    assert!(!builder.contains("hunter2"), "{builder}");
}

#[test]
fn a_will_topic_with_a_wildcard_is_refused() {
    let will = Config::builder("client").will_message("gone/#", QoS::AtLeastOnce, "good-bye");
    assert_eq!(
        refused(will),
        "will topic: a topic name has no wildcard, but '#' is at byte 5"
    );
    let will = Config::builder("client").will_message("gone", QoS::AtLeastOnce, "good-bye");
    assert!(will.build().is_ok());
}

/// Section 3.1.2.11.4.
#[test]
fn a_maximum_packet_size_is_stated_unless_it_is_no_limit() {
    let stated = |max| {
        let mut limits = Limits::default();
        limits.max_packet_size = max;
        let mut raw = Raw::new(pair::config(Version::V5).limits(limits));
        raw.session.connect(raw.now);
        let Packet::Connect(connect) = raw.open() else {
            panic!("no CONNECT");
        };
        let stated = connect.properties.view().maximum_packet_size();
        stated.map(core::num::NonZeroU32::get)
    };
    assert_eq!(stated(1), Some(1));
    assert_eq!(
        stated(Limits::LARGEST_PACKET - 1),
        Some(Limits::LARGEST_PACKET - 1)
    );
    assert_eq!(stated(Limits::LARGEST_PACKET), None);
    assert_eq!(stated(u32::MAX), None);
}

/// Sections 3.1.2.11.2 and 3.1.2.11.5: what is absent is 0.
#[test]
fn connect_does_not_say_what_is_so_where_it_says_nothing() {
    let properties = |config: ConfigBuilder| {
        let mut raw = Raw::new(config);
        raw.session.connect(raw.now);
        let Packet::Connect(connect) = raw.open() else {
            panic!("no CONNECT");
        };
        connect.properties
    };
    let mut limits = Limits::default();
    limits.topic_alias_maximum = 0;
    let least = pair::config(Version::V5).session_expiry(Duration::ZERO);
    let said = properties(least.clone().limits(limits));
    assert!(!said.view().has(PropertyId::TOPIC_ALIAS_MAXIMUM));
    assert!(!said.view().has(PropertyId::SESSION_EXPIRY_INTERVAL));
    limits.topic_alias_maximum = 1;
    let said = properties(least.limits(limits));
    assert_eq!(said.view().topic_alias_maximum(), Some(1));
}

/// Sections 3.1.2.10 and 3.1.2.11.2: a keep-alive of half a second would be one of none.
#[test]
fn times_that_connect_says_in_seconds_are_rounded_up() {
    for (millis, seconds) in [(999, 1), (1000, 1), (1001, 2), (1999, 2), (2000, 2)] {
        let time = Duration::from_millis(millis);
        let config = pair::config(Version::V5)
            .keep_alive(time)
            .session_expiry(time);
        let mut raw = Raw::new(config);
        raw.session.connect(raw.now);
        let Packet::Connect(connect) = raw.open() else {
            panic!("no CONNECT");
        };
        let expiry = connect.properties.view().session_expiry_interval();
        assert_eq!(
            (connect.keep_alive, expiry),
            (seconds, Some(seconds.into()))
        );
    }
}
