use core::fmt;

use bytes::Bytes;
use mqtt_proto::{Text, TextError};

/// User name and password, for one attempt to connect. `Debug` does not show the password.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    pub(crate) user_name: Option<Text>,
    pub(crate) password: Option<Bytes>,
}

impl Credentials {
    /// User name and password, of at most 65,535 bytes each. The password may be of any kind, `&str`, `&[u8]`, `Vec<u8>` or `[u8; 8]`,
    /// and is copied.
    ///
    /// # Errors
    ///
    /// The user name is no MQTT string.
    pub fn new(user_name: &str, password: impl AsRef<[u8]>) -> Result<Self, TextError> {
        Ok(Self {
            user_name: Some(Text::try_from(user_name)?),
            password: Some(Bytes::copy_from_slice(password.as_ref())),
        })
    }

    /// A password without a user name, which only 5.0 can carry.
    pub fn password(password: impl AsRef<[u8]>) -> Self {
        Self {
            user_name: None,
            password: Some(Bytes::copy_from_slice(password.as_ref())),
        }
    }

    /// A user name without a password.
    ///
    /// # Errors
    ///
    /// It is no MQTT string.
    pub fn user_name(user_name: &str) -> Result<Self, TextError> {
        Ok(Self {
            user_name: Some(Text::try_from(user_name)?),
            password: None,
        })
    }

    /// Neither.
    pub fn none() -> Self {
        Self::default()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user_name", &self.user_name)
            .field("password", &self.password.as_ref().map(|_| "(secret)"))
            .finish()
    }
}
