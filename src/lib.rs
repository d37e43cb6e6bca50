//! A cache for hierarchical data.
//!
//! Values live in *regions*, and regions nest like Russian dolls: `shop / org 42 / project 7`.
//! Invalidating a region invalidates everything inside it, at any depth, in one step whose cost does
//! not depend on how much is inside; and no stale value survives its invalidation, in whatever order
//! loads, invalidations and cancellations meet.
//!
//! ```
//! use std::time::Duration;
//! use region_cache::{MemoryStore, Policy, Region, RegionCache, RegionExt, Regioned};
//!
//! #[derive(Regioned)]
//! #[region(name = "org")]
//! struct Org {
//!     #[region(id)]
//!     id: u64,
//! }
//!
//! #[derive(Regioned)]
//! #[region(name = "project", parent = Org, ttl = "10m")]
//! struct Project {
//!     #[region(parent_id)]
//!     org: u64,
//!     #[region(id)]
//!     id: u64,
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> region_cache::Result<()> {
//! let cache = RegionCache::builder(MemoryStore::new()).root("shop").build()?;
//!
//! let project = cache.region_of(&Project { org: 42, id: 7 })?;
//! let load = || async { Ok::<_, std::io::Error>("expensive".to_owned()) };
//! let summary = project.get_or_compute("summary", load).await?;
//! assert_eq!(*summary, "expensive");
//!
//! cache.region_at(Org::path(42))?.invalidate().await?;
//! assert_eq!(project.get::<String>("summary").await?, None);
//! # Ok(())
//! # }
//! ```
//!
//! Where to read on: [`Region`] is what a handle offers, [`Policy`] what a region lets its values
//! do, [`Store`] the contract of a backend. [`RegionCacheExt`] opens a cache whose store is named by a URL, and
//! [`Configuration`] one whose settings come from a file and the environment.
//!
//! The module `guide` has a page for each task: from choosing a policy to operating the cache and writing a
//! backend. It is a part of documentation that is built with all features.

#[cfg(all(any(doc, doctest), feature = "redis"))]
pub mod docs;
#[cfg(all(
    any(doc, doctest),
    feature = "conformance",
    feature = "derive",
    feature = "http",
    feature = "json",
    feature = "memory",
    feature = "testing",
    feature = "tls"
))]
pub mod guide;

#[cfg(feature = "redis")]
pub use region_config::RedisConfiguration;
pub use region_config::{
    Compression, CompressionConfiguration, Configuration, ConfigurationSetting,
    EncryptionConfiguration, KeySource, NearConfiguration, RegionCacheExt, ReplicaConfiguration,
    Secret, StoreConfiguration, TlsConfiguration, URL_VARIABLE,
};
pub use region_core::*;

/// The README's examples, compiled.
#[cfg(all(doctest, feature = "derive", feature = "memory", feature = "tls"))]
#[doc = include_str!("../README.md")]
pub struct Readme;

#[cfg(feature = "derive")]
pub use region_derive::{Regioned, cached};
#[cfg(feature = "http")]
pub use region_http as http;
#[cfg(feature = "memory")]
pub use region_memory::*;
#[cfg(feature = "client")]
pub use region_redis::ServerConnection;
#[cfg(feature = "tls")]
pub use region_redis::Tls;
#[cfg(feature = "redis")]
pub use region_redis::{
    Backoff, LastError, OnInvalidationFailure, OnTimeout, RedisStore, RedisStoreBuilder, Server,
    ServerStats, StoreSetting, StoreStats,
};
