//! The parts that the cases are written in.

use std::time::Duration;

use bytes::Bytes;

use super::Harness;
use crate::lifetime::Lifetime;
use crate::lineage::Lineage;
use crate::path::RegionPath;
use crate::store::{
    BegunKey, Entry, Guard, Lease, LeaseTerms, LeaseToken, Op, OpOutcome, Put, Read, ReadTerms,
    RegionTtl, Store, TakeLease, Verb, Write, Written,
};

/// A duration that is over soon, even if it has to be slept through.
pub(super) const SHORT: Duration = Duration::from_millis(120);

/// A duration that is not over before the case is.
pub(super) const LONG: Duration = Duration::from_secs(600);

/// The longest time that a case waits for a condition, and the time between two checks.
const ASK_LIMIT: Duration = Duration::from_secs(5);
const ASK_INTERVAL: Duration = Duration::from_millis(1);

/// A store, and shorthands for what cases do to it.
pub(super) struct Fixture<'h, H: Harness> {
    pub(super) harness: &'h H,
    pub(super) store: H::Store,
}

/// The path that `text` is the text of.
pub(super) fn path(text: &str) -> RegionPath {
    RegionPath::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

/// A put that lasts.
pub(super) fn put<'a>(key: &'a str, value: &'a str) -> Put<'a> {
    Put::new(key, Bytes::copy_from_slice(value.as_bytes()))
}

pub(super) fn lifetime(duration: Duration) -> Lifetime {
    Lifetime::of(duration).unwrap_or_else(|error| panic!("{error}"))
}

pub(super) fn text(entry: &Entry) -> String {
    String::from_utf8_lossy(&entry.bytes).into_owned()
}

/// Asks again and again until the answer is yes; whether it was, in time.
pub(super) async fn until(mut ask: impl AsyncFnMut() -> bool) -> bool {
    let asking = async {
        while !ask().await {
            tokio::time::sleep(ASK_INTERVAL).await;
        }
    };
    tokio::time::timeout(ASK_LIMIT, asking).await.is_ok()
}

impl<'h, H: Harness> Fixture<'h, H> {
    pub(super) async fn new(harness: &'h H) -> Self {
        Self { harness, store: harness.store().await }
    }

    /// Another client of the same data.
    pub(super) async fn client(&self) -> Self {
        Self { harness: self.harness, store: self.harness.client(&self.store).await }
    }

    pub(super) async fn advance(&self, by: Duration) {
        self.harness.advance(&self.store, by).await;
    }

    pub(super) async fn read(&self, region: &str, keys: &[&str]) -> Read {
        let read = self.store.read(&path(region), keys, ReadTerms::default()).await;
        let read = read.unwrap_or_else(|error| panic!("read: {error}"));
        assert_eq!(read.entries.len(), keys.len(), "one place for each key");
        let at: Vec<_> = read.leftovers.iter().map(|(at, _)| *at).collect();
        assert!(at.is_sorted_by(|one, next| one < next), "each key once, in order: {at:?}");
        let is_missing = |at: &usize| read.entries.get(*at).is_some_and(Option::is_none);
        assert!(at.iter().all(is_missing), "of keys without a valid entry: {at:?}");
        read
    }

    /// The entry at `key`, fresh or stale.
    pub(super) async fn entry(&self, region: &str, key: &str) -> Option<Entry> {
        self.read(region, &[key]).await.entries.pop().flatten()
    }

    /// The fresh value at `key`.
    pub(super) async fn get(&self, region: &str, key: &str) -> Option<String> {
        self.entry(region, key).await.filter(Entry::is_fresh).map(|entry| text(&entry))
    }

    /// The stale value at `key`.
    pub(super) async fn stale(&self, region: &str, key: &str) -> Option<String> {
        self.entry(region, key).await.filter(|entry| !entry.is_fresh()).map(|entry| text(&entry))
    }

    pub(super) async fn write(
        &self,
        region: &str,
        ops: &[Op<'_>],
        guard: Option<Guard<'_>>,
        region_ttl: RegionTtl,
    ) -> Written {
        let mut write = Write::new(ops).region_ttl(region_ttl);
        write.guard = guard;
        let written = self.store.write(&path(region), write).await;
        written.unwrap_or_else(|error| panic!("write: {error}"))
    }

    pub(super) async fn apply(&self, region: &str, ops: &[Op<'_>]) -> Vec<OpOutcome> {
        let written = self.write(region, ops, None, RegionTtl::Leave).await;
        let outcomes = written.outcomes().unwrap_or_else(|| panic!("fenced without a guard"));
        assert_eq!(outcomes.len(), ops.len(), "an outcome for each operation");
        outcomes
    }

    pub(super) async fn set(&self, region: &str, key: &str, value: &str) {
        assert_eq!(self.apply(region, &[Op::Put(put(key, value))]).await, [OpOutcome::Stored]);
    }

    pub(super) async fn end(&self, region: &str, verb: Verb) {
        let ended = self.store.end(&path(region), verb.into()).await;
        ended.unwrap_or_else(|error| panic!("end: {error}"));
    }

    pub(super) async fn begin(
        &self,
        region: &str,
        key: &str,
        token: LeaseToken,
        take: TakeLease,
    ) -> (Lineage, BegunKey) {
        let terms = LeaseTerms::new(token, LONG).take(take);
        self.begin_with(region, key, terms).await
    }

    pub(super) async fn begin_with(
        &self,
        region: &str,
        key: &str,
        terms: LeaseTerms,
    ) -> (Lineage, BegunKey) {
        let begun = self.store.begin(&path(region), &[key], terms).await;
        let mut begun = begun.unwrap_or_else(|error| panic!("begin: {error}"));
        assert_eq!(begun.keys.len(), 1, "one answer for each key");
        (begun.lineage, begun.keys.remove(0))
    }

    /// Takes the lease of `key` as an ordinary miss does.
    pub(super) async fn lease(&self, region: &str, key: &str) -> Fence {
        let token = LeaseToken::random();
        let (lineage, begun) = self.begin(region, key, token, TakeLease::UnlessFresh).await;
        assert_eq!(begun.lease, Lease::Granted, "the lease of {region}/{key} is free");
        Fence { lineage, token }
    }

    /// Gives leases back, and waits until they are.
    pub(super) async fn released(&self, region: &str, keys: &[&str], token: LeaseToken) {
        self.store.release(&path(region), keys, token);
        for key in keys {
            self.is_free(region, key, token).await;
        }
    }

    /// Waits until `token` does not hold the lease of `key`: a store may take its time to say so.
    pub(super) async fn is_free(&self, region: &str, key: &str, token: LeaseToken) {
        let is_free = until(async || {
            let (_, begun) = self.begin(region, key, token, TakeLease::Extend).await;
            begun.lease != Lease::Granted
        });
        assert!(is_free.await, "the lease of {region}/{key} is not given back");
    }

    /// Returns whether a fill of `key` was stored.
    pub(super) async fn fill(&self, region: &str, key: &str, value: &str, fence: &Fence) -> bool {
        let ops = [Op::Put(put(key, value))];
        let keys = [key];
        let guard = Guard::new(&fence.lineage, &keys, fence.token);
        match self.write(region, &ops, Some(guard), RegionTtl::Leave).await.outcomes() {
            Some(outcomes) => {
                assert_eq!(outcomes, [OpOutcome::Stored]);
                true
            }
            None => false,
        }
    }
}

/// The lineage and token of a load.
#[derive(Clone, Debug)]
pub(super) struct Fence {
    pub(super) lineage: Lineage,
    pub(super) token: LeaseToken,
}
