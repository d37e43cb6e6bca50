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
mod waits;

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::engine::{Accept, Chain, Context, Found, FoundOne, LoadId, Started};
use crate::error::{BoxError, Error, ErrorKind, Result};
use crate::path::check_key;
use crate::policy::OnStale;
use crate::region::{LoadOptions, Loaded};
use crate::stats::MissReason;
use crate::store::LeaseToken;
use crate::timers::has_timers;
use crate::value::serializer::Value;

use dependencies::Declared;
pub use dependencies::LoadDependencies;
use flight::{Group, Tick, Waiter};
pub(crate) use flights::Flights;
use flights::{Joining, Start};
use lease::Leases;
use loader::Loader;
use open::{OpenFlight, Stale};
use reads::{Answer, Reader, shared_found};
use run::GroupTask;

/// One call that may have to load.
struct Call<'a> {
    context: &'a Arc<Context>,
    flights: &'a Arc<Flights>,
    started: Tick,
    /// The time at which the call began; `None` until it first waits, for a call that finds its value at once
    /// has no use for it.
    started_at: Option<Instant>,
    accept: Accept,
    /// Keeps the loads that were under way when the call started alive while it reads, if there are some.
    holds: Option<HashMap<String, Waiter>>,
    /// The call's part in a shared lookup. Until the load is joined or started, those who come later learn
    /// that there is no value.
    reading: Option<Box<Reader<'a>>>,
    /// The regions that the loaded value depends on.
    declared: Option<Box<Declared>>,
}

/// A key to load.
struct Missing<'a, V> {
    key: &'a str,
    held: Held<V>,
}

/// The value of a key to load.
enum Held<V> {
    Nothing,
    /// A value that is fresh by itself, and a miss for the sake of what it depends on.
    Ended,
    /// Whatever there is, a value is wanted that is loaded from now on.
    Reload,
    /// A value to make do with while another loads.
    Stale(Stale<V>),
    /// A fresh value that ends within this time, and is to be refreshed early.
    Due(Arc<V>, Duration),
}

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
    let described = |error: Error| error.on("get_or_compute", context.path()).at_key(key);
    if !context.policy().refreshes_early()
        && let Some(value) = context.near_hit(key)
    {
        return Ok(value);
    }
    let mut load = Some(|_| async move { load().await.map(Loaded::new) });
    while let Some(unused) = load.take() {
        let mut unused = Some(unused);
        let mut lent = None;
        let call = Call::start::<V>(context, flights, &[key], Accept::FreshOrStale);
        let loader = || Loader::one(Arc::clone(lent.insert(Arc::new(Mutex::new(unused.take())))));
        if let Some(value) = call.one(key, &LoadOptions::new(), loader).await.map_err(described)? {
            return Ok(value);
        }
        // Unless its own load function has run, it shared a load that was content with no value.
        load = unused.or_else(|| lent.and_then(|lent| lent.lock().take()));
    }
    Err(described(Error::new(ErrorKind::Load, "the load made no value")))
}

