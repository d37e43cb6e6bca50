//! The names of keys.

use region_core::RegionPath;

use super::anchor::Anchor;
use super::slots::Slot;

/// The prefix of every name: the format's version.
const VERSION: &str = "rc1:";

/// The prefix of a child that holds a marker alone, in its parent's list: no segment begins with it.
pub(crate) const HIDDEN_CHILD: u8 = b':';

/// The kinds of keys that a region has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A string: the region's ids.
    Ids,
    /// A hash: the region's entries.
    Entries,
    /// A hash: the leases of the region's keys.
    Leases,
    /// A sorted set: the region's children, by when they end.
    Children,
}

impl Kind {
    const fn letter(self) -> char {
        match self {
            Self::Ids => 'i',
            Self::Entries => 'd',
            Self::Leases => 'l',
            Self::Children => 'c',
        }
    }
}

/// Writes names into one buffer, for as many names as a call needs.
#[derive(Debug)]
pub(crate) struct NameBuffer {
    anchor: Anchor,
    name: String,
}

impl NameBuffer {
    pub(crate) fn new(anchor: Anchor) -> Self {
        Self { anchor, name: String::new() }
    }

    /// The name of the key of the region whose path has the text `path`.
    pub(crate) fn of(&mut self, kind: Kind, path: &str) -> &str {
        const ADDED: usize = VERSION.len() + "i{}".len();
        let (tag, below) = path.split_at(self.anchor.tag_of(path).len());
        self.name.clear();
        self.name.reserve(path.len() + ADDED);
        // Every call makes a name: `write!` takes four times as many instructions.
        self.name.push_str(VERSION);
        self.name.push(kind.letter());
        self.name.push('{');
        self.name.push_str(tag);
        self.name.push('}');
        self.name.push_str(below);
        &self.name
    }
}

/// The name of the sorted set of what the reclaimer has to look at among the keys with a hash tag.
pub(crate) fn work_list(tag: &str) -> String {
    format!("{VERSION}g{{{tag}}}")
}

/// The name of the record of the claim that was accepted last among the keys with a hash tag: the `tree`s of the regions
/// above.
pub(crate) fn record(tag: &str) -> String {
    format!("{VERSION}a{{{tag}}}")
}

/// The name of what becomes of the children of a region whose keys have this hash tag, when the region ends.
pub(crate) fn tombstone(tag: &str, id: &str) -> String {
    format!("{VERSION}x{{{tag}}}{id}")
}

/// The member of the work list for the tombstone with this id.
pub(crate) fn tombstone_work(path: &str, id: &str) -> String {
    format!("{id} {path}")
}

/// The member of the work list for a region.
pub(crate) fn region_work(path: &str) -> String {
    format!(" {path}")
}

/// The names of the counts of writes to one server, or to one slot of a cluster: what a script uses lies in one
/// slot, so there each slot has counts of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CountNames {
    /// The hash tag of the slot.
    tag: Option<u32>,
}

impl CountNames {
    /// The names on a server that is no part of a cluster.
    pub(crate) const STANDALONE: Self = Self { tag: None };

    /// The names in a slot of a cluster.
    pub(crate) fn in_slot(slot: Slot) -> Self {
        Self { tag: Some(slot.tag()) }
    }

    /// The name of the count of one connection's writes.
    pub(crate) fn of(self, connection: u128) -> String {
        match self.tag {
            None => format!("{VERSION}w{{{connection:032x}}}"),
            Some(tag) => format!("{VERSION}w{{{tag}}}{connection:032x}"),
        }
    }

    /// The name of the receipt with this id, of a write that is to be counted later.
    pub(crate) fn receipt(self, id: u128) -> String {
        match self.tag {
            None => format!("{VERSION}r{{{id:032x}}}"),
            Some(tag) => format!("{VERSION}r{{{tag}}}{id:032x}"),
        }
    }

