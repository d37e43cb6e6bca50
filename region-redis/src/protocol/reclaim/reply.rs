use region_core::{RegionPath, Result, Segment};

use crate::protocol::layout::{Anchor, HIDDEN_CHILD};
use crate::protocol::reply::{Replies, bytes, list};

/// A piece of work for the reclaimer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// The tombstone with this id: children of an earlier life of the region.
    Tombstone(String, RegionPath),
    /// A region whose children may have ended.
    Region(RegionPath),
}

impl Work {
    /// Reads a member of the work list of a hash tag: an id, which a region has not, a space, and a path.
    /// `None` for what this store cannot have put there: nothing would ever take it off the list.
    pub(crate) fn parse(anchor: Anchor, tag: &str, member: &[u8]) -> Option<Self> {
        let (id, text) = std::str::from_utf8(member).ok()?.split_once(' ')?;
        let path = RegionPath::parse(text).ok()?;
        if anchor.locate(&path).tag() != tag || path.as_str() != text {
            return None;
        }
        Some(match id {
            "" => Self::Region(path),
            id => Self::Tombstone(id.to_owned(), path),
        })
    }
}

/// The answer to [`take`](super::take).
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// The number of pieces of work that are due and were not taken.
    pub(crate) left: u64,
    pub(crate) members: Vec<Vec<u8>>,
}

impl Taken {
    /// Reads the next answer.
    pub(crate) fn parse(replies: &mut Replies) -> Result<Self> {
        let mut parts = replies.within()?;
        let left = parts.number()?;
        let members = parts.list()?.into_iter().filter_map(bytes).collect();
        Ok(Self { left, members })
    }
}

/// A child that a tombstone holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Child {
    pub(crate) path: RegionPath,
    /// The member of the tombstone.
    pub(crate) member: Vec<u8>,
}

/// The answer to [`list`](super::list).
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Children {
    pub(crate) children: Vec<Child>,
    /// Members that are no children, the stamp of the list among them.
    pub(crate) others: Vec<Vec<u8>>,
}

impl Children {
    /// Reads the next answer, about a tombstone of the region at `parent`.
    pub(crate) fn parse(parent: &RegionPath, replies: &mut Replies) -> Result<Self> {
        let members = replies.next_of_type()?.and_then(list).unwrap_or_default();
        Ok(Self::of(parent, members.into_iter().filter_map(bytes)))
    }

    /// Parts of at most so many children, the first with the others: at least one, which may be without any child.
    pub(crate) fn parts(&self, most: usize) -> impl Iterator<Item = (&[Child], &[Vec<u8>])> {
        let (first, rest) = self.children.split_at(self.children.len().min(most));
        let rest = rest.chunks(most).map(|children| (children, &[][..]));
        std::iter::once((first, &self.others[..])).chain(rest)
    }

    fn of(parent: &RegionPath, members: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let mut found = Self::default();
        for member in members {
            match child_of(parent, &member) {
                Some(path) => found.children.push(Child { path, member }),
                None => found.others.push(member),
            }
        }
        found
    }
}

fn child_of(parent: &RegionPath, member: &[u8]) -> Option<RegionPath> {
    let segment = member.strip_prefix(&[HIDDEN_CHILD]).unwrap_or(member);
    let segment = Segment::parse(std::str::from_utf8(segment).ok()?).ok()?;
    parent.join(&segment).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_told_from_what_others_have_left() {
        let path = RegionPath::parse("r.a").unwrap();
        assert_eq!(Work::parse(Anchor::ROOT, "r", b" r.a"), Some(Work::Region(path.clone())));
        assert_eq!(
            Work::parse(Anchor::ROOT, "r", b"id r.a"),
            Some(Work::Tombstone("id".to_owned(), path))
        );
        for other in [&b""[..], b"r.a", b" ", b"\xff r.a", b"id ..", b"x", b"id s.a", b" s"] {
            assert_eq!(Work::parse(Anchor::ROOT, "r", other), None, "{other:?}");
        }
    }

    #[test]
    fn children_are_told_from_what_others_have_left() {
        let parent = RegionPath::parse("r.a").unwrap();
        let members = [&b".12345678"[..], b"b", b":c:1", b"d.e", b"", b"\xff", b":"];
        let found = Children::of(&parent, members.map(<[u8]>::to_vec));
        let paths: Vec<_> = found.children.iter().map(|child| child.path.as_str()).collect();
        assert_eq!(paths, ["r.a.b", "r.a.c:1"]);
        assert_eq!(found.children[1].member, b":c:1");
        assert_eq!(found.others, [&b".12345678"[..], b"d.e", b"", b"\xff", b":"]);
    }
}