/// The value of `key`, or `None` if the load function says that there is none.
pub(crate) async fn one_with<V, F, Fut, E>(
    context: &Arc<Context>,
    flights: &Arc<Flights>,
    key: &str,
    options: LoadOptions,
    load: F,
) -> Result<Option<Arc<V>>>
where
    V: Value,
    F: FnOnce(Option<Arc<V>>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    E: Into<BoxError> + 'static,
{
    let described = |error: Error| error.on("get_or_compute_with", context.path()).at_key(key);
    if !options.is_reload()
        && !context.policy().refreshes_early()
        && let Some(answer) = context.near_answer(key, Accept::FreshStaleOrAbsent)
    {
        return Ok(answer);
    }
    let call = Call::start::<V>(context, flights, &[key], Accept::FreshStaleOrAbsent);
    call.one(key, &options, || Loader::one(Arc::new(Mutex::new(Some(load)))))
        .await
        .map_err(described)
}

/// The value of `key` as it is, without waiting for a load. A value that is to be refreshed early, or is
/// stale under [`OnStale::Refresh`], is returned and refreshed in the background.
pub(crate) async fn refresh<V, F, Fut, E>(
    context: &Arc<Context>,
    flights: &Arc<Flights>,
    key: &str,
    load: F,
) -> Result<Option<Arc<V>>>
where
    V: Value,
    F: FnOnce(Option<Arc<V>>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    E: Into<BoxError> + 'static,
{
    let described = |error: Error| error.on("get", context.path()).at_key(key);
    let mut call = Call::start::<V>(context, flights, &[key], Accept::FreshStaleOrAbsent);
    // A miss is not shared: no load will tell what there is by now.
    let (found, outage) = call.find_alone(key).await.map_err(described)?;
    let may_refresh = || outage.is_none() && has_timers();
    let held = match call.held(key, found, outage.as_ref()) {
        Ok(value) => return Ok(value),
        Err(Held::Due(value, _)) if !may_refresh() => return Ok(Some(value)),
        Err(Held::Stale(_)) if context.policy().on_stale == OnStale::Wait => return Ok(None),
        Err(Held::Stale(stale)) if !may_refresh() => {
            context.counters().stale_hits.add(1);
            return Ok(Some(Arc::clone(stale.value())));
        }
        Err(Held::Nothing | Held::Ended | Held::Reload) => return Ok(None),
        Err(held) => held,
    };
    let loader = || Loader::one(Arc::new(Mutex::new(Some(load))));
    let refreshed = call.load(vec![Missing { key, held }], None, loader).await;
    Ok(refreshed.map_err(described)?.pop().flatten())
}

/// The values of `keys`, in their order. `operation` is the name that errors say.
pub(crate) async fn many<V, F, Fut, E, S>(
    context: &Arc<Context>,
    flights: &Arc<Flights>,
    operation: &'static str,
    keys: &[&str],
    options: LoadOptions,
    load: F,
) -> Result<Vec<Option<Arc<V>>>>
where
    V: Value,
    F: FnMut(Vec<String>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<HashMap<String, V, S>, E>> + Send + 'static,
    E: Into<BoxError> + 'static,
    S: BuildHasher + Send + 'static,
{
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
        values.extend(names.into_iter().zip(loaded.map_err(&described)?));
    }
    Ok(keys.iter().map(|key| values.get(key).cloned().flatten()).collect())
}

/// `keys` in order, each once.
fn unique<'a>(keys: &[&'a str]) -> Vec<&'a str> {
    let mut seen = HashSet::with_capacity(keys.len());
    keys.iter().copied().filter(|key| seen.insert(*key)).collect()
}

impl<'a> Call<'a> {
    fn start<V: Value>(
        context: &'a Arc<Context>,
        flights: &'a Arc<Flights>,
        keys: &[&str],
        accept: Accept,
    ) -> Self {
        let mut holds = None;
        for key in keys {
            if let Some(hold) = flights.hold::<V>(context.path(), key) {
                holds.get_or_insert_with(HashMap::new).insert((*key).to_owned(), hold);
            }
        }
        let started = flights.tick();
        let (started_at, reading, declared) = (None, None, None);
        Self { context, flights, started, started_at, accept, holds, reading, declared }
    }

    /// The value of the call's only key.
    async fn one<V: Value>(
        mut self,
        key: &str,
        options: &LoadOptions,
        loader: impl FnOnce() -> Loader<V>,
    ) -> Result<Option<Arc<V>>> {
        if !options.dependencies().is_empty() {
            self.declared = Declared::new(self.context, options.dependencies())?;
        }
        let (held, outage) = match options.is_reload() {
            true => {
                check_key(key)?;
                (Held::Reload, None)
            }
            false if self.shows_a_miss(key) => {
                self.context.counters().misses(MissReason::Absent).add(1);
                (Held::Nothing, None)
            }
            false => {
                let (found, outage) = match self.finds_alone() {
                    true => self.find_alone(key).await?,
                    // Boxed, so that the future of a hit stays small.
                    false => Box::pin(self.find(key)).await?,
                };
                match self.held(key, found, outage.as_ref()) {
                    Ok(value) => return Ok(value),
                    Err(held) => (held, outage),
                }
            }
        };
        // Boxed, so that the future of a hit stays small.
        let loaded = Box::pin(self.load(vec![Missing { key, held }], outage, loader));
        Ok(loaded.await?.pop().flatten())
    }

