//! Cases about the time that one step takes on the server.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use region_core::testing::{Faulty, Method};
use region_core::{
    Lifetime, LoadOptions, Loaded, Op, PageTerms, Put, Region, RegionCache, RegionTtl, Show, Store,
    Write,
};
use region_redis::RedisStore;
use servers::{Flavor, TestServer};

use crate::kit::{self, builder, calls_of, path, until, until_ok, unwatched};

servers::on_both! {
    no_step_of_a_listing_keeps_the_server_busy
    no_step_of_a_call_for_many_keys_keeps_the_server_busy
    a_call_of_many_steps_has_one_limit
    an_operation_has_one_limit_when_the_server_hangs_between_its_calls
    a_put_looks_at_few_bytes_of_what_is_over
}

/// The most processor time that a step may take on the average.
const MOST_MICROS: f64 = 20_000.0;

async fn patient(server: &TestServer) -> RedisStore {
    let patience = Duration::from_secs(30);
    let builder = builder(&server.url()).call_timeout(patience);
    builder.watch(Duration::from_millis(100), patience).connect().await.unwrap()
}

async fn fill(store: &RedisStore, entries: usize, bytes: usize, ttl: Lifetime) {
    let value = bytes::Bytes::from(vec![b'x'; bytes]);
    let keys: Vec<_> = (0..entries).map(|n| n.to_string()).collect();
    for some in keys.chunks((1_000_000 / (bytes + 100)).clamp(1, 1000)) {
        let put = |key| Op::Put(Put::new(key, value.clone()).fresh_for(ttl));
        let ops: Vec<_> = some.iter().map(|key| put(key.as_str())).collect();
        store.write(&path("r"), Write::new(&ops)).await.unwrap();
    }
}

/// The processor time that a server spends on scripts. The time of the clock would count other processes too.
struct Steps<'s> {
    server: &'s TestServer,
    cpu_before: f64,
}

impl<'s> Steps<'s> {
    fn watch(server: &'s TestServer) -> Self {
        server.command(&["CONFIG", "RESETSTAT"]);
        Self { server, cpu_before: cpu_seconds(server) }
    }

    /// The mean for a script, in microseconds, with the work of taking requests and sending answers.
    fn mean_micros(&self) -> f64 {
        (cpu_seconds(self.server) - self.cpu_before) * 1e6 / self.calls("evalsha") as f64
    }

    fn calls(&self, command: &str) -> usize {
        usize::try_from(calls_of(self.server, command)).unwrap()
    }
}

fn cpu_seconds(server: &TestServer) -> f64 {
    let info = server.command(&["INFO", "cpu"]).text();
    let seconds = |name: &str| {
        let value = info.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        value.trim().parse::<f64>().unwrap()
    };
    seconds("used_cpu_sys:") + seconds("used_cpu_user:")
}

