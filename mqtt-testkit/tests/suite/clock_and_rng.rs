use core::time::Duration;

use mqtt_testkit::{Clock, Rng};

#[test]
fn a_clock_moves_only_when_told_and_never_back() {
    let mut clock = Clock::new();
    assert_eq!(clock.now(), Duration::ZERO);
    assert_eq!(
        clock.advance(Duration::from_secs(3)),
        Duration::from_secs(3)
    );
    assert_eq!(
        clock.advance_to(Duration::from_secs(2)),
        Duration::from_secs(3)
    );
    assert_eq!(
        clock.advance_to(Duration::from_secs(5)),
        Duration::from_secs(5)
    );
}

#[test]
fn the_generator_gives_the_published_numbers_of_splitmix64() {
    let mut rng = Rng::new(1_234_567);
    let drawn = [rng.next_u64(), rng.next_u64(), rng.next_u64()];
    assert_eq!(
        drawn,
        [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423
        ]
    );
}

#[test]
fn drawn_numbers_stay_in_their_range_and_reach_all_of_it() {
    let mut rng = Rng::new(1);
    let mut seen = [false; 4];
    for _ in 0..200 {
        seen[rng.below(4) as usize] = true;
        assert!((3..=5).contains(&rng.range(3, 5)));
    }
    assert_eq!(seen, [true; 4]);
    assert_eq!(rng.below(0), 0);
    assert!(!rng.chance(0));
    assert!(rng.chance(1));
}

#[test]
fn a_fork_does_not_disturb_what_the_original_draws() {
    let (mut one, mut other) = (Rng::new(9), Rng::new(9));
    let mut fork = one.fork();
    let _ = other.fork();
    for _ in 0..10 {
        fork.next_u64();
    }
    assert_eq!(one, other);
    assert_ne!(one, fork);
}
