//! One cache under comparison with all that a table asks of it, whatever its types are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::task::JoinSet;

use crate::peer::{LOAD, Peer, Source, VALUE_BYTES, Value};

/// The number of keys that are read and written.
const KEYS: usize = 1_000;

/// A number prime to [`KEYS`]: steps of it visit all keys, in no order that a cache line would like.
const STRIDE: usize = 7919;

/// One call, again and again, on changing keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    NearHit,
    SetNear,
    StoreHit,
    Set,
}

/// The outcome of many tasks that ask for one key at once.
pub struct Stampede {
    /// The time until the last has it, without that of one load.
    pub beyond_load: Duration,
    pub loads: usize,
}

/// A [`Peer`] with its types taken off. `None` says that it cannot do this.
pub trait Subject {
    /// The column's title.
    fn name(&self) -> &'static str;

    /// Stores what is read later.
    fn prepare(&self) -> BoxFuture<'_, ()>;

    /// Returns the time of a call while so many tasks make so many calls together.
    fn round(&self, call: Call, tasks: usize, calls: usize) -> BoxFuture<'_, Option<Duration>>;

    /// Returns the time of one invalidation of a group of so many entries.
    fn invalidation(&self, entries: usize) -> BoxFuture<'_, Option<Duration>>;

    /// Lets so many tasks on each of so many instances ask for one new key at once.
    fn stampede(&self, instances: usize, tasks: usize) -> BoxFuture<'_, Option<Stampede>>;
}

/// Instances of one cache over one server.
pub struct Instances<P> {
    all: Vec<Arc<P>>,
    keys: Arc<[String]>,
    value: Arc<Value>,
    /// How many groups and keys of stampedes have been used.
    used: AtomicUsize,
}

impl<P: Peer> Instances<P> {
    /// Opens so many instances.
    pub async fn connect(url: &str, instances: usize) -> Box<dyn Subject> {
        let mut all = Vec::with_capacity(instances);
        for _ in 0..instances {
            all.push(Arc::new(P::connect(url).await));
        }
        let keys = (0..KEYS).map(|key| format!("key-{key}")).collect();
        Box::new(Self { all, keys, value: Arc::default(), used: AtomicUsize::new(0) })
    }

    /// The instance that makes the calls of the tables.
    fn first(&self) -> &Arc<P> {
        &self.all[0]
    }

    async fn timed_invalidation(&self, entries: usize) -> Option<Duration> {
        let (peer, group) = (self.first(), self.used.fetch_add(1, Ordering::Relaxed));
        for entry in 0..entries {
            peer.set_in_group(group, entry, &self.value).await?;
        }
        let samples = [0, entries / 2, entries - 1];
        for entry in samples {
            assert!(peer.has_in_group(group, entry).await, "{}: an entry is missing", P::NAME);
        }
        let start = Instant::now();
        peer.invalidate_group(group).await;
        let taken = start.elapsed();
        for entry in samples {
            let has = peer.has_in_group(group, entry).await;
            assert!(!has, "{}: an entry outlived its invalidation", P::NAME);
        }
        Some(taken)
    }

    async fn timed_stampede(&self, instances: usize, tasks: usize) -> Option<Stampede> {
        let key: Arc<str> = format!("new-{}", self.used.fetch_add(1, Ordering::Relaxed)).into();
        let source = Arc::new(Source::default());
        let mut waiting = JoinSet::new();
        let start = Instant::now();
        for peer in &self.all[..instances] {
            for _ in 0..tasks {
                let (peer, key, source) = (peer.clone(), key.clone(), source.clone());
                waiting.spawn(async move { peer.load(&key, &source).await });
            }
        }
        while let Some(bytes) = waiting.join_next().await {
            assert_eq!(bytes.expect("no panic")?, VALUE_BYTES);
        }
        let beyond_load = start.elapsed().saturating_sub(LOAD);
        Some(Stampede { beyond_load, loads: source.loads() })
    }
}

impl<P: Peer> Subject for Instances<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn prepare(&self) -> BoxFuture<'_, ()> {
        async {
            let peer = self.first();
            for key in &*self.keys {
                peer.set(key, &self.value).await;
                peer.set_near(key, &self.value).await;
                assert_eq!(peer.near_hit(key).await, Some(VALUE_BYTES), "{}: {key}", P::NAME);
            }
        }
        .boxed()
    }

    fn round(&self, call: Call, tasks: usize, calls: usize) -> BoxFuture<'_, Option<Duration>> {
        async move {
            let mut running = JoinSet::new();
            let start = Instant::now();
            for task in 0..tasks {
                let (peer, keys) = (self.first().clone(), Arc::clone(&self.keys));
                let (value, calls) = (Arc::clone(&self.value), calls / tasks);
                let ats = task * calls..(task + 1) * calls;
                running.spawn(async move { repeat(&*peer, call, ats, &keys, &value).await });
            }
            while let Some(done) = running.join_next().await {
                done.expect("no panic")?;
            }
            Some(start.elapsed() / u32::try_from(calls).expect("a small number"))
        }
        .boxed()
    }

    fn invalidation(&self, entries: usize) -> BoxFuture<'_, Option<Duration>> {
        self.timed_invalidation(entries).boxed()
    }

    fn stampede(&self, instances: usize, tasks: usize) -> BoxFuture<'_, Option<Stampede>> {
        self.timed_stampede(instances, tasks).boxed()
    }
}

/// Makes these calls one after the other.
async fn repeat<P: Peer>(
    peer: &P,
    call: Call,
    ats: std::ops::Range<usize>,
    keys: &[String],
    value: &Value,
) -> Option<()> {
    for at in ats {
        let key = &keys[at.wrapping_mul(STRIDE) % keys.len()];
        let bytes = match call {
            Call::NearHit => peer.near_hit(key).await?,
            Call::StoreHit => peer.store_hit(key).await?,
            Call::SetNear => peer.set_near(key, value).await.map(|()| VALUE_BYTES)?,
            Call::Set => peer.set(key, value).await.map(|()| VALUE_BYTES)?,
        };
        assert_eq!(bytes, VALUE_BYTES);
    }
    Some(())
}
