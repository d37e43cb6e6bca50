//! Handles to regions.

mod across;
mod answer;
mod batch;
mod cached;
mod dependency;
mod ext;
mod limits;
mod loaded;
mod options;
mod retry;
mod subscription;
mod transaction;
mod warm;

use std::collections::HashMap;
use std::future::Future;
use std::hash::BuildHasher;
use std::sync::Arc;

use futures_core::stream::BoxStream;
use futures_util::StreamExt;

use crate::error::{BoxError, Result};
use crate::path::{RegionPath, Segment};
use crate::policy::Policy;
use crate::regioned::{Regioned, TypedPath};
use crate::stats::MissReason;
use crate::store::Verb;
use crate::value::serializer::Value;

pub use across::{MAX_REGIONS_ACROSS, get_across};
pub use answer::{Answer, Outcome, UncachedReason};
pub(crate) use batch::EncodedWrite;
pub use batch::{Batch, BatchValue, BatchWrite};
pub use cached::{Cached, args_key};
pub use dependency::Dependency;
pub use ext::RegionExt;
pub use limits::{MAX_STEP_BYTES, MAX_STEP_KEYS, MAX_TRANSACTION_BYTES, MAX_TRANSACTION_WRITES};
pub use loaded::Loaded;
pub use options::{LoadOptions, SetOptions};
pub(crate) use retry::{Failures, Retry};
pub use subscription::Subscription;
pub use transaction::Transaction;
pub use warm::{Warm, WarmProgress};

/// The stream of a listing. An error ends it.
pub type Listing<T> = BoxStream<'static, Result<T>>;

