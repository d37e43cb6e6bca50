//! Events between two steps of one mechanism.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use region_cache::{Policy, Region, RegionExt, RegionHandle};
use servers::{Flavor, TestServer};

use crate::kit::{
    LoadGate, builder, cache, connect, keys, loaded, ms, queueing, region, timed, until, until_ok,
    until_so,
};
use crate::way::{Act, From, Way, holds};

const SOON: Duration = Duration::from_secs(4);

fn text(value: &str) -> String {
    value.to_owned()
}

/// As for a connection that is held up on its way, with a server that stands still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_a_stopped_server_has_not_read_does_not_win_later() {
    let server = TestServer::start(Flavor::Redis);
    let store = builder(&server.url())
        .call_timeout(ms(150))
        .connect_timeout(ms(300))
        .watch(ms(30), ms(150))
        .connect()
        .await
        .unwrap();
    let a = cache(store.clone()).region("r").unwrap();
    let b = region(&server.url(), "r").await;
    for round in 0..4_u32 {
        until_ok(|| async { a.set("k", &(10 * round)).await }).await;
        server.pause();
        let connects = store.stats().primary.connects;
        let _ = a.set("k", &(10 * round + 1)).await;
        let _ = a.set_many(&[("k", &(10 * round + 2)), ("l", &1)]).await;
        until("another connection", || store.stats().primary.connects > connects).await;
        server.resume();
        until_ok(|| async { a.set("k", &(10 * round + 3)).await }).await;
        for _ in 0..5 {
            let found = b.get::<u32>("k").await.unwrap();
            assert_eq!(found.as_deref(), Some(&(10 * round + 3)));
            tokio::time::sleep(ms(20)).await;
        }
    }
}

/// A large entry goes over a connection of its own: what is sent later over the main one wins all the
/// same, whether the large write's connection is given up or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_write_of_unknown_outcome_does_not_win_later() {
    for given_up in [true, false] {
        let server = TestServer::start(Flavor::Redis);
        let way = Way::to(server.port()).await;
        let silence = if given_up { ms(500) } else { Duration::from_secs(20) };
        let store = builder(&way.url()).call_timeout(ms(400)).watch(ms(50), silence);
        let store = store.max_lag(Duration::from_secs(60)).connect().await.unwrap();
        let a = cache(store).region("r").unwrap();
        let b = region(&server.url(), "r").await;
        let large = |byte: &str| byte.repeat(100_000);
        a.set("k", &text("first")).await.unwrap();
        a.set("other", &large("o")).await.unwrap();
        let before = way.connections();
        let mut held = None;
        way.rule(move |connection, from, bytes| {
            if from == From::Client && holds(bytes, "lalalala") {
                held = held.or(Some(connection));
            }
            let is_held = from == From::Client && held == Some(connection);
            if is_held { Act::Hold(0) } else { Act::Pass }
        });
        assert!(a.set("k", &large("la")).await.is_err());
        if given_up {
            until_so("another connection for large entries", || async {
                let _ = a.get::<String>("other").await;
                way.connections() > before
            })
            .await;
        }
        until_ok(|| async { a.set("k", &text("newer")).await }).await;
        way.release();
        until("what was held to arrive", || way.holding() == 0).await;
        let ends = std::time::Instant::now() + ms(600);
        while std::time::Instant::now() < ends {
            let value = b.get::<String>("k").await.unwrap().unwrap();
            assert_eq!(value.get(..5), Some("newer"), "given up: {given_up}");
            tokio::time::sleep(ms(10)).await;
        }
    }
}

