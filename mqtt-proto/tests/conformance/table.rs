//! The tables of normative statements, and whether the cases cover them.

use libtest_mimic::{Failed, Trial};

use crate::cases::Case;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Specification {
    V311,
    V5,
}

struct Statement {
    id: &'static str,
    /// Whether a decoder or an encoder can check it.
    ours: bool,
}

impl Specification {
    const fn name(self) -> &'static str {
        match self {
            Self::V311 => "3.1.1",
            Self::V5 => "5.0",
        }
    }

    const fn table(self) -> &'static str {
        match self {
            Self::V311 => include_str!("../../../docs/conformance/normative-v311.tsv"),
            Self::V5 => include_str!("../../../docs/conformance/normative-v5.tsv"),
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
        self.table().lines().skip(1).map(|line| {
            let columns: Vec<_> = line.split('\t').collect();
            let [id, _applies_to, area, _paraphrase] = columns[..] else {
                panic!("not four columns: {line}");
            };
            let ours = area
                .split('+')
                .any(|area| area == "decoder" || area == "encoder");
            Statement { id, ours }
        })
    }
}

/// The trials of the cases, and one for each table that looks at their identifiers.
pub(crate) fn with_coverage(cases: Vec<Case>) -> Vec<Trial> {
    let mut trials: Vec<_> = [Specification::V5, Specification::V311]
        .into_iter()
        .map(|specification| coverage(specification, &cases))
        .collect();
    trials.extend(cases.into_iter().map(|case| {
        let ids = case.ids.join(" ");
        let name = format!("{} {ids} {}", case.specification.name(), case.name);
        Trial::test(name, move || {
            (case.run)();
            Ok(())
        })
    }));
    trials
}

fn coverage(specification: Specification, cases: &[Case]) -> Trial {
    let named: Vec<_> = cases
        .iter()
        .filter(|case| case.specification == specification)
        .flat_map(|case| case.ids)
        .copied()
        .collect();
    let name = format!("the table of {} is covered", specification.name());
    Trial::test(name, move || {
        let statements: Vec<_> = specification.statements().collect();
        let mut wrong = Vec::new();
        if statements.len() != specification.size() {
            wrong.push(format!("the table has {} statements", statements.len()));
        }
        for statement in statements.iter().filter(|s| s.ours) {
            if !named.contains(&statement.id) {
                wrong.push(format!("{} has no test", statement.id));
            }
        }
        for id in &named {
            if !statements.iter().any(|statement| statement.id == *id) {
                wrong.push(format!("{id} does not exist"));
            }
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(Failed::from(wrong.join("\n")))
        }
    })
}
