//! User name and password of the proxy, as they are and as they are sent, show up nowhere.

use super::*;

/// Of `me:hunter2` in base64, and of each alone as it may stand within longer ones.
const CODED: [&str; 2] = ["bWU6aHVudGVyMg", "hunter2"];

fn assert_hidden(shown: &str) {
    for secret in CODED {
        assert!(!shown.contains(secret), "{shown}");
        // As a list of bytes.
        let bytes = format!("{:?}", secret.as_bytes());
        assert!(!shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
    }
}

#[test]
fn nothing_shows_the_password_at_any_time() {
    let http = "CONNECT broker.example:1883 HTTP/1.1\r\nHost: broker.example:1883\r\n\
         Proxy-Authorization: Basic bWU6aHVudGVyMg==\r\n\r\n";
    let refusals: [(Proxy, Vec<Step>); 2] = [
        (
            Proxy::http("192.0.2.9", 3128),
            vec![(http.into(), "HTTP/1.1 407 No\r\n\r\n".into())],
        ),
        (
            Proxy::socks5("192.0.2.9", 1080),
            vec![
                (vec![5, 2, 0, 2], vec![5, 2]),
                (b"\x01\x02me\x07hunter2".into(), vec![1, 1]),
            ],
        ),
    ];
    for (proxy, script) in refusals {
        let proxy = proxy.credentials("me", SECRET);
        assert_hidden(&format!("{proxy:?} {proxy}"));
        assert!(format!("{proxy:?}").contains(&proxy.to_string()));
        let builder = config(proxy.clone());
        assert_hidden(&format!("{builder:?}"));
        assert_hidden(&format!("{:?}", builder.build().unwrap()));
        let mut tower = tower(proxy, server(), &script);
        let now = tower.at();
        tower.connection.session_mut().start(now);
        tower.pieces = 1;
        while tower.step() {
            assert_hidden(&format!("{:?} {:#?}", tower.connection, tower.connection));
            assert_hidden(&format!("{:?} {:?}", tower.events, tower.actions));
        }
        let (error, text) = failed(&tower);
        assert_eq!(error, ProxyError::CredentialsRefused);
        assert_hidden(&format!("{error:?} {error} {text}"));
    }
}
