use std::future::{Future, ready};
use std::sync::Arc;

use futures_core::Stream;
use futures_util::StreamExt;

use super::{
    Batch, Cached, Listing, LoadOptions, Loaded, Region, SetOptions, Subscription, Transaction,
    Warm,
};
use crate::error::{BoxError, Error, ErrorKind, Result};
use crate::path::Segment;
use crate::regioned::{ParseSegmentId, Regioned, TypedPath};
use crate::store::Verb;
use crate::value::serializer::Value;

/// The everyday methods of a [`Region`]. Every `Region` has them.
pub trait RegionExt: Region {
    /// Returns the region at `relative` below this one, a path such as `"org:42.project:7"`.
    ///
    /// # Errors
    /// [`InvalidPath`](crate::ErrorKind::InvalidPath).
    fn region(&self, relative: &str) -> Result<Self> {
        self.descend_text(relative)
    }

    /// Returns the child region `name`. Any text may be a name; it is escaped.
    ///
    /// # Errors
    /// [`InvalidPath`](crate::ErrorKind::InvalidPath) when the name is empty or too long.
    fn child(&self, name: &str) -> Result<Self> {
        let segment = Segment::new(name).map_err(|error| error.within(self.path().as_str()))?;
        self.descend(&[segment], &[])
    }

    /// Returns the child region `name:id`. Any text may be a name or id; both are escaped.
    ///
    /// # Errors
    /// [`InvalidPath`](crate::ErrorKind::InvalidPath) when either is empty or too long.
    fn child_with_id(&self, name: &str, id: &str) -> Result<Self> {
        let segment = Segment::with_id(name, id);
        self.descend(&[segment.map_err(|error| error.within(self.path().as_str()))?], &[])
    }

    /// Returns the region at a typed path below this one, under the policies of the path's types.
    ///
    /// # Errors
    /// [`InvalidPath`](crate::ErrorKind::InvalidPath) when an id cannot be a segment;
    /// [`InvalidPolicy`](crate::ErrorKind::InvalidPolicy) when a type's policy is invalid.
    fn region_at<T: Regioned>(&self, path: TypedPath<T>) -> Result<Self> {
        self.descend_typed(&path)
    }

    /// Returns the region of `value`, below this one.
    ///
    /// # Errors
    /// As [`region_at`](Self::region_at).
    fn region_of<T: Regioned>(&self, value: &T) -> Result<Self> {
        self.region_at(value.region_path())
    }

    /// Stores `value` at `key`.
    ///
    /// # Errors
    /// [`Encode`](crate::ErrorKind::Encode) when the value cannot be written, or not be read back from
    /// what its serializer writes; [`TooLarge`](crate::ErrorKind::TooLarge). In both cases nothing was
    /// stored, and an older value stays.
    fn set<V: Value>(&self, key: &str, value: &V) -> impl Future<Output = Result<()>> + Send {
        self.set_with(key, value, SetOptions::new())
    }

    /// As [`set`](Self::set), with options for this entry.
    fn set_with<V: Value>(
        &self,
        key: &str,
        value: &V,
        options: SetOptions,
    ) -> impl Future<Output = Result<()>> + Send {
        async move { self.set_many_with(&[(key, value)], options).await }
    }

    /// Stores several values. All are encoded before the first is stored.
    ///
    /// They are written in steps of at most [`MAX_STEP_KEYS`](crate::MAX_STEP_KEYS) keys and
    /// [`MAX_STEP_BYTES`](crate::MAX_STEP_BYTES) bytes, so that no server is kept busy for long. Each step
    /// is applied completely or not at all, and has the store's limit for a call. To write more in one
    /// step, use a [`transaction`](Self::transaction).
    ///
    /// # Errors
    /// As [`set`](Self::set), for any of the values. Steps before a store's error stay.
    ///
    /// # Cancel safety
    /// If the future is dropped, each step was applied completely or not at all.
    fn set_many<V: Value>(&self, values: &[(&str, &V)]) -> impl Future<Output = Result<()>> + Send {
        self.set_many_with(values, SetOptions::new())
    }

    /// Removes the entry at `key`, and returns true if it was fresh.
    fn remove(&self, key: &str) -> impl Future<Output = Result<bool>> + Send {
        async move { Ok(self.remove_many(&[key]).await? > 0) }
    }

