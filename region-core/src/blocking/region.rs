//! A region whose calls block.

use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;
use std::sync::Arc;

use tokio::task::{JoinError, spawn_blocking};

use super::listing::BlockingListing;
use super::runtime::OwnedRuntime;
use crate::error::{BoxError, Error, ErrorKind, Result};
use crate::handle::RegionHandle;
use crate::load::AroundLoad;
use crate::path::{RegionPath, Segment};
use crate::policy::Policy;
use crate::region::{LoadOptions, Loaded, Region, RegionExt, SetOptions};
use crate::regioned::{Regioned, TypedPath};
use crate::value::serializer::Value;

/// A [`RegionHandle`] whose calls block. Each method is that of the same name of [`Region`] or [`RegionExt`], with
/// the same errors.
///
/// Cheap to clone.
#[derive(Clone)]
pub struct BlockingRegion {
    runtime: Arc<OwnedRuntime>,
    region: RegionHandle,
}

impl BlockingRegion {
    pub(super) fn new(runtime: &Arc<OwnedRuntime>, region: RegionHandle) -> Self {
        Self { runtime: Arc::clone(runtime), region }
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.wait(future)
    }

    fn other(&self, region: Result<RegionHandle>) -> Result<Self> {
        Ok(Self::new(&self.runtime, region?))
    }

    /// The region itself, for what this one has no method for: see
    /// [`BlockingCache::wait`](super::BlockingCache::wait).
    #[must_use]
    pub fn handle(&self) -> &RegionHandle {
        &self.region
    }

    /// The region's path.
    #[must_use]
    pub fn path(&self) -> &RegionPath {
        self.region.path()
    }
}

/// Other regions.
impl BlockingRegion {
    /// See [`RegionExt::region`].
    ///
    /// # Errors
    /// [`InvalidPath`](ErrorKind::InvalidPath).
    pub fn region(&self, relative: &str) -> Result<Self> {
        self.other(self.region.region(relative))
    }

    /// See [`RegionExt::region_at`].
    ///
    /// # Errors
    /// As that.
    pub fn region_at<T: Regioned>(&self, path: TypedPath<T>) -> Result<Self> {
        self.other(self.region.region_at(path))
    }

    /// See [`RegionExt::region_of`].
    ///
    /// # Errors
    /// As that.
    pub fn region_of<T: Regioned>(&self, value: &T) -> Result<Self> {
        self.other(self.region.region_of(value))
    }

    /// See [`Region::with_policy`].
    ///
    /// # Errors
    /// As that.
    pub fn with_policy(&self, policy: Policy) -> Result<Self> {
        self.other(self.region.with_policy(policy))
    }
}

/// Reading and listing.
impl BlockingRegion {
    /// See [`Region::get`].
    ///
    /// # Errors
    /// As that.
    pub fn get<V: Value>(&self, key: &str) -> Result<Option<Arc<V>>> {
        self.wait(self.region.get(key))
    }

    /// See [`Region::get_many`].
    ///
    /// # Errors
    /// As that.
    pub fn get_many<V: Value>(&self, keys: &[&str]) -> Result<Vec<Option<Arc<V>>>> {
        self.wait(self.region.get_many(keys))
    }

    /// See [`Region::contains`].
    ///
    /// # Errors
    /// As that.
    pub fn contains(&self, key: &str) -> Result<bool> {
        self.wait(self.region.contains(key))
    }

    /// See [`Region::len`].
    ///
    /// # Errors
    /// As that.
    pub fn len(&self) -> Result<u64> {
        self.wait(self.region.len())
    }

    /// See [`Region::is_empty`].
    ///
    /// # Errors
    /// As that.
    pub fn is_empty(&self) -> Result<bool> {
        self.wait(self.region.is_empty())
    }

    /// See [`Region::keys`].
    #[must_use]
    pub fn keys(&self) -> BlockingListing<String> {
        BlockingListing::new(&self.runtime, self.region.keys())
    }

    /// See [`Region::entries`].
    #[must_use]
    pub fn entries<V: Value>(&self) -> BlockingListing<(String, Arc<V>)> {
        BlockingListing::new(&self.runtime, self.region.entries())
    }

    /// See [`Region::children`].
    #[must_use]
    pub fn children(&self) -> BlockingListing<Segment> {
        BlockingListing::new(&self.runtime, self.region.children())
    }
}

