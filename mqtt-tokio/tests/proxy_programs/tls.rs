//! TLS begins behind the proxy.

use std::sync::Arc;

use mqtt_tokio::transport::Tls;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

use super::*;

/// Messages pass, and who is trusted is the server: its name is that of the URL, whatever that of the proxy is.
pub(crate) async fn through(name: &str) -> Result {
    let server = Arc::new(Server::start().await?);
    let listener = TcpListener::bind("localhost:0").await?;
    let addr = listener.local_addr()?;
    let key = rcgen::KeyPair::generate()?;
    let certificate = rcgen::CertificateParams::new(["localhost".to_owned()])?.self_signed(&key)?;
    let acceptor = acceptor(&certificate.pem(), &key.serialize_pem())?;
    let broker = Arc::clone(&server);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, broker) = (acceptor.clone(), Arc::clone(&broker));
            tokio::spawn(async move {
                // Who breaks off the handshake is not served.
                if let Ok(stream) = acceptor.accept(stream).await {
                    broker.serve(stream).await;
                }
            });
        }
    });
    let program = start(name, Some(("me", "hunter2")), "")?;
    let proxy = proxy(name, &program).credentials("me", "hunter2");
    let tls = Tls::builder().authority_pem(certificate.pem().as_bytes());
    let config = config("client").tls(tls.build()?).proxy(proxy);
    let url = format!("mqtts://localhost:{}", addr.port());
    messages_pass(&server, url, config.clone()).await?;
    server.assert_no_violations();
    // The address of the proxy is in no certificate, and that of the server is not, either.
    let other = format!("mqtts://{addr}");
    let refused = soon(connect(other, config.build()?)).await;
    let error = refused
        .err()
        .ok_or("it is taken for localhost")?
        .to_string();
    assert!(
        error.contains("TLS: ") && error.contains("localhost"),
        "{error}"
    );
    Ok(())
}

fn acceptor(certificate: &str, key: &str) -> Result<TlsAcceptor> {
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes())?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(Arc::new(config).into())
}
