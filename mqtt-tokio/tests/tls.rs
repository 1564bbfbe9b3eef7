//! TLS over sockets on loopback, against a server of rustls.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mqtt_tokio::transport::{Tls, TlsError};
use mqtt_tokio::{
    Answers, Cause, Config, ConnectError, ConnectionError, Endpoint, Phase, QoS, Timeouts,
    build_with_dialer, connect,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use server::{Result, Server, VERSIONS, config, soon};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{HandshakeKind, RootCertStore, ServerConfig, crypto};

/// An authority, what it has issued for this machine, and what it has issued for a client.
struct Certificates {
    authority: String,
    ours: (String, String),
    theirs: (String, String),
}

impl Certificates {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let issue = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(ToString::to_string).collect();
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(names).unwrap();
            let certificate = params.signed_by(&key, &issuer).unwrap();
            (certificate.pem(), key.serialize_pem())
        };
        Self {
            authority,
            ours: issue(&["sensor-7"]),
            theirs: issue(&["localhost", "127.0.0.1"]),
        }
    }

    fn tls(&self) -> Tls {
        let tls = Tls::builder().authority_pem(self.authority.as_bytes());
        tls.build().unwrap()
    }

    /// With a certificate of the client's.
    fn mutual(&self) -> Tls {
        let (certificate, key) = &self.ours;
        Tls::builder()
            .authority_pem(self.authority.as_bytes())
            .client_certificate_pem(certificate.as_bytes(), key.as_bytes())
            .build()
            .unwrap()
    }

    fn server(&self, asks: bool) -> ServerConfig {
        let provider = Arc::new(crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let builder = if asks {
            let mut roots = RootCertStore::empty();
            roots.add(der(&self.authority)).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::from_pem_slice(self.theirs.1.as_bytes()).unwrap();
        builder
            .with_single_cert(vec![der(&self.theirs.0)], key)
            .unwrap()
    }
}

/// The model broker behind TLS.
struct Secure {
    server: Arc<Server>,
    addr: SocketAddr,
    handshakes: mpsc::UnboundedReceiver<HandshakeKind>,
}

impl Secure {
    async fn start(config: ServerConfig) -> Result<Self> {
        let server = Arc::new(Server::start().await?);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let (tell, handshakes) = mpsc::unbounded_channel();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let behind = Arc::clone(&server);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, tell) = (acceptor.clone(), tell.clone());
                let behind = Arc::clone(&behind);
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(tcp).await {
                        let kind = stream.get_ref().1.handshake_kind();
                        let _ = tell.send(kind.unwrap());
                        behind.serve(stream).await;
                    }
                });
            }
        });
        Ok(Self {
            server,
            addr,
            handshakes,
        })
    }

    fn url(&self) -> String {
        format!("mqtts://localhost:{}", self.addr.port())
    }
}

async fn failure(url: String, config: Config) -> ConnectionError {
    match soon(connect(url, config)).await {
        Err(ConnectError::Connection(error)) => *error,
        other => panic!("{other:?}"),
    }
}

