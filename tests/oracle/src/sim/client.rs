//! What a client does in its process.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use region_core::{
    Json, LoadOptions, LoadRequest, NearCache, Policy, ReadOutcome, Region, RegionCache, RegionExt,
    RegionHandle, Result, SetOptions, Verb,
};
use tokio::sync::Notify;

use super::cancel::Cancel;
use super::channel::Channel;
use super::loader::Loader;
use super::restart::Restartable;
use super::value::{First, Item, Second};
use super::world::{World, name};
use crate::history::{Effect, Outcome, What};
use crate::plan::{Action, Form, Key, Load, Step, Write};

type Loads<V> = HashMap<String, V, BuildHasherDefault<DefaultHasher>>;

/// A process: a cache of its own.
pub(super) struct Process {
    pub(super) number: usize,
    pub(super) world: Arc<World>,
    pub(super) cache: RegionCache,
    pub(super) channel: Arc<Channel>,
    /// Wakes its steps, in their order, when it dies.
    pub(super) died: Notify,
}

/// What a fault does to the servers and connections.
pub(super) fn disturb(world: &World, processes: &[Restartable], action: &Action) -> Outcome {
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
        Action::BackUp => {
            world.back_up();
            processes.iter().for_each(|process| process.now().channel.forget());
        }
        Action::RollBack => {
            if world.roll_back() {
                processes.iter().for_each(|process| process.now().channel.fail_over());
            }
        }
        Action::Kill(process) => processes[process].restart(),
        Action::Cut(process) => processes[process].now().channel.lose(),
        Action::Silence(process, duration) => {
            processes[process].now().channel.silence(ms(duration))
        }
        Action::Outage(process, duration) => processes[process].now().channel.go_down(ms(duration)),
        _ => return Outcome::Failed("a client's action".to_owned()),
    }
    Outcome::Done
}

impl Process {
    pub(super) async fn step(&self, step: &Step) -> Outcome {
        let setup = &self.world.plan.setup.processes[self.number];
        let form = setup.form_of(step.number);
        let has_near = setup.sometimes_far && setup.is_near(step.number);
        let handles = Handles { process: self, form, has_near, step: step.number };
        let act = async {
            match form.other_type {
                false => handles.act::<First>(&step.action).await,
                true => handles.act::<Second>(&step.action).await,
            }
        };
        let mut died = std::pin::pin!(self.died.notified());
        died.as_mut().enable();
        let outcome = tokio::select! {
            biased;
            () = died => None,
            () = self.world.turns(step.dropped_after) => None,
            outcome = Cancel::after(step.cancel, act) => outcome,
        };
        match outcome {
            None => Outcome::Cancelled,
            Some(Ok(outcome)) => outcome,
            Some(Err(error)) => Outcome::Failed(error.to_string()),
        }
    }
}

/// A process as a step uses it: with values of one form.
#[derive(Clone, Copy)]
struct Handles<'a> {
    process: &'a Process,
    form: Form,
    /// Values are held near, though they are not in other steps.
    has_near: bool,
    step: usize,
}

