//! All nodes in one table, found by the hash of their path.

use alloc::vec::Vec;

use super::entries::NONE;
use super::hash::{Key, Levels, Seed, Step};

/// Open addressing with linear probing: a node lies at the place that its key says, or behind it without a gap.
#[derive(Debug)]
pub(super) struct Nodes {
    root: Node,
    root_load: Load,
    /// A power of two, or nothing.
    table: Vec<Node>,
    /// What only a change needs to know of the nodes: kept apart, so that a look-up meets four nodes in a cache line.
    loads: Vec<Load>,
    len: usize,
}

/// What a look-up needs to know of a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) key: Key,
    /// The entries of filters that end here.
    pub(super) exact: u32,
    /// The entries of filters that go on with `#` and end.
    pub(super) multi: u32,
}

/// How many filters go on from a node.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    literal: u32,
    single: u32,
}

impl Node {
    const fn new(key: Key) -> Self {
        Self {
            key,
            exact: NONE,
            multi: NONE,
        }
    }

    /// Where the list of entries begins that a filter with, or without, `#` at its end is in.
    pub(super) const fn head(&self, multi: bool) -> u32 {
        if multi { self.multi } else { self.exact }
    }

    const fn is_empty(&self) -> bool {
        !self.key.has(Step::Literal(0))
            && !self.key.has(Step::Single)
            && self.exact == NONE
            && self.multi == NONE
    }
}

/// What a walk needs and finds.
#[derive(Debug)]
pub(super) struct Walk {
    /// Nodes on the level that is looked at, and on the next one.
    pub(super) level: Vec<Key>,
    next: Vec<Key>,
    /// The lists of entries that may match.
    pub(super) found: Vec<u32>,
}

const SMALLEST: usize = 8;

/// So many nodes on one level are not worth looking for the same ones among them.
const FEW: usize = 32;

/// So much memory of a long topic or filter is not worth giving back.
const LONG: usize = 1024;

impl Nodes {
    pub(super) const fn new(root: Key) -> Self {
        Self {
            root: Node::new(root),
            root_load: Load {
                literal: 0,
                single: 0,
            },
            table: Vec::new(),
            loads: Vec::new(),
            len: 0,
        }
    }

    pub(super) const fn root(&self) -> Node {
        self.root
    }

    /// Finds the nodes whose path matches the beginning of a topic, and the entries there that may match all of it.
    pub(super) fn walk(&self, seed: Seed, topic: &[u8], walk: &mut Walk) {
        let Walk { level, next, found } = walk;
        found.clear();
        level.clear();
        // [MQTT-4.7.2-1]
        let mut hidden = topic.first() == Some(&b'$');
        if self.root.multi != NONE && !hidden {
            found.push(self.root.multi);
        }
        // As long as there is one way to go, and mostly there is never more, it needs no list.
        let mut at = self.root.key;
        for part in Levels::new(seed, topic) {
            if level.is_empty() {
                let literal = self.step(seed, at, Step::Literal(part.digest), part.last, found);
                let single = match hidden {
                    false => self.step(seed, at, Step::Single, part.last, found),
                    true => Key::NONE,
                };
                hidden = false;
                at = match (literal.is_none(), single.is_none()) {
                    (true, true) => return,
                    (false, true) => literal,
                    (true, false) => single,
                    (false, false) => {
                        level.extend([literal, single]);
                        continue;
                    }
                };
            } else {
                next.clear();
                for key in &*level {
                    for step in [Step::Literal(part.digest), Step::Single] {
                        let key = self.step(seed, *key, step, part.last, found);
                        if !key.is_none() {
                            next.push(key);
                        }
                    }
                }
                core::mem::swap(level, next);
                if level.is_empty() {
                    return;
                }
                // A topic that is made for it leads to one node on two ways.
                if level.len() > FEW {
                    level.sort_unstable();
                    level.dedup();
                }
            }
        }
    }

    /// The node that a step leads to, if filters go on there.
    #[inline(always)]
    fn step(&self, seed: Seed, from: Key, step: Step, last: bool, found: &mut Vec<u32>) -> Key {
        if !from.has(step) {
            return Key::NONE;
        }
        let Some(node) = self.get(seed.step(from, step)) else {
            return Key::NONE;
        };
        if node.multi != NONE {
            found.push(node.multi);
        }
        if last && node.exact != NONE {
            found.push(node.exact);
        }
        node.key
    }

    #[inline]
    pub(super) fn get(&self, key: Key) -> Option<Node> {
        self.table.get(self.find(key)?).copied()
    }

    #[inline(always)]
    fn find(&self, key: Key) -> Option<usize> {
        let mask = self.table.len().wrapping_sub(1);
        let mut at = key.place() & mask;
        loop {
            // An empty table ends it here.
            let node = self.table.get(at)?;
            if node.key.is_same(key) {
                return Some(at);
            }
            if node.key.is_none() {
                return None;
            }
            at = (at + 1) & mask;
        }
    }

