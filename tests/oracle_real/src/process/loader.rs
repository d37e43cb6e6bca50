//! Load functions.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use region_cache::{LoadDependencies, Loaded, Region};

use super::shared::Shared;
use crate::event::{Load, LoadId, LoadResult, OpId, Place, What};
use crate::item::{Item, ValueId};

/// The calls of an operation's load function.
#[derive(Clone)]
pub(super) struct Loader {
    pub(super) shared: Arc<Shared>,
    pub(super) cache: usize,
    pub(super) op: OpId,
    pub(super) load: Load,
}

impl Loader {
    /// Loads one key.
    pub(super) async fn one<I: Item>(
        self,
        place: Place,
        old: Option<Arc<I>>,
    ) -> io::Result<Loaded<I>> {
        let (load, versions) = self.begin::<I>(&[place]).await?;
        let result = self.load.result;
        let old = old.filter(|old| {
            result == LoadResult::NotModified
                && old.version() == versions[0]
                && old.place() == place
        });
        let mut loaded = match (result, old) {
            (LoadResult::Error, _) => return Err(io::Error::other("the load fails")),
            (LoadResult::Absent, _) => {
                self.end(load, vec![None]);
                Loaded::absent()
            }
            (_, Some(old)) => {
                self.end(load, vec![Some(old.id())]);
                Loaded::not_modified()
            }
            (result, None) => {
                let item = I::make(self.shared.new_id(), place, versions[0]);
                self.end(load, vec![Some(item.id())]);
                match result {
                    LoadResult::DontStore => Loaded::DontStore(item),
                    _ => Loaded::new(item),
                }
            }
        };
        if let Some(ttl) = self.load.ttl {
            loaded = loaded.ttl(Duration::from_millis(ttl));
        }
        Ok(loaded)
    }

    /// Loads several keys.
    pub(super) async fn many<I: Item>(self, places: Vec<Place>) -> io::Result<Vec<(Place, I)>> {
        let (load, versions) = self.begin::<I>(&places).await?;
        if self.load.result == LoadResult::Error {
            return Err(io::Error::other("the load fails"));
        }
        let make = |(place, version)| (place, I::make(self.shared.new_id(), place, version));
        let items: Vec<(Place, I)> = places.into_iter().zip(versions).map(make).collect();
        self.end(load, items.iter().map(|(_, item)| Some(item.id())).collect());
        Ok(items)
    }

    async fn begin<I: Item>(&self, places: &[Place]) -> io::Result<(LoadId, Vec<u64>)> {
        let Self { shared, cache, op, load } = self;
        let (id, ttl) = (shared.new_id(), load.ttl);
        let (places_read, kind) = (places.to_vec(), I::KIND);
        shared.log.record(What::LoadBegin { load: id, op: *op, places: places_read, kind, ttl });
        if let Some(region) = load.on {
            shared.log.record(What::DependsOn { load: id, region });
        }
        let versions = places.iter().map(|place| shared.truth.version(*place));
        let versions = versions.collect::<io::Result<_>>()?;
        if let Some(region) = load.adds {
            let current = LoadDependencies::current().map_err(io::Error::other)?;
            let path = shared.region(*cache, region).path().clone();
            current.add(&path).await.map_err(io::Error::other)?;
            shared.log.record(What::DependsOn { load: id, region });
        }
        if load.takes > 0 {
            tokio::time::sleep(Duration::from_millis(load.takes)).await;
        }
        Ok((id, versions))
    }

    /// Recorded before anybody can see the values.
    fn end(&self, load: LoadId, values: Vec<Option<ValueId>>) {
        self.shared.log.record(What::LoadEnd { load, values });
    }
}
