//! The server's side of SCRAM, for the model broker: written from RFC 5802, and sharing no code with the client's.

use base64ct::{Base64, Encoding};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use mqtt_session::proto::ReasonCode;
use mqtt_testkit::{AuthStep, Authenticator, ConnId};
use sha2::{Digest, Sha256};

/// What a server keeps of a password: not enough to log in with.
#[derive(Clone, Debug)]
pub(crate) struct ScramServer {
    pub(crate) user_name: String,
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: u32,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
    /// Refuses whoever authenticates for the second time on a connection.
    pub(crate) refuses_again: bool,
    exchanges: u32,
    /// What has been said before the client's last message, and the nonce of both.
    said: Option<(String, String)>,
}

fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}

impl ScramServer {
    pub(crate) fn new(user_name: &str, password: &str, iterations: u32) -> Self {
        let salt = b"a grain of salt".to_vec();
        // Hi() of section 2.2.
        let mut u = hmac(password.as_bytes(), &[&salt[..], &[0, 0, 0, 1]].concat());
        let mut salted = u.clone();
        for _ in 1..iterations {
            u = hmac(password.as_bytes(), &u);
            salted.iter_mut().zip(&u).for_each(|(s, u)| *s ^= u);
        }
        let client_key = hmac(&salted, b"Client Key");
        Self {
            user_name: user_name.into(),
            salt,
            iterations,
            stored_key: Sha256::digest(client_key).to_vec(),
            server_key: hmac(&salted, b"Server Key"),
            refuses_again: false,
            exchanges: 0,
            said: None,
        }
    }

    /// Knows as much as a thief: the answer to a proof is made up.
    pub(crate) fn without_server_key(self) -> Self {
        Self {
            server_key: vec![0; 32],
            ..self
        }
    }

    fn first(&mut self, message: &str) -> Option<AuthStep> {
        let bare = message.strip_prefix("n,,")?;
        let (name, nonce) = bare.strip_prefix("n=")?.split_once(",r=")?;
        if name.replace("=2C", ",").replace("=3D", "=") != self.user_name {
            return Some(AuthStep::Refuse(ReasonCode::NOT_AUTHORIZED));
        }
        self.exchanges += 1;
        let nonce = format!("{nonce}-server-{}", self.exchanges);
        let salt = Base64::encode_string(&self.salt);
        let answer = format!("r={nonce},s={salt},i={}", self.iterations);
        self.said = Some((format!("{bare},{answer}"), nonce));
        Some(AuthStep::Continue(answer.into()))
    }

    fn last(&mut self, message: &str) -> Option<AuthStep> {
        let (said, nonce) = self.said.take()?;
        let (without_proof, proof) = message.rsplit_once(",p=")?;
        if without_proof != format!("c=biws,r={nonce}") {
            return None;
        }
        let auth_message = format!("{said},{without_proof}");
        let signature = hmac(&self.stored_key, auth_message.as_bytes());
        let proof = Base64::decode_vec(proof).ok()?;
        let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(p, s)| p ^ s).collect();
        if Sha256::digest(client_key)[..] != self.stored_key[..] {
            return Some(AuthStep::Refuse(ReasonCode::NOT_AUTHORIZED));
        }
        let signature = hmac(&self.server_key, auth_message.as_bytes());
        let answer = format!("v={}", Base64::encode_string(&signature));
        Some(AuthStep::Accept(Some(Bytes::from(answer))))
    }
}

impl Authenticator for ScramServer {
    fn step(&mut self, _: ConnId, first: bool, method: &str, data: Option<&[u8]>) -> AuthStep {
        if method != "SCRAM-SHA-256" {
            return AuthStep::Refuse(ReasonCode::BAD_AUTHENTICATION_METHOD);
        }
        if first && self.refuses_again && self.exchanges > 0 {
            return AuthStep::Refuse(ReasonCode::NOT_AUTHORIZED);
        }
        let message = std::str::from_utf8(data.unwrap_or_default()).unwrap_or_default();
        let step = if first {
            self.first(message)
        } else {
            self.last(message)
        };
        step.unwrap_or(AuthStep::Refuse(ReasonCode::PROTOCOL_ERROR))
    }
}
