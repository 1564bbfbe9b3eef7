//! For a Cortex-M4 with its floating-point unit: a modem on the first serial line carries the bytes. Addresses are those of Arm's MPS2 board (AN386), which QEMU has.
//!
//!     cargo build --release --bin board --target thumbv7em-none-eabihf
//!     qemu-system-arm -M mps2-an386 -display none -monitor none -serial tcp:127.0.0.1:1883 -kernel target/thumbv7em-none-eabihf/release/board
//!
//! It publishes a reading each second. Elsewhere take another `Serial` and another `memory.x`.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod board {
    use core::ptr::{addr_of_mut, with_exposed_provenance_mut};
    use core::sync::atomic::{AtomicU32, Ordering};

    use bytes::BytesMut;
    use cortex_m::peripheral::syst::SystClkSource;
    use cortex_m_rt::{entry, exception};
    use embedded_alloc::LlffHeap;
    use mqtt_bare::{Node, Wire};
    use mqtt_session::Instant;

    const CLOCK_HZ: u32 = 25_000_000;
    const HEAP_BYTES: usize = 48 * 1024;

    #[global_allocator]
    static HEAP: LlffHeap = LlffHeap::empty();

    /// Milliseconds since the start. A product that runs for longer than 49 days counts on.
    static MILLIS: AtomicU32 = AtomicU32::new(0);

    #[exception]
    fn SysTick() {
        MILLIS.fetch_add(1, Ordering::Relaxed);
    }

    fn now() -> Instant {
        Instant::from_nanos(u64::from(MILLIS.load(Ordering::Relaxed)) * 1_000_000)
    }

    #[entry]
    fn main() -> ! {
        static mut MEMORY: [u8; HEAP_BYTES] = [0; HEAP_BYTES];
        // Once, before anything is allocated; nobody else has the array.
        unsafe { HEAP.init(addr_of_mut!(*MEMORY) as usize, HEAP_BYTES) }
        let mut cores = cortex_m::Peripherals::take().expect("once");
        cores.SYST.set_clock_source(SystClkSource::Core);
        cores.SYST.set_reload(CLOCK_HZ / 1000 - 1);
        cores.SYST.clear_current();
        cores.SYST.enable_counter();
        cores.SYST.enable_interrupt();

        let mut serial = Serial::new();
        let seed = 7; // of the random number generator that the board should have
        let mut node = Node::new(now(), "board-7", seed);
        let (mut readings, mut next) = (0, now());
        loop {
            node.turn(now(), &mut serial);
            if now() >= next && node.publish(now(), readings) {
                readings += 1;
                next = next + core::time::Duration::from_secs(1);
            }
            node.turn(now(), &mut serial);
            // Until the next tick. With an interrupt for the line the timer could be set to the deadline instead.
            if !serial.has_input() {
                cortex_m::asm::wfi();
            }
        }
    }

    /// The CMSDK UART. The modem is taken to be connected, and to lead to the broker.
    struct Serial(*mut u32);

    const DATA: usize = 0;
    const STATE: usize = 1;
    const CONTROL: usize = 2;
    const BAUD: usize = 4;
    const OUTPUT_FULL: u32 = 1;
    const INPUT_FULL: u32 = 2;

    impl Serial {
        fn new() -> Self {
            let line = Self(with_exposed_provenance_mut(0x4000_4000));
            line.set(BAUD, CLOCK_HZ / 115_200);
            line.set(CONTROL, 0b11);
            line
        }

        fn get(&self, register: usize) -> u32 {
            // A register of the line, which only this has.
            unsafe { self.0.add(register).read_volatile() }
        }

        fn set(&self, register: usize, value: u32) {
            unsafe { self.0.add(register).write_volatile(value) }
        }

        fn has_input(&self) -> bool {
            self.get(STATE) & INPUT_FULL != 0
        }
    }

    impl Wire for Serial {
        fn open(&mut self) -> bool {
            while self.has_input() {
                self.get(DATA);
            }
            true
        }

        fn close(&mut self) {}

        fn is_open(&self) -> bool {
            true
        }

        fn read(&mut self, into: &mut BytesMut) {
            while self.has_input() {
                into.extend_from_slice(&[self.get(DATA) as u8]);
            }
        }

        fn write(&mut self, bytes: &[u8]) -> usize {
            let mut written = 0;
            for byte in bytes {
                if self.get(STATE) & OUTPUT_FULL != 0 {
                    break;
                }
                self.set(DATA, u32::from(*byte));
                written += 1;
            }
            written
        }
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        loop {
            cortex_m::asm::wfi();
        }
    }
}

/// Elsewhere there is nothing to run.
#[cfg(not(target_os = "none"))]
fn main() {}
