//! Packets as bytes, written by hand from the specifications: the bytes are the packet, and the packet is the bytes.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

#[path = "../common/mod.rs"]
mod common;

mod acks;
mod connack;
mod connect;
mod ends;
mod integers;
mod properties;
mod publish;
mod reason_codes;
mod subscribe;