    fn parts(&mut self, key: Key) -> Option<(&mut Node, &mut Load)> {
        if key.is_root() {
            return Some((&mut self.root, &mut self.root_load));
        }
        let at = self.find(key)?;
        Some((self.table.get_mut(at)?, self.loads.get_mut(at)?))
    }

    /// One more filter goes on from here.
    pub(super) fn begins(&mut self, key: Key, step: Step) {
        if let Some((node, load)) = self.parts(key) {
            node.key = node.key.with(step);
            let count = load.of(step);
            *count = count.saturating_add(1);
        }
    }

    /// One filter less goes on from here.
    pub(super) fn ends(&mut self, key: Key, step: Step) {
        if let Some((node, load)) = self.parts(key) {
            let count = load.of(step);
            *count = count.saturating_sub(1);
            if *count == 0 {
                node.key = node.key.without(step);
            }
        }
    }

    pub(super) fn head_mut(&mut self, key: Key, multi: bool) -> Option<&mut u32> {
        let (node, _) = self.parts(key)?;
        Some(if multi {
            &mut node.multi
        } else {
            &mut node.exact
        })
    }

    /// Makes a node, unless there is one.
    pub(super) fn insert(&mut self, key: Key) {
        if self.find(key).is_some() {
            return;
        }
        // Gaps keep the way to a node short.
        if (self.len + 1) * 8 > self.table.len() * 5 {
            self.resize((self.table.len() * 2).max(SMALLEST));
        }
        self.len += 1;
        self.put(Node::new(key), Load::default());
    }

    fn put(&mut self, node: Node, load: Load) {
        let mask = self.table.len().wrapping_sub(1);
        let mut at = node.key.place() & mask;
        while let Some(slot) = self.table.get_mut(at) {
            if slot.key.is_none() {
                *slot = node;
                if let Some(slot) = self.loads.get_mut(at) {
                    *slot = load;
                }
                return;
            }
            at = (at + 1) & mask;
        }
    }

    fn resize(&mut self, to: usize) {
        let table = core::mem::replace(&mut self.table, alloc::vec![Node::new(Key::NONE); to]);
        let loads = core::mem::replace(&mut self.loads, alloc::vec![Load::default(); to]);
        for (node, load) in table.into_iter().zip(loads) {
            if !node.key.is_none() {
                self.put(node, load);
            }
        }
    }

    /// Frees a node at which nothing ends and from which nothing goes on.
    pub(super) fn free_if_empty(&mut self, key: Key) {
        let Some(mut gap) = self.find(key) else {
            return;
        };
        let empty = |table: &[Node], at: usize| table.get(at).is_none_or(Node::is_empty);
        if !empty(&self.table, gap) {
            return;
        }
        self.len -= 1;
        let mask = self.table.len().wrapping_sub(1);
        let mut at = gap;
        // Those behind it move up, as far as the place that they would like allows.
        loop {
            at = (at + 1) & mask;
            let Some(node) = self.table.get(at).copied() else {
                break;
            };
            if node.key.is_none() {
                break;
            }
            let distance = at.wrapping_sub(node.key.place()) & mask;
            if distance >= (at.wrapping_sub(gap) & mask) {
                self.table.swap(gap, at);
                self.loads.swap(gap, at);
                gap = at;
            }
        }
        if let (Some(node), Some(load)) = (self.table.get_mut(gap), self.loads.get_mut(gap)) {
            *node = Node::new(Key::NONE);
            *load = Load::default();
        }
    }

    pub(super) fn give_memory_back(&mut self) {
        if self.len == 0 {
            self.table = Vec::new();
            self.loads = Vec::new();
        } else if self.table.len() > SMALLEST && self.len * 8 < self.table.len() {
            self.resize(self.table.len() / 2);
        }
    }

    /// All nodes, the root included.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        let below = self.table.iter_mut().filter(|node| !node.key.is_none());
        core::iter::once(&mut self.root).chain(below)
    }

    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.table.capacity()
    }
}

impl Walk {
    pub(super) const fn new() -> Self {
        Self {
            level: Vec::new(),
            next: Vec::new(),
            found: Vec::new(),
        }
    }

    pub(super) fn give_memory_back(&mut self) {
        if self
            .level
            .capacity()
            .max(self.next.capacity())
            .max(self.found.capacity())
            > LONG
        {
            *self = Self::new();
        }
    }
}

impl Load {
    const fn of(&mut self, step: Step) -> &mut u32 {
        match step {
            Step::Literal(_) => &mut self.literal,
            Step::Single => &mut self.single,
        }
    }
}
