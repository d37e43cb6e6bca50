//! What a client does in its process.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::time::Duration;

use region_core::{
    LoadOptions, Region, RegionCache, RegionExt, RegionHandle, Result, SetOptions, Verb,
};

use super::cancel::Cancel;
use super::channel::Channel;
use super::loader::Loader;
use super::value::Item;
use super::world::{World, name};
use crate::history::{Effect, Outcome, What};
use crate::plan::{Action, Key, Load, Step, Write};

type Loads = HashMap<String, Item, BuildHasherDefault<DefaultHasher>>;

/// A process: a cache of its own.
pub(super) struct Process {
    pub(super) number: usize,
    pub(super) world: Arc<World>,
    pub(super) cache: RegionCache,
    pub(super) channel: Arc<Channel>,
}

/// What a fault does to the servers and connections.
pub(super) fn disturb(world: &World, processes: &[Arc<Process>], action: &Action) -> Outcome {
    let ms = Duration::from_millis;
    match *action {
        Action::Lose(region, loss) => {
            let with_all_below = loss == region_memory::Loss::Incarnations;
            let lost = match loss {
                region_memory::Loss::Leases => None,
                _ => Some(Effect::Lost { region, with_all_below }),
            };
            let lose = || world.memory.lose(&world.paths[region], loss);
            if loss == region_memory::Loss::Entries {
                world.ghosts.lost(&world.paths[region]);
            }
            world.execute(None, false, lose, |()| lost.into_iter().collect());
        }
        Action::Flush => {
            world.ghosts.flushed();
            world.execute(None, false, || world.memory.flush(), |()| vec![Effect::Flushed]);
        }
        Action::HoldReplica => {
            world.memory.hold_replica();
            world.record(What::ReplicaHeld);
        }
        Action::ReleaseReplica => {
            world.memory.release_replica();
            world.record(What::ReplicaReleased);
        }
        Action::Cut(process) => processes[process].channel.lose(),
        Action::Silence(process, duration) => processes[process].channel.silence(ms(duration)),
        Action::Outage(process, duration) => processes[process].channel.go_down(ms(duration)),
        _ => return Outcome::Failed("a client's action".to_owned()),
    }
    Outcome::Done
}

impl Process {
    pub(super) async fn step(&self, step: &Step) -> Outcome {
        match Cancel::after(step.cancel, self.act(step)).await {
            None => Outcome::Cancelled,
            Some(Ok(outcome)) => outcome,
            Some(Err(error)) => Outcome::Failed(error.to_string()),
        }
    }

    fn region(&self, region: usize) -> RegionHandle {
        let text = &self.world.plan.setup.regions[region];
        match text.is_empty() {
            true => self.cache.root(),
            false => self.cache.region(text).unwrap_or_else(|error| panic!("{error}")),
        }
    }

    async fn act(&self, step: &Step) -> Result<Outcome> {
        Ok(match &step.action {
            Action::Get(key) => {
                let found = self.region(key.region).get::<Item>(&name(key.key)).await?;
                values([(*key, found)])
            }
            Action::GetMany(region, keys) => {
                let names = names(keys);
                let found = self.region(*region).get_many::<Item>(&strs(&names)).await?;
                values(all(*region, keys).zip(found))
            }
            Action::Contains(key) => {
                Outcome::Said(self.region(key.region).contains(&name(key.key)).await?)
            }
            Action::Compute(key, load) => self.compute(step.number, *key, load).await?,
            Action::ComputeMany(region, keys, load) => {
                self.compute_many(step.number, *region, keys, load).await?
            }
            Action::Take(key) => {
                let taken = self.region(key.region).take::<Item>(&name(key.key)).await?;
                values([(*key, taken)])
            }
            action => self.change(step.number, action).await?,
        })
    }

