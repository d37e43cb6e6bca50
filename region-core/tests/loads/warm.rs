//! Warm-up of many keys, and errors that reach everybody.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use region_core::{ErrorKind, Region, RegionExt};
use tokio::time::{Instant, sleep};

use super::kit::{LEASE, memory, region, within};

const LOAD: Duration = Duration::from_millis(100);

/// A number that goes up and down, and the greatest that it was.
#[derive(Clone, Default)]
struct Peak(Arc<(AtomicUsize, AtomicUsize)>);

impl Peak {
    fn enter(&self) {
        let now = self.0.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.1.fetch_max(now, Ordering::SeqCst);
    }

    fn leave(&self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }

    fn greatest(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

#[tokio::test(start_paused = true)]
async fn a_warm_up_loads_what_is_missing_some_at_a_time() {
    let region = region(memory());
    region.set("k7", &7_usize).await.unwrap();
    let (peak, calls) = (Peak::default(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&calls);
    let (at_once, loads) = (peak.clone(), Arc::new(AtomicUsize::new(0)));
    let loaded = Arc::clone(&loads);
    let load = move |key: String| async move {
        loaded.fetch_add(1, Ordering::SeqCst);
        at_once.enter();
        sleep(LOAD).await;
        at_once.leave();
        match key.as_str() {
            "k3" => Err(io::Error::other("the source is down")),
            key => Ok(key[1..].parse::<usize>().unwrap()),
        }
    };
    let started = Instant::now();
    let warm = region.warm((0..20).map(|number| format!("k{number}"))).concurrency(4);
    let warm = warm.on_progress(move |progress| {
        let done = counted.fetch_add(1, Ordering::SeqCst) + 1;
        assert_eq!((progress.total, progress.ready + progress.failed), (20, done));
    });
    let progress = within(LEASE, warm.load(load)).await;
    assert_eq!((progress.total, progress.ready, progress.failed), (20, 19, 1));
    assert_eq!(progress.last_error.unwrap().kind(), ErrorKind::Load);
    assert_eq!((peak.greatest(), loads.load(Ordering::SeqCst)), (4, 19));
    assert_eq!(calls.load(Ordering::SeqCst), 20);
    assert!(started.elapsed() >= LOAD * 5 && started.elapsed() < LOAD * 7);
    for number in (0..20_usize).filter(|number| *number != 3) {
        let value = region.get::<usize>(&format!("k{number}")).await.unwrap();
        assert_eq!(value.as_deref(), Some(&number));
    }
    let nothing = region.warm(Vec::<String>::new()).load(|_| async { Ok::<u8, io::Error>(1) });
    assert_eq!(nothing.await.total, 0);
}

/// Callers that came before, during and after its questions get the loader's own error.
#[tokio::test(start_paused = true)]
async fn an_error_of_the_loader_reaches_every_waiter_intact() {
    let region = region(memory());
    let mut calls = Vec::new();
    for caller in 0..50 {
        let region = region.clone();
        calls.push(tokio::spawn(async move {
            let load = move || async move {
                sleep(LOAD).await;
                Err::<u32, _>(io::Error::new(io::ErrorKind::AddrInUse, format!("load {caller}")))
            };
            region.get_or_compute("k", load).await.unwrap_err()
        }));
        sleep(Duration::from_millis(1)).await;
    }
    for call in calls {
        let error = within(LEASE, call).await.unwrap();
        let source = error.load_error::<io::Error>().unwrap();
        assert_eq!((error.kind(), source.kind()), (ErrorKind::Load, io::ErrorKind::AddrInUse));
        assert_eq!(source.to_string(), "load 0", "one load, one error");
    }
}