impl Handles<'_> {
    fn region(&self, region: usize) -> RegionHandle {
        let Process { world, cache, .. } = self.process;
        let text = &world.plan.setup.regions[region];
        let handle = match text.is_empty() {
            true => cache.root(),
            false => cache.region(text).unwrap_or_else(|error| panic!("{error}")),
        };
        if self.form == Form::default() && !self.has_near {
            return handle;
        }
        let mut policy = Policy::new().version(self.form.version);
        if self.form.json {
            policy = policy.serializer(Json);
        }
        if self.has_near {
            policy = policy.near(NearCache::On);
        }
        handle.with_policy(policy).unwrap_or_else(|error| panic!("{error}"))
    }

    async fn act<V: Item>(&self, action: &Action) -> Result<Outcome> {
        Ok(match action {
            Action::Get(key) => {
                let found = self.region(key.region).get::<V>(&name(key.key)).await?;
                self.values([(*key, found)])
            }
            Action::GetMany(region, keys) => {
                let names = names(keys);
                let found = self.region(*region).get_many::<V>(&strs(&names)).await?;
                self.values(all(*region, keys).zip(found))
            }
            Action::Contains(key) => {
                Outcome::Said(self.region(key.region).contains(&name(key.key)).await?)
            }
            Action::Explain(key) => {
                let explained = self.region(key.region).explain::<V>(&name(key.key)).await?;
                match explained.outcome {
                    ReadOutcome::Miss(_) => Outcome::Said(false),
                    ReadOutcome::Error => Outcome::Failed("explained as an error".to_owned()),
                    _ => Outcome::Said(true),
                }
            }
            Action::Len(region) => Outcome::Counted(self.region(*region).len().await?),
            Action::Children(region) => {
                let found: Vec<_> = self.region(*region).children().try_collect().await?;
                let mut segments: Vec<_> = found.iter().map(ToString::to_string).collect();
                segments.sort_unstable();
                Outcome::Children(segments)
            }
            Action::Entries(region) => {
                let found: Vec<_> = self.region(*region).entries::<V>().try_collect().await?;
                let key = |name: &str| Some(Key { region: *region, key: number(name)? });
                let found =
                    found.into_iter().filter_map(|(name, item)| Some((key(&name)?, Some(item))));
                self.values(found)
            }
            Action::Keys(region) => {
                let found: Vec<_> = self.region(*region).keys().try_collect().await?;
                let mut keys: Vec<_> = found.iter().filter_map(|name| number(name)).collect();
                keys.sort_unstable();
                Outcome::Listed(keys)
            }
            Action::Take(key) => {
                let taken = self.region(key.region).take::<V>(&name(key.key)).await?;
                self.values([(*key, taken)])
            }
            Action::Compute(..)
            | Action::ComputeMany(..)
            | Action::Load(..)
            | Action::Refresh(..)
            | Action::Warm(..) => self.load::<V>(action).await?,
            action => self.change::<V>(action).await?,
        })
    }

    async fn load<V: Item>(&self, action: &Action) -> Result<Outcome> {
        let undeclared = |load: &Load| Load { depends_on: Vec::new(), ..load.clone() };
        Ok(match action {
            Action::Compute(key, load) => self.compute::<V>(*key, load).await?,
            Action::ComputeMany(region, keys, load) => {
                self.compute_many::<V>(*region, keys, load).await?
            }
            Action::Load(key, load) => {
                let region = self.with_loader::<V>(*key, self.loader(load));
                let options = self.options(load);
                let found = region.get_or_load_with::<V>(&name(key.key), options).await?;
                self.values([(*key, found)])
            }
            Action::Refresh(key, load) => {
                let region = self.with_loader::<V>(*key, self.loader(&undeclared(load)));
                self.values([(*key, region.get::<V>(&name(key.key)).await?)])
            }
            Action::Warm(region, keys, load) => {
                let (loader, path) = (self.loader(&undeclared(load)), *region);
                let load = move |name: String| {
                    let key = Key { region: path, key: number(&name).unwrap_or(usize::MAX) };
                    loader.clone().value::<V>(key)
                };
                let progress =
                    self.region(*region).warm(names(keys)).concurrency(2).load(load).await;
                match progress.last_error {
                    Some(error) => Outcome::Failed(error.to_string()),
                    None => Outcome::Done,
                }
            }
            _ => Outcome::Failed("no load".to_owned()),
        })
    }

    fn with_loader<V: Item>(&self, key: Key, loader: Loader) -> RegionHandle {
        let load = move |request: LoadRequest<V>| loader.clone().one(key, request.previous);
        self.region(key.region).with_loader(load)
    }

    /// The truth changes first, then the cache is told.
    async fn change<V: Item>(&self, action: &Action) -> Result<Outcome> {
        let world = &self.process.world;
        match action {
            Action::Set(key, ttl) => {
                let mut options = SetOptions::new();
                if *ttl > 0 {
                    options = options.ttl(Duration::from_millis(*ttl));
                }
                let item = self.make::<V>(*key);
                self.region(key.region).set_with(&name(key.key), &item, options).await?;
            }
            Action::SetMany(region, keys) => {
                let items: Vec<V> = all(*region, keys).map(|key| self.make(key)).collect();
                let names = names(keys);
                let pairs: Vec<_> = strs(&names).into_iter().zip(&items).collect();
                self.region(*region).set_many(&pairs).await?;
            }
            Action::SetIfAbsent(key) => {
                let item = self.make::<V>(*key);
                let region = self.region(key.region);
                return Ok(Outcome::Said(region.set_if_absent(&name(key.key), &item).await?));
            }
            Action::Remove(key) => {
                world.change_truth(*key);
                let removed = self.region(key.region).remove(&name(key.key)).await?;
                return Ok(Outcome::Said(removed));
            }
            Action::Transact(region, writes) => {
                let mut transaction = self.region(*region).transaction();
                for write in writes {
                    match *write {
                        Write::Set(key) => {
                            let item = self.make::<V>(Key { region: *region, key });
                            transaction.set(&name(key), item);
                        }
                        Write::Remove(key) => {
                            world.change_truth(Key { region: *region, key });
                            transaction.remove(&name(key));
                        }
                    }
                }
                transaction.commit().await?;
            }
            Action::End(region, verb) => {
                world.change_truth_below(*region, *verb);
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

    fn make<V: Item>(&self, key: Key) -> V {
        let world = &self.process.world;
        let version = world.change_truth(key);
        let item = V::new(world.next_value(), key, version, self.form);
        world.record(What::Made { step: self.step, value: item.id(), key });
        item
    }

    fn loader(&self, load: &Load) -> Loader {
        let (world, process) = (Arc::clone(&self.process.world), self.process.number);
        Loader { world, process, step: self.step, load: load.clone(), form: self.form }
    }

    fn options(&self, load: &Load) -> LoadOptions {
        let options = LoadOptions::new();
        let options = if load.reload { options.reload() } else { options };
        let regions = load.depends_on.iter();
        let paths = &self.process.world.paths;
        regions.fold(options, |options, &region| options.depends_on(&paths[region]))
    }

    async fn compute<V: Item>(&self, key: Key, load: &Load) -> Result<Outcome> {
        let loader = self.loader(load);
        let region = self.region(key.region);
        if load.plain {
            let load_one = move || loader.value::<V>(key);
            let found = region.get_or_compute(&name(key.key), load_one).await?;
            return Ok(self.values([(key, Some(found))]));
        }
        let load_one = move |old| loader.one::<V>(key, old);
        let options = self.options(load);
        let found = region.get_or_compute_with(&name(key.key), options, load_one).await?;
        Ok(self.values([(key, found)]))
    }

    async fn compute_many<V: Item>(
        &self,
        region: usize,
        keys: &[usize],
        load: &Load,
    ) -> Result<Outcome> {
        let (loader, world) = (self.loader(load), Arc::clone(&self.process.world));
        let path = world.paths[region].clone();
        let load_many = move |missing: Vec<String>| {
            let missing = missing.iter().filter_map(|name| world.key_of(&path, name)).collect();
            let loading = loader.clone().many::<V>(missing);
            async move {
                let loaded = loading.await?;
                let named = loaded.into_iter().map(|(key, item)| (name(key.key), item));
                Ok::<Loads<V>, std::io::Error>(named.collect())
            }
        };
        let (names, options) = (names(keys), self.options(load));
        let handle = self.region(region);
        let found = handle.get_or_compute_many_with(&strs(&names), options, load_many).await?;
        Ok(self.values(all(region, keys).zip(found)))
    }

    fn values<V: Item>(&self, found: impl IntoIterator<Item = (Key, Option<Arc<V>>)>) -> Outcome {
        let mut values = Vec::new();
        for (key, item) in found {
            if let Some(item) = &item {
                if item.key() != key {
                    return Outcome::Foreign(format!("{item:?} at {key:?}"));
                }
                if item.form() != self.form {
                    return Outcome::OtherForm(format!("{item:?} by a read of {:?}", self.form));
                }
            }
            values.push((key, item.map(|item| item.id())));
        }
        Outcome::Values(values)
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

/// The key of this name.
fn number(name: &str) -> Option<usize> {
    name.strip_prefix('k')?.parse().ok()
}
