//! The client's handles: futures that are polled by hand, each when its waker was called and not before.

mod task;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use mqtt_session::client::{
    AckMode, Client, ClientEvent, Events, Port, SendError, SubscribeFailed, Subscription, Turn,
    build,
};
use mqtt_session::proto::{Publish, QoS, ReasonCode, SubscribeOptions, TopicFilter};
use mqtt_session::{Config, Instant, Phase, PublishRefused, Servers, Stats, SubscribeError};

use super::{Accepted, Claim, Io, Notice, Taken};
use crate::world::{Checked, ensure};
use task::{Alarm, Done, Task};

pub(crate) struct Handles {
    /// None once the application has dropped it.
    client: Option<Client>,
    port: Port,
    clock: Arc<AtomicU64>,
    driver: Alarm,
    /// The driver has not gone to sleep.
    awake: bool,
    /// What was left of the input.
    input: usize,
    tasks: Vec<Task>,
    streams: Vec<Stream>,
    events: Events,
    events_alarm: Alarm,
    notices: VecDeque<Notice>,
    closed: bool,
    last_stats: Stats,
    mode: AckMode,
    /// Polls that a waker called for, and that found nothing.
    in_vain: u64,
}

/// Messages of one subscription, or of none.
struct Stream {
    queue: usize,
    filter: Option<TopicFilter>,
    subscription: Subscription,
    alarm: Alarm,
    /// The last poll found something.
    ready: bool,
}

impl std::fmt::Debug for Handles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handles").finish_non_exhaustive()
    }
}

impl Handles {
    pub(crate) fn new(config: Config, endpoint: Servers, seed: u64, mode: u64) -> Self {
        let clock = Arc::new(AtomicU64::new(0));
        let now = Arc::clone(&clock);
        let (client, port) = build(config, endpoint, seed, move || {
            Instant::from_nanos(now.load(Ordering::Relaxed))
        })
        .expect("sessions that record are driven without handles");
        let rest = client.messages().with_ack_mode(AckMode::Manual);
        Self {
            events: client.events(),
            streams: vec![Stream::new(0, None, rest)],
            client: Some(client),
            port,
            clock,
            driver: Alarm::ringing(),
            awake: true,
            input: 0,
            tasks: Vec::new(),
            events_alarm: Alarm::ringing(),
            notices: VecDeque::new(),
            closed: false,
            last_stats: Stats::default(),
            mode: match mode {
                0 => AckMode::Manual,
                1 => AckMode::Taken,
                _ => AckMode::Queued,
            },
            in_vain: 0,
        }
    }

    pub(crate) fn has_work(&self) -> bool {
        self.awake
            || self.driver.rings()
            || self.events_alarm.rings()
            || self.tasks.iter().any(|task| task.alarm.rings())
    }

    fn set_time(&self, now: Instant) {
        self.clock.store(now.as_nanos(), Ordering::Relaxed);
    }

    pub(crate) fn connect(&self, now: Instant) {
        self.set_time(now);
        if let Some(client) = &self.client {
            client.start();
        }
    }

    /// A turn of the driver, if the network, its deadline or its waker asks for one.
    pub(crate) fn turn(&mut self, now: Instant, io: &mut Io) -> bool {
        self.set_time(now);
        let works = io.written > 0 || !io.reports.is_empty() || io.input.len() != self.input;
        let due = io.deadline.is_some_and(|at| at <= now);
        let woken = self.driver.take();
        if !(works || due || woken || self.awake) {
            return false;
        }
        self.take_turn(now, io, !works)
    }

    fn take_turn(&mut self, now: Instant, io: &mut Io, idle: bool) -> bool {
        let (actions, output) = (io.actions.len(), io.output.is_empty());
        let (written, input) = (std::mem::take(&mut io.written), io.input.len());
        let waker = self.driver.waker();
        let next = self.port.turn(Turn {
            now,
            input: &mut io.input,
            written,
            reports: &mut io.reports,
            output: &mut io.output,
            actions: &mut io.actions,
            idle: idle.then_some(&waker),
        });
        let reads_again = next.wants_read && !io.wants_read;
        // As drivers do: the socket does not know yet that it is waited for.
        self.awake = !next.sleep || reads_again;
        self.input = io.input.len();
        io.deadline = next.deadline;
        io.wants_read = next.wants_read;
        !idle
            || reads_again
            || io.actions.len() != actions
            || io.output.is_empty() != output
            || io.input.len() != input
    }

