//! Load functions.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use region_core::{LoadDependencies, Loaded};

use super::value::Item;
use super::world::World;
use crate::history::{Loaded as Made, What};
use crate::plan::{Form, Key, Load, LoadResult};

/// A load that runs; one that is dropped is recorded too.
struct Running {
    world: Arc<World>,
    load: usize,
    result: Option<Vec<Made>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.world.record(What::LoadEnd { load: self.load, result: self.result.take() });
        self.world.load_is_over();
    }
}

/// The calls of a step's load function.
#[derive(Clone)]
pub(super) struct Loader {
    pub(super) world: Arc<World>,
    pub(super) process: usize,
    pub(super) step: usize,
    pub(super) load: Load,
    pub(super) form: Form,
}

impl Loader {
    /// Loads one key.
    pub(super) async fn one<V: Item>(self, key: Key, old: Option<Arc<V>>) -> io::Result<Loaded<V>> {
        let (mut running, versions) = self.begin(vec![key]).await?;
        let version = versions[0];
        let is_same = old.as_ref().is_some_and(|old| old.version() == version);
        let old = old.filter(|_| is_same && self.load.result == LoadResult::NotModified);
        let mut loaded = match (self.load.result, old) {
            (LoadResult::Error, _) => return Err(io::Error::other("the load fails")),
            // Without a message of the panic hook: there are many.
            (LoadResult::Panic, _) => std::panic::resume_unwind(Box::new("the load panics")),
            (LoadResult::Absent, _) => {
                running.result = Some(vec![Made { key, value: None }]);
                Loaded::absent()
            }
            (_, Some(old)) => {
                running.result = Some(vec![Made { key, value: Some(old.id()) }]);
                Loaded::not_modified()
            }
            (result, None) => {
                let item = V::new(self.world.next_value(), key, version, self.form);
                running.result = Some(vec![Made { key, value: Some(item.id()) }]);
                if result == LoadResult::DontStore {
                    Loaded::DontStore(item)
                } else {
                    Loaded::new(item)
                }
            }
        };
        if self.load.ttl > 0 {
            loaded = loaded.ttl(Duration::from_millis(self.load.ttl));
        }
        Ok(loaded)
    }

    /// Loads the value of one key.
    pub(super) async fn value<V: Item>(self, key: Key) -> io::Result<V> {
        let loaded = self.many(vec![key]).await?.pop();
        loaded.map(|(_, item)| item).ok_or_else(|| io::Error::other("the load brings nothing"))
    }

    /// Loads several keys.
    pub(super) async fn many<V: Item>(self, keys: Vec<Key>) -> io::Result<Vec<(Key, V)>> {
        let (mut running, versions) = self.begin(keys.clone()).await?;
        if self.load.result == LoadResult::Error {
            return Err(io::Error::other("the load fails"));
        }
        let item = |(&key, &version): (&Key, &u64)| {
            (key, V::new(self.world.next_value(), key, version, self.form))
        };
        let items: Vec<_> = keys.iter().zip(&versions).map(item).collect();
        let made = items.iter().map(|(key, item)| Made { key: *key, value: Some(item.id()) });
        running.result = Some(made.collect());
        Ok(items)
    }

    async fn begin(&self, keys: Vec<Key>) -> io::Result<(Running, Vec<u64>)> {
        let Self { world, process, step, load, .. } = self;
        let number = world.next_load();
        let versions = keys.iter().map(|key| world.truth(*key)).collect();
        world.record(What::LoadBegin { load: number, step: *step, process: *process, keys });
        let running = Running { world: Arc::clone(world), load: number, result: None };
        for &region in &load.depends_on {
            world.record(What::DependsOn { load: number, region });
        }
        if let Some(region) = load.adds {
            let current = LoadDependencies::current().map_err(io::Error::other)?;
            current.add(&world.paths[region]).await.map_err(io::Error::other)?;
            world.record(What::DependsOn { load: number, region });
        }
        world.wait().await;
        if load.takes > 0 {
            tokio::time::sleep(Duration::from_millis(world.draw(load.takes))).await;
        }
        Ok((running, versions))
    }
}
