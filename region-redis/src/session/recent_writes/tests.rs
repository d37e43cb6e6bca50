use super::*;

fn path(text: &str) -> RegionPath {
    RegionPath::parse(text).unwrap()
}

fn started() -> RecentWrites {
    let mut writes = RecentWrites::default();
    writes.start(7, 1);
    writes
}

fn needed(writes: &RecentWrites, region: &str) -> u64 {
    writes.needed_of_replica(&path(region)).1
}

/// Returns whether repeating the recent changes removes the entry of `region` under `key`.
fn is_done_again(changes: &[Change], region: &str, key: &str) -> bool {
    let region = path(region);
    changes.iter().any(|change| {
        let Verbs { invalidate, touch, .. } = change.verbs;
        (invalidate && region.is_within(&change.region))
            || (touch && change.region.is_within(&region))
            || (change.region == region && change.keys.iter().any(|changed| **changed == *key))
    })
}

fn assert_consistent(writes: &RecentWrites) {
    let bytes = |keys: &ChangedKeys| keys.bytes();
    assert_eq!(writes.key_count, writes.keys.values().map(ChangedKeys::len).sum::<usize>());
    assert_eq!(writes.key_bytes, writes.keys.values().map(bytes).sum::<usize>());
    assert_eq!(writes.below_bytes, writes.below.keys().map(|name| name.len()).sum::<usize>());
    assert!(writes.key_count <= MOST_KEYS_OF_ALL && writes.key_bytes <= MOST_BYTES);
    assert!(writes.below.len() <= MOST_REGIONS);
    assert!(writes.keys.keys().all(|name| writes.record(name).is_some()));
}

#[tokio::test]
async fn what_was_changed_must_be_shown_where_it_concerns() {
    let mut writes = started();
    writes.written(&path("r.a"), 7, 5);
    assert_eq!((needed(&writes, "r.a"), needed(&writes, "r.a.b"), needed(&writes, "r")), (5, 0, 0));
    writes.ended(&path("r.a"), Verb::Invalidate, 7, 6);
    assert_eq!((needed(&writes, "r.a"), needed(&writes, "r.a.b"), needed(&writes, "r")), (6, 6, 0));
    writes.ended(&path("r.a.b"), Verb::Touch, 7, 9);
    assert_eq!((needed(&writes, "r.a.b"), needed(&writes, "r.a"), needed(&writes, "r")), (9, 9, 9));
    assert_eq!((needed(&writes, "r.a.b.c"), needed(&writes, "r.x")), (6, 0));
}

/// Bug: counts began at one although the server stood higher after a replay. Effect: a replica that had
/// the first of the replayed invalidations was believed to have all. Fix: they begin where the server
/// stands at the end of the preparation.
#[tokio::test(start_paused = true)]
async fn new_connections_count_from_what_the_server_answered() {
    let mut writes = started();
    writes.written(&path("r"), 7, 5);
    writes.written(&path("s"), 7, 6);
    writes.start(8, 40);
    assert_eq!(writes.needed(&path("r")), (8, 40));
    writes.written(&path("r"), 7, 60);
    assert_eq!(writes.needed(&path("r")), (8, 40), "a late answer over the old count_id");
    writes.written(&path("r"), 8, 41);
    assert_eq!(writes.needed(&path("r")), (8, 41));
    tokio::time::advance(MEMORY + Duration::from_secs(1)).await;
    writes.written(&path("t"), 8, 42);
    writes.start(9, 3);
    assert_eq!(needed(&writes, "elsewhere"), 3, "for what was forgotten");
}

