//! Random losses on the server beside random ends, and the values that are read meanwhile.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use region_core::{Policy, Verb};
use servers::{Flavor, Reply, TestServer};

use super::kit::{Page, VERBS, near};
use crate::kit::{connect, until};

servers::on_both! {
    losses_never_bring_a_value_back
    an_evicted_marker_is_a_miss
}

const STEPS: u32 = 1_500;

/// Deletes one of the server's keys of regions.
fn lose_one(server: &TestServer, rng: &mut SmallRng) {
    let keys = server.command(&["KEYS", "rc1:*"]);
    let keys: Vec<_> = keys.list().iter().map(Reply::text).collect();
    let keys: Vec<_> = keys.into_iter().filter(|key| !key.starts_with("rc1:w")).collect();
    if !keys.is_empty() {
        server.command(&["DEL", &keys[rng.random_range(0..keys.len())]]);
    }
}

/// Promises 1, 3 and 4: a value is the number of its load. One that is read was loaded after the last end of
/// what it depends on, whatever the server has lost.
async fn losses_never_bring_a_value_back(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let page = Page::new(connect(&server.url()).await, near());
    let other = page.beside(connect(&server.url()).await, Policy::new());
    let mut rng = SmallRng::seed_from_u64(5);
    // The loads that had begun when the dependency last ended, by this process and by any.
    let (mut own, mut any) = (0, 0);
    let (mut found, mut missed) = (0, 0);
    for step in 0..STEPS {
        match rng.random_range(0..100) {
            0..30 => {
                let at_least = if rng.random_bool(0.5) { &page } else { &other };
                at_least.load(at_least.options()).await;
            }
            30..60 => {
                let value = page.get().await;
                assert!(value.is_none_or(|value| value > own), "{step}: {value:?}, ended at {own}");
                found += u32::from(value.is_some());
                missed += u32::from(value.is_none());
            }
            60..75 => {
                let value = other.get().await;
                assert!(value.is_none_or(|value| value > any), "{step}: {value:?}, ended at {any}");
                found += u32::from(value.is_some());
                missed += u32::from(value.is_none());
            }
            75..83 => {
                page.end(VERBS[rng.random_range(0..VERBS.len())]).await.unwrap();
                (own, any) = (page.loads(), page.loads());
            }
            83..88 => {
                other.end(VERBS[rng.random_range(0..VERBS.len())]).await.unwrap();
                any = page.loads();
            }
            88..99 => lose_one(&server, &mut rng),
            _ => drop(server.command(&["FLUSHALL"])),
        }
    }
    assert!(found > STEPS / 20 && missed > STEPS / 20, "{found} hits, {missed} misses");
}

/// The server evicts the dependency's keys for want of memory, as it does in production.
async fn an_evicted_marker_is_a_miss(flavor: Flavor) {
    const FILLER: usize = 100_000;
    let server = TestServer::start(flavor);
    for policy in [Policy::new(), near()] {
        server.command(&["CONFIG", "SET", "maxmemory", "0"]);
        server.command(&["FLUSHALL"]);
        let page = Page::new(connect(&server.url()).await, policy);
        let loaded = page.load(page.options()).await;
        assert_eq!(page.get().await, Some(loaded));
        // Read again and again, the value stays; its marker is the oldest there is.
        server.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]);
        let marker = || server.command(&["EXISTS", "rc1:d{r}.b"]).text() == "1";
        let (mut size, mut at) = (crate::kit::used_memory(&server), 0);
        size += 4 * FILLER as u64;
        server.command(&["CONFIG", "SET", "maxmemory", &size.to_string()]);
        let filler = "x".repeat(FILLER);
        until("the marker to be evicted", || {
            at += 1;
            server.command(&["SET", &format!("filler:{at}"), &filler]);
            !marker()
        })
        .await;
        server.command(&["CONFIG", "SET", "maxmemory", "0"]);
        page.until_missing(loaded).await;
        assert_eq!(page.load(page.options()).await, loaded + 1);
        page.end(Verb::Touch).await.unwrap();
        assert_eq!(page.get().await, None);
    }
}
