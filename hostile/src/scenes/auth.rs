//! Entry 23: authentications that go wrong.

use std::io::Write;
use std::net::TcpStream;

use mqtt_behaviour::Adapter;
use mqtt_session::auth::{AuthAnswer, AuthError, AuthInput, Authenticator, Mechanism, Scram};
use mqtt_session::client::{Answers, ConnectError};
use mqtt_session::proto::{Packet, PacketType, PropertiesRef, ReasonCode, Version};
use mqtt_session::{ConnectionError, Fault, ReauthenticateError, Violation};

use super::{About, List};
use crate::Result;
use crate::ground::{Near, Packets, Peer, accept, config, read_to_end, serve};
use crate::script::{string, varint};

/// What AUTH and CONNACK begin with.
const CONNACK: u8 = 0x20;
const AUTH: u8 = 0xF0;
const METHOD: &str = "SCRAM-SHA-256";

pub(super) fn add(list: &mut List) {
    let about = About::Entry(23);
    list.add(about, "another method than that of CONNECT", other_method);
    list.add(about, "challenges without an end", endless);
    list.add(
        about,
        "a server that can not show that it knows the password",
        signature,
    );
    list.add(
        about,
        "too few and too many iterations, of which none is computed",
        iterations,
    );
    list.add(about, "a nonce that does not extend ours", nonce);
    list.add(about, "a re-authentication that is refused", refused_again);
}

/// CONNACK or AUTH with this method and data.
fn packet(first: u8, head: &[u8], method: &str, data: &[u8]) -> Vec<u8> {
    let method = [&[0x15][..], &string(method)].concat();
    let properties = [&method[..], &[0x16], &string(data)].concat();
    let body = [head, &varint(properties.len()), &properties].concat();
    [&[first][..], &varint(body.len()), &body].concat()
}

fn challenge(method: &str, data: &str) -> Vec<u8> {
    packet(AUTH, &[0x18], method, data.as_bytes())
}

/// The data of the client's next packet.
fn data(packets: &mut Packets, stream: &mut TcpStream) -> Result<String> {
    let said = |properties: PropertiesRef<'_>| {
        let data = properties.authentication_data().unwrap_or_default();
        String::from_utf8_lossy(data).into_owned()
    };
    match packets.next(stream)? {
        Packet::Connect(connect) => Ok(said(connect.properties.view())),
        Packet::Auth(auth) => Ok(said(auth.properties.view())),
        other => Err(format!("{other:?} came").into()),
    }
}

/// The nonce of the client's first message: `n,,n=user,r=...`.
fn nonce_of(first: &str) -> Result<&str> {
    first
        .split_once("r=")
        .map(|(_, nonce)| nonce)
        .ok_or_else(|| first.into())
}

fn scram() -> Result<Scram> {
    let nonce = || Ok(vec![7; 18]);
    Ok(Scram::new(Mechanism::Sha256, "user", "pencil", nonce)?)
}

/// Connects once; what it ends with, and the reason that the server is told.
async fn failure(
    adapter: &dyn Adapter,
    authenticator: impl Authenticator + Send + 'static,
    say: impl FnOnce(&mut Packets, &mut TcpStream) -> Result + Send + 'static,
) -> Result<(ConnectionError, u8)> {
    let (tell, told) = std::sync::mpsc::channel();
    let peer = Peer::new(move |listener| {
        let mut stream = accept(&listener)?;
        let mut packets = Packets::new(Version::V5);
        say(&mut packets, &mut stream)?;
        let rest = [packets.rest(), read_to_end(&mut stream)?].concat();
        let [.., 0xE0, 1, reason] = rest[..] else {
            return Err(format!("{rest:x?} came, and no DISCONNECT").into());
        };
        tell.send(reason)?;
        drop(stream);
        serve(&listener)
    })?;
    let config = config(Version::V5).authentication_method(authenticator.method());
    let answers = Answers::new().authenticator(authenticator);
    let connecting = adapter.connect_with(&peer.url(), config.build()?, answers);
    let error = match connecting.await {
        Err(ConnectError::Connection(error)) => *error,
        Err(other) => return Err(other.into()),
        Ok(_) => return Err("it was accepted".into()),
    };
    let next = Near::start(adapter, &peer.url(), crate::ground::config(Version::V5))?;
    next.works().await?;
    next.leave().await?;
    peer.join()?;
    Ok((error, told.recv()?))
}

