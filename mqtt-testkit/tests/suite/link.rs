use core::time::Duration;

use bytes::BytesMut;
use mqtt_testkit::{Direction, Link, Pieces, Time};

use Direction::{ToBroker, ToClient};

const START: Time = Time::ZERO;

fn receive_all(link: &mut Link, now: Time, direction: Direction) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    loop {
        let mut piece = BytesMut::new();
        if link.receive(now, direction, &mut piece) == 0 {
            assert!(piece.is_empty());
            return pieces;
        }
        pieces.push(piece.to_vec());
    }
}

#[test]
fn bytes_arrive_after_the_delay_of_their_direction() {
    let mut link = Link::new(0);
    link.set_delay(ToBroker, Duration::from_millis(30));
    link.set_delay(ToClient, Duration::from_millis(10));
    link.send(START, ToBroker, b"up");
    link.send(START, ToClient, b"down");
    let first = Duration::from_millis(10);
    assert_eq!(link.next_time(), Some(first));
    assert_eq!(receive_all(&mut link, first, ToClient), [b"down"]);
    assert!(receive_all(&mut link, first, ToBroker).is_empty());
    let second = Duration::from_millis(30);
    assert_eq!(link.next_time(), Some(second));
    assert_eq!(receive_all(&mut link, second, ToBroker), [b"up"]);
    assert_eq!(link.next_time(), None);
}

#[test]
fn bytes_never_overtake_when_the_delay_gets_shorter() {
    let mut link = Link::new(0);
    link.set_pieces(ToBroker, Pieces::AsSent);
    link.set_delay(ToBroker, Duration::from_secs(2));
    link.send(START, ToBroker, b"slow");
    link.set_delay(ToBroker, Duration::from_secs(1));
    link.send(START, ToBroker, b"fast");
    assert!(receive_all(&mut link, Duration::from_secs(1), ToBroker).is_empty());
    let all = receive_all(&mut link, Duration::from_secs(2), ToBroker);
    assert_eq!(all, [b"slow", b"fast"]);
}

#[test]
fn pieces_are_joined_kept_or_torn_as_configured() {
    let pieces_of = |pieces| {
        let mut link = Link::new(3);
        link.set_pieces(ToBroker, pieces);
        link.send(START, ToBroker, b"abc");
        link.send(START, ToBroker, b"defg");
        receive_all(&mut link, START, ToBroker)
    };
    assert_eq!(pieces_of(Pieces::Joined), [b"abcdefg".to_vec()]);
    assert_eq!(
        pieces_of(Pieces::AsSent),
        [b"abc".to_vec(), b"defg".to_vec()]
    );
    let torn = [
        b"ab".to_vec(),
        b"cd".to_vec(),
        b"ef".to_vec(),
        b"g".to_vec(),
    ];
    assert_eq!(pieces_of(Pieces::Fixed(2)), torn);
    let random = pieces_of(Pieces::Random(3));
    assert_eq!(random.concat(), b"abcdefg");
    assert!(random.iter().all(|piece| (1..=3).contains(&piece.len())));
    assert_eq!(random, pieces_of(Pieces::Random(3)), "the seed decides");
}

#[test]
fn a_cut_loses_what_is_under_way_in_both_directions() {
    let mut link = Link::new(0);
    link.send(START, ToBroker, b"lost");
    link.send(START, ToClient, b"lost");
    link.cut();
    assert!(link.is_cut());
    assert_eq!(link.next_time(), None);
    for direction in Direction::BOTH {
        assert!(receive_all(&mut link, START, direction).is_empty());
        assert_eq!(link.under_way(direction), 0);
        assert_eq!(link.send(START, direction, b"more"), 4);
    }
}

#[test]
fn a_cut_after_n_bytes_lets_exactly_n_bytes_through() {
    for n in 0..=6 {
        let mut link = Link::new(0);
        link.set_pieces(ToClient, Pieces::Fixed(4));
        link.send(START, ToClient, b"before");
        receive_all(&mut link, START, ToClient);
        link.cut_after(ToClient, n);
        link.send(START, ToClient, b"123456789");
        link.send(START, ToBroker, b"the other direction");
        let received = receive_all(&mut link, START, ToClient).concat();
        assert_eq!(received, &b"123456789"[..n as usize]);
        assert!(link.is_cut());
        assert!(receive_all(&mut link, START, ToBroker).is_empty());
    }
}

#[test]
fn a_half_open_link_swallows_one_direction_in_silence() {
    let mut link = Link::new(0);
    link.send(START, ToBroker, b"under way");
    link.half_open(ToBroker);
    assert_eq!(link.send(START, ToBroker, b"later"), 5);
    link.finish(START, ToBroker);
    link.send(START, ToClient, b"fine");
    assert!(receive_all(&mut link, START, ToBroker).is_empty());
    assert!(!link.is_finished(START, ToBroker));
    assert_eq!(receive_all(&mut link, START, ToClient), [b"fine"]);
    assert!(!link.is_cut());
}

#[test]
fn a_stalled_direction_holds_bytes_back_and_loses_none() {
    let mut link = Link::new(0);
    link.send(START, ToBroker, b"held");
    link.stall(ToBroker, true);
    assert!(receive_all(&mut link, START, ToBroker).is_empty());
    assert_eq!(link.next_time(), None);
    link.stall(ToBroker, false);
    assert_eq!(link.next_time(), Some(START));
    assert_eq!(receive_all(&mut link, START, ToBroker), [b"held"]);
}

#[test]
fn a_full_direction_takes_no_more_until_something_is_received() {
    let mut link = Link::new(0);
    link.set_capacity(ToBroker, 5);
    assert_eq!(link.send(START, ToBroker, b"abc"), 3);
    assert_eq!(link.send(START, ToBroker, b"defg"), 2);
    assert_eq!(link.send(START, ToBroker, b"fg"), 0);
    assert_eq!(receive_all(&mut link, START, ToBroker), [b"abcde"]);
    assert_eq!(link.send(START, ToBroker, b"fg"), 2);
    assert_eq!(link.received(ToBroker), 5);
}

#[test]
fn a_finished_direction_ends_when_all_has_arrived() {
    let mut link = Link::new(0);
    link.set_delay(ToClient, Duration::from_secs(1));
    link.send(START, ToClient, b"goodbye");
    link.finish(START, ToClient);
    let later = Duration::from_secs(1);
    assert!(!link.is_finished(START, ToClient));
    assert!(!link.is_finished(later, ToClient));
    assert_eq!(link.next_time(), Some(later));
    assert_eq!(receive_all(&mut link, later, ToClient), [b"goodbye"]);
    assert!(link.is_finished(later, ToClient));
    assert_eq!(link.next_time(), None, "the end was seen");
}
