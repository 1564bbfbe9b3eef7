//! The module for WebAssembly, run against the model broker on virtual time, and the same client without it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bytes::BytesMut;
use mqtt_bare::{Node, Wire};
use mqtt_session::Instant;
use mqtt_session::proto::{Publish, QoS, Topic};
use mqtt_testkit::{Broker, BrokerConfig, ConnId};
use wasmi::{Engine, Instance, Linker, Memory, Module, Store, TypedFunc, WasmParams, WasmResults};

const TICK: Duration = Duration::from_millis(10);

/// Builds the module as its documentation says.
fn build() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let arguments = [
        "build",
        "--release",
        "--locked",
        "-p",
        "page",
        "--target",
        "wasm32-unknown-unknown",
    ];
    let built = Command::new(env!("CARGO"))
        .current_dir(folder)
        .args(arguments)
        .status()
        .unwrap();
    assert!(built.success(), "rustup target add wasm32-unknown-unknown");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(folder.join("target"), PathBuf::from);
    target.join("wasm32-unknown-unknown/release/page.wasm")
}

/// The broker's end.
struct Far {
    broker: Broker,
    conn: Option<ConnId>,
    input: BytesMut,
    output: Vec<u8>,
}

impl Far {
    fn new() -> Self {
        let broker = Broker::new(BrokerConfig::default());
        Self {
            broker,
            conn: None,
            input: BytesMut::new(),
            output: Vec::new(),
        }
    }

    fn open(&mut self, now: Duration) {
        self.close(now);
        self.conn = Some(self.broker.open(now));
    }

    fn close(&mut self, now: Duration) {
        self.input.clear();
        self.output.clear();
        if let Some(conn) = self.conn.take() {
            self.broker.closed(now, conn);
        }
    }

    /// Gives the broker this, and takes what it has.
    fn exchange(&mut self, now: Duration, bytes: &[u8]) -> Vec<u8> {
        self.broker.timeout(now);
        if let Some(conn) = self.conn {
            self.input.extend_from_slice(bytes);
            self.broker.input(now, conn, &mut self.input);
            self.broker.output(conn, &mut self.output);
        }
        std::mem::take(&mut self.output)
    }

    fn switch(&mut self, now: Duration, state: &'static str) {
        let message = Publish::new(Topic::try_from("lamp/set").unwrap(), state);
        self.broker.publish(now, &message, QoS::AtLeastOnce);
    }

    fn assert_readings(&self, count: usize) {
        let violations = self.broker.violations();
        assert!(
            violations.is_empty(),
            "{violations:?}\n{}",
            self.broker.ladder()
        );
        let received = self.broker.received().iter();
        let came = received.map(|received| received.message.payload().to_vec());
        let sent = (0..count).map(|n| n.to_string().into_bytes());
        assert!(came.eq(sent), "{}", self.broker.ladder());
    }
}

/// The module and its host.
struct Host {
    store: Store<()>,
    instance: Instance,
    memory: Memory,
    page: u32,
    stream: u32,
    now: Duration,
    far: Far,
}

impl Host {
    fn new() -> Self {
        let engine = Engine::default();
        let module = Module::new(&engine, std::fs::read(build()).unwrap()).unwrap();
        let imports: Vec<_> = module
            .imports()
            .map(|import| format!("{}.{}", import.module(), import.name()))
            .collect();
        assert!(imports.is_empty(), "it imports {imports:?}");
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine)
            .instantiate_and_start(&mut store, &module)
            .unwrap();
        let memory = instance.get_memory(&store, "memory").unwrap();
        let mut host = Self {
            store,
            instance,
            memory,
            page: 0,
            stream: 0,
            now: Duration::ZERO,
            far: Far::new(),
        };
        host.page = host.call("create", (0_u64, 7_u64));
        host
    }

    fn call<P: WasmParams, R: WasmResults>(&mut self, name: &str, params: P) -> R {
        let function: TypedFunc<P, R> = self.instance.get_typed_func(&self.store, name).unwrap();
        function.call(&mut self.store, params).unwrap()
    }

    fn tick(&mut self) {
        self.now += TICK;
        let (page, now) = (self.page, self.now);
        let () = self.call("turn", (page, now.as_nanos() as u64));
        let stream: u32 = self.call("stream", page);
        if stream != self.stream {
            self.stream = stream;
            if stream == 0 {
                self.far.close(now)
            } else {
                self.far.open(now)
            }
        }
        let (at, len): (u32, u32) = (self.call("output", page), self.call("output_len", page));
        let mut sent = vec![0; len as usize];
        self.memory
            .read(&self.store, at as usize, &mut sent)
            .unwrap();
        let () = self.call("sent", (page, len));
        let came = self.far.exchange(now, &sent);
        let at: u32 = self.call("input", (page, came.len() as u32));
        self.memory
            .write(&mut self.store, at as usize, &came)
            .unwrap();
    }

    /// Until this holds; ten minutes of virtual time at most.
    fn until(&mut self, what: &str, reached: impl Fn(&mut Self) -> bool) {
        for _ in 0..60_000 {
            if reached(self) {
                return;
            }
            self.tick();
        }
        panic!("in vain until {what}:\n{}", self.far.broker.ladder());
    }

    fn publish(&mut self, reading: u32) {
        let (page, now) = (self.page, self.now.as_nanos() as u64);
        let accepted: u32 = self.call("publish", (page, now, reading));
        assert_eq!(accepted, 1);
    }
}

