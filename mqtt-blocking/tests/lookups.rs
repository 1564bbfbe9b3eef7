//! Name lookups that never return: they hold threads, and no more of them than stated. The bound is one of the process, so this has one of its own.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod server;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use mqtt_blocking::{
    Answers, Cause, Client, ClientEvent, ConnectionError, Events, LOOKUP_THREADS, Timeouts,
    start_with,
};
use server::{LONG, Result, Server, config, until};

/// A resolver that answers when it is told.
#[derive(Default)]
struct Resolver {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    asked: usize,
    now: usize,
    most: usize,
    open: Option<SocketAddr>,
}

impl Resolver {
    fn look_up(&self) -> io::Result<Vec<SocketAddr>> {
        let mut state = self.state.lock().unwrap();
        state.asked += 1;
        state.now += 1;
        state.most = state.most.max(state.now);
        let mut state = self
            .changed
            .wait_while(state, |state| state.open.is_none())
            .unwrap();
        state.now -= 1;
        Ok(state.open.into_iter().collect())
    }

    fn open(&self, addr: SocketAddr) {
        self.state.lock().unwrap().open = Some(addr);
        self.changed.notify_all();
    }
}

fn client(n: usize, resolver: &Arc<Resolver>, resolve: Duration) -> Result<(Client, Events)> {
    let mut timeouts = Timeouts::default();
    timeouts.resolve = resolve;
    let resolver = Arc::clone(resolver);
    let answers = Answers::new().lookup(move |_, _| resolver.look_up());
    let config = config(&format!("client-{n}")).timeouts(timeouts).build()?;
    let client = start_with("mqtt://stalled.invalid", config, answers)?;
    let events = client.events();
    Ok((client, events))
}

/// Why the next attempt failed.
fn failure(events: &mut Events) -> Cause {
    match events.next_timeout(LONG).unwrap() {
        Some(ClientEvent::Lost {
            error: ConnectionError::Resolve { cause, .. },
            ..
        }) => cause,
        other => panic!("{other:?}"),
    }
}

/// One test, for all of it is about the same threads.
#[test]
fn lookups_that_are_given_up_hold_no_more_threads_than_stated() -> Result {
    let resolver = Arc::new(Resolver::default());
    // One for each thread, whose lookup is still wanted.
    let mut holding = Vec::new();
    for n in 0..LOOKUP_THREADS {
        holding.push(client(n, &resolver, Duration::from_millis(400))?);
    }
    until("all threads are at work", || {
        resolver.state.lock().unwrap().now == LOOKUP_THREADS
    });
    // One more waits for its turn, and its time is over before.
    let (_late, mut late) = client(100, &resolver, Duration::from_millis(20))?;
    assert_eq!(failure(&mut late), Cause::TimedOut);

    // Then they are given up, and nobody has anything to hope for.
    for (_, events) in &mut holding {
        assert_eq!(failure(events), Cause::TimedOut);
    }
    let words = loop {
        match failure(&mut late) {
            Cause::TimedOut => {}
            Cause::Other(words) => break words,
            other => panic!("{other:?}"),
        }
    };
    let expected = format!(
        "all {LOOKUP_THREADS} threads for name lookups are held by some that were given up and have not returned"
    );
    assert_eq!(words, expected);
    // An address needs no lookup.
    let server = Server::start()?;
    server.connect()?.disconnect(LONG);
    {
        let state = resolver.state.lock().unwrap();
        assert_eq!(state.most, LOOKUP_THREADS);
        assert_eq!(state.asked, LOOKUP_THREADS, "not asked again, either");
    }

    // When they return after all, everybody gets through.
    resolver.open(server.url.trim_start_matches("mqtt://").parse()?);
    for (client, _) in &holding {
        client.connected_timeout(LONG)?;
    }
    until("no thread is left", || {
        resolver.state.lock().unwrap().now == 0
    });
    assert_eq!(resolver.state.lock().unwrap().most, LOOKUP_THREADS);
    Ok(())
}