    /// The values that are there of `keys`, each once, or what a load starts from.
    async fn held_of_many<V: Value>(
        &mut self,
        keys: &[&str],
        options: &LoadOptions,
    ) -> Result<(Vec<Result<Option<Arc<V>>, Held<V>>>, Option<Error>)> {
        self.declared = Declared::new(self.context, options.dependencies())?;
        if options.is_reload() {
            keys.iter().try_for_each(|key| check_key(key))?;
            return Ok((keys.iter().map(|_| Err(Held::Reload)).collect(), None));
        }
        let started = Started::at(self.started_at);
        let (found, outage) = match &mut self.declared {
            None => self.context.find_many(keys, self.accept, started).await?,
            Some(declared) => {
                let (context, regions) = (self.context, &declared.regions);
                let finding = context.find_many_beside_markers(keys, self.accept, regions, started);
                let (found, outage, seen) = Box::pin(finding).await?;
                declared.seen = seen;
                (found, outage)
            }
        };
        let each = keys.iter().zip(found);
        let held = each.map(|(key, found)| self.held(key, found, outage.as_ref())).collect();
        Ok((held, outage))
    }

    /// Returns true if a load under way shows that there is no value at `key`: then the call need not read,
    /// for that load, or the question whether it may be shared, shows whatever there is by now.
    fn shows_a_miss(&self, key: &str) -> bool {
        // A load within a load has to know of an outage at once. What is refreshed early may be held near.
        let hold = self.holds.as_ref().and_then(|holds| holds.get(key));
        hold.is_some_and(|hold| hold.flight().shows_a_miss())
            && !self.context.policy().refreshes_early()
            && Chain::current().is_none()
    }

    /// Looks up the value at `key` for this caller alone.
    async fn find_alone<V: Value>(&mut self, key: &str) -> Result<(Found<V>, Option<Error>)> {
        let mut started = Started::default();
        let found = self.context.find(key, self.accept, &mut started).await;
        self.started_at = started.noted();
        found
    }

    /// Returns true if the call need not look beyond its own key, and no other could share what it finds.
    fn finds_alone(&self) -> bool {
        // A store that answers at once is asked at once. A load within a load has to know of an outage itself.
        self.declared.is_none()
            && (self.context.engine().is_immediate() || Chain::current().is_some())
    }

    /// Looks up the value at `key`. Markers of the regions that were declared are read at the same time.
    async fn find<V: Value>(&mut self, key: &str) -> Result<(Found<V>, Option<Error>)> {
        let Some(declared) = &mut self.declared else { return self.find_shared(key).await };
        let started = Started::now();
        self.started_at = started.noted();
        let regions = &declared.regions;
        let finding = self.context.find_beside_markers(key, self.accept, regions, started);
        let (found, outage, seen) = finding.await?;
        declared.seen = seen;
        Ok((found, outage))
    }

    /// Does the same by a lookup that begins after this call, and that other callers share.
    async fn find_shared<V: Value>(&mut self, key: &str) -> Result<(Found<V>, Option<Error>)> {
        check_key(key)?;
        if self.context.policy().refreshes_early()
            && let Some(found) = self.context.find_near(key, self.accept)
        {
            return Ok((found, None));
        }
        self.started_at = Some(Instant::now());
        let reader = Reader::join::<V>(self.context, self.flights, key, self.accept);
        let one = match reader.answer().await {
            Answer::Found(found) | Answer::TimedOut(found) => shared_found::<V>(&found)?,
            Answer::Missing => FoundOne::missing(),
            // Whatever panics does so in each caller.
            Answer::Panicked => {
                let started = Started::at(self.started_at);
                self.context.find_one(key, self.accept, started).await?
            }
        };
        self.context.count_one(one.counts_as);
        if one.is_missing() {
            // Those who wait for it may go away before this call joins it.
            if let Some(hold) = reader.hold() {
                self.holds.get_or_insert_with(HashMap::new).insert(key.to_owned(), hold);
            }
            self.reading = Some(Box::new(reader));
        }
        Ok((one.found, one.outage))
    }

    fn started_at(&self) -> Instant {
        self.started_at.unwrap_or_else(Instant::now)
    }

    /// The fresh value that was found at `key`, or else what a load starts from. In an outage nothing is
    /// refreshed early, for it could not be stored.
    fn held<V: Value>(
        &self,
        key: &str,
        found: Found<V>,
        outage: Option<&Error>,
    ) -> Result<Option<Arc<V>>, Held<V>> {
        match found {
            Found::Absent => Ok(None),
            Found::Fresh(value, _) if outage.is_some() => Ok(Some(value)),
            Found::Fresh(value, left) => match self.due::<V>(key, left) {
                None => Ok(Some(value)),
                Some(lead) => Err(Held::Due(value, lead)),
            },
            Found::Stale(value, left) => Err(Held::Stale(Stale::for_time(value, left))),
            Found::Nothing(MissReason::Dependency) => Err(Held::Ended),
            Found::Nothing(_) | Found::Depending(_) => Err(Held::Nothing),
        }
    }

