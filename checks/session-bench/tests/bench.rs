//! What is measured does the work.

use mqtt_proto::QoS;
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
