//! The tables of normative statements, and whether the cases cover them.

use libtest_mimic::{Failed, Trial};

use super::Specification;
use super::cases::Case;

struct Statement {
    id: &'static str,
    area: &'static str,
}

impl Specification {
    const fn table(self) -> &'static str {
        match self {
            Self::V311 => include_str!("../../../../docs/conformance/normative-v311.tsv"),
            Self::V5 => include_str!("../../../../docs/conformance/normative-v5.tsv"),
        }
    }

    /// How many statements the specification makes, so that a table can't lose rows unseen.
    const fn size(self) -> usize {
        match self {
            Self::V311 => 141,
            Self::V5 => 251,
        }
    }

    fn statements(self) -> impl Iterator<Item = Statement> {
        rows(self.table()).map(|[id, _applies_to, area, _paraphrase]| Statement { id, area })
    }

    /// Statements that have a reason for having no test.
    fn excused(self) -> impl Iterator<Item = &'static str> {
        let table = include_str!("../../../../docs/conformance/without-test.tsv");
        rows(table)
            .filter(move |[version, ..]| *version == self.name())
            .map(|[_version, id, _reason, _why]| id)
    }
}

fn rows(table: &'static str) -> impl Iterator<Item = [&'static str; 4]> {
    table.lines().skip(1).map(|line| {
        let columns: Vec<_> = line.split('\t').collect();
        columns
            .try_into()
            .unwrap_or_else(|_| panic!("not four columns: {line}"))
    })
}

/// A trial for each table, which looks at the identifiers of the cases.
pub(crate) fn coverage(areas: &'static [&'static str], cases: &[Case]) -> Vec<Trial> {
    [Specification::V5, Specification::V311]
        .into_iter()
        .map(|specification| {
            let named: Vec<_> = cases
                .iter()
                .filter(|case| case.specification == specification)
                .flat_map(|case| case.ids)
                .copied()
                .collect();
            let name = format!("the table of {} is covered", specification.name());
            Trial::test(name, move || covers(specification, areas, &named))
        })
        .collect()
}

fn covers(specification: Specification, areas: &[&str], named: &[&str]) -> Result<(), Failed> {
    let statements: Vec<_> = specification.statements().collect();
    let excused: Vec<_> = specification.excused().collect();
    let mut wrong = Vec::new();
    if statements.len() != specification.size() {
        wrong.push(format!("the table has {} statements", statements.len()));
    }
    for Statement { id, area } in &statements {
        let ours = area.split('+').any(|area| areas.contains(&area));
        if ours && !named.contains(id) && !excused.contains(id) {
            wrong.push(format!("{id} has no test"));
        }
        if named.contains(id) && excused.contains(id) {
            wrong.push(format!("{id} has a test, and a reason for having none"));
        }
    }
    for id in named.iter().chain(&excused) {
        if !statements.iter().any(|statement| statement.id == *id) {
            wrong.push(format!("{id} does not exist"));
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Failed::from(wrong.join("\n")))
    }
}
