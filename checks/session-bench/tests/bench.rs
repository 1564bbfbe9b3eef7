//! What is measured does the work.

use mqtt_proto::QoS;
use session_bench::client::ClientBench;
use session_bench::growth::{Growing, MATCHING};
use session_bench::routing::{Kind, router, topics};
use session_bench::{BATCH, Bench};

#[test]
fn every_message_of_a_batch_gets_through_again_and_again() {
    let mut bench = Bench::new();
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        for _ in 0..3 {
            assert_eq!(bench.publish(qos), BATCH, "published at {qos}");
            assert_eq!(bench.receive(qos), BATCH, "received at {qos}");
        }
    }
}

#[test]
fn every_message_gets_through_the_handles_and_the_driver_again_and_again() {
    let mut bench = ClientBench::new();
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        for _ in 0..3 {
            assert_eq!(bench.publish(qos), BATCH, "published at {qos}");
            assert_eq!(bench.receive(qos), BATCH, "received at {qos}");
        }
    }
}

#[test]
fn each_topic_has_its_filter_and_few_have_two() {
    for kind in [Kind::Exact, Kind::Mixed] {
        let mut router = router(kind, 10_000);
        let (mut found, topics) = (0, topics(1000, 10_000));
        for topic in &topics {
            router.matches(topic.view(), |_| found += 1);
        }
        assert!((900..=1000).contains(&found), "{found} for {kind:?}");
    }
}

#[test]
fn what_grows_comes_to_all_that_match() {
    for make in [
        Growing::identifiers,
        Growing::user_properties,
        Growing::single_bytes,
    ] {
        for count in [100, 1_000] {
            let mut growing = make(count);
            assert_eq!(growing.arrive(), MATCHING, "{count}");
            assert_eq!(growing.arrive(), MATCHING, "{count}, again");
        }
    }
}
