//! The server's memory and time.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use region_cache::{Policy, Region, RegionCache, RegionExt};
use servers::{Flavor, TestServer};

use crate::kit::{builder, cache, cache_with, connect, keys, ms, number, region, until, until_so};
use crate::way::{From, Way, holds};

/// Bug: the count of each connection's writes stayed for ever.
/// Fix: it goes with the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_leave_no_counts_behind() {
    let server = TestServer::start(Flavor::Redis);
    for n in 0..30_u32 {
        let store = connect(&server.url()).await;
        cache(store).region("r").unwrap().set("k", &n).await.unwrap();
    }
    until("all counts to go", || keys(&server, "rc1:w*").is_empty()).await;
}

/// Bug: each region that had ever been used left something behind as long as its parent lived.
/// Effect: 309 to 331 bytes each, 90,001 fields after 90,000 sessions of four seconds.
/// Fix: a child that has ended leaves its parent's list in bounded time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn regions_that_have_ended_leave_nothing_behind() {
    let server = TestServer::start(Flavor::Redis);
    // Sixty-four writes at a time take a busy machine longer than the usual limit, which is not the point here.
    let patience = Duration::from_secs(20);
    let store = builder(&server.url()).call_timeout(patience).watch(ms(100), patience);
    let cache = cache(store.max_lag(patience * 3).connect().await.unwrap());
    cache.region("org:1").unwrap().set("page", &1_u8).await.unwrap();
    // The first ones make the server's tables and buffers as large as they get.
    let baseline = memory_after_sessions(&server, &cache, 0).await;
    memory_after_sessions(&server, &cache, 1).await;
    let memory = || number(&server, "memory", "used_memory");
    until("memory to go back to what it was", || memory() < baseline + baseline / 20).await;
}

/// The server's memory after many sessions have come and gone.
async fn memory_after_sessions(server: &TestServer, cache: &RegionCache, round: u32) -> u64 {
    const SESSIONS: usize = 3000;
    let policy = Policy::new().ttl(Duration::from_secs(2));
    let set = |n: usize| {
        let region = cache.region(&format!("org:1.session:{round}-{n}")).unwrap();
        let region = region.with_policy(policy.clone()).unwrap();
        async move { region.set("user", &n).await }
    };
    let mut sets = stream::iter(0..SESSIONS).map(set).buffer_unordered(64);
    while let Some(done) = sets.next().await {
        done.unwrap();
    }
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let all: u64 = server.command(&["DBSIZE"]).text().parse().unwrap();
        let listed = |key: &String| -> u64 {
            let members = ["HLEN", "ZCARD"].map(|ask| server.command(&[ask, key]).text());
            members.iter().filter_map(|members| members.parse::<u64>().ok()).sum()
        };
        let left: u64 = keys(server, "rc1:*").iter().map(listed).sum();
        if all < 20 && left < 20 {
            return number(server, "memory", "used_memory");
        }
        let now = tokio::time::Instant::now();
        assert!(now < deadline, "{left} fields and members in {all} keys");
        tokio::time::sleep(ms(250)).await;
    }
}

/// Bug: starting a region's timeout again prolonged its entries, not the ids that they hang on.
/// Effect: they vanished after a minute.
/// Fix: all live at least as long as the entries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_entries_hang_on_lives_as_long_as_they_do() {
    let server = TestServer::start(Flavor::Redis);
    let short = Policy::new().region_ttl(Duration::from_secs(5));
    let region = cache_with(connect(&server.url()).await, short).region("org:1.project:2").unwrap();
    region.set("k", &1_u8).await.unwrap();
    let long = Policy::new().region_ttl(Duration::from_secs(7200));
    region.with_policy(long.clone()).unwrap().restart_region_ttl().await.unwrap();
    assert_outlive(&server, "rc1:d{fg}.org:1.project:2", 7000);
    // A write that does not start it again leaves it; one that does, and a load, prolong as much.
    let region = region.with_policy(long).unwrap();
    let other = region.region("inner").unwrap();
    other.get_or_compute("k", || crate::kit::loaded(1_u8)).await.unwrap();
    assert_outlive(&server, "rc1:d{fg}.org:1.project:2.inner", 7000);
}

/// Fails unless the entries live so many seconds, and the ids and lists above them as long.
fn assert_outlive(server: &TestServer, entries: &str, seconds: i64) {
    let life = |key: &str| {
        let life: i64 = server.command(&["PTTL", key]).text().parse().unwrap();
        if life == -1 { i64::MAX } else { life }
    };
    let needed = life(entries);
    assert!(needed >= seconds * 1000, "the entries live {needed} ms");
    let mut path = entries.strip_prefix("rc1:d").unwrap();
    let mut is_leaf = true;
    loop {
        let ids = life(&format!("rc1:i{path}"));
        assert!(ids >= needed - 50, "ids of {path}: {ids} ms, the entries {needed} ms");
        if !is_leaf {
            let list = life(&format!("rc1:c{path}"));
            assert!(list >= needed - 50, "children of {path}: {list} ms, the entries {needed} ms");
        }
        let Some((above, _)) = path.rsplit_once('.') else { return };
        (path, is_leaf) = (above, false);
    }
}

