//! The files of a full run: its parts, each of which can be run by itself and takes the place of what it had said before.

use std::fs;
use std::path::Path;

use crate::case::{Row, Work};
use crate::{Result, parts};

/// A heading of a part in the text for people, and in the one for programs.
pub(crate) const FOR_PEOPLE: &str = "## ";
pub(crate) const FOR_PROGRAMS: &str = "# part ";

/// Puts this part into the file, which need not exist.
pub(crate) fn put(file: &Path, heading: &str, part: &str, body: &str) -> Result<()> {
    let before = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error.into()),
    };
    fs::write(file, replaced(&before, heading, part, body))?;
    Ok(())
}

fn replaced(text: &str, heading: &str, part: &str, body: &str) -> String {
    let mut all = split(text, heading);
    let body = format!("{heading}{part}\n{body}");
    match all.iter_mut().find(|(name, _)| name == part) {
        Some((_, before)) => *before = body,
        None => all.push((part.to_owned(), body)),
    }
    // What comes before the first part has no name.
    all.sort_by_key(|(name, _)| match name.as_str() {
        "" => 0,
        name => 1 + place(name),
    });
    all.into_iter().map(|(_, body)| body).collect()
}

fn place(name: &str) -> usize {
    let place = parts::ALL.iter().position(|part| part.name == name);
    place.unwrap_or(parts::ALL.len())
}

/// Each part with its heading.
fn split(text: &str, heading: &str) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for line in text.split_inclusive('\n') {
        match (line.strip_prefix(heading), all.last_mut()) {
            (Some(name), _) => all.push((name.trim().to_owned(), line.to_owned())),
            (None, Some((_, body))) => body.push_str(line),
            (None, None) => all.push((String::new(), line.to_owned())),
        }
    }
    all
}

/// The runs of one row.
pub(crate) struct Panel {
    pub(crate) part: String,
    pub(crate) row: Row,
    pub(crate) all: Vec<Series>,
}

/// Runs of one client in one row.
pub(crate) struct Series {
    pub(crate) client: String,
    /// Messages or connections a second, microseconds, or bytes.
    pub(crate) figures: Vec<f64>,
}

impl Series {
    pub(crate) fn median(&self) -> f64 {
        let mut figures = self.figures.clone();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    }
}

/// Of a timed part, the head of its table.
pub(crate) const HEAD: &str = "row\tclient\trun\tmessages\tseconds\tcpu_user_us\tcpu_system_us\tp50_ns\tp99_ns\tbytes\tvoid\n";

/// Timed rows in the order of the file. What was counted is passed over.
pub(crate) fn read(text: &str) -> Result<Vec<Panel>> {
    let mut panels: Vec<Panel> = Vec::new();
    for (part, body) in split(text, FOR_PROGRAMS) {
        // A file of before there were parts has no heading.
        let part = if part.is_empty() {
            "messages".to_owned()
        } else {
            part
        };
        let mut lines = body.lines().filter(|line| !line.starts_with('#'));
        if lines.next() != Some(HEAD.trim_end()) {
            continue;
        }
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
            let last = panels.last();
            if last.is_none_or(|last| last.row != row || last.part != part) {
                let (part, all) = (part.clone(), Vec::new());
                panels.push(Panel { part, row, all });
            }
            let Some(Panel { all, .. }) = panels.last_mut() else {
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
    }
    Ok(panels)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const FILE: &str = "# 2 × a processor\n\
        row\tclient\trun\tmessages\tseconds\tcpu_user_us\tcpu_system_us\tp50_ns\tp99_ns\tbytes\tvoid\n\
        publish0-64\tfloor\t0\t1000\t0.001\t1\t1\t\t\t\t\n\
        publish0-64\ttokio\t0\t1000\t0.01\t1\t1\t\t\t\t\n\
        publish0-64\ttokio\t1\t1000\t0.02\t1\t1\t\t\t\t\n\
        publish0-64\tpaho\t\t\t\t\t\t\t\t\tvoid: <no>\n\
        latency-64\ttokio\t0\t10\t1\t1\t1\t14000\t20000\t\t\n\
        # part syscalls\nrow\tclient\ta_message\n\
        # part tls\n# over TLS\n\
        row\tclient\trun\tmessages\tseconds\tcpu_user_us\tcpu_system_us\tp50_ns\tp99_ns\tbytes\tvoid\n\
        latency-64\ttokio\t0\t10\t1\t1\t1\t28000\t40000\t\t\n";

    #[test]
    fn runs_become_series() {
        let panels = read(FILE).expect("a file");
        let names = panels.iter().map(|panel| panel.part.as_str());
        assert_eq!(names.collect::<Vec<_>>(), ["messages", "messages", "tls"]);
        assert_eq!(panels[0].all.len(), 2);
        assert_eq!(panels[0].all[1].figures, [100_000.0, 50_000.0]);
        assert_eq!(panels[2].all[0].figures, [28.0]);
    }

    #[test]
    fn another_file_is_refused() {
        assert!(
            read("row\tclient\ta_message\n")
                .expect("counted")
                .is_empty()
        );
        let cut = FILE.replace("\t14000\t20000\t\t", "");
        assert!(read(&cut).is_err());
    }

    #[test]
    fn a_part_takes_the_place_of_itself() {
        let text = replaced("# Title\n\n", FOR_PEOPLE, "tls", "one\n");
        let text = replaced(&text, FOR_PEOPLE, "messages", "two\n");
        assert_eq!(text, "# Title\n\n## messages\ntwo\n## tls\none\n");
        let text = replaced(&text, FOR_PEOPLE, "tls", "three\n");
        assert_eq!(text, "# Title\n\n## messages\ntwo\n## tls\nthree\n");
    }
}
