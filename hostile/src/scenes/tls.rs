//! Entry 21: servers whose TLS is wrong. What `behaviour` has of it for every transport is not here again.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, OnceLock};

use mqtt_behaviour::Adapter;
use mqtt_session::client::ConnectError;
use mqtt_session::proto::Version;
use mqtt_session::transport::rustls::crypto::ring;
use mqtt_session::transport::rustls::pki_types::pem::PemObject;
use mqtt_session::transport::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use mqtt_session::transport::rustls::{ServerConfig, ServerConnection, StreamOwned};
use mqtt_session::transport::{Tls, TlsError};
use mqtt_session::{Cause, ConfigBuilder, ConnectionError, Fault};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

use super::{About, List};
use crate::Result;
use crate::ground::{Near, Packets, Peer, accept, config, serve_one};

pub(super) fn add(list: &mut List) {
    let about = About::Entry(21);
    list.add(
        about,
        "a certificate that has expired, or is for later",
        expired,
    );
    list.add(
        about,
        "a server that speaks another protocol over TLS",
        alpn,
    );
    list.add(about, "a stream that is cut off without close_notify", cut);
    list.add(about, "records that were tampered with", tampered);
}

pub(super) fn url(peer: &Peer) -> String {
    format!("mqtts://{}", peer.addr)
}

/// An authority of this process's, and what it has issued.
pub(super) struct Certificates {
    authority: String,
    good: Arc<ServerConfig>,
    old: Arc<ServerConfig>,
    early: Arc<ServerConfig>,
    other_protocol: Arc<ServerConfig>,
}

impl Certificates {
    pub(super) fn get() -> &'static Self {
        static CERTIFICATES: OnceLock<Certificates> = OnceLock::new();
        CERTIFICATES.get_or_init(|| Self::make().unwrap())
    }

    fn make() -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let authority = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        let issue = |from: i32, to: i32, alpn: &[u8]| -> Result<Arc<ServerConfig>> {
            let mut params = CertificateParams::new(vec!["127.0.0.1".into()])?;
            params.not_before = date_time_ymd(from, 1, 1);
            params.not_after = date_time_ymd(to, 1, 1);
            let key = KeyPair::generate()?;
            let certificate = params.signed_by(&key, &issuer)?;
            let provider = Arc::new(ring::default_provider());
            let builder = ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()?
                .with_no_client_auth();
            let chain = vec![CertificateDer::from_pem_slice(
                certificate.pem().as_bytes(),
            )?];
            let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes())?;
            let mut config = builder.with_single_cert(chain, key)?;
            config.alpn_protocols = vec![alpn.to_vec()];
            Ok(Arc::new(config))
        };
        Ok(Self {
            authority,
            good: issue(2000, 3000, b"mqtt")?,
            old: issue(2000, 2001, b"mqtt")?,
            early: issue(2999, 3000, b"mqtt")?,
            other_protocol: issue(2000, 3000, b"http/1.1")?,
        })
    }

    /// A server's end, before the handshake.
    pub(super) fn connection(&self) -> Result<ServerConnection> {
        Ok(ServerConnection::new(Arc::clone(&self.good))?)
    }
}

/// A client that trusts the authority.
pub(super) fn trusting(config: ConfigBuilder) -> ConfigBuilder {
    let tls = Tls::builder().authority_pem(Certificates::get().authority.as_bytes());
    config.tls(tls.alpn(["mqtt"]).build().unwrap())
}

/// A strict broker behind TLS, until the client leaves.
pub(super) fn serve(listener: &TcpListener) -> Result {
    loop {
        let connection = Certificates::get().connection()?;
        if serve_one(&mut StreamOwned::new(connection, accept(listener)?))? {
            return Ok(());
        }
    }
}

