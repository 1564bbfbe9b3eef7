//! Identifiers of received messages that a server uses again, having lost the session unseen.

use mqtt_session::proto::Flow;

use super::*;

/// A snapshot has what the application is done with, though PUBREC has not gone.
#[test]
fn a_message_of_a_snapshot_whose_identifier_is_used_again_hides_none_after_a_restart() {
    let other = |dup| Flow::AtLeastOnce { id: id(8), dup };
    for (flow, is_known_again) in [
        (exactly_once(8), false),
        (other(false), false),
        (other(true), false),
        // This is the old one.
        (
            Flow::ExactlyOnce {
                id: id(8),
                dup: true,
            },
            true,
        ),
    ] {
        for compact in [false, true] {
            let config = pair::config(Version::V3_1)
                .clean_start(false)
                .durability(Durability::WriteAhead);
            let (mut raw, mut log) = connected(config.clone());
            raw.feed_publish("a", exactly_once(8), b"old");
            let old = raw.take(QueueId::DEFAULT);
            raw.closed(Cause::Eof);
            assert_eq!(raw.session.ack(raw.now, old.ticket), Ok(()));
            log.extend(store(&mut raw));
            if compact {
                log = raw.session.snapshot().expect("a snapshot").records;
            }
            raw.wait_for_dial();
            raw.open();
            raw.accept(false, NONE);
            raw.feed_publish("a", flow, b"other");
            log.extend(store(&mut raw));
            log.extend(store(&mut raw));

            // The process ends before the application is done with it.
            let mut next = restore(config, log);
            next.session.connect(next.now);
            next.open();
            next.accept(false, NONE);
            next.packets();
            let dup = true;
            next.feed_publish("a", Flow::ExactlyOnce { id: id(8), dup }, b"again");
            let is_new = next.session.poll_message(QueueId::DEFAULT).is_some();
            assert_eq!(is_new, !is_known_again, "{flow:?}, compact: {compact}");
        }
    }
}
