//! Loading what is missing: one load per key, its result stored only if nothing ended meanwhile.
//!
//! A caller that misses waits for a [`Flight`](flight::Flight), the load under way for its key in
//! this process, or starts one. It may take the result of one only if that cannot be older than the
//! caller allows: each question to the store has a tick, and a caller that started before the tick
//! may share the answer. A later caller starts a flight of its own. Its task waits until the
//! previous flight has no question under way, asks the store, and so learns whether the previous
//! load still holds its lease under the same lineage. If so the new flight follows it, and if not,
//! something was invalidated in between and the new flight loads.
//!
//! Before it misses, a caller looks the key up, together with those who came meanwhile ([`reads`]).
//!
//! Each waiter keeps its flight alive, and a flight keeps the one alive that it comes after or
//! follows. So a load goes on for as long as anyone waits for its key.

#[cfg(feature = "blocking")]
mod around;
mod brought;
mod call;
mod dependencies;
mod fill;
mod flight;
mod flights;
mod key;
mod lease;
mod loader;
mod marker;
#[cfg(all(test, region_shuttle))]
mod models;
mod open;
mod pace;
mod perform;
mod place;
mod plan;
mod reads;
mod recent;
mod result;
mod run;
mod start;
mod waits;

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::engine::{Accept, Context, FoundOne};
use crate::error::{BoxError, Error, ErrorKind, Result};
use crate::policy::OnStale;
use crate::region::{Answer, LoadOptions, Loaded};
use crate::timers::has_timers;
use crate::value::serializer::Value;

#[cfg(feature = "blocking")]
pub(crate) use around::AroundLoad;
use call::{Call, Held, Missing};
pub use dependencies::LoadDependencies;
pub(crate) use flights::Flights;
pub(crate) use key::KeySpace;
use loader::{LoadMany, LoadOne, Loader};

/// The value of `key`, from a load function that brings a value or fails.
pub(crate) async fn one<V, F, Fut, E>(
    context: &Arc<Context>,
    flights: &Arc<Flights>,
    key: &str,
    load: F,
) -> Result<Arc<V>>
where
    V: Value,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<V, E>> + Send + 'static,
    E: Into<BoxError> + 'static,
{
    if !context.policy().refreshes_early()
        && let Some(value) = context.near_hit(key)
    {
        return Ok(value);
    }
    let answer = one_not_near(context, flights, "get_or_compute", key, load).await?;
    Ok(answer.into_value())
}

/// As [`one`], and tells how it came by the value.
pub(crate) async fn answer<V, F, Fut, E>(
    context: &Arc<Context>,
    flights: &Arc<Flights>,
    key: &str,
    load: F,
) -> Result<Answer<Arc<V>>>
where
    V: Value,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<V, E>> + Send + 'static,
    E: Into<BoxError> + 'static,
{
    if !context.policy().refreshes_early()
        && let Some(found) = context.find_answer_near(key, Accept::FreshOrStale)
        && let Some(answer) = found.answer().transpose()
    {
        return Ok(answer);
    }
    one_not_near(context, flights, "get_or_compute_answer", key, load).await
}

/// The value of `key`, which was not near when the call began. `operation` is the name that errors say.
async fn one_not_near<V, F, Fut, E>(
    context: &Arc<Context>,
    flights: &Arc<Flights>,
    operation: &'static str,
    key: &str,
    load: F,
) -> Result<Answer<Arc<V>>>
where
    V: Value,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<V, E>> + Send + 'static,
    E: Into<BoxError> + 'static,
{
    let described = |error: Error| error.on(operation, context.path()).at_key(key);
    let mut load = Some(|_| async move { load().await.map(Loaded::new) });
    while let Some(unused) = load.take() {
        let mut unused = Some(unused);
        let mut lent = None;
        let call = Call::start::<V>(context, flights, &[key], Accept::FreshOrStale);
        let loader = || Loader::one(Arc::clone(lent.insert(Arc::new(Mutex::new(unused.take())))));
        let answer = call.one(key, &LoadOptions::new(), loader).await.map_err(described)?;
        if let Some(answer) = answer.transpose() {
            return Ok(answer);
        }
        // Unless its own load function has run, it shared a load that was content with no value.
        load = unused.or_else(|| lent.and_then(|lent| lent.lock().take()));
    }
    Err(described(Error::new(ErrorKind::Load, "the load made no value")))
}

