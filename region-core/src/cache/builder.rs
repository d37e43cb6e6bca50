use std::fmt;
use std::future::Future;
use std::sync::Arc;

use super::RegionCache;
use crate::engine::{DEFAULT_NEAR_BYTES, Engine, WrapSerializer};
use crate::error::{BoxError, Error, ErrorKind, Result};
use crate::handle::{LoadRequest, Loaders, RegionHandle, Shared};
use crate::load::Flights;
use crate::path::{PathError, RegionPath, Segment};
use crate::policy::{NearCache, Policy};
use crate::random::Random;
use crate::region::Loaded;
use crate::stats::DEFAULT_REGIONS;
use crate::store::{SharedStore, Store};
use crate::value::serializer::{AnySerializer, Serializer, Value};

/// The default of [`RegionCacheBuilder::max_refreshes`].
const DEFAULT_MAX_REFRESHES: usize = 64;

/// The default of [`RegionCacheBuilder::root`].
const DEFAULT_ROOT: &str = "root";

/// Builds a [`RegionCache`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct RegionCacheBuilder {
    store: SharedStore,
    root: String,
    policy: Policy,
    /// Settings that `policy` overrides, whatever the order of the calls.
    defaults: Policy,
    region_policies: Vec<(String, Policy)>,
    /// As `region_policies`, each below the one of the same names there.
    default_region_policies: Vec<(String, Policy)>,
    loaders: Vec<(String, Loaders)>,
    max_refreshes: usize,
    near_bytes: u64,
    max_region_stats: usize,
    around: Option<WrapSerializer>,
    seed: Option<u64>,
}

impl RegionCache {
    /// Starts to build a cache over `store`.
    pub fn builder(store: impl Store) -> RegionCacheBuilder {
        RegionCacheBuilder {
            store: Arc::new(store),
            root: DEFAULT_ROOT.to_owned(),
            policy: Policy::new(),
            defaults: Policy::new(),
            region_policies: Vec::new(),
            default_region_policies: Vec::new(),
            loaders: Vec::new(),
            max_refreshes: DEFAULT_MAX_REFRESHES,
            near_bytes: DEFAULT_NEAR_BYTES,
            max_region_stats: DEFAULT_REGIONS,
            around: None,
            seed: None,
        }
    }
}

impl RegionCacheBuilder {
    /// Sets the region that all others lie in: a path as text, usually one name. Caches over one store
    /// share their entries if and only if their roots are equal. The default is `"root"`.
    pub fn root(mut self, root: impl Into<String>) -> Self {
        self.root = root.into();
        self
    }

