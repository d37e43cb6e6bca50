//! What all handles of a cache share beside the engine.

use std::sync::Arc;

use crate::load::Flights;
use crate::path::{RegionPath, Segment};
use crate::policy::Policy;

/// The loads under way and the policies that were given by names.
pub(crate) struct Shared {
    pub(crate) flights: Arc<Flights>,
    /// Policies by the names of a path's segments below the root.
    region_policies: Vec<(Vec<String>, Policy)>,
    root_depth: usize,
}

impl Shared {
    pub(crate) fn new(region_policies: Vec<(Vec<String>, Policy)>, root_depth: usize) -> Self {
        Self { flights: Arc::default(), region_policies, root_depth }
    }

    /// The policy given for the regions that have the names of `path`, if any was.
    pub(crate) fn region_policy(&self, path: &RegionPath) -> Option<&Policy> {
        if self.region_policies.is_empty() {
            return None;
        }
        let segments: Vec<Segment> = path.segments().skip(self.root_depth).collect();
        let fits = |names: &Vec<String>| {
            names.len() == segments.len()
                && names.iter().zip(&segments).all(|(name, segment)| *name == segment.name())
        };
        self.region_policies.iter().find(|(names, _)| fits(names)).map(|(_, policy)| policy)
    }
}
