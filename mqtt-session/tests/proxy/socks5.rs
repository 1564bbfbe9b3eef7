//! CONNECT of SOCKS5: RFC 1928, and RFC 1929 for user name and password.

use super::*;

const NO_LOGIN: [u8; 3] = [5, 1, 0];
const WITH_LOGIN: [u8; 4] = [5, 2, 0, 2];
const FOR_BROKER: &[u8] = b"\x05\x01\0\x03\x0Ebroker.example\x07\x5B";
const LOGIN: &[u8] = b"\x01\x02me\x07hunter2";
const GRANTED: [u8; 10] = [5, 0, 0, 1, 192, 0, 2, 7, 0xA0, 0x01];

fn proxy() -> Proxy {
    Proxy::socks5("192.0.2.9", 1080)
}

fn with_login() -> Proxy {
    proxy().credentials("me", SECRET)
}

fn step(asked: impl AsRef<[u8]>, answer: impl AsRef<[u8]>) -> Step {
    (asked.as_ref().into(), answer.as_ref().into())
}

fn open() -> [Step; 2] {
    [step(NO_LOGIN, [5, 0]), step(FOR_BROKER, GRANTED)]
}

fn logged_in() -> [Step; 3] {
    [
        step(WITH_LOGIN, [5, 2]),
        step(LOGIN, [1, 0]),
        step(FOR_BROKER, GRANTED),
    ]
}

#[test]
fn it_is_asked_for_the_server_by_name_or_address_and_port() {
    let longest = "a".repeat(255);
    let servers: [(Endpoint, Vec<u8>); 4] = [
        (server(), FOR_BROKER.into()),
        (
            Endpoint::new("192.0.2.1", 65535),
            b"\x05\x01\0\x01\xC0\0\x02\x01\xFF\xFF".into(),
        ),
        (
            Endpoint::new("2001:db8::1", 1),
            b"\x05\x01\0\x04\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x01\0\x01".into(),
        ),
        (
            Endpoint::new(longest.clone(), 256),
            [b"\x05\x01\0\x03\xFF", longest.as_bytes(), b"\x01\0"].concat(),
        ),
    ];
    for (server, asked) in servers {
        let script = [step(NO_LOGIN, [5, 0]), step(asked, GRANTED)];
        let mut tower = tower(proxy(), server, &script);
        tower.start();
        assert_passes(&mut tower);
    }
}

#[test]
fn it_may_want_user_name_and_password_or_not() {
    let script = [step(WITH_LOGIN, [5, 0]), step(FOR_BROKER, GRANTED)];
    for script in [&script[..], &logged_in()] {
        let mut tower = tower(with_login(), server(), script);
        tower.start();
        assert_passes(&mut tower);
    }
    // The longest that there can be, and an empty password.
    let long = "x".repeat(255);
    let longest = [b"\x01\xFF", long.as_bytes(), b"\xFF", long.as_bytes()].concat();
    let logins = [
        (long.as_str(), long.as_str(), longest),
        ("token", "", b"\x01\x05token\0".to_vec()),
    ];
    for (user_name, password, login) in logins {
        let proxy = proxy().credentials(user_name, password);
        let mut script = logged_in();
        script[1].0 = login;
        let mut tower = tower(proxy, server(), &script);
        tower.start();
        assert_connected(&tower);
    }
}

#[test]
fn every_answer_may_come_in_pieces_and_what_is_behind_stays() {
    let v6 = [&[5, 0, 0, 4][..], &[7; 16], &[0, 1]].concat();
    let name = [&[5, 0, 9, 3, 255][..], &[b'x'; 255], &[0, 1]].concat();
    let no_name = [5, 0, 0, 3, 0, 0, 0];
    for granted in [&GRANTED[..], &v6, &name, &no_name] {
        let mut script = logged_in();
        script[2].1 = granted.into();
        connects_at_every_cut(&with_login(), &script);
        keeps_what_is_behind(&with_login(), &script);
    }
    connects_at_every_cut(&proxy(), &open());
    // Servers do not agree on the version of the answer to a login.
    let mut script = logged_in();
    script[1].1 = vec![5, 0];
    connects_at_every_cut(&with_login(), &script);
}

