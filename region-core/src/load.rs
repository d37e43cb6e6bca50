//! Loading what is missing: one load per key, its result stored only if nothing ended meanwhile.
//!
//! A caller that misses takes a seat in a [`Flight`](flight::Flight), the load under way for its key
//! in this process, or starts one. It may join one only if what it waits for cannot be older than the
//! caller allows: flights remember when they last asked the store (`begun`, a count of this cache's
//! own, no clock), and a caller that started before that moment may share the answer. A later
//! caller starts a flight of its own, whose `begin` tells whether the earlier one still holds its
//! lease under the same lineage; if so it follows that one, and if not, something was invalidated
//! in between and it loads anew.

mod fill;
mod flight;
mod loader;
mod pending;
mod task;

use std::collections::HashMap;
use std::future::Future;
use std::hash::BuildHasher;
use std::sync::Arc;

use crate::error::{BoxError, Error, ErrorKind, Result};
use crate::handle::RegionHandle;
use crate::store::Entry;
use crate::value::serializer::Value;

pub(crate) use flight::Flights;
use flight::{Boarding, Started};
use loader::Loader;
use task::GroupTask;

/// A key that the store has no fresh value for.
struct Missing<V> {
    key: String,
    /// A value to make do with while another loads.
    stale: Option<Arc<V>>,
}

/// What the first look at the store found for one key.
enum Found<V> {
    Fresh(Arc<V>),
    Missing(Missing<V>),
}

pub(crate) async fn one<V, F, Fut, E>(region: &RegionHandle, key: &str, load: F) -> Result<Arc<V>>
where
    V: Value,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<V, E>> + Send + 'static,
    E: Into<BoxError> + 'static,
{
    let blame = |error: Error| error.on("get_or_compute", region.region_path()).at_key(key);
    let started = region.shared().flights.start();
    let read = region.read(&[key]).await.map_err(blame)?;
    let entry = read.and_then(|mut read| read.entries.pop().flatten());
    match look(region, key, entry) {
        Found::Fresh(value) => Ok(value),
        Found::Missing(missing) => {
            let loaded = load_missing(region, started, vec![missing], || Loader::one(load)).await;
            let value = loaded.map_err(blame)?.pop().flatten();
            value.ok_or_else(|| blame(Error::new(ErrorKind::Load, "the load made no value")))
        }
    }
}

pub(crate) async fn many<V, F, Fut, E, S>(
    region: &RegionHandle,
    keys: &[&str],
    load: F,
) -> Result<Vec<Option<Arc<V>>>>
where
    V: Value,
    F: FnMut(Vec<String>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<HashMap<String, V, S>, E>> + Send + 'static,
    E: Into<BoxError> + 'static,
    S: BuildHasher + Send + 'static,
{
    let started = region.shared().flights.start();
    let unique = unique(keys);
    let read = region.read(&unique).await.map_err(region.blame("get_or_compute_many"))?;
    let entries = read.map_or_else(|| vec![None; unique.len()], |read| read.entries);
    let mut values: HashMap<&str, Option<Arc<V>>> = HashMap::with_capacity(unique.len());
    let mut missing = Vec::new();
    for (key, entry) in unique.into_iter().zip(entries) {
        match look(region, key, entry) {
            Found::Fresh(value) => drop(values.insert(key, Some(value))),
            Found::Missing(found) => missing.push((key, found)),
        }
    }
    if !missing.is_empty() {
        let (names, missing): (Vec<_>, Vec<_>) = missing.into_iter().unzip();
        let loaded = load_missing(region, started, missing, || Loader::many(load)).await;
        values.extend(names.into_iter().zip(loaded.map_err(region.blame("get_or_compute_many"))?));
    }
    Ok(keys.iter().map(|key| values.get(key).cloned().flatten()).collect())
}

/// `keys` in order, each once.
fn unique<'a>(keys: &[&'a str]) -> Vec<&'a str> {
    let mut seen = std::collections::HashSet::with_capacity(keys.len());
    keys.iter().copied().filter(|key| seen.insert(*key)).collect()
}

fn look<V: Value>(region: &RegionHandle, key: &str, entry: Option<Entry>) -> Found<V> {
    let counters = &region.shared().counters;
    let is_fresh = entry.as_ref().is_some_and(Entry::is_fresh);
    let value = entry.and_then(|entry| region.decode(key, &entry)).map(Arc::new);
    match value {
        Some(value) if is_fresh => {
            counters.hits.add(1);
            Found::Fresh(value)
        }
        stale => {
            counters.misses.add(1);
            Found::Missing(Missing { key: key.to_owned(), stale })
        }
    }
}

/// Joins the loads under way for the missing keys and starts one for the others; their values in
/// the keys' order.
///
/// # Cancel safety
/// Dropping it gives up this caller's seats; a load that nobody else waits for is dropped.
async fn load_missing<V: Value>(
    region: &RegionHandle,
    started: Started,
    missing: Vec<Missing<V>>,
    loader: impl FnOnce() -> Loader<V>,
) -> Result<Vec<Option<Arc<V>>>> {
    let shared = region.shared();
    let mut boarding = Boarding::new(started);
    let mut places = Vec::with_capacity(missing.len());
    for Missing { key, stale } in missing {
        let place = match stale {
            Some(stale) => match boarding.start_if_none::<V>(shared, region.region_path(), &key) {
                Some(seat) => Ok(seat),
                None => Err(stale),
            },
            None => Ok(boarding.join_or_start::<V>(shared, region.region_path(), &key)),
        };
        places.push(place);
    }
    if let Some(legs) = boarding.into_legs() {
        GroupTask::spawn(region.clone(), legs, loader());
    }
    let mut values = Vec::with_capacity(places.len());
    for place in places {
        values.push(match place {
            Ok(seat) => seat.value::<V>().await?,
            Err(stale) => {
                shared.counters.stale_hits.add(1);
                Some(stale)
            }
        });
    }
    Ok(values)
}