/// Bug: a write of several steps removed something first, and was not refused for want of memory.
/// Effect: a full server grew without bound.
/// Fix: it is refused before anything has changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_does_not_grow() {
    for flavor in [Flavor::Redis, Flavor::Valkey] {
        let server = TestServer::start_with(flavor, &["--maxmemory-policy", "noeviction"]);
        let cache = cache(connect(&server.url()).await);
        let most = number(&server, "memory", "used_memory") + 4_000_000;
        server.command(&["CONFIG", "SET", "maxmemory", &most.to_string()]);
        let value = vec![1_u8; 20_000];
        let mut refused = 0;
        for n in 0..600 {
            let region = cache.region(&format!("org:{}", n % 7)).unwrap();
            let (a, b) = (format!("a{n}"), format!("b{n}"));
            let done = match n % 3 {
                0 => region.set_many(&[(&a, &value), (&b, &value)]).await,
                1 => region.set_if_absent(&a, &value).await.map(drop),
                _ => {
                    let mut transaction = region.transaction();
                    transaction.set(&a, value.clone()).remove("b0").set(&b, value.clone());
                    transaction.commit().await
                }
            };
            refused += u32::from(done.is_err());
        }
        assert!(refused > 300, "{flavor:?}: {refused} refused");
        let used = number(&server, "memory", "used_memory");
        assert!(used < most + 1_000_000, "{flavor:?}: {used} bytes used, {most} allowed");
    }
}

/// Bug: listings and counts read what they do not show.
/// Effect: a page of keys was one reply of 102 MB.
/// Fix: they read no values.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_and_listings_of_keys_carry_no_values() {
    const ENTRIES: usize = 2000;
    let server = TestServer::start(Flavor::Redis);
    let filler = region(&server.url(), "r").await;
    let value = vec![7_u8; 10_000];
    for n in 0..ENTRIES {
        filler.set(&format!("key:{n}"), &value).await.unwrap();
    }
    let way = Way::to(server.port()).await;
    let region = region(&way.url(), "r").await;
    let before = way.bytes_from_server();
    assert_eq!(region.len().await.unwrap(), ENTRIES as u64);
    let for_len = way.bytes_from_server() - before;
    assert!(for_len < 200_000, "len carried {for_len} bytes");
    let before = way.bytes_from_server();
    let listed: HashSet<String> = region.keys().try_collect().await.unwrap();
    let for_keys = way.bytes_from_server() - before;
    assert_eq!(listed.len(), ENTRIES);
    assert!(for_keys < 1_000_000, "keys carried {for_keys} bytes");
}

/// Bug: a page of a listing was one reply, however large its values.
/// Effect: 102 MB in one reply.
/// Fix: pages are bounded by bytes too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_large_entries_is_bounded_in_bytes() {
    let server = TestServer::start(Flavor::Redis);
    let region = region(&server.url(), "r").await;
    let value = vec![7_u8; 50_000];
    for n in 0..600 {
        region.set(&format!("key:{n}"), &value).await.unwrap();
    }
    server.command(&["CONFIG", "RESETSTAT"]);
    let before = number(&server, "stats", "total_net_output_bytes");
    let listed: Vec<_> = region.entries::<Vec<u8>>().try_collect().await.unwrap();
    let bytes = number(&server, "stats", "total_net_output_bytes") - before;
    assert!(listed.len() >= 600);
    // What is listed is sent about once, and not as one page.
    assert!(bytes < 60_000_000, "{bytes} bytes");
    let stats = server.command(&["INFO", "commandstats"]).text();
    let calls = |name: &str| -> u64 {
        let lines = stats.lines().filter(|line| line.starts_with(&format!("cmdstat_{name}")));
        let calls =
            |line: &str| line.split("calls=").nth(1)?.split(',').next()?.parse::<u64>().ok();
        lines.filter_map(calls).sum()
    };
    let pages = calls("hscan").max(calls("eval"));
    assert!(pages >= 8, "30 MB in {pages} pages");
}

/// Bug: after any `expire` on a path every put took two trips.
/// Fix: the put finds the mark out itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_after_an_expiration_is_one_trip() {
    let server = TestServer::start(Flavor::Redis);
    let way = Way::to(server.port()).await;
    let store = builder(&way.url()).without_reclaimer().connect().await.unwrap();
    let cache = cache(store);
    let region = cache.region("org:1.project:2").unwrap();
    region.set("k", &1_u8).await.unwrap();
    cache.region("org:1").unwrap().expire().await.unwrap();
    region.set("k", &1_u8).await.unwrap();
    let scripts = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&scripts);
    way.rule(move |_, from, bytes| {
        if from == From::Client && holds(bytes, "org:1") {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
        crate::way::Act::Pass
    });
    for n in 0..30_u8 {
        region.set(&format!("k{n}"), &n).await.unwrap();
    }
    let sent = scripts.load(std::sync::atomic::Ordering::SeqCst);
    assert!(sent <= 32, "30 puts took {sent} trips");
}

/// Bug: the first read of a large entry went by the main connection.
/// Effect: over a slow link it timed out there for ever, with all that stood behind it.
/// Fix: an entry that may be large is read by the connection for large ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_entry_is_read_over_a_slow_link_in_the_end() {
    let server = TestServer::start(Flavor::Redis);
    let filler = region(&server.url(), "r").await;
    filler.set("large", &vec![7_u8; 2_000_000]).await.unwrap();
    filler.set("small", &1_u8).await.unwrap();
    let way = Way::to(server.port()).await;
    let store = builder(&way.url()).call_timeout(ms(1200)).watch(ms(100), ms(300));
    let store = store.connect().await.unwrap();
    let region = cache(store).region("r").unwrap();
    region.get::<u8>("small").await.unwrap();
    // Half a second for the large one.
    way.limit_rate(4_000_000);
    let read = || async { region.get::<Vec<u8>>("large").await.is_ok_and(|value| value.is_some()) };
    until_so("the large entry", read).await;
    // A busy machine may need more than a call's time now and then.
    until_so("the large entry again", read).await;
}
