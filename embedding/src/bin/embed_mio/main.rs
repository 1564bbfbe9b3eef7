//! The state machine in a `mio` loop: a hundred connections in one thread, over TCP or TLS as the URL says.
//!
//!     cargo run -p mqtt-embedding --bin embed_mio -- mqtt://localhost
//!     cargo run -p mqtt-embedding --bin embed_mio -- mqtts://localhost ca.pem
//!
//! Each connection subscribes to a topic of its own, publishes ten messages there at QoS 2, waits until they have come back, and disconnects.

mod node;

use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::time::{Duration, Instant as Clock};

use mio::{Events, Poll, Token};
use mqtt_session::proto::{Publish, QoS, Topic};
use mqtt_session::transport::Tls;
use mqtt_session::{Config, Connection, Event, Instant, Limits, QueueId, Servers, Session};

use node::Node;

const CONNECTIONS: usize = 100;
const MESSAGES: usize = 10;
/// What hangs is ended.
const BOUND: Duration = Duration::from_secs(45);

struct Client {
    node: Node,
    topic: Topic,
    acknowledged: usize,
    received: usize,
    closed: bool,
}

impl Client {
    fn new(n: usize, now: Instant, url: &str, tls: Option<&Tls>) -> Result<Self, Box<dyn Error>> {
        let mut limits = Limits::default();
        limits.max_dials = 1;
        let keep = Duration::from_secs(60);
        let mut config = Config::builder(format!("embed-mio-{n}"))
            .session_expiry(keep)
            .limits(limits);
        if let Some(tls) = tls {
            config = config.tls(tls.clone());
        }
        let seed = RandomState::new().hash_one(n);
        let session = Session::new(config.build()?, Servers::try_from(url)?, seed);
        // Before it is told to connect, so that it knows of the layers.
        let mut node = Node::new(Connection::new(session), Token(n));
        let session = node.connection.session_mut();
        let topic = Topic::try_from(format!("embed/{n}"))?;
        let filters = vec![(topic.as_str().try_into()?, QoS::ExactlyOnce.into())];
        session.subscribe(now, filters, Default::default(), QueueId::DEFAULT)?;
        session.connect(now);
        Ok(Self {
            node,
            topic,
            acknowledged: 0,
            received: 0,
            closed: false,
        })
    }

    /// What is done with what has come. Whether anything had.
    fn application(&mut self, now: Instant) -> Result<bool, Box<dyn Error>> {
        let session = self.node.connection.session_mut();
        let mut any = false;
        while let Some(event) = session.poll_event() {
            any = true;
            match event {
                Event::Subscribed { result: Ok(_), .. } => {
                    for n in 0..MESSAGES {
                        let message = Publish::new(self.topic.clone(), n.to_string());
                        session.publish(now, QoS::ExactlyOnce, message)?;
                    }
                }
                Event::Published { outcome, .. } if outcome.is_success() => self.acknowledged += 1,
                Event::Lost { error, .. } => eprintln!("{}: {error}", session.client_identifier()),
                Event::Closed => self.closed = true,
                _ => {}
            }
        }
        while let Some(message) = session.poll_message(QueueId::DEFAULT) {
            any = true;
            self.received += 1;
            let _ = session.ack(now, message.ticket); // an error: the session is gone, and the message may come again
        }
        if (self.acknowledged, self.received) == (MESSAGES, MESSAGES) {
            session.disconnect(now, Default::default(), Duration::from_secs(2))?;
        }
        Ok(any)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("usage: embed_mio URL [CA.pem]")?;
    // One for all, so that they share the tickets by which sessions of TLS are resumed.
    let tls = match arguments.next() {
        Some(path) => Some(Tls::builder().authority_pem(std::fs::read(path)?).build()?),
        None => None,
    };
    let epoch = Clock::now();
    let now = || Instant::from_std(epoch, Clock::now());
    let clients = (0..CONNECTIONS).map(|n| Client::new(n, now(), &url, tls.as_ref()));
    let mut clients = clients.collect::<Result<Vec<_>, _>>()?;

    let mut poll = Poll::new()?;
    let registry = poll.registry().try_clone()?;
    let (mut events, mut scratch) = (Events::with_capacity(256), vec![0; 16 * 1024]);
    while clients.iter().any(|client| !client.closed) {
        // For thousands: only those whom an event or a deadline concerns.
        let mut more = false;
        for client in &mut clients {
            more |= client.node.turn(now(), &registry, &mut scratch);
            // What the application says to what has come is to be carried, too.
            more |= client.application(now())?;
        }
        let deadlines = clients
            .iter()
            .filter_map(|client| client.node.connection.poll_timeout());
        let wait = deadlines.min().map_or(BOUND, |at| at - now()).min(BOUND);
        let wait = if more { Duration::ZERO } else { wait };
        match poll.poll(&mut events, Some(wait)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &events {
            clients[event.token().0].node.ready(event);
        }
        if now() > Instant::ZERO + BOUND {
            return Err(format!("not done in {BOUND:?}").into());
        }
    }
    let acknowledged: usize = clients.iter().map(|client| client.acknowledged).sum();
    let received: usize = clients.iter().map(|client| client.received).sum();
    println!(
        "{CONNECTIONS} connections, {acknowledged} messages acknowledged, {received} received"
    );
    let all = CONNECTIONS * MESSAGES;
    if (acknowledged, received) == (all, all) {
        Ok(())
    } else {
        Err("not all of them".into())
    }
}