    /// Joins the loads under way for the missing keys and starts one for the others; their values in
    /// the keys' order. `outage` is the one that the read met: then the store is not asked again.
    ///
    /// # Cancel safety
    /// Dropping it ends this call's waiting. A load that nobody else waits for is dropped.
    async fn load<V: Value>(
        mut self,
        missing: Vec<Missing<'_, V>>,
        outage: Option<Error>,
        loader: impl FnOnce() -> Loader<V>,
    ) -> Result<Vec<Option<Arc<V>>>> {
        let runtime = Handle::try_current().map_err(no_runtime)?;
        if !has_timers() {
            return Err(no_timers());
        }
        let chain = Chain::current();
        let start = if outage.is_some() { Start::Loading } else { Start::Asking };
        if let (Start::Loading, Some(chain)) = (start, &chain) {
            self.refuse_cycles(chain, &missing)?;
        }
        let token = LeaseToken::from_bits(self.context.engine().random.bits());
        let mut joining = Joining::new(self.flights, self.started, start, Group::new(token));
        let mut places = Vec::with_capacity(missing.len());
        let mut ended = HashSet::new();
        for Missing { key, held } in missing {
            if matches!(held, Held::Ended) {
                ended.insert(key);
            }
            places.push((key, self.place(&mut joining, key, held)));
        }
        let inside = chain.as_ref().map(|chain| Arc::clone(chain.load()));
        if joining.has_started() {
            joining.tell_readers();
            let declared = self.declared.take();
            let mut task = self.task(joining, loader(), chain, declared);
            task.insist_on(&ended);
            if let Some(outage) = &outage {
                task.outages.remember(&self.context.engine().store, outage);
            }
            task.spawn(&runtime, start);
        }
        self.reading = None;
        let mut values = Vec::with_capacity(places.len());
        for (key, place) in places {
            values.push(self.value_at(key, place, inside.as_ref()).await?);
        }
        Ok(values)
    }

    /// Without the store nothing tells that a load is called from inside itself, so it is looked for.
    fn refuse_cycles<V: Value>(&self, chain: &Chain, missing: &[Missing<'_, V>]) -> Result<()> {
        for Missing { key, .. } in missing {
            if let Some(loads) = chain.loads_since::<V>(self.context, key) {
                let mut names = loads.iter().skip(1).map(ToString::to_string);
                return Err(waits::cycle(&loads[0], &mut names));
            }
        }
        Ok(())
    }

    fn task<V: Value>(
        &self,
        joining: Joining<'_>,
        loader: Loader<V>,
        chain: Option<Arc<Chain>>,
        declared: Option<Box<Declared>>,
    ) -> GroupTask<V> {
        let (group, new) = joining.into_new();
        let new = new.into_iter().map(|new| OpenFlight::new(self.flights, new));
        let open: Vec<_> = new.collect();
        let keys = open.iter().map(OpenFlight::key);
        let limit = self.context.policy().load_timeout.duration();
        GroupTask {
            context: Arc::clone(self.context),
            flights: Arc::clone(self.flights),
            id: Arc::new(LoadId::new::<V>(group.token, self.context, keys)),
            leases: Leases::new(self.context, group.token),
            group,
            accept: self.accept,
            loader,
            declared,
            is_crowded: self.reading.as_ref().is_some_and(|reader| reader.has_company()),
            outages: chain.as_ref().map(|chain| Arc::clone(chain.outages())).unwrap_or_default(),
            chain,
            deadline: limit.and_then(|limit| Instant::now().checked_add(limit)),
            started: Started::at(Some(self.started_at())),
            open,
        }
    }
}

fn no_runtime(error: tokio::runtime::TryCurrentError) -> Error {
    Error::new(ErrorKind::Load, "a load needs a tokio runtime, and there is none here")
        .with_source(error)
}

fn no_timers() -> Error {
    let message =
        "a load needs timers, and the tokio runtime has no timers: build it with enable_time";
    Error::new(ErrorKind::Load, message)
}
