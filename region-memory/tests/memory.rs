//! The memory that the store takes, and gives back.

use std::time::Duration;

use bytes::Bytes;
use region_core::{
    ErrorKind, LeaseTerms, LeaseToken, Leftover, Lifetime, ManualClock, Op, Put, ReadTerms,
    RegionPath, RegionTtl, Store, Verb, Write,
};
use region_memory::{MemoryStore, MemoryUse};

const TTL: Duration = Duration::from_secs(1);

fn path(text: &str) -> RegionPath {
    RegionPath::parse(text).unwrap()
}

async fn put(store: &MemoryStore, region: &RegionPath, key: &str, size: usize, ttl: Lifetime) {
    let ops = [Op::Put(Put::new(key, Bytes::from(vec![0; size])).fresh_for(ttl))];
    let write = Write::new(&ops);
    store.write(region, write).await.unwrap();
}

async fn set(store: &MemoryStore, region: &str, key: &str, size: usize) {
    put(store, &path(region), key, size, Lifetime::Unlimited).await;
}

async fn holds(store: &MemoryStore, region: &str, key: &str) -> bool {
    let read = store.read(&path(region), &[key], ReadTerms::default()).await.unwrap();
    read.entries[0].is_some()
}

/// Ended entries are told from those that never were, until they are freed.
#[tokio::test]
async fn leftovers_are_told_until_they_are_freed() {
    let clock = ManualClock::new();
    let store = MemoryStore::builder().clock(clock.clone()).build();
    let told = async || {
        let terms = ReadTerms::default();
        let read = store.read(&path("r.a"), &["never", "short", "long"], terms).await.unwrap();
        assert_eq!(
            read.entries.iter().filter(|entry| entry.is_some()).count(),
            2 - read.leftovers.len()
        );
        read.leftovers
    };
    let fill = async || {
        put(&store, &path("r.a"), "short", 1, Lifetime::of(TTL).unwrap()).await;
        set(&store, "r.a", "long", 1).await;
    };
    fill().await;
    assert_eq!(told().await, []);
    clock.advance(TTL);
    assert_eq!(told().await, [(1, Leftover::Expired)]);
    for verb in [Verb::Expire, Verb::Invalidate] {
        fill().await;
        store.end(&path("r"), verb.into()).await.unwrap();
        assert_eq!(told().await, [(1, Leftover::Fenced), (2, Leftover::Fenced)], "{verb:?}");
    }
    let ops = [Op::Put(Put::new("short", "1")), Op::Put(Put::new("long", "1"))];
    let write = Write::new(&ops).region_ttl(RegionTtl::Restart(TTL));
    store.write(&path("r.a"), write).await.unwrap();
    clock.advance(TTL);
    assert_eq!(told().await, [(1, Leftover::Expired), (2, Leftover::Expired)]);
    store.reclaim();
    let read = store.read(&path("r.a"), &["long"], ReadTerms::default()).await.unwrap();
    assert_eq!((read.entries, read.leftovers), (vec![None], vec![]));
}

#[tokio::test]
async fn everything_is_given_back() {
    let store = MemoryStore::new();
    let before = store.memory_use();
    for region in 0..100_000 {
        set(&store, &format!("r.org:{}.project:{region}", region % 100), "k", 10).await;
    }
    assert!(store.memory_use().entries == 100_000 && store.memory_use().regions > 100_000);
    store.end(&path("r"), Verb::Invalidate.into()).await.unwrap();
    store.reclaim();
    assert_eq!(store.memory_use(), before);
}

#[tokio::test]
async fn writing_alone_keeps_memory_bounded() {
    const REGIONS: u64 = 100;
    let store = MemoryStore::new();
    let mut most = 0;
    for round in 0..200 {
        for region in 0..REGIONS {
            set(&store, &format!("r.round:{round}.region:{region}"), "k", 10).await;
        }
        store.end(&path("r"), Verb::Invalidate.into()).await.unwrap();
        most = most.max(store.memory_use().entries);
    }
    // Each round leaves a hundred entries behind, in regions that are never written again.
    assert!(most < 20 * REGIONS, "{most} entries for {REGIONS} alive");
}

#[tokio::test]
async fn what_is_over_is_given_back() {
    let clock = ManualClock::new();
    let store = MemoryStore::builder().clock(clock.clone()).build();
    for key in 0..1000 {
        put(&store, &path("r.a"), &key.to_string(), 10, Lifetime::of(TTL).unwrap()).await;
    }
    let terms = LeaseTerms::new(LeaseToken::random(), TTL);
    store.begin(&path("r.leased"), &["k"], terms).await.unwrap();
    clock.advance(TTL);
    store.reclaim();
    assert_eq!(store.memory_use(), MemoryUse::default());
}

/// Bug it guards against: a region's node is removed while a child still points to it. Effect: the
/// child keeps the old parent's incarnations, and an invalidation of the parent, created again, misses
/// it. Fix: only nodes that nothing points to are removed.
#[tokio::test]
async fn a_parent_outlives_its_children() {
    let store = MemoryStore::new();
    set(&store, "r.parent.child", "k", 10).await;
    set(&store, "r.parent", "k", 10).await;
    store.end(&path("r.parent.elsewhere"), Verb::Touch.into()).await.unwrap();
    for _ in 0..10 {
        store.reclaim();
    }
    assert!(holds(&store, "r.parent.child", "k").await);
    store.end(&path("r.parent"), Verb::Invalidate.into()).await.unwrap();
    assert!(!holds(&store, "r.parent.child", "k").await);
}

#[tokio::test]
async fn a_bound_on_bytes_is_kept_and_the_used_stay() {
    const MAX: u64 = 200_000;
    let store = MemoryStore::builder().max_bytes(MAX).build();
    set(&store, "r.a", "used", 100).await;
    for key in 0..10_000 {
        set(&store, &format!("r.a:{}", key % 10), &key.to_string(), 100).await;
        assert!(holds(&store, "r.a", "used").await, "read all the time, at {key}");
        assert!(store.memory_use().bytes <= MAX, "{:?}", store.memory_use());
    }
    assert!(store.memory_use().evicted > 8_000, "{:?}", store.memory_use());
    assert!(store.memory_use().entries > 500, "{:?}", store.memory_use());
}

#[tokio::test]
async fn what_can_never_fit_is_refused_whole() {
    let store = MemoryStore::builder().max_bytes(10_000).build();
    set(&store, "r", "there", 100).await;
    let large = |key| Op::Put(Put::new(key, Bytes::from(vec![0; 20_000])));
    let ops = [Op::Remove { key: "there" }, large("large")];
    let write = Write::new(&ops);
    let error = store.write(&path("r"), write).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("10000"), "{error}");
    assert!(holds(&store, "r", "there").await);
}

#[tokio::test]
async fn seeds_make_runs_repeat() {
    let lineage = || async {
        let store = MemoryStore::builder().seed(7).build();
        set(&store, "r.a", "k", 1).await;
        store.read(&path("r.a"), &[], ReadTerms::default()).await.unwrap().lineage
    };
    assert_eq!(lineage().await, lineage().await);
}

#[tokio::test(start_paused = true)]
async fn the_clock_may_follow_tokio() {
    let store = MemoryStore::builder().clock(region_core::TokioClock::new()).build();
    put(&store, &path("r"), "k", 1, Lifetime::of(TTL).unwrap()).await;
    tokio::time::advance(TTL - Duration::from_millis(1)).await;
    assert!(holds(&store, "r", "k").await);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(!holds(&store, "r", "k").await);
}
