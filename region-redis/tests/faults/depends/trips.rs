//! The trips that dependencies cost, and markers that a server loses.

use std::time::{Duration, Instant};

use region_core::MARKER_KEY;
use servers::{Flavor, Proxy, TestServer};

use super::kit::Page;
use crate::kit::{calls_of, connect, unwatched};

servers::on_both! {
    a_dependency_costs_as_many_trips_as_promised
    a_marker_that_the_server_loses_is_a_miss
}

/// How long the answers take; everything else takes a small part of it.
const DELAY: Duration = Duration::from_millis(200);

/// The number of times that a call is timed. The fastest counts: a busy machine only adds time.
const ATTEMPTS: usize = 8;

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
    let page = Page::of_six(store);
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
    let page = Page::of_six(connect(&server.url()).await);
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