/// What the handshake with a server of this configuration fails with, and that the next one is accepted.
async fn failure(adapter: &dyn Adapter, server: &Arc<ServerConfig>) -> Result<TlsError> {
    let server = Arc::clone(server);
    let peer = Peer::new(move |listener| {
        let mut stream = StreamOwned::new(ServerConnection::new(server)?, accept(&listener)?);
        // It does not come to a packet.
        let read = stream.read(&mut [0; 1]);
        assert!(!matches!(read, Ok(1..)), "it was sent something");
        drop(stream);
        serve(&listener)
    })?;
    let connecting = adapter.connect(&url(&peer), trusting(config(Version::V5)).build()?);
    let error = match connecting.await {
        Err(ConnectError::Connection(error)) => *error,
        other => return Err(format!("{other:?}").into()),
    };
    let ConnectionError::Handshake { addr, cause, .. } = &error else {
        return Err(error.into());
    };
    assert_eq!(*addr, peer.addr);
    assert_eq!(error.fault(), Fault::Peer);
    let Cause::Tls(cause) = cause else {
        return Err(error.into());
    };
    let cause = cause.clone();
    let near = Near::start(adapter, &url(&peer), trusting(config(Version::V5)))?;
    near.works().await?;
    near.leave().await?;
    peer.join()?;
    Ok(cause)
}

async fn expired(adapter: &dyn Adapter) -> Result {
    let certificates = Certificates::get();
    assert_eq!(
        failure(adapter, &certificates.old).await?,
        TlsError::Expired
    );
    let early = failure(adapter, &certificates.early).await?;
    assert_eq!(early, TlsError::NotYetValid);
    Ok(())
}

async fn alpn(adapter: &dyn Adapter) -> Result {
    let error = failure(adapter, &Certificates::get().other_protocol).await?;
    assert!(
        matches!(&error, TlsError::Refused(alert) if alert.contains("ApplicationProtocol")),
        "{error:?}"
    );
    Ok(())
}

/// Shakes hands, and accepts CONNECT.
pub(super) fn connected(
    listener: &TcpListener,
) -> Result<StreamOwned<ServerConnection, TcpStream>> {
    let connection = Certificates::get().connection()?;
    let mut stream = StreamOwned::new(connection, accept(listener)?);
    Packets::new(Version::V5).accept(&mut stream)?;
    stream.flush()?;
    Ok(stream)
}

async fn ends_with(
    adapter: &dyn Adapter,
    end: impl FnOnce(StreamOwned<ServerConnection, TcpStream>) -> Result + Send + 'static,
) -> Result<ConnectionError> {
    let peer = Peer::new(move |listener| {
        end(connected(&listener)?)?;
        serve(&listener)
    })?;
    let mut near = Near::start(adapter, &url(&peer), trusting(config(Version::V5)))?;
    let error = near.lost().await?;
    near.works().await?;
    near.leave().await?;
    peer.join()?;
    Ok(error)
}

async fn cut(adapter: &dyn Adapter) -> Result {
    // Half a packet goes before.
    let half = [0x30, 5, 0];
    let cut = ends_with(adapter, move |mut stream| {
        stream.write_all(&half)?;
        Ok(stream.flush()?)
    });
    let error = cut.await?;
    let ConnectionError::Closed { cause, .. } = &error else {
        return Err(error.into());
    };
    assert_eq!(cause, &Cause::Tls(TlsError::Truncated));
    assert_eq!(error.fault(), Fault::Network);
    let closed = ends_with(adapter, |mut stream| {
        stream.conn.send_close_notify();
        Ok(stream.flush()?)
    });
    let error = closed.await?;
    let ConnectionError::Closed { cause, .. } = &error else {
        return Err(error.into());
    };
    assert_eq!(cause, &Cause::Eof);
    Ok(())
}

async fn tampered(adapter: &dyn Adapter) -> Result {
    let error = ends_with(adapter, |mut stream| {
        stream
            .conn
            .writer()
            .write_all(&[0x30, 5, 0, 1, b'a', 0, b'x'])?;
        let mut record = Vec::new();
        stream.conn.write_tls(&mut record)?;
        *record.last_mut().ok_or("no record")? ^= 1;
        stream.sock.write_all(&record)?;
        // An alert comes, and the end.
        drop(stream.read(&mut [0; 1]));
        Ok(())
    });
    let error = error.await?;
    let ConnectionError::Closed { cause, .. } = &error else {
        return Err(error.into());
    };
    assert!(
        matches!(cause, Cause::Tls(TlsError::Protocol(_))),
        "{cause:?}"
    );
    assert_eq!(error.fault(), Fault::Peer);
    Ok(())
}
