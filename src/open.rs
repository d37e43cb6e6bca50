//! A cache whose store is chosen by a URL.

#[cfg(feature = "memory")]
mod memory;

use std::future::Future;

use region_core::{Error, ErrorKind, RegionCache, RegionCacheBuilder, Result};
#[cfg(feature = "redis")]
use region_redis::RedisStore;

/// The environment variable that [`RegionCacheExt::from_env`] reads.
pub const URL_VARIABLE: &str = "REGION_CACHE_URL";

/// The forms of a URL, for messages.
const FORMS: &str = "memory: for the store in this process, redis:// or rediss:// for a server, unix:// for its socket, \
                     redis-sentinel:// or redis-cluster:// for several servers";

/// Caches over a store that a URL names, for applications that choose the store by configuration.
///
/// | URL | store |
/// |---|---|
/// | `memory:` | `MemoryStore`, in this process (feature `memory`) |
/// | `memory:?max_bytes=256MiB` | the same, within a bound: bytes, or a number of `KiB`, `MiB` or `GiB` |
/// | `redis://[[user]:password@]host[:port][/database]` | `RedisStore` (feature `redis`) |
/// | `rediss://..[?ca=..&cert=..&key=..&server_name=..]` | the same, over TLS (feature `tls`) |
/// | `unix:///path/to.sock[?db=1&user=..&pass=..]` | the same, over a socket of this machine |
/// | `redis-sentinel://[[user]:password@]host[:port][,..]/name[/database][?sentinel_user=..&sentinel_password=..]` | the same, on the primary that sentinels know by this name, and its replicas; `rediss-sentinel` over TLS |
/// | `redis-cluster://[[user]:password@]host[:port][,..][?anchor=1&replicas=read]` | the same, on the nodes of a cluster; `rediss-cluster` over TLS |
///
/// The type of the cache does not name the store. What else there is to set of a `RedisStore`, such
/// as its limits, is set by its builder; then the application makes the cache over that store itself.
///
/// An error about a URL says which part is wrong, and shows no password.
///
/// ```
/// use region_cache::{Region, RegionCache, RegionCacheExt, RegionExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> region_cache::Result<()> {
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
    /// [`ErrorKind::InvalidConfig`] when the URL is wrong, or the feature that it needs is not enabled. When the
    /// server cannot be reached or refuses: as `RedisStore::connect`.
    ///
    /// # Cancel safety
    /// A dropped call leaves no connection behind.
    fn open(url: &str) -> impl Future<Output = Result<RegionCache>> + Send;

    /// As [`open`](Self::open), by the URL in the environment variable `REGION_CACHE_URL`.
    ///
    /// # Errors
    /// As [`open`](Self::open). [`ErrorKind::InvalidConfig`] also when the variable is not set or is empty: a forgotten
    /// variable does not silently leave each process with a cache of its own. `memory:` asks for that.
    ///
    /// # Cancel safety
    /// As [`open`](Self::open).
    fn from_env() -> impl Future<Output = Result<RegionCache>> + Send;

    /// Starts to build a cache over the store that `url` names, to set its root, its policies or its near cache. A
    /// server is connected in the background: until that is done, calls wait within their limits, and fail like in an
    /// outage.
    ///
    /// ```
    /// use region_cache::{RegionCache, RegionCacheExt};
    ///
    /// # fn main() -> region_cache::Result<()> {
    /// let cache = RegionCache::builder_from_url("memory:")?.root("shop").near(64 * 1024 * 1024).build()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] when the URL is wrong, the feature that it needs is not enabled, or it names a server
    /// and there is no Tokio runtime.
    fn builder_from_url(url: &str) -> Result<RegionCacheBuilder>;

    /// As [`builder_from_url`](Self::builder_from_url), by the URL in the environment variable `REGION_CACHE_URL`.
    ///
    /// # Errors
    /// As [`builder_from_url`](Self::builder_from_url), and as [`from_env`](Self::from_env).
    fn builder_from_env() -> Result<RegionCacheBuilder>;
}

impl RegionCacheExt for RegionCache {
    async fn open(url: &str) -> Result<RegionCache> {
        match kind(url)? {
            Kind::Memory(rest) => memory(rest)?.build(),
            #[cfg(feature = "redis")]
            Kind::Redis => Self::builder(RedisStore::connect(url).await?).build(),
            #[cfg(not(feature = "redis"))]
            Kind::Redis => Err(needs("redis")),
        }
    }

    async fn from_env() -> Result<RegionCache> {
        let opened = Self::open(&variable()?).await;
        opened.map_err(named)
    }

    fn builder_from_url(url: &str) -> Result<RegionCacheBuilder> {
        match kind(url)? {
            Kind::Memory(rest) => memory(rest),
            #[cfg(feature = "redis")]
            Kind::Redis => Ok(Self::builder(RedisStore::builder(url)?.build()?)),
            #[cfg(not(feature = "redis"))]
            Kind::Redis => Err(needs("redis")),
        }
    }

    fn builder_from_env() -> Result<RegionCacheBuilder> {
        Self::builder_from_url(&variable()?).map_err(named)
    }
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for region_core::RegionCache {}
}

/// The kind of store that a URL names.
enum Kind<'u> {
    /// With what follows the scheme.
    Memory(&'u str),
    Redis,
}

/// Returns the kind of store that `url` names. A message repeats no part of it: any may be one of a password.
fn kind(url: &str) -> Result<Kind<'_>> {
    let url = url.trim();
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err(refuse(&format!("it has no scheme; write {FORMS}")));
    };
    let scheme = scheme.to_ascii_lowercase();
    if scheme == "memory" {
        return Ok(Kind::Memory(rest));
    }
    // The store knows which schemes there are of these.
    if scheme == "unix" || ["redis", "valkey"].iter().any(|server| scheme.starts_with(server)) {
        return Ok(Kind::Redis);
    }
    Err(refuse(&format!("its scheme is unknown; write {FORMS}")))
}

#[cfg(feature = "memory")]
fn memory(rest: &str) -> Result<RegionCacheBuilder> {
    let store = memory::store(rest).map_err(|why| refuse(&why))?;
    Ok(RegionCache::builder(store))
}

#[cfg(not(feature = "memory"))]
fn memory(_: &str) -> Result<RegionCacheBuilder> {
    Err(needs("memory"))
}

/// The error of a URL whose store is not built in.
#[cfg(not(all(feature = "memory", feature = "redis")))]
fn needs(feature: &str) -> Error {
    refuse(&format!("its store needs the feature `{feature}` of region-cache"))
}

/// The URL in the environment.
fn variable() -> Result<String> {
    let why = match std::env::var(URL_VARIABLE) {
        Ok(url) if !url.trim().is_empty() => return Ok(url),
        Ok(_) => "is empty",
        Err(std::env::VarError::NotPresent) => "is not set",
        Err(std::env::VarError::NotUnicode(_)) => "is not UTF-8",
    };
    let message = format!("the environment variable {URL_VARIABLE} {why}; write {FORMS}");
    Err(Error::new(ErrorKind::InvalidConfig, message))
}

/// Names the variable in an error about the URL in it.
fn named(error: Error) -> Error {
    if error.kind() != ErrorKind::InvalidConfig {
        return error;
    }
    Error::new(ErrorKind::InvalidConfig, format!("{URL_VARIABLE}: {error}"))
}

fn refuse(why: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, format!("the URL is wrong: {why}"))
}
