use mqtt_proto::Version;

use crate::table::Specification;

/// A test of some normative statements.
pub(crate) struct Case {
    pub(crate) specification: Specification,
    pub(crate) ids: &'static [&'static str],
    pub(crate) name: &'static str,
    pub(crate) run: Box<dyn FnOnce() + Send>,
}

#[derive(Default)]
pub(crate) struct Cases(Vec<Case>);

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
        self.v5(v5, name, move || run(Version::V5));
        self.v311(v311, name, move || run(Version::V3_1_1));
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
