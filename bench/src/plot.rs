//! A picture of a run's file: for each row a panel, for each client a dot at the median, and a line from the lowest to the highest.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::Result;
use crate::case::{Row, Work};
use crate::clients::{ALL, Role};

const WIDTH: f64 = 860.0;
/// Where the scale begins and ends.
const LEFT: f64 = 130.0;
const RIGHT: f64 = WIDTH - 90.0;
const LINE: f64 = 17.0;
const HEAD: f64 = 52.0;

/// Runs of one client in one row.
struct Series {
    client: String,
    figures: Vec<f64>,
}

/// Rows in the order of the file.
type Panels = Vec<(Row, Vec<Series>)>;

/// Writes the picture beside the file, with another ending.
pub(crate) fn run(file: &Path) -> Result<()> {
    let text = fs::read_to_string(file)?;
    let panels = read(&text)?;
    let about = text.lines().find_map(|line| line.strip_prefix("# "));
    let picture = file.with_extension("svg");
    fs::write(&picture, draw(about.unwrap_or_default(), &panels))?;
    println!("written: {}", picture.display());
    Ok(())
}

fn read(text: &str) -> Result<Panels> {
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let head = lines.next().unwrap_or_default();
    if !head.starts_with("row\tclient\trun\tmessages\tseconds\t") {
        return Err("no file of timed runs, as --save writes them".into());
    }
    let mut panels: Panels = Vec::new();
    for line in lines {
        let fields: Vec<&str> = line.split('\t').collect();
        let [row, client, run, messages, seconds, _, _, p50, _, bytes, ..] = fields[..] else {
            return Err(format!("a line that is cut off: {line:?}").into());
        };
        if run.is_empty() {
            // Says why there is none.
            continue;
        }
        let row: Row = row.parse()?;
        let figure = match row.work {
            Work::Latency => p50.parse::<f64>()? / 1000.0,
            Work::Idle { .. } => bytes.parse()?,
            _ => messages.parse::<f64>()? / seconds.parse::<f64>()?,
        };
        if panels.last().is_none_or(|(last, _)| *last != row) {
            panels.push((row, Vec::new()));
        }
        let Some((_, all)) = panels.last_mut() else {
            continue;
        };
        match all.iter_mut().find(|series| series.client == client) {
            Some(series) => series.figures.push(figure),
            None => all.push(Series {
                client: client.to_owned(),
                figures: vec![figure],
            }),
        }
    }
    if panels.is_empty() {
        return Err("no runs in the file".into());
    }
    Ok(panels)
}

fn draw(about: &str, panels: &Panels) -> String {
    let mut body = String::new();
    let mut y = 44.0;
    for (row, all) in panels {
        y = panel(&mut body, y, *row, all);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y:.0}\" viewBox=\"0 0 {WIDTH} {y:.0}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"12\" y=\"22\" fill=\"#555\">{}</text>\n{body}</svg>\n",
        escape(about)
    )
}

/// Draws one row from here down, and says where it ends.
fn panel(body: &mut String, top: f64, row: Row, all: &[Series]) -> f64 {
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
        "<text x=\"12\" y=\"{:.0}\" font-weight=\"bold\">{}: {unit}</text>",
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
        let median = figures[figures.len() / 2];
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

    const FILE: &str = "# 2 × a processor\n\
        row\tclient\trun\tmessages\tseconds\tcpu_user_us\tcpu_system_us\tp50_ns\tp99_ns\tbytes\tvoid\n\
        publish0-64\tfloor\t0\t1000\t0.001\t1\t1\t\t\t\t\n\
        publish0-64\ttokio\t0\t1000\t0.01\t1\t1\t\t\t\t\n\
        publish0-64\ttokio\t1\t1000\t0.02\t1\t1\t\t\t\t\n\
        publish0-64\tpaho\t\t\t\t\t\t\t\t\tvoid: <no>\n\
        latency-64\ttokio\t0\t10\t1\t1\t1\t14000\t20000\t\t\n";

    #[test]
    fn runs_become_series() {
        let panels = read(FILE).expect("a file");
        assert_eq!(panels.len(), 2);
        assert_eq!(panels[0].1.len(), 2);
        assert_eq!(panels[0].1[1].figures, [100_000.0, 50_000.0]);
        assert_eq!(panels[1].1[0].figures, [14.0]);
        let svg = draw("<a>", &panels);
        assert!(svg.contains("&lt;a&gt;") && svg.matches("<circle").count() == 3);
    }

    #[test]
    fn another_file_is_refused() {
        assert!(read("row\tclient\ta_message\n").is_err());
        let cut = FILE.replace("\t14000\t20000\t\t", "");
        assert!(read(&cut).is_err());
    }
}
