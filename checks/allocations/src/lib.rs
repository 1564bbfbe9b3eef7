//! There are only tests here: `tests/codec.rs`.
