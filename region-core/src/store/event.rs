use crate::path::RegionPath;

/// A push: what was read before may have changed.
///
/// A store may leave out what concerns nothing that this client has read since its last push.
///
/// An event ends trust, it never establishes a value; so the order of events and their repetition
/// do not matter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// The lineage of this region, and so of all below it, has changed.
    Lineage(RegionPath),
    /// Entries of this region have changed.
    Entries(RegionPath),
    /// Anything may have changed: the store was flushed, or pushes were lost.
    All,
}