#[test]
fn every_reply_has_its_words() {
    let replies = [
        (1, "general failure", Fault::Peer),
        (2, "rules do not allow", Fault::Peer),
        (3, "network of the server is unreachable", Fault::Network),
        (
            4,
            "the server is unreachable for it, or its name unknown",
            Fault::Network,
        ),
        (5, "the server refused its connection", Fault::Network),
        (6, "TTL expired", Fault::Network),
        (7, "command not supported", Fault::Peer),
        (8, "type of address", Fault::Peer),
        (9, "no name", Fault::Peer),
        (255, "no name", Fault::Peer),
    ];
    for (reply, words, fault) in replies {
        // As a whole, and as it comes from those who save themselves the rest.
        let whole = [5, reply, 0, 1, 0, 0, 0, 0, 0, 0];
        for answer in [&whole[..], &whole[..2]] {
            let script = [step(NO_LOGIN, [5, 0]), step(FOR_BROKER, answer)];
            let expected = ProxyError::SocksRefused { reply };
            refused_as(&proxy(), &script, &expected, words, fault);
        }
    }
}

#[test]
fn wanted_refused_and_other_credentials_are_told_apart() {
    refused_as(
        &proxy(),
        &[step(NO_LOGIN, [5, 0xFF])],
        &ProxyError::CredentialsWanted,
        "wants credentials, and none are configured",
        Fault::Caller,
    );
    refused_as(
        &with_login(),
        &[step(WITH_LOGIN, [5, 0xFF])],
        &ProxyError::AuthenticationKind,
        "of another kind than user name and password",
        Fault::Caller,
    );
    for status in [1, 2, 255] {
        refused_as(
            &with_login(),
            &[step(WITH_LOGIN, [5, 2]), step(LOGIN, [1, status])],
            &ProxyError::CredentialsRefused,
            "does not accept the credentials",
            Fault::Caller,
        );
    }
}

#[test]
fn one_that_breaks_the_protocol_is_told_how() {
    let not_offered = "it chose an authentication that it was not offered";
    for (proxy, greeting, method) in [
        (proxy(), &NO_LOGIN[..], 2),
        (proxy(), &NO_LOGIN, 1),
        (with_login(), &WITH_LOGIN, 1),
        (with_login(), &WITH_LOGIN, 0x80),
    ] {
        let script = [step(greeting, [5, method])];
        let expected = ProxyError::Malformed(not_offered);
        refused_as(&proxy, &script, &expected, not_offered, Fault::Peer);
    }
    let replies: [(&[u8], &str); 5] = [
        (
            &[4, 0, 0, 1],
            "its reply is of another version than its greeting",
        ),
        (
            &[0, 0x5A, 0, 0],
            "its reply is of another version than its greeting",
        ),
        (
            &[5, 0, 0, 0],
            "its reply has an address of a type that there is not",
        ),
        (
            &[5, 0, 0, 2],
            "its reply has an address of a type that there is not",
        ),
        (
            &[5, 0, 0, 5],
            "its reply has an address of a type that there is not",
        ),
    ];
    for (reply, what) in replies {
        let script = [step(NO_LOGIN, [5, 0]), step(FOR_BROKER, reply)];
        let expected = ProxyError::Malformed(what);
        refused_as(&proxy(), &script, &expected, what, Fault::Peer);
    }
    // All answers at once, to questions that were not asked yet.
    let early = "it answered before it was asked";
    let mut tower = tower(
        proxy(),
        server(),
        &[step(NO_LOGIN, [&[5, 0][..], &GRANTED].concat())],
    );
    tower.start();
    assert_eq!(failed(&tower).0, ProxyError::Malformed(early));
}

#[test]
fn what_speaks_no_socks5_is_told_at_its_first_byte() {
    let answers: [&[u8]; 5] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        &[0x15, 3, 1, 0, 2, 2, 40],
        &CONNACK,
        // SOCKS4.
        &[0, 0x5B],
    ];
    for answer in answers {
        refused_as(
            &proxy(),
            &[step(NO_LOGIN, answer)],
            &ProxyError::NotSocks5,
            "speaks no SOCKS5; it may be an HTTP proxy",
            Fault::Peer,
        );
    }
}

#[test]
fn silence_and_an_end_are_told_however_far_the_answers_came() {
    ends_without_an_answer(&with_login(), &logged_in());
}
