//! Bytes with a place in them for a packet identifier that is known only when they are sent.

use mqtt_session::proto::PacketId;

/// Bytes that the server or the client sends. `ID` stands for the identifier of the request that is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Bytes(Vec<u8>),
    Id,
}

impl Script {
    /// Of hexadecimal digits in groups, and `ID`.
    pub(crate) fn hex(text: &str) -> Self {
        let parts = text.split_whitespace().map(|word| {
            if word == "ID" {
                return Part::Id;
            }
            assert!(word.len().is_multiple_of(2), "half a byte in {text}");
            let bytes = (0..word.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&word[at..at + 2], 16).expect("a hexadecimal number"));
            Part::Bytes(bytes.collect())
        });
        Self(parts.collect())
    }

    pub(crate) fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self(vec![Part::Bytes(bytes.into())])
    }

    /// A packet of its first byte and what follows the length.
    pub(crate) fn frame(first: u8, body: Self) -> Self {
        let header = [&[first][..], &varint(body.len())].concat();
        Self::bytes(header).then(body)
    }

    pub(crate) fn then(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub(crate) fn len(&self) -> usize {
        let lens = self.0.iter().map(|part| match part {
            Part::Bytes(bytes) => bytes.len(),
            Part::Id => 2,
        });
        lens.sum()
    }

    /// With the identifier in its place.
    ///
    /// # Panics
    ///
    /// Where it has a place, and there is none.
    pub fn with(&self, id: Option<PacketId>) -> Vec<u8> {
        let parts = self.0.iter().map(|part| match part {
            Part::Bytes(bytes) => bytes.clone(),
            Part::Id => id
                .expect("a request is under way")
                .get()
                .to_be_bytes()
                .into(),
        });
        parts.collect::<Vec<_>>().concat()
    }
}

/// A variable byte integer (section 1.5.5).
pub(crate) fn varint(mut value: usize) -> Vec<u8> {
    let mut encoded = Vec::new();
    loop {
        let byte = (value % 128) as u8;
        value /= 128;
        encoded.push(if value > 0 { byte | 0x80 } else { byte });
        if value == 0 {
            return encoded;
        }
    }
}

/// A string or binary data: two bytes of length, and the bytes.
pub(crate) fn string(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let len = u16::try_from(bytes.len()).expect("at most 65,535 bytes");
    [&len.to_be_bytes()[..], bytes].concat()
}
