//! From settings to the builders of stores and of the cache.

#[cfg(feature = "redis")]
mod redis;

#[cfg(any(feature = "memory", feature = "redis"))]
use region_core::RegionCache;
use region_core::{Policy, ReadFrom, RegionCacheBuilder, Result};

use super::Configuration;
use super::check::Address;
use super::wrapping::Wrap;

#[cfg(all(test, feature = "redis"))]
pub(super) use redis::path_of;

impl Configuration {
    /// A builder of a cache over the store, which connects in the background.
    pub(super) fn build_store(&self) -> Result<RegionCacheBuilder> {
        match self.address()? {
            Address::Memory(rest) => self.memory(&rest),
            #[cfg(feature = "redis")]
            Address::Servers { .. } => {
                let store = self.redis_builder()?.build();
                Ok(RegionCache::builder(store.map_err(|error| self.named(&error))?))
            }
            #[cfg(not(feature = "redis"))]
            Address::Servers { .. } => Err(self.needs("redis")),
        }
    }

    /// A builder of a cache over the store, which is connected.
    pub(super) async fn connect_store(&self) -> Result<RegionCacheBuilder> {
        match self.address()? {
            Address::Memory(rest) => self.memory(&rest),
            #[cfg(feature = "redis")]
            Address::Servers { .. } => {
                let store = self.redis_builder()?.connect().await;
                Ok(RegionCache::builder(store.map_err(|error| self.named(&error))?))
            }
            #[cfg(not(feature = "redis"))]
            Address::Servers { .. } => Err(self.needs("redis")),
        }
    }

    #[cfg(feature = "memory")]
    pub(super) fn memory_builder(&self, rest: &str) -> Result<region_memory::MemoryStoreBuilder> {
        crate::memory::store(rest, self.store.max_bytes).map_err(|why| match why.as_str() {
            why if why.ends_with("twice") && self.store.max_bytes.is_some() => {
                let why = format!("{} has the parameter max_bytes too", self.url_name());
                self.refuse("store.max_bytes", &why)
            }
            why => self.refuse_url(why),
        })
    }

    #[cfg(feature = "memory")]
    fn memory(&self, rest: &str) -> Result<RegionCacheBuilder> {
        Ok(RegionCache::builder(self.memory_builder(rest)?.build()))
    }

    #[cfg(not(feature = "memory"))]
    fn memory(&self, _: &str) -> Result<RegionCacheBuilder> {
        Err(self.needs("memory"))
    }

    /// Sets what concerns the cache.
    pub(super) fn apply(
        &self,
        mut builder: RegionCacheBuilder,
        around: Option<Wrap>,
    ) -> RegionCacheBuilder {
        if let Some(root) = &self.root {
            builder = builder.root(root);
        }
        if let Some(refreshes) = self.max_refreshes {
            builder = builder.max_refreshes(refreshes);
        }
        if let Some(regions) = self.max_region_stats {
            builder = builder.max_region_stats(regions);
        }
        if let Some(bytes) = self.near.bytes {
            builder = builder.near(bytes);
        }
        if let Some(around) = around {
            builder = builder.wrap_serializers(move |inner| around(inner));
        }
        if self.reads_replica && !self.replicas.is_empty() {
            builder = builder.default_policy(Policy::new().read_from(ReadFrom::Replica));
        }
        builder = builder.default_policy(self.policy.clone());
        for (names, policy) in &self.regions {
            builder = builder.default_region_policy(names, policy.clone());
        }
        builder
    }
}
