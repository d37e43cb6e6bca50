//! Hints about anchors that are listed in another slot.

use hashlink::LruCache;
use parking_lot::Mutex;
use region_core::Timestamp;
use xxhash_rust::xxh3::xxh3_64;

use crate::protocol::hold::{Needed, Show};
use crate::protocol::layout::{Claim, Id, Located};

/// The most anchors that are remembered. One that is forgotten is listed again.
const MOST: usize = 16_384;

/// The anchors that this process has listed among the children of their parents, and until when they stay listed.
///
/// An anchor that ends is taken off the list, by whoever ends it, unless it is listed again meanwhile. So it is listed
/// once more after the first put to a new life of it: what was listed before may be taken off.
#[derive(Debug)]
pub(crate) struct ListedAnchors(Mutex<LruCache<Box<str>, Listed>>);

#[derive(Clone, Copy, Debug)]
struct Listed {
    /// Of the `tree`s above.
    above: u64,
    /// The `tree` that the anchor had before it was listed.
    tree: Option<Id>,
    show: Show,
    /// By the clock of its parent's server; `None`: for ever.
    until: Option<Timestamp>,
}

/// The life of an anchor.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Life {
    /// Any: it is not known yet.
    Any,
    /// The one with this `tree`.
    Of(Id),
}

impl ListedAnchors {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(LruCache::new(MOST)))
    }

    /// Returns whether an anchor is listed for as long as something is needed, at `now` by the clock of its
    /// parent's server.
    pub(crate) fn has(
        &self,
        at: Located<'_>,
        claim: &Claim,
        life: Life,
        needed: Needed,
        now: Timestamp,
    ) -> bool {
        let mut all = self.0.lock();
        let Some(listed) = all.get(at.anchor_text()) else { return false };
        let is_of_life = match life {
            Life::Any => true,
            Life::Of(tree) => listed.tree == Some(tree),
        };
        let is_long_enough = match (listed.until, needed.millis) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(until), Some(millis)) => {
                now.as_millis().saturating_add(millis) <= until.as_millis()
            }
        };
        let is_shown = listed.show == Show::Shown || listed.show == needed.show;
        listed.above == xxh3_64(&claim.trees()) && is_of_life && is_long_enough && is_shown
    }

    /// Notes that an anchor has been listed.
    pub(crate) fn note(
        &self,
        at: Located<'_>,
        claim: &Claim,
        life: Life,
        needed: Needed,
        until: Option<Timestamp>,
    ) {
        let tree = match life {
            Life::Any => None,
            Life::Of(tree) => Some(tree),
        };
        let above = xxh3_64(&claim.trees());
        let listed = Listed { above, tree, show: needed.show, until };
        self.0.lock().insert(at.anchor_text().into(), listed);
    }
}