/// A handle to one region: its entries, its child regions and its policy.
///
/// [`RegionHandle`](crate::RegionHandle) implements it over a store. Application code that is written
/// over `R: Region` accepts other implementations too: a cache that never holds anything, a recorder,
/// a double in a test. Most code calls the methods of [`RegionExt`], which every `Region` has.
///
/// Handles are cheap to clone and hold nothing open. Every method works on what the store holds at
/// that moment.
///
/// # Promises
///
/// - *No stale fill*: a value whose load began before an `invalidate`, `touch`, `remove` or `set`
///   covering it completed is never returned by a read that begins after that completion.
/// - *At once*: `invalidate` and `expire` change the whole subtree in one step.
/// - *Own writes seen*: after a call returns, this process never reads anything older.
/// - *Bad bytes are a miss*: bytes that cannot be read as the requested type count as absent.
///
/// # Errors
///
/// Every method fails with [`InvalidKey`](crate::ErrorKind::InvalidKey) if a key is empty or longer
/// than [`MAX_KEY_BYTES`](crate::MAX_KEY_BYTES), before anything is done, and with the store's
/// errors. While the store does not serve, reads follow [`Policy::on_outage`]: by default they miss.
///
/// # Cancel safety
///
/// Any future may be dropped at any await point: its operation has then happened completely or not
/// at all. Methods that write in several steps say so.
///
/// # Example
///
/// ```
/// use region_core::{Region, RegionExt, Result};
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
/// project.invalidate().await?;
/// assert!(!project.contains("summary").await?);
/// # Ok(())
/// # }
/// ```
pub trait Region: Clone + Send + Sync + 'static {
    /// Returns the path of the region.
    fn path(&self) -> &RegionPath;

    /// Returns the region at `segments` below this one.
    ///
    /// `policies` are the policies of the segments' types, the outermost first. Segments beyond its
    /// end have no type.
    ///
    /// # Errors
    /// [`InvalidPath`](crate::ErrorKind::InvalidPath) when the path grows too long;
    /// [`InvalidPolicy`](crate::ErrorKind::InvalidPolicy) when the policy that results is invalid.
    fn descend(&self, segments: &[Segment], policies: &[Policy]) -> Result<Self>;

    /// Returns the region at `relative` below this one, a path such as `"org:42.project:7"`. An implementation may
    /// have a faster way than [`descend`](Self::descend).
    ///
    /// # Errors
    /// As [`RegionExt::region`].
    fn descend_text(&self, relative: &str) -> Result<Self> {
        let below = self.path().descend(relative)?;
        let segments: Vec<_> = below.segments().skip(self.path().depth()).collect();
        self.descend(&segments, &[])
    }

    /// Returns the region at `path` below this one, under the policies of the path's types. An implementation
    /// may have a faster way than [`descend`](Self::descend).
    ///
    /// # Errors
    /// As [`RegionExt::region_at`].
    fn descend_typed<T: Regioned>(&self, path: &TypedPath<T>) -> Result<Self> {
        let mut policies = Vec::new();
        T::policies(&mut policies);
        self.descend(&path.segments()?, &policies)
    }

    /// Returns the same region under another policy, with the settings that `policy` leaves out as
    /// they are. Regions reached through the new handle inherit it.
    ///
    /// # Errors
    /// [`InvalidPolicy`](crate::ErrorKind::InvalidPolicy), listing every fault.
    fn with_policy(&self, policy: Policy) -> Result<Self>;

    /// Returns the fresh values at `keys`, each in the place of its key.
    ///
    /// Up to [`MAX_STEP_KEYS`](crate::MAX_STEP_KEYS) keys are read at one moment. More are read in several
    /// steps: a transaction may come in between, and if the region ends in between, what was read before
    /// that counts as missing.
    fn get_many<V: Value>(
        &self,
        keys: &[&str],
    ) -> impl Future<Output = Result<Vec<Option<Arc<V>>>>> + Send;

    /// Returns the fresh value at `key`. An implementation may have a faster way than
    /// [`get_many`](Self::get_many) of one key. A handle with a registered load function may refresh the
    /// value: see [`RegionHandle::with_loader`](crate::RegionHandle::with_loader).
    fn get<V: Value>(&self, key: &str) -> impl Future<Output = Result<Option<Arc<V>>>> + Send {
        async move { Ok(self.get_many(&[key]).await?.pop().flatten()) }
    }

    /// As [`get`](Self::get), and tells how the call came by the value, or why there is none.
    ///
    /// An implementation that does not say more answers [`Outcome::Hit`] and, for no value,
    /// [`MissReason::Absent`].
    fn get_answer<V: Value>(
        &self,
        key: &str,
    ) -> impl Future<Output = Result<Answer<Option<Arc<V>>>>> + Send {
        async move {
            let value = self.get(key).await?;
            let outcome = match value {
                Some(_) => Outcome::Hit,
                None => Outcome::Miss(MissReason::Absent),
            };
            Ok(Answer::new(value, outcome))
        }
    }

    /// Returns true if there is a fresh value at `key`, of any type.
    ///
    /// Where a trusted value is held near, or the record that there is none, that is the answer. It is counted
    /// neither as a hit nor as a miss.
    fn contains(&self, key: &str) -> impl Future<Output = Result<bool>> + Send;

    /// Stores values, all with the same options. [`RegionExt::set_many`] describes the steps.
    ///
    /// # Errors
    /// As [`RegionExt::set`], for any of the values. Steps before a store's error stay.
    ///
    /// # Cancel safety
    /// If the future is dropped, each step was applied completely or not at all.
    fn set_many_with<V: Value>(
        &self,
        values: &[(&str, &V)],
        options: SetOptions,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Stores `value` unless there is a fresh value of its type at `key`, and returns true if it was
    /// stored. Of several such calls at once, one stores.
    ///
    /// # Errors
    /// As [`RegionExt::set`].
    fn set_if_absent<V: Value>(
        &self,
        key: &str,
        value: &V,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Removes entries, and returns the number of fresh ones among them.
    ///
    /// They are removed in steps of at most [`MAX_STEP_KEYS`] keys, each completely or not at all.
    ///
    /// # Errors
    /// The store's. Steps before the error stay.
    ///
    /// # Cancel safety
    /// If the future is dropped, each step was applied completely or not at all.
    fn remove_many(&self, keys: &[&str]) -> impl Future<Output = Result<usize>> + Send;

    /// Removes the entry at `key` and returns its value if it was fresh. Of several such calls at
    /// once, one gets it.
    fn take<V: Value>(&self, key: &str) -> impl Future<Output = Result<Option<Arc<V>>>> + Send;

    /// Returns the number of fresh entries in the region, without those of its children.
    fn len(&self) -> impl Future<Output = Result<u64>> + Send;

    /// Returns true if the region has no fresh entry of its own.
    fn is_empty(&self) -> impl Future<Output = Result<bool>> + Send {
        async move { Ok(self.keys().next().await.transpose()?.is_none()) }
    }

    /// Lists the keys of the region's fresh entries, in no order, page by page. No values are read, so
    /// entries of every type and version are listed. An entry that appears or disappears meanwhile may be
    /// listed or not; one that stays is listed, perhaps more than once.
    fn keys(&self) -> Listing<String>;

    /// Lists the fresh entries that are a `V`, as [`keys`](Self::keys) lists keys.
    fn entries<V: Value>(&self) -> Listing<(String, Arc<V>)>;

    /// Lists the child regions that have entries, themselves or below, as [`keys`](Self::keys) lists
    /// keys. One that was emptied lately may be listed too.
    fn children(&self) -> Listing<Segment>;

    /// Applies all writes of `batch` in one step and in their order, or none.
    /// [`Transaction::commit`] calls it.
    ///
    /// # Errors
    /// As [`RegionExt::set`], for any of the values; [`TooLarge`](crate::ErrorKind::TooLarge) beyond
    /// [`MAX_TRANSACTION_WRITES`] writes or [`MAX_TRANSACTION_BYTES`] bytes.
    fn apply(&self, batch: Batch) -> impl Future<Output = Result<()>> + Send;

    /// Returns the value at `key`. If there is none, calls `load` and stores its result.
    ///
    /// Concurrent calls for one key run one load: in this process always, and across processes
    /// while the loading one holds the lease. The load runs in its own task: a caller that goes away
    /// does not disturb it, and it is dropped once nobody waits for it any more. Its result is stored only
    /// if nothing that covers it was invalidated, touched, removed or set since the load began. Its
    /// callers get it in any case.
    ///
    /// If the policy keeps stale values ([`Policy::stale_for`]), callers get one while another loads,
    /// when the load fails, and after [`Policy::soft_timeout`]; with
    /// [`OnStale::Refresh`](crate::OnStale::Refresh) at once. After a failed load none is tried for
    /// [`Policy::load_retry_after`]. Entries may be refreshed early: [`Policy::early_refresh_at`],
    /// [`Policy::early_refresh_beta`].
    ///
    /// A load in the background goes on when nobody waits for it, and is as fenced as any other. Only
    /// [`Policy::load_timeout`] limits it.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Load`](crate::ErrorKind::Load) with the loader's error as its source,
    /// [`LoadPanicked`](crate::ErrorKind::LoadPanicked),
    /// [`LoadTimeout`](crate::ErrorKind::LoadTimeout): every caller that waited gets it, and the next
    /// call tries again. [`Encode`](crate::ErrorKind::Encode) when the result cannot be stored, or
    /// not be read back from what the serializer writes: every call would load again.
    /// [`LoadCycle`](crate::ErrorKind::LoadCycle) when `load` asks, directly or through the loads of
    /// others in this process, for a key whose load it is part of. A task that `load` spawns is not
    /// known to be part of it: such a cycle waits until
    /// [`Policy::load_timeout`](crate::Policy::load_timeout).
    fn get_or_compute<V, F, Fut, E>(
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
        async move { Ok(self.get_or_compute_answer(key, load).await?.into_value()) }
    }

    /// As [`get_or_compute`](Self::get_or_compute), and tells how the call came by the value: from near, from
    /// the store, by a load of its own or of another, stored or not; and for how long it is fresh.
    ///
    /// # Errors
    /// As [`get_or_compute`](Self::get_or_compute).
    fn get_or_compute_answer<V, F, Fut, E>(
        &self,
        key: &str,
        load: F,
    ) -> impl Future<Output = Result<Answer<Arc<V>>>> + Send
    where
        V: Value,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Into<BoxError> + 'static;

    /// As [`get_or_compute`](Self::get_or_compute), for a load function that says more: a ttl, that there
    /// is no value, that the old one is still right, or that the new one is not to be stored.
    ///
    /// `load` gets the value that is there, if it is stale or about to be replaced early: for a request
    /// such as HTTP's `If-None-Match`. The result is `None` if there is no value: `load` has said so, now or
    /// within [`Policy::absent_ttl`](crate::Policy::absent_ttl). Such a record of an absence is a miss for
    /// every other method. Being an entry, it is listed by [`keys`](Self::keys) and counted by
    /// [`len`](Self::len) and [`remove_many`](Self::remove_many).
    ///
    /// # Errors
    /// As [`get_or_compute`](Self::get_or_compute); also [`Load`](crate::ErrorKind::Load) if `load`
    /// returns [`Loaded::NotModified`] and got no value.
    ///
    /// ```
    /// use std::time::Duration;
    /// use region_core::{LoadOptions, Loaded, Region, RegionCache, Result};
    /// use region_memory::MemoryStore;
    ///
    /// async fn fetch(id: u32) -> std::io::Result<Option<String>> {
    ///     Ok((id == 7).then(|| "seven".to_owned()))
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// let cache = RegionCache::builder(MemoryStore::new()).build()?;
    /// let name = async |id: u32| {
    ///     let load = move |_old| async move {
    ///         let found = fetch(id).await?;
    ///         Ok::<_, std::io::Error>(match found {
    ///             Some(name) => Loaded::new(name).ttl(Duration::from_secs(60)),
    ///             None => Loaded::absent(),
    ///         })
    ///     };
    ///     cache.root().get_or_compute_with(&id.to_string(), LoadOptions::new(), load).await
    /// };
    /// assert_eq!(name(7).await?.as_deref().map(String::as_str), Some("seven"));
    /// assert_eq!(name(8).await?, None);
    /// assert_eq!((name(8).await?, cache.stats().loads), (None, 2));
    /// # Ok(())
    /// # }
    /// ```
    fn get_or_compute_with<V, F, Fut, E>(
        &self,
        key: &str,
        options: LoadOptions,
        load: F,
    ) -> impl Future<Output = Result<Option<Arc<V>>>> + Send
    where
        V: Value,
        F: FnOnce(Option<Arc<V>>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        async move { Ok(self.get_or_compute_answer_with(key, options, load).await?.into_value()) }
    }

    /// As [`get_or_compute_with`](Self::get_or_compute_with), and tells how the call came by the value.
    ///
    /// # Errors
    /// As [`get_or_compute_with`](Self::get_or_compute_with).
    ///
    /// ```
    /// use region_core::{LoadOptions, Loaded, Outcome, Region, RegionCache, Result, UncachedReason};
    /// use region_memory::MemoryStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// let cache = RegionCache::builder(MemoryStore::new()).build()?;
    /// let root = cache.root();
    /// let load = |_old| async { Ok::<_, std::io::Error>(Loaded::DontStore(7)) };
    /// let answer = root.get_or_compute_answer_with("k", LoadOptions::new(), load).await?;
    /// assert_eq!(answer.value().as_deref(), Some(&7));
    /// assert_eq!(answer.outcome(), Outcome::Uncached(UncachedReason::Declined));
    /// # Ok(())
    /// # }
    /// ```
    fn get_or_compute_answer_with<V, F, Fut, E>(
        &self,
        key: &str,
        options: LoadOptions,
        load: F,
    ) -> impl Future<Output = Result<Answer<Option<Arc<V>>>>> + Send
    where
        V: Value,
        F: FnOnce(Option<Arc<V>>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Into<BoxError> + 'static;

    /// As [`get_or_compute`](Self::get_or_compute) for several keys: `load` gets the missing keys and
    /// returns their values. A key that it leaves out is `None` in the result, and nothing is stored
    /// for it. `load` is called once, and again for keys that another process failed to load, or that are
    /// refreshed early in the background.
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
        S: BuildHasher + Send + 'static,
    {
        self.get_or_compute_many_with(keys, LoadOptions::new(), load)
    }

    /// As [`get_or_compute_many`](Self::get_or_compute_many), with options for what is loaded: the values may
    /// depend on other regions, and may be loaded although they are there.
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use region_core::{LoadOptions, Region, RegionCache, RegionExt, Result};
    /// use region_memory::MemoryStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// let cache = RegionCache::builder(MemoryStore::new()).root("shop").build()?;
    /// let (products, prices) = (cache.region("products")?, cache.region("prices")?);
    /// let load = |keys: Vec<String>| async move {
    ///     let pages = keys.into_iter().map(|key| (key.clone(), format!("the page of {key}")));
    ///     Ok::<_, std::io::Error>(pages.collect::<HashMap<_, _>>())
    /// };
    /// let options = LoadOptions::new().depends_on(&prices);
    /// products.get_or_compute_many_with(&["1", "2"], options, load).await?;
    /// assert_eq!(products.len().await?, 2);
    /// prices.invalidate().await?;
    /// assert_eq!(products.get_many::<String>(&["1", "2"]).await?, [None, None]);
    /// # Ok(())
    /// # }
    /// ```
    fn get_or_compute_many_with<V, F, Fut, E, S>(
        &self,
        keys: &[&str],
        options: LoadOptions,
        load: F,
    ) -> impl Future<Output = Result<Vec<Option<Arc<V>>>>> + Send
    where
        V: Value,
        F: FnMut(Vec<String>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<HashMap<String, V, S>, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
        S: BuildHasher + Send + 'static;

    /// Invalidates, touches or expires the region, as `verb` says: see the methods of [`RegionExt`]
    /// with these names.
    ///
    /// # Errors
    /// The store's. Unless it is [`Timeout`](crate::ErrorKind::Timeout), nothing has changed. It is
    /// always safe to call again.
    fn end(&self, verb: Verb) -> impl Future<Output = Result<()>> + Send;

    /// Starts the region's TTL ([`Policy::region_ttl`]) again, and returns true if the policy has
    /// one.
    fn restart_region_ttl(&self) -> impl Future<Output = Result<bool>> + Send;
}
