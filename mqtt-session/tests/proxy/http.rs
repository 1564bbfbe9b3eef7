//! CONNECT of HTTP/1.1: section 9.3.6 of RFC 9110.

use super::*;

const ASKED: &str = "CONNECT broker.example:1883 HTTP/1.1\r\nHost: broker.example:1883\r\n\r\n";
const GRANTED: &str = "HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n";
/// The same with a login as section 2 of RFC 7617 has it.
const LOGGED_IN: &str = "CONNECT broker.example:1883 HTTP/1.1\r\nHost: broker.example:1883\r\n\
     Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n";

fn proxy() -> Proxy {
    Proxy::http("192.0.2.9", 3128)
}

fn with_login() -> Proxy {
    proxy().credentials("Aladdin", "open sesame")
}

fn step(asked: &str, answer: impl AsRef<[u8]>) -> [Step; 1] {
    [(asked.into(), answer.as_ref().into())]
}

#[test]
fn it_is_asked_for_the_server_by_name_or_address_and_port() {
    let servers = [
        (server(), "broker.example:1883"),
        (Endpoint::new("192.0.2.1", 65535), "192.0.2.1:65535"),
        (Endpoint::new("2001:db8::1", 1883), "[2001:db8::1]:1883"),
        (Endpoint::new("a_b-c.Example.", 1), "a_b-c.Example.:1"),
    ];
    for (server, shown) in servers {
        let asked = format!("CONNECT {shown} HTTP/1.1\r\nHost: {shown}\r\n\r\n");
        let mut tower = tower(proxy(), server, &step(&asked, GRANTED));
        tower.start();
        assert_passes(&mut tower);
    }
}

#[test]
fn credentials_are_sent_with_the_request() {
    let mut tower = tower(with_login(), server(), &step(LOGGED_IN, GRANTED));
    tower.start();
    assert_passes(&mut tower);
}

#[test]
fn every_success_counts_and_a_line_may_end_without_carriage_return() {
    let answers = [
        GRANTED,
        "HTTP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 200\r\n\r\n",
        "HTTP/1.1 200 \r\n\r\n",
        "HTTP/1.1 204 No Content\n\n",
        "HTTP/1.1 299 OK\nA: b\n\r\n",
        // There is no body, whatever it says.
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ];
    for answer in answers {
        connects_at_every_cut(&proxy(), &step(ASKED, answer));
        keeps_what_is_behind(&proxy(), &step(ASKED, answer));
    }
}

#[test]
fn every_refusal_is_told_with_its_status_and_what_it_means() {
    let refused = [
        (
            "300 Multiple Choices",
            "it may be a web server",
            Fault::Peer,
        ),
        ("302 Found", "sends us elsewhere", Fault::Peer),
        ("400 Bad Request", "does not understand", Fault::Peer),
        ("401 Unauthorized", "as web servers do", Fault::Peer),
        ("403 Forbidden", "does not allow", Fault::Peer),
        ("404 Not Found", "it may be a web server", Fault::Peer),
        ("405 Method Not Allowed", "knows no CONNECT", Fault::Peer),
        ("408 Request Timeout", "waited too long", Fault::Peer),
        ("418 I'm a teapot", "refused", Fault::Peer),
        ("429 Too Many Requests", "fewer requests", Fault::Peer),
        ("500 Unable to connect", "could not reach", Fault::Peer),
        ("501 Not Implemented", "knows no CONNECT", Fault::Peer),
        (
            "502 Bad Gateway",
            "could not reach the server",
            Fault::Network,
        ),
        ("503 Service Unavailable", "not available", Fault::Network),
        ("504 Gateway Timeout", "in time", Fault::Network),
        ("511 Log in first", "it failed", Fault::Peer),
        (
            "101 Switching Protocols",
            "no answer to CONNECT",
            Fault::Peer,
        ),
        ("000 Nothing", "no answer to CONNECT", Fault::Peer),
        ("999 Request denied", "no answer to CONNECT", Fault::Peer),
    ];
    for (line, meaning, fault) in refused {
        let (status, words) = line.split_once(' ').unwrap();
        let expected = ProxyError::Refused {
            status: status.parse().unwrap(),
            words: words.into(),
        };
        let answer = format!("HTTP/1.1 {line}\r\nContent-Length: 4\r\n\r\nbody");
        let script = step(ASKED, answer);
        refused_as(&proxy(), &script, &expected, meaning, fault);
        let told = format!("it answered {} ({words}): ", expected_status(&expected));
        refused_as(&proxy(), &script, &expected, &told, fault);
    }
    let silent = ProxyError::Refused {
        status: 502,
        words: "".into(),
    };
    let script = step(ASKED, "HTTP/1.0 502\n\n");
    refused_as(
        &proxy(),
        &script,
        &silent,
        "it answered 502: it could not",
        Fault::Network,
    );
}