#[tokio::test(start_paused = true)]
async fn old_changes_are_forgotten_but_must_still_be_shown() {
    let mut writes = started();
    writes.intend_end(&path("r.a"), Verb::Invalidate);
    writes.ended(&path("r.a"), Verb::Invalidate, 7, 5);
    tokio::time::advance(MEMORY + Duration::from_secs(1)).await;
    assert!(writes.recent().is_empty());
    writes.written(&path("r.b"), 7, 6);
    assert_eq!(needed(&writes, "r.a"), 5);
    assert_eq!(writes.needed(&path("r.a")).1, 0, "the primary need not show it");
    assert_consistent(&writes);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_made_again_is_remembered_anew() {
    let mut writes = started();
    writes.intend_write(&path("r.a"), ["old"]);
    writes.intend_end(&path("r.b"), Verb::Expire);
    tokio::time::advance(MEMORY / 2).await;
    writes.intend_write(&path("r.a"), ["k"]);
    writes.intend_end(&path("r.a"), Verb::Touch);
    tokio::time::advance(MEMORY / 2 + Duration::from_secs(1)).await;
    writes.intend_write(&path("r.a"), ["k"]);
    assert!(
        is_done_again(&writes.recent(), "r.a", "k") && is_done_again(&writes.recent(), "r", "any")
    );
    assert!(!is_done_again(&writes.recent(), "r.b", "k"));
    tokio::time::advance(MEMORY + Duration::from_secs(1)).await;
    writes.intend_write(&path("r.a"), ["new"]);
    let changes = writes.recent();
    assert_eq!(changes[0].keys, [Box::from("new")], "older keys of the region are forgotten");
    assert_consistent(&writes);
}

#[tokio::test(start_paused = true)]
async fn the_memory_is_as_long_as_a_replica_may_lag() {
    let mut writes = RecentWrites::new(MEMORY * 3, Anchor::ROOT);
    writes.intend_end(&path("r.a"), Verb::Invalidate);
    tokio::time::advance(MEMORY * 2).await;
    writes.intend_end(&path("r.b"), Verb::Invalidate);
    assert_eq!(writes.recent().len(), 2);
}

#[tokio::test]
async fn too_many_keys_become_their_region() {
    let mut writes = started();
    let keys: Vec<_> = (0..=MOST_KEYS).map(|n| n.to_string()).collect();
    writes.intend_write(&path("r"), keys.iter().map(String::as_str));
    let changes = writes.recent();
    assert!(keys.iter().all(|key| is_done_again(&changes, "r", key)));
    assert_eq!(writes.recent()[0].verbs.needed(), [Verb::Invalidate]);
    assert_consistent(&writes);
}

#[tokio::test(start_paused = true)]
async fn too_many_keys_of_all_regions_become_the_region_changed_longest_ago() {
    let mut writes = started();
    let keys: Vec<_> = (0..100).map(|n| n.to_string()).collect();
    for n in 0..3000 {
        writes.intend_write(&path(&format!("r.n:{n}")), keys.iter().map(String::as_str));
        // The first is changed again and again.
        writes.intend_write(&path("r.n:0"), ["0"]);
    }
    assert_consistent(&writes);
    let changes = writes.recent();
    let keys_of = |region: &str| {
        let change = changes.iter().find(|change| change.region.as_str() == region).unwrap();
        change.keys.len()
    };
    assert_eq!((keys_of("r.n:0"), keys_of("r.n:1"), keys_of("r.n:2999")), (100, 0, 100));
    assert!((0..3000).step_by(31).all(|n| is_done_again(&changes, &format!("r.n:{n}"), "7")));
}

/// Bug: when the memory was full the region that came in first was forgotten, however lately it was
/// changed. Effect: a failover brought back what this process had just replaced. Fix: the region that was
/// changed longest ago is remembered as a change of its parent's subtree.
#[tokio::test(start_paused = true)]
async fn too_many_regions_become_coarser_and_none_is_forgotten() {
    let mut writes = started();
    let regions = MOST_REGIONS as u64 + 5000;
    for n in 1..=regions {
        let region = path(&format!("r.org:{}.project:{n}", n % 7));
        writes.intend_write(&region, ["k"]);
        writes.written(&region, 7, n);
        writes.intend_write(&path("r.often"), ["k"]);
    }
    assert_consistent(&writes);
    let changes = writes.recent();
    for n in (1..=regions).step_by(97) {
        let region = format!("r.org:{}.project:{n}", n % 7);
        assert!(is_done_again(&changes, &region, "k"), "{region}");
        assert!(needed(&writes, &region) >= n, "{region}");
    }
    assert!(!is_done_again(&changes, "r.elsewhere", "k"), "no coarser than it has to be");
    let often = changes.iter().find(|change| change.region.as_str() == "r.often").unwrap();
    assert_eq!(often.keys.len(), 1, "what is changed often is known exactly");
    assert_eq!(needed(&writes, "r.org:1.other"), needed(&writes, "r.org:1"));
    tokio::time::advance(MEMORY + Duration::from_secs(1)).await;
    assert!(writes.recent().is_empty());
}

#[tokio::test]
async fn a_touch_that_becomes_coarser_still_concerns_the_ancestors() {
    let mut writes = started();
    writes.intend_end(&path("r.a.b.c"), Verb::Touch);
    writes.intend_end(&path("r.x.y"), Verb::Expire);
    for n in 0..MOST_REGIONS {
        writes.intend_end(&path(&format!("s.m:{n}")), Verb::Touch);
    }
    assert!(!writes.below.contains_key("r.a.b.c"));
    let changes = writes.recent();
    for region in ["r", "r.a", "r.a.b", "r.a.b.c", "r.a.b.c.d", "r.x", "r.x.y.z"] {
        assert!(is_done_again(&changes, region, "k"), "{region}");
    }
    assert_consistent(&writes);
}

/// However deep the regions are, all can become coarser up to the root.
#[tokio::test]
async fn chains_of_different_parents_become_coarser_too() {
    let mut writes = started();
    for n in 0..MOST_REGIONS * 2 {
        writes.intend_write(&path(&format!("r.a:{n}.b:{n}.c:{n}")), ["k"]);
    }
    assert_consistent(&writes);
    let changes = writes.recent();
    for n in [0, 1, MOST_REGIONS, MOST_REGIONS * 2 - 1] {
        assert!(is_done_again(&changes, &format!("r.a:{n}.b:{n}.c:{n}"), "k"), "{n}");
    }
}

#[tokio::test]
async fn what_an_ancestors_invalidation_covers_is_not_done_twice() {
    let mut writes = started();
    writes.intend_write(&path("r.a.b"), ["k"]);
    writes.intend_end(&path("r.a.c"), Verb::Touch);
    writes.intend_end(&path("r.a.d"), Verb::Expire);
    writes.intend_end(&path("r.a"), Verb::Invalidate);
    let changes = writes.recent();
    let regions: Vec<_> = changes.iter().map(|change| change.region.as_str()).collect();
    assert_eq!(regions, ["r.a.c", "r.a"]);
    assert_eq!(changes[0].verbs.needed(), [Verb::Touch]);
}

#[test]
fn entries_that_are_gone_need_not_become_stale() {
    let mut verbs = Verbs::default();
    [Verb::Expire, Verb::Touch].into_iter().for_each(|verb| verbs.add(verb));
    assert_eq!(verbs.needed(), [Verb::Touch, Verb::Expire]);
    verbs.add(Verb::Invalidate);
    assert_eq!(verbs.needed(), [Verb::InvalidateAndTouch]);
}
