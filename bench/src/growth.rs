//! Whether cost grows in proportion: what a message or a byte costs as there are more of them, from row to row.

use std::fmt::Write as _;

use crate::case::{Row, Work};
use crate::saved::{Panel, Series};

/// One thing that grows.
pub(crate) struct Axis {
    /// What is done.
    pub(crate) title: &'static str,
    /// What there is more and more of.
    pub(crate) of: &'static str,
    pub(crate) unit: Unit,
    /// How much of it, and the row of that.
    pub(crate) points: Vec<(u64, Row)>,
}

/// What stands in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Nanoseconds for each message.
    Nanos,
    /// Nanoseconds for each message but the first, whose row says what connecting takes.
    NanosBeyondFirst,
    /// Megabytes of payload in a second.
    Megabytes,
}

impl Unit {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nanos => "ns a message",
            Self::NanosBeyondFirst => "ns for each message but the first",
            Self::Megabytes => "MB of payload a second",
        }
    }
}

pub(crate) fn axes() -> Vec<Axis> {
    let in_flight = [1, 10, 100, 1_000, 10_000, u16::MAX];
    let queued = [1, 1_000, 10_000, 100_000, 1_000_000];
    let sizes = [10, 100, 1_024, 10_240, 65_536];
    let clients = [1, 10, 100, 1_000, 10_000];
    let payload = |work| sizes.map(|size| (size as u64, Row::of(work, size))).into();
    let shared =
        |work| clients.map(|clients| (clients.into(), Row::of(work, 64).shared_by(clients)));
    vec![
        Axis {
            title: "publish QoS 1, 64 B",
            of: "messages in flight",
            unit: Unit::Nanos,
            points: in_flight
                .map(|window| (window.into(), Row::of(Work::Publish1 { window }, 64)))
                .into(),
        },
        Axis {
            title: "publish QoS 0 before it is connected, 10 B",
            of: "messages queued",
            unit: Unit::NanosBeyondFirst,
            points: queued
                .map(|messages| (messages.into(), Row::of(Work::Queued { messages }, 10)))
                .into(),
        },
        Axis {
            title: "publish QoS 0",
            of: "bytes of payload",
            unit: Unit::Megabytes,
            points: payload(Work::Publish0),
        },
        Axis {
            title: "receive QoS 0",
            of: "bytes of payload",
            unit: Unit::Megabytes,
            points: payload(Work::Receive0),
        },
        Axis {
            title: "publish QoS 0, 64 B, in total",
            of: "clients",
            unit: Unit::Nanos,
            points: shared(Work::Publish0).into(),
        },
        Axis {
            title: "receive QoS 0, 64 B, in total",
            of: "clients",
            unit: Unit::Nanos,
            points: shared(Work::Receive0).into(),
        },
    ]
}

/// Every row of every axis.
pub(crate) fn rows() -> Vec<Row> {
    let points = axes().into_iter().flat_map(|axis| axis.points);
    points.map(|(_, row)| row).collect()
}

/// What one client has done along an axis.
pub(crate) struct Line {
    pub(crate) client: String,
    /// For each point: how much, and the figure in the axis's unit, if there is one.
    pub(crate) points: Vec<(u64, Option<f64>)>,
    /// What the first message takes, in microseconds, where that is not in `points`.
    first: Option<f64>,
}

impl Line {
    /// How much of it, and the figure of that, where there is one.
    pub(crate) fn figures(&self) -> impl Iterator<Item = (u64, f64)> {
        let figures = self.points.iter();
        figures.filter_map(|&(much, figure)| Some((much, figure?)))
    }
}

impl Axis {
    /// Clients in the order of the runs.
    pub(crate) fn lines(&self, panels: &[Panel]) -> Vec<Line> {
        let panel = |row: Row| panels.iter().find(|panel| panel.row == row);
        let mut names: Vec<&str> = Vec::new();
        for panel in self.points.iter().filter_map(|&(_, row)| panel(row)) {
            for series in &panel.all {
                if !names.contains(&series.client.as_str()) {
                    names.push(&series.client);
                }
            }
        }
        let rate = |row: Row, client: &str| {
            let series = panel(row)?.all.iter().find(|one| one.client == client)?;
            Some(Series::median(series))
        };
        let line = |client: &str| {
            let first = match self.unit {
                Unit::NanosBeyondFirst => rate(self.points[0].1, client).map(|rate| 1e9 / rate),
                _ => None,
            };
            let figure = |&(much, row): &(u64, Row)| {
                let rate = rate(row, client);
                let figure = match self.unit {
                    Unit::Nanos => rate.map(|rate| 1e9 / rate),
                    Unit::Megabytes => rate.map(|rate| rate * row.size as f64 / 1e6),
                    Unit::NanosBeyondFirst => rate.zip(first).and_then(|(rate, first)| {
                        let all = 1e9 / rate * much as f64;
                        (much > 1).then(|| (all - first).max(0.1) / (much - 1) as f64)
                    }),
                };
                (much, figure)
            };
            Line {
                client: client.to_owned(),
                points: self.points.iter().map(figure).collect(),
                first: first.map(|nanos| nanos / 1000.0),
            }
        };
        names.into_iter().map(line).collect()
    }
}

