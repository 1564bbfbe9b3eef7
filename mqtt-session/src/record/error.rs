use alloc::string::String;

use mqtt_proto::DecodeError;

/// Why bytes are no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The bytes end within a record. At the end of a log this is a write that a crash has cut off, and nothing depends on it: what was
    /// not reported with `handle_stored` may be left out. Anywhere else bytes are missing.
    #[error("a record of {wanted} bytes is cut off after {got}")]
    Truncated {
        /// How many bytes it has.
        wanted: usize,
        /// How many there are.
        got: usize,
    },
    /// The check sum of the record's length, or of its body, is wrong: the bytes were altered, or never written.
    #[error("the check sum of the record's {part} is {found:08x}, and should be {expected:08x}")]
    CheckSum {
        /// Length or body.
        part: &'static str,
        /// What stands there.
        found: u32,
        /// What the bytes give.
        expected: u32,
    },
    /// The record was written in another format.
    #[error("the format version of the records is {found}, and this code knows {known}")]
    FormatVersion {
        /// That of the record.
        found: u8,
        /// That of this code.
        known: u8,
    },
    /// The record is whole, and says what no record says.
    #[error("the record has a bad {field}")]
    Bad {
        /// What is wrong in it.
        field: &'static str,
    },
    /// The message in the record is none.
    #[error("the record's message: {0}")]
    Message(#[from] DecodeError),
}

/// Why no session could be made of records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The configuration has [`Durability::Off`](crate::Durability::Off): what is restored would be forgotten.
    #[error("records can't be restored while `durability` is off")]
    Off,
    /// The records are those of another session.
    #[error(
        "the records are of another session: the {field} is {recorded:?} there, and {configured:?} in the configuration"
    )]
    Mismatch {
        /// Server group, client identifier, protocol version or session expiry (in seconds).
        field: &'static str,
        /// What the records say.
        recorded: String,
        /// What the configuration says.
        configured: String,
    },
    /// A record can't stand where it stands: records before it are missing, or are not in their order.
    #[error("record {index} does not fit those before it: {problem}")]
    Misfit {
        /// Which one, from 0.
        index: usize,
        /// What is wrong.
        problem: &'static str,
    },
}
