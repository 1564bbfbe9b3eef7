//! The keys of SCRAM and what is signed with them (RFC 5802, section 3).

use alloc::vec::Vec;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use zeroize::Zeroizing;

/// SCRAM with one of its hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// SCRAM-SHA-1 (RFC 5802): for servers that have no other.
    Sha1,
    /// SCRAM-SHA-256 (RFC 7677).
    Sha256,
    /// SCRAM-SHA-512.
    Sha512,
}

/// What is derived from a password once. Whoever has it can pose as this client, if not log in by the password elsewhere.
pub(super) struct Keys {
    mechanism: Mechanism,
    salt: Vec<u8>,
    iterations: u32,
    client: Zeroizing<Vec<u8>>,
    server: Zeroizing<Vec<u8>>,
}

impl Mechanism {
    /// Its name, which is that of the authentication method.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SCRAM-SHA-1",
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }

    fn hash(self, data: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Self::Sha1 => Sha1::digest(data).to_vec(),
            Self::Sha256 => Sha256::digest(data).to_vec(),
            Self::Sha512 => Sha512::digest(data).to_vec(),
        })
    }

    fn hmac(self, key: &[u8], data: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Self::Sha1 => keyed::<Hmac<Sha1>>(key, data)
                .finalize()
                .into_bytes()
                .to_vec(),
            Self::Sha256 => keyed::<Hmac<Sha256>>(key, data)
                .finalize()
                .into_bytes()
                .to_vec(),
            Self::Sha512 => keyed::<Hmac<Sha512>>(key, data)
                .finalize()
                .into_bytes()
                .to_vec(),
        })
    }

    /// In constant time.
    fn is_hmac(self, key: &[u8], data: &[u8], hmac: &[u8]) -> bool {
        match self {
            Self::Sha1 => keyed::<Hmac<Sha1>>(key, data).verify_slice(hmac),
            Self::Sha256 => keyed::<Hmac<Sha256>>(key, data).verify_slice(hmac),
            Self::Sha512 => keyed::<Hmac<Sha512>>(key, data).verify_slice(hmac),
        }
        .is_ok()
    }

    fn salted(self, password: &str, salt: &[u8], iterations: u32) -> Zeroizing<Vec<u8>> {
        let password = password.as_bytes();
        let len = match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        };
        let mut salted = Zeroizing::new(alloc::vec![0; len]);
        match self {
            Self::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, iterations, &mut salted),
            Self::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut salted),
            Self::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, iterations, &mut salted),
        }
        salted
    }
}

impl Keys {
    /// The expensive part: as many rounds as `iterations`.
    pub(super) fn derive(
        mechanism: Mechanism,
        password: &str,
        salt: Vec<u8>,
        iterations: u32,
    ) -> Self {
        let salted = mechanism.salted(password, &salt, iterations);
        Self {
            mechanism,
            salt,
            iterations,
            client: mechanism.hmac(&salted, b"Client Key"),
            server: mechanism.hmac(&salted, b"Server Key"),
        }
    }

    pub(super) fn are_of(&self, salt: &[u8], iterations: u32) -> bool {
        self.salt == salt && self.iterations == iterations
    }

    pub(super) fn proof(&self, auth_message: &[u8]) -> Vec<u8> {
        let stored = self.mechanism.hash(&self.client);
        let signature = self.mechanism.hmac(&stored, auth_message);
        let pairs = self.client.iter().zip(signature.iter());
        pairs.map(|(key, signature)| key ^ signature).collect()
    }

    pub(super) fn is_signed(&self, auth_message: &[u8], signature: &[u8]) -> bool {
        self.mechanism
            .is_hmac(&self.server, auth_message, signature)
    }
}

fn keyed<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> M {
    // HMAC takes keys of any length.
    let mut mac = M::new_from_slice(key).unwrap_or_else(|_| M::new(&Default::default()));
    mac.update(data);
    mac
}
