//! All settings of a cache in one structure.

mod address;
mod build;
mod check;
mod environment;
#[cfg(feature = "encryption")]
mod keys;
mod origins;
mod read;
mod rows;
mod settings;
mod wrapping;

use std::collections::BTreeMap;

use region_core::{Policy, RegionCache, RegionCacheBuilder, Result};
#[cfg(feature = "redis")]
use region_redis::RedisStoreBuilder;

use crate::secret::Secret;
use origins::Origins;

pub use rows::{ConfigurationSetting, URL_VARIABLE};
#[cfg(feature = "redis")]
pub use settings::RedisConfiguration;
pub use settings::{
    Compression, CompressionConfiguration, EncryptionConfiguration, KeySource, NearConfiguration,
    ReplicaConfiguration, StoreConfiguration, TlsConfiguration,
};

/// All settings of a cache, in one structure that serde reads: from TOML, JSON, YAML or any other format that
/// describes itself, by whatever loader an application uses.
///
/// Every setting may be left out, and then has the default that it has in code; only the store has to be named, by
/// `store.url` or by `store.host`. [`Configuration::settings`] lists them all.
///
/// ```
/// use region_config::Configuration;
/// use region_core::{Region, RegionExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let configuration: Configuration = toml::from_str(r#"
///     root = "shop"
///
///     [store]
///     url = "memory:"
///
///     [near]
///     bytes = "64 MiB"
///
///     [policy]                       # of all regions
///     ttl = "10m"
///     on_stale = "refresh"
///
///     [regions."org.project"]        # of these, and of the regions in them
///     ttl = "unlimited"
/// "#)?;
/// let cache = configuration.with_env()?.open().await?;
/// cache.region("org:42.project:7")?.set("title", &"Russian dolls".to_owned()).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Forms
/// A duration is text such as `"5s"`, `"250 ms"` or `"1h 30m"`, or a number of milliseconds. A size is text such as
/// `"64 MiB"` or `"1.5 GB"`, or a number of bytes. A limit that there is not is `"unlimited"`.
///
/// # Precedence
/// The environment ([`with_env`](Self::with_env)) takes precedence over a file, and code over both: what it
/// sets in these fields, or by the methods of the [`builder`](Self::builder), of which each
/// [`policy`](RegionCacheBuilder::policy) and [`region_policy`](RegionCacheBuilder::region_policy) goes over
/// what is here.
///
/// # Errors
/// What is unknown, out of range or contradicts another setting is an error that names the setting by its path
/// (`redis.call_timeout`), or by its environment variable if it comes from there. No error, and no `Debug`, shows a
/// password or a URL.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Configuration {
    /// The region that all others lie in: [`RegionCacheBuilder::root`].
    pub root: Option<String>,
    /// The most refreshes at once: [`RegionCacheBuilder::max_refreshes`].
    pub max_refreshes: Option<usize>,
    /// The most regions whose statistics are told apart: [`RegionCacheBuilder::max_region_stats`].
    pub max_region_stats: Option<usize>,
    /// The store.
    pub store: StoreConfiguration,
    /// The read replicas of a server. In a file each is a table, or its URL.
    pub replicas: Vec<ReplicaConfiguration>,
    /// Connections over TLS.
    pub tls: TlsConfiguration,
    /// The limits of a store on Redis or Valkey. They lie idle over `memory:`.
    #[cfg(feature = "redis")]
    pub redis: RedisConfiguration,
    /// The near cache.
    pub near: NearConfiguration,
    /// The compression of all values.
    pub compression: CompressionConfiguration,
    /// The encryption of all values.
    pub encryption: EncryptionConfiguration,
    /// The policy of the root, which all regions inherit.
    pub policy: Policy,
    /// The policies of regions, by their names below the root: [`RegionCacheBuilder::region_policy`].
    pub regions: BTreeMap<String, Policy>,
    /// A replica was named as the Python library names it, and is read where no policy says otherwise.
    reads_replica: bool,
    origins: Origins,
}

impl Configuration {
    /// Creates a configuration that sets nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The configuration that names a store by this URL, for callers that know of no configuration.
    pub(crate) fn of_url(url: &str) -> Self {
        let mut this = Self::new();
        this.store.url = Some(Secret::from(url));
        this.origins.leave_out("store.url");
        this
    }

