//! What the near cache may take, and what it leaves behind.

use region_core::{Region, RegionCache, RegionExt};

use super::kit::{NEAR_BYTES, memory, two};

/// The bound is kept whatever the keys: many regions, many keys, large and small values.
#[tokio::test]
async fn bytes_stay_within_the_bound() {
    let (here, _) = two();
    for round in 0..4_000usize {
        let region = here.region(&format!("org:{}", round % 700));
        let value = "v".repeat(if round % 10 == 0 { 10_000 } else { round % 100 });
        region.set(&format!("k{round}"), &value).await.unwrap();
        if round % 3 == 0 {
            region.get::<String>(&format!("k{round}")).await.unwrap();
        }
        assert!(here.cache.near_use().bytes <= NEAR_BYTES);
    }
    let used = here.cache.near_use();
    assert!(used.bytes > NEAR_BYTES / 2, "{used:?}");
    assert!(used.entries < 4_000, "{used:?}");
}

#[tokio::test]
async fn a_value_heavier_than_the_whole_is_not_kept() {
    let cache = RegionCache::builder(memory()).near(10_000).build().unwrap();
    let heavy = "v".repeat(20_000);
    cache.root().set("heavy", &heavy).await.unwrap();
    for _ in 0..2 {
        assert_eq!(cache.root().get::<String>("heavy").await.unwrap().as_deref(), Some(&heavy));
    }
    assert_eq!(cache.near_use().entries, 0);
    cache.root().set("light", &1u8).await.unwrap();
    assert_eq!(cache.near_use().entries, 1);
}

/// Regions without handles and entries leave nothing behind, but for those that were opened lately by a text or
/// a typed path.
#[tokio::test]
async fn forgotten_regions_leave_nothing_behind() {
    let (here, _) = two();
    let root = here.cache.root();
    let before = here.cache.near_use().regions;
    for org in 0..2_000 {
        let org = org.to_string();
        let region = root.child_with_id("org", &org).unwrap();
        let region = region.child_with_id("project", &org).unwrap();
        region.get::<u32>("absent").await.unwrap();
        region.invalidate().await.unwrap();
    }
    assert_eq!(here.cache.near_use().regions, before);
    // Entries keep their regions, and the bound on bytes bounds both.
    let value = "v".repeat(1_000);
    for org in 0..5_000 {
        let region = root.child_with_id("org", &org.to_string()).unwrap();
        region.set("k", &value).await.unwrap();
    }
    let used = here.cache.near_use();
    assert!(used.regions <= used.entries + 2, "{used:?}");
    assert!(used.entries < 1_000, "{used:?}");
}
