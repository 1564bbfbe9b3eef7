//! That the soak sees what it looks for, and charges whom it should: with packets made up for it.

use libtest_mimic::Trial;
use mqtt_proto::PacketType;
use mqtt_session::client::exports::QoS;

use crate::tally::{Flow, Key, Tally};
use crate::tape::{Entry, Point, Side};
use crate::verdict::Story;

use Point::{Said, ToBroker, ToClient};
use Side::{FarSubscriber, Near};

const FLOW: Flow = Flow::new(true, QoS::ExactlyOnce);
/// The message that it is about, and another one.
const OURS: Key = Key::new(FLOW, 7);
const OTHER: Key = Key::new(FLOW, 8);

pub(crate) fn add(trials: &mut Vec<Trial>) {
    let all: [(&str, fn()); 7] = [
        ("a loss and a double are seen", seen),
        ("a message that nobody sent is seen", foreign),
        (
            "what is acknowledged and not sent on is the broker's loss",
            lost_by_broker,
        ),
        (
            "what is not acknowledged, or sent on, is not",
            lost_by_others,
        ),
        (
            "what is sent on under two identifiers is the broker's double",
            doubled_by_broker,
        ),
        (
            "what is sent on again before PUBREL is not",
            doubled_by_subscriber,
        ),
        (
            "what is published anew after PUBREC is not",
            doubled_by_publisher,
        ),
    ];
    for (name, check) in all {
        let run = move || {
            check();
            Ok(())
        };
        trials.push(Trial::test(format!("the soak itself: {name}"), run));
    }
}

fn entry(side: Side, point: Point, packet: PacketType, id: u16, key: Option<Key>) -> Entry {
    Entry {
        millis: 0,
        connection: 0,
        side,
        point,
        packet,
        id,
        dup: false,
        key,
        refused: false,
    }
}

/// Its client publishes it.
fn published(id: u16, key: Key) -> Entry {
    entry(Near, ToBroker, PacketType::Publish, id, Some(key))
}

/// The broker's PUBREC for it, which reaches the client.
fn received(id: u16) -> [Entry; 2] {
    [Said, ToClient].map(|point| entry(Near, point, PacketType::PubRec, id, None))
}

/// The broker says this to the far subscriber.
fn sent_on(id: u16, key: Key) -> Entry {
    entry(FarSubscriber, Said, PacketType::Publish, id, Some(key))
}

fn released(id: u16) -> Entry {
    entry(FarSubscriber, Said, PacketType::PubRel, id, None)
}

fn story(parts: &[&[Entry]]) -> Story {
    let mut stories = Story::all(&[OURS], &parts.concat());
    stories.remove(0)
}

fn seen() {
    let tally = Tally::new(3);
    for flow in Flow::ALL {
        while tally.draw(flow).is_some() {}
        for number in [0, 2, 2] {
            let payload = Key::new(flow, number).payload();
            tally.arrive(flow.out, &payload).expect("it was sent");
        }
    }
    assert_eq!(tally.lost(), Flow::ALL.map(|flow| Key::new(flow, 1)));
    let doubled = [true, false].map(|out| Key::new(Flow::new(out, QoS::ExactlyOnce), 2));
    assert_eq!(tally.doubled(), doubled);
    assert_eq!(tally.progress(), 8);
}

fn foreign() {
    let tally = Tally::new(3);
    let mut altered = Key::new(FLOW, 2).payload();
    altered.push(b'!');
    for payload in [
        b"".as_slice(),
        b"\x01\0\0\0",
        &Key::new(FLOW, 3).payload(),
        &altered,
    ] {
        tally.arrive(true, payload).expect_err("nobody sent it");
    }
    let payload = Key::new(FLOW, 2).payload();
    tally
        .arrive(false, &payload)
        .expect_err("it goes the other way");
}

fn lost_by_broker() {
    let story = story(&[
        &[published(1, OURS), published(2, OTHER)],
        &received(1),
        &[sent_on(1, OTHER)],
    ]);
    assert!(story.lost_by_broker(), "{story}");
}

fn lost_by_others() {
    let unanswered = story(&[&[published(1, OURS), published(2, OTHER)], &received(2)]);
    assert!(!unanswered.lost_by_broker(), "{unanswered}");
    // The identifier is another message's by then.
    let reused = story(&[&[published(1, OURS), published(1, OTHER)], &received(1)]);
    assert!(!reused.lost_by_broker(), "{reused}");
    let withheld = story(&[&[published(1, OURS)], &received(1)[..1]]);
    assert!(!withheld.lost_by_broker(), "{withheld}");
    let mut refusal = received(1);
    refusal.iter_mut().for_each(|entry| entry.refused = true);
    let refused = story(&[&[published(1, OURS)], &refusal]);
    assert!(!refused.lost_by_broker(), "{refused}");
    let sent_on = story(&[&[published(1, OURS)], &received(1), &[sent_on(9, OURS)]]);
    assert!(!sent_on.lost_by_broker(), "{sent_on}");
}

fn doubled_by_broker() {
    let twice = [sent_on(1, OURS), sent_on(2, OURS)];
    let two = story(&[&[published(1, OURS)], &received(1), &twice]);
    assert!(two.doubled_by_broker(), "{two}");
    let after = [sent_on(1, OURS), released(1), sent_on(1, OURS)];
    let released = story(&[&[published(1, OURS)], &received(1), &after]);
    assert!(released.doubled_by_broker(), "{released}");
}

fn doubled_by_subscriber() {
    let again = [sent_on(1, OURS), sent_on(1, OURS), released(1)];
    let story = story(&[&[published(1, OURS)], &received(1), &again]);
    assert!(!story.doubled_by_broker(), "{story}");
}

fn doubled_by_publisher() {
    let twice = [sent_on(1, OURS), sent_on(2, OURS)];
    let same = [published(1, OURS)];
    let again = story(&[&same, &received(1), &same, &twice]);
    assert!(!again.doubled_by_broker(), "{again}");
    let anew = story(&[&[published(1, OURS), published(2, OURS)], &twice]);
    assert!(!anew.doubled_by_broker(), "{anew}");
}
