//! Running the loader, and storing what it brings.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::brought::{Brought, Stored};
use super::dependencies::LoadDependencies;
use super::fill::{Fill, Loadable};
use super::lease::extend;
use super::loader::Results;
use super::open::OpenFlight;
use super::place::early;
use super::result::{LoadResult, NewEntry};
use super::run::{GroupTask, fail_all, timed_out};
use crate::engine::{Chain, Context, LoadWatch, Started};
use crate::error::{Error, ErrorKind, Result};
use crate::region::UncachedReason;
use crate::value::dependencies::DependsOn;
use crate::value::serializer::Value;

impl<V: Value> GroupTask<V> {
    /// Loads and fills; gives up if nobody waits any more.
    pub(super) async fn load_fenced(&mut self, loading: Vec<OpenFlight<V>>) {
        if loading.is_empty() {
            return;
        }
        let keys: Vec<_> = loading.iter().map(OpenFlight::key).collect();
        let (context, token) = (Arc::clone(&self.context), self.leases.token());
        let loaded = tokio::select! {
            biased;
            loaded = self.load(&loading) => loaded,
            never = extend(&context, token, &keys) => match never {},
        };
        // A load has taken its own time: the questions after it do not share the limit of those before.
        self.started = Started::default();
        match loaded {
            Some(Ok(loaded)) => self.fill(loading, loaded).await,
            Some(Err(error)) => {
                self.leases.release(keys);
                loading.into_iter().for_each(|flight| flight.fail(&context, &error));
            }
            None => {
                tracing::debug!(region = %context.path(), ?keys, "load abandoned");
                self.leases.release(keys);
            }
        }
    }

    /// Loads without the store: the values go to their callers alone.
    pub(super) async fn load_unfenced(&mut self, mut loading: Vec<OpenFlight<V>>) {
        loading.iter_mut().for_each(|flight| flight.loading(None, None));
        match self.load(&loading).await {
            Some(Ok(Loading { results, began, .. })) => {
                for (flight, loaded) in loading.into_iter().zip(results) {
                    let result = LoadResult::of(loaded, flight.previous_value());
                    flight.finish(result.map(|result| {
                        let reason = result.declined().unwrap_or(UncachedReason::StoreFailed);
                        Brought::loaded(result.value, Err(reason), Some(began))
                    }));
                }
            }
            Some(Err(error)) => fail_all(loading, &error),
            None => {}
        }
    }

    /// Runs the loader within the limit of time; `None` once nobody waits any more.
    async fn load(&mut self, loading: &[OpenFlight<V>]) -> Option<Result<Loading<V>>> {
        if self.group.is_abandoned() {
            return None;
        }
        let counters = self.context.counters();
        counters.loads.add(1);
        let chain =
            Chain::extend(Arc::clone(&self.id), Arc::clone(&self.outages), self.chain.clone());
        let keys = loading.iter().map(OpenFlight::to_load).collect();
        let is_fenced = loading.iter().any(|flight| flight.fence.is_some());
        let dependencies = LoadDependencies::new(&self.context, &self.group, is_fenced);
        let started = Instant::now();
        let load = dependencies.run(self.declared.as_deref(), self.started, self.loader.load(keys));
        let watch = LoadWatch::start(&self.context, loading.len());
        let running = limited(self.deadline, watch.run(chain.run(load)));
        let loaded = tokio::select! {
            biased;
            loaded = running => loaded,
            () = self.group.abandoned() => return None,
        };
        let loaded = loaded.and_then(|values| match values.len() == loading.len() {
            true => Ok(values),
            false => Err(Error::new(ErrorKind::Load, "the load answered for other keys")),
        });
        let time = started.elapsed();
        counters.load_time.add(time);
        watch.ended(&self.context, time, loaded.is_ok());
        match &loaded {
            Ok(_) => self.flights.load_times.add::<V>(self.context.path(), time),
            Err(_) => counters.load_failures.add(1),
        }
        Some(loaded.map(|results| Loading {
            results,
            depends_on: dependencies.close(),
            began: started,
        }))
    }

