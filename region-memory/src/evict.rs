//! Evicting entries to keep the bound on bytes.

use crate::data::Data;
use crate::reclaim::{Take, free_some, visit_next};

/// The number of steps that a write takes at most to get under the bound on bytes.
const STEPS_PER_WRITE: usize = 256;

/// Frees discarded entries, then evicts unused ones, until the store is within its bound.
pub(crate) fn after_write(data: &Data) {
    for _ in 0..STEPS_PER_WRITE {
        if !data.usage.is_over_bound() {
            break;
        }
        if !free_some(data) {
            visit_next(data, data.rings.next_shard(), Take::Unused);
        }
    }
}
