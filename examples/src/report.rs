//! The demo's table, and its verdict.

use std::time::Duration;

use mqtt_proto::QoS;

use crate::table::{render, thousands};
use crate::tally::Counts;

/// What became of the messages of one version and QoS.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The version of the protocol, as people write it.
    pub version: &'static str,
    /// The quality of service.
    pub qos: QoS,
    /// The counts.
    pub counts: Counts,
}

/// A line for each row.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let header = [
        "version",
        "QoS",
        "sent",
        "acknowledged",
        "resent",
        "received",
        "lost",
        "duplicated",
        "messages/s",
        "p50",
        "p99",
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(
            |Row {
                 version,
                 qos,
                 counts,
             }| {
                // At QoS 0 nobody acknowledges.
                let acknowledged = match qos {
                    QoS::AtMostOnce => "-".to_owned(),
                    _ => thousands(counts.acknowledged),
                };
                [
                    (*version).to_owned(),
                    qos.as_u8().to_string(),
                    thousands(counts.sent),
                    acknowledged,
                    thousands(counts.resent),
                    thousands(counts.received),
                    thousands(counts.lost),
                    thousands(counts.duplicated),
                    thousands(counts.per_second.round() as u64),
                    millis(counts.p50),
                    millis(counts.p99),
                ]
            },
        )
        .collect();
    render(header, &rows)
}

fn millis(latency: Option<Duration>) -> String {
    latency.map_or_else(
        || "-".to_owned(),
        |latency| format!("{:.2} ms", latency.as_secs_f64() * 1_000.0),
    )
}

/// The promises that were broken, in words; none is the good end.
///
/// QoS 0 promises nothing but that a message is not made up. QoS 1 promises arrival and an
/// acknowledgement; QoS 2 promises one arrival.
#[must_use]
pub fn broken_promises(rows: &[Row]) -> Vec<String> {
    let mut broken = Vec::new();
    for Row {
        version,
        qos,
        counts,
    } in rows
    {
        let mut expect_none = |count: u64, what: &str| {
            if count > 0 {
                broken.push(format!(
                    "MQTT {version}, {qos}: {} {what}",
                    thousands(count)
                ));
            }
        };
        expect_none(counts.unknown, "received that were never sent");
        if *qos != QoS::AtMostOnce {
            expect_none(counts.lost, "lost");
            expect_none(counts.sent - counts.acknowledged, "never acknowledged");
        }
        if *qos == QoS::ExactlyOnce {
            expect_none(counts.duplicated, "duplicated");
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(qos: QoS, change: impl FnOnce(&mut Counts)) -> Row {
        let mut counts = Counts {
            sent: 1_000,
            acknowledged: 1_000,
            received: 1_000,
            ..Counts::default()
        };
        change(&mut counts);
        Row {
            version: "5.0",
            qos,
            counts,
        }
    }

    #[test]
    fn the_table_has_a_line_for_each_row_and_no_acknowledgements_at_qos_0() {
        let rows = [
            row(QoS::AtMostOnce, |counts| counts.lost = 3),
            row(QoS::ExactlyOnce, |counts| {
                counts.per_second = 12_345.6;
                counts.p50 = Some(Duration::from_micros(1_234));
            }),
        ];
        let expected = "\
version  QoS   sent  acknowledged  resent  received  lost  duplicated  messages/s      p50  p99
-------  ---  -----  ------------  ------  --------  ----  ----------  ----------  -------  ---
5.0        0  1,000             -       0     1,000     3           0           0        -    -
5.0        2  1,000         1,000       0     1,000     0           0      12,346  1.23 ms    -
";
        assert_eq!(table(&rows), expected);
    }

    #[test]
    fn a_lost_message_breaks_a_promise_from_qos_1_on() {
        let broken = |qos| broken_promises(&[row(qos, |counts| counts.lost = 2)]);
        assert_eq!(broken(QoS::AtMostOnce), [""; 0]);
        assert_eq!(broken(QoS::AtLeastOnce), ["MQTT 5.0, QoS 1: 2 lost"]);
        assert_eq!(broken(QoS::ExactlyOnce), ["MQTT 5.0, QoS 2: 2 lost"]);
    }

    #[test]
    fn a_duplicate_breaks_a_promise_only_at_qos_2() {
        let broken = |qos| broken_promises(&[row(qos, |counts| counts.duplicated = 1)]);
        assert_eq!(broken(QoS::AtMostOnce), [""; 0]);
        assert_eq!(broken(QoS::AtLeastOnce), [""; 0]);
        assert_eq!(broken(QoS::ExactlyOnce), ["MQTT 5.0, QoS 2: 1 duplicated"]);
    }

    #[test]
    fn an_acknowledgement_that_never_came_breaks_a_promise() {
        let unacknowledged = row(QoS::AtLeastOnce, |counts| counts.acknowledged = 999);
        assert_eq!(
            broken_promises(&[unacknowledged]),
            ["MQTT 5.0, QoS 1: 1 never acknowledged"]
        );
    }
}