    /// Lists the ids of the child regions named `name`, as [`children`](Region::children) lists
    /// regions. Ids that are not an `Id` are left out.
    fn child_ids<Id: ParseSegmentId + Send + 'static>(&self, name: &str) -> Listing<Id> {
        let name = name.to_owned();
        let id_of = move |segment: Segment| {
            let id = segment.id().filter(|_| segment.name() == name)?;
            Id::parse_segment_id(&id)
        };
        let ids = self.children().filter_map(move |segment| ready(segment.map(&id_of).transpose()));
        ids.boxed()
    }

    /// Lists the ids of the regions of `T`s in this one, as [`children`](Region::children) lists
    /// regions.
    fn ids_of<T: Regioned>(&self) -> Listing<T::Id>
    where
        T::Id: ParseSegmentId + Send + 'static,
    {
        self.child_ids(T::NAME)
    }

    /// Begins a [`Transaction`]: writes that are applied together.
    fn transaction(&self) -> Transaction<Self> {
        Transaction::new(self.clone(), Batch::new())
    }

    /// Invalidates this region and all below it: no read that begins later returns anything that they
    /// hold now. One step, whose cost does not depend on the number of entries.
    ///
    /// # Errors
    /// As [`Region::end`].
    fn invalidate(&self) -> impl Future<Output = Result<()>> + Send {
        self.end(Verb::Invalidate)
    }

    /// Drops this region's own entries and those of every region around it. Children and siblings
    /// stay.
    ///
    /// Use it when something inside has changed: the pages that embed it are built again, from inner
    /// parts that are still valid.
    ///
    /// # Errors
    /// As [`Region::end`].
    fn touch(&self) -> impl Future<Output = Result<()>> + Send {
        self.end(Verb::Touch)
    }

    /// As [`invalidate`](Self::invalidate), but the values become stale instead: if the policy keeps
    /// stale values, they may be returned while one caller loads, or when the load fails.
    ///
    /// # Errors
    /// As [`Region::end`].
    fn expire(&self) -> impl Future<Output = Result<()>> + Send {
        self.end(Verb::Expire)
    }

    /// [Invalidates](Self::invalidate) this region and all below it, and drops the own entries of every
    /// region around it, as [`touch`](Self::touch) does, in one step.
    ///
    /// Use it when something is deleted that pages around it embed: a project, say, and its
    /// organisation's overview.
    ///
    /// # Errors
    /// As [`Region::end`].
    ///
    /// ```
    /// use region_core::{Region, RegionCache, RegionExt};
    /// use region_memory::MemoryStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> region_core::Result<()> {
    /// let cache = RegionCache::builder(MemoryStore::new()).build()?;
    /// let org = cache.region("org:42")?;
    /// let (deleted, other) = (org.region("project:7")?, org.region("project:8")?);
    /// for region in [&org, &deleted, &other] {
    ///     region.set("page", &"..".to_owned()).await?;
    /// }
    /// deleted.invalidate_and_touch().await?;
    /// assert!(!org.contains("page").await? && !deleted.contains("page").await?);
    /// assert!(other.contains("page").await?);
    /// # Ok(())
    /// # }
    /// ```
    fn invalidate_and_touch(&self) -> impl Future<Output = Result<()>> + Send {
        self.end(Verb::InvalidateAndTouch)
    }

    /// Invalidates the region at each item of `events`, until the [`Subscription`] is dropped or the
    /// stream ends. An invalidation that fails is tried again until it succeeds, whatever the error, at
    /// growing intervals of at most five seconds; the subscription tells of it.
    ///
    /// Must be called within a tokio runtime.
    fn invalidate_on<S>(&self, events: S) -> Subscription
    where
        S: Stream + Send + 'static,
    {
        Subscription::new(self.clone(), events)
    }

    /// Loads the value at `key` although there is a fresh one, and stores it as
    /// [`get_or_compute`](Region::get_or_compute) does. Until then readers get the old value.
    ///
    /// The load begins after the call: a load that is under way is not joined, but waited for. Of many
    /// calls at once those that come before the load begins share it.
    ///
    /// # Errors
    /// As [`get_or_compute`](Region::get_or_compute). A load that fails leaves the value that is there,
    /// and its callers get the error.
    fn reload<V, F, Fut, E>(
        &self,
        key: &str,
        load: F,
    ) -> impl Future<Output = Result<Arc<V>>> + Send
    where
        V: Value,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        let load = |_| async move { load().await.map(Loaded::new) };
        async move {
            let options = LoadOptions::new().reload();
            let value = self.get_or_compute_with(key, options, load).await?;
            // Another caller's load, which this one shares, may have brought none.
            value.ok_or_else(|| Error::new(ErrorKind::Load, "there is no value").at_key(key))
        }
    }

    /// Loads `keys` ahead of their readers, some at a time: see [`Warm`].
    fn warm<K: Into<String>>(&self, keys: impl IntoIterator<Item = K>) -> Warm<Self> {
        Warm::new(self.clone(), keys.into_iter().map(Into::into).collect())
    }

    /// Memoises `function` in this region, by its serialized arguments: see [`Cached`].
    fn cached<F>(&self, function: F) -> Cached<Self, F> {
        Cached::new(self.clone(), function)
    }
}

impl<R: Region> RegionExt for R {}