    /// Sets the root's policy, which all regions inherit.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy.within(&self.policy);
        self
    }

    /// Sets the root's policy where neither [`policy`](Self::policy) does nor, in a later call,
    /// [`near`](Self::near) or [`serializer`](Self::serializer): for settings that come from a configuration,
    /// which code takes precedence over.
    pub fn default_policy(mut self, policy: Policy) -> Self {
        self.defaults = policy.within(&self.defaults);
        self
    }

    /// Holds decoded values in this process, at most about `bytes` bytes of them: switches
    /// [`Policy::near`] on for all regions whose policy does not switch it off.
    ///
    /// An entry is counted with the bytes of its key, of its stored value, and of the bookkeeping. The
    /// bytes are divided among parts, four for each processor at most, and a value that is larger than a
    /// part is not held: it is read from the store each time.
    /// Without this method a policy that switches it on gets 64 MiB.
    ///
    /// ```
    /// use region_core::{Region, RegionCache, RegionExt};
    /// use region_memory::MemoryStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> region_core::Result<()> {
    /// let cache = RegionCache::builder(MemoryStore::new()).near(256 * 1024 * 1024).build()?;
    /// cache.root().set("motto", &"keep it near".to_owned()).await?;
    /// cache.root().get::<String>("motto").await?;
    /// cache.root().get::<String>("motto").await?;
    /// assert!(cache.stats().near_hits > 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn near(mut self, bytes: u64) -> Self {
        self.near_bytes = bytes;
        self.defaults = self.defaults.near(NearCache::On);
        self
    }

    /// Sets the serializer of all regions whose policy sets no other. The default is
    /// [`Postcard`](crate::Postcard).
    pub fn serializer(mut self, serializer: impl Serializer) -> Self {
        self.defaults = self.defaults.serializer(serializer);
        self
    }

    /// Has the serializer of every region wrapped, wherever its policy comes from: by compression or encryption that
    /// is to leave out nothing. A later call takes the place of an earlier one.
    ///
    /// What this library stores for itself in regions is wrapped too, cached responses and signals among it; the random
    /// ids of [dependencies](crate::LoadDependencies) are not. Caches over one store need the same wrapping: what was
    /// wrapped otherwise is a miss.
    ///
    /// ```
    /// # #[cfg(feature = "encryption")] {
    /// use region_core::{AnySerializer, Encrypted, EncryptionKey, KeyRing, RegionCache};
    /// use region_memory::MemoryStore;
    ///
    /// # fn main() -> region_core::Result<()> {
    /// # let key = [7; 32];
    /// let keys = KeyRing::new(1, EncryptionKey::new(&key));
    /// let cache = RegionCache::builder(MemoryStore::new())
    ///     .wrap_serializers(move |inner| AnySerializer::new(Encrypted::new(inner, keys.clone())))
    ///     .build()?;
    /// # drop(cache);
    /// # Ok(())
    /// # }
    /// # main().unwrap();
    /// # }
    /// ```
    pub fn wrap_serializers<F>(mut self, wrap: F) -> Self
    where
        F: Fn(AnySerializer) -> AnySerializer + Send + Sync + 'static,
    {
        self.around = Some(Arc::new(wrap));
        self
    }

    /// Sets the policy of the regions with these names below the root, whatever their ids, and of the
    /// regions in them: `"org.project"` covers `org:1.project:1` and all others. Its settings
    /// take precedence over those of a [`Regioned`](crate::Regioned) type.
    pub fn region_policy(mut self, names: impl Into<String>, policy: Policy) -> Self {
        self.region_policies.push((names.into(), policy));
        self
    }

    /// Sets the policy of the regions with these names as [`region_policy`](Self::region_policy) does, where that
    /// sets nothing else for the same names: for settings that come from a configuration.
    ///
    /// ```
    /// use std::time::Duration;
    /// use region_core::{Policy, RegionCache};
    /// use region_memory::MemoryStore;
    ///
    /// # fn main() -> region_core::Result<()> {
    /// let minute = Duration::from_secs(60);
    /// let cache = RegionCache::builder(MemoryStore::new())
    ///     .region_policy("org", Policy::new().ttl(minute))
    ///     .default_region_policy("org", Policy::new().ttl(10 * minute).stale_for(minute))
    ///     .build()?; // Of "org" the ttl is a minute, and stale_for too.
    /// # drop(cache);
    /// # Ok(())
    /// # }
    /// ```
    pub fn default_region_policy(mut self, names: impl Into<String>, policy: Policy) -> Self {
        self.default_region_policies.push((names.into(), policy));
        self
    }

    /// Registers a load function for the values of type `V` in the regions with these names below the
    /// root, whatever their ids: `"org.project"` is for `org:1.project:1` and all others, and not for the
    /// regions in them. An empty text is the root. See [`RegionHandle::with_loader`] for its use.
    ///
    /// ```
    /// use std::io;
    /// use region_core::{LoadRequest, Loaded, RegionCache};
    /// use region_memory::MemoryStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> region_core::Result<()> {
    /// let cache = RegionCache::builder(MemoryStore::new())
    ///     .loader("org", |request: LoadRequest<String>| async move {
    ///         Ok::<_, io::Error>(Loaded::new(format!("{} of {}", request.key, request.region.path())))
    ///     })
    ///     .build()?;
    /// # use region_core::Region;
    /// let name = cache.region("org:42")?.get_or_load::<String>("name").await?;
    /// assert_eq!(name.as_deref().map(String::as_str), Some("name of root.org:42"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn loader<V, F, Fut, E>(mut self, names: impl Into<String>, load: F) -> Self
    where
        V: Value,
        F: Fn(LoadRequest<V>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        let names = names.into();
        match self.loaders.iter_mut().find(|(given, _)| *given == names) {
            Some((_, loaders)) => *loaders = std::mem::take(loaders).with(load),
            None => self.loaders.push((names, Loaders::default().with(load))),
        }
        self
    }

    /// Sets the greatest number of refreshes in the background that run at once: early ones, and those of
    /// stale values under [`OnStale::Refresh`](crate::OnStale::Refresh). A read that would start one more
    /// returns its value and starts none. The default is 64.
    pub fn max_refreshes(mut self, refreshes: usize) -> Self {
        self.max_refreshes = refreshes;
        self
    }

    /// Sets the greatest number of regions that [`RegionCache::region_stats`] tells apart. The cache keeps the
    /// counters of up to some dozen times as many regions that have no handle any more. The default is 100.
    pub fn max_region_stats(mut self, regions: usize) -> Self {
        self.max_region_stats = regions;
        self
    }

    /// Draws every random number of the cache from `seed`, so that a test can repeat a run.
    #[cfg(feature = "testing")]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Checks every setting and builds the cache.
    ///
    /// # Errors
    /// [`InvalidPath`](ErrorKind::InvalidPath) for a bad root, and for a
    /// [`region_policy`](Self::region_policy) or [`loader`](Self::loader) of names that no region below the
    /// root can have; [`InvalidPolicy`](ErrorKind::InvalidPolicy) for an invalid policy, and for two policies
    /// of the same names. The message names the setting.
    pub fn build(self) -> Result<RegionCache> {
        let root = RegionPath::parse(&self.root).map_err(|error| bad_path("root", &error))?;
        let mut region_policies = policies("region_policy", &root, self.region_policies)?;
        let defaults = policies("default_region_policy", &root, self.default_region_policies)?;
        for (names, default) in defaults {
            match region_policies.iter_mut().find(|(given, _)| *given == names) {
                Some((_, policy)) => *policy = policy.within(&default),
                None => region_policies.push((names, default)),
            }
        }
        let mut loaders = Vec::with_capacity(self.loaders.len());
        for (text, given) in self.loaders {
            let names = match text.is_empty() {
                true => Vec::new(),
                false => names("loader", &root, &text)?,
            };
            loaders.push((names, given));
        }
        let random = self.seed.map_or_else(Random::from_system, Random::from_seed);
        let (near, regions) = (self.near_bytes, self.max_region_stats);
        let mut engine = Engine::new(self.store, root.clone(), random, near, regions);
        engine.around = self.around;
        let engine = Arc::new(engine);
        let flights = Flights::new(self.max_refreshes);
        let shared = Arc::new(Shared::new(flights, region_policies, loaders, root.depth()));
        let policy = self.policy.within(&self.defaults);
        Ok(RegionCache { root: RegionHandle::root(engine, shared, root, policy)? })
    }
}

