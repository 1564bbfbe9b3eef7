//! For WebAssembly: a page, or any other host, carries the bytes. The module imports nothing.
//!
//!     cargo build --release -p page --target wasm32-unknown-unknown
//!
//! The host calls `turn` when bytes have come, when `deadline` has passed, and after `publish`. Where `stream` then gives another number than before, it closes
//! its WebSocket, and opens one for the new number (0: none). What comes from it is put where `input` says, what is to be sent stands where
//! `output` says, and when it closes the host calls `ended`.
#![cfg_attr(target_arch = "wasm32", no_std)]
#![allow(missing_docs, reason = "the functions are listed above")]

extern crate alloc;

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::BytesMut;
use mqtt_bare::{Node, Wire};
use mqtt_session::Instant;

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static HEAP: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[cfg(target_arch = "wasm32")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// More output than this waits in the session, as messages.
const ROOM: usize = 4 * 1024;

pub struct Page {
    node: Node,
    wire: Memory,
}

/// The two buffers that the host reads and writes.
#[derive(Default)]
struct Memory {
    streams: u32,
    is_open: bool,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Wire for Memory {
    // The host's socket is not open yet: what is to be sent waits in `output`, and the time for CONNACK bounds how long.
    fn open(&mut self) -> bool {
        self.close();
        self.streams += 1;
        self.is_open = true;
        true
    }

    fn close(&mut self) {
        self.is_open = false;
        self.input.clear();
        self.output.clear();
    }

    fn is_open(&self) -> bool {
        self.is_open
    }

    fn read(&mut self, into: &mut BytesMut) {
        into.extend_from_slice(&self.input);
        self.input.clear();
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(ROOM - self.output.len());
        self.output.extend_from_slice(&bytes[..n]);
        n
    }
}

/// `now` is in nanoseconds, as everywhere.
#[unsafe(no_mangle)]
pub extern "C" fn create(now: u64, seed: u64) -> Box<Page> {
    let node = Node::new(Instant::from_nanos(now), "page-7", seed);
    let wire = Memory::default();
    Box::new(Page { node, wire })
}

#[unsafe(no_mangle)]
pub extern "C" fn turn(page: &mut Page, now: u64) {
    page.node.turn(Instant::from_nanos(now), &mut page.wire);
}

#[unsafe(no_mangle)]
pub extern "C" fn deadline(page: &Page) -> u64 {
    page.node.deadline().map_or(u64::MAX, Instant::as_nanos)
}

#[unsafe(no_mangle)]
pub extern "C" fn publish(page: &mut Page, now: u64, reading: u32) -> bool {
    page.node.publish(Instant::from_nanos(now), reading)
}

#[unsafe(no_mangle)]
pub extern "C" fn acknowledged(page: &Page) -> u32 {
    page.node.acknowledged()
}

#[unsafe(no_mangle)]
pub extern "C" fn lamp(page: &Page) -> bool {
    page.node.lamp()
}

#[unsafe(no_mangle)]
pub extern "C" fn stream(page: &Page) -> u32 {
    if page.wire.is_open {
        page.wire.streams
    } else {
        0
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn ended(page: &mut Page) {
    page.wire.is_open = false;
}

/// Room for so many bytes, which the next turn takes.
#[unsafe(no_mangle)]
pub extern "C" fn input(page: &mut Page, len: usize) -> *mut u8 {
    let before = page.wire.input.len();
    page.wire.input.resize(before + len, 0);
    page.wire.input[before..].as_mut_ptr()
}

#[unsafe(no_mangle)]
pub extern "C" fn output(page: &Page) -> *const u8 {
    page.wire.output.as_ptr()
}

#[unsafe(no_mangle)]
pub extern "C" fn output_len(page: &Page) -> usize {
    page.wire.output.len()
}

/// So many bytes of the output are sent.
#[unsafe(no_mangle)]
pub extern "C" fn sent(page: &mut Page, len: usize) {
    page.wire.output.drain(..len);
}