/// Of a failed handshake.
async fn cause(url: String, config: Config) -> Cause {
    match failure(url, config).await {
        ConnectionError::Handshake { cause, .. } => cause,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn messages_of_any_size_pass_in_all_versions_with_and_without_a_certificate_of_ours() -> Result
{
    let certificates = Certificates::new();
    for version in VERSIONS {
        for mutual in [false, true] {
            let secure = Secure::start(certificates.server(mutual)).await?;
            let tls = if mutual {
                certificates.mutual()
            } else {
                certificates.tls()
            };
            let config = config("client").version(version).tls(tls).build()?;
            let client = soon(connect(secure.url(), config)).await?;
            let mut all = soon(client.subscribe("#", QoS::ExactlyOnce)).await?;
            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
                for len in [0, 1, 16_384, 500_000] {
                    let payload = vec![len as u8; len];
                    soon(soon(client.publish("a", qos, payload.clone())).await?).await?;
                    let came = soon(all.next()).await.unwrap();
                    assert!(came.payload() == payload, "{len} bytes at {qos:?}");
                }
            }
            secure.server.assert_no_violations();
            client.disconnect(Duration::from_secs(5)).await;
        }
    }
    Ok(())
}

#[tokio::test]
async fn many_messages_in_flight_both_ways_pass_in_their_order() -> Result {
    let certificates = Certificates::new();
    let secure = Secure::start(certificates.server(false)).await?;
    let config = config("client").tls(certificates.tls()).build()?;
    let client = soon(connect(secure.url(), config)).await?;
    let mut all = soon(client.subscribe("#", QoS::AtLeastOnce)).await?;
    let publisher = client.clone();
    let publishing = tokio::spawn(async move {
        for number in 0..2000_u32 {
            let mut payload = number.to_be_bytes().to_vec();
            payload.resize(4 + number as usize % 3000, 7);
            let published = publisher.publish("a", QoS::AtLeastOnce, payload).await;
            drop(published.unwrap());
        }
    });
    for number in 0..2000_u32 {
        let message = soon(all.next()).await.unwrap();
        assert_eq!(message.payload()[..4], number.to_be_bytes());
    }
    soon(publishing).await?;
    secure.server.assert_no_violations();
    Ok(())
}

#[tokio::test]
async fn a_connection_that_is_cut_is_made_again_and_resumes() -> Result {
    let certificates = Certificates::new();
    let mut secure = Secure::start(certificates.server(false)).await?;
    let config = config("client").tls(certificates.tls()).build()?;
    let client = soon(connect(secure.url(), config)).await?;
    for resumed in [HandshakeKind::Full, HandshakeKind::Resumed] {
        assert_eq!(soon(secure.handshakes.recv()).await, Some(resumed));
        // The tickets are behind the handshake: with this answer they are here.
        soon(soon(client.publish("a", QoS::AtLeastOnce, "x")).await?).await?;
        let mut events = client.events();
        secure.server.cut();
        soon(events.next()).await;
        soon(client.connected()).await?;
    }
    secure.server.assert_no_violations();
    Ok(())
}

#[tokio::test]
async fn tls_is_spoken_over_a_stream_that_the_application_has_opened_too() -> Result {
    let certificates = Certificates::new();
    let secure = Secure::start(certificates.server(false)).await?;
    let config = config("client").tls(certificates.tls()).build()?;
    let dialer =
        |server: Endpoint| async move { TcpStream::connect((server.host(), server.port())).await };
    let (client, driver) = build_with_dialer(secure.url(), config, Answers::new(), dialer)?;
    tokio::spawn(driver);
    soon(client.connect()).await?;
    soon(soon(client.publish("a", QoS::ExactlyOnce, vec![1; 100_000])).await?).await?;
    secure.server.assert_no_violations();
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_not_trusted_or_is_another_gets_nothing_of_ours() -> Result {
    let certificates = Certificates::new();
    let secure = Secure::start(certificates.server(false)).await?;
    let stranger = config("client").tls(Certificates::new().tls()).build()?;
    // Both authorities have the same name.
    let refused = cause(secure.url(), stranger).await;
    assert!(
        matches!(
            refused,
            Cause::Tls(TlsError::BadCertificate(_) | TlsError::UnknownIssuer)
        ),
        "{refused:?}"
    );
    let other = certificates.tls().with_server_name("other.example")?;
    let other = config("client").tls(other).build()?;
    let refused = cause(secure.url(), other).await;
    assert!(
        matches!(refused, Cause::Tls(TlsError::WrongName(_))),
        "{refused:?}"
    );
    assert_eq!(secure.server.received("CONNECT"), 0);
    Ok(())
}

#[tokio::test]
async fn a_client_without_the_certificate_that_the_server_asks_for_is_told_so() -> Result {
    let certificates = Certificates::new();
    let secure = Secure::start(certificates.server(true)).await?;
    let config = config("client").tls(certificates.tls()).build()?;
    let refused = cause(secure.url(), config).await;
    assert_eq!(refused, Cause::Tls(TlsError::CertificateRequired));
    Ok(())
}

#[tokio::test]
async fn a_port_for_plain_mqtt_is_told_as_such() -> Result {
    let server = Server::start().await?;
    let url = server.url.replace("mqtt://", "mqtts://");
    let config = config("client").tls(Certificates::new().tls()).build()?;
    let refused = cause(url, config).await;
    assert_eq!(refused, Cause::Tls(TlsError::Closed));
    assert!(refused.to_string().contains("may not speak TLS"));
    Ok(())
}

#[tokio::test]
async fn a_peer_that_stays_silent_is_given_up_in_time_and_the_stream_closed() -> Result {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("mqtts://{}", listener.local_addr()?);
    let silent = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        // Until the client closes.
        tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut heard)
            .await
            .unwrap();
        heard
    });
    let mut timeouts = Timeouts::default();
    timeouts.handshake = Duration::from_millis(50);
    let config = config("client")
        .timeouts(timeouts)
        .tls(Certificates::new().tls())
        .build()?;
    let refused = cause(url, config).await;
    assert_eq!(refused, Cause::Tls(TlsError::TimedOut));
    let heard = soon(silent).await?;
    assert_eq!(heard[..2], [22, 3], "a client hello");
    assert!(heard.ends_with(&[21, 3, 3, 0, 2, 1, 0]), "close_notify");
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_cut_off_is_told_from_one_that_closes_in_order() -> Result {
    let certificates = Certificates::new();
    for in_order in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("mqtts://localhost:{}", listener.local_addr()?.port());
        let acceptor = TlsAcceptor::from(Arc::new(certificates.server(false)));
        tokio::spawn(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let (tcp, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(tcp).await.unwrap();
            let mut first = [0; 512];
            assert!(stream.read(&mut first).await.unwrap() > 0);
            if in_order {
                stream.shutdown().await.unwrap();
            } else {
                let tcp: &mut TcpStream = stream.get_mut().0;
                tcp.shutdown().await.unwrap();
            }
            // Until the client closes.
            let _ = stream.get_mut().0.read_to_end(&mut Vec::new()).await;
        });
        let config = config("client").tls(certificates.tls()).build()?;
        let error = failure(url, config).await;
        let ConnectionError::Unanswered { cause, .. } = &error else {
            panic!("{error:?}")
        };
        let expected = if in_order {
            Cause::Eof
        } else {
            Cause::Tls(TlsError::Truncated)
        };
        assert_eq!(*cause, expected);
    }
    Ok(())
}

#[tokio::test]
async fn a_certificate_that_the_server_has_signed_itself_is_trusted_where_it_is_given() -> Result {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let pem = signed.cert.pem();
    let mut certificates = Certificates::new();
    certificates.theirs = (pem.clone(), signed.signing_key.serialize_pem());
    let secure = Secure::start(certificates.server(false)).await?;
    let tls = Tls::builder().authority_pem(pem).build()?;
    let client = soon(connect(secure.url(), config("client").tls(tls).build()?)).await?;
    assert_eq!(client.phase(), Phase::Connected);
    // Not by default.
    let refused = failure(secure.url(), config("client").build()?).await;
    let refused = match refused {
        ConnectionError::Handshake { cause, .. } => cause,
        // A machine may have no authorities at all.
        ConnectionError::Transport { cause, .. } => cause,
        other => panic!("{other:?}"),
    };
    assert!(
        matches!(
            refused,
            Cause::Tls(TlsError::UnknownIssuer | TlsError::Config(_))
        ),
        "{refused:?}"
    );
    Ok(())
}
