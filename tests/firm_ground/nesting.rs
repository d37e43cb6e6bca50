//! Loads that ask for one another at random, and callers that come and go.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use region_cache::testing::Faulty;
use region_cache::{MemoryStore, Region, RegionExt, RegionHandle, Result, TokioClock};

use crate::kit::{cache, ms};

const KEYS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

/// The longest time that a call may take: far less than a lease.
const SOON: Duration = Duration::from_secs(5);

/// The keys that the load of each key asks for, one after the other or all at once.
struct Graph {
    asks: Vec<Vec<usize>>,
    at_once: Vec<bool>,
    patience: Vec<Option<Duration>>,
}

impl Graph {
    fn random(rng: &mut SmallRng, has_circles: bool) -> Self {
        let asks = |key: usize| {
            let count = rng.random_range(0..3);
            let ask = |_| {
                let least = if has_circles { 0 } else { key + 1 };
                (least < KEYS.len()).then(|| rng.random_range(least..KEYS.len()))
            };
            (0..count).filter_map(ask).collect()
        };
        let asks = (0..KEYS.len()).map(asks).collect();
        let at_once = KEYS.map(|_| rng.random()).into();
        let patience =
            KEYS.map(|_| (rng.random_range(0..4) == 0).then(|| ms(rng.random_range(1..40))));
        Self { asks, at_once, patience: patience.into() }
    }
}

fn ask(
    region: RegionHandle,
    graph: Arc<Graph>,
    key: usize,
) -> Pin<Box<dyn Future<Output = Result<u64>> + Send>> {
    Box::pin(async move {
        let inner = region.clone();
        let load = move || async move {
            tokio::time::sleep(ms(3)).await;
            let asks = graph.asks[key].iter().map(|other| {
                let call = ask(inner.clone(), Arc::clone(&graph), *other);
                let patience = graph.patience[key];
                async move {
                    match patience {
                        Some(patience) => {
                            tokio::time::timeout(patience, call).await.unwrap_or(Ok(0))
                        }
                        None => call.await,
                    }
                }
            });
            if graph.at_once[key] {
                for answer in futures_util::future::join_all(asks).await {
                    answer?;
                }
            } else {
                for call in asks {
                    call.await?;
                }
            }
            Ok::<_, region_cache::Error>(key as u64)
        };
        region.get_or_compute(KEYS[key], load).await.map(|value| *value)
    })
}

async fn at_random(seed: u64, has_circles: bool) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let graph = Arc::new(Graph::random(&mut rng, has_circles));
    let slow = Faulty::new(MemoryStore::builder().clock(TokioClock::new()).build());
    slow.on_any().delay_before(ms(2));
    let region = cache(slow).region("r").unwrap();
    let callers = (0..12).map(|_| {
        let (region, graph) = (region.clone(), Arc::clone(&graph));
        let (key, starts) = (rng.random_range(0..KEYS.len()), ms(rng.random_range(0..60)));
        let leaves = (rng.random_range(0..3) == 0).then(|| ms(rng.random_range(0..50)));
        let clears = rng.random_range(0..6) == 0;
        tokio::spawn(async move {
            tokio::time::sleep(starts).await;
            if clears {
                region.invalidate().await.unwrap();
            }
            let call = ask(region, graph, key);
            let done = tokio::time::timeout(leaves.unwrap_or(SOON), call).await;
            assert!(done.is_ok() || leaves.is_some(), "seed {seed}: a call of {} hangs", KEYS[key]);
            match done {
                Ok(Err(error)) if !has_circles => panic!("seed {seed}: {error}"),
                Ok(Ok(value)) => assert_eq!(value, key as u64),
                _ => {}
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn loads_without_circles_never_fail() {
    for seed in 0..400 {
        at_random(seed, false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_circle_of_loads_hangs() {
    for seed in 0..400 {
        at_random(seed, true).await;
    }
}
