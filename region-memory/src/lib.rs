//! The in-memory store of region-cache: for unit tests, and as the embedded default.
//!
//! [`MemoryStore`] keeps the whole `Store` contract, so a test that passes over it says something
//! about production: leases, fences, expiry, pushes and a replica that lags are all there.
//!
//! ```
//! use region_core::{Region, RegionExt, RegionCache};
//! use region_memory::MemoryStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> region_core::Result<()> {
//! let cache = RegionCache::builder(MemoryStore::new()).build()?;
//! cache.root().set("greeting", &"hello".to_owned()).await?;
//! assert!(cache.root().contains("greeting").await?);
//! # Ok(())
//! # }
//! ```

mod builder;
mod data;
mod evict;
mod reclaim;
#[cfg(feature = "testing")]
mod replica;
mod store;
#[cfg(feature = "testing")]
mod testing;

pub use builder::MemoryStoreBuilder;
pub use data::usage::MemoryUse;
pub use store::MemoryStore;
#[cfg(feature = "testing")]
pub use testing::{Backup, Loss, Replica};
