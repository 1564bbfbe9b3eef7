//! What a URL says of a server, of who logs in there, and of the session; and what is said about one that can't be.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod pair;

use mqtt_session::proto::{Connect, Packet, Properties, ReasonCode, Version};
use mqtt_session::{
    Action, Cause, Config, ConnectionError, Credentials, Endpoint, EndpointError, Event, Fault,
    Peer, Phase, RedirectRefused, Redirects, Scheme, Servers,
};
use pair::raw::Raw;
use pair::{VERSIONS, config};

#[test]
fn servers_are_read_from_urls() {
    let good = [
        ("mqtt://localhost", "localhost", 1883, "localhost:1883"),
        (
            "tcp://broker.example:1884/",
            "broker.example",
            1884,
            "broker.example:1884",
        ),
        (
            "mqtt://192.0.2.1:65535",
            "192.0.2.1",
            65535,
            "192.0.2.1:65535",
        ),
        (
            "mqtt://[2001:db8::1]",
            "2001:db8::1",
            1883,
            "[2001:db8::1]:1883",
        ),
        ("mqtt://[::1]:1", "::1", 1, "[::1]:1"),
        ("MQTT://me:secret@a:1?keep_alive=9", "a", 1, "a:1"),
    ];
    for (url, host, port, shown) in good {
        let endpoint = Endpoint::parse(url).expect(url);
        assert_eq!(endpoint.scheme(), Scheme::Mqtt);
        assert_eq!((endpoint.host(), endpoint.port()), (host, port));
        assert_eq!(endpoint.path(), "");
        assert_eq!(endpoint.to_string(), shown);
    }
    let good = [
        ("unix:///run/mqtt.sock", "/run/mqtt.sock"),
        ("unix://me:secret@/a%20b/c?client_id=x", "/a b/c"),
    ];
    for (url, path) in good {
        let endpoint = Endpoint::parse(url).expect(url);
        assert_eq!(endpoint.scheme(), Scheme::Unix);
        assert_eq!((endpoint.host(), endpoint.port()), ("", 0));
        assert_eq!(endpoint.path(), path);
        assert_eq!(endpoint.to_string(), format!("unix://{path}"));
    }
}

