//! Times of the operating system, as the session counts them.
#![cfg(feature = "std")]

use std::time::{Duration, SystemTime};

use mqtt_session::UnixTime;

#[test]
fn the_clock_on_the_wall_counts_from_1970_and_nothing_is_before_that() {
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1234);
    assert_eq!(UnixTime::from(time), UnixTime::from_millis(1234));
    let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
    assert_eq!(UnixTime::from(before), UnixTime::from_millis(0));
}
