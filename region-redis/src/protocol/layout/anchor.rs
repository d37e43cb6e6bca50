//! The regions whose paths are hash tags.

use region_core::RegionPath;

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

    pub(crate) fn locate(self, region: &RegionPath) -> Located<'_> {
        Located { region, anchor: self }
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