/// Writing.
impl BlockingRegion {
    /// See [`RegionExt::set`].
    ///
    /// # Errors
    /// As that.
    pub fn set<V: Value>(&self, key: &str, value: &V) -> Result<()> {
        self.wait(self.region.set(key, value))
    }

    /// See [`RegionExt::set_with`].
    ///
    /// # Errors
    /// As that.
    pub fn set_with<V: Value>(&self, key: &str, value: &V, options: SetOptions) -> Result<()> {
        self.wait(self.region.set_with(key, value, options))
    }

    /// See [`RegionExt::set_many`].
    ///
    /// # Errors
    /// As that.
    pub fn set_many<V: Value>(&self, values: &[(&str, &V)]) -> Result<()> {
        self.wait(self.region.set_many(values))
    }

    /// See [`Region::set_if_absent`].
    ///
    /// # Errors
    /// As that.
    pub fn set_if_absent<V: Value>(&self, key: &str, value: &V) -> Result<bool> {
        self.wait(self.region.set_if_absent(key, value))
    }

    /// See [`RegionExt::remove`].
    ///
    /// # Errors
    /// As that.
    pub fn remove(&self, key: &str) -> Result<bool> {
        self.wait(self.region.remove(key))
    }

    /// See [`Region::remove_many`].
    ///
    /// # Errors
    /// As that.
    pub fn remove_many(&self, keys: &[&str]) -> Result<usize> {
        self.wait(self.region.remove_many(keys))
    }

    /// See [`Region::take`].
    ///
    /// # Errors
    /// As that.
    pub fn take<V: Value>(&self, key: &str) -> Result<Option<Arc<V>>> {
        self.wait(self.region.take(key))
    }
}

/// Loading.
impl BlockingRegion {
    /// As [`Region::get_or_compute`]; `load` may block, for it runs on a thread of its own.
    ///
    /// # Errors
    /// As that.
    pub fn get_or_compute<V, F, E>(&self, key: &str, load: F) -> Result<Arc<V>>
    where
        V: Value,
        F: FnOnce() -> Result<V, E> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        self.wait(self.region.get_or_compute(key, move || on_a_thread(load)))
    }

    /// As [`Region::get_or_compute_with`]; `load` may block, for it runs on a thread of its own.
    ///
    /// # Errors
    /// As that.
    pub fn get_or_compute_with<V, F, E>(
        &self,
        key: &str,
        options: LoadOptions,
        load: F,
    ) -> Result<Option<Arc<V>>>
    where
        V: Value,
        F: FnOnce(Option<Arc<V>>) -> Result<Loaded<V>, E> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        let load = move |previous| on_a_thread(move || load(previous));
        self.wait(self.region.get_or_compute_with(key, options, load))
    }
}

/// Ending.
impl BlockingRegion {
    /// See [`RegionExt::invalidate`].
    ///
    /// # Errors
    /// As that.
    pub fn invalidate(&self) -> Result<()> {
        self.wait(self.region.invalidate())
    }

    /// See [`RegionExt::touch`].
    ///
    /// # Errors
    /// As that.
    pub fn touch(&self) -> Result<()> {
        self.wait(self.region.touch())
    }

    /// See [`RegionExt::expire`].
    ///
    /// # Errors
    /// As that.
    pub fn expire(&self) -> Result<()> {
        self.wait(self.region.expire())
    }

    /// See [`RegionExt::invalidate_and_touch`].
    ///
    /// # Errors
    /// As that.
    pub fn invalidate_and_touch(&self) -> Result<()> {
        self.wait(self.region.invalidate_and_touch())
    }

    /// See [`Region::restart_region_ttl`].
    ///
    /// # Errors
    /// As that.
    pub fn restart_region_ttl(&self) -> Result<bool> {
        self.wait(self.region.restart_region_ttl())
    }
}

/// Runs a load that may block on a thread for such. Calls that it makes are known to be part of the load.
async fn on_a_thread<T, E>(
    load: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, BoxError>
where
    T: Send + 'static,
    E: Into<BoxError> + 'static,
{
    let around = AroundLoad::current();
    let loaded = spawn_blocking(move || around.run(|| load().map_err(Into::into))).await;
    loaded.unwrap_or_else(|error: JoinError| match error.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        Err(_) => Err(Error::new(ErrorKind::Load, "the runtime of the cache has ended").into()),
    })
}

impl fmt::Debug for BlockingRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BlockingRegion").field(&self.path().as_str()).finish()
    }
}
