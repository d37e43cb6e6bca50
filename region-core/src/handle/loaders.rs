//! Load functions that are registered for a region, by the type of their values.

use std::any::{Any, TypeId};
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_core::future::BoxFuture;

use super::RegionHandle;
use crate::error::{BoxError, Error, ErrorKind, Result};
use crate::load;
use crate::region::{Answer, LoadOptions, Loaded};
use crate::value::serializer::Value;

/// The question to a load function that is registered for a region: see
/// [`RegionHandle::with_loader`].
#[non_exhaustive]
pub struct LoadRequest<V> {
    /// The region that the value is loaded for.
    pub region: RegionHandle,
    /// The key.
    pub key: String,
    /// The value that is there, if it is stale or about to be replaced early.
    pub previous: Option<Arc<V>>,
}

type LoadFn<V> =
    dyn Fn(LoadRequest<V>) -> BoxFuture<'static, Result<Loaded<V>, BoxError>> + Send + Sync;

/// The load functions of one region, the latest first. Of a type the first counts.
#[derive(Clone, Default)]
pub(crate) struct Loaders(Option<Arc<Registered>>);

struct Registered {
    of: TypeId,
    /// An `Arc<LoadFn<V>>`, where `of` is `V`.
    load: Box<dyn Any + Send + Sync>,
    earlier: Loaders,
}

impl Loaders {
    pub(crate) fn with<V, F, Fut, E>(self, load: F) -> Self
    where
        V: Value,
        F: Fn(LoadRequest<V>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        let load = move |request: LoadRequest<V>| {
            let loading = load(request);
            let loading = async move { loading.await.map_err(Into::into) };
            Box::pin(loading) as BoxFuture<'static, Result<Loaded<V>, BoxError>>
        };
        let load: Arc<LoadFn<V>> = Arc::new(load);
        let registered = Registered { of: TypeId::of::<V>(), load: Box::new(load), earlier: self };
        Self(Some(Arc::new(registered)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn of<V: Value>(&self) -> Option<&Arc<LoadFn<V>>> {
        let mut next = self.0.as_deref();
        while let Some(registered) = next {
            if registered.of == TypeId::of::<V>() {
                return registered.load.downcast_ref();
            }
            next = registered.earlier.0.as_deref();
        }
        None
    }
}

impl RegionHandle {
    /// Returns the same region with a load function for its values of type `V`: for
    /// [`get_or_load`](Self::get_or_load), and to refresh values in the background.
    ///
    /// With it a plain [`get`](crate::Region::get) of a `V` refreshes too. It starts a load in the
    /// background if the entry is to be refreshed early
    /// ([`Policy::early_refresh_at`](crate::Policy::early_refresh_at),
    /// [`Policy::early_refresh_beta`](crate::Policy::early_refresh_beta)), or is stale and the policy says
    /// [`OnStale::Refresh`](crate::OnStale::Refresh); in this case it returns the stale value. `get_many`
    /// refreshes nothing.
    ///
    /// It applies to this region and not to those in it. Of two functions for one type the later one
    /// counts; one that is registered by
    /// [`RegionCacheBuilder::loader`](crate::RegionCacheBuilder::loader) counts as earlier.
    ///
    /// A load in the background is stored like any other: only if nothing that covers it has ended
    /// meanwhile. At most [`RegionCacheBuilder::max_refreshes`](crate::RegionCacheBuilder::max_refreshes)
    /// run at once in a cache. If one fails, that is logged and counted, and the key is not refreshed for
    /// [`Policy::load_retry_after`](crate::Policy::load_retry_after).
    ///
    /// ```
    /// use std::io;
    /// use region_core::{LoadRequest, Loaded, Region, RegionCache};
    /// use region_memory::MemoryStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> region_core::Result<()> {
    /// let cache = RegionCache::builder(MemoryStore::new()).build()?;
    /// let users = cache.region("users")?.with_loader(|request: LoadRequest<String>| async move {
    ///     Ok::<_, io::Error>(Loaded::new(format!("user {}", request.key)))
    /// });
    /// assert_eq!(users.get::<String>("7").await?, None);
    /// let user = users.get_or_load::<String>("7").await?;
    /// assert_eq!(user.as_deref().map(String::as_str), Some("user 7"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_loader<V, F, Fut, E>(&self, load: F) -> Self
    where
        V: Value,
        F: Fn(LoadRequest<V>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        let loaders = self.loaders.clone().with(load);
        Self { context: Arc::clone(&self.context), shared: Arc::clone(&self.shared), loaders }
    }

    /// Returns the value at `key`. If there is none, calls the load function that is registered for `V`
    /// and stores its result, as [`get_or_compute_with`](crate::Region::get_or_compute_with) does. The
    /// result is `None` if there is no value.
    ///
    /// # Errors
    /// As [`get_or_compute`](crate::Region::get_or_compute);
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) if no load function is registered for `V`.
    ///
    /// # Cancel safety
    /// Dropping the future ends the wait. The load goes on while another waits for it.
    pub async fn get_or_load<V: Value>(&self, key: &str) -> Result<Option<Arc<V>>> {
        self.get_or_load_with(key, LoadOptions::new()).await
    }

    /// As [`get_or_load`](Self::get_or_load), with options: to load although there is a fresh value, for
    /// one.
    ///
    /// # Errors
    /// As [`get_or_load`](Self::get_or_load).
    ///
    /// # Cancel safety
    /// Dropping the future ends the wait. The load goes on while another waits for it.
    pub async fn get_or_load_with<V: Value>(
        &self,
        key: &str,
        options: LoadOptions,
    ) -> Result<Option<Arc<V>>> {
        let Some(load) = self.loaders.of::<V>() else {
            let message =
                format!("no load function is registered for {}", std::any::type_name::<V>());
            let error = Error::new(ErrorKind::InvalidConfig, message);
            return Err(error.on("get_or_load", self.context.path()).at_key(key));
        };
        let load = self.load_of(load, key);
        load::one_with(&self.context, &self.shared.flights, key, options, load).await
    }

    /// Returns the value at `key`, and refreshes it by the load function that is registered for `V`, if
    /// there is one and the policy says so. `None`: there is nothing to refresh, whatever the entry.
    pub(super) async fn get_and_refresh<V: Value>(
        &self,
        key: &str,
    ) -> Option<Result<Answer<Option<Arc<V>>>>> {
        if !self.context.policy().refreshes() {
            return None;
        }
        let load = self.load_of(self.loaders.of::<V>()?, key);
        // Boxed, so that the future of a plain read stays small.
        Some(Box::pin(load::refresh(&self.context, &self.shared.flights, key, load)).await)
    }

    /// The call of a registered load function for one key.
    fn load_of<V: Value>(
        &self,
        load: &Arc<LoadFn<V>>,
        key: &str,
    ) -> impl FnOnce(Option<Arc<V>>) -> BoxFuture<'static, Result<Loaded<V>, BoxError>>
    + Send
    + 'static
    + use<V> {
        let (load, region, key) = (Arc::clone(load), self.clone(), key.to_owned());
        move |previous| load(LoadRequest { region, key, previous })
    }
}

impl<V> fmt::Debug for LoadRequest<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadRequest")
            .field("region", self.region.context.path())
            .field("key", &self.key)
            .field("has_previous", &self.previous.is_some())
            .finish_non_exhaustive()
    }
}
