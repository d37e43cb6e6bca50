//! Values that depend on other regions, on real servers.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use region_core::{LoadOptions, Loaded, MARKER_KEY, Region, RegionCache, RegionHandle, Store};
use servers::{Flavor, Proxy, TestServer};

use crate::kit::{calls_of, connect, unwatched};

servers::on_both! {
    a_dependency_costs_as_many_trips_as_promised
    a_marker_that_the_server_loses_is_a_miss
}

/// How long the answers take; everything else takes a small part of it.
const DELAY: Duration = Duration::from_millis(200);

/// The number of times that a call is timed. The fastest counts: a busy machine only adds time.
const ATTEMPTS: usize = 8;

struct Page {
    of: RegionHandle,
    on: [RegionHandle; 6],
    loads: Arc<AtomicU32>,
}

impl Page {
    fn new(store: impl Store) -> Self {
        let cache = RegionCache::builder(store).root("r").build().unwrap();
        let region = |path| cache.region(path).unwrap();
        let on = ["b", "c.d", "e:1", "e:2", "e:3", "e:4"].map(region);
        Self { of: region("a.page"), on, loads: Arc::default() }
    }

    fn options(&self) -> LoadOptions {
        self.on.iter().fold(LoadOptions::new(), LoadOptions::depends_on)
    }

    /// The number of the load that brought the value.
    async fn load(&self, options: LoadOptions) -> u32 {
        let loads = Arc::clone(&self.loads);
        let load = move |_| async move {
            Ok::<_, io::Error>(Loaded::new(loads.fetch_add(1, Ordering::SeqCst) + 1))
        };
        *self.of.get_or_compute_with("k", options, load).await.unwrap().unwrap()
    }

    async fn get(&self) -> Option<u32> {
        self.of.get::<u32>("k").await.unwrap().map(|value| *value)
    }
}

/// The trips that the fastest of several calls has taken.
async fn trips(mut call: impl AsyncFnMut()) -> u128 {
    let mut fastest = Duration::MAX;
    for _ in 0..ATTEMPTS {
        let started = Instant::now();
        call().await;
        fastest = fastest.min(started.elapsed());
    }
    fastest.as_millis() / DELAY.as_millis()
}

async fn a_dependency_costs_as_many_trips_as_promised(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let store = unwatched(&proxy.url()).call_timeout(DELAY * 50).connect().await.unwrap();
    let page = Page::new(store);
    assert_eq!(page.load(page.options()).await, 1);
    server.command(&["CONFIG", "RESETSTAT"]);
    proxy.delay_answers(DELAY);
    let known = trips(async || assert_eq!(page.load(page.options()).await, 1)).await;
    let unknown = trips(async || assert_eq!(page.get().await, Some(1))).await;
    // Answers that the proxy gets in two parts are held back one after the other.
    assert!(known <= 2 && unknown <= 3, "{known} and {unknown} for {} regions", page.on.len());
    proxy.delay_answers(Duration::ZERO);
    let reads = 2 * ATTEMPTS as u64 * (1 + page.on.len() as u64);
    assert_eq!(calls_of(&server, "hmget"), reads, "one small read for each region");
}

async fn a_marker_that_the_server_loses_is_a_miss(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let page = Page::new(connect(&server.url()).await);
    let losses: [&[&str]; 4] = [
        &["HDEL", "rc1:d{r}.c.d", MARKER_KEY],
        &["DEL", "rc1:d{r}.c.d"],
        &["DEL", "rc1:i{r}.c.d"],
        &["FLUSHALL"],
    ];
    for loss in losses {
        let loaded = page.load(page.options()).await;
        assert_eq!(page.get().await, Some(loaded));
        assert_ne!(server.command(loss).text(), "0", "{loss:?}");
        assert_eq!(page.get().await, None, "{loss:?}");
        assert_eq!(page.load(page.options()).await, loaded + 1, "{loss:?}");
    }
}
