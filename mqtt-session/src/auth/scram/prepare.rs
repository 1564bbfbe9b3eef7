use alloc::borrow::Cow;

use crate::auth::AuthError;

/// SASLprep (RFC 4013): the form in which user names and passwords are compared.
pub(super) fn prepare<'a>(what: &'static str, text: &'a str) -> Result<Cow<'a, str>, AuthError> {
    let refused = |why| AuthError::Credentials { what, why };
    let prepared = if text.is_ascii() {
        // All of ASCII maps to itself, and all but its control characters is allowed (RFC 3454, table C.2.1).
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(refused("it has control characters"));
        }
        Cow::Borrowed(text)
    } else {
        beyond_ascii(text).map_err(refused)?
    };
    if prepared.is_empty() {
        return Err(refused("it is empty"));
    }
    Ok(prepared)
}

#[cfg(feature = "saslprep")]
fn beyond_ascii(text: &str) -> Result<Cow<'_, str>, &'static str> {
    stringprep::saslprep(text).map_err(|_| "it has characters that SASLprep (RFC 4013) forbids")
}

#[cfg(not(feature = "saslprep"))]
fn beyond_ascii(_: &str) -> Result<Cow<'_, str>, &'static str> {
    Err("beyond ASCII it needs the feature `saslprep`")
}
