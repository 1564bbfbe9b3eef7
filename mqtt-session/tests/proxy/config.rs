//! What is refused before anything is opened.

use mqtt_session::ConfigError;
use mqtt_session::transport::ProxyConfigError as E;

use super::*;

fn refused(proxy: Proxy) -> String {
    match config(proxy).build() {
        Err(ConfigError::Proxy(error)) => {
            assert_eq!(
                ConfigError::Proxy(error).to_string(),
                format!("proxy: {error}")
            );
            error.to_string()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_proxy_that_can_not_be_is_refused() {
    let long = |len| "x".repeat(len);
    let (http, socks5) = (Proxy::http("a", 1), Proxy::socks5("a", 1));
    let bad = [
        (Proxy::http("", 3128), "the host is empty"),
        (Proxy::socks5("", 1080), "the host is empty"),
        (Proxy::http("a b", 1), "space or a control"),
        (Proxy::http("a\r\nb", 1), "space or a control"),
        (Proxy::socks5("a\0", 1), "space or a control"),
        (Proxy::http("a", 0), "1 to 65535"),
        (Proxy::socks5("a", 0), "1 to 65535"),
        (http.clone().credentials("a:b", "c"), "has a colon"),
        (http.clone().credentials("a\n", "c"), "control character"),
        (
            http.clone().credentials("a", "\r\nX: y"),
            "control character",
        ),
        (http.clone().credentials("a", "\0"), "control character"),
        (http.clone().credentials("a", "\x7F"), "control character"),
        (http.clone().credentials(long(4097), ""), "4096 bytes"),
        (http.clone().credentials("", long(4097)), "4096 bytes"),
        (socks5.clone().credentials("", "a"), "user name is empty"),
        (socks5.clone().credentials(long(256), "a"), "255 bytes"),
        (socks5.clone().credentials("a", long(256)), "255 bytes"),
    ];
    for (proxy, words) in bad {
        let error = refused(proxy);
        assert!(error.contains(words), "{error}");
    }
    let good = [
        http.clone().credentials("", ""),
        http.clone().credentials(long(4096), long(4096)),
        http.credentials("J\u{fc}rgen", vec![0xFF, b':']),
        socks5.clone().credentials(long(255), long(255)),
        socks5.credentials("a:\r\n", vec![0, 255]),
        Proxy::http("::1", 65535),
        Proxy::http("fe80::1%eth0", 1),
    ];
    for proxy in good {
        config(proxy).build().unwrap();
    }
}

#[test]
fn a_server_whose_name_could_end_a_line_or_be_cut_is_not_asked_for() {
    let long = "a".repeat(256);
    let bad = [
        ("a\r\nProxy-Authorization: Basic YTpi", "characters"),
        ("a\n", "characters"),
        ("a b", "characters"),
        ("a\tb", "characters"),
        ("a\0b", "characters"),
        ("a@b", "characters"),
        ("a/b", "characters"),
        ("a:80", "characters"),
        ("a?b", "characters"),
        ("a#b", "characters"),
        ("a%20b", "characters"),
        ("[::1]", "characters"),
        ("fe80::1%eth0", "characters"),
        ("b\u{fc}cher.example", "xn--"),
        ("", "is empty"),
        (long.as_str(), "longer than 255 bytes"),
    ];
    for proxy in [Proxy::http("192.0.2.9", 1), Proxy::socks5("192.0.2.9", 1)] {
        for (host, words) in bad {
            let mut tower = tower(proxy.clone(), Endpoint::new(host, 1883), &[]);
            tower.start();
            let [error @ ConnectionError::Transport { cause, .. }] = &tower.losses()[..] else {
                panic!("{:?}", tower.losses())
            };
            assert!(matches!(cause, Cause::Proxy(ProxyError::ServerName(_))));
            let error = (error.to_string(), error.fault());
            assert!(error.0.contains(words), "{error:?}");
            assert_eq!(error.1, Fault::Caller);
            // Nothing was looked up or dialled, and it is not tried again.
            assert_eq!(tower.actions, []);
            assert!(matches!(tower.events.last(), Some(Event::Closed)));
        }
    }
}

#[test]
fn proxies_are_read_from_urls() {
    let good = [
        (
            "http://proxy.example:3128",
            Proxy::http("proxy.example", 3128),
        ),
        ("HTTP://proxy.example/", Proxy::http("proxy.example", 80)),
        ("socks5://192.0.2.9", Proxy::socks5("192.0.2.9", 1080)),
        ("socks5h://[::1]:9050", Proxy::socks5("::1", 9050)),
        ("http://[::1]", Proxy::http("::1", 80)),
        (
            "http://me:hunter2@a:1",
            Proxy::http("a", 1).credentials("me", "hunter2"),
        ),
        ("http://me@a:1", Proxy::http("a", 1).credentials("me", "")),
        (
            "socks5://J%c3%bcrgen%3A:a%2Fb%40%00%FF:c@a:1",
            Proxy::socks5("a", 1).credentials("J\u{fc}rgen:", b"a/b@\0\xFF:c"),
        ),
        (
            "http://me:a@b@c:1",
            Proxy::http("c", 1).credentials("me", "a@b"),
        ),
    ];
    for (url, proxy) in good {
        assert_eq!(Proxy::parse(url).as_ref(), Ok(&proxy), "{url}");
        assert_eq!(url.parse(), Ok(proxy));
    }
    assert_eq!(Proxy::http("::1", 3128).to_string(), "http://[::1]:3128");
    assert_eq!(
        Proxy::parse("socks5h://a").unwrap().to_string(),
        "socks5://a:1080"
    );
}

#[test]
fn a_url_of_no_proxy_is_refused_and_not_repeated() {
    let bad = [
        ("", "Scheme"),
        ("hunter2", "Scheme"),
        ("proxy.example:3128", "Scheme"),
        ("socks4://hunter2", "Scheme"),
        ("mqtt://hunter2", "Scheme"),
        ("https://hunter2:3128", "Https"),
        ("http://", "Host("),
        ("http://me:hunter2@", "Host("),
        ("http://[::1:hunter2", "Host("),
        ("http://hunter2 :1", "Host("),
        ("http://a:hunter2", "Port"),
        ("http://a:0", "Port"),
        ("http://a:65536", "Port"),
        ("http://a:1/hunter2", "Extra"),
        ("http://a:1?hunter2", "Extra"),
        ("http://me:hunt/er2@a", "Credentials("),
        ("http://me:%hunter2@a", "Credentials("),
    ];
    for (url, kind) in bad {
        let error = Proxy::parse(url).expect_err(url);
        assert!(format!("{error:?}").starts_with(kind), "{url}: {error:?}");
        let told = format!("{error} {error:?}");
        assert!(!told.contains("hunt"), "{told}");
    }
    // What cannot be configured cannot be read, either.
    for url in [
        "http://a%3Ab:c@d",
        "http://a:%0D%0A@d",
        "socks5://:a@d",
        "http://%FF@a",
    ] {
        let error = Proxy::parse(url).expect_err(url);
        assert!(matches!(error, E::Credentials(_)), "{url}: {error:?}");
    }
}
