//! The trips that reads across regions cost.

use std::time::{Duration, Instant};

use region_core::{RegionCache, RegionExt};
use servers::{Flavor, Proxy, TestServer};

use crate::kit::{calls_of, unwatched};

servers::on_both! {
    regions_are_read_together
}

/// How long the answers take; everything else takes a small part of it.
const DELAY: Duration = Duration::from_millis(200);

const REGIONS: u32 = 32;

/// The number of times that a call is timed. The fastest counts: a busy machine only adds time.
const ATTEMPTS: u32 = 4;

/// Reads of many regions are under way at the same time: they take a few trips, not one for each. Each costs
/// the server what a read costs.
async fn regions_are_read_together(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let store = unwatched(&proxy.url()).call_timeout(DELAY * 50).connect().await.unwrap();
    let cache = RegionCache::builder(store).root("r").build().unwrap();
    let regions: Vec<_> = (0..REGIONS).map(|n| cache.region(&format!("n:{n}")).unwrap()).collect();
    for (region, n) in regions.iter().zip(0_u32..) {
        region.set("k", &n).await.unwrap();
    }
    server.command(&["CONFIG", "RESETSTAT"]);
    proxy.delay_answers(DELAY);
    let places: Vec<_> = regions.iter().map(|region| (region, "k")).collect();
    let mut fastest = Duration::MAX;
    for _ in 0..ATTEMPTS {
        let started = Instant::now();
        let values = cache.get_across::<u32>(&places).await.unwrap();
        fastest = fastest.min(started.elapsed());
        assert!(values.into_iter().map(|value| *value.unwrap()).eq(0..REGIONS));
    }
    proxy.delay_answers(Duration::ZERO);
    // Answers that the proxy gets in several parts are held back one after the other.
    let trips = fastest.as_millis() / DELAY.as_millis();
    assert!(trips <= u128::from(REGIONS / 4), "{trips} trips for {REGIONS} regions");
    assert_eq!(calls_of(&server, "hmget"), u64::from(ATTEMPTS * REGIONS));
}
