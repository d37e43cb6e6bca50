//! Spans and events of the feature `spans`. In a program of its own: its subscriber hears all of them.

#![cfg(all(feature = "spans", feature = "testing"))]

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::{Debug, Write};
use std::sync::Arc;

use parking_lot::Mutex;
use region_core::testing::{Faulty, Method};
use region_core::{ErrorKind, NearCache, Policy, Region, RegionCache, RegionExt};
use region_memory::MemoryStore;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const KEY: &str = "the-key";
const VALUE: &str = "the-value";

/// What was told, a line each: the name or the message, and the fields.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    spans: HashMap<u64, String>,
    entered: Vec<u64>,
    lines: Vec<String>,
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => write!(self.0, "{value:?}").unwrap(),
            name => write!(self.0, " {name}={value:?}").unwrap(),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        write!(self.0, " {}={value}", field.name()).unwrap();
    }
}

impl Subscriber for Told {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "region_cache"
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut state = self.0.lock();
        let mut line = attributes.metadata().name().to_owned();
        attributes.record(&mut Fields(&mut line));
        let id = state.spans.len() as u64 + 1;
        state.spans.insert(id, line);
        Id::from_u64(id)
    }

    fn record(&self, span: &Id, record: &Record<'_>) {
        let mut state = self.0.lock();
        if let Some(line) = state.spans.get_mut(&span.into_u64()) {
            record.record(&mut Fields(line));
        }
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = String::new();
        event.record(&mut Fields(&mut line));
        self.0.lock().lines.push(line);
    }

    fn enter(&self, span: &Id) {
        self.0.lock().entered.push(span.into_u64());
    }

    fn exit(&self, _: &Id) {}
}

impl Told {
    /// The events since the last call, and the spans that were entered.
    fn take(&self) -> Vec<String> {
        let mut state = self.0.lock();
        let mut lines = std::mem::take(&mut state.lines);
        let mut entered = std::mem::take(&mut state.entered);
        entered.sort_unstable();
        entered.dedup();
        lines.extend(entered.iter().map(|id| state.spans[id].clone()));
        for line in &lines {
            assert!(!line.contains(KEY) && !line.contains(VALUE), "{line}");
        }
        lines
    }

    /// Asserts that among the lines there is one with all of `parts`.
    fn assert(lines: &[String], parts: &[&str]) {
        let has_all = |line: &String| parts.iter().all(|part| line.contains(part));
        assert!(lines.iter().any(has_all), "{parts:?} in {lines:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn reads_loads_and_calls_are_told_without_keys_and_values() {
    let told = Told::default();
    tracing::subscriber::set_global_default(told.clone()).unwrap();
    let store = Faulty::new(MemoryStore::new());
    let policy = Policy::new().near(NearCache::On);
    let cache = RegionCache::builder(store.clone()).root("shop").policy(policy).build().unwrap();
    let region = cache.region("org:1").unwrap();
    let load = || async { Ok::<_, Infallible>(VALUE.to_owned()) };

    region.get_or_compute(KEY, load).await.unwrap();
    let lines = told.take();
    let miss = ["read", "region=shop.org:1", "outcome=miss", "tier=store", "reason=Absent"];
    Told::assert(&lines, &miss);
    Told::assert(&lines, &["load", "region=shop.org:1", "keys=1", "is_ok=true"]);
    Told::assert(&lines, &["loaded or waited", "outcome=loaded"]);
    for operation in ["read", "begin", "write"] {
        let operation = format!("operation={operation}");
        Told::assert(&lines, &["store_call", &operation, "region=shop.org:1", "is_ok=true"]);
    }

    // The store has pushed the own change too, so the next read asks what has become of the value.
    region.get::<String>(KEY).await.unwrap();
    Told::assert(&told.take(), &["read", "outcome=near_hit", "tier=near"]);
    region.get_or_compute(KEY, load).await.unwrap();
    assert_eq!(told.take().len(), 1, "a near hit is one event");
    region.get::<String>(KEY).await.unwrap();
    Told::assert(&told.take(), &["read", "outcome=near_hit", "tier=near"]);
    region.get_many::<String>(&[KEY, "other"]).await.unwrap();
    Told::assert(&told.take(), &["read of several keys", "near=1", "misses=1"]);

    region.invalidate().await.unwrap();
    Told::assert(&told.take(), &["ended", "verb=Invalidate", "is_ok=true"]);
    let fail = || async { Err::<String, _>(std::io::Error::other(VALUE)) };
    region.get_or_compute(KEY, fail).await.unwrap_err();
    Told::assert(&told.take(), &["load", "is_ok=false"]);
    store.on(Method::Read).fail(ErrorKind::Unavailable);
    region.get::<String>(KEY).await.unwrap();
    let lines = told.take();
    Told::assert(&lines, &["store_call", "operation=read", "is_ok=false"]);
    Told::assert(&lines, &["outcome=miss", "reason=Unavailable"]);
}