/// Each of the server's keys in turn is lost: nothing old comes back, and nothing fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_lost_key_is_a_miss_and_no_error() {
    let server = TestServer::start(Flavor::Redis);
    // No call is to fail here, however busy the machine is.
    let patient = Duration::from_secs(20);
    let store = builder(&server.url()).call_timeout(patient).watch(ms(100), patient);
    let all = cache(store.connect().await.unwrap());
    let outer = all.region("org:1").unwrap();
    let inner = all.region("org:1.project:2").unwrap();
    let mut lost = HashSet::new();
    for round in 0..60_u32 {
        let gate = LoadGate::new();
        for region in [&outer, &inner] {
            region.set("k", &round).await.unwrap();
        }
        outer.expire().await.unwrap();
        inner.set("k", &round).await.unwrap();
        let (leasing, load) = (inner.clone(), gate.load(round));
        let loading = tokio::spawn(async move { leasing.get_or_compute("loaded", load).await });
        gate.until_begun(1).await;
        let names = keys(&server, "rc1:*");
        let key = names.iter().find(|name| !lost.contains(*name)).cloned();
        let Some(key) = key else { break };
        server.command(&["DEL", &key]);
        let found = inner.get::<u32>("k").await.unwrap();
        assert!(found.is_none_or(|found| *found == round), "{key}: an old value");
        inner.set("k", &(round + 1000)).await.unwrap_or_else(|error| panic!("{key}: {error}"));
        let found = inner.get::<u32>("k").await.unwrap();
        assert_eq!(found.as_deref(), Some(&(round + 1000)), "{key}");
        gate.open();
        assert_eq!(*timed(loading).await.0.unwrap().unwrap(), round, "{key}");
        outer.invalidate().await.unwrap_or_else(|error| panic!("{key}: {error}"));
        for lookup in ["k", "loaded"] {
            assert_eq!(inner.get::<u32>(lookup).await.unwrap(), None, "{key}: {lookup}");
        }
        lost.insert(key);
    }
    assert!(lost.len() >= 6, "{lost:?}");
}

/// The primary lost data and refuses writes, so that nothing can be repeated on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_went_back_and_refuses_writes_is_not_believed() {
    let server = TestServer::start(Flavor::Redis);
    let way = Way::to(server.port()).await;
    let store = connect(&way.url()).await;
    let cache = cache(store.clone());
    let (set, gone) = (cache.region("set").unwrap(), cache.region("gone").unwrap());
    set.set("k", &text("old")).await.unwrap();
    gone.set("k", &text("old")).await.unwrap();
    let older = TestServer::start(Flavor::Redis);
    tokio::task::block_in_place(|| older.follow(server.port()));
    older.command(&["REPLICAOF", "NO", "ONE"]);
    set.set("k", &text("new")).await.unwrap();
    gone.invalidate().await.unwrap();
    way.close();
    until("the outage to be seen", || !store.stats().primary.is_up).await;
    // Demoted, filled from the other, promoted again.
    tokio::task::block_in_place(|| server.follow(older.port()));
    server.command(&["REPLICAOF", "NO", "ONE"]);
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    way.lead_to(server.port());
    for _ in 0..60 {
        for region in [&set, &gone] {
            let found = region.get::<String>("k").await.unwrap_or_default();
            assert!(found.is_none_or(|value| *value == "new"), "{}: an old value", region.path());
        }
        tokio::time::sleep(ms(15)).await;
    }
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    until_ok(|| async { set.set("k", &text("newer")).await }).await;
    assert_eq!(gone.get::<String>("k").await.unwrap(), None);
}

/// Invalidations are queued, and the server that comes back takes no writes, or none that need memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_queued_is_done_before_anything_is_read() {
    for (setting, refusing) in [("min-replicas-to-write", "1"), ("maxmemory", "1")] {
        let args = ["--maxmemory-policy", "noeviction"];
        let server = TestServer::start_with(Flavor::Redis, &args);
        let way = Way::to(server.port()).await;
        let store = queueing(&way.url()).connect().await.unwrap();
        let a = cache(store.clone()).region("r").unwrap();
        let b = region(&server.url(), "r").await;
        b.set("k", &text("old")).await.unwrap();
        way.close();
        until("the outage to be seen", || !store.stats().primary.is_up).await;
        a.invalidate().await.unwrap();
        server.command(&["CONFIG", "SET", setting, refusing]);
        way.lead_to(server.port());
        for _ in 0..40 {
            assert_eq!(a.get::<String>("k").await.unwrap_or_default(), None, "{setting}");
            tokio::time::sleep(ms(15)).await;
        }
        if setting == "maxmemory" {
            until("the queue to empty on a full server", || !store.stats().has_queued).await;
        }
        server.command(&["CONFIG", "SET", setting, "0"]);
        until("the queue to empty", || !store.stats().has_queued).await;
        assert_eq!(b.get::<String>("k").await.unwrap(), None);
    }
}

