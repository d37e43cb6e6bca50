//! What a handle to a region offers.

mod options;
mod subscription;
mod transaction;

use std::collections::HashMap;
use std::future::Future;
use std::hash::BuildHasher;
use std::sync::Arc;

use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::StreamExt;

use crate::cached::Cached;
use crate::error::{BoxError, Result};
use crate::path::{RegionPath, Segment};
use crate::policy::Policy;
use crate::regioned::{ParseSegmentId, Regioned, TypedPath};
use crate::value::serializer::Value;

pub use options::SetOptions;
pub use subscription::Subscription;
pub(crate) use transaction::EncodedWrite;
pub use transaction::{Batch, Transaction};

/// The most keys that one step of [`Region::set_many`] and [`Region::remove_many`] writes.
pub const MAX_STEP_KEYS: usize = 1_000;

/// The most bytes that one step of [`Region::set_many`] writes, keys included, unless a single value is
/// larger: one mebibyte.
pub const MAX_STEP_BYTES: usize = 1024 * 1024;

/// The most writes of one [`Transaction`].
pub const MAX_TRANSACTION_WRITES: usize = 10_000;

/// The most bytes of one [`Transaction`], keys included: 64 mebibytes.
pub const MAX_TRANSACTION_BYTES: usize = 64 * 1024 * 1024;

/// A stream of what a listing finds, or the error that ended it.
pub type Listing<T> = BoxStream<'static, Result<T>>;

