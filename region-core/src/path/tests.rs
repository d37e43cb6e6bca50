use proptest::prelude::{any, prop, prop_assert_eq, proptest};

use super::*;

fn rule<T: fmt::Debug>(result: Result<T, PathError>) -> PathRule {
    result.expect_err("must be refused").rule()
}

#[test]
fn prints_and_parses_the_documented_form() {
    let path = RegionPath::root("root").unwrap();
    let path = path.child_with_id("org", "42").unwrap().child_with_id("project", "7").unwrap();
    assert_eq!(path.to_string(), "root.org:42.project:7");
    assert_eq!("root.org:42.project:7".parse::<RegionPath>().unwrap(), path);
    assert_eq!(path.depth(), 3);
    assert_eq!(path.last().name(), "project");
    assert_eq!(path.parent().unwrap().as_str(), "root.org:42");
    assert_eq!(RegionPath::root("root").unwrap().parent(), None);
}

#[test]
fn reserved_characters_cannot_forge_a_path() {
    let root = RegionPath::root("r").unwrap();
    for hostile in ["a.b", "a:b", "{a}", "100%", "nul\0", "line\nfeed", "%2E", "\u{7f}"] {
        let path = root.child_with_id("n", hostile).unwrap();
        assert_eq!(path.depth(), 2, "{hostile:?}");
        assert_eq!(path.last().id().as_deref(), Some(hostile));
        assert_eq!(RegionPath::parse(path.as_str()).unwrap(), path);
        assert!(!path.as_str().contains(['{', '}', '\0', '\n']));
    }
    assert_eq!(root.child("a.b").unwrap().as_str(), "r.a%2Eb");
}

#[test]
fn wrong_text_is_refused_with_its_rule() {
    assert_eq!(rule(RegionPath::parse("")), PathRule::EmptyName);
    assert_eq!(rule(RegionPath::parse("a..b")), PathRule::EmptyName);
    assert_eq!(rule(RegionPath::parse(".a")), PathRule::EmptyName);
    assert_eq!(rule(RegionPath::parse("a.:7")), PathRule::EmptyName);
    assert_eq!(rule(RegionPath::parse("a.b:")), PathRule::EmptyId);
    assert_eq!(rule(RegionPath::parse("a.b:c:d")), PathRule::Unescaped(':'));
    assert_eq!(rule(RegionPath::parse("a.{b}")), PathRule::Unescaped('{'));
    assert_eq!(rule(RegionPath::parse("a.b\0")), PathRule::Unescaped('\0'));
    for escape in ["a%", "a%2", "a%2e", "a%41", "a%ZZ", "%é0"] {
        assert_eq!(rule(RegionPath::parse(escape)), PathRule::BadEscape, "{escape}");
    }
    assert_eq!(rule(RegionPath::from_bytes(b"a.\xff")), PathRule::NotUtf8);
    let error = RegionPath::parse("a.b{c").unwrap_err().to_string();
    assert!(error.contains("a.b{c") && error.contains("%7B"), "{error}");
}

#[test]
fn limits_are_inclusive() {
    let root = RegionPath::root("r").unwrap();
    let longest = "x".repeat(MAX_SEGMENT_BYTES);
    assert!(root.child(&longest).is_ok());
    assert_eq!(rule(root.child(&format!("{longest}x"))), PathRule::SegmentTooLong);
    assert_eq!(rule(root.child(&".".repeat(MAX_SEGMENT_BYTES / 3 + 1))), PathRule::SegmentTooLong);
    assert_eq!(rule(root.child("")), PathRule::EmptyName);
    assert_eq!(rule(root.child_with_id("a", "")), PathRule::EmptyId);

    let mut deep = root.clone();
    for _ in 1..MAX_DEPTH {
        deep = deep.child("d").unwrap();
    }
    assert_eq!(deep.depth(), MAX_DEPTH);
    assert_eq!(rule(deep.child("d")), PathRule::TooDeep);

    let mut long = RegionPath::root(&longest).unwrap();
    while let Ok(longer) = long.child(&longest) {
        long = longer;
    }
    assert!(long.as_str().len() <= MAX_PATH_BYTES);
    assert_eq!(rule(long.child(&longest)), PathRule::PathTooLong);
    assert_eq!(rule(RegionPath::parse(&"x".repeat(1 << 20))), PathRule::SegmentTooLong);
}

#[test]
fn keys_have_limits_too() {
    assert!(check_key(&"k".repeat(MAX_KEY_BYTES)).is_ok());
    assert_eq!(rule(check_key("")), PathRule::EmptyKey);
    assert_eq!(rule(check_key(&"k".repeat(MAX_KEY_BYTES + 1))), PathRule::KeyTooLong);
}

#[test]
fn containment_goes_by_segments_not_by_text() {
    let path = |text| RegionPath::parse(text).unwrap();
    assert!(path("r.ab.c").is_within(&path("r.ab")));
    assert!(path("r.ab").is_within(&path("r.ab")));
    assert!(!path("r.abc").is_within(&path("r.ab")));
    assert!(!path("r").is_within(&path("r.ab")));
    let deep = path("r.ab.c");
    assert_eq!(deep.prefixes().collect::<Vec<_>>(), ["r", "r.ab", "r.ab.c"]);
}

proptest! {
    #[test]
    fn any_text_survives_the_round_trip(
        segments in prop::collection::vec((".{1,20}", prop::option::of(".{1,20}")), 1..6)
    ) {
        let mut path = RegionPath::root("root").unwrap();
        for (name, id) in &segments {
            path = match id {
                Some(id) => path.child_with_id(name, id).unwrap(),
                None => path.child(name).unwrap(),
            };
        }
        let read = RegionPath::parse(path.as_str()).unwrap();
        prop_assert_eq!(&read, &path);
        prop_assert_eq!(read.descend("x").unwrap(), path.child("x").unwrap());
        let told: Vec<_> = read
            .segments()
            .skip(1)
            .map(|s| (s.name().into_owned(), s.id().map(|id| id.into_owned())))
            .collect();
        prop_assert_eq!(told, segments);
    }

    #[test]
    fn what_parses_prints_as_it_was(bytes in any::<Vec<u8>>()) {
        if let Ok(path) = RegionPath::from_bytes(&bytes) {
            prop_assert_eq!(path.as_str().as_bytes(), &bytes[..]);
        }
    }

    #[test]
    fn what_parses_prints_as_it_was_in_the_alphabet_of_paths(text in "[a.:%2E{}0-9A-F]{0,12}") {
        if let Ok(path) = RegionPath::parse(&text) {
            prop_assert_eq!(path.as_str(), text);
        }
    }
}
