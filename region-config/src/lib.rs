//! Caches of region-cache whose store and settings come from a URL, a file or the environment.
//!
//! [`RegionCacheExt`] opens a cache by a URL alone. [`Configuration`] is all that can be set, in one structure
//! that serde reads; environment variables override it, and code overrides both.

mod configuration;
#[cfg(feature = "memory")]
mod memory;
mod open;
mod secret;
mod size;
mod tree;

#[cfg(feature = "redis")]
pub use configuration::RedisConfiguration;
pub use configuration::{
    Compression, CompressionConfiguration, Configuration, ConfigurationSetting,
    EncryptionConfiguration, KeySource, NearConfiguration, ReplicaConfiguration,
    StoreConfiguration, TlsConfiguration, URL_VARIABLE,
};
pub use open::RegionCacheExt;
pub use secret::Secret;
