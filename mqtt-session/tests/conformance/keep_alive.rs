//! Keep-alive (sections 3.1.2.10 and 3.12).

use std::time::Duration;

use mqtt_session::proto::{Packet, PacketType, QoS};
use mqtt_session::{ConnectionError, Phase};
use mqtt_testkit::BrokerConfig;

use crate::pair::raw::Raw;
use crate::pair::{Pair, config};
use crate::runner::Cases;
use crate::support::{properties, sent};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn add(cases: &mut Cases) {
    cases.both(
        &["MQTT-3.1.2-20"],
        &["MQTT-3.1.2-23"],
        "with nothing else to send PINGREQ goes out within the interval, for hours, as the broker times it",
        |version| {
            for interval in [1, 60, 3600] {
                let mut pair = Pair::connected(config(version).keep_alive(seconds(interval)));
                let mut last = pair.clock.now();
                pair.run_for(seconds(interval * 20));
                assert_eq!(pair.session.phase(), Phase::Connected);
                let pings = pair.broker.log().iter().filter(|entry| {
                    entry
                        .packet(mqtt_testkit::Direction::ToBroker)
                        .is_some_and(|packet| packet.packet_type == PacketType::PingReq)
                });
                for ping in pings {
                    assert!(ping.time - last <= seconds(interval), "{ping}");
                    last = ping.time;
                }
                assert!(pair.clock.now() - last <= seconds(interval));
                pair.check();
            }
        },
    );
    cases.both(
        &["MQTT-3.1.2-20"],
        &["MQTT-3.1.2-23"],
        "messages that come all the time do not stop the pings",
        |version| {
            let mut raw = Raw::connected(config(version).keep_alive(seconds(60)));
            let mut pings = 0;
            for _ in 0..180 {
                raw.advance(seconds(1));
                raw.feed_publish("a", mqtt_session::proto::Flow::AtMostOnce, b"");
                if raw.lines() == ["PINGREQ"] {
                    pings += 1;
                    raw.feed(&Packet::PingResp);
                }
            }
            assert!(pings >= 3, "{pings}");
        },
    );
    cases.v5(
        &["MQTT-3.1.2-21", "MQTT-3.2.2-21"],
        "Server Keep Alive holds in place of ours, whether shorter, longer or off",
        || {
            let version = mqtt_session::proto::Version::V5;
            for (ours, theirs) in [(60, 5), (5, 600), (0, 30), (60, 0)] {
                let broker = BrokerConfig {
                    server_keep_alive: Some(theirs),
                    ..BrokerConfig::default()
                };
                let asked = config(version).keep_alive(seconds(ours));
                let mut pair = Pair::with_broker(asked, broker);
                pair.connect();
                pair.run_for(seconds(3000));
                let pings = sent(&pair, PacketType::PingReq).len() as u64;
                let (least, most) = match u64::from(theirs) {
                    // Nothing but our own look at whether the server is alive, every five minutes.
                    0 => (0, 10),
                    theirs => (3000 / theirs, 2 * 3000 / theirs),
                };
                assert!((least..=most).contains(&pings), "{ours} {theirs}: {pings}");
                pair.check();
            }
        },
    );
    cases.v5(
        &["MQTT-3.2.2-21"],
        "Server Keep Alive belongs to its connection",
        || {
            let version = mqtt_session::proto::Version::V5;
            let server = properties(|b| b.server_keep_alive(5));
            let mut raw = Raw::connected_with(config(version).keep_alive(seconds(60)), server);
            raw.advance(seconds(5));
            assert_eq!(raw.lines(), ["PINGREQ"]);
            raw.reconnect(true, crate::support::NONE);
            raw.packets();
            raw.advance(seconds(40));
            assert_eq!(raw.lines(), Vec::<String>::new());
            raw.advance(seconds(20));
            assert_eq!(raw.lines(), ["PINGREQ"]);
        },
    );
    cases.both(
        &["MQTT-3.12.4-1"],
        &["MQTT-3.12.4-1"],
        "a PINGREQ that is not answered in time ends the connection, and publishing all the time does not hide it",
        |version| {
            for publishes in [false, true] {
                let mut raw = Raw::connected(config(version).keep_alive(seconds(60)));
                let mut waited = 0;
                while raw.session.phase() == Phase::Connected && waited < 200 {
                    if publishes {
                        raw.publish(QoS::AtMostOnce, b"");
                    }
                    raw.advance(seconds(1));
                    waited += 1;
                }
                // Three quarters of the interval, then ten seconds.
                assert_eq!(waited, 55);
                let error = raw.last_loss();
                assert!(matches!(error, ConnectionError::NoPingResp { .. }), "{error}");
                assert!(!raw.hang_up());
                // The ping that was out is forgotten with its connection.
                raw.wait_for_dial();
                raw.open();
                raw.accept(false, crate::support::NONE);
                raw.advance(seconds(40));
                assert_eq!(raw.session.phase(), Phase::Connected);
            }
        },
    );
}
