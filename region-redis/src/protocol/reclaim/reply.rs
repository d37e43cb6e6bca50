use region_core::RegionPath;

/// A piece of work for the reclaimer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// The tombstone with this id: children of an earlier life of the region.
    Tombstone(String, RegionPath),
    /// A region whose children may have ended.
    Region(RegionPath),
}

impl Work {
    /// Reads a member of the work list of `root`: an id, which a region has not, a space, and a path.
    /// `None` for what this store cannot have put there: nothing would ever take it off the list.
    pub(crate) fn parse(root: &str, member: &[u8]) -> Option<Self> {
        let (id, text) = std::str::from_utf8(member).ok()?.split_once(' ')?;
        let path = RegionPath::parse(text).ok()?;
        if path.prefixes().next() != Some(root) || path.as_str() != text {
            return None;
        }
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
        assert_eq!(Work::parse("r", b" r.a"), Some(Work::Region(path.clone())));
        assert_eq!(Work::parse("r", b"id r.a"), Some(Work::Tombstone("id".to_owned(), path)));
        for other in [&b""[..], b"r.a", b" ", b"\xff r.a", b"id ..", b"x", b"id s.a", b" s"] {
            assert_eq!(Work::parse("r", other), None, "{other:?}");
        }
    }
}