    /// The driver sleeps: a turn that nobody called for must find nothing to do.
    pub(crate) fn check_asleep(&mut self, now: Instant, io: &mut Io) -> Checked {
        let before = io.deadline;
        let found = self.take_turn(now, io, true);
        let earlier = match (io.deadline, before) {
            (Some(at), Some(before)) => at < before,
            (at, None) => at.is_some(),
            (None, Some(_)) => false,
        };
        ensure!(
            !found && !earlier,
            "the driver is woken when there is something to do",
            "at {now} there are {} actions and {:?} to write, deadline {:?} after {before:?}",
            io.actions.len(),
            io.output,
            io.deadline
        );
        Ok(())
    }

    /// Polls whatever was woken, until nothing is.
    pub(crate) fn poll(&mut self) {
        loop {
            let mut any = false;
            let mut at = 0;
            while at < self.tasks.len() {
                if !self.tasks[at].alarm.take() {
                    at += 1;
                    continue;
                }
                any = true;
                match self.tasks[at].poll() {
                    Poll::Pending => {
                        self.in_vain += 1;
                        at += 1;
                    }
                    Poll::Ready(done) => {
                        let task = self.tasks.remove(at);
                        self.done(task, done);
                    }
                }
            }
            any |= self.poll_events();
            if !any {
                return;
            }
        }
    }

    fn done(&mut self, task: Task, done: Done) {
        let id = task.id;
        match done {
            Done::Published(Ok(delivery)) => {
                self.notices.push_back(Notice::Accepted { n: id });
                self.tasks.push(Task::deliver(id, delivery));
            }
            Done::Published(Err(error)) => {
                let why = reason(&error);
                self.notices.push_back(Notice::Refused { n: id, why });
            }
            Done::Outcome(outcome) => self.notices.push_back(Notice::Outcome { n: id, outcome }),
            Done::Subscribed { result, queue } => {
                let result = result.map(|subscription| {
                    let filter = subscription.filters().first().cloned();
                    let subscription = subscription.with_ack_mode(self.mode);
                    self.streams.push(Stream::new(queue, filter, subscription));
                });
                self.notices.push_back(Notice::Subscribed {
                    op: id,
                    result: codes(result),
                });
            }
            Done::Unsubscribed { filter, result } => {
                if result.is_ok() {
                    self.streams
                        .retain(|stream| stream.filter.as_ref() != Some(&filter));
                }
                self.notices.push_back(Notice::Unsubscribed {
                    op: id,
                    result: codes(result),
                });
            }
            Done::Left => {}
        }
    }

    fn poll_events(&mut self) -> bool {
        if !self.events_alarm.take() {
            return false;
        }
        let waker = self.events_alarm.waker();
        let mut context = Context::from_waker(&waker);
        while let Poll::Ready(Some(event)) = poll_next(&mut self.events, &mut context) {
            let notice = match event {
                ClientEvent::Connected { connack, .. } => Notice::Connected {
                    session_present: connack.session_present,
                },
                ClientEvent::Lost { error, retry_in } => Notice::Lost {
                    error,
                    retries: retry_in.is_some(),
                },
                ClientEvent::SubscriptionLost { filter, reason } => {
                    Notice::SubscriptionLost { filter, reason }
                }
                ClientEvent::Dropping => Notice::Dropping,
                ClientEvent::Closed => {
                    self.closed = true;
                    Notice::Closed
                }
                _ => continue,
            };
            self.notices.push_back(notice);
        }
        true
    }

    /// Deliveries come first: when the session is closed, every one has its outcome.
    pub(crate) fn notice(&mut self) -> Option<Notice> {
        if self.notices.is_empty() {
            self.poll();
        }
        self.notices.pop_front()
    }

    pub(crate) fn publish(
        &mut self,
        now: Instant,
        n: u32,
        qos: QoS,
        publish: Publish,
        waits: bool,
    ) -> Result<Accepted, (Publish, PublishRefused)> {
        self.set_time(now);
        let Some(client) = &self.client else {
            return Err((publish, PublishRefused::Closed));
        };
        if waits {
            self.tasks
                .push(Task::publish(n, client.clone(), qos, publish));
            return Ok(Accepted::Perhaps);
        }
        match client.try_publish_message(qos, publish) {
            Ok(delivery) => {
                self.tasks.push(Task::deliver(n, delivery));
                Ok(Accepted::Now)
            }
            Err(error) => {
                let why = reason(&error);
                let publish = error.into_publish();
                Err((publish.expect("it is given back"), why))
            }
        }
    }

