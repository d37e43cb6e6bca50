//! The log lines of an outage. In a program of its own: its subscriber hears all that is logged.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use region_core::testing::Faulty;
use region_core::{ErrorKind, Region, RegionCache, TokioClock};
use region_memory::MemoryStore;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Counts the lines of the log.
struct Lines(Arc<AtomicUsize>);

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Bug: each call that failed wrote a line.
/// Effect: 439,427 lines in fifteen seconds of outage.
/// Fix: a line when an outage begins and one when it has ended; at most one a second in between.
#[tokio::test(start_paused = true)]
async fn an_outage_writes_a_line_a_second() {
    let lines = Arc::new(AtomicUsize::new(0));
    tracing::subscriber::set_global_default(Lines(Arc::clone(&lines))).unwrap();
    let store = Faulty::new(MemoryStore::builder().clock(TokioClock::new()).build());
    let cache = RegionCache::builder(store.clone()).build().unwrap();
    let region = cache.region("a").unwrap();
    let outage = store.on_any().fail(ErrorKind::Unavailable);
    for _ in 0..15_000 {
        let load = || async { Ok::<_, Infallible>(1u32) };
        region.get_or_compute("k", load).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let during = lines.load(Ordering::SeqCst);
    assert!((2..=16).contains(&during), "{during} lines");
    outage.lift();
    tokio::time::sleep(Duration::from_secs(2)).await;
    for _ in 0..100 {
        region.get::<u32>("k").await.unwrap();
    }
    assert_eq!(lines.load(Ordering::SeqCst), during + 1, "it has ended");
}
