//! Whatever is asked for, given up, granted, refused and lost: in the end the server has the subscriptions that somebody holds, and no others.

use std::collections::{BTreeSet, VecDeque};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use mqtt_session::client::{ClientEvent, Events, SubscribeFailed, Subscription};
use mqtt_session::proto::{
    ConnAck, Packet, Properties, QoS, ReasonCode, SubAck, SubscribeOptions, TopicFilter, UnsubAck,
    Version,
};
use mqtt_testkit::Rng;

use crate::pair::config;
use crate::pair::hand::{Hand, poll};

const GRANTED: ReasonCode = ReasonCode(1);
const REFUSED: ReasonCode = ReasonCode::NOT_AUTHORIZED;
const NAMES: [&str; 3] = ["a", "b", "c"];

type Answer = Result<Subscription, SubscribeFailed>;

/// One that was asked for.
struct Asking {
    answer: Pin<Box<dyn Future<Output = Answer>>>,
    lost: BTreeSet<String>,
}

struct Held {
    stream: Subscription,
    /// These another handle has unsubscribed, or the client was told that the server has them no more.
    lost: BTreeSet<String>,
}

/// What came to the server, and what it has.
#[derive(Default)]
struct Server {
    requests: VecDeque<Packet>,
    has: BTreeSet<String>,
}

impl Server {
    /// Does what is asked for first, or refuses it; its answer.
    fn handle(&mut self, mut refuses: impl FnMut() -> bool) -> Option<Packet> {
        let properties = Properties::new();
        Some(match self.requests.pop_front()? {
            Packet::Subscribe(subscribe) => {
                let mut code = |name: String| {
                    if refuses() {
                        // What it has already it keeps.
                        return REFUSED;
                    }
                    self.has.insert(name);
                    GRANTED
                };
                let filters = subscribe.filters.iter();
                Packet::SubAck(SubAck {
                    id: subscribe.id,
                    codes: filters.map(|(name, _)| code(name.to_string())).collect(),
                    properties,
                })
            }
            Packet::Unsubscribe(unsubscribe) => {
                let filters = unsubscribe.filters.iter();
                let codes = filters.map(|name| {
                    self.has.remove(name.as_str());
                    ReasonCode::SUCCESS
                });
                Packet::UnsubAck(UnsubAck {
                    id: unsubscribe.id,
                    codes: codes.collect(),
                    properties,
                })
            }
            other => panic!("{other:?}"),
        })
    }
}

struct World {
    hand: Hand,
    events: Events,
    server: Server,
    asking: Vec<Asking>,
    held: Vec<Held>,
    log: Vec<String>,
}

impl World {
    fn new() -> Self {
        let hand = Hand::connected(config(Version::V5).clean_start(false));
        let events = hand.client.events();
        Self {
            hand,
            events,
            server: Server::default(),
            asking: Vec::new(),
            held: Vec::new(),
            log: Vec::new(),
        }
    }

    fn ask(&mut self, names: &[&str], replace: bool) {
        self.log
            .push(format!("ask for {names:?}, replace: {replace}"));
        let filters: Vec<(TopicFilter, SubscribeOptions)> = names
            .iter()
            .map(|name| ((*name).try_into().unwrap(), QoS::AtLeastOnce.into()))
            .collect();
        let client = self.hand.client.clone();
        let answer = Box::pin(async move {
            if replace {
                let (filter, options) = filters[0].clone();
                client.replace_subscription(filter, options).await
            } else {
                client.subscribe_many(filters).await
            }
        });
        let lost = BTreeSet::new();
        self.poll(Asking { answer, lost });
    }

    fn poll(&mut self, mut asking: Asking) {
        match poll(Pin::new(&mut asking.answer)) {
            Poll::Pending => self.asking.push(asking),
            Poll::Ready(answer) => self.answered(answer, asking.lost),
        }
    }

    fn answered(&mut self, result: Answer, lost: BTreeSet<String>) {
        match result {
            Ok(stream) => {
                self.log.push(format!("got {:?}", stream.filters()));
                self.held.push(Held {
                    stream: stream.unsubscribe_on_drop(true),
                    lost,
                });
            }
            Err(error) => {
                self.log.push(format!("{error}"));
                assert!(matches!(error, SubscribeFailed::Refused { .. }), "{error}");
            }
        }
    }

    fn look(&mut self) {
        for asking in std::mem::take(&mut self.asking) {
            self.poll(asking);
        }
    }

    /// What the client says comes to the server, and what the client tells is taken.
    fn turn(&mut self) {
        for packet in self.hand.packets() {
            self.log.push(match &packet {
                Packet::Subscribe(subscribe) => format!("-> SUBSCRIBE {:?}", subscribe.filters),
                Packet::Unsubscribe(packet) => format!("-> UNSUBSCRIBE {:?}", packet.filters),
                other => panic!("{other:?}"),
            });
            self.server.requests.push_back(packet);
        }
        loop {
            let Poll::Ready(Some(event)) = poll(pin!(self.events.next())) else {
                return;
            };
            if let ClientEvent::SubscriptionLost { filter, .. } = event {
                self.log.push(format!("lost {filter}"));
                self.lose(filter.as_str());
            }
        }
    }

    fn lose(&mut self, name: &str) {
        let held = self.held.iter_mut().map(|held| &mut held.lost);
        let asking = self.asking.iter_mut().map(|asking| &mut asking.lost);
        for lost in held.chain(asking) {
            lost.insert(name.to_owned());
        }
    }

    /// It unsubscribes for all that have been asked for until now.
    fn drop_held(&mut self, at: usize) {
        let held = self.held.remove(at);
        self.log.push(format!("drop {:?}", held.stream.filters()));
        for name in held.stream.filters() {
            self.lose(name.as_str());
        }
    }

