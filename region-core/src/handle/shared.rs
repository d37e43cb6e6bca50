//! State that all handles of a cache share, beside the engine.

use std::sync::Arc;

use super::Loaders;
use super::opened::OpenedRegions;
use crate::load::Flights;
use crate::path::{RegionPath, Segment};
use crate::policy::Policy;

/// A setting for all regions with some names: the segment names of their paths below the root.
pub(crate) type ByNames<T> = Vec<(Vec<String>, T)>;

/// The loads under way, the regions opened lately, and what was given to the builder's `region_policy` and
/// `loader`.
pub(crate) struct Shared {
    pub(crate) flights: Arc<Flights>,
    pub(super) opened: OpenedRegions,
    region_policies: ByNames<Policy>,
    loaders: ByNames<Loaders>,
    root_depth: usize,
}

impl Shared {
    pub(crate) fn new(
        flights: Flights,
        region_policies: ByNames<Policy>,
        loaders: ByNames<Loaders>,
        root_depth: usize,
    ) -> Self {
        let (flights, opened) = (Arc::new(flights), OpenedRegions::new());
        Self { flights, opened, region_policies, loaders, root_depth }
    }

    /// Returns the policy given for regions with the segment names of `path`, if there is one.
    pub(crate) fn region_policy(&self, path: &RegionPath) -> Option<&Policy> {
        self.given(&self.region_policies, path)
    }

    /// Returns the load functions given for regions with the segment names of `path`.
    pub(crate) fn loaders(&self, path: &RegionPath) -> Loaders {
        self.given(&self.loaders, path).cloned().unwrap_or_default()
    }

    fn given<'a, T>(&self, given: &'a ByNames<T>, path: &RegionPath) -> Option<&'a T> {
        if given.is_empty() {
            return None;
        }
        let segments: Vec<Segment> = path.segments().skip(self.root_depth).collect();
        let fits = |names: &Vec<String>| {
            names.len() == segments.len()
                && names.iter().zip(&segments).all(|(name, segment)| *name == segment.name())
        };
        given.iter().find(|(names, _)| fits(names)).map(|(_, given)| given)
    }
}
