//! There are only tests here: `tests/codec.rs` and `tests/session.rs`.