    async fn fill(
        &mut self,
        loading: Vec<OpenFlight<V>>,
        Loading { results, depends_on, began }: Loading<V>,
    ) {
        let context = Arc::clone(&self.context);
        let each = loading.iter().zip(results);
        let ended = each.map(|(flight, loaded)| {
            let result = LoadResult::of(loaded, flight.previous_value())?;
            let depends_on = depends_on.as_deref();
            let entry = entry_of(&context, flight.key(), &result, depends_on, began.elapsed())?;
            Ok((result.value, entry))
        });
        let ended: Vec<Ended<V>> = ended.collect();
        let loadable: Vec<_> = loading.iter().zip(&ended).filter_map(loadable).collect();
        let (leases, outages) = (&mut self.leases, &*self.outages);
        let mut fill = Fill { context: &context, leases, outages };
        // But that of the last call that stored what was loaded.
        let filled = fill.store(&loadable).await;
        self.started = Started::at(filled.last_step);
        let fates = loading.iter().map(|flight| filled.of(flight.key()));
        let fates: Vec<Stored> = fates.collect();
        drop((filled, loadable));
        self.leases.release(loading.iter().map(OpenFlight::key));
        for ((flight, ended), fate) in loading.into_iter().zip(ended).zip(fates) {
            match ended {
                Ok((value, entry)) => {
                    let (ttl, stored) = match entry {
                        Ok(entry) => (entry.lifetime(&context), fate),
                        Err(reason) => (context.policy().ttl, Err(reason)),
                    };
                    flight.loaded(early(&context, None).pause(ttl));
                    flight.finish(Ok(Brought::loaded(value, stored, Some(began))));
                }
                Err(error) => flight.fail(&context, &error),
            }
        }
    }
}

/// The results of a load.
struct Loading<V> {
    results: Results<V>,
    /// The regions that they depend on; `None`: that is not known, so they must not be stored.
    depends_on: Option<Vec<DependsOn>>,
    /// The time at which the load began.
    began: Instant,
}

/// The value of a key after its load, and the entry to store or the reason for which there is none.
type Ended<V> = Result<(Option<Arc<V>>, Result<NewEntry, UncachedReason>)>;

/// The entry to store for a loaded value.
fn entry_of<V: Value>(
    context: &Context,
    key: &str,
    result: &LoadResult<V>,
    depends_on: Option<&[DependsOn]>,
    took: Duration,
) -> Result<Result<NewEntry, UncachedReason>> {
    if let Some(declined) = result.declined() {
        return Ok(Err(declined));
    }
    let Some(depends_on) = depends_on else { return Ok(Err(UncachedReason::UnknownDependency)) };
    match result.entry(context, key, depends_on, took) {
        Err(error) if error.kind() == ErrorKind::TooLarge => {
            context.not_stored(key, &error);
            Ok(Err(UncachedReason::TooLarge))
        }
        entry => Ok(entry?.ok_or(UncachedReason::Declined)),
    }
}

fn loadable<'a, V>((flight, ended): (&'a OpenFlight<V>, &'a Ended<V>)) -> Option<Loadable<'a>> {
    let (Ok((_, Ok(entry))), Some(fence)) = (ended, &flight.fence) else { return None };
    let (key, lineage, bytes) = (flight.key(), &fence.lineage, entry.bytes.clone());
    Some(Loadable { key, bytes, lineage, ttl: entry.ttl, content: entry.content })
}

async fn limited<T>(deadline: Option<Instant>, load: impl Future<Output = Result<T>>) -> Result<T> {
    match deadline {
        None => load.await,
        Some(deadline) => {
            tokio::time::timeout_at(deadline, load).await.unwrap_or_else(|_| Err(timed_out()))
        }
    }
}
