//! What is no bytes of MQTT, or more than one connection: at a client on an adapter.

mod auth;
mod flood;
mod leak;
mod link;
mod secrets;
mod slow;
mod state;
mod tls;
mod websocket;

use std::fmt;

use mqtt_behaviour::{Adapter, block_on};

use crate::Result;

type Run = dyn Fn(&dyn Adapter) -> Result + Send + Sync;

/// One of them.
pub struct Scene {
    about: About,
    name: &'static str,
    run: Box<Run>,
}

/// What a scene is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// An entry of the list.
    Entry(u8),
    /// A peer that is slow.
    Slow,
    /// Bounds on memory, and what is left of connections. What it counts is the whole process's, so it is run alone.
    Bounds,
}

impl Scene {
    /// What it is about.
    pub fn about(&self) -> About {
        self.about
    }

    /// What it shows.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs it.
    ///
    /// # Errors
    ///
    /// What went wrong, where it is none of what the scene is about.
    ///
    /// # Panics
    ///
    /// When the adapter does not behave so.
    pub fn run(&self, adapter: &dyn Adapter) -> Result {
        (self.run)(adapter)
    }
}

impl fmt::Debug for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scene")
            .field("about", &self.about)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// All of them.
pub fn scenes() -> Vec<Scene> {
    let mut list = List::default();
    state::add(&mut list);
    link::add(&mut list);
    tls::add(&mut list);
    websocket::add(&mut list);
    auth::add(&mut list);
    secrets::add(&mut list);
    slow::add(&mut list);
    flood::add(&mut list);
    leak::add(&mut list);
    list.0
}

#[derive(Default)]
struct List(Vec<Scene>);

impl List {
    fn add(
        &mut self,
        about: About,
        name: &'static str,
        run: impl AsyncFn(&dyn Adapter) -> Result + Send + Sync + 'static,
    ) {
        self.add_long(about, name, move |adapter| block_on(run(adapter)));
    }

    /// One that may take longer than a single wait.
    fn add_long(
        &mut self,
        about: About,
        name: &'static str,
        run: impl Fn(&dyn Adapter) -> Result + Send + Sync + 'static,
    ) {
        let run = Box::new(run);
        self.0.push(Scene { about, name, run });
    }
}
