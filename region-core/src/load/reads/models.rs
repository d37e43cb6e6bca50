//! Models of lookups that callers share, which `shuttle` runs under many schedules: callers that come,
//! wait and go at any time, while the value changes. A caller that nobody serves waits for ever, and that
//! is an error.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use shuttle::future::{block_on, yield_now};
use shuttle::thread::{self, JoinHandle};

use super::super::call::Call;
use super::super::models::leave_early;
use crate::engine::{Accept, Context, Found};
use crate::error::{Error, ErrorKind, Result};
use crate::lifetime::Lifetime;
use crate::load::Flights;
use crate::path::{RegionPath, Segment};
use crate::store::{
    Begun, EndTerms, Ended, Entry, Freshness, LeaseTerms, LeaseToken, Listener, Listening, Page,
    PageTerms, Read, ReadTerms, ScanItem, Store, Write, Written,
};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::check;
use crate::{RegionCache, Timestamp};

const KEY: &str = "k";

/// The values that the key gets one after the other.
const VALUES: usize = 3;

/// A store with one entry. It can be read, and nothing else.
#[derive(Default)]
struct OneEntry {
    value: AtomicUsize,
    /// The bytes of each value.
    bytes: OnceLock<[Bytes; VALUES]>,
    /// The next read panics.
    panics: AtomicBool,
}

struct World {
    store: Arc<OneEntry>,
    context: Arc<Context>,
    flights: Arc<Flights>,
}

impl World {
    fn new() -> Arc<Self> {
        let store = Arc::new(OneEntry::default());
        let cache = RegionCache::builder(Arc::clone(&store)).build().unwrap();
        let context = Arc::clone(cache.region("a").unwrap().context());
        let encode = |value| context.codec().encode(KEY, &value).unwrap();
        // Threads that met in what is made but once would wait for each other unseen by the checker.
        context.counters();
        store.bytes.set(std::array::from_fn(encode)).unwrap();
        Arc::new(Self { store, context, flights: Arc::new(Flights::new(1)) })
    }

    /// Looks the value up together with others.
    async fn call(&self) {
        let before = self.store.value.load(Ordering::SeqCst);
        let keys = &[KEY];
        let mut call =
            Call::start::<usize>(&self.context, &self.flights, keys, Accept::FreshOrStale);
        let one = call.find_shared::<usize>(KEY).await.unwrap();
        let Found::Fresh(value, _) = one.found else { panic!("nothing was found") };
        assert!(*value >= before, "{value} is older than {before}");
    }

    fn spawn(self: &Arc<Self>) -> JoinHandle<()> {
        let world = Arc::clone(self);
        thread::spawn(move || block_on(world.call()))
    }

    fn spawn_leaver(self: &Arc<Self>) -> JoinHandle<()> {
        let world = Arc::clone(self);
        thread::spawn(move || block_on(leave_early(world.call())))
    }

    fn change(&self) {
        for value in 1..VALUES {
            self.store.value.store(value, Ordering::SeqCst);
        }
    }

    fn check_end(&self, threads: impl IntoIterator<Item = JoinHandle<()>>) {
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(self.flights.reads.count.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn no_lookup_has_begun_before_its_callers() {
    check(|| {
        let world = World::new();
        let threads = [world.spawn(), world.spawn(), world.spawn_leaver()];
        world.change();
        world.check_end(threads);
    });
}

#[test]
fn a_lookup_that_panics_leaves_nobody_waiting() {
    check(|| {
        let world = World::new();
        world.store.panics.store(true, Ordering::SeqCst);
        let threads = [world.spawn(), world.spawn()];
        world.check_end(threads);
    });
}

fn reads_alone<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Store, "the store can be read, and nothing else"))
}

#[async_trait]
impl Store for OneEntry {
    async fn read(&self, _: &RegionPath, _: &[&str], _: ReadTerms<'_>) -> Result<Read> {
        yield_now().await;
        let value = self.value.load(Ordering::SeqCst);
        yield_now().await;
        if self.panics.swap(false, Ordering::SeqCst) {
            std::panic::resume_unwind(Box::new("a read panics"));
        }
        let bytes = self.bytes.get().unwrap()[value].clone();
        let entry = Entry::new(bytes, Freshness::Fresh { left: Lifetime::Unlimited });
        Ok(Read::new(vec![Some(entry)]))
    }

    async fn begin(&self, _: &RegionPath, _: &[&str], _: LeaseTerms) -> Result<Begun> {
        reads_alone()
    }

    async fn write(&self, _: &RegionPath, _: Write<'_>) -> Result<Written> {
        reads_alone()
    }

    async fn end(&self, _: &RegionPath, _: EndTerms) -> Result<Ended> {
        reads_alone()
    }

    fn release(&self, _: &RegionPath, _: &[&str], _: LeaseToken) {}

    async fn scan(&self, _: &RegionPath, _: PageTerms) -> Result<Page<ScanItem>> {
        reads_alone()
    }

    async fn children(&self, _: &RegionPath, _: PageTerms) -> Result<Page<Segment>> {
        reads_alone()
    }

    async fn len(&self, _: &RegionPath) -> Result<u64> {
        reads_alone()
    }

    fn listen(&self, _: Arc<dyn Listener>) -> Option<Listening> {
        None
    }

    async fn now(&self) -> Result<Timestamp> {
        reads_alone()
    }
}