/// How far a line is from flat.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Flatness {
    /// The highest cost by the lowest.
    worst_by_best: f64,
    /// The most by which a cost is higher than one of less: 1 where more is never dearer.
    grows: f64,
}

impl Flatness {
    /// Of costs in the order of how much there is.
    fn of(costs: &[f64]) -> Option<Self> {
        let lowest = costs.iter().copied().min_by(f64::total_cmp)?;
        let highest = costs.iter().copied().max_by(f64::total_cmp)?;
        let (mut least, mut grows) = (f64::MAX, 1.0_f64);
        for &cost in costs {
            grows = grows.max(cost / least);
            least = least.min(cost);
        }
        Some(Self {
            worst_by_best: highest / lowest,
            grows,
        })
    }
}

/// What has grown, in one table for each axis that has rows here.
pub(crate) fn tables(panels: &[Panel]) -> String {
    let mut text = String::new();
    for axis in axes() {
        let lines = axis.lines(panels);
        // One figure is no growth.
        if lines.iter().all(|line| line.figures().count() < 2) {
            continue;
        }
        let _ = write!(
            text,
            "### {}: {} by the number of {}\n\n| client |",
            axis.title,
            axis.unit.name(),
            axis.of
        );
        for (much, _) in &axis.points {
            let _ = write!(text, " {} |", grouped(*much));
        }
        let _ = write!(text, " worst by best | grows by |\n|---|");
        text += &"---|".repeat(axis.points.len() + 2);
        text.push('\n');
        for line in lines {
            let _ = write!(text, "| {} |", line.client);
            for (at, (_, figure)) in line.points.iter().enumerate() {
                let _ = match (figure, line.first) {
                    (None, Some(first)) if at == 0 => write!(text, " ({first:.0} µs) |"),
                    (None, _) => write!(text, " |"),
                    (Some(figure), _) if *figure < 10.0 => write!(text, " {figure:.1} |"),
                    (Some(figure), _) => write!(text, " {figure:.0} |"),
                };
            }
            let cost = |figure: f64| match axis.unit {
                Unit::Megabytes => 1.0 / figure,
                Unit::Nanos | Unit::NanosBeyondFirst => figure,
            };
            let costs: Vec<f64> = line.figures().map(|(_, figure)| cost(figure)).collect();
            let _ = match Flatness::of(&costs) {
                Some(flat) => writeln!(text, " {:.2} | {:.2} |", flat.worst_by_best, flat.grows),
                None => writeln!(text, " | |"),
            };
        }
        text.push('\n');
    }
    if !text.is_empty() {
        text += NOTE;
    }
    text
}

const NOTE: &str = "\
\"Worst by best\": the highest cost of a message (or of a byte, where bytes a second are told) in the line, by the lowest. \"Grows by\": the most by
which a cost is higher than one of less, anywhere to its left: 1.00 where more is never dearer. With few messages in flight each waits for a turn of both
processes, and with few bytes the message costs more than they do: both get cheaper with more, for everyone. In parentheses: connecting, and one
message.
";

/// 1,234,567.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_can_be_asked_for() {
        for row in rows() {
            assert_eq!(row.to_string().parse::<Row>().expect("its name"), row);
        }
    }

    #[test]
    fn flat_is_one_and_cheaper_does_not_grow() {
        let flat = Flatness::of(&[2.0, 2.0]).expect("some");
        assert_eq!((flat.worst_by_best, flat.grows), (1.0, 1.0));
        let falls = Flatness::of(&[8.0, 2.0]).expect("some");
        assert_eq!((falls.worst_by_best, falls.grows), (4.0, 1.0));
        let rises = Flatness::of(&[4.0, 2.0, 3.0]).expect("some");
        assert_eq!((rises.worst_by_best, rises.grows), (2.0, 1.5));
        assert_eq!(Flatness::of(&[]), None);
    }

    /// Connecting takes a millisecond, and each message after the first a microsecond.
    #[test]
    fn connecting_is_taken_off_what_is_queued() {
        let panel = |messages: u32, seconds: f64| Panel {
            part: "growth".to_owned(),
            row: Row::of(Work::Queued { messages }, 10),
            all: vec![Series {
                client: "tokio".to_owned(),
                figures: vec![f64::from(messages) / seconds],
            }],
        };
        let panels = [
            panel(1, 1e-3),
            panel(1_000, 1e-3 + 999e-6),
            panel(10_000, 1e-3 + 9_999e-6),
        ];
        let text = tables(&panels);
        assert!(
            text.contains("| tokio | (1000 µs) | 1000 | 1000 | | | 1.00 | 1.00 |"),
            "{text}"
        );
    }

    #[test]
    fn digits_come_in_threes() {
        assert_eq!(
            [1, 999, 1_000, 1_234_567].map(grouped),
            ["1", "999", "1,000", "1,234,567"]
        );
    }
}
