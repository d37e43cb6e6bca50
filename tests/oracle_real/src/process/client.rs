//! A client: one operation after the other on one cache.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use region_cache::{LoadOptions, Region, RegionExt, RegionHandle, Result, SetOptions};

use super::draw::Draw;
use super::loader::Loader;
use super::shared::Shared;
use crate::event::{Action, Load, OpId, Outcome, Place, Verb, What};
use crate::item::{Item, Kind, Small, ValueId, Wide, found};

/// Of so many operations one is dropped half-way.
const DROPPED_OF: u32 = 12;

/// The longest time after which it is dropped, in microseconds.
const DROPPED_WITHIN: u64 = 3000;

/// A client of one cache.
pub(super) struct Client {
    shared: Arc<Shared>,
    cache: usize,
}

/// One operation.
struct Op<'c> {
    client: &'c Client,
    id: OpId,
    loads: Arc<AtomicU64>,
}

/// The type of a new value follows from its name.
fn kind_of(id: ValueId) -> Kind {
    const WIDE_OF: u64 = 10;
    if id.is_multiple_of(WIDE_OF) { Kind::Wide } else { Kind::Small }
}

impl Client {
    pub(super) fn new(shared: &Arc<Shared>, cache: usize) -> Self {
        Self { shared: Arc::clone(shared), cache }
    }

    /// Operates until the process shall rest.
    pub(super) async fn run(self, seed: u64, pause: u64) {
        let mut draw = Draw::new(seed);
        let mut rng = SmallRng::seed_from_u64(!seed);
        while !self.shared.rests.load(Ordering::SeqCst) {
            let action = draw.action(&|| self.shared.new_id());
            let drop_after = rng
                .random_ratio(1, DROPPED_OF)
                .then(|| Duration::from_micros(rng.random_range(0..DROPPED_WITHIN)));
            self.perform(action, drop_after).await;
            match rng.random_range(0..=pause) {
                0..500 => tokio::task::yield_now().await,
                pause => tokio::time::sleep(Duration::from_micros(pause)).await,
            }
        }
    }

    /// Performs and records an operation. Returns how it ended, and the number of loads that it began.
    pub(super) async fn perform(
        &self,
        action: Action,
        drop_after: Option<Duration>,
    ) -> (Outcome, u64) {
        let op = Op { client: self, id: self.shared.new_id(), loads: Arc::default() };
        self.change_truth(&action);
        self.shared.log.record(What::Begin {
            op: op.id,
            cache: self.cache,
            action: action.clone(),
        });
        // In a box: it is large.
        let doing = Box::pin(op.act(&action));
        let done = match drop_after {
            Some(limit) => tokio::time::timeout(limit, doing).await.ok(),
            None => Some(doing.await),
        };
        let outcome = match done {
            None => Outcome::Cancelled,
            Some(Ok(outcome)) => outcome,
            Some(Err(error)) => Outcome::Failed(error.to_string()),
        };
        self.shared.log.record(What::End { op: op.id, outcome: outcome.clone() });
        (outcome, op.loads.load(Ordering::SeqCst))
    }

    /// The truth changes first, then the cache is told.
    fn change_truth(&self, action: &Action) {
        let shared = &self.shared;
        let change = |place: Place| shared.change(place);
        match action {
            Action::Remove(place) => change(*place),
            Action::RemoveMany(region, keys) => {
                keys.iter().for_each(|key| change(Place { region: *region, key: *key }));
            }
            Action::Transact(region, writes) => {
                writes.iter().for_each(|(key, _)| change(Place { region: *region, key: *key }));
            }
            Action::End(region, verb) => shared.change_covered(*region, *verb),
            action => action.stored().iter().for_each(|(place, _)| change(*place)),
        }
    }
}