    /// The truth changes first, then the cache is told.
    async fn change(&self, step: usize, action: &Action) -> Result<Outcome> {
        match action {
            Action::Set(key, ttl) => {
                let mut options = SetOptions::new();
                if *ttl > 0 {
                    options = options.ttl(Duration::from_millis(*ttl));
                }
                let item = self.make(step, *key);
                self.region(key.region).set_with(&name(key.key), &item, options).await?;
            }
            Action::SetMany(region, keys) => {
                let items: Vec<_> = all(*region, keys).map(|key| self.make(step, key)).collect();
                let names = names(keys);
                let pairs: Vec<_> = strs(&names).into_iter().zip(&items).collect();
                self.region(*region).set_many(&pairs).await?;
            }
            Action::SetIfAbsent(key) => {
                let item = self.make(step, *key);
                let region = self.region(key.region);
                return Ok(Outcome::Said(region.set_if_absent(&name(key.key), &item).await?));
            }
            Action::Remove(key) => {
                self.world.change_truth(*key);
                let removed = self.region(key.region).remove(&name(key.key)).await?;
                return Ok(Outcome::Said(removed));
            }
            Action::Transact(region, writes) => {
                let mut transaction = self.region(*region).transaction();
                for write in writes {
                    match *write {
                        Write::Set(key) => {
                            let item = self.make(step, Key { region: *region, key });
                            transaction.set(&name(key), item);
                        }
                        Write::Remove(key) => {
                            self.world.change_truth(Key { region: *region, key });
                            transaction.remove(&name(key));
                        }
                    }
                }
                transaction.commit().await?;
            }
            Action::End(region, verb) => {
                self.world.change_truth_below(*region, *verb);
                let region = self.region(*region);
                match verb {
                    Verb::Invalidate => region.invalidate().await?,
                    Verb::Touch => region.touch().await?,
                    Verb::Expire => region.expire().await?,
                    Verb::InvalidateAndTouch => region.invalidate_and_touch().await?,
                }
            }
            Action::RestartTtl(region) => {
                return Ok(Outcome::Said(self.region(*region).restart_region_ttl().await?));
            }
            _ => return Ok(Outcome::Failed("no client's action".to_owned())),
        }
        Ok(Outcome::Done)
    }

    fn make(&self, step: usize, key: Key) -> Item {
        let version = self.world.change_truth(key);
        let item = Item::new(self.world.next_value(), key, version);
        self.world.record(What::Made { step, value: item.id(), key });
        item
    }

    fn loader(&self, step: usize, load: &Load) -> Loader {
        Loader { world: Arc::clone(&self.world), process: self.number, step, load: load.clone() }
    }

    fn options(&self, load: &Load) -> LoadOptions {
        let options = LoadOptions::new();
        let options = if load.reload { options.reload() } else { options };
        let regions = load.depends_on.iter();
        regions.fold(options, |options, &region| options.depends_on(&self.world.paths[region]))
    }

    async fn compute(&self, step: usize, key: Key, load: &Load) -> Result<Outcome> {
        let loader = self.loader(step, load);
        let load_one = move |old| loader.one(key, old);
        let region = self.region(key.region);
        let options = self.options(load);
        let found = region.get_or_compute_with(&name(key.key), options, load_one).await?;
        Ok(values([(key, found)]))
    }

    async fn compute_many(
        &self,
        step: usize,
        region: usize,
        keys: &[usize],
        load: &Load,
    ) -> Result<Outcome> {
        let (loader, world) = (self.loader(step, load), Arc::clone(&self.world));
        let path = world.paths[region].clone();
        let load_many = move |missing: Vec<String>| {
            let missing = missing.iter().filter_map(|name| world.key_of(&path, name)).collect();
            let loading = loader.clone().many(missing);
            async move {
                let loaded = loading.await?;
                let named = loaded.into_iter().map(|(key, item)| (name(key.key), item));
                Ok::<Loads, std::io::Error>(named.collect())
            }
        };
        let (names, options) = (names(keys), self.options(load));
        let handle = self.region(region);
        let found = handle.get_or_compute_many_with(&strs(&names), options, load_many).await?;
        Ok(values(all(region, keys).zip(found)))
    }
}

fn all(region: usize, keys: &[usize]) -> impl Iterator<Item = Key> {
    keys.iter().map(move |&key| Key { region, key })
}

fn names(keys: &[usize]) -> Vec<String> {
    keys.iter().map(|&key| name(key)).collect()
}

fn strs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

fn values(found: impl IntoIterator<Item = (Key, Option<Arc<Item>>)>) -> Outcome {
    let mut values = Vec::new();
    for (key, item) in found {
        if let Some(item) = item.as_ref().filter(|item| !item.is_of(key)) {
            return Outcome::Foreign(format!("{item:?} at {key:?}"));
        }
        values.push((key, item.map(|item| item.id())));
    }
    Outcome::Values(values)
}
