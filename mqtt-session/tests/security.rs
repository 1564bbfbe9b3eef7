//! What SECURITY.md says of the defaults is what they are.

use std::collections::BTreeMap;

use mqtt_session::{Limits, Timeouts};

/// The fields of a struct's `Debug` output with their values in milliseconds, or as they are.
fn fields(debug: &str) -> BTreeMap<String, u128> {
    let body = debug.split_once('{').expect("a struct").1;
    let fields = body.trim_end_matches([' ', '}']).split(", ");
    let value = |text: &str| match text.strip_suffix("ms") {
        Some(millis) => millis.parse(),
        None => match text.strip_suffix('s') {
            Some(seconds) => seconds.parse().map(|seconds: u128| seconds * 1000),
            None => text.parse(),
        },
    };
    fields
        .map(|field| {
            let (name, text) = field.split_once(": ").expect("a field");
            let value = value(text).unwrap_or_else(|_| panic!("{name}: {text}"));
            (name.trim().to_owned(), value)
        })
        .collect()
}

/// The rows below a heading: what is in backticks, and the number in the second column.
fn table(heading: &str) -> BTreeMap<String, u128> {
    let page = include_str!("../../SECURITY.md");
    let (_, below) = page.split_once(heading).expect("the heading");
    let rows = below.lines().skip(2);
    rows.take_while(|line| line.starts_with('|'))
        .map(|line| {
            let mut cells = line.split('|').map(str::trim).skip(1);
            let mut next = || cells.next().unwrap_or_default();
            let (name, value) = (next().trim_matches('`'), next());
            (name.to_owned(), value.parse().expect("a number"))
        })
        .collect()
}

#[test]
fn the_limits_are_those_of_the_table() {
    let told = table("| limit | default | beyond it |");
    assert_eq!(told, fields(&format!("{:?}", Limits::default())));
}

#[test]
fn the_timeouts_are_those_of_the_table() {
    let told = table("| timeout | default | for |");
    assert_eq!(told, fields(&format!("{:?}", Timeouts::default())));
}
