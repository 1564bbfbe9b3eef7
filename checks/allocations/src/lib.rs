//! There are only tests here: `tests/codec.rs`, `tests/session.rs` and `tests/client.rs`.
