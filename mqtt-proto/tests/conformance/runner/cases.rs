use mqtt_proto::Version;

use super::Specification;

/// A test of some normative statements.
pub(crate) struct Case {
    pub(crate) specification: Specification,
    pub(crate) ids: &'static [&'static str],
    pub(crate) name: &'static str,
    pub(crate) run: Box<dyn FnOnce() + Send>,
}

impl Case {
    pub(crate) fn title(&self) -> String {
        let ids = self.ids.join(" ");
        format!("{} {ids} {}", self.specification.name(), self.name)
    }
}

#[derive(Default)]
pub(crate) struct Cases(Vec<Case>);

#[allow(dead_code, reason = "every suite uses a part of it")]
impl Cases {
    /// A test of statements of MQTT 5.0.
    pub(crate) fn v5(
        &mut self,
        ids: &'static [&'static str],
        name: &'static str,
        run: impl FnOnce() + Send + 'static,
    ) {
        self.add(Specification::V5, ids, name, run);
    }

    /// A test of statements of MQTT 3.1.1.
    pub(crate) fn v311(
        &mut self,
        ids: &'static [&'static str],
        name: &'static str,
        run: impl FnOnce() + Send + 'static,
    ) {
        self.add(Specification::V311, ids, name, run);
    }

    /// A test of statements that both specifications make, under identifiers of their own.
    pub(crate) fn both(
        &mut self,
        v5: &'static [&'static str],
        v311: &'static [&'static str],
        name: &'static str,
        run: fn(Version),
    ) {
        for (specification, ids) in [(Specification::V5, v5), (Specification::V311, v311)] {
            self.add(specification, ids, name, move || {
                run(specification.version())
            });
        }
    }

    fn add(
        &mut self,
        specification: Specification,
        ids: &'static [&'static str],
        name: &'static str,
        run: impl FnOnce() + Send + 'static,
    ) {
        let run = Box::new(run);
        self.0.push(Case {
            specification,
            ids,
            name,
            run,
        });
    }

    pub(crate) fn into_inner(self) -> Vec<Case> {
        self.0
    }
}
