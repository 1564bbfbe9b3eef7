//! Packet identifiers that ascend, after a restart.

use super::*;

/// [MQTT-2.2.1-3]
#[test]
fn identifiers_that_ascend_pass_over_those_that_a_restored_session_has_in_use() {
    let config = || ahead().packet_ids(PacketIds::Ascending);
    let (mut raw, mut log) = connected(config());
    for _ in 0..3 {
        raw.publish(QoS::ExactlyOnce, b"x");
    }
    log.extend(store(&mut raw));
    raw.feed_ack(PacketType::PubRec, 2);
    log.extend(store(&mut raw));

    let mut next = resumed(config(), log);
    assert_eq!(next.lines(), ["PUBREL 2", "PUBLISH 1 DUP", "PUBLISH 3 DUP"]);
    assert_eq!(next.session.stats().in_flight, 3);
    next.publish(QoS::AtLeastOnce, b"y");
    store(&mut next);
    assert_eq!(next.lines(), ["PUBLISH 4"]);
}
