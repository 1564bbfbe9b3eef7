//! The filters and their values, in lists that begin at the nodes.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;
use mqtt_proto::TopicFilter;

/// The end of a list.
pub(super) const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Entries<T> {
    slots: Vec<Slot<T>>,
    /// The first free slot.
    free: u32,
    len: usize,
    /// Counts the look-ups.
    round: u64,
}

#[derive(Debug)]
enum Slot<T> {
    Used(Entry<T>),
    Free { next: u32 },
}

#[derive(Debug)]
struct Entry<T> {
    filter: Filter,
    value: T,
    next: u32,
    /// The look-up that visited it last.
    visited: u64,
}

/// Where the bytes of a filter are. Most are short, and stand beside the value: so a look-up reads both at once.
#[derive(Debug)]
enum Filter {
    Short { len: u8, bytes: [u8; SHORT] },
    Long(Box<[u8]>),
}

/// What makes a filter as large here as `TopicFilter` is.
const SHORT: usize = 38;

/// So few free slots are not worth moving the others.
const FEW: usize = 32;

impl<T> Entries<T> {
    pub(super) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: NONE,
            len: 0,
            round: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    fn entry(&self, index: u32) -> Option<&Entry<T>> {
        match self.slots.get(index as usize) {
            Some(Slot::Used(entry)) => Some(entry),
            _ => None,
        }
    }

    fn entry_mut(&mut self, index: u32) -> Option<&mut Entry<T>> {
        match self.slots.get_mut(index as usize) {
            Some(Slot::Used(entry)) => Some(entry),
            _ => None,
        }
    }

    pub(super) fn get(&self, index: u32) -> Option<&T> {
        self.entry(index).map(|entry| &entry.value)
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.entry_mut(index).map(|entry| &mut entry.value)
    }

    /// The entry of this very filter in a list.
    pub(super) fn find(&self, head: u32, filter: &TopicFilter) -> Option<u32> {
        let mut at = head;
        while let Some(entry) = self.entry(at) {
            if entry.filter.as_bytes() == filter.as_bytes() {
                return Some(at);
            }
            at = entry.next;
        }
        None
    }

    /// Puts an entry ahead of a list; gives the new head.
    pub(super) fn insert(&mut self, head: u32, filter: &TopicFilter, value: T) -> u32 {
        let slot = Slot::Used(Entry {
            filter: Filter::new(filter),
            value,
            next: head,
            visited: 0,
        });
        self.len += 1;
        if let Some(gap) = self.slots.get_mut(self.free as usize)
            && let Slot::Free { next } = *gap
        {
            let index = core::mem::replace(&mut self.free, next);
            *gap = slot;
            return index;
        }
        self.slots.push(slot);
        // There is no memory for more.
        u32::try_from(self.slots.len() - 1).unwrap_or(NONE)
    }

    /// Takes an entry out of its list; gives the new head.
    pub(super) fn remove(&mut self, head: u32, index: u32) -> Option<(u32, T)> {
        let slot = self.slots.get_mut(index as usize)?;
        if matches!(slot, Slot::Free { .. }) {
            return None;
        }
        let Slot::Used(entry) = core::mem::replace(slot, Slot::Free { next: self.free }) else {
            return None;
        };
        self.free = index;
        self.len -= 1;
        if head == index {
            return Some((entry.next, entry.value));
        }
        let mut at = head;
        while let Some(before) = self.entry_mut(at) {
            if before.next == index {
                before.next = entry.next;
                break;
            }
            at = before.next;
        }
        Some((head, entry.value))
    }

    /// A look-up begins.
    #[inline]
    pub(super) const fn begin(&mut self) {
        self.round += 1;
    }

    /// Visits those of a list that match, unless this look-up has visited them.
    #[inline]
    pub(super) fn visit(&mut self, head: u32, topic: &[u8], visit: &mut impl FnMut(&T)) {
        let mut at = head;
        while let Some(Slot::Used(entry)) = self.slots.get_mut(at as usize) {
            if entry.visited != self.round && entry.filter.matches(topic) {
                entry.visited = self.round;
                visit(&entry.value);
            }
            at = entry.next;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (TopicFilter, &T)> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Used(entry) => Some((entry.filter.to_filter()?, &entry.value)),
            Slot::Free { .. } => None,
        })
    }

    pub(super) const fn is_sparse(&self) -> bool {
        self.len + FEW < self.slots.len() / 2
    }

    /// Moves a list into other slots; gives its new head.
    pub(super) fn move_list(&mut self, head: u32, to: &mut Self) -> u32 {
        let (mut at, mut moved) = (head, NONE);
        while let Some(slot) = self.slots.get_mut(at as usize)
            && let Slot::Used(mut entry) = core::mem::replace(slot, Slot::Free { next: NONE })
        {
            at = core::mem::replace(&mut entry.next, moved);
            to.len += 1;
            to.slots.push(Slot::Used(entry));
            moved = u32::try_from(to.slots.len() - 1).unwrap_or(NONE);
        }
        moved
    }

    /// Room for those that are there and some more, and nothing in it.
    pub(super) fn to_pack(&self) -> Self {
        Self {
            slots: Vec::with_capacity(self.len + self.len / 2),
            round: self.round,
            ..Self::new()
        }
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.slots.capacity()
    }
}

impl Filter {
    fn new(filter: &TopicFilter) -> Self {
        let all = filter.as_bytes();
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..all.len()), u8::try_from(all.len())) {
            (Some(short), Ok(len)) => {
                short.copy_from_slice(all);
                Self::Short { len, bytes }
            }
            _ => Self::Long(all.into()),
        }
    }

    #[inline]
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }

    fn to_filter(&self) -> Option<TopicFilter> {
        TopicFilter::from_bytes(Bytes::copy_from_slice(self.as_bytes())).ok()
    }

    #[inline]
    fn matches(&self, topic: &[u8]) -> bool {
        let pattern = pattern(self.as_bytes());
        pattern == topic || matches_by_level(pattern, topic)
    }
}

/// All of a filter but for `$share/{name}/`.
fn pattern(filter: &[u8]) -> &[u8] {
    match filter.strip_prefix(b"$share/") {
        None => filter,
        Some(shared) => {
            let name = shared.iter().position(|b| *b == b'/');
            name.and_then(|end| shared.get(end + 1..))
                .unwrap_or_default()
        }
    }
}

/// Whether the levels of a filter are those of a topic.
fn matches_by_level(pattern: &[u8], topic: &[u8]) -> bool {
    // [MQTT-4.7.2-1]
    if topic.first() == Some(&b'$') && matches!(pattern.first(), Some(b'+' | b'#')) {
        return false;
    }
    let mut at = 0;
    for (i, wanted) in pattern.iter().enumerate() {
        match wanted {
            // It is the last level.
            b'#' => return true,
            b'+' => {
                let rest = topic.get(at..).unwrap_or_default();
                at += rest.iter().position(|b| *b == b'/').unwrap_or(rest.len());
            }
            byte if topic.get(at) == Some(byte) => at += 1,
            _ => return at == topic.len() && pattern.get(i..) == Some(b"/#"),
        }
    }
    at == topic.len()
}
