//! Which values concern a topic, among any number of topic filters.

mod entries;
mod hash;
mod nodes;

use core::fmt;

use mqtt_proto::{TopicFilter, TopicRef};

use entries::Entries;
use hash::{Seed, Step};
use nodes::{Nodes, Walk};

/// A tree of topic filters, each with a value: [`matches`](Self::matches) visits the values whose filter matches a topic
/// (section 4.7).
///
/// ```
/// use mqtt_session::Router;
/// use mqtt_session::proto::{Topic, TopicFilter};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut router = Router::new();
/// router.insert(&TopicFilter::try_from("sport/+/score")?, "scores");
/// router.insert(&TopicFilter::try_from("sport/#")?, "sport");
/// router.insert(&TopicFilter::try_from("$share/workers/sport/tennis/score")?, "work");
///
/// let topic = Topic::try_from("sport/tennis/score")?;
/// let mut found = Vec::new();
/// router.matches(topic.view(), |value| found.push(*value));
/// found.sort();
/// assert_eq!(found, ["scores", "sport", "work"]);
///
/// assert_eq!(router.remove(&TopicFilter::try_from("sport/#")?), Some("sport"));
/// # Ok(())
/// # }
/// ```
///
/// A shared subscription `$share/{name}/{filter}` matches by its filter, and is another filter than that, or than one under another
/// name. There is one value for each filter.
///
/// # Cost
///
/// [`insert`](Self::insert), [`get`](Self::get) and [`remove`](Self::remove) look at each level of the filter once, however many filters there
/// are. [`matches`](Self::matches) looks at those nodes of the tree whose path matches the beginning of the topic: at most two for each one of the
/// level above (the level itself, and `+`), so at most min(2^levels, nodes of the tree), and one for each level where no filter has a
/// `+`. It neither recurses nor, once it has matched a few topics, allocates. A topic of 65,535 slashes ends where no filter goes on.
///
/// All nodes stand in one table, under a hash of the path that leads to them. So the memory that a level needs is known before the
/// level above was looked at, and the processor fetches one while it waits for another. Filters whose paths have the same hash share
/// nodes, which costs time but changes nothing: a value is visited only if its filter matches.
///
/// Where strangers choose the filters, [`with_seed`](Self::with_seed) keeps them from choosing such ones.
pub struct Router<T> {
    nodes: Nodes,
    entries: Entries<T>,
    seed: Seed,
    /// Kept for its memory.
    walk: Walk,
}

impl<T> Router<T> {
    /// An empty router. It allocates with the first filter.
    pub const fn new() -> Self {
        Self::with_seed(0)
    }

    /// An empty router whose hashes depend on a seed, for filters that strangers choose who don't know it.
    pub const fn with_seed(seed: u64) -> Self {
        Self::with(Seed::new(seed))
    }

    const fn with(seed: Seed) -> Self {
        Self {
            nodes: Nodes::new(seed.root()),
            entries: Entries::new(),
            seed,
            walk: Walk::new(),
        }
    }

    /// How many filters there are.
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no filter.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of this very filter.
    pub fn get(&self, filter: &TopicFilter) -> Option<&T> {
        let (_, entry) = self.find(filter)?;
        self.entries.get(entry)
    }

    /// The value of this very filter, to be changed.
    pub fn get_mut(&mut self, filter: &TopicFilter) -> Option<&mut T> {
        let (_, entry) = self.find(filter)?;
        self.entries.get_mut(entry)
    }

    /// Puts a value under a filter, and gives back the one that was there.
    pub fn insert(&mut self, filter: &TopicFilter, value: T) -> Option<T> {
        if let Some(old) = self.get_mut(filter) {
            return Some(core::mem::replace(old, value));
        }
        let mut at = self.seed.root();
        for step in self.seed.path(filter) {
            self.nodes.begins(at, step);
            at = self.seed.step(at, step);
            self.nodes.insert(at);
        }
        if let Some(head) = self.nodes.head_mut(at, is_multi(filter)) {
            *head = self.entries.insert(*head, filter, value);
        }
        None
    }

    /// Removes a filter, and gives back its value.
    pub fn remove(&mut self, filter: &TopicFilter) -> Option<T> {
        let (head, entry) = self.find(filter)?;
        let (head, value) = self.entries.remove(head, entry)?;
        self.walk.level.clear();
        let mut at = self.seed.root();
        for step in self.seed.path(filter) {
            self.walk.level.push(at.taking(step));
            at = self.seed.step(at, step);
        }
        if let Some(place) = self.nodes.head_mut(at, is_multi(filter)) {
            *place = head;
        }
        // From the end to the root: what nothing ends at, and nothing goes on from, is freed.
        for parent in self.walk.level.iter().rev() {
            self.nodes.free_if_empty(at);
            let step = if parent.has(Step::Single) {
                Step::Single
            } else {
                Step::Literal(0)
            };
            self.nodes.ends(*parent, step);
            at = *parent;
        }
        self.give_memory_back();
        Some(value)
    }

