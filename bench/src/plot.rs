//! Pictures of a run's file: for each row a panel, for each client a dot at the median, and a line from the lowest to the highest; and for what
//! grows a panel of curves.

mod curves;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::Result;
use crate::case::{Row, Work};
use crate::clients::{ALL, Role};
use crate::saved::{Panel, Series, read};

const WIDTH: f64 = 860.0;
/// Where the scale begins and ends.
const LEFT: f64 = 130.0;
const RIGHT: f64 = WIDTH - 90.0;
const LINE: f64 = 17.0;
const HEAD: f64 = 52.0;

/// The part that is drawn as curves.
const GROWTH: &str = "growth";

/// Writes the pictures beside the file, as far as there is something to draw.
///
/// # Errors
///
/// The file can't be read, or is none of ours.
pub(crate) fn run(file: &Path) -> Result<()> {
    let text = fs::read_to_string(file)?;
    let (growth, rows): (Vec<Panel>, Vec<Panel>) = read(&text)?
        .into_iter()
        .partition(|panel| panel.part == GROWTH);
    let about = text
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .find(|line| !line.starts_with("part "))
        .unwrap_or_default();
    let draw_one = |ending: &str, picture: String| -> Result<()> {
        let mut name = file.file_stem().unwrap_or_default().to_owned();
        name.push(ending);
        let picture_file = file.with_file_name(name);
        fs::write(&picture_file, picture)?;
        println!("drawn: {}", picture_file.display());
        Ok(())
    };
    if !rows.is_empty() {
        draw_one(".svg", draw(about, &rows))?;
    }
    let short: Vec<&Panel> = rows.iter().filter(|panel| is_in_short(panel)).collect();
    if !short.is_empty() {
        draw_one("-short.svg", draw(about, short))?;
    }
    if !growth.is_empty() {
        draw_one("-growth.svg", curves::draw(about, &growth))?;
    }
    Ok(())
}

/// What says the most in a picture that fits onto a page.
fn is_in_short(Panel { part, row, .. }: &Panel) -> bool {
    let work = matches!(
        row.work,
        Work::Publish0 | Work::Publish1 { window: 100 } | Work::Receive0 | Work::Receive1
    );
    part == "messages" && work && row.size == 64
}

fn draw<'a>(about: &str, panels: impl IntoIterator<Item = &'a Panel>) -> String {
    let mut body = String::new();
    let mut y = 44.0;
    for Panel { part, row, all } in panels {
        let against = match part.as_str() {
            "tls" => ", over TLS",
            "mosquitto" => ", against mosquitto",
            _ => "",
        };
        y = panel(&mut body, y, *row, against, all);
    }
    svg(about, y, &body)
}

fn svg(about: &str, y: f64, body: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y:.0}\" viewBox=\"0 0 {WIDTH} {y:.0}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"12\" y=\"22\" fill=\"#555\">{}</text>\n{body}</svg>\n",
        escape(about)
    )
}

/// Draws one row from here down, and says where it ends.
fn panel(body: &mut String, top: f64, row: Row, against: &str, all: &[Series]) -> f64 {
    let figures = || all.iter().flat_map(|series| series.figures.iter().copied());
    // Whole powers of ten around all of them.
    let from = figures().fold(f64::MAX, f64::min).log10().floor();
    let to = figures().fold(1.0, f64::max).log10().ceil().max(from + 1.0);
    let x = |figure: f64| LEFT + (figure.log10() - from) / (to - from) * (RIGHT - LEFT);
    let bottom = top + HEAD + LINE * all.len() as f64;
    let unit = match row.work {
        Work::Latency => "µs until acknowledged, median",
        Work::Idle { .. } => "bytes a client",
        Work::Connect => "connections a second",
        _ => "messages a second",
    };
    let _ = writeln!(
        body,
        "<text x=\"12\" y=\"{:.0}\" font-weight=\"bold\">{}{against}: {unit}</text>",
        top + 20.0,
        escape(&row.title())
    );
    for power in from as i32..=to as i32 {
        let at = x(10f64.powi(power));
        let _ = writeln!(
            body,
            "<line x1=\"{at:.1}\" y1=\"{:.1}\" x2=\"{at:.1}\" y2=\"{:.1}\" stroke=\"#ddd\"/>\n\
             <text x=\"{at:.1}\" y=\"{:.1}\" fill=\"#777\" text-anchor=\"middle\">{}</text>",
            top + HEAD - 10.0,
            bottom - 8.0,
            top + HEAD - 14.0,
            power_of_ten(power)
        );
    }
    for (at, series) in all.iter().enumerate() {
        let mut figures = series.figures.clone();
        figures.sort_by(f64::total_cmp);
        let median = series.median();
        let y = top + HEAD + LINE * at as f64;
        let color = color(&series.client);
        let (lowest, highest) = (x(figures[0]), x(figures[figures.len() - 1]));
        let _ = writeln!(
            body,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{color}\" text-anchor=\"end\">{}</text>\n\
             <line x1=\"{lowest:.1}\" y1=\"{y:.1}\" x2=\"{highest:.1}\" y2=\"{y:.1}\" stroke=\"{color}\" stroke-width=\"3\"/>\n\
             <circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{color}\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"#555\">{}</text>",
            LEFT - 10.0,
            y + 4.0,
            escape(&series.client),
            x(median),
            highest + 8.0,
            y + 4.0,
            short(median)
        );
    }
    bottom + 6.0
}

fn color(client: &str) -> &'static str {
    match ALL
        .iter()
        .find(|one| one.name == client)
        .map(|one| one.role)
    {
        Some(Role::Floor) => "#888",
        Some(Role::Ours) => "#0a6",
        _ => "#c50",
    }
}

fn power_of_ten(power: i32) -> String {
    short(10f64.powi(power))
}

fn short(figure: f64) -> String {
    match figure {
        figure if figure >= 1e6 => format!("{}M", round(figure / 1e6)),
        figure if figure >= 1e3 => format!("{}k", round(figure / 1e3)),
        figure => round(figure),
    }
}

/// Three digits, or as many as there are before the point.
fn round(figure: f64) -> String {
    match figure {
        figure if figure >= 100.0 || figure.fract() == 0.0 => format!("{figure:.0}"),
        figure if figure >= 10.0 => format!("{figure:.1}"),
        figure => format!("{figure:.2}"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saved::tests::FILE;

    #[test]
    fn every_series_has_a_dot() {
        let svg = draw("<a>", &read(FILE).expect("a file"));
        assert!(svg.contains("&lt;a&gt;") && svg.contains("over TLS"));
        assert_eq!(svg.matches("<circle").count(), 4);
    }
}