/// The value of `key`, or `None` if the load function says that there is none.
pub(crate) async fn one_with<V: Value>(
    context: &Arc<Context>,
    flights: &Arc<Flights>,
    key: &str,
    options: LoadOptions,
    load: impl LoadOne<V>,
) -> Result<Option<Arc<V>>> {
    if !options.is_reload()
        && !context.policy().refreshes_early()
        && let Some(answer) = context.near_answer(key, Accept::FreshStaleOrAbsent)
    {
        return Ok(answer);
    }
    let call = Call::start::<V>(context, flights, &[key], Accept::FreshStaleOrAbsent);
    let answer = call.one(key, &options, || Loader::one(Arc::new(Mutex::new(Some(load))))).await;
    let described = |error: Error| error.on("get_or_compute_with", context.path()).at_key(key);
    Ok(answer.map_err(described)?.into_value())
}

/// As [`one_with`], and tells how it came by the value.
pub(crate) async fn answer_with<V: Value>(
    context: &Arc<Context>,
    flights: &Arc<Flights>,
    key: &str,
    options: LoadOptions,
    load: impl LoadOne<V>,
) -> Result<Answer<Option<Arc<V>>>> {
    if !options.is_reload()
        && !context.policy().refreshes_early()
        && let Some(found) = context.find_answer_near(key, Accept::FreshStaleOrAbsent)
    {
        return Ok(found.answer());
    }
    let call = Call::start::<V>(context, flights, &[key], Accept::FreshStaleOrAbsent);
    let answer = call.one(key, &options, || Loader::one(Arc::new(Mutex::new(Some(load))))).await;
    let operation = "get_or_compute_answer_with";
    answer.map_err(|error| error.on(operation, context.path()).at_key(key))
}

/// The value of `key` as it is, without waiting for a load. A value that is to be refreshed early, or is
/// stale under [`OnStale::Refresh`], is returned and refreshed in the background.
pub(crate) async fn refresh<V: Value>(
    context: &Arc<Context>,
    flights: &Arc<Flights>,
    key: &str,
    load: impl LoadOne<V>,
) -> Result<Answer<Option<Arc<V>>>> {
    let described = |error: Error| error.on("get", context.path()).at_key(key);
    let mut call = Call::start::<V>(context, flights, &[key], Accept::FreshStaleOrAbsent);
    // A miss is not shared: no load will tell what there is by now.
    let FoundOne { found, outage, counts_as } = call.find_alone(key).await.map_err(described)?;
    let outcome = counts_as.outcome();
    let nothing = || Ok(Answer::new(None, outcome));
    let may_refresh = || outage.is_none() && has_timers();
    let held = match call.held(key, found, outage.as_ref(), outcome) {
        Ok(answer) => return Ok(answer),
        Err(Held::Due(answer, _)) if !may_refresh() => return Ok(answer.map(Some)),
        Err(Held::Stale(_)) if context.policy().on_stale == OnStale::Wait => return nothing(),
        Err(Held::Stale(stale)) if !may_refresh() => {
            context.counters().stale_hits.add(1);
            return Ok(stale.answer());
        }
        Err(Held::Nothing(_) | Held::Ended | Held::Reload) => return nothing(),
        Err(held) => held,
    };
    let loader = || Loader::one(Arc::new(Mutex::new(Some(load))));
    let refreshed = call.load(vec![Missing { key, held }], None, loader).await;
    refreshed.map_err(described)?.pop().map_or_else(nothing, Ok)
}

/// The values of `keys`, in their order. `operation` is the name that errors say.
pub(crate) async fn many<V: Value>(
    context: &Arc<Context>,
    flights: &Arc<Flights>,
    operation: &'static str,
    keys: &[&str],
    options: LoadOptions,
    load: impl LoadMany<V>,
) -> Result<Vec<Option<Arc<V>>>> {
    let described = context.during(operation);
    let unique = unique(keys);
    let mut call = Call::start::<V>(context, flights, &unique, Accept::FreshOrStale);
    call.started_at = Some(Instant::now());
    let (held, outage) = call.held_of_many(&unique, &options).await.map_err(&described)?;
    let mut values: HashMap<&str, Option<Arc<V>>> = HashMap::with_capacity(unique.len());
    let mut missing = Vec::new();
    for (key, held) in unique.into_iter().zip(held) {
        match held {
            Ok(value) => drop(values.insert(key, value)),
            Err(held) => missing.push(Missing { key, held }),
        }
    }
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|missing| missing.key).collect();
        let loaded = call.load(missing, outage, || Loader::many(load)).await;
        let loaded = loaded.map_err(&described)?.into_iter().map(Answer::into_value);
        values.extend(names.into_iter().zip(loaded));
    }
    Ok(keys.iter().map(|key| values.get(key).cloned().flatten()).collect())
}

/// `keys` in order, each once.
fn unique<'a>(keys: &[&'a str]) -> Vec<&'a str> {
    let mut seen = HashSet::with_capacity(keys.len());
    keys.iter().copied().filter(|key| seen.insert(*key)).collect()
}