impl fmt::Debug for RegionCacheBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegionCacheBuilder")
            .field("root", &self.root)
            .field("policy", &self.policy.within(&self.defaults))
            .field("region_policies", &self.region_policies)
            .field("default_region_policies", &self.default_region_policies)
            .field("max_refreshes", &self.max_refreshes)
            .field("near_bytes", &self.near_bytes)
            .field("max_region_stats", &self.max_region_stats)
            .field("wraps_serializers", &self.around.is_some())
            .finish_non_exhaustive()
    }
}

/// Checks the policies that the method `setting` was given, each with its names.
fn policies(
    setting: &str,
    root: &RegionPath,
    given: Vec<(String, Policy)>,
) -> Result<Vec<(Vec<String>, Policy)>> {
    let mut checked: Vec<(Vec<String>, Policy)> = Vec::with_capacity(given.len());
    for (text, policy) in given {
        let names = names(setting, root, &text)?;
        policy
            .check()
            .map_err(|error| Error::new(error.kind(), format!("{setting}({text:?}): {error}")))?;
        if checked.iter().any(|(given, _)| *given == names) {
            let message = format!("{setting}({text:?}) is given twice");
            return Err(Error::new(ErrorKind::InvalidPolicy, message));
        }
        checked.push((names, policy));
    }
    Ok(checked)
}

fn bad_path(setting: &str, error: &PathError) -> Error {
    let message = format!("{setting}({:?}): {}", error.text(), error.rule());
    Error::new(ErrorKind::InvalidPath, message)
}

/// The names in `text`. Ids are refused: what is given for them would apply to no region.
fn names(setting: &str, root: &RegionPath, text: &str) -> Result<Vec<String>> {
    let bad = |error| bad_path(setting, &error);
    let path = RegionPath::parse(text).map_err(bad)?;
    root.descend(text).map_err(bad)?;
    let name = |segment: Segment| match segment.id() {
        None => Ok(segment.name().into_owned()),
        Some(_) => Err(Error::new(
            ErrorKind::InvalidPath,
            format!(
                "{setting}({text:?}): it is for all regions of these names: leave the id of \
                 {segment} out"
            ),
        )),
    };
    path.segments().map(name).collect()
}
