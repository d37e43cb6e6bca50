//! The regions whose paths are hash tags.

use region_core::{Error, ErrorKind, RegionPath, Result};

use super::claim::Claim;
use super::ids::Ids;
use super::slots::Slot;

/// The depth of a store's *anchors*: the regions whose paths are hash tags. A region lies in the slot of the anchor that
/// it is, or is below; one that all its anchors are below, in the slot of its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Anchor(usize);

impl Anchor {
    /// The roots are the anchors.
    pub(crate) const ROOT: Self = Self(1);

    /// Anchors this deep; roots are one deep.
    pub(crate) fn at(depth: usize) -> Self {
        Self(depth.max(1))
    }

    pub(crate) fn depth(self) -> usize {
        self.0
    }

    /// The mark by which the ids of a root name the anchors below it.
    pub(crate) fn mark(self) -> [u8; 4] {
        (self.0 as u32 - 1).to_be_bytes()
    }

    /// Compares these anchors with those that the ids of a root name, as its key holds them.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if the process that created the root has others: it keeps most regions in other
    /// slots, so that neither sees what the other changes.
    pub(crate) fn check(self, root: Option<&[u8]>) -> Result<()> {
        self.check_ids(root.and_then(Ids::parse).as_ref())
    }

    pub(super) fn check_ids(self, root: Option<&Ids>) -> Result<()> {
        match root.and_then(Ids::anchor).filter(|others| *others != self) {
            None => Ok(()),
            Some(Self(others)) => {
                let own = self.0;
                let message = format!(
                    "this process has anchor={own}, and one with anchor={others} has created the root: all must have \
                     the same; to change it, restart them all and invalidate the root"
                );
                Err(Error::new(ErrorKind::InvalidConfig, message))
            }
        }
    }

    /// The hash tag of the keys of the region whose path has the text `path`.
    pub(crate) fn tag_of(self, path: &str) -> &str {
        let up_to = |dot: Option<(usize, &str)>| dot.map_or(path, |(at, _)| &path[..at]);
        let mut dots = path.match_indices('.');
        let Some(before_last) = self.0.checked_sub(2) else { return up_to(dots.next()) };
        match dots.nth(before_last) {
            Some(_) => up_to(dots.next()),
            // It is above all its anchors.
            None => up_to(path.match_indices('.').next()),
        }
    }

    /// Returns whether the region whose path has this text is a root or an anchor: its parent, if it has one, may lie in
    /// another slot.
    pub(crate) fn is_outermost(self, path: &str) -> bool {
        self.tag_of(path).len() == path.len()
    }

    pub(crate) fn locate(self, region: &RegionPath) -> Located<'_> {
        Located { region, anchor: self, claim: None }
    }
}

impl Default for Anchor {
    fn default() -> Self {
        Self::ROOT
    }
}

/// A region, and where its keys lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Located<'p> {
    pub(crate) region: &'p RegionPath,
    pub(crate) anchor: Anchor,
    /// What a script is told of the regions in another slot, if there are any.
    pub(crate) claim: Option<&'p Claim>,
}

impl<'p> Located<'p> {
    /// The path as text.
    pub(crate) fn text(self) -> &'p str {
        self.region.as_str()
    }

    /// The hash tag of the region's keys.
    pub(crate) fn tag(self) -> &'p str {
        self.anchor.tag_of(self.text())
    }

    pub(crate) fn slot(self) -> Slot {
        Slot::of_tag(self.tag())
    }

    /// The slot of the regions above the anchor, where it is not that of the region as well by its name.
    pub(crate) fn slot_above(self) -> Option<Slot> {
        let root = self.region.prefixes().next().filter(|_| self.above() > 0)?;
        Some(Slot::of_tag(root))
    }

    /// The number of the regions on the path, from the root on, whose keys lie in another slot.
    pub(crate) fn above(self) -> usize {
        if self.region.depth() < self.anchor.0 { 0 } else { self.anchor.0 - 1 }
    }

    /// The texts of the regions on the path whose keys lie in this slot, from the outermost on.
    pub(crate) fn here(self) -> impl DoubleEndedIterator<Item = &'p str> + ExactSizeIterator {
        self.region.prefixes().skip(self.above())
    }

    /// The text of the anchor, which is the region itself or one around it; nothing for a region above.
    pub(crate) fn anchor_text(self) -> &'p str {
        if self.region.depth() < self.anchor.0 { "" } else { self.tag() }
    }

    /// The last segment of the anchor.
    pub(crate) fn anchor_segment(self) -> &'p str {
        let anchor = self.anchor_text();
        anchor.rsplit_once('.').map_or(anchor, |(_, segment)| segment)
    }

    /// The parent of the anchor, where its keys lie in another slot.
    pub(crate) fn parent_above(self) -> Option<RegionPath> {
        let steps = self.region.depth() - self.above();
        let mut outer = std::iter::successors(Some(self.region.clone()), RegionPath::parent);
        outer.nth(steps).filter(|_| self.above() > 0)
    }

    /// The same, for a script that is told of the regions above.
    pub(crate) fn claiming<'c>(self, claim: Option<&'c Claim>) -> Located<'c>
    where
        'p: 'c,
    {
        Located { claim, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_has_the_tag_of_its_anchor_or_of_its_root() {
        for (anchor, path, tag) in [
            (1, "a", "a"),
            (1, "a.b.c", "a"),
            (2, "a", "a"),
            (2, "a.b", "a.b"),
            (2, "a.b.c.d", "a.b"),
            (3, "a", "a"),
            (3, "a.b", "a"),
            (3, "a.b.c", "a.b.c"),
            (3, "a.b.c.d", "a.b.c"),
        ] {
            let region = RegionPath::parse(path).unwrap();
            assert_eq!(Anchor(anchor).locate(&region).tag(), tag, "{path}, anchor {anchor}");
        }
    }
}
