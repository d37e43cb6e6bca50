//! Stores that never push: each read is verified.

use region_core::{Policy, RegionExt};

use super::kit::{Process, Pushes, keys, memory, verification};

#[tokio::test]
async fn each_read_is_verified_and_every_change_is_seen() {
    for pushes in [Pushes::Never, Pushes::NeverAsPromised] {
        each_read_is_verified(pushes).await;
    }
}

async fn each_read_is_verified(pushes: Pushes) {
    let store = memory();
    let process = || Process::new(&store, pushes, Policy::new());
    let (here, there) = (process(), process());
    let (mine, theirs) = (here.region("a.b"), there.region("a.b"));
    theirs.set("k", &1u32).await.unwrap();
    assert_eq!(here.get(&mine).await, (Some(1), vec![keys(&["k"])]));
    for _ in 0..3 {
        assert_eq!(here.get(&mine).await, (Some(1), vec![verification()]));
    }
    theirs.set("other", &2u32).await.unwrap();
    assert_eq!(here.get(&mine).await, (Some(1), vec![verification()]));
    theirs.set("k", &3u32).await.unwrap();
    assert_eq!(here.get(&mine).await, (Some(3), vec![verification(), keys(&["k"])]));
    there.region("a").expire().await.unwrap();
    here.assert_value(&mine, None).await;
    mine.set("k", &4u32).await.unwrap();
    assert_eq!(here.get(&mine).await, (Some(4), vec![verification()]));
    theirs.remove("k").await.unwrap();
    here.assert_value(&mine, None).await;
    assert!(here.cache.stats().near_hits > 0);
}
