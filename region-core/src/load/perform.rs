//! Running the loader, and storing what it brings.

use std::sync::Arc;

use tokio::time::Instant;

use super::fill::{Fill, Loadable};
use super::lease::extend;
use super::loader::Loaded;
use super::open::OpenFlight;
use super::place::early;
use super::run::{GroupTask, fail_all, outcome, timed_out};
use crate::engine::Chain;
use crate::error::{Error, ErrorKind, Result};
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
            loaded = self.load(&keys) => loaded,
            never = extend(&context, token, &keys) => match never {},
        };
        match loaded {
            Some(Ok(values)) => self.fill(loading, values).await,
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
        let keys: Vec<_> = loading.iter().map(OpenFlight::key).collect();
        match self.load(&keys).await {
            Some(Ok(values)) => {
                for (flight, value) in loading.into_iter().zip(values) {
                    match value {
                        Loaded::Value(value) => flight.finish(outcome(Some(Arc::new(value)))),
                        Loaded::Absent => flight.finish(Ok(None)),
                    }
                }
            }
            Some(Err(error)) => fail_all(loading, &error),
            None => {}
        }
    }

    /// Runs the loader within the limit of time; `None` once nobody waits any more.
    async fn load(&mut self, keys: &[&str]) -> Option<Result<Vec<Loaded<V>>>> {
        if self.group.is_abandoned() {
            return None;
        }
        let counters = self.context.counters();
        counters.loads.add(1);
        let chain =
            Chain::extend(Arc::clone(&self.id), Arc::clone(&self.outages), self.chain.clone());
        let names = keys.iter().map(|key| (*key).to_owned()).collect();
        let started = Instant::now();
        let loading = limited(self.deadline, chain.run(self.loader.load(names)));
        let loaded = tokio::select! {
            loaded = loading => loaded,
            () = self.group.abandoned() => return None,
        };
        let loaded = loaded.and_then(|values| match values.len() == keys.len() {
            true => Ok(values),
            false => Err(Error::new(ErrorKind::Load, "the load answered for other keys")),
        });
        match &loaded {
            Ok(_) => self.flights.load_times.add::<V>(self.context.path(), started.elapsed()),
            Err(_) => counters.load_failures.add(1),
        }
        Some(loaded)
    }

    async fn fill(&mut self, loading: Vec<OpenFlight<V>>, values: Vec<Loaded<V>>) {
        let mut loadable = Vec::with_capacity(values.len());
        let mut outcomes = Vec::with_capacity(values.len());
        for (flight, value) in loading.iter().zip(values) {
            let (Loaded::Value(value), Some(fence)) = (value, &flight.fence) else {
                outcomes.push(Ok(None));
                continue;
            };
            let (key, lineage) = (flight.key(), &fence.lineage);
            outcomes.push(match self.context.codec().encode(key, &value) {
                Ok(bytes) => {
                    loadable.push(Loadable { key, bytes, lineage });
                    outcome(Some(Arc::new(value)))
                }
                Err(error) if error.kind() == ErrorKind::TooLarge => {
                    self.context.not_stored(key, &error);
                    outcome(Some(Arc::new(value)))
                }
                Err(error) => Err(error),
            });
        }
        let (context, leases, outages) = (&*self.context, &mut self.leases, &*self.outages);
        Fill { context, leases, outages }.store(&loadable).await;
        self.leases.release(loading.iter().map(OpenFlight::key));
        let pause = early(&self.context, None).pause(self.context.policy().ttl);
        for (flight, outcome) in loading.into_iter().zip(outcomes) {
            flight.loaded(pause);
            flight.finish(outcome);
        }
    }
}

async fn limited<T>(deadline: Option<Instant>, load: impl Future<Output = Result<T>>) -> Result<T> {
    match deadline {
        None => load.await,
        Some(deadline) => {
            tokio::time::timeout_at(deadline, load).await.unwrap_or_else(|_| Err(timed_out()))
        }
    }
}
