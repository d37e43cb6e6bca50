//! Running the loader, and storing what it brings.

use std::sync::Arc;

use tokio::time::Instant;

use super::dependencies::LoadDependencies;
use super::fill::{Fill, Loadable};
use super::lease::extend;
use super::loader::Results;
use super::open::OpenFlight;
use super::place::early;
use super::result::{LoadResult, NewEntry};
use super::run::{GroupTask, fail_all, outcome, timed_out};
use crate::engine::{Chain, Started};
use crate::error::{Error, ErrorKind, Result};
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
            Some(Ok((values, depends_on))) => self.fill(loading, values, depends_on).await,
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
            Some(Ok((results, _))) => {
                for (flight, loaded) in loading.into_iter().zip(results) {
                    let result = LoadResult::of(loaded, flight.previous_value());
                    flight.finish(result.and_then(|result| outcome(result.value)));
                }
            }
            Some(Err(error)) => fail_all(loading, &error),
            None => {}
        }
    }

    /// Runs the loader within the limit of time; `None` once nobody waits any more.
    ///
    /// Also returns what the values depend on; `None`: they must not be stored.
    async fn load(
        &mut self,
        loading: &[OpenFlight<V>],
    ) -> Option<Result<(Results<V>, Option<Vec<DependsOn>>)>> {
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
        let running = limited(self.deadline, chain.run(load));
        let loaded = tokio::select! {
            biased;
            loaded = running => loaded,
            () = self.group.abandoned() => return None,
        };
        let loaded = loaded.and_then(|values| match values.len() == loading.len() {
            true => Ok(values),
            false => Err(Error::new(ErrorKind::Load, "the load answered for other keys")),
        });
        counters.load_time.add(started.elapsed());
        match &loaded {
            Ok(_) => self.flights.load_times.add::<V>(self.context.path(), started.elapsed()),
            Err(_) => counters.load_failures.add(1),
        }
        Some(loaded.map(|values| (values, dependencies.close())))
    }

    async fn fill(
        &mut self,
        loading: Vec<OpenFlight<V>>,
        results: Results<V>,
        depends_on: Option<Vec<DependsOn>>,
    ) {
        let context = Arc::clone(&self.context);
        let mut ended = Vec::with_capacity(results.len());
        for (flight, loaded) in loading.iter().zip(results) {
            let result = LoadResult::of(loaded, flight.previous_value());
            ended.push(result.and_then(|result| {
                let Some(depends_on) = &depends_on else { return Ok((result.value, None)) };
                let entry = match result.entry(&context, flight.key(), depends_on) {
                    Err(error) if error.kind() == ErrorKind::TooLarge => {
                        context.not_stored(flight.key(), &error);
                        None
                    }
                    entry => entry?,
                };
                Ok((result.value, entry))
            }));
        }
        let loadable: Vec<_> = loading.iter().zip(&ended).filter_map(loadable).collect();
        let (leases, outages) = (&mut self.leases, &*self.outages);
        let mut fill = Fill { context: &context, leases, outages };
        // But that of the last call that stored what was loaded.
        self.started = Started::at(fill.store(&loadable).await);
        drop(loadable);
        self.leases.release(loading.iter().map(OpenFlight::key));
        for (flight, ended) in loading.into_iter().zip(ended) {
            match ended {
                Ok((value, entry)) => {
                    let ttl = entry.map_or(context.policy().ttl, |entry| entry.lifetime(&context));
                    flight.loaded(early(&context, None).pause(ttl));
                    flight.finish(outcome(value));
                }
                Err(error) => flight.fail(&context, &error),
            }
        }
    }
}

/// The value of a key after its load, and the entry to store.
type Ended<V> = Result<(Option<Arc<V>>, Option<NewEntry>)>;

fn loadable<'a, V>((flight, ended): (&'a OpenFlight<V>, &'a Ended<V>)) -> Option<Loadable<'a>> {
    let (Ok((_, Some(entry))), Some(fence)) = (ended, &flight.fence) else { return None };
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