#[test]
fn the_module_imports_nothing_and_is_a_client() {
    let mut host = Host::new();
    for reading in 0..5 {
        host.publish(reading);
    }
    host.until("five readings are acknowledged", |host| {
        host.call::<_, u32>("acknowledged", host.page) == 5
    });
    host.far.switch(host.now, "on");
    host.until("the lamp is on", |host| {
        host.call::<_, u32>("lamp", host.page) == 1
    });

    // The network ends; what happens meanwhile comes after the next stream is open.
    host.far.close(host.now);
    let () = host.call("ended", host.page);
    host.far.switch(host.now, "off");
    host.publish(5);
    host.until("the sixth is acknowledged", |host| {
        host.call::<_, u32>("acknowledged", host.page) == 6
    });
    host.until("the lamp is off", |host| {
        host.call::<_, u32>("lamp", host.page) == 0
    });
    assert_eq!(host.stream, 2);
    host.far.assert_readings(6);
}

/// A wire of which each end takes little at a time.
struct Narrow {
    now: Duration,
    far: Far,
    opens: usize,
    to_node: Vec<u8>,
    to_far: Vec<u8>,
}

impl Wire for Narrow {
    fn open(&mut self) -> bool {
        self.opens += 1;
        // The modem has no network yet.
        if self.opens == 1 {
            return false;
        }
        self.to_node.clear();
        self.to_far.clear();
        self.far.open(self.now);
        true
    }

    fn close(&mut self) {
        self.far.close(self.now);
    }

    fn is_open(&self) -> bool {
        self.far.conn.is_some()
    }

    fn read(&mut self, into: &mut BytesMut) {
        let n = self.to_node.len().min(3);
        into.extend(self.to_node.drain(..n));
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(5 - self.to_far.len());
        self.to_far.extend_from_slice(&bytes[..n]);
        n
    }
}

#[test]
fn a_wire_that_takes_little_at_a_time_and_breaks_loses_nothing() {
    let mut wire = Narrow {
        now: Duration::ZERO,
        far: Far::new(),
        opens: 0,
        to_node: Vec::new(),
        to_far: Vec::new(),
    };
    let mut node = Node::new(Instant::ZERO, "narrow", 7);
    let mut published = 0;
    while node.acknowledged() < 50 || !node.lamp() {
        wire.now += TICK;
        assert!(
            wire.now < Duration::from_secs(600),
            "{}",
            wire.far.broker.ladder()
        );
        let now = Instant::ZERO + wire.now;
        if published < 50 && published == node.acknowledged() && node.publish(now, published) {
            published += 1;
            match published {
                20 => wire.far.switch(wire.now, "on"),
                // Between two readings.
                30 => assert!(node.lamp()),
                _ => {}
            }
        }
        if wire.opens == 2 && node.acknowledged() == 40 {
            wire.far.close(wire.now);
        }
        node.turn(now, &mut wire);
        let came = wire
            .far
            .exchange(wire.now, &std::mem::take(&mut wire.to_far));
        wire.to_node.extend(came);
    }
    assert_eq!(wire.opens, 3);
    // What was in flight at the cut may come twice at QoS 1.
    let received = wire.far.broker.received().iter();
    let mut came: Vec<_> = received
        .map(|received| received.message.payload().to_vec())
        .collect();
    came.dedup();
    let sent = (0..50).map(|n: u32| n.to_string().into_bytes());
    assert!(came.into_iter().eq(sent), "{}", wire.far.broker.ladder());
    let violations = wire.far.broker.violations();
    assert!(violations.is_empty(), "{violations:?}");
}
