use std::collections::VecDeque;

use hashbrown::DefaultHashBuilder;
use indexmap::IndexSet;
use parking_lot::Mutex;
use region_core::Segment;

use super::node::Entries;
use super::usage::Usage;

/// Maps that nobody can reach any more, whose items are freed one by one. They are kept whole: to take
/// one apart, or to drop its table, is work in proportion to what was in it.
#[derive(Default)]
pub(crate) struct DiscardQueue(Mutex<VecDeque<Discarded>>);

enum Discarded {
    Entries(Entries),
    Children(IndexSet<Segment, DefaultHashBuilder>),
}

impl DiscardQueue {
    pub(crate) fn push_entries(&self, entries: Entries) {
        if !entries.is_empty() {
            self.0.lock().push_back(Discarded::Entries(entries));
        }
    }

    pub(crate) fn push_children(&self, children: IndexSet<Segment, DefaultHashBuilder>) {
        if !children.is_empty() {
            self.0.lock().push_back(Discarded::Children(children));
        }
    }

    /// Frees up to `count` items of one map. Returns false if there was no map.
    pub(crate) fn free(&self, count: usize, usage: &Usage) -> bool {
        let Some(mut found) = self.0.lock().pop_front() else {
            return false;
        };
        for _ in 0..count {
            let is_empty = match &mut found {
                Discarded::Entries(entries) => match entries.pop() {
                    Some((key, slot)) => {
                        usage.removed(&key, &slot.bytes);
                        false
                    }
                    None => true,
                },
                Discarded::Children(children) => children.pop().is_none(),
            };
            if is_empty {
                return true;
            }
        }
        self.0.lock().push_front(found);
        true
    }
}
