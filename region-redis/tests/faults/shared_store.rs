//! Several caches over one store.

use region_core::{NearCache, Policy, ReadFrom, Region, RegionCache, RegionExt, Verb};
use region_redis::RedisStore;
use servers::{Flavor, Proxy, TestServer};

use crate::kit::{bounded, builder, connect, replica_by_proxy, synced, until};

servers::on_both! {
    own_changes_are_seen_by_another_cache_that_reads_a_replica
}

/// A change by one cache.
#[derive(Clone, Copy, Debug)]
enum Change {
    Set,
    Remove,
    End(Verb),
}

const CHANGES: [Change; 6] = [
    Change::Set,
    Change::Remove,
    Change::End(Verb::Invalidate),
    Change::End(Verb::Touch),
    Change::End(Verb::Expire),
    Change::End(Verb::InvalidateAndTouch),
];

fn cache(store: &RedisStore, policy: Policy) -> RegionCache {
    RegionCache::builder(store.clone()).root("r").policy(policy).build().unwrap()
}

async fn get(cache: &RegionCache, region: &str) -> Option<u32> {
    let region = cache.region(region).unwrap();
    bounded(region.get::<u32>("k")).await.unwrap().map(|value| *value)
}

/// Waits until the cache holds the value of each region near, and no connection but the replica's would tell of changes.
async fn hold(cache: &RegionCache, regions: &[String]) {
    for region in regions {
        let before = cache.stats().near_hits;
        while cache.stats().near_hits == before {
            assert_eq!(get(cache, region).await, Some(1));
        }
    }
}

/// Bug: a cache over the store of another was told of that one's changes by the server alone. Effect: what it had read
/// from a replica it served near after the other's change had returned, until the replica had got that and told
/// of it: so a process read something older than its own write. Found by the oracle on real servers. Fix: a
/// change is told to all caches over the store before it returns.
async fn own_changes_are_seen_by_another_cache_that_reads_a_replica(flavor: Flavor) {
    let primary = TestServer::start(flavor);
    let (replica, replication): (TestServer, Proxy) = replica_by_proxy(&primary, flavor).await;
    let others = cache(&connect(&primary.url()).await, Policy::new());
    let regions: Vec<String> = (0..CHANGES.len()).map(|number| format!("a:{number}")).collect();
    for region in &regions {
        others.region(region).unwrap().set("k", &1u32).await.unwrap();
    }
    synced(&primary, &replica).await;
    let store = builder(&primary.url()).replica(&replica.url()).unwrap().connect().await.unwrap();
    until("the replica to be of use", || store.stats().replicas[0].is_recent).await;
    let reader = cache(&store, Policy::new().near(NearCache::On).read_from(ReadFrom::Replica));
    let writer = cache(&store, Policy::new().near(NearCache::Off));
    hold(&reader, &regions).await;
    replication.silence();
    for (region, change) in regions.iter().zip(CHANGES) {
        assert_eq!(get(&reader, region).await, Some(1), "{change:?}");
        let (writer, expected) = (
            writer.region(region).unwrap(),
            match change {
                Change::Set => Some(2),
                Change::Remove | Change::End(_) => None,
            },
        );
        match change {
            Change::Set => writer.set("k", &2u32).await.unwrap(),
            Change::Remove => assert!(writer.remove("k").await.unwrap()),
            Change::End(verb) => writer.end(verb).await.unwrap(),
        }
        assert_eq!(get(&reader, region).await, expected, "{change:?}");
    }
}