fn assert_authentication(failure: (ConnectionError, u8), wanted: &AuthError) {
    let (error, reason) = failure;
    let ConnectionError::Authentication { error: ref why, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(why, wanted);
    assert_eq!(
        (error.fault(), ReasonCode(reason)),
        (Fault::Peer, wanted.reason())
    );
    assert!(error.to_string().contains(&wanted.to_string()), "{error}");
}

async fn other_method(adapter: &dyn Adapter) -> Result {
    for (first, head, packet_type) in [
        (AUTH, &[0x18][..], PacketType::Auth),
        (CONNACK, &[0, 0], PacketType::ConnAck),
    ] {
        let (error, reason) = failure(adapter, scram()?, move |packets, stream| {
            data(packets, stream)?;
            Ok(stream.write_all(&packet(first, head, "SCRAM-SHA-1", b"r=x"))?)
        })
        .await?;
        let wanted = Violation::AuthenticationMethod {
            packet: packet_type,
        };
        let is_wanted =
            matches!(error, ConnectionError::Protocol { violation, .. } if violation == wanted);
        assert!(is_wanted, "{error:?}");
        assert_eq!((error.fault(), reason), (Fault::Peer, 0x82));
    }
    Ok(())
}

/// Has an answer to everything.
struct Patient;

impl Authenticator for Patient {
    fn method(&self) -> &str {
        METHOD
    }
    fn begin(&mut self, _: bool) -> std::result::Result<AuthAnswer, AuthError> {
        Ok(AuthAnswer::default())
    }
    fn challenge(&mut self, _: AuthInput<'_>) -> std::result::Result<AuthAnswer, AuthError> {
        Ok("yes".into())
    }
    fn verify(&mut self, _: AuthInput<'_>) -> std::result::Result<(), AuthError> {
        Ok(())
    }
}

async fn endless(adapter: &dyn Adapter) -> Result {
    // This is tried again, as it may be another server then.
    let peer = Peer::new(|listener| {
        let mut stream = accept(&listener)?;
        let mut packets = Packets::new(Version::V5);
        packets.connect(&mut stream)?;
        for _ in 0..16 {
            stream.write_all(&challenge(METHOD, "and?"))?;
            assert_eq!(data(&mut packets, &mut stream)?, "yes");
        }
        stream.write_all(&challenge(METHOD, "and?"))?;
        assert_eq!(read_to_end(&mut stream)?, [0xE0, 1, 0x82]);
        Ok(())
    })?;
    let config = config(Version::V5).authentication_method(METHOD).build()?;
    let answers = Answers::new().authenticator(Patient);
    let error = adapter.connect_with(&peer.url(), config, answers).await;
    let Err(ConnectError::Connection(error)) = error else {
        return Err("another error".into());
    };
    let ConnectionError::Protocol { violation, .. } = *error else {
        return Err(error.into());
    };
    assert_eq!(violation, Violation::AuthChallenges { max: 16 });
    peer.join()
}

async fn signature(adapter: &dyn Adapter) -> Result {
    let failure = failure(adapter, scram()?, |packets, stream| {
        let first = data(packets, stream)?;
        let nonce = nonce_of(&first)?;
        let ask = format!("r={nonce}more,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        stream.write_all(&challenge(METHOD, &ask))?;
        data(packets, stream)?;
        let made_up = b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        Ok(stream.write_all(&packet(CONNACK, &[0, 0], METHOD, made_up))?)
    })
    .await?;
    assert_authentication(failure, &AuthError::Signature);
    Ok(())
}

async fn iterations(adapter: &dyn Adapter) -> Result {
    // That none is computed shows in that this ends: four billion take half an hour.
    for iterations in [1, 4_000_000_000] {
        let failure = failure(adapter, scram()?, move |packets, stream| {
            let first = data(packets, stream)?;
            let nonce = nonce_of(&first)?;
            let ask = format!("r={nonce}more,s=W22ZaJ0SNY7soEsUEjb6gQ==,i={iterations}");
            Ok(stream.write_all(&challenge(METHOD, &ask))?)
        })
        .await?;
        let (min, max) = (4096, 600_000);
        let wanted = AuthError::Iterations {
            iterations,
            min,
            max,
        };
        assert_authentication(failure, &wanted);
    }
    Ok(())
}

async fn nonce(adapter: &dyn Adapter) -> Result {
    let failure = failure(adapter, scram()?, |packets, stream| {
        data(packets, stream)?;
        let ask = "r=another,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        Ok(stream.write_all(&challenge(METHOD, ask))?)
    })
    .await?;
    assert_authentication(failure, &AuthError::Nonce);
    Ok(())
}

async fn refused_again(adapter: &dyn Adapter) -> Result {
    let peer = Peer::new(|listener| {
        let mut stream = accept(&listener)?;
        let mut packets = Packets::new(Version::V5);
        packets.connect(&mut stream)?;
        stream.write_all(&packet(CONNACK, &[0, 0], METHOD, b""))?;
        data(&mut packets, &mut stream)?;
        stream.write_all(&[0xE0, 1, 0x87])?;
        assert_eq!(read_to_end(&mut stream)?, []);
        Ok(())
    })?;
    let config = config(Version::V5).authentication_method(METHOD).build()?;
    let answers = Answers::new().authenticator(Patient);
    let client = adapter.connect_with(&peer.url(), config, answers).await?;
    let Err(ReauthenticateError::Lost(error)) = client.reauthenticate().await else {
        return Err("it was not refused".into());
    };
    assert_eq!(error.reason(), Some(ReasonCode::NOT_AUTHORIZED));
    let closed = client.closed().await;
    let reason = closed.error.and_then(|error| error.reason());
    assert_eq!(reason, Some(ReasonCode::NOT_AUTHORIZED));
    peer.join()
}