    pub(crate) fn subscribe(
        &mut self,
        now: Instant,
        op: u32,
        filters: Vec<(TopicFilter, SubscribeOptions)>,
        queue: usize,
    ) -> Result<(), SubscribeError> {
        self.set_time(now);
        let client = self.client.as_ref().ok_or(SubscribeError::Closed)?;
        self.tasks
            .push(Task::subscribe(op, client.clone(), filters, queue));
        Ok(())
    }

    pub(crate) fn unsubscribe(
        &mut self,
        now: Instant,
        op: u32,
        filter: TopicFilter,
    ) -> Result<(), SubscribeError> {
        self.set_time(now);
        let client = self.client.as_ref().ok_or(SubscribeError::Closed)?;
        self.tasks
            .push(Task::unsubscribe(op, client.clone(), filter));
        Ok(())
    }

    /// Drops the future of a subscribe.
    pub(crate) fn withdraw(&mut self, now: Instant, op: u32) {
        self.set_time(now);
        self.tasks
            .retain(|task| !(task.subscribes && task.id == op));
    }

    /// Drops the future of one of the publishes that wait: the number of its message, and whether it was accepted.
    pub(crate) fn forget(&mut self, now: Instant, which: usize) -> Option<(u32, bool)> {
        self.set_time(now);
        let mut all: Vec<_> = (0..self.tasks.len())
            .filter(|at| self.tasks[*at].is_publish())
            .collect();
        if all.is_empty() {
            return None;
        }
        let task = self.tasks.remove(all.swap_remove(which % all.len()));
        Some((task.id, task.delivers))
    }

    pub(crate) fn take(&mut self, now: Instant, queue: usize) -> Option<Taken> {
        self.set_time(now);
        for stream in &mut self.streams {
            let woken = stream.alarm.take();
            if stream.queue != queue || !(woken || stream.ready) {
                if woken {
                    stream.ready = true;
                }
                continue;
            }
            let waker = stream.alarm.waker();
            let mut context = Context::from_waker(&waker);
            let polled = poll_next(&mut stream.subscription, &mut context);
            stream.ready = matches!(polled, Poll::Ready(Some(_)));
            if let Poll::Ready(Some(mut message)) = polled {
                let claim = message.take_acker().map_or(Claim::None, Claim::Acker);
                let publish = message.into_view();
                return Some(Taken { publish, claim });
            }
        }
        None
    }

    pub(crate) fn disconnect(&mut self, now: Instant, drain: Option<Duration>) {
        self.set_time(now);
        self.last_stats = self.stats();
        if let Some(client) = self.client.take()
            && let Some(drain) = drain
        {
            self.tasks.push(Task::leave(client, drain));
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        self.client.as_ref().map_or(self.last_stats, Client::stats)
    }

    pub(crate) fn free_bytes(&self) -> Option<usize> {
        let client = self.client.as_ref()?;
        Some(client.publish_capacity().bytes)
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.client
            .as_ref()
            .is_some_and(|client| client.phase() == Phase::Connected)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
            || self
                .client
                .as_ref()
                .is_some_and(|client| client.phase() == Phase::Closed)
    }

    pub(crate) const fn in_vain(&self) -> u64 {
        self.in_vain
    }
}

impl Stream {
    fn new(queue: usize, filter: Option<TopicFilter>, subscription: Subscription) -> Self {
        Self {
            queue,
            filter,
            subscription,
            alarm: Alarm::ringing(),
            ready: false,
        }
    }
}

fn poll_next<S: futures_core::Stream + Unpin>(
    stream: &mut S,
    context: &mut Context<'_>,
) -> Poll<Option<S::Item>> {
    Pin::new(stream).poll_next(context)
}

fn reason(error: &SendError) -> PublishRefused {
    // Topics are made before.
    error.refused().copied().unwrap_or(PublishRefused::Closed)
}

fn codes(result: Result<(), SubscribeFailed>) -> Result<Vec<ReasonCode>, SubscribeError> {
    match result {
        Ok(()) => Ok(vec![ReasonCode::SUCCESS]),
        Err(SubscribeFailed::Refused { reason, .. }) => Ok(vec![reason]),
        Err(SubscribeFailed::Request(error)) => Err(error),
        Err(SubscribeFailed::Closed(_)) => Err(SubscribeError::Closed),
        Err(_) => Err(SubscribeError::NoFilters),
    }
}
