//! What a verb does to the entries of a region, by the paths of both.

use region_core::Verb;

/// What a change does to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kill {
    /// It is no longer there.
    Gone,
    /// It is stale.
    Stale,
}

/// What `verb`, called for the region at `ended`, does to the entries of the region at `region`. Paths are
/// below the root, whose own is empty.
#[must_use]
pub fn reach(verb: Verb, ended: &str, region: &str) -> Option<Kill> {
    let (below, around) = (is_within(region, ended), is_within(ended, region));
    match verb {
        Verb::Invalidate => below.then_some(Kill::Gone),
        Verb::Touch => around.then_some(Kill::Gone),
        Verb::InvalidateAndTouch => (below || around).then_some(Kill::Gone),
        Verb::Expire => below.then_some(Kill::Stale),
    }
}

/// Returns true if the region is `around`, or lies in it.
#[must_use]
pub fn is_within(region: &str, around: &str) -> bool {
    let rest = region.strip_prefix(around);
    around.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
