//! What grows: for each axis a panel, for each client a curve through its medians. Both scales are logarithmic, so that a cost which does not grow
//! is a level line.

use std::fmt::Write as _;

use super::{LEFT, WIDTH, color, escape, power_of_ten, short, svg};
use crate::growth::{Line, Unit, axes, grouped};
use crate::saved::Panel;

/// Where the scale of what grows ends; names stand behind.
const RIGHT: f64 = WIDTH - 190.0;
const HEAD: f64 = 44.0;
const HEIGHT: f64 = 230.0;
/// Below each panel, for its scale.
const FOOT: f64 = 44.0;
/// Between two names.
const LINE: f64 = 13.0;
/// Of the curves of one colour.
const DASHES: [&str; 4] = ["", "7 3", "2 3", "9 3 2 3"];

pub(super) fn draw(about: &str, panels: &[Panel]) -> String {
    let (mut body, mut y) = (String::new(), 44.0);
    for axis in axes() {
        let lines = axis.lines(panels);
        if lines.iter().all(|line| line.figures().count() < 2) {
            continue;
        }
        let unit = match axis.unit {
            Unit::Megabytes => "more is better",
            Unit::Nanos | Unit::NanosBeyondFirst => "less is better",
        };
        let _ = writeln!(
            body,
            "<text x=\"12\" y=\"{:.0}\" font-weight=\"bold\">{}: {}, by the number of {} ({unit})</text>",
            y + 20.0,
            escape(axis.title),
            axis.unit.name(),
            axis.of
        );
        panel(&mut body, y + HEAD, &lines);
        y += HEAD + HEIGHT + FOOT;
    }
    svg(about, y, &body)
}

fn panel(body: &mut String, top: f64, lines: &[Line]) {
    let all = || lines.iter().flat_map(Line::figures);
    let most = all().map(|(much, _)| much).max().unwrap_or(1).max(2) as f64;
    let least = all().map(|(much, _)| much).min().unwrap_or(1) as f64;
    let from = all().map(|(_, figure)| figure).fold(f64::MAX, f64::min);
    let to = all().map(|(_, figure)| figure).fold(0.0, f64::max);
    let from = from.log10().floor();
    let to = to.log10().ceil().max(from + 1.0);
    let span = (most / least).log10();
    let x = |much: f64| LEFT + (much / least).log10() / span * (RIGHT - LEFT);
    let y = |figure: f64| top + HEIGHT - (figure.log10() - from) / (to - from) * HEIGHT;
    for power in from as i32..=to as i32 {
        let at = y(10f64.powi(power));
        let _ = writeln!(
            body,
            "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{RIGHT}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"#777\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            at + 4.0,
            power_of_ten(power)
        );
    }
    let mut marks: Vec<u64> = all().map(|(much, _)| much).collect();
    marks.sort_unstable();
    marks.dedup();
    for much in marks {
        let at = x(much as f64);
        let _ = writeln!(
            body,
            "<line x1=\"{at:.1}\" y1=\"{top:.1}\" x2=\"{at:.1}\" y2=\"{:.1}\" stroke=\"#eee\"/>\n\
             <text x=\"{at:.1}\" y=\"{:.1}\" fill=\"#777\" text-anchor=\"middle\">{}</text>",
            top + HEIGHT,
            top + HEIGHT + 16.0,
            grouped(much)
        );
    }
    // Names from the top down, none upon another.
    let mut ends: Vec<(f64, &Line, usize)> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if let Some((_, last)) = line.figures().last() {
            let same = lines[..at].iter();
            let same = same.filter(|other| color(&other.client) == color(&line.client));
            ends.push((y(last), line, same.count()));
        }
    }
    ends.sort_by(|(one, ..), (other, ..)| one.total_cmp(other));
    let mut free = f64::MIN;
    for (end, line, dash) in ends {
        let (color, dash) = (color(&line.client), DASHES[dash % DASHES.len()]);
        let mut points = String::new();
        for (much, figure) in line.figures() {
            let _ = write!(points, "{:.1},{:.1} ", x(much as f64), y(figure));
        }
        let at = end.max(free);
        free = at + LINE;
        let last = line.figures().last().map_or(0.0, |(_, figure)| figure);
        let _ = writeln!(
            body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\" stroke-dasharray=\"{dash}\"/>\n\
             <line x1=\"{:.1}\" y1=\"{end:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\" stroke=\"{color}\" stroke-width=\"0.5\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"{color}\">{} {}</text>",
            points.trim_end(),
            RIGHT + 2.0,
            RIGHT + 22.0,
            RIGHT + 26.0,
            at + 4.0,
            escape(&line.client),
            short(last)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Row, Work};
    use crate::saved::Series;

    #[test]
    fn every_client_has_a_curve() {
        let panel = |window, rate| Panel {
            part: "growth".to_owned(),
            row: Row::of(Work::Publish1 { window }, 64),
            all: ["floor", "tokio"]
                .map(|client| Series {
                    client: client.to_owned(),
                    figures: vec![rate],
                })
                .into(),
        };
        let svg = draw(
            "<a>",
            &[panel(1, 1e5), panel(100, 1e6), panel(u16::MAX, 1e6)],
        );
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.contains("65,535") && svg.contains("&lt;a&gt;") && !svg.contains("NaN"));
    }
}
