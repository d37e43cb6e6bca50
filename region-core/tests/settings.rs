//! Settings that contradict themselves, and the errors that say so.

use std::time::Duration;

use region_core::{
    ErrorKind, NearCache, Policy, Region, RegionCache, RegionCacheBuilder, RegionExt,
};
use region_memory::MemoryStore;

fn assert_refused(builder: RegionCacheBuilder, kind: ErrorKind, says: &[&str]) {
    let error = builder.build().unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    for part in says {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
}

/// Bug: the error for an empty root, or for a policy of names that no region can have, showed the
/// text alone, and names that are too deep were accepted.
/// Effect: nobody could tell which setting was meant; a policy applied to nothing.
/// Fix: the error names the setting and the reason.
#[test]
fn an_error_names_the_setting_and_the_reason() {
    let cache = || RegionCache::builder(MemoryStore::new());
    let policy = || Policy::new().ttl(Duration::from_secs(1));
    let path = ErrorKind::InvalidPath;
    assert_refused(cache().root(""), path, &["root(\"\")", "must not be empty"]);
    assert_refused(cache().root("a.b.").root("a..b"), path, &["root(\"a..b\")"]);
    for names in ["", "org.", ".org", "org.{x}"] {
        let says = format!("region_policy({names:?})");
        assert_refused(cache().region_policy(names, policy()), path, &[&says]);
    }
    let with_id = cache().region_policy("org:1.project", policy());
    assert_refused(with_id, path, &["region_policy(\"org:1.project\")", "leave the id of org:1"]);
    let deep = ["a"; 64].join(".");
    assert_refused(
        cache().region_policy(&deep, policy()),
        path,
        &["region_policy(", "64 segments"],
    );
    let long = ["a"; 8].map(|name| name.repeat(510)).join(".");
    let long = cache().root("a-root-of-some-length").region_policy(&long, policy());
    assert_refused(long, path, &["region_policy(", "4096 bytes"]);
    let bad = Policy::new().ttl(Duration::ZERO);
    let kind = ErrorKind::InvalidPolicy;
    assert_refused(cache().region_policy("org", bad), kind, &["region_policy(\"org\")", "ttl"]);
    let twice = cache().region_policy("org", policy()).region_policy("org", policy());
    assert_refused(twice, kind, &["region_policy(\"org\")", "twice"]);
}

/// Bug: `near` after `policy` overrode it. Effect: values were held near although the root's policy switched that off.
/// Fix: what a policy says counts, whatever the order.
#[tokio::test]
async fn a_policy_that_switches_near_off_does_so_whatever_the_order() {
    let builder = || RegionCache::builder(MemoryStore::new());
    let off = || Policy::new().near(NearCache::Off);
    for (builder, near_hits) in [
        (builder().near(1 << 20), 1),
        (builder().near(1 << 20).policy(off()), 0),
        (builder().policy(off()).near(1 << 20), 0),
    ] {
        let cache = builder.build().unwrap();
        cache.root().set("k", &1_u32).await.unwrap();
        cache.root().get::<u32>("k").await.unwrap();
        assert_eq!(cache.stats().near_hits, near_hits);
    }
}