    /// Visits the value of each filter that matches the topic, once each, in no order that means anything.
    ///
    /// A leading wildcard does not match a topic that begins with `$` [MQTT-4.7.2-1].
    pub fn matches(&mut self, topic: TopicRef<'_>, mut visit: impl FnMut(&T)) {
        let bytes = topic.as_bytes();
        self.nodes.walk(self.seed, bytes, &mut self.walk);
        self.entries.begin();
        for head in &self.walk.found {
            self.entries.visit(*head, bytes, &mut visit);
        }
    }

    /// The filters and their values, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = (TopicFilter, &T)> {
        self.entries.iter()
    }

    /// The list that this filter is in, and its entry.
    fn find(&self, filter: &TopicFilter) -> Option<(u32, u32)> {
        let mut node = self.nodes.root();
        for step in self.seed.path(filter) {
            node = self.nodes.get(self.seed.step(node.key, step))?;
        }
        let head = node.head(is_multi(filter));
        Some((head, self.entries.find(head, filter)?))
    }

    fn give_memory_back(&mut self) {
        self.nodes.give_memory_back();
        if self.entries.is_sparse() {
            let mut packed = self.entries.to_pack();
            for node in self.nodes.iter_mut() {
                node.exact = self.entries.move_list(node.exact, &mut packed);
                node.multi = self.entries.move_list(node.multi, &mut packed);
            }
            self.entries = packed;
        }
        self.walk.give_memory_back();
    }
}

/// Whether `#` is its last level.
fn is_multi(filter: &TopicFilter) -> bool {
    filter.as_bytes().ends_with(b"#")
}

impl<T> Default for Router<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for Router<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;
    use mqtt_proto::Topic;
    use proptest::prelude::*;

    fn filter(text: &str) -> TopicFilter {
        TopicFilter::try_from(text).expect("a filter")
    }

    #[test]
    fn what_is_removed_gives_its_nodes_and_memory_back() {
        let mut router = Router::new();
        let names: Vec<_> = (0..10_000)
            .map(|n| format!("site/{}/+/{}/value-{n}/#", n % 7, n % 100))
            .collect();
        for name in &names {
            router.insert(&filter(name), name.clone());
        }
        let (nodes, entries) = (router.nodes.capacity(), router.entries.capacity());
        // All but every hundredth.
        for name in names.iter().enumerate().filter(|(n, _)| n % 100 != 0) {
            assert_eq!(router.remove(&filter(name.1)).as_ref(), Some(name.1));
        }
        assert!(router.nodes.capacity() <= nodes / 16);
        assert!(router.entries.capacity() <= entries / 16);
        for name in names.iter().step_by(100) {
            assert_eq!(router.get(&filter(name)), Some(name));
            assert_eq!(router.remove(&filter(name)).as_ref(), Some(name));
        }
        assert_eq!(router.nodes.len(), 0);
        assert_eq!(router.nodes.capacity(), 0);
        assert!(!router.nodes.root().key.has(Step::Single));
        assert!(!router.nodes.root().key.has(Step::Literal(0)));
    }

    proptest! {
        /// All paths share a few nodes, or one.
        #[test]
        fn paths_with_the_same_hash_change_nothing(
            kept in prop::sample::select(alloc::vec![0, 0b11 << 16, 0b1111 << 16]),
            changes in prop::collection::vec(("[ab+]?(/[ab+]?){0,3}(/#)?", any::<bool>()), 1..40),
            topics in prop::collection::vec("[ab]?(/[ab]?){0,3}", 1..10),
        ) {
            let mut router = Router::with(Seed::weak(kept));
            let mut model: Vec<String> = Vec::new();
            for (name, put) in &changes {
                if name.is_empty() {
                    continue;
                }
                let known = model.iter().position(|other| other == name);
                match (put, known) {
                    (true, None) => {
                        prop_assert_eq!(router.insert(&filter(name), name.clone()), None);
                        model.push(name.clone());
                    }
                    (false, Some(at)) => {
                        prop_assert_eq!(router.remove(&filter(name)), Some(model.remove(at)));
                    }
                    (_, known) => prop_assert_eq!(router.get(&filter(name)).is_some(), known.is_some()),
                }
            }
            for name in topics.iter().filter(|name| !name.is_empty()) {
                let topic = Topic::try_from(name.as_str()).expect("a topic");
                let mut found = Vec::new();
                router.matches(topic.view(), |value| found.push(value.clone()));
                found.sort();
                let mut wanted = model.clone();
                wanted.retain(|name| filter(name).matches(topic.view()));
                wanted.sort();
                prop_assert_eq!(found, wanted);
            }
            for name in &model {
                prop_assert_eq!(router.remove(&filter(name)), Some(name.clone()));
            }
            prop_assert_eq!(router.nodes.len(), 0);
        }
    }
}