fn expected_status(error: &ProxyError) -> u16 {
    match error {
        ProxyError::Refused { status, .. } => *status,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_it_says_is_shown_in_short_and_without_what_could_move_a_terminal() {
    let answer = [
        b"HTTP/1.1 403 \x1b[2J\xFF\x00",
        &[b'a'; 200][..],
        b"\r\n\r\n",
    ]
    .concat();
    let words = format!("?[2J??{}", "a".repeat(74));
    let expected = ProxyError::Refused {
        status: 403,
        words: words.as_str().into(),
    };
    let script = step(ASKED, answer);
    refused_as(&proxy(), &script, &expected, &words, Fault::Peer);
}

#[test]
fn wanted_refused_and_other_credentials_are_told_apart() {
    let wanted = |fields: &str| format!("HTTP/1.1 407 Who are you?\r\n{fields}\r\n\r\n");
    let basic = [
        "Proxy-Authenticate: Basic realm=\"a\"",
        "proxy-authenticate:basic",
        "Proxy-Authenticate: Negotiate, NTLM, Basic realm=\"a, b\", Digest realm=\"c\"",
        "Proxy-Authenticate: Negotiate\r\nVia: a\r\nProxy-Authenticate: BASIC realm=x",
        "Proxy-Authenticate: Digest realm=\"a\\\", Digest\", Basic realm=\"b\"",
        // It does not say what it wants.
        "Via: 1.1 proxy",
    ];
    for fields in basic {
        refused_as(
            &proxy(),
            &step(ASKED, wanted(fields)),
            &ProxyError::CredentialsWanted,
            "wants credentials, and none are configured",
            Fault::Caller,
        );
        refused_as(
            &with_login(),
            &step(LOGGED_IN, wanted(fields)),
            &ProxyError::CredentialsRefused,
            "does not accept the credentials",
            Fault::Caller,
        );
    }
    // tinyproxy is one that takes the status of a web server for wrong credentials.
    refused_as(
        &with_login(),
        &step(LOGGED_IN, "HTTP/1.0 401 Unauthorized\r\n\r\n"),
        &ProxyError::CredentialsRefused,
        "does not accept the credentials",
        Fault::Caller,
    );
    let other = [
        "Proxy-Authenticate: Negotiate",
        "Proxy-Authenticate: NTLM\r\nProxy-Authenticate: Digest realm=\"x, Basic\", Bearer",
        "Proxy-Authenticate: Digest realm=\"a\\\", Basic \"",
        "Proxy-Authenticate: Basically",
        "Proxy-Authenticate:",
    ];
    for fields in other {
        for (proxy, asked) in [(proxy(), ASKED), (with_login(), LOGGED_IN)] {
            refused_as(
                &proxy,
                &step(asked, wanted(fields)),
                &ProxyError::AuthenticationKind,
                "of another kind than user name and password",
                Fault::Caller,
            );
        }
    }
}

#[test]
fn what_speaks_no_http_is_told_at_its_first_wrong_byte() {
    let answers: [&[u8]; 7] = [
        &[5, 0],
        &[5, 0xFF],
        b"SSH-2.0-OpenSSH_9.2\r\n",
        // TLS: an alert.
        &[0x15, 3, 1, 0, 2, 2, 40],
        &CONNACK,
        b"HTTP/2 200\r\n",
        b"ICY 200 OK\r\n\r\n",
    ];
    for answer in answers {
        let words = "speaks no HTTP";
        let script = step(ASKED, answer);
        refused_as(&proxy(), &script, &ProxyError::NotHttp, words, Fault::Peer);
    }
}

#[test]
fn a_status_that_is_none_is_told() {
    let answers = [
        "HTTP/1.1\r\n\r\n",
        "HTTP/1.1 20\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 +20 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.x 200 OK\r\n\r\n",
        "HTTP/1.10 200 OK\r\n\r\n",
        "HTTP/1.1 two hundred\r\n\r\n",
    ];
    let expected = ProxyError::Malformed("its answer has no status");
    for answer in answers {
        let script = step(ASKED, answer);
        refused_as(&proxy(), &script, &expected, "no status", Fault::Peer);
    }
}

#[test]
fn an_endless_header_is_bounded() {
    const MAX: usize = 8192;
    let expected = ProxyError::HeaderTooLong { max: MAX };
    let line = "X-Filler: 0123456789abcdef\r\n";
    let endless = [
        format!("HTTP/1.1 200 OK\r\n{}", line.repeat(MAX)),
        format!("HTTP/1.1 200 {}", "a".repeat(2 * MAX)),
        "HTTP/1.1 100 Continue\r\n\r\n".repeat(MAX),
        // One byte too many.
        format!("HTTP/1.1 200 {}\r\n\r\n", "a".repeat(MAX + 1 - 17)),
    ];
    for answer in endless {
        let script = step(ASKED, answer);
        refused_as(&proxy(), &script, &expected, "8192 bytes", Fault::Peer);
    }
    let longest = format!("HTTP/1.1 200 {}\r\n\r\n", "a".repeat(MAX - 17));
    assert_eq!(longest.len(), MAX);
    for pieces in [1, 1000, usize::MAX] {
        let mut tower = tower(proxy(), server(), &step(ASKED, &longest));
        tower.pieces = pieces;
        tower.start();
        assert_connected(&tower);
    }
}

#[test]
fn silence_and_an_end_are_told_however_far_the_answer_came() {
    ends_without_an_answer(&proxy(), &step(ASKED, GRANTED));
}

#[test]
fn one_that_grants_before_it_is_asked_is_not_believed() {
    let mut tower = tower(proxy(), server(), &step(ASKED, ""));
    tower.takes = 0;
    let now = tower.at();
    tower.connection.session_mut().start(now);
    // The stream is open, and nothing was taken for it.
    let Some(Action::Dial { attempt, .. }) = tower.connection.poll_action() else {
        panic!("no dial")
    };
    tower.connection.handle_opened(now, attempt);
    tower.input.extend_from_slice(GRANTED.as_bytes());
    tower.connection.handle_input(now, &mut tower.input);
    tower.run();
    let (error, _) = failed(&tower);
    assert_eq!(
        error,
        ProxyError::Malformed("it answered before it was asked")
    );
}

#[test]
fn a_header_as_long_as_may_be_that_has_not_ended_is_refused_at_once() {
    const MAX: usize = 8192;
    let expected = ProxyError::HeaderTooLong { max: MAX };
    let whole = format!("HTTP/1.1 200 {}", "a".repeat(MAX - 13));
    assert_eq!(whole.len(), MAX);
    let script = step(ASKED, whole);
    refused_as(&proxy(), &script, &expected, "8192 bytes", Fault::Peer);
}
