//! Lookups: fetch entries from the store, decode them, and count hits and misses.

use std::sync::Arc;

use tokio::time::Instant;

use super::Context;
use crate::error::{Error, Result};
use crate::lifetime::Lifetime;
use crate::path::check_key;
use crate::store::{Entry, Freshness};
use crate::value::envelope::BadBytes;
use crate::value::serializer::Value;

/// The value that a lookup found at one key, with the time left until it stops being so.
pub(crate) enum Found<V> {
    Fresh(Arc<V>, Lifetime),
    Stale(Arc<V>, Lifetime),
    Nothing,
}

/// The values that a lookup returns. Other entries are not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accept {
    Fresh,
    FreshOrStale,
}

/// The entries of a read, or the outage that the policy turns into misses.
pub(crate) enum Fetched {
    Entries(Vec<Option<Entry>>),
    Outage(Error),
}

impl<V> Found<V> {
    pub(crate) fn fresh(self) -> Option<Arc<V>> {
        match self {
            Self::Fresh(value, _) => Some(value),
            Self::Stale(..) | Self::Nothing => None,
        }
    }
}

impl Context {
    /// Reads the entries at `keys`.
    pub(crate) async fn fetch(&self, keys: &[&str]) -> Result<Fetched> {
        keys.iter().try_for_each(|key| check_key(key))?;
        match self.read(keys).await {
            Ok(read) => Ok(Fetched::Entries(read.entries)),
            Err(error) if self.is_miss(&error) => Ok(Fetched::Outage(error)),
            Err(error) => Err(error),
        }
    }

    /// Looks up the values at `keys`, in the order of the keys, and counts hits and misses. Returns the outage
    /// too, if there was one.
    pub(crate) async fn find_many<V: Value>(
        &self,
        keys: &[&str],
        accept: Accept,
    ) -> Result<(Vec<Found<V>>, Option<Error>)> {
        let (entries, outage) = match self.fetch(keys).await? {
            Fetched::Entries(entries) => (entries, None),
            Fetched::Outage(error) => (vec![None; keys.len()], Some(error)),
        };
        let of_key = |(key, entry): (&&str, Option<Entry>)| self.find_in(key, entry, accept);
        let found: Vec<_> = keys.iter().zip(entries).map(of_key).collect();
        let hits = found.iter().filter(|found| matches!(found, Found::Fresh(..))).count();
        self.counters().hits.add(hits);
        self.counters().misses.add(keys.len() - hits);
        Ok((found, outage))
    }

    /// Does the same as [`find_many`](Self::find_many) for one key, without allocating vectors.
    pub(crate) async fn find<V: Value>(
        &self,
        key: &str,
        accept: Accept,
    ) -> Result<(Found<V>, Option<Error>)> {
        let (entry, outage) = match self.fetch(&[key]).await? {
            Fetched::Entries(mut entries) => (entries.pop().flatten(), None),
            Fetched::Outage(error) => (None, Some(error)),
        };
        Ok((self.find_counted(key, entry, accept), outage))
    }

    /// Decodes the entry that was found at `key`, and counts a hit or a miss.
    pub(crate) fn find_counted<V: Value>(
        &self,
        key: &str,
        entry: Option<Entry>,
        accept: Accept,
    ) -> Found<V> {
        let found = self.find_in(key, entry, accept);
        match found {
            Found::Fresh(..) => self.counters().hits.add(1),
            Found::Stale(..) | Found::Nothing => self.counters().misses.add(1),
        }
        found
    }

    /// Decodes the entry that was found at `key`.
    pub(crate) fn find_in<V: Value>(
        &self,
        key: &str,
        entry: Option<Entry>,
        accept: Accept,
    ) -> Found<V> {
        let Some(entry) = entry.filter(|it| it.is_fresh() || accept == Accept::FreshOrStale) else {
            return Found::Nothing;
        };
        let Some(value) = self.decode_or_miss(key, &entry).map(Arc::new) else {
            return Found::Nothing;
        };
        match entry.freshness {
            Freshness::Fresh { left } => Found::Fresh(value, left),
            Freshness::Stale { left } => Found::Stale(value, left),
        }
    }

    /// Decodes `entry`, found at `key`. Returns `None` if its bytes are bad, which is counted and logged.
    pub(crate) fn decode_or_miss<V: Value>(&self, key: &str, entry: &Entry) -> Option<V> {
        let decoded = self.codec.decode(key, &entry.bytes);
        decoded.inspect_err(|bad| self.bad_bytes(key, bad)).ok()
    }

    fn bad_bytes(&self, key: &str, bad: &BadBytes) {
        self.counters().bad_bytes.add(1);
        if let Some(unlogged) = self.engine.limiter.allow(bad.reason(), Instant::now()) {
            let reason = bad.reason();
            tracing::warn!(region = %self.path, key, reason, %bad, unlogged, "undecodable entry");
        }
    }

    /// Counts and logs that a load failed and its callers get a stale value.
    pub(crate) fn serving_stale(&self, key: &str, error: &Error) {
        self.counters().stale_hits.add(1);
        if let Some(unlogged) = self.engine.limiter.allow("stale", Instant::now()) {
            tracing::warn!(region = %self.path, key, %error, unlogged, "serving stale");
        }
    }

    /// Logs that a load in the background failed. Its callers got the stale value when it began.
    pub(crate) fn refresh_failed(&self, key: &str, error: &Error) {
        if let Some(unlogged) = self.engine.limiter.allow("refresh", Instant::now()) {
            tracing::warn!(region = %self.path, key, %error, unlogged, "a refresh failed");
        }
    }

    /// Counts and logs that the value of a load was not stored because the store refused it.
    pub(crate) fn not_stored(&self, key: &str, error: &Error) {
        self.counters().store_failures.add(1);
        if let Some(unlogged) = self.engine.limiter.allow("not stored", Instant::now()) {
            tracing::warn!(region = %self.path, key, %error, unlogged, "a load was not stored");
        }
    }
}
