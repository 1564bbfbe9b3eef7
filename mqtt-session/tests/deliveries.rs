//! Deliveries that are dropped, at once or later, among others that are not.
#![cfg(feature = "client")]

mod pair;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use mqtt_session::client::Delivery;
use mqtt_session::proto::{Ack, Packet, QoS, ReasonCode, Version};
use mqtt_session::{Limits, Outcome};
use mqtt_testkit::Rng;
use pair::config;
use pair::hand::{Hand, ready};

/// Counts how often somebody was woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// One that is kept, and who was woken for it, where somebody waits.
struct Kept {
    index: usize,
    delivery: Delivery,
    woken: Option<Arc<Count>>,
}

fn waits(delivery: &mut Delivery) -> Arc<Count> {
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let polled = std::pin::pin!(delivery).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    count
}

/// Every few messages the server says something else.
fn reason(index: usize) -> ReasonCode {
    match index % 10 {
        9 => ReasonCode::NO_MATCHING_SUBSCRIBERS,
        _ => ReasonCode::SUCCESS,
    }
}

fn acknowledged(index: usize) -> Outcome {
    Outcome::Acknowledged {
        reason: reason(index),
        republished: false,
        completed: true,
    }
}

#[test]
fn deliveries_that_are_dropped_take_no_outcome_and_no_wake_from_others() {
    const MESSAGES: usize = 1000;
    for seed in 0..5 {
        let mut rng = Rng::new(seed);
        let mut limits = Limits::default();
        limits.max_in_flight = u16::MAX.try_into().expect("not 0");
        let mut hand = Hand::connected(config(Version::V5).limits(limits));
        let client = hand.client.clone();
        let mut kept = Vec::new();
        for index in 0..MESSAGES {
            let mut delivery = ready(client.publish("a", QoS::AtLeastOnce, "x")).expect("room");
            match rng.below(6) {
                // At once, after somebody waited for it, and when others have come.
                0 | 1 => drop(delivery),
                2 => {
                    waits(&mut delivery);
                    drop(delivery);
                }
                n => {
                    if n == 3 && !kept.is_empty() {
                        let at = rng.below(kept.len() as u64) as usize;
                        drop(kept.swap_remove(at));
                    }
                    let woken = (n == 4).then(|| waits(&mut delivery));
                    kept.push(Kept {
                        index,
                        delivery,
                        woken,
                    });
                }
            }
        }
        let packets = hand.packets();
        assert_eq!(packets.len(), MESSAGES);
        for (index, packet) in packets.iter().enumerate() {
            let Packet::Publish(publish) = packet else {
                panic!("{packet:?}")
            };
            let ack = Ack::new(publish.packet_id().expect("QoS 1")).with_reason(reason(index));
            // Many in one turn, and a turn now and then.
            hand.bring(&Packet::PubAck(ack));
            if rng.below(50) == 0 {
                hand.turn();
                for Kept {
                    index: of,
                    delivery,
                    ..
                } in &mut kept
                {
                    let known = (*of <= index).then(|| acknowledged(*of));
                    assert_eq!(delivery.outcome(), known, "{of} at {index}, seed {seed}");
                }
            }
        }
        hand.turn();
        assert!(kept.len() > 100, "{}", kept.len());
        for Kept {
            index,
            delivery,
            woken,
        } in kept
        {
            if let Some(woken) = woken {
                assert_eq!(woken.0.load(Ordering::Relaxed), 1, "{index}, seed {seed}");
            }
            let outcome = std::pin::pin!(delivery).poll(&mut Context::from_waker(Waker::noop()));
            assert_eq!(outcome, Poll::Ready(Ok(acknowledged(index))), "seed {seed}");
        }
    }
}