    /// The name of the sorted set of all counts, by when they are given up for dead.
    pub(crate) fn list(self) -> String {
        match self.tag {
            None => format!("{VERSION}w"),
            Some(tag) => format!("{VERSION}w{{{tag}}}"),
        }
    }
}

/// Returns the kind of a pushed key and its region.
pub(crate) fn parse(name: &[u8], anchor: Anchor) -> Option<(Kind, RegionPath)> {
    let rest = name.strip_prefix(VERSION.as_bytes())?;
    let (letter, rest) = rest.split_first()?;
    let kinds = [Kind::Ids, Kind::Entries, Kind::Leases, Kind::Children];
    let kind = kinds.into_iter().find(|kind| kind.letter() == char::from(*letter))?;
    let text = std::str::from_utf8(rest).ok()?;
    let (tag, below) = text.strip_prefix('{')?.split_once('}')?;
    if !(below.is_empty() || below.starts_with('.')) {
        return None;
    }
    let path = RegionPath::parse(&format!("{tag}{below}")).ok()?;
    (anchor.locate(&path).tag() == tag).then_some((kind, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(kind: Kind, path: &RegionPath) -> String {
        NameBuffer::new(Anchor::ROOT).of(kind, path.as_str()).to_owned()
    }

    #[test]
    fn names_are_those_of_the_layout() {
        let path = RegionPath::parse("shop.org:42.pro%7Bject:7").unwrap();
        assert_eq!(name(Kind::Ids, &path), "rc1:i{shop}.org:42.pro%7Bject:7");
        assert_eq!(name(Kind::Entries, &path), "rc1:d{shop}.org:42.pro%7Bject:7");
        assert_eq!(name(Kind::Leases, &path), "rc1:l{shop}.org:42.pro%7Bject:7");
        assert_eq!(name(Kind::Children, &RegionPath::root("shop").unwrap()), "rc1:c{shop}");
        assert_eq!(work_list("shop"), "rc1:g{shop}");
        let counts = CountNames::STANDALONE;
        assert_eq!(counts.list(), "rc1:w");
        assert_eq!(counts.of(0xab), "rc1:w{000000000000000000000000000000ab}");
        let counts = CountNames::in_slot(Slot::of_tag("123456789"));
        assert_eq!(counts.list(), "rc1:w{26349}");
        assert_eq!(counts.of(0xab), "rc1:w{26349}000000000000000000000000000000ab");
        assert_eq!(counts.receipt(0xab), "rc1:r{26349}000000000000000000000000000000ab");
    }

    #[test]
    fn the_tag_is_the_path_down_to_the_anchor() {
        let anchor = Anchor::at(2);
        for (text, expected) in [
            ("shop", "rc1:i{shop}"),
            ("shop.org:42", "rc1:i{shop.org:42}"),
            ("shop.org:42.project:7", "rc1:i{shop.org:42}.project:7"),
        ] {
            let path = RegionPath::parse(text).unwrap();
            assert_eq!(NameBuffer::new(anchor).of(Kind::Ids, text), expected);
            assert_eq!(parse(expected.as_bytes(), anchor), Some((Kind::Ids, path)));
        }
        assert_eq!(parse(b"rc1:i{shop}.org:42", anchor), None, "of another anchor");
    }

    #[test]
    fn names_are_read_back_and_others_are_not() {
        for text in ["shop", "shop.org:42.x"] {
            let path = RegionPath::parse(text).unwrap();
            let read = parse(name(Kind::Entries, &path).as_bytes(), Anchor::ROOT);
            assert_eq!(read, Some((Kind::Entries, path)));
        }
        for odd in [
            "",
            "rc1:",
            "rc1:i",
            "rc1:i{}",
            "rc1:ishop",
            "rc1:i{a}b",
            "rc2:i{a}",
            "rc1:w{a}",
            "rc1:i{a.b}",
            "rc1:i{a.b}.c",
        ] {
            assert_eq!(parse(odd.as_bytes(), Anchor::ROOT), None, "{odd}");
        }
    }
}
