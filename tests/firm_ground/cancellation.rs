//! Futures dropped at any of their steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::poll;
use region_cache::testing::Faulty;
use region_cache::{MemoryStore, Region, RegionExt, TokioClock};
use servers::{Flavor, TestServer};

use crate::kit::{LoadGate, cache, loaded, ms, number, region, timed};

/// Whatever the step at which a caller leaves, others are served at once, here and in another process.
#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_at_any_step_leaves_no_lease() {
    for leaves_at in 0..60 {
        for others_join in [false, true] {
            let memory = Arc::new(MemoryStore::builder().clock(TokioClock::new()).build());
            let slow = Faulty::new(Arc::clone(&memory));
            slow.on_any().delay_before(ms(3));
            slow.on_any().delay_after(ms(3));
            let a = cache(slow).region("r").unwrap();
            let b = cache(memory).region("r").unwrap();
            let load = || async {
                tokio::time::sleep(ms(20)).await;
                loaded(7_u32).await
            };
            let mut leaving = Box::pin(a.get_or_compute("k", load));
            for _ in 0..leaves_at {
                if poll!(leaving.as_mut()).is_ready() {
                    break;
                }
                tokio::time::sleep(ms(1)).await;
            }
            let joined = others_join.then(|| {
                let a = a.clone();
                tokio::spawn(async move { a.get_or_compute("k", load).await })
            });
            tokio::task::yield_now().await;
            drop(leaving);
            let start = tokio::time::Instant::now();
            let value = b.get_or_compute("k", || loaded(8_u32)).await.unwrap();
            assert!(*value == 7 || *value == 8);
            assert!(start.elapsed() < ms(500), "at {leaves_at}: {:?}", start.elapsed());
            if let Some(joined) = joined {
                assert!(*joined.await.unwrap().unwrap() >= 7);
                assert!(start.elapsed() < ms(500), "at {leaves_at}: {:?}", start.elapsed());
            }
        }
    }
}

/// Bug: each late caller of a load asked the store for the lease itself.
/// Effect: a thousand callers, a thousand trips.
/// Fix: they share one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_callers_share_what_they_ask_the_store() {
    let server = TestServer::start(Flavor::Redis);
    let region = region(&server.url(), "r").await;
    let gate = LoadGate::new();
    let ask = || {
        let (region, load) = (region.clone(), gate.load(7_u8));
        tokio::spawn(async move { region.get_or_compute("k", load).await })
    };
    let first = ask();
    gate.until_begun(1).await;
    server.command(&["CONFIG", "RESETSTAT"]);
    let late: Vec<_> = (0..1000).map(|_| ask()).collect();
    tokio::time::sleep(ms(1000)).await;
    let stats = server.command(&["INFO", "commandstats"]).text();
    gate.open();
    for caller in late.into_iter().chain([first]) {
        assert_eq!(*timed(caller).await.0.unwrap().unwrap(), 7);
    }
    assert_eq!(gate.begun(), 1);
    let line = stats.lines().find(|line| line.starts_with("cmdstat_evalsha:")).unwrap_or_default();
    let calls = line.split(['=', ',']).nth(1).and_then(|calls| calls.parse::<u64>().ok());
    assert!(calls.unwrap_or_default() < 100, "{line}");
    assert!(number(&server, "clients", "connected_clients") < 20);
}

/// A hundred callers that come and go at random, while values are invalidated: all that stay are served.
#[tokio::test(start_paused = true)]
async fn callers_that_come_and_go_leave_no_one_behind() {
    let memory = MemoryStore::builder().clock(TokioClock::new()).build();
    let slow = Faulty::new(memory);
    slow.on_any().delay_before(ms(2));
    let region = cache(slow).region("r").unwrap();
    let loads = Arc::new(AtomicU64::new(0));
    let callers = (0..400_u64).map(|n| {
        let (region, loads) = (region.clone(), Arc::clone(&loads));
        async move {
            tokio::time::sleep(ms(n * 7 % 400)).await;
            if n % 37 == 0 {
                region.invalidate().await.unwrap();
            }
            let load = move || async move {
                loads.fetch_add(1, SeqCst);
                tokio::time::sleep(ms(60)).await;
                loaded(n).await
            };
            let ask = region.get_or_compute(["a", "b", "c"][n as usize % 3], load);
            let patience = if n % 3 == 0 { Duration::from_secs(5) } else { ms(n % 50) };
            tokio::time::timeout(patience, ask).await.is_ok() || patience < ms(100)
        }
    });
    let served = join_all(callers).await;
    assert!(served.into_iter().all(|served| served), "somebody waited five seconds");
}
