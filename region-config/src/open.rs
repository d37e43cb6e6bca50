//! Caches that are opened by a URL or by the environment.

use std::future::Future;

use region_core::{RegionCache, RegionCacheBuilder, Result};

use crate::configuration::Configuration;

/// Caches over a store that a URL names, for applications that choose the store by configuration.
///
/// | URL | store |
/// |---|---|
/// | `memory:` | `MemoryStore`, in this process (feature `memory`) |
/// | `memory:?max_bytes=256MiB` | the same, within a bound: bytes, or a number with a unit |
/// | `redis://[[user]:password@]host[:port][/database]` | `RedisStore` (feature `redis`) |
/// | `rediss://..[?ca=..&cert=..&key=..&server_name=..]` | the same, over TLS (feature `tls`) |
/// | `unix:///path/to.sock[?db=1&user=..&pass=..]` | the same, over a socket of this machine |
/// | `redis-sentinel://[[user]:password@]host[:port][,..]/name[/database][?sentinel_user=..&sentinel_password=..]` | the same, on the primary that sentinels know by this name, and its replicas; `rediss-sentinel` over TLS |
/// | `redis-cluster://[[user]:password@]host[:port][,..][?anchor=1&replicas=read]` | the same, on the nodes of a cluster; `rediss-cluster` over TLS |
///
/// The type of the cache does not name the store. What else there is to set, such as the limits of a
/// `RedisStore`, a [`Configuration`] has, and the environment.
///
/// An error about a URL says which part is wrong, and shows no password.
///
/// ```
/// use region_config::RegionCacheExt;
/// use region_core::{Region, RegionCache, RegionExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> region_core::Result<()> {
/// let cache = RegionCache::open("memory:?max_bytes=256MiB").await?;
/// cache.root().set("greeting", &"hello".to_owned()).await?;
/// assert_eq!(cache.root().get::<String>("greeting").await?.unwrap().as_str(), "hello");
/// # Ok(())
/// # }
/// ```
pub trait RegionCacheExt: sealed::Sealed {
    /// Opens a cache over the store that `url` names, with the default settings, and waits until the store is
    /// connected.
    ///
    /// A service that shall start although its server is down uses [`builder_from_url`](Self::builder_from_url), which
    /// waits for nothing.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`](region_core::ErrorKind::InvalidConfig) when the URL is wrong, or the feature that it
    /// needs is not enabled. When the server cannot be reached or refuses: as `RedisStore::connect`.
    ///
    /// # Cancel safety
    /// A dropped call leaves no connection behind.
    fn open(url: &str) -> impl Future<Output = Result<RegionCache>> + Send;

    /// As [`open`](Self::open), with the store and the settings that the environment variables say:
    /// [`Configuration::from_env`].
    ///
    /// # Errors
    /// As [`Configuration::from_env`] and [`Configuration::open`].
    ///
    /// # Cancel safety
    /// As [`open`](Self::open).
    fn from_env() -> impl Future<Output = Result<RegionCache>> + Send;

    /// Starts to build a cache over the store that `url` names, to set its root, its policies or its near cache. A
    /// server is connected in the background: until that is done, calls wait within their limits, and fail like in an
    /// outage.
    ///
    /// ```
    /// use region_config::RegionCacheExt;
    /// use region_core::RegionCache;
    ///
    /// # fn main() -> region_core::Result<()> {
    /// let cache = RegionCache::builder_from_url("memory:")?.root("shop").near(64 * 1024 * 1024).build()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`](region_core::ErrorKind::InvalidConfig) when the URL is wrong, the feature that it
    /// needs is not enabled, or it names a server and there is no Tokio runtime.
    fn builder_from_url(url: &str) -> Result<RegionCacheBuilder>;

    /// As [`builder_from_url`](Self::builder_from_url), with the store and the settings that the environment
    /// variables say: [`Configuration::from_env`].
    ///
    /// # Errors
    /// As [`Configuration::from_env`] and [`Configuration::builder`].
    fn builder_from_env() -> Result<RegionCacheBuilder>;
}

impl RegionCacheExt for RegionCache {
    async fn open(url: &str) -> Result<RegionCache> {
        Configuration::of_url(url).open().await
    }

    async fn from_env() -> Result<RegionCache> {
        Configuration::from_env()?.open().await
    }

    fn builder_from_url(url: &str) -> Result<RegionCacheBuilder> {
        Configuration::of_url(url).builder()
    }

    fn builder_from_env() -> Result<RegionCacheBuilder> {
        Configuration::from_env()?.builder()
    }
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for region_core::RegionCache {}
}
