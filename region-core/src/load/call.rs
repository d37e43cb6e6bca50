//! A call that may have to load: it looks its keys up first.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::dependencies::Declared;
use super::flight::{Tick, Waiter};
use super::flights::Flights;
use super::key::KeySpace;
use super::loader::Loader;
use super::open::Stale;
use super::reads::{ReadAnswer, Reader, shared_found};
use crate::engine::{Accept, Chain, Context, CountsAs, Found, FoundOne, Started};
use crate::error::{Error, ErrorKind, Result};
use crate::path::check_key;
use crate::region::{Answer, LoadOptions, Outcome};
use crate::stats::MissReason;
use crate::value::serializer::Value;

/// One call that may have to load.
pub(super) struct Call<'a> {
    pub(super) context: &'a Arc<Context>,
    pub(super) flights: &'a Arc<Flights>,
    pub(super) started: Tick,
    /// The time at which the call began; `None` until it first waits, for a call that finds its value at once
    /// has no use for it.
    pub(super) started_at: Option<Instant>,
    pub(super) accept: Accept,
    /// Keeps the loads that were under way when the call started alive while it reads, if there are some.
    pub(super) holds: Option<HashMap<String, Waiter>>,
    /// The call's part in a shared lookup. Until the load is joined or started, those who come later learn
    /// that there is no value.
    pub(super) reading: Option<Box<Reader<'a>>>,
    /// The regions that the loaded value depends on.
    pub(super) declared: Option<Box<Declared>>,
}

/// A key to load.
pub(super) struct Missing<'a, V> {
    pub(super) key: &'a str,
    pub(super) held: Held<V>,
}

/// The value of a key to load.
pub(super) enum Held<V> {
    Nothing(MissReason),
    /// A value that is fresh by itself, and a miss for the sake of what it depends on.
    Ended,
    /// Whatever there is, a value is wanted that is loaded from now on.
    Reload,
    /// A value to make do with while another loads.
    Stale(Stale<V>),
    /// A fresh value that ends within this time, and is to be refreshed early.
    Due(Answer<Arc<V>>, Duration),
}

impl<'a> Call<'a> {
    pub(super) fn start<V: Value>(
        context: &'a Arc<Context>,
        flights: &'a Arc<Flights>,
        keys: &[&str],
        accept: Accept,
    ) -> Self {
        let mut holds = None;
        for key in keys {
            if let Some(hold) = flights.hold::<V>(KeySpace::of(context), key) {
                holds.get_or_insert_with(HashMap::new).insert((*key).to_owned(), hold);
            }
        }
        let started = flights.tick();
        let (started_at, reading, declared) = (None, None, None);
        Self { context, flights, started, started_at, accept, holds, reading, declared }
    }

    /// The value of the call's only key.
    pub(super) async fn one<V: Value>(
        mut self,
        key: &str,
        options: &LoadOptions,
        loader: impl FnOnce() -> Loader<V>,
    ) -> Result<Answer<Option<Arc<V>>>> {
        if !options.dependencies().is_empty() {
            self.declared = Declared::new(self.context, options.dependencies())?;
        }
        let (held, outage) = match options.is_reload() {
            true => {
                check_key(key)?;
                (Held::Reload, None)
            }
            false => match self.shown_miss(key) {
                Some(reason) => {
                    self.context.count_one(CountsAs::Miss(reason));
                    (Held::Nothing(reason), None)
                }
                None => {
                    let one = match self.finds_alone() {
                        true => self.find_alone(key).await?,
                        // Boxed, so that the future of a hit stays small.
                        false => Box::pin(self.find(key)).await?,
                    };
                    let (outcome, outage) = (one.counts_as.outcome(), one.outage);
                    match self.held(key, one.found, outage.as_ref(), outcome) {
                        Ok(answer) => return Ok(answer),
                        Err(held) => (held, outage),
                    }
                }
            },
        };
        // Boxed, so that the future of a hit stays small.
        let loaded = Box::pin(self.load(vec![Missing { key, held }], outage, loader));
        let answer = loaded.await?.pop();
        answer.ok_or_else(|| Error::new(ErrorKind::Load, "the load has answered for no key"))
    }

