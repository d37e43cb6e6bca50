//! The ways to end entries.

use crate::path::RegionPath;

/// The ways in which [`Store::end`](super::Store::end) ends entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// The region and all below it are gone: a new `tree`, own entries and leases dropped.
    Invalidate,
    /// The region's own entries and those of every ancestor are gone, with the leases on them.
    /// Children and siblings stay, and so does every lineage.
    Touch,
    /// All entries of the region and of the regions below it become stale: a new `soft`.
    Expire,
    /// `Invalidate` of the region and `Touch` of every ancestor, in one step.
    InvalidateAndTouch,
}

impl Verb {
    /// Returns true if the verb changes the lineage of its region, and so that of every region below it.
    #[must_use]
    pub const fn changes_lineage(self) -> bool {
        match self {
            Self::Invalidate | Self::Expire | Self::InvalidateAndTouch => true,
            Self::Touch => false,
        }
    }

    /// Returns true if the verb ends the own entries of every ancestor of its region too.
    #[must_use]
    pub const fn covers_ancestors(self) -> bool {
        match self {
            Self::Touch | Self::InvalidateAndTouch => true,
            Self::Invalidate | Self::Expire => false,
        }
    }

    /// Returns true if the verb, applied to `region`, ends the own entries of `other`.
    #[must_use]
    pub fn covers(self, region: &RegionPath, other: &RegionPath) -> bool {
        let below = self.changes_lineage() && other.is_within(region);
        other == region || below || (self.covers_ancestors() && region.is_within(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_covers_its_region_and_those_below_or_above() {
        let path = |text| RegionPath::parse(text).unwrap();
        let others = ["r", "r.a", "r.a.b", "r.x"];
        for (verb, covered) in [
            (Verb::Invalidate, [false, true, true, false]),
            (Verb::Expire, [false, true, true, false]),
            (Verb::Touch, [true, true, false, false]),
            (Verb::InvalidateAndTouch, [true, true, true, false]),
        ] {
            let covers = others.map(|other| verb.covers(&path("r.a"), &path(other)));
            assert_eq!(covers, covered, "{verb:?} of r.a covers which of {others:?}");
        }
    }
}