impl Op<'_> {
    fn region(&self, region: usize) -> RegionHandle {
        self.client.shared.region(self.client.cache, region)
    }

    async fn act(&self, action: &Action) -> Result<Outcome> {
        match action {
            Action::Get(_, Kind::Small)
            | Action::GetMany(_, _, Kind::Small)
            | Action::Compute(_, Kind::Small, _)
            | Action::ComputeMany(_, _, Kind::Small, _)
            | Action::Take(_, Kind::Small) => self.read::<Small>(action).await,
            Action::Get(..)
            | Action::GetMany(..)
            | Action::Compute(..)
            | Action::ComputeMany(..)
            | Action::Take(..) => self.read::<Wide>(action).await,
            Action::Contains(place) => {
                Ok(Outcome::Said(self.region(place.region).contains(&name(place.key)).await?))
            }
            Action::End(region, verb) => self.end(*region, *verb).await,
            action => self.change(action).await,
        }
    }

    async fn read<I: Item>(&self, action: &Action) -> Result<Outcome> {
        let places = action.read_places();
        let values = match action {
            Action::Get(place, _) => {
                vec![self.region(place.region).get::<I>(&name(place.key)).await?]
            }
            Action::Take(place, _) => {
                vec![self.region(place.region).take::<I>(&name(place.key)).await?]
            }
            Action::GetMany(region, keys, _) => {
                let names = names(keys);
                self.region(*region).get_many::<I>(&strs(&names)).await?
            }
            Action::Compute(place, _, load) => vec![self.compute::<I>(*place, load).await?],
            Action::ComputeMany(region, keys, _, load) => {
                self.compute_many::<I>(*region, keys, load).await?
            }
            _ => Vec::new(),
        };
        let ids = places.iter().zip(&values).map(|(place, value)| found(*place, value.as_ref()));
        let ids: Result<Vec<_>, String> = ids.collect();
        Ok(ids.map_or_else(Outcome::Foreign, Outcome::Values))
    }

    async fn change(&self, action: &Action) -> Result<Outcome> {
        match action {
            Action::Set(place, id, ttl) => {
                let mut options = SetOptions::new();
                if let Some(ttl) = ttl {
                    options = options.ttl(Duration::from_millis(*ttl));
                }
                let (region, key) = (self.region(place.region), name(place.key));
                match kind_of(*id) {
                    Kind::Small => {
                        region.set_with(&key, &self.item::<Small>(*place, *id), options).await?
                    }
                    Kind::Wide => {
                        region.set_with(&key, &self.item::<Wide>(*place, *id), options).await?
                    }
                }
            }
            Action::SetMany(region, values) => {
                let item = |(key, id): &(usize, ValueId)| {
                    self.item::<Small>(Place { region: *region, key: *key }, *id)
                };
                let items: Vec<Small> = values.iter().map(item).collect();
                let names = names(values.iter().map(|(key, _)| key));
                let pairs: Vec<_> = strs(&names).into_iter().zip(&items).collect();
                self.region(*region).set_many(&pairs).await?;
            }
            Action::SetIfAbsent(place, id) => {
                let (region, key) = (self.region(place.region), name(place.key));
                let is_set = match kind_of(*id) {
                    Kind::Small => {
                        region.set_if_absent(&key, &self.item::<Small>(*place, *id)).await?
                    }
                    Kind::Wide => {
                        region.set_if_absent(&key, &self.item::<Wide>(*place, *id)).await?
                    }
                };
                return Ok(Outcome::Said(is_set));
            }
            Action::Remove(place) => {
                let removed = self.region(place.region).remove(&name(place.key)).await?;
                return Ok(Outcome::Said(removed));
            }
            Action::RemoveMany(region, keys) => {
                let names = names(keys);
                self.region(*region).remove_many(&strs(&names)).await?;
            }
            Action::Transact(region, writes) => {
                let mut transaction = self.region(*region).transaction();
                for (key, id) in writes {
                    let place = Place { region: *region, key: *key };
                    match id {
                        Some(id) => transaction.set(&name(*key), self.item::<Small>(place, *id)),
                        None => transaction.remove(&name(*key)),
                    };
                }
                transaction.commit().await?;
            }
            Action::RestartTtl(region) => {
                return Ok(Outcome::Said(self.region(*region).restart_region_ttl().await?));
            }
            _ => {}
        }
        Ok(Outcome::Done)
    }

    async fn end(&self, region: usize, verb: Verb) -> Result<Outcome> {
        let region = self.region(region);
        match verb {
            Verb::Invalidate => region.invalidate().await?,
            Verb::Touch => region.touch().await?,
            Verb::InvalidateAndTouch => region.invalidate_and_touch().await?,
            Verb::Expire => region.expire().await?,
        }
        Ok(Outcome::Done)
    }

    /// A value to store; its version is that of the truth, which this operation has changed.
    fn item<I: Item>(&self, place: Place, id: ValueId) -> I {
        let version = self.client.shared.truth.version(place).unwrap_or_default();
        I::make(id, place, version)
    }

    fn loader(&self, load: &Load) -> Loader {
        let Client { shared, cache } = self.client;
        Loader { shared: Arc::clone(shared), cache: *cache, op: self.id, load: load.clone() }
    }

    fn options(&self, load: &Load) -> LoadOptions {
        let options = LoadOptions::new();
        let options = if load.reload { options.reload() } else { options };
        match load.on {
            Some(region) => options.depends_on(self.region(region).path()),
            None => options,
        }
    }

    async fn compute<I: Item>(&self, place: Place, load: &Load) -> Result<Option<Arc<I>>> {
        let (loader, loads) = (self.loader(load), Arc::clone(&self.loads));
        let load_one = move |old| {
            loads.fetch_add(1, Ordering::SeqCst);
            loader.one::<I>(place, old)
        };
        let region = self.region(place.region);
        region.get_or_compute_with(&name(place.key), self.options(load), load_one).await
    }

    async fn compute_many<I: Item>(
        &self,
        region: usize,
        keys: &[usize],
        load: &Load,
    ) -> Result<Vec<Option<Arc<I>>>> {
        let (loader, loads) = (self.loader(load), Arc::clone(&self.loads));
        let load_many = move |missing: Vec<String>| {
            loads.fetch_add(1, Ordering::SeqCst);
            let key_of = |name: &String| name.strip_prefix(KEY)?.parse().ok();
            let places = missing.iter().filter_map(key_of).map(|key| Place { region, key });
            let loading = loader.clone().many::<I>(places.collect());
            async move {
                let loaded = loading.await?;
                let named = loaded.into_iter().map(|(place, item)| (name(place.key), item));
                Ok::<HashMap<String, I>, std::io::Error>(named.collect())
            }
        };
        let (names, options) = (names(keys), self.options(load));
        let region = self.region(region);
        region.get_or_compute_many_with(&strs(&names), options, load_many).await
    }
}

/// The prefix of the keys' names.
const KEY: &str = "k";

fn name(key: usize) -> String {
    format!("{KEY}{key}")
}

fn names<'k>(keys: impl IntoIterator<Item = &'k usize>) -> Vec<String> {
    keys.into_iter().map(|key| name(*key)).collect()
}

fn strs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}