/// Bug: pages were bounded by entries, not by bytes. Effect: a page of large entries kept the server busy
/// for hundreds of milliseconds, and was one reply of 100 MB. Fix: a page has a bound in bytes, and keys
/// are listed and counted without sending what they hold.
async fn no_step_of_a_listing_keeps_the_server_busy(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = patient(&server).await;
    let hour = Lifetime::of(Duration::from_secs(3600)).unwrap();
    for (entries, bytes, ttl) in
        [(50_000, 10, hour), (2_000, 50_000, hour), (50_000, 10, Lifetime::Unlimited)]
    {
        server.command(&["FLUSHALL"]);
        fill(&store, entries, bytes, ttl).await;
        let steps = Steps::watch(&server);
        assert_eq!(store.len(&path("r")).await.unwrap(), entries as u64);
        let micros = steps.mean_micros();
        assert!(micros < MOST_MICROS, "counting {entries} of {bytes}: {micros} us a step");
        for show in [Show::Keys, Show::Entries] {
            let steps = Steps::watch(&server);
            let (mut cursor, mut seen) = (None, 0);
            loop {
                let terms = PageTerms::new(10_000).show(show).cursor(cursor);
                let page = store.scan(&path("r"), terms).await.unwrap();
                let shown: usize =
                    page.items.iter().filter_map(|item| Some(item.bytes.as_ref()?.len())).sum();
                assert!(shown < 4_000_000, "{shown} bytes in a page");
                seen += page.items.len();
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            assert!(seen >= entries);
            let micros = steps.mean_micros();
            assert!(micros < MOST_MICROS, "{show:?} of {entries} of {bytes}: {micros} us a step");
        }
    }
}

/// Bug: reads and `begin`s of many keys were one step. Effect: one call kept the server busy for hundreds of
/// milliseconds. Fix: they are made in steps.
async fn no_step_of_a_call_for_many_keys_keeps_the_server_busy(flavor: Flavor) {
    const KEYS: usize = 20_000;
    let server = TestServer::start(flavor);
    let cache = RegionCache::builder(patient(&server).await).root("r").build().unwrap();
    let keys: Vec<_> = (0..KEYS).map(|n| n.to_string()).collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    let load = |keys: Vec<String>| async move {
        Ok::<_, Infallible>(keys.into_iter().map(|key| (key, 1_u8)).collect::<HashMap<_, _>>())
    };
    let steps = Steps::watch(&server);
    let loaded = cache.root().get_or_compute_many(&keys, load).await.unwrap();
    assert_eq!(loaded.len(), KEYS);
    let micros = steps.mean_micros();
    assert!(micros < MOST_MICROS, "loading {KEYS}: {micros} us a step");
    assert!(steps.calls("evalsha") >= 2 * KEYS / region_core::MAX_STEP_KEYS);
    let steps = Steps::watch(&server);
    let read = cache.root().get_many::<u8>(&keys).await.unwrap();
    assert!(read.iter().all(Option::is_some));
    assert!(steps.calls("hmget") >= KEYS / region_core::MAX_STEP_KEYS);
}

/// Bug: each page of a count had a limit of its own, and a put of two trips two of them. Effect: calls took
/// many times their limit. Fix: a call has one.
async fn a_call_of_many_steps_has_one_limit(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let hour = Lifetime::of(Duration::from_secs(3600)).unwrap();
    fill(&patient(&server).await, 20_000, 10, hour).await;
    let proxy = servers::Proxy::start(server.port()).await;
    let limit = Duration::from_millis(500);
    let store = builder(&proxy.url()).call_timeout(limit).connect().await.unwrap();
    until_ok(async || store.len(&path("r")).await).await;
    proxy.limit(1000);
    let start = std::time::Instant::now();
    store.len(&path("r")).await.unwrap_err();
    assert!(start.elapsed() < limit + kit::SLACK, "{:?}", start.elapsed());
}

/// Bug: the read of the markers that a value depends on had a limit of its own.
/// Effect: a call took twice its limit when the server hung between the two.
/// Fix: the limit counts from the start of the operation.
async fn an_operation_has_one_limit_when_the_server_hangs_between_its_calls(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let limit = Duration::from_secs(5);
    let store = unwatched(&server.url()).call_timeout(limit).connect().await.unwrap();
    let faulty = Faulty::new(store);
    let cache = RegionCache::builder(faulty.clone()).root("r").build().unwrap();
    let region = cache.region("a").unwrap();
    let load = |_| async { Ok::<_, Infallible>(Loaded::new(1u32)) };
    let on = LoadOptions::new().depends_on(&cache.region("b").unwrap());
    region.get_or_compute_with("k", on, load).await.unwrap();
    let slow = faulty.on(Method::Read).nth(2).delay_before(limit * 4 / 5);
    let (start, stolen) = (std::time::Instant::now(), kit::stolen());
    let getting = tokio::spawn(async move { region.get::<u32>("k").await });
    until("the markers to be read", || slow.hits() == 1).await;
    server.pause();
    assert_eq!(getting.await.unwrap().unwrap(), None);
    let stolen = kit::stolen().saturating_sub(stolen);
    let taken = start.elapsed();
    assert!(taken < limit + kit::SLACK + stolen, "{taken:?}, {stolen:?} of it stolen");
    assert_eq!(cache.stats().store_failures, 1);
}

/// Large entries that are over are removed, but not all in one step.
async fn a_put_looks_at_few_bytes_of_what_is_over(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = patient(&server).await;
    let brief = Lifetime::of(Duration::from_millis(1)).unwrap();
    let kept = [Op::Put(Put::new("kept", "1"))];
    store.write(&path("r"), Write::new(&kept)).await.unwrap();
    fill(&store, 50, 1_000_000, brief).await;
    let steps = Steps::watch(&server);
    let len = || server.command(&["HLEN", "rc1:d{r}"]).text().parse::<u64>().unwrap();
    for n in 0..400 {
        let key = n.to_string();
        let ops = [Op::Put(Put::new(&key, "1").fresh_for(brief))];
        store.write(&path("r"), Write::new(&ops).region_ttl(RegionTtl::Leave)).await.unwrap();
    }
    let micros = steps.mean_micros();
    assert!(micros < MOST_MICROS, "{micros} us a put");
    until("dead entries to go", || len() < 400).await;
}
