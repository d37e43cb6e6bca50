use region_core::RegionPath;

/// What the reclaimer has to look at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// The tombstone with this id: children of an earlier life of the region.
    Tombstone(String, RegionPath),
    /// A region whose children may have ended.
    Region(RegionPath),
}

impl Work {
    /// Reads a member of the work list: an id, which a region has not, a space, and a path.
    pub(crate) fn parse(member: &[u8]) -> Option<Self> {
        let (id, path) = std::str::from_utf8(member).ok()?.split_once(' ')?;
        let path = RegionPath::parse(path).ok()?;
        Some(match id {
            "" => Self::Region(path),
            id => Self::Tombstone(id.to_owned(), path),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_told_from_what_others_have_left() {
        let path = RegionPath::parse("r.a").unwrap();
        assert_eq!(Work::parse(b" r.a"), Some(Work::Region(path.clone())));
        assert_eq!(Work::parse(b"id r.a"), Some(Work::Tombstone("id".to_owned(), path)));
        for other in [&b""[..], b"r.a", b" ", b"\xff r.a", b"id ..", b"x"] {
            assert_eq!(Work::parse(other), None, "{other:?}");
        }
    }
}