    fn answer(&mut self, refuses: impl FnMut() -> bool) -> bool {
        let Some(answer) = self.server.handle(refuses) else {
            return false;
        };
        self.log.push(match &answer {
            Packet::SubAck(suback) => format!("<- SUBACK {:?}", suback.codes),
            _ => "<- UNSUBACK".to_owned(),
        });
        self.hand.feed(&answer);
        self.turn();
        true
    }

    /// The connection is lost, with the answers to some of what the server has done.
    fn reconnect(&mut self, handled: usize, mut refuses: impl FnMut() -> bool, kept: bool) {
        self.log
            .push(format!("lost with {handled} done, session kept: {kept}"));
        for _ in 0..handled {
            self.server.handle(&mut refuses);
        }
        self.server.requests.clear();
        if !kept {
            self.server.has.clear();
        }
        self.hand.lose();
        self.hand.advance(Duration::from_secs(3600));
        self.hand.open();
        self.hand.feed(&Packet::ConnAck(ConnAck {
            session_present: kept,
            ..ConnAck::default()
        }));
        self.turn();
    }

    /// All is answered, and everybody has looked.
    fn check(&mut self, seed: u64) {
        self.turn();
        loop {
            let answered = self.answer(|| false);
            self.look();
            self.turn();
            if !answered && self.server.requests.is_empty() {
                break;
            }
        }
        assert!(self.asking.is_empty());
        let log = self.log.join("\n");
        let names = |lost: bool| {
            let held = self.held.iter().flat_map(move |held| {
                let names = held.stream.filters().iter().map(ToString::to_string);
                names.filter(move |name| lost || !held.lost.contains(name))
            });
            held.collect::<BTreeSet<_>>()
        };
        let has = &self.server.has;
        assert!(
            has.is_superset(&names(false)),
            "{has:?}, seed {seed}:\n{log}"
        );
        assert!(has.is_subset(&names(true)), "{has:?}, seed {seed}:\n{log}");
        assert_eq!(self.hand.client.stats().requests, 0, "seed {seed}");
    }
}

#[test]
fn the_server_has_in_the_end_what_somebody_holds_whatever_was_given_up_refused_and_lost() {
    for seed in 0..2000 {
        let mut rng = Rng::new(seed);
        let mut world = World::new();
        for _ in 0..rng.below(40) {
            match rng.below(12) {
                0..=2 => {
                    let first = rng.below(3) as usize;
                    let names = match rng.below(3) {
                        0 => vec![NAMES[first], NAMES[(first + 1) % 3]],
                        _ => vec![NAMES[first]],
                    };
                    world.ask(&names, rng.below(8) == 0);
                }
                3 | 4 if !world.asking.is_empty() => {
                    let at = rng.below(world.asking.len() as u64) as usize;
                    world.log.push(format!("give up {at}"));
                    drop(world.asking.remove(at));
                }
                5 if !world.held.is_empty() => {
                    let at = rng.below(world.held.len() as u64) as usize;
                    world.drop_held(at);
                }
                6..=8 => {
                    world.answer(|| rng.below(3) == 0);
                }
                9 => world.look(),
                10 if rng.below(3) == 0 => {
                    let handled = rng.below(world.server.requests.len() as u64 + 1) as usize;
                    let kept = rng.below(2) == 0;
                    world.reconnect(handled, || rng.below(3) == 0, kept);
                }
                _ => {}
            }
            world.turn();
        }
        world.check(seed);
    }
}

/// The answers to two subscribes of the same filter, of which the first was given up while the second waited behind it.
#[test]
fn a_subscribe_that_is_refused_behind_one_that_was_taken_back_leaves_nothing_at_the_server() {
    for (first, second) in [(false, true), (true, false), (true, true), (false, false)] {
        // Given up before the second is asked for, or after.
        for early in [false, true] {
            for lost in [false, true] {
                let mut world = World::new();
                world.ask(&["a"], false);
                world.turn();
                if early {
                    world.asking.clear();
                }
                world.ask(&["a"], false);
                world.turn();
                if !early {
                    drop(world.asking.remove(0));
                }
                world.turn();
                if lost {
                    // The first was done, and its answer is lost.
                    world.reconnect(1, || first, true);
                    while world.answer(|| second) {}
                } else {
                    let mut refused = [first, second].into_iter();
                    while world.answer(|| refused.next().unwrap_or(second)) {}
                }
                world.look();
                assert!(world.asking.is_empty());
                assert_eq!(
                    world.held.len(),
                    usize::from(!second),
                    "{}",
                    world.log.join("\n")
                );
                world.check(0);
            }
        }
    }
}

/// What it had before ends with the UNSUBSCRIBE, and what comes after may be refused.
#[test]
fn what_is_asked_for_behind_an_unsubscribe_is_not_shared_before_it_is_granted() {
    for refused in [false, true] {
        let mut world = World::new();
        world.ask(&["a"], false);
        world.turn();
        world.answer(|| false);
        world.look();
        world.ask(&["a"], false);
        assert_eq!(world.held.len(), 2, "shared");
        world.drop_held(0);
        world.turn();
        world.ask(&["a"], false);
        world.ask(&["a"], false);
        world.turn();
        world.answer(|| false);
        world.ask(&["a"], false);
        world.turn();
        assert_eq!((world.asking.len(), world.held.len()), (3, 1));
        while world.answer(|| refused) {}
        world.look();
        assert_eq!(world.held.len(), if refused { 1 } else { 4 });
        world.check(0);
        world.ask(&["a"], false);
        assert_eq!(world.asking.len(), usize::from(refused));
        world.check(0);
    }
}
