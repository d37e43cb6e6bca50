//! Entries that are still on the server, and not valid any more.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use bytes::Bytes;
use region_core::{
    LeaseTerms, LeaseToken, Leftover, Lifetime, Lineage, MissReason, NearCache, Op, Policy, Put,
    ReadFrom, ReadOutcome, ReadTerms, Region, RegionCache, RegionExt, Store, Verb, Write,
};
use region_redis::RedisStore;
use servers::{Flavor, TestServer};

use crate::kit::{RECOVERY, builder, calls_of, end, path};

servers::on_both! {
    leftovers_are_told_until_they_are_freed
    a_trusted_lineage_tells_them_too
    an_invalidation_around_a_region_makes_its_misses_fenced
}

const KEYS: [&str; 3] = ["never", "long", "lasting"];
const FENCED: [(usize, Leftover); 2] = [(1, Leftover::Fenced), (2, Leftover::Fenced)];

/// A store that leaves what is dead on the server until it is asked to free it.
async fn connect(server: &TestServer) -> RedisStore {
    builder(&server.url()).without_reclaimer().connect().await.unwrap()
}

/// Puts an entry with a long lifetime, and one without an end.
async fn fill(store: &RedisStore) {
    let put = |key| Put::new(key, Bytes::from_static(b"1"));
    let long = Lifetime::of(Duration::from_secs(600)).unwrap();
    let ops = [Op::Put(put("long").fresh_for(long)), Op::Put(put("lasting"))];
    store.write(&path("r.a.b"), Write::new(&ops)).await.unwrap();
}

/// The leftovers that a read names, and the number of valid entries.
async fn told(store: &RedisStore, assumed: Option<&Lineage>) -> (Vec<(usize, Leftover)>, usize) {
    let terms = ReadTerms::new(ReadFrom::Primary).lineage(assumed);
    let read = store.read(&path("r.a.b"), &KEYS, terms).await.unwrap();
    (read.leftovers, read.entries.iter().flatten().count())
}

async fn leftovers_are_told_until_they_are_freed(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server).await;
    assert_eq!(told(&store, None).await, (vec![], 0));
    for (region, verb) in [
        ("r.a", Verb::Invalidate),
        ("r", Verb::Invalidate),
        ("r", Verb::Expire),
        ("r.a.b", Verb::Expire),
    ] {
        fill(&store).await;
        assert_eq!(told(&store, None).await, (vec![], 2));
        end(&store, region, verb).await.unwrap();
        assert_eq!(told(&store, None).await, (FENCED.to_vec(), 0), "{verb:?} of {region}");
    }
    // What a verb drops at once, nobody knows of.
    for verb in [Verb::Invalidate, Verb::Touch] {
        fill(&store).await;
        end(&store, "r.a.b", verb).await.unwrap();
        assert_eq!(told(&store, None).await, (vec![], 0), "{verb:?}");
    }
    // An entry that is over beside one that is not: the server keeps both.
    let soon = Lifetime::of(Duration::from_millis(1)).unwrap();
    let ops = [Op::Put(Put::new("long", "1").fresh_for(soon)), Op::Put(Put::new("lasting", "1"))];
    store.write(&path("r.a.b"), Write::new(&ops)).await.unwrap();
    let deadline = Instant::now() + RECOVERY;
    while told(&store, None).await != (vec![(1, Leftover::Expired)], 1) {
        assert!(Instant::now() < deadline, "the entry is not over");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    end(&store, "r", Verb::Invalidate).await.unwrap();
    assert_eq!(told(&store, None).await, (FENCED.to_vec(), 0));
    store.reclaim().await.unwrap();
    assert_eq!(told(&store, None).await, (vec![], 0));
}

/// A read of the entries alone knows as much as one of the ids too.
async fn a_trusted_lineage_tells_them_too(flavor: Flavor) {
    let server = TestServer::start(flavor);
    // Who has written asks for the count of its writes too.
    let (store, reader) = (connect(&server).await, connect(&server).await);
    fill(&store).await;
    end(&store, "r.a", Verb::Expire).await.unwrap();
    let lineage = async |key| {
        let read = reader.read(&path("r.a.b"), &[key], ReadTerms::new(ReadFrom::Primary)).await;
        read.unwrap().lineage.unwrap()
    };
    let expired = lineage("long").await;
    assert_eq!(told(&reader, Some(&expired)).await, (FENCED.to_vec(), 0));
    end(&store, "r.a", Verb::Invalidate).await.unwrap();
    let token = LeaseToken::random();
    store.begin(&path("r.a.b"), &[], LeaseTerms::new(token, RECOVERY)).await.unwrap();
    let renewed = lineage("long").await;
    assert_ne!(renewed, expired);
    // On a busy machine it may take a while until the server's clock is known well enough.
    let deadline = Instant::now() + RECOVERY;
    loop {
        server.command(&["CONFIG", "RESETSTAT"]);
        assert_eq!(told(&reader, Some(&renewed)).await, (FENCED.to_vec(), 0));
        if calls_of(&server, "mget") == 0 {
            break;
        }
        assert!(Instant::now() < deadline, "a trusted lineage is read again");
    }
}

/// Statistics and an explanation give the reason, whether or not the region is held near.
async fn an_invalidation_around_a_region_makes_its_misses_fenced(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let other = RegionCache::builder(connect(&server).await).root("r").build().unwrap();
    for near in [NearCache::Off, NearCache::On] {
        let policy = Policy::new().near(near);
        let builder = RegionCache::builder(connect(&server).await).root("r").policy(policy);
        let cache = builder.build().unwrap();
        let (around, region) = (other.region("a").unwrap(), cache.region("a.b").unwrap());
        region.set("k", &1u32).await.unwrap();
        assert_eq!(region.get::<u32>("k").await.unwrap().as_deref(), Some(&1));
        around.invalidate().await.unwrap();
        // The push may take a moment.
        let deadline = Instant::now() + RECOVERY;
        while region.get::<u32>("k").await.unwrap().is_some() {
            assert!(Instant::now() < deadline, "the invalidation is not seen");
        }
        assert_eq!((cache.stats().misses, cache.stats().fenced_misses), (1, 1), "{near:?}");
        let explanation = region.explain::<u32>("k").await.unwrap();
        let fenced = ReadOutcome::Miss(MissReason::Fenced);
        assert_eq!(explanation.outcome, fenced, "{explanation}");
        region.get_many::<u32>(&["k", "never"]).await.unwrap();
        let load = || async { Ok::<_, Infallible>(2u32) };
        assert_eq!(*region.get_or_compute("k", load).await.unwrap(), 2);
        let stats = cache.stats();
        assert_eq!((stats.fenced_misses, stats.absent_misses, stats.misses), (3, 1, 4), "{near:?}");
    }
}
