//! State that all handles of a cache share, beside the engine.

use std::sync::Arc;

use crate::load::Flights;
use crate::path::{RegionPath, Segment};
use crate::policy::Policy;

/// The loads under way, and the policies given to the builder's `region_policy`.
pub(crate) struct Shared {
    pub(crate) flights: Arc<Flights>,
    /// Policies, each with the segment names of the paths below the root that it applies to.
    region_policies: Vec<(Vec<String>, Policy)>,
    root_depth: usize,
}

impl Shared {
    pub(crate) fn new(region_policies: Vec<(Vec<String>, Policy)>, root_depth: usize) -> Self {
        Self { flights: Arc::default(), region_policies, root_depth }
    }

    /// Returns the policy given for regions with the segment names of `path`, if there is one.
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