/// A handle to one region: its entries, its child regions, its policy.
///
/// [`RegionHandle`](crate::RegionHandle) is the implementation over a store. Write application code
/// over `R: Region` and it takes others too: a cache that never holds anything, a recorder, a
/// double in a test.
///
/// Handles are cheap to clone, and hold nothing open. Every method works on what the store holds at
/// that moment.
///
/// # Promises
///
/// - *No stale fill*: a value whose load began before an `invalidate`, `touch`, `remove` or `set`
///   covering it completed is never returned by a read that begins after that completion.
/// - *At once*: `invalidate` and `expire` change the whole subtree in one step.
/// - *Own writes seen*: after a call returns, this process never reads anything older.
/// - *Bad bytes are a miss*: what cannot be read as the type asked for is not there.
///
/// # Errors
///
/// Every method fails with [`InvalidKey`](crate::ErrorKind::InvalidKey) if a key is empty or longer
/// than [`MAX_KEY_BYTES`](crate::MAX_KEY_BYTES), before anything is done, and with the store's
/// error. Reads follow the policy when the store cannot be asked: by default they miss.
///
/// # Cancel safety
///
/// Any future may be dropped at any await point: what it was asked to do has then happened wholly
/// or not at all.
///
/// # Example
///
/// ```
/// use region_core::{Region, Result};
///
/// /// Takes any region: over a store, or a double in a test.
/// async fn summary(project: &impl Region) -> Result<String> {
///     let load = || async { Ok::<_, std::io::Error>("from the database".to_owned()) };
///     Ok(project.get_or_compute("summary", load).await?.to_string())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// # use region_core::RegionCache;
/// # use region_memory::MemoryStore;
/// let cache = RegionCache::builder(MemoryStore::new()).root("shop").build()?;
/// let project = cache.region("org:42.project:7")?;
/// assert_eq!(summary(&project).await?, "from the database");
/// assert!(project.contains("summary").await?);
/// # Ok(())
/// # }
/// ```
pub trait Region: Clone + Send + Sync + 'static {
    /// Where the region is.
    fn path(&self) -> &RegionPath;

    /// The region below this one that `relative` names, such as `"org:42.project:7"`.
    ///
    /// # Errors
    /// [`InvalidPath`](crate::ErrorKind::InvalidPath).
    fn region(&self, relative: &str) -> Result<Self>;

    /// The child region `name`. Any text may be a name; it is escaped.
    ///
    /// # Errors
    /// [`InvalidPath`](crate::ErrorKind::InvalidPath) when the name is empty or too long.
    fn child(&self, name: &str) -> Result<Self>;

    /// The child region `name:id`. Any text may be a name or id; both are escaped.
    ///
    /// # Errors
    /// [`InvalidPath`](crate::ErrorKind::InvalidPath) when either is empty or too long.
    fn child_with_id(&self, name: &str, id: &str) -> Result<Self>;

    /// The region at a typed path below this one, under the policies of the path's types.
    ///
    /// # Errors
    /// [`InvalidPath`](crate::ErrorKind::InvalidPath) when an id cannot be a segment;
    /// [`InvalidPolicy`](crate::ErrorKind::InvalidPolicy) when a type's policy is no good.
    fn region_at<T: Regioned>(&self, path: TypedPath<T>) -> Result<Self>;

    /// The region of `value`, below this one.
    ///
    /// # Errors
    /// As [`region_at`](Self::region_at).
    fn region_of<T: Regioned>(&self, value: &T) -> Result<Self> {
        self.region_at(value.region_path())
    }

    /// The same region under another policy; what `policy` does not say stays. Regions reached
    /// through the new handle inherit it.
    ///
    /// # Errors
    /// [`InvalidPolicy`](crate::ErrorKind::InvalidPolicy), listing everything that is wrong.
    fn with_policy(&self, policy: Policy) -> Result<Self>;

    /// The fresh values at `keys`, each in the place of its key.
    fn get_many<V: Value>(
        &self,
        keys: &[&str],
    ) -> impl Future<Output = Result<Vec<Option<Arc<V>>>>> + Send;

    /// The fresh value at `key`.
    fn get<V: Value>(&self, key: &str) -> impl Future<Output = Result<Option<Arc<V>>>> + Send {
        async move { Ok(self.get_many(&[key]).await?.pop().flatten()) }
    }

    /// Whether there is a fresh entry at `key`, of whatever type.
    fn contains(&self, key: &str) -> impl Future<Output = Result<bool>> + Send;

    /// Stores `value` at `key`.
    ///
    /// # Errors
    /// [`Encode`](crate::ErrorKind::Encode), [`TooLarge`](crate::ErrorKind::TooLarge): nothing was
    /// stored, and what was there still is.
    fn set<V: Value>(&self, key: &str, value: &V) -> impl Future<Output = Result<()>> + Send {
        self.set_with(key, value, SetOptions::new())
    }

    /// As [`set`](Self::set), with options for this entry.
    fn set_with<V: Value>(
        &self,
        key: &str,
        value: &V,
        options: SetOptions,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Stores `value` unless there is a fresh value of its type at `key`; whether it was stored. Of
    /// several such calls at once, one stores.
    fn set_if_absent<V: Value>(
        &self,
        key: &str,
        value: &V,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Stores several values. All are encoded before the first is stored.
    ///
    /// They are written in steps of at most [`MAX_STEP_KEYS`] keys and [`MAX_STEP_BYTES`] bytes, so
    /// that no server is kept busy for long. Each step is applied wholly or not at all, and has the
    /// store's limit for a call; for more in one step use a [`transaction`](Self::transaction).
    ///
    /// # Errors
    /// As [`set_with`](Self::set_with), for any of the values. Steps before a store's error stay.
    ///
    /// # Cancel safety
    /// If the future is dropped, each step was applied wholly or not at all.
    fn set_many<V: Value>(&self, values: &[(&str, &V)]) -> impl Future<Output = Result<()>> + Send;

    /// Removes several entries; returns the number of fresh ones among them.
    ///
    /// They are removed in steps of at most [`MAX_STEP_KEYS`] keys, each wholly or not at all.
    ///
    /// # Errors
    /// The store's. Steps before the error stay.
    ///
    /// # Cancel safety
    /// If the future is dropped, each step was applied wholly or not at all.
    fn remove_many(&self, keys: &[&str]) -> impl Future<Output = Result<usize>> + Send;

    /// Removes the entry at `key`; whether there was a fresh one.
    fn remove(&self, key: &str) -> impl Future<Output = Result<bool>> + Send {
        async move { Ok(self.remove_many(&[key]).await? > 0) }
    }

    /// Removes the entry at `key` and returns its value if it was fresh. Of several such calls at
    /// once, one gets it.
    fn take<V: Value>(&self, key: &str) -> impl Future<Output = Result<Option<Arc<V>>>> + Send;

    /// How many fresh entries the region has, those of its children not counted.
    fn len(&self) -> impl Future<Output = Result<u64>> + Send;

    /// Whether the region has no fresh entry of its own.
    fn is_empty(&self) -> impl Future<Output = Result<bool>> + Send {
        async move { Ok(self.keys().next().await.transpose()?.is_none()) }
    }

    /// The keys of the region's fresh entries, in no order, page by page, whatever type or version
    /// their values have: no value is read for it. What comes or goes while
    /// the stream is read may be listed or not; what stays is listed, perhaps more than once.
    fn keys(&self) -> Listing<String>;

    /// The fresh entries that are a `V`, as [`keys`](Self::keys) lists them.
    fn entries<V: Value>(&self) -> Listing<(String, Arc<V>)>;

    /// The child regions that hold something, themselves or below, as [`keys`](Self::keys) lists
    /// keys. One that was emptied lately may be listed too.
    fn children(&self) -> Listing<Segment>;

    /// The ids of the child regions named `name`, as [`children`](Self::children) lists them; those
    /// that are not an `Id` are left out.
    fn child_ids<Id: ParseSegmentId + Send + 'static>(&self, name: &str) -> Listing<Id> {
        let name = name.to_owned();
        let id_of = move |segment: Segment| {
            let id = segment.id().filter(|_| segment.name() == name)?;
            Id::parse_segment_id(&id)
        };
        let ids = self
            .children()
            .filter_map(move |segment| std::future::ready(segment.map(&id_of).transpose()));
        ids.boxed()
    }

    /// The ids of the regions of `T`s in this one, as [`children`](Self::children) lists them.
    fn ids_of<T: Regioned>(&self) -> Listing<T::Id>
    where
        T::Id: ParseSegmentId + Send + 'static,
    {
        self.child_ids(T::NAME)
    }

    /// Writes that are applied together: see [`Transaction`].
    fn transaction(&self) -> Transaction<Self> {
        Transaction::new(self.clone())
    }

    /// Applies all of `batch` in one step, or nothing. What [`Transaction::commit`] calls.
    ///
    /// # Errors
    /// As [`set_with`](Self::set_with), for any of the values;
    /// [`TooLarge`](crate::ErrorKind::TooLarge) beyond [`MAX_TRANSACTION_WRITES`] writes or
    /// [`MAX_TRANSACTION_BYTES`] bytes.
    fn apply(&self, batch: Batch) -> impl Future<Output = Result<()>> + Send;

    /// The value at `key`; if there is none, `load` makes it, and it is stored.
    ///
    /// Concurrent calls for one key run one load: in this process always, and across processes
    /// while the loading one holds the lease. The load runs as a task of its own: a caller that goes
    /// away does not disturb it, and it is dropped once nobody waits for it any more. Its result is
    /// stored only if nothing that covers it was invalidated, touched, removed or set since the load
    /// began; its callers get it in any case.
    ///
    /// Where the policy keeps stale values, callers get one while another loads, and when the load
    /// fails.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Load`](crate::ErrorKind::Load) with the loader's error as its source,
    /// [`LoadPanicked`](crate::ErrorKind::LoadPanicked),
    /// [`LoadTimeout`](crate::ErrorKind::LoadTimeout); every caller that waited gets it, and the
    /// next call tries again. [`Encode`](crate::ErrorKind::Encode) when the result cannot be stored.
    fn get_or_compute<V, F, Fut, E>(
        &self,
        key: &str,
        load: F,
    ) -> impl Future<Output = Result<Arc<V>>> + Send
    where
        V: Value,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Into<BoxError> + 'static;

    /// As [`get_or_compute`](Self::get_or_compute) for several keys: `load` gets those that are
    /// missing and returns their values. `None` stands for a key that it left out; nothing is
    /// stored for that. `load` is called once, and again only for keys that another process failed
    /// to load.
    fn get_or_compute_many<V, F, Fut, E, S>(
        &self,
        keys: &[&str],
        load: F,
    ) -> impl Future<Output = Result<Vec<Option<Arc<V>>>>> + Send
    where
        V: Value,
        F: FnMut(Vec<String>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<HashMap<String, V, S>, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
        S: BuildHasher + Send + 'static;

    /// Ends the life of this region and all below it: nothing that it holds is ever returned again.
    /// One step, whose cost does not depend on how much that is.
    ///
    /// # Errors
    /// The store's. Unless it is [`Timeout`](crate::ErrorKind::Timeout), nothing has changed; calling
    /// again is always safe.
    fn invalidate(&self) -> impl Future<Output = Result<()>> + Send;

    /// Ends the life of this region's own entries and those of every region around it; children and
    /// siblings stay. For when something inside changed: what embeds it is built again, out of inner
    /// parts that are still good.
    ///
    /// # Errors
    /// As [`invalidate`](Self::invalidate).
    fn touch(&self) -> impl Future<Output = Result<()>> + Send;

    /// As [`invalidate`](Self::invalidate), but what the regions hold becomes stale instead of gone:
    /// where the policy keeps stale values they may be served while one caller loads, or when the
    /// load fails.
    ///
    /// # Errors
    /// As [`invalidate`](Self::invalidate).
    fn expire(&self) -> impl Future<Output = Result<()>> + Send;

    /// [`invalidate`](Self::invalidate) of this region and [`touch`](Self::touch) of every region
    /// around it, in one step: for when a part is deleted and the pages that embed it change.
    ///
    /// # Errors
    /// As [`invalidate`](Self::invalidate).
    fn invalidate_and_touch(&self) -> impl Future<Output = Result<()>> + Send;

    /// Starts the region's TTL ([`Policy::region_ttl`]) again; whether the policy has one.
    fn restart_region_ttl(&self) -> impl Future<Output = Result<bool>> + Send;

    /// Invalidates the region whenever `events` yields anything, until the [`Subscription`] is
    /// dropped or the stream ends. An invalidation that fails is tried again until it succeeds.
    ///
    /// Must be called within a tokio runtime.
    fn invalidate_on<S>(&self, events: S) -> Subscription
    where
        S: Stream + Send + 'static,
    {
        Subscription::new(self.clone(), events)
    }

    /// Memoises `function` in this region, by its serialized arguments: see [`Cached`].
    fn cached<F>(&self, function: F) -> Cached<Self, F> {
        Cached::new(self.clone(), function)
    }
}
