#![no_main]

use libfuzzer_sys::fuzz_target;
use region_core::{RegionPath, Segment};

fuzz_target!(|bytes: &[u8]| {
    // What parses prints as it was: a region has one text.
    if let Ok(path) = RegionPath::from_bytes(bytes) {
        assert_eq!(path.as_str().as_bytes(), bytes);
        assert_eq!(path.segments().count(), path.depth());
        assert_eq!(path.prefixes().count(), path.depth());
        for ancestor in std::iter::successors(path.parent(), RegionPath::parent) {
            assert!(path.is_within(&ancestor) && !ancestor.is_within(&path));
        }
        assert!(!path.as_str().contains(['{', '}', '\0']));
    }
    // Any text is a name and an id, and comes back as it was.
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (name, id) = text.split_at(text.floor_char_boundary(text.len() / 2));
    let Ok(segment) = Segment::with_id(name, id) else { return };
    assert_eq!((&*segment.name(), segment.id().as_deref()), (name, Some(id)));
    assert_eq!(Segment::parse(segment.as_str()).as_ref(), Ok(&segment));
    let root = RegionPath::root("root").expect("a plain name");
    let path = root.join(&segment).expect("within the limits");
    assert_eq!(path.depth(), 2);
    assert_eq!(RegionPath::parse(path.as_str()), Ok(path));
});