#[test]
fn user_name_and_password_are_read_from_urls_and_not_shown() {
    let good = [
        (
            "mqtt://me:hunter2@a",
            Some(Credentials::new("me", "hunter2")),
        ),
        ("mqtt://me@a", Some(Credentials::user_name("me"))),
        (
            "mqtt://:hunter2@a",
            Some(Ok(Credentials::password("hunter2"))),
        ),
        ("mqtt://me:@a", Some(Credentials::new("me", ""))),
        (
            "mqtt://J%c3%bcrgen%3A:a%2Fb%40%00%FF:c@a",
            Some(Credentials::new("Jürgen:", b"a/b@\0\xFF:c")),
        ),
        ("mqtt://a", None),
        ("mqtt://@a", None),
    ];
    for (url, credentials) in good {
        let endpoint = Endpoint::parse(url).expect(url);
        let credentials = credentials.map(Result::unwrap);
        assert_eq!(endpoint.credentials(), credentials.as_ref(), "{url}");
        assert_eq!(endpoint.to_string(), "a:1883");
        for shown in [
            format!("{endpoint:?}"),
            format!("{:?}", Servers::new(endpoint.clone())),
        ] {
            assert!(shown.contains("a:1883"), "{shown}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}

#[test]
fn urls_that_name_no_server_are_refused_with_what_is_wrong() {
    let encoded = "the credentials in the URL are not well-formed: in user name and password \
                   / ? and # must be percent-encoded, and so must an @ behind the host";
    let bad = [
        (
            "localhost",
            "\"localhost\" has no scheme; write mqtt://host or mqtt://host:port",
        ),
        (
            "",
            "\"\" has no scheme; write mqtt://host or mqtt://host:port",
        ),
        (
            "http://a",
            "the scheme \"http\" is not known: there are mqtt (tcp), mqtts (tls, ssl), ws, wss and unix",
        ),
        (
            "mqtt://",
            "\"mqtt://\" has no host; an IPv6 address stands in brackets: mqtt://[::1]:1883",
        ),
        (
            "mqtt://:1883",
            "\"mqtt://:1883\" has no host; an IPv6 address stands in brackets: mqtt://[::1]:1883",
        ),
        (
            "mqtt://[::1",
            "\"mqtt://[::1\" has no host; an IPv6 address stands in brackets: mqtt://[::1]:1883",
        ),
        (
            "mqtt://a:",
            "what follows the host is no port; it must be a number from 1 to 65535",
        ),
        (
            "mqtt://a:0",
            "\"0\" is no port; it must be a number from 1 to 65535",
        ),
        (
            "mqtt://a:65536",
            "\"65536\" is no port; it must be a number from 1 to 65535",
        ),
        (
            "mqtt://a:b",
            "what follows the host is no port; it must be a number from 1 to 65535",
        ),
        (
            "mqtt://[::1]x",
            "what follows the host is no port; it must be a number from 1 to 65535",
        ),
        (
            "mqtt://::1",
            "\"mqtt://::1\" has no host; an IPv6 address stands in brackets: mqtt://[::1]:1883",
        ),
        ("mqtt://a/b", "\"/b\" does not belong in the URL"),
        ("mqtt://a#b", "\"#\" does not belong in the URL"),
        (
            "mqtt://a?b=c",
            "the parameter \"b\" is not known: there are client_id, keep_alive and clean_start",
        ),
        (
            "mqtt://a?b",
            "the parameter without a value is not known: there are client_id, keep_alive and clean_start",
        ),
        (
            "mqtt://a?keep_alive=65536",
            "the parameter \"keep_alive\" must be a number of seconds from 0 to 65535",
        ),
        (
            "mqtt://a?clean_start=1",
            "the parameter \"clean_start\" must be true or false",
        ),
        (
            "mqtt://a?client_id=%00",
            "the parameter \"client_id\" must be an MQTT string, percent-encoded",
        ),
        (
            "mqtt://a?client_id=%zz",
            "the parameter \"client_id\" must be an MQTT string, percent-encoded",
        ),
        (
            "mqtt://a?keep_alive=1&keep_alive=2",
            "the parameter \"keep_alive\" is given twice, with different values",
        ),
        (
            "mqtt://%2:b@a",
            "the credentials in the URL are not well-formed: a % must be followed by two hex digits (%25 is a % of its own)",
        ),
        (
            "mqtt://%FF@a",
            "the credentials in the URL are not well-formed: the user name is no UTF-8",
        ),
        (
            "mqtt://%00@a",
            "the credentials in the URL are not well-formed: the user name is no MQTT string",
        ),
        ("mqtt://me:a/b@c", encoded),
        ("mqtt://me:a?b@c", encoded),
        ("mqtt://me:a#b@c", encoded),
        (
            "unix://run/mqtt.sock",
            "a Unix socket is named by its absolute path: unix:///run/mqtt.sock",
        ),
        (
            "unix:///",
            "a Unix socket is named by its absolute path: unix:///run/mqtt.sock",
        ),
        (
            "unix:///a%00b",
            "a Unix socket is named by its absolute path: unix:///run/mqtt.sock",
        ),
    ];
    for (url, text) in bad {
        assert_eq!(Endpoint::parse(url).expect_err(url).to_string(), text);
    }
}

#[test]
fn a_scheme_that_is_not_built_in_names_the_feature_that_it_needs() {
    let tls = (!cfg!(feature = "tls")).then_some("tls");
    let websocket = (!cfg!(feature = "websocket")).then_some("websocket");
    for (url, scheme, shown, lacks) in [
        ("mqtts://a", "mqtts", "mqtts://a:8883", tls),
        ("tls://a", "mqtts", "mqtts://a:8883", tls),
        ("SSL://a", "mqtts", "mqtts://a:8883", tls),
        ("wss://a", "wss", "wss://a:443/", tls.or(websocket)),
        ("ws://a", "ws", "ws://a:80/", websocket),
    ] {
        let parsed = Endpoint::parse(url);
        let Some(feature) = lacks else {
            assert_eq!(parsed.expect(url).to_string(), shown);
            continue;
        };
        let error = parsed.expect_err(url);
        assert_eq!(error, EndpointError::LacksFeature { scheme, feature });
        let text =
            format!("the scheme {scheme:?} needs the feature `{feature}`, which is not built in");
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn of_what_is_wrong_with_a_url_as_much_is_shown_as_is_surely_no_password() {
    let error = |url| Endpoint::parse(url).expect_err(url);
    for (url, shown) in [
        ("broker", "broker"),
        ("broker:1883", "broker:1883"),
        ("broker:1883/a", "broker:..."),
        ("broker:secret", "broker:..."),
        ("broker/secret", "broker..."),
    ] {
        let url_shown = shown.to_owned();
        assert_eq!(error(url), EndpointError::NoScheme { url: url_shown });
    }
    for (url, shown) in [
        ("mqtt://a/b", "b"),
        ("mqtt://a/b=secret", "b="),
        ("mqtt://a/b/c=secret=d", "b/c="),
    ] {
        let extra = format!("/{shown}");
        assert_eq!(error(url), EndpointError::Extra { extra }, "{url}");
    }
}

#[test]
fn no_part_of_a_password_in_a_url_is_shown() {
    for urls in [
        "me:hunter2@a",
        "http://me:hunter2@a",
        "mqtt://me:hunter2",
        "me:hunter2",
        "mqtt://:hunter2",
        "mqtt://[me:hunter2",
        "me:hunter2://a",
        "mqtt://me:hunter2/x",
        "mqtt://me:/hunter2",
        "mqtt://me:1/hunter2@a",
        "mqtt://me:1?hunter2@a",
        "mqtt://me:1#hunter2@a",
        "mqtt://me:hunter2@",
        "mqtt://me:hunter2@a:b",
        "mqtt://me:hunter2@a/b",
        "mqtt://me:hunter2%@a",
        "mqtt://a?hunter2",
        "mqtt://a?password=hunter2",
        "mqtt://a/b?password=hunter2",
        "mqtt://a/password=hunter2",
        "mqtt://a#hunter2",
        "a?password=hunter2",
        "mqtt://a?client_id=x&keep_alive=hunter2",
        "mqtt://me:hunter2@a?b=c",
    ] {
        let one = Endpoint::parse(urls).expect_err(urls);
        let list = Servers::try_from(urls).expect_err(urls);
        for error in [one, list] {
            for text in [error.to_string(), format!("{error:?}")] {
                assert!(!text.contains("hunter2"), "{urls}: {text}");
            }
        }
    }
    // A list cuts at a comma that should have been percent-encoded, and a number before it looks like a port.
    for urls in [
        "mqtt://me:hunter2,more@a",
        "mqtt://me:more,hunter2@a",
        "mqtt://me:1,hunter2 @a",
        "mqtt://me:1, hunter2@a",
        "mqtt://a, mqtt://me:1,hunter2@b",
        "mqtt://me:1,mqtt://hunter2,x@a",
        "mqtt://me:1,x://hunter2,x@a",
        "mqtt://me:1,mqtt://a?hunter2=a,x@a",
        "mqtt://me:1,mqtt://a/hunter2,x@a",
        "mqtt://me:1,hunter2://a,x@a",
        "mqtt://me:1,mqtt://a:99999,x@a",
    ] {
        let error = Servers::try_from(urls).expect_err(urls);
        for text in [error.to_string(), format!("{error:?}")] {
            let shows = text.contains("hunter2") || text.contains("99999");
            assert!(!shows, "{urls}: {text}");
        }
    }
}

fn connect_of(config: Config, servers: &str) -> Connect {
    let servers: Servers = servers.parse().unwrap();
    let mut raw = Raw::of(Config::builder("unused"), servers.clone());
    raw.version = config.version();
    raw.session = mqtt_session::Session::new(config, servers, 7);
    raw.session.start(raw.now);
    connect(&mut raw)
}

fn connect(raw: &mut Raw) -> Connect {
    match raw.open() {
        Packet::Connect(connect) => *connect,
        other => panic!("{other:?}"),
    }
}

fn login(connect: &Connect) -> (Option<&str>, Option<&[u8]>) {
    let user_name = connect.user_name.as_ref().map(|name| name.as_str());
    (user_name, connect.password.as_deref())
}

#[test]
fn what_the_url_says_wins_over_the_configuration() {
    for version in VERSIONS {
        let configured = || {
            config(version)
                .credentials("configured", "one")
                .build()
                .unwrap()
        };
        let plain = connect_of(configured(), "mqtt://192.0.2.1");
        assert_eq!(login(&plain), (Some("configured"), Some(&b"one"[..])));
        assert_eq!(plain.client_id, "client");
        assert_eq!((plain.keep_alive, plain.clean_start), (60, true));
        let url = "mqtt://me:two@192.0.2.1?client_id=x%26y&keep_alive=30&clean_start=false";
        let said = connect_of(configured(), url);
        assert_eq!(login(&said), (Some("me"), Some(&b"two"[..])));
        assert_eq!(said.client_id, "x&y");
        assert_eq!((said.keep_alive, said.clean_start), (30, false));
        // A user name alone does not go with another's password.
        let alone = connect_of(configured(), "mqtt://me@192.0.2.1");
        assert_eq!(login(&alone), (Some("me"), None));
    }
}

#[test]
fn what_the_application_answers_wins_over_the_url() {
    let asking = config(Version::V5).ask_for_credentials(true);
    let server = Endpoint::parse("mqtt://me:two@192.0.2.1").unwrap();
    let mut raw = Raw::of(asking, server);
    raw.session.start(raw.now);
    raw.poll();
    let Some(Action::Credentials { attempt, .. }) = raw.actions.pop() else {
        panic!("not asked")
    };
    let fresh = Credentials::new("fresh", "three").unwrap();
    raw.session.handle_credentials(raw.now, attempt, Ok(fresh));
    assert_eq!(
        login(&connect(&mut raw)),
        (Some("fresh"), Some(&b"three"[..]))
    );
}

#[test]
fn each_server_gets_its_own_credentials() {
    let servers: Servers = "mqtt://a:1@192.0.2.1, mqtt://b:2@192.0.2.2, mqtt://192.0.2.3"
        .parse()
        .unwrap();
    let mut raw = Raw::of(config(Version::V5).credentials("c", "3"), servers);
    raw.session.start(raw.now);
    for (user_name, password) in [("a", b"1"), ("b", b"2"), ("c", b"3")] {
        let connect = connect(&mut raw);
        assert_eq!(login(&connect), (Some(user_name), Some(&password[..])));
        raw.closed(Cause::Eof);
    }
}

#[test]
fn options_are_the_sessions_wherever_in_a_list_they_stand() {
    let twice = "mqtt://192.0.2.1, mqtt://192.0.2.2?client_id=x, mqtt://192.0.2.3?client_id=x";
    let said = connect_of(config(Version::V5).build().unwrap(), twice);
    assert_eq!(said.client_id, "x");
    let torn = "mqtt://192.0.2.1?client_id=y, mqtt://192.0.2.2?client_id=x";
    let name = "client_id";
    assert_eq!(
        torn.parse::<Servers>(),
        Err(EndpointError::OptionTwice { name })
    );
}

#[test]
fn what_the_version_can_not_carry_is_refused_before_anything_is_opened() {
    for (version, url) in [
        (Version::V3_1_1, "mqtt://:secret@192.0.2.1"),
        (
            Version::V3_1_1,
            "mqtt://192.0.2.1?client_id=&clean_start=false",
        ),
        (
            Version::V3_1,
            "mqtt://192.0.2.1?client_id=24-bytes-are-one-too-many",
        ),
    ] {
        let mut raw = Raw::of(config(version), url.parse::<Servers>().unwrap());
        raw.session.start(raw.now);
        let error = raw.last_loss();
        assert!(
            matches!(error, ConnectionError::Connect { .. }),
            "{url}: {error:?}"
        );
        assert_eq!(error.fault(), Fault::Caller);
        assert!(raw.actions.is_empty(), "{url}: {:?}", raw.actions);
        assert_eq!(raw.session.phase(), Phase::Closed);
    }
}

#[test]
fn a_unix_socket_is_opened_without_a_lookup_and_named_by_its_path() {
    let server = Endpoint::parse("unix:///run/mqtt.sock").unwrap();
    let mut raw = Raw::of(config(Version::V5), server.clone());
    raw.session.start(raw.now);
    raw.poll();
    let Some(Action::Open {
        attempt,
        server: asked,
    }) = raw.actions.pop()
    else {
        panic!("{:?}", raw.actions)
    };
    assert_eq!(asked, server);
    raw.session.handle_opened(raw.now, attempt);
    raw.attempt = Some(attempt);
    assert_eq!(raw.packets().len(), 1, "CONNECT");
    raw.accept(false, Properties::new());
    let peer = Peer::Server(server.into());
    assert!(
        matches!(raw.events.last(), Some(Event::Connected { addr, .. }) if *addr == peer),
        "{:?}",
        raw.events
    );
    raw.closed(Cause::Eof);
    assert_eq!(
        raw.last_loss().to_string(),
        "the connection to unix:///run/mqtt.sock was lost after 0 s: the peer closed the connection"
    );
}

#[test]
fn a_socket_that_does_not_open_is_given_up_like_an_address() {
    let mut raw = Raw::of(
        config(Version::V5),
        Endpoint::parse("unix:///run/mqtt.sock").unwrap(),
    );
    raw.session.start(raw.now);
    raw.advance(std::time::Duration::from_secs(10));
    assert_eq!(
        raw.last_loss().to_string(),
        "unix:///run/mqtt.sock could not be reached after 10 s: timed out"
    );
}

#[test]
fn who_has_a_dialer_of_its_own_is_given_the_server() {
    let server = Endpoint::parse("mqtt://broker.example:7").unwrap();
    let mut raw = Raw::of(config(Version::V5).own_dialer(true), server.clone());
    raw.session.start(raw.now);
    raw.poll();
    assert!(
        matches!(&raw.actions[..], [Action::Open { server: asked, .. }] if *asked == server),
        "{:?}",
        raw.actions
    );
}

fn turned_away(from: &str, to: &str) -> (Raw, Result<Endpoint, RedirectRefused>) {
    let server = Endpoint::parse(from).unwrap();
    let config = config(Version::V5).redirects(Redirects::to(["192.0.2.9", ""]));
    let mut raw = Raw::of(config, server);
    raw.session.start(raw.now);
    raw.poll();
    if let Some(Action::Open { attempt, .. }) = raw.actions.last() {
        raw.attempt = Some(*attempt);
    }
    raw.open();
    raw.feed(&Packet::ConnAck(mqtt_session::proto::ConnAck {
        session_present: false,
        reason: ReasonCode::USE_ANOTHER_SERVER,
        properties: Properties::builder().server_reference(to).build().unwrap(),
    }));
    let told = raw.events.iter().find_map(|event| match event {
        Event::Redirected { followed, .. } => Some(followed.clone()),
        _ => None,
    });
    (raw, told.unwrap())
}

#[test]
fn who_is_sent_on_logs_in_as_before() {
    let (mut raw, followed) = turned_away("mqtt://me:two@192.0.2.1", "192.0.2.9");
    assert_eq!(followed.unwrap().to_string(), "192.0.2.9:1883");
    raw.hang_up();
    assert_eq!(login(&connect(&mut raw)), (Some("me"), Some(&b"two"[..])));
}

#[test]
fn a_server_has_no_say_in_who_we_are_nor_in_how_well_we_are_protected() {
    let refused = |from, to| turned_away(from, to).1.unwrap_err();
    for to in ["mqtt://you:three@192.0.2.9", "you@192.0.2.9"] {
        assert!(matches!(
            refused("mqtt://192.0.2.1", to),
            RedirectRefused::Reference(EndpointError::Extra { .. })
        ));
    }
    assert!(matches!(
        refused("mqtt://192.0.2.1", "mqtt://192.0.2.9?client_id=you"),
        RedirectRefused::Reference(EndpointError::Extra { .. })
    ));
    for to in ["192.0.2.9", "mqtt://192.0.2.9"] {
        assert!(matches!(
            refused("unix:///run/mqtt.sock", to),
            RedirectRefused::Weaker { .. }
        ));
    }
    // Nobody sends us to a file of this machine.
    assert!(matches!(
        refused("mqtt://192.0.2.1", "unix:///run/other.sock"),
        RedirectRefused::NotAllowed { .. }
    ));
}

#[test]
fn a_host_with_control_characters_is_refused_and_not_repeated() {
    for url in [
        "mqtt://a\u{1B}[2J",
        "mqtts://a\nb:8883",
        "mqtt://[::1\u{7}]",
        "mqtt://\u{9B}x/",
    ] {
        let error = Endpoint::parse(url).expect_err(url);
        assert_eq!(error, EndpointError::BadHost, "{url:?}");
        assert!(!error.to_string().contains(char::is_control));
    }
}

#[test]
fn a_peer_is_the_address_that_it_was_reached_at_and_no_other() {
    let address = |last| std::net::SocketAddr::from(([192, 0, 2, last], 1883));
    let (one, other) = (address(1), address(2));
    let peer = Peer::from(one);
    assert_eq!(peer, one);
    assert_eq!(one, peer);
    assert_ne!(peer, other);
    assert_ne!(other, peer);
}
