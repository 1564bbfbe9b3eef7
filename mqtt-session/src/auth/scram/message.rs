//! The server's messages (RFC 5802, section 7), and the escaping of names in ours.

use alloc::string::String;
use alloc::vec::Vec;

use base64ct::{Base64, Encoding};

use crate::auth::AuthError;

pub(super) struct ServerFirst<'a> {
    pub(super) nonce: &'a str,
    pub(super) salt: Vec<u8>,
    /// Larger than a `u64` counts as the largest.
    pub(super) iterations: u64,
}

pub(super) enum Reply<'a> {
    Signature(Vec<u8>),
    Error(&'a str),
}

pub(super) fn text(data: Option<&[u8]>) -> Result<&str, AuthError> {
    let data = data.ok_or(AuthError::Malformed("there are none"))?;
    core::str::from_utf8(data).map_err(|_| AuthError::Malformed("they are no UTF-8"))
}

pub(super) fn server_first(text: &str) -> Result<ServerFirst<'_>, AuthError> {
    let mut attributes = text.split(',');
    let mut next = |name, missing| {
        let attribute = attributes.next().and_then(|a| a.strip_prefix(name));
        attribute.ok_or(AuthError::Malformed(missing))
    };
    if let Some(words) = error(text) {
        return Err(AuthError::Refused(words.into()));
    }
    if text.starts_with("m=") {
        // Section 5.1: what is mandatory and not known.
        return Err(AuthError::Malformed("a mandatory extension is not known"));
    }
    let nonce = next("r=", "the nonce is not first")?;
    let salt = next("s=", "the salt is not second")?;
    let iterations = next("i=", "the iteration count is not third")?;
    if !nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(AuthError::Malformed(
            "the nonce has other characters than it may",
        ));
    }
    let salt = base64(salt, "the salt is no base64")?;
    if salt.is_empty() {
        return Err(AuthError::Malformed("the salt is empty"));
    }
    let digits = iterations.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || iterations.is_empty() || iterations.starts_with('0') {
        return Err(AuthError::Malformed("the iteration count is no number"));
    }
    Ok(ServerFirst {
        nonce,
        salt,
        iterations: iterations.parse().unwrap_or(u64::MAX),
    })
}

pub(super) fn server_final(text: &str) -> Result<Reply<'_>, AuthError> {
    if let Some(words) = error(text) {
        return Ok(Reply::Error(words));
    }
    let signature = text.split(',').next().and_then(|a| a.strip_prefix("v="));
    let signature = signature.ok_or(AuthError::Malformed("there is no signature"))?;
    base64(signature, "the signature is no base64").map(Reply::Signature)
}

fn error(text: &str) -> Option<&str> {
    text.strip_prefix("e=").and_then(|e| e.split(',').next())
}

fn base64(text: &str, what: &'static str) -> Result<Vec<u8>, AuthError> {
    Base64::decode_vec(text).map_err(|_| AuthError::Malformed(what))
}

/// A name in a message whose attributes are separated by commas.
pub(super) fn escape(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}