    /// The values that are there of `keys`, each once, or what a load starts from.
    pub(super) async fn held_of_many<V: Value>(
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
        let held = keys.iter().zip(found).map(|(key, found)| {
            // Which of them were held near is known for all of them together, and nobody asks.
            let held = self.held(key, found, outage.as_ref(), Outcome::Hit);
            held.map(Answer::into_value)
        });
        Ok((held.collect(), outage))
    }

    /// The reason for which there is no value at `key`, if a load under way shows that: then the call need
    /// not read, for that load, or the question whether it may be shared, shows whatever there is by now.
    fn shown_miss(&self, key: &str) -> Option<MissReason> {
        let reason = self.holds.as_ref()?.get(key)?.flight().shown_miss()?;
        // A load within a load has to know of an outage at once. What is refreshed early may be held near.
        let may_do_without = !self.context.policy().refreshes_early() && Chain::current().is_none();
        may_do_without.then_some(reason)
    }

    /// Looks up the value at `key` for this caller alone.
    pub(super) async fn find_alone<V: Value>(&mut self, key: &str) -> Result<FoundOne<V>> {
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
    async fn find<V: Value>(&mut self, key: &str) -> Result<FoundOne<V>> {
        let Some(declared) = &mut self.declared else { return self.find_shared(key).await };
        let started = Started::now();
        self.started_at = started.noted();
        let regions = &declared.regions;
        let finding = self.context.find_beside_markers(key, self.accept, regions, started);
        let (found, seen) = finding.await?;
        declared.seen = seen;
        Ok(found)
    }

    /// Does the same by a lookup that begins after this call, and that other callers share.
    pub(super) async fn find_shared<V: Value>(&mut self, key: &str) -> Result<FoundOne<V>> {
        check_key(key)?;
        if self.context.policy().refreshes_early()
            && let Some(found) = self.context.find_near(key, self.accept)
        {
            return Ok(found);
        }
        self.started_at = Some(Instant::now());
        let reader = Reader::join::<V>(self.context, self.flights, key, self.accept);
        let one = match reader.answer().await {
            ReadAnswer::Found(found) | ReadAnswer::TimedOut(found) => shared_found::<V>(&found)?,
            ReadAnswer::Missing(reason) => FoundOne::missing(reason),
            // Whatever panics does so in each caller.
            ReadAnswer::Panicked => {
                let started = Started::at(self.started_at);
                self.context.find_one(key, self.accept, started).await?
            }
        };
        self.context.count_one(one.counts_as);
        if one.missed().is_some() {
            // Those who wait for it may go away before this call joins it.
            if let Some(hold) = reader.hold() {
                self.holds.get_or_insert_with(HashMap::new).insert(key.to_owned(), hold);
            }
            self.reading = Some(Box::new(reader));
        }
        Ok(one)
    }

    pub(super) fn started_at(&self) -> Instant {
        self.started_at.unwrap_or_else(Instant::now)
    }

    /// The fresh value that was found at `key`, or else what a load starts from. In an outage nothing is
    /// refreshed early, for it could not be stored. `outcome` is that of the lookup.
    pub(super) fn held<V: Value>(
        &self,
        key: &str,
        found: Found<V>,
        outage: Option<&Error>,
        outcome: Outcome,
    ) -> Result<Answer<Option<Arc<V>>>, Held<V>> {
        match found {
            Found::Absent => Ok(Answer::new(None, outcome)),
            Found::Fresh(value, times) => {
                let answer = times.tell(Answer::new(value, outcome));
                match outage.map_or_else(|| self.due::<V>(key, times.left), |_| None) {
                    None => Ok(answer.map(Some)),
                    Some(lead) => Err(Held::Due(answer, lead)),
                }
            }
            Found::Stale(value, times) => Err(Held::Stale(Stale::new(value, times))),
            Found::Nothing(MissReason::Dependency) => Err(Held::Ended),
            Found::Nothing(reason) => Err(Held::Nothing(reason)),
            Found::Depending(_) => Err(Held::Nothing(MissReason::Dependency)),
        }
    }
}
