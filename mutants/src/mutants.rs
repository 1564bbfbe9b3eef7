//! The list of mutants, and those that are left out.

use std::{collections::HashSet, error::Error};

use serde_json::Value;

/// One change of the source.
pub(crate) struct Mutant {
    pub(crate) number: usize,
    pub(crate) file: String,
    pub(crate) genre: String,
    /// Where what it changes begins: the line from 1, the column from 0.
    pub(crate) start: (usize, usize),
    pub(crate) replacement: String,
}

pub(crate) fn read(text: &str) -> Result<Vec<Mutant>, Box<dyn Error>> {
    let list: Vec<Value> = serde_json::from_str(text)?;
    list.iter()
        .enumerate()
        .map(|(index, value)| {
            parse(index + 1, value).ok_or_else(|| format!("no mutant: {value}").into())
        })
        .collect()
}

fn parse(number: usize, value: &Value) -> Option<Mutant> {
    let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
    let start = value.get("span")?.get("start")?;
    let place = |name: &str| usize::try_from(start.get(name)?.as_u64()?).ok();
    Some(Mutant {
        number,
        file: text("file")?,
        genre: text("genre")?,
        start: (place("line")?, place("column")?.checked_sub(1)?),
        replacement: text("replacement")?,
    })
}

/// What is left as it is.
pub(crate) struct Skip {
    numbers: HashSet<usize>,
    constant: HashSet<String>,
}

impl Skip {
    pub(crate) fn read(text: &str) -> Self {
        let (mut numbers, mut constant) = (HashSet::new(), HashSet::new());
        for line in text.lines() {
            match line.parse() {
                Ok(number) => numbers.insert(number),
                Err(_) => constant.insert(line.to_owned()),
            };
        }
        Self { numbers, constant }
    }

    pub(crate) fn mutant(&self, number: usize) -> bool {
        self.numbers.contains(&number)
    }

    /// Whether a function stays `const`, in which no mutant can sleep.
    pub(crate) fn constant(&self, name: &str) -> bool {
        self.constant.contains(name)
    }
}
