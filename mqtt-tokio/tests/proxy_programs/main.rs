//! Through proxies that nobody here wrote: tinyproxy (HTTP) and microsocks (SOCKS5). Where one is not installed its tests are shown as
//! ignored, unless `MQTT_REQUIRE_ALL` is set: then that is a failure.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod program;
#[path = "../server/mod.rs"]
mod server;
#[cfg(feature = "tls")]
mod tls;

use std::future::Future;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use mqtt_tokio::transport::{Proxy, ProxyError};
use mqtt_tokio::{
    Cause, ConfigBuilder, ConnectError, ConnectionError, QoS, Timeouts, Version, connect,
};
use program::{Program, find};
use server::{Result, Server, VERSIONS, config, soon};

const TINYPROXY: &str = "tinyproxy";
const MICROSOCKS: &str = "microsocks";

fn main() {
    let args = Arguments::from_args();
    let required = std::env::var_os("MQTT_REQUIRE_ALL").is_some();
    let mut trials = Vec::new();
    for name in [TINYPROXY, MICROSOCKS] {
        let missing = find(name).is_none() && !required;
        if missing {
            println!("not run: the tests with {name}, which is not installed (ci/install)");
        }
        let trials_of_this = of(name).into_iter();
        trials.extend(trials_of_this.map(|trial| trial.with_ignored_flag(missing)));
    }
    libtest_mimic::run(&args, trials).exit();
}

fn of(name: &'static str) -> Vec<Trial> {
    let mut trials = Vec::new();
    for version in VERSIONS {
        trials.push(trial(
            format!("{name}: messages pass both ways, and again after a cut, in {version}"),
            move || messages(name, version),
        ));
    }
    #[cfg(feature = "tls")]
    trials.push(trial(
        format!("{name}: TLS goes through as it is"),
        move || tls::through(name),
    ));
    trials.push(trial(
        format!("{name}: credentials are accepted, refused and missed"),
        move || credentials(name),
    ));
    trials.push(trial(
        format!("{name}: a server that does not listen is told"),
        move || nobody(name),
    ));
    trials.push(trial(
        format!("{name}: one that is taken for a proxy of the other kind is told"),
        move || crossed(name),
    ));
    if name == TINYPROXY {
        trials.push(trial(
            format!("{name}: a port that is not allowed is told"),
            not_allowed,
        ));
    }
    trials
}

fn trial<F: Future<Output = Result> + Send + 'static>(
    name: String,
    test: impl FnOnce() -> F + Send + 'static,
) -> Trial {
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let result = runtime.block_on(async { tokio::spawn(test()).await });
        match result {
            Err(panic) => Err(Failed::from(format!("{panic}"))),
            Ok(result) => result.map_err(|error| Failed::from(error.to_string())),
        }
    })
}

fn start(name: &str, login: Option<(&str, &str)>, more: &str) -> Result<Program> {
    Ok(match name {
        TINYPROXY => Program::tinyproxy(login, more)?,
        _ => Program::microsocks(login)?,
    })
}

fn proxy(name: &str, program: &Program) -> Proxy {
    let port = program.port();
    match name {
        TINYPROXY => Proxy::http("127.0.0.1", port),
        _ => Proxy::socks5("127.0.0.1", port),
    }
}

async fn messages(name: &str, version: Version) -> Result {
    let listener = tokio::net::TcpListener::bind("localhost:0").await?;
    let addr = listener.local_addr()?;
    let server = Server::on(listener, Default::default())?;
    let program = start(name, None, "")?;
    // By address and by name, which the proxy looks up.
    for url in [
        format!("mqtt://{addr}"),
        format!("mqtt://localhost:{}", addr.port()),
    ] {
        let config = config("client")
            .version(version)
            .proxy(proxy(name, &program));
        messages_pass(&server, url, config).await?;
    }
    server.assert_no_violations();
    Ok(())
}

/// Both ways, and again over connections that follow a cut.
async fn messages_pass(server: &Server, url: String, config: ConfigBuilder) -> Result {
    let client = soon(connect(url, config.build()?)).await?;
    let mut all = soon(client.subscribe("#", QoS::ExactlyOnce)).await?;
    for round in 0..2 {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let payload = vec![round; 300_000];
            soon(soon(client.publish("a", qos, payload.clone())).await?).await?;
            // What was not acknowledged before the cut comes again.
            while soon(all.next()).await.ok_or("no message")?.payload() != payload {}
        }
        let mut events = client.events();
        server.cut();
        soon(events.next()).await;
        soon(client.connected()).await?;
    }
    assert_eq!(client.stats().connections, 3);
    soon(client.disconnect(server::LONG)).await;
    Ok(())
}

/// Why the proxy is of no use.
async fn failure(config: ConfigBuilder, url: &str) -> Result<ProxyError> {
    match soon(connect(url, config.build()?)).await {
        Err(ConnectError::Connection(error)) => match *error {
            ConnectionError::Handshake {
                cause: Cause::Proxy(error),
                ..
            } => Ok(error),
            error => Err(error.into()),
        },
        other => Err(format!("{other:?}").into()),
    }
}

async fn credentials(name: &str) -> Result {
    let server = Server::start().await?;
    let program = start(name, Some(("me", "hunter2")), "")?;
    let proxy = || proxy(name, &program);
    let good = config("client").proxy(proxy().credentials("me", "hunter2"));
    let client = soon(connect(&server.url, good.build()?)).await?;
    soon(soon(client.publish("a", QoS::ExactlyOnce, "b")).await?).await?;
    let wrong = config("client").proxy(proxy().credentials("me", "hunter3"));
    assert_eq!(
        failure(wrong, &server.url).await?,
        ProxyError::CredentialsRefused
    );
    assert_eq!(
        failure(config("client").proxy(proxy()), &server.url).await?,
        ProxyError::CredentialsWanted
    );
    Ok(())
}

async fn nobody(name: &str) -> Result {
    let program = start(name, None, "")?;
    // Its port is nobody's again.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let url = format!("mqtt://{}", listener.local_addr()?);
    drop(listener);
    let config = config("client").proxy(proxy(name, &program));
    let error = failure(config, &url).await?;
    match (name, &error) {
        (TINYPROXY, ProxyError::Refused { status: 500, .. })
        | (MICROSOCKS, ProxyError::SocksRefused { reply: 5 }) => Ok(()),
        _ => Err(error.into()),
    }
}

async fn crossed(name: &str) -> Result {
    let program = start(name, None, "")?;
    let port = program.port();
    let (proxy, expected) = match name {
        // It waits for the end of a line.
        TINYPROXY => (Proxy::socks5("127.0.0.1", port), ProxyError::TimedOut),
        _ => (Proxy::http("127.0.0.1", port), ProxyError::NotHttp),
    };
    let mut timeouts = Timeouts::default();
    timeouts.handshake = Duration::from_secs(1);
    let config = config("client").proxy(proxy).timeouts(timeouts);
    assert_eq!(failure(config, "mqtt://127.0.0.1").await?, expected);
    Ok(())
}

async fn not_allowed() -> Result {
    let server = Server::start().await?;
    let program = start(TINYPROXY, None, "ConnectPort 1\n")?;
    let config = config("client").proxy(proxy(TINYPROXY, &program));
    let error = failure(config, &server.url).await?;
    assert!(
        matches!(error, ProxyError::Refused { status: 403, .. }),
        "{error}"
    );
    Ok(())
}
