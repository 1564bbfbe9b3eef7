//! A driver of which each turn is one call: the test says what the socket takes, and whether it would sleep.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use mqtt_session::client::{Answers, Client, Next, Port, Report, Turn, build_over, build_with};
use mqtt_session::proto::{ConnAck, Decoder, Encoder, Outbox, Packet, Sender, Version};
use mqtt_session::{Action, Attempt, Cause, ConfigBuilder, Endpoint, Instant, Session};

use crate::woken::Task;

pub struct Driver {
    pub client: Client,
    pub port: Port,
    now: Arc<AtomicU64>,
    version: Version,
    pub input: BytesMut,
    pub written: usize,
    pub reports: Vec<Report>,
    pub output: Outbox,
    pub actions: Vec<Action>,
    pub attempt: Option<Attempt>,
    /// What wakes it for answers of the application.
    pub task: Task,
    /// Of what was written, what [`packets`](Self::packets) has not told.
    unread: BytesMut,
}

impl Driver {
    pub fn new(config: ConfigBuilder) -> Self {
        Self::answering(config, Answers::new())
    }

    pub fn answering(config: ConfigBuilder, answers: Answers) -> Self {
        let config = config.build().unwrap();
        let (version, now) = (config.version(), Arc::default());
        let server = Endpoint::new("192.0.2.1", 1883);
        let parts = build_with(config, server, answers, 7, clock(&now)).unwrap();
        Self::of(parts, version, now)
    }

    /// With records, which nobody stores.
    pub fn recording(config: ConfigBuilder) -> Self {
        let config = config.build().unwrap();
        let (version, now) = (config.version(), Arc::default());
        let session = Session::new(config, Endpoint::new("192.0.2.1", 1883), 7);
        Self::of(build_over(session, clock(&now)), version, now)
    }

    fn of((client, port): (Client, Port), version: Version, now: Arc<AtomicU64>) -> Self {
        Self {
            client,
            port,
            now,
            version,
            input: BytesMut::new(),
            written: 0,
            reports: Vec::new(),
            output: Outbox::new(),
            actions: Vec::new(),
            attempt: None,
            task: Task::new(),
            unread: BytesMut::new(),
        }
    }

    pub fn connected(config: ConfigBuilder) -> Self {
        let mut driver = Self::new(config);
        driver.connect();
        driver
    }

    pub fn connect(&mut self) {
        self.client.start();
        self.open();
        self.say(&Packet::ConnAck(ConnAck::default()));
        self.settle();
        self.unread.clear();
    }

    /// The server is dialled, and answers.
    pub fn open(&mut self) {
        self.turn(None);
        let action = self.actions.pop();
        let Some(Action::Dial { attempt, .. }) = action else {
            panic!("{action:?}")
        };
        self.attempt = Some(attempt);
        self.reports.push(Report::Opened(attempt));
        self.settle();
    }

    pub fn turn(&mut self, idle: Option<&Waker>) -> Next {
        self.port.turn(Turn {
            now: self.port.now(),
            input: &mut self.input,
            written: std::mem::take(&mut self.written),
            reports: &mut self.reports,
            output: &mut self.output,
            actions: &mut self.actions,
            idle,
        })
    }

    /// The socket takes all that there is; the next turn tells of it.
    pub fn write(&mut self) -> usize {
        let len = self.output.len();
        self.unread.extend_from_slice(&self.output.to_vec());
        self.output.advance(len);
        self.written += len;
        len
    }

    /// Does all that can be done without the server.
    pub fn settle(&mut self) {
        // The last turn may have asked the application something, which is answered at the next poll.
        let mut quiet = 0;
        while quiet < 2 {
            let mut context = Context::from_waker(&self.task.waker);
            self.port.poll_answers(&mut context, &mut self.reports);
            let answered = !self.reports.is_empty();
            self.turn(None);
            let done = self.write() == 0 && !answered && self.reports.is_empty();
            quiet = if done { quiet + 1 } else { 0 };
        }
    }

    pub fn packets(&mut self) -> Vec<Packet> {
        self.settle();
        let decoder = Decoder::new(self.version, Sender::Client);
        std::iter::from_fn(|| decoder.decode(&mut self.unread).unwrap()).collect()
    }

    /// The next turn will read this.
    pub fn say(&mut self, packet: &Packet) {
        let mut out = Outbox::new();
        let encoder = Encoder::new(self.version, Sender::Server);
        encoder.encode(packet, &mut out).unwrap();
        self.input.extend_from_slice(&out.to_vec());
    }

    pub fn lose(&mut self) {
        self.output.clear();
        self.input.clear();
        self.written = 0;
        self.reports
            .push(Report::Closed(self.attempt.unwrap(), Cause::Eof));
        self.turn(None);
    }

    pub fn advance(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap();
        self.now.fetch_add(nanos, Ordering::Relaxed);
    }
}

fn clock(now: &Arc<AtomicU64>) -> impl Fn() -> Instant + Send + Sync + 'static {
    let now = Arc::clone(now);
    move || Instant::from_nanos(now.load(Ordering::Relaxed))
}
