//! What is refused before anything is opened, and what is shown.

use mqtt_session::proto::{Properties, ReasonCode};
use mqtt_session::transport::{HeaderError, WebSocket};
use mqtt_session::{Config, Endpoint, EndpointError, Event, Redirects};

use super::far::header;
use super::*;

#[test]
fn headers_go_with_the_request_in_their_order() {
    let websocket = WebSocket::new()
        .header("Authorization", "Bearer a b\tc")
        .and_then(|it| it.header("x-Many", "1"))
        .and_then(|it| it.header("x-Many", "2"))
        .and_then(|it| it.header("Empty", ""))
        .unwrap();
    let config = Config::builder("client").websocket(websocket);
    let request = good::request(URL, config.build().unwrap());
    assert_eq!(header(&request, "authorization"), Some("Bearer a b\tc"));
    let end = "Authorization: Bearer a b\tc\r\nx-Many: 1\r\nx-Many: 2\r\nEmpty: \r\n\r\n";
    assert!(request.ends_with(end), "{request}");
}

#[test]
fn a_header_that_would_break_the_request_is_refused() {
    let refused = |name: &str, value: &str| WebSocket::new().header(name, value).unwrap_err();
    for name in ["", "a b", "a:", "a\r\nb", "ä", "(a)", "a\0"] {
        assert_eq!(refused(name, "x"), HeaderError::Name { name: name.into() });
    }
    for name in [
        "Host",
        "connection",
        "UPGRADE",
        "Content-Length",
        "Transfer-Encoding",
        "Sec-WebSocket-Key",
        "sec-websocket-protocol",
        "Sec-WebSocket-Extensions",
    ] {
        assert_eq!(refused(name, "x"), HeaderError::Own { name: name.into() });
    }
    for value in ["a\r\nb: c", "\n", " a", "a ", "a\0", "ä", "\u{7f}"] {
        let error = refused("x-token", value);
        let name = "x-token".into();
        assert_eq!(error, HeaderError::Value { name });
    }
    let all = WebSocket::MAX_HEADERS - "a".len();
    let most = WebSocket::new().header("a", &"x".repeat(all)).unwrap();
    let name = "b".into();
    assert_eq!(
        most.header("b", "").unwrap_err(),
        HeaderError::TooLong { name }
    );
    let name = "a".into();
    assert_eq!(
        refused("a", &"x".repeat(all + 1)),
        HeaderError::TooLong { name }
    );
}

#[test]
fn a_url_that_would_break_the_request_is_refused() {
    for url in [
        "ws://a/b c",
        "ws://a/\r\nX: y",
        "ws://a/ä",
        "ws://a?\t",
        "ws://a\r\nX/",
        "ws://ä",
        "ws://a b",
    ] {
        assert_eq!(
            Endpoint::parse(url),
            Err(EndpointError::NotAscii),
            "{url:?}"
        );
    }
}

#[test]
fn no_secret_is_shown() {
    let websocket = WebSocket::new()
        .header("Authorization", "Bearer hunter2")
        .unwrap();
    assert_eq!(
        format!("{websocket:?}"),
        "WebSocket { headers: [\"Authorization\"], .. }"
    );
    let config = Config::builder("client")
        .credentials("me", "hunter2")
        .websocket(websocket)
        .build()
        .unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    // At no step of a connection.
    let record = Record::default();
    let server = Endpoint::parse("ws://192.0.2.1/mqtt?token=hunter2").unwrap();
    let seen = record.clone();
    let mut tower = Tower::new(config, server, move || Box::new(Server::new(seen.clone())));
    tower.pieces = 50;
    tower.takes = 0;
    let now = tower.at();
    tower.connection.session_mut().start(now);
    let mut steps = 0;
    while tower.connection.session().phase() != Phase::Connected {
        tower.takes = 20;
        tower.step();
        let shown = format!("{:?} {:?}", tower.connection, tower.events);
        assert!(
            !shown.contains("hunter2") && !shown.contains("104, 117, 110"),
            "{shown}"
        );
        steps += 1;
        assert!(steps < 1000);
    }
    assert!(record.requests()[0].contains("hunter2"));
}

#[test]
fn a_redirect_without_a_path_leads_to_the_path_that_it_comes_from() {
    for (reference, url) in [
        ("192.0.2.9", "ws://192.0.2.9:80/mqtt"),
        ("192.0.2.9:7", "ws://192.0.2.9:7/mqtt"),
        ("192.0.2.9/other", "ws://192.0.2.9:80/other"),
        ("ws://192.0.2.9:7/other", "ws://192.0.2.9:7/other"),
    ] {
        let config = Config::builder("client").redirects(Redirects::to(["192.0.2.9"]));
        let server = Endpoint::parse(URL).unwrap();
        let record = Record::default();
        let mut tower = Tower::new(config.build().unwrap(), server, move || {
            Box::new(Server::new(record.clone()))
        });
        let says = Properties::builder().server_reference(reference);
        tower
            .broker
            .refuse_next_with(ReasonCode::USE_ANOTHER_SERVER, says.build().unwrap());
        tower.start();
        let told = tower.events.iter().find_map(|event| match event {
            Event::Redirected { followed, .. } => Some(followed.clone()),
            _ => None,
        });
        let followed = told.expect("the server sends us on").unwrap();
        assert_eq!(followed.to_string(), url);
    }
}