/// Regions end and begin again while what they leave behind is freed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_begins_again_is_listed() {
    let server = TestServer::start(Flavor::Redis);
    let all = cache(connect(&server.url()).await);
    let reclaimer = connect(&server.url()).await;
    let org = all.region("org:1").unwrap();
    org.region("kept:1").unwrap().set("k", &1_u8).await.unwrap();
    let reclaiming = tokio::spawn(async move {
        loop {
            let _ = reclaimer.reclaim().await;
            tokio::time::sleep(ms(3)).await;
        }
    });
    let mut tasks = tokio::task::JoinSet::new();
    for session in 0..8 {
        let org = org.clone();
        tasks.spawn(async move {
            let short = Policy::new().ttl(ms(40));
            for round in 0..50_u64 {
                let region = org.child_with_id("s", &session.to_string()).unwrap();
                let region = region.with_policy(short.clone()).unwrap();
                let page = region.region("page:1").unwrap();
                page.set("k", &round).await.unwrap();
                let is_there = page.get::<u64>("k").await.unwrap().is_some();
                let listed: Vec<String> = org.child_ids("s").try_collect().await.unwrap();
                let is_listed = listed.contains(&session.to_string());
                // Unless it has ended meanwhile.
                let is_still_there = page.get::<u64>("k").await.unwrap().is_some();
                assert!(is_listed || !is_there || !is_still_there, "{session} is not listed");
                tokio::time::sleep(ms(25 + (round * 7) % 40)).await;
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    reclaiming.abort();
    let kept: Vec<String> = org.child_ids("kept").try_collect().await.unwrap();
    assert_eq!(kept, ["1"]);
    assert_eq!(org.region("kept:1").unwrap().get::<u8>("k").await.unwrap().as_deref(), Some(&1));
}

/// Whatever lifetimes meet on a path, what an entry hangs on outlives it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_outlive_every_entry_below_them() {
    use rand::{RngExt, SeedableRng};
    let server = TestServer::start(Flavor::Redis);
    let all = cache(connect(&server.url()).await);
    let seed = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros() as u64;
    let mut rng = rand::rngs::SmallRng::seed_from_u64(seed);
    let paths = ["a", "a.b", "a.b.c", "a.b.c.d", "a.x", "a.b.y"];
    for _ in 0..150 {
        let seconds = [2, 30, 300, 3000, 30_000, 3_000_000][rng.random_range(0..6)];
        let life = Duration::from_secs(seconds);
        let policy = match rng.random_range(0..4) {
            0 => Policy::new().ttl(life),
            1 => Policy::new().region_ttl(life),
            2 => Policy::new().ttl(life).stale_for(life),
            _ => Policy::new().no_ttl(),
        };
        let region =
            all.region(paths[rng.random_range(0..6)]).unwrap().with_policy(policy).unwrap();
        let key = format!("k{}", rng.random_range(0..3));
        match rng.random_range(0..12) {
            0 => region.invalidate().await.unwrap(),
            1 => region.expire().await.unwrap(),
            2 => region.touch().await.unwrap(),
            3 => drop(region.remove(&key).await.unwrap()),
            4 => drop(region.restart_region_ttl().await.unwrap()),
            5 | 6 => drop(region.get_or_compute(&key, || loaded(1_u8)).await.unwrap()),
            7 => region.set_many(&[("k0", &1_u8), ("k1", &2_u8)]).await.unwrap(),
            8 => drop(region.set_if_absent(&key, &1_u8).await.unwrap()),
            _ => region.set(&key, &1_u8).await.unwrap(),
        }
        assert_ids_outlive(&server, seed, &all).await;
    }
}

async fn assert_ids_outlive(server: &TestServer, seed: u64, all: &region_cache::RegionCache) {
    let life = |key: &str| match server.command(&["PTTL", key]).text().parse::<i64>().unwrap() {
        -1 => i64::MAX,
        life => life,
    };
    for entries in keys(server, "rc1:d*") {
        let path = entries.strip_prefix("rc1:d{fg}.").unwrap().to_owned();
        // Entries of an earlier life may lie about until they are freed.
        if all.region(&path).unwrap().is_empty().await.unwrap() {
            continue;
        }
        // The key may outlive its entries by a quarter of their lives.
        let needed = life(&entries) / 5 * 4 - 100;
        let mut above = format!("{{fg}}.{path}");
        let mut is_leaf = true;
        loop {
            let ids = life(&format!("rc1:i{above}"));
            assert!(
                ids >= needed.saturating_sub(100),
                "seed {seed}: {above} {ids}, {path} {needed}"
            );
            if !is_leaf {
                let list = life(&format!("rc1:c{above}"));
                let is_enough = list >= needed;
                assert!(is_enough, "seed {seed}: list of {above} {list}, {path} {needed}");
            }
            let Some((up, _)) = above.rsplit_once('.') else { break };
            (above, is_leaf) = (up.to_owned(), false);
        }
    }
}

/// A future dropped at any of its steps, while the store finds out that the server has lost data.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_dropped_at_any_step_leaves_the_store_of_use() {
    let server = TestServer::start(Flavor::Redis);
    let a = region(&server.url(), "r").await;
    let b = region(&server.url(), "r").await;
    for steps in 0..10 {
        for call in 0..4 {
            a.set("k", &text("before")).await.unwrap();
            server.command(&["FLUSHALL"]);
            drop_after(steps, &a, call).await;
            until_ok(|| async { a.set("k", &text("after")).await }).await;
            let found = until_ok(|| a.get::<String>("k")).await;
            assert!(found.is_none_or(|value| *value == "after"), "{steps}, {call}: an old value");
            let (value, took) = timed(b.get_or_compute("load", || loaded(1_u8))).await;
            assert!(value.is_ok() && took < SOON, "{steps}, {call}: another waited {took:?}");
        }
    }
}

/// Polls a call so often, each time after something has happened, then drops it.
async fn drop_after(steps: usize, region: &RegionHandle, call: u32) {
    let region = region.clone();
    let mut future: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> = match call {
        0 => Box::pin(async move { drop(region.set("k", &text("dropped")).await) }),
        1 => Box::pin(async move { drop(region.invalidate().await) }),
        2 => Box::pin(async move { drop(region.get::<String>("k").await) }),
        _ => Box::pin(async move { drop(region.get_or_compute("load", || loaded(1_u8)).await) }),
    };
    for _ in 0..steps {
        if futures_util::poll!(future.as_mut()).is_ready() {
            return;
        }
        tokio::time::sleep(Duration::from_micros(300)).await;
    }
}

/// A region that lives on is never freed with its short-lived neighbours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn freeing_what_has_ended_frees_nothing_else() {
    let server = TestServer::start(Flavor::Redis);
    let store = connect(&server.url()).await;
    let all = cache(store.clone());
    let short = Policy::new().ttl(ms(100));
    for n in 0..300_u32 {
        let region = all.region(&format!("org:1.s:{n}")).unwrap();
        let region = if n % 10 == 0 { region } else { region.with_policy(short.clone()).unwrap() };
        region.set("k", &n).await.unwrap();
        region.region("deep:1.er:2").unwrap().set("k", &n).await.unwrap();
    }
    all.region("org:1.s:7").unwrap().set("late", &7_u32).await.unwrap();
    all.region("org:2").unwrap().invalidate().await.unwrap();
    let ends = std::time::Instant::now() + Duration::from_secs(2);
    while std::time::Instant::now() < ends {
        let _ = store.reclaim().await;
        tokio::time::sleep(ms(50)).await;
    }
    for n in (0..300_u32).step_by(10) {
        for path in [format!("org:1.s:{n}"), format!("org:1.s:{n}.deep:1.er:2")] {
            let found = all.region(&path).unwrap().get::<u32>("k").await.unwrap();
            assert_eq!(found.as_deref(), Some(&n), "{path}");
        }
    }
    let found = all.region("org:1.s:7").unwrap().get::<u32>("late").await.unwrap();
    assert_eq!(found.as_deref(), Some(&7));
    let listed = all.region("org:1").unwrap().child_ids::<u32>("s");
    let listed: HashSet<u32> = listed.try_collect().await.unwrap();
    assert!((0..300).step_by(10).all(|n| listed.contains(&n)), "{listed:?}");
    until_so("keys of what has ended to go", || async {
        keys(&server, "rc1:d*").len() <= 70 && keys(&server, "rc1:i*").len() <= 1000
    })
    .await;
    drop(Arc::new(store));
}