    /// Reads the environment variables that begin with `REGION_CACHE_`, and nothing else.
    ///
    /// [`settings`](Self::settings) has the name of each.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`](region_core::ErrorKind::InvalidConfig) that names a variable, when there is
    /// no setting of its name, its value is wrong, or another sets the same.
    pub fn from_env() -> Result<Self> {
        environment::read(environment::of_process()?)
    }

    /// Puts the environment variables that begin with `REGION_CACHE_` over this configuration.
    ///
    /// # Errors
    /// As [`from_env`](Self::from_env).
    pub fn with_env(self) -> Result<Self> {
        Ok(self.overridden_by(Self::from_env()?))
    }

    /// As [`with_env`](Self::with_env), with these variables, whatever the environment has. Variables whose names do not
    /// begin with `REGION_CACHE_` are passed over.
    ///
    /// ```
    /// use region_config::Configuration;
    ///
    /// let file: Configuration = serde_json::from_str(r#"{"root": "shop", "store": {"host": "cache-1"}}"#).unwrap();
    /// let both = file.with_variables([("REGION_CACHE_HOST", "cache-2")])?;
    /// assert_eq!(both.root.as_deref(), Some("shop"));
    /// assert_eq!(both.store.host.as_deref(), Some("cache-2"));
    /// # Ok::<(), region_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`from_env`](Self::from_env).
    pub fn with_variables<N, V>(self, variables: impl IntoIterator<Item = (N, V)>) -> Result<Self>
    where
        N: Into<String>,
        V: Into<String>,
    {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Ok(self.overridden_by(environment::read(variables.collect())?))
    }

    /// Checks the settings against one another, as [`builder`](Self::builder) does, without opening anything.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`](region_core::ErrorKind::InvalidConfig) that names the settings that are out
    /// of range or contradict one another.
    pub fn check(&self) -> Result<()> {
        self.check_cache()?;
        self.check_store()
    }

    /// Starts to build a cache with these settings. A server is connected in the background, as by
    /// [`RegionCacheExt::builder_from_url`](crate::RegionCacheExt::builder_from_url).
    ///
    /// # Errors
    /// As [`check`](Self::check), when the feature that the store needs is not enabled, a file of TLS or a key cannot be
    /// read, or the store is a server and there is no Tokio runtime.
    pub fn builder(&self) -> Result<RegionCacheBuilder> {
        self.check_cache()?;
        let around = self.wrapping()?;
        let store = self.build_store()?;
        Ok(self.apply(store, around))
    }

    /// As [`builder`](Self::builder), after the store is connected.
    ///
    /// # Errors
    /// As [`builder`](Self::builder), and when the server cannot be reached or refuses.
    ///
    /// # Cancel safety
    /// A dropped call leaves no connection behind.
    pub async fn connect(&self) -> Result<RegionCacheBuilder> {
        self.check_cache()?;
        let around = self.wrapping()?;
        let store = self.connect_store().await?;
        Ok(self.apply(store, around))
    }

    /// Opens a cache with these settings, and waits until the store is connected.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// A dropped call leaves no connection behind.
    pub async fn open(&self) -> Result<RegionCache> {
        self.connect().await?.build()
    }

    /// Sets on `builder`, whose store code has made, all that does not concern the store.
    ///
    /// ```
    /// use region_config::Configuration;
    /// use region_core::RegionCache;
    /// use region_memory::MemoryStore;
    ///
    /// let configuration = Configuration::new().with_variables([("REGION_CACHE_TTL", "10m")])?;
    /// let cache = configuration.apply_to(RegionCache::builder(MemoryStore::new()))?.build()?;
    /// # drop(cache);
    /// # Ok::<(), region_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`](region_core::ErrorKind::InvalidConfig) that names the settings that are out
    /// of range or contradict one another, and when a key cannot be read.
    pub fn apply_to(&self, builder: RegionCacheBuilder) -> Result<RegionCacheBuilder> {
        self.check_cache()?;
        Ok(self.apply(builder, self.wrapping()?))
    }

    /// Returns a builder of the store on Redis or Valkey that this configuration names, to set in code what goes over
    /// it. The settings of the cache are not part of it.
    ///
    /// # Errors
    /// As [`check`](Self::check), and when the store is in this process.
    #[cfg(feature = "redis")]
    pub fn redis_store(&self) -> Result<RedisStoreBuilder> {
        self.redis_builder()
    }
}

/// A name as files write it: in quotes, if it is no bare word.
fn quoted(name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if !name.is_empty() && name.bytes().all(is_bare) {
        return name.to_owned();
    }
    format!("{name:?}")
}
