//! What is logged: the level of each line, and the cache and region that it names. In a program of its own:
//! its subscriber hears all that is logged.

#![cfg(feature = "testing")]

use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use region_core::testing::{Faulty, Method};
use region_core::{
    OnStale, Policy, Region, RegionCache, RegionExt, RegionHandle, Signal, TokioClock,
};
use region_memory::MemoryStore;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// A line of the log: its level, its message, and the region that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    level: Level,
    message: String,
    region: String,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Line>>>);

#[derive(Default)]
struct Fields {
    message: String,
    region: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "region" => self.region = format!("{value:?}"),
            _ => {}
        }
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("region_core")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let Fields { message, region } = fields;
        self.0.lock().push(Line { level: *event.metadata().level(), message, region });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Log {
    /// The lines since the last call.
    fn take(&self) -> Vec<Line> {
        std::mem::take(&mut *self.0.lock())
    }

    fn assert_one(&self, message: &str) {
        let (level, message) = (Level::WARN, message.to_owned());
        let region = "shop.org:1".to_owned();
        assert_eq!(self.take(), [Line { level, message, region }]);
    }
}

const TTL: Duration = Duration::from_secs(10);

async fn fail(region: &RegionHandle) {
    let load = || async { Err::<u32, _>(io::Error::other("the source is down")) };
    assert_eq!(*region.get_or_compute("k", load).await.unwrap(), 1);
}

/// What somebody should look at is a warning that names the region, root included; what is expected is no
/// line at all.
#[tokio::test(start_paused = true)]
async fn each_line_has_its_level_and_names_its_region() {
    let log = Log::default();
    tracing::subscriber::set_global_default(log.clone()).unwrap();
    let store = Faulty::new(MemoryStore::builder().clock(TokioClock::new()).build());
    let policy = Policy::new().ttl(TTL).stale_for(TTL * 10).load_retry_after(Duration::ZERO);
    let open = || RegionCache::builder(store.clone()).root("shop").policy(policy.clone());
    let (cache, other) = (open().build().unwrap(), open().build().unwrap());
    let region = cache.region("org:1").unwrap();

    // Hits, misses, loads, invalidations, and a caller that goes away while another process loads.
    region.set("k", &1u32).await.unwrap();
    assert!(region.get::<u32>("k").await.unwrap().is_some());
    assert!(region.get::<u32>("none").await.unwrap().is_none());
    region.touch().await.unwrap();
    let other = other.region("org:1").unwrap();
    let loading = tokio::spawn(async move {
        let load = || async {
            tokio::time::sleep(TTL).await;
            Ok::<_, io::Error>(1u32)
        };
        other.get_or_compute("k", load).await.map(|value| *value)
    });
    tokio::time::sleep(Duration::from_millis(1)).await;
    let load = || async { Ok::<_, io::Error>(9u32) };
    let asked = tokio::time::Instant::now();
    let waiting = tokio::time::timeout(TTL / 2, region.get_or_compute("k", load)).await;
    assert!(waiting.is_err() && asked.elapsed() == TTL / 2, "it leaves at once");
    assert_eq!(loading.await.unwrap().unwrap(), 1, "the load does not mind");
    assert_eq!(log.take(), []);

    region.get::<String>("k").await.unwrap();
    log.assert_one("undecodable entry");
    tokio::time::advance(TTL).await;
    let hits = cache.stats().hits;
    fail(&region).await;
    log.assert_one("serving stale");
    assert_eq!((cache.stats().hits, cache.stats().stale_hits), (hits, 1), "a stale hit is no hit");
    let refreshing = region.with_policy(Policy::new().on_stale(OnStale::Refresh)).unwrap();
    fail(&refreshing).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    log.assert_one("a refresh failed");
    store.on(Method::Write).fail(region_core::ErrorKind::TooLarge);
    let load = || async { Ok::<_, io::Error>(1u32) };
    region.get_or_compute("other", load).await.unwrap();
    log.assert_one("a load was not stored");

    let signal: Signal<u32> = Signal::new("changed");
    let _fails = signal.connect(|_| Err("on purpose"));
    let _fails_too = signal.connect_async(|_| async { Err("on purpose") });
    assert_eq!(signal.send(1).await.failures.len(), 2);
    let lines = log.take();
    let message = "a handler of a signal has failed";
    assert!(lines.len() == 2 && lines.iter().all(|line| line.message == message), "{lines:?}");
}
