//! A handle that remembers, for the time of one request.

mod memory;

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::BuildHasher;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::engine::Chain;
use crate::error::{BoxError, Error, ErrorKind, Result};
use crate::path::{RegionPath, Segment};
use crate::policy::Policy;
use crate::region::{Answer, Batch, Listing, LoadOptions, Loaded, Outcome, Region, SetOptions};
use crate::regioned::{Regioned, TypedPath};
use crate::store::Verb;
use crate::value::serializer::Value;

use memory::{Kind, Known, Memory, Place, Wanted, Way};

/// The most keys that a [`Memo`] remembers, unless it is told otherwise.
pub const MAX_MEMO_KEYS: usize = 10_000;

/// A handle that remembers what it has read, for the time of one request.
///
/// [`RegionHandle::memo`](crate::RegionHandle::memo) makes one, and [`Memo::new`] over any [`Region`].
///
/// A page is built from many parts, and several of them read the same keys. Through a memo each key is looked
/// up once, as one type, and callers of that key that come meanwhile share the lookup. All handles that are
/// reached from a memo ([`descend`](Region::descend), [`RegionExt::region`], ..) and its clones share what it
/// remembers. That ends with the last of them: make one for each request, and keep it no longer.
///
/// It is for values and for the fact that there is none: those of `get`, `get_many`, `get_or_compute` and
/// their other forms. `contains` is true for a value that is remembered, and asks the store otherwise; listings
/// and `len` ask the store.
///
/// # Own changes
///
/// A `set`, a `remove`, a `take` or a transaction through the memo forgets the keys that it writes, before it
/// begins and when it ends; they are looked up anew after it. An [`invalidate`](crate::RegionExt::invalidate)
/// or another verb forgets everything that is remembered: what it covers, and also values of other regions,
/// for they may depend on the region that has ended. This holds too if the call fails or is dropped.
///
/// # What it gives up
///
/// - Changes by others, and by other handles of this process, are not seen while the memo lives, if they
///   concern a key that it has read. The promises *own writes seen* and *no stale fill* hold for what is
///   changed through the memo; what is stored in the cache is fenced as ever.
/// - A value stays although its ttl is over.
/// - The values of one `get_many` may be of different moments: some were read before.
///
/// At most [`MAX_MEMO_KEYS`] keys are remembered, or as many as
/// [`with_max_keys`](Self::with_max_keys) says. Further keys are looked up each time.
///
/// Within a load function a memo shares no lookup under way, so that loads that wait for each other are
/// noticed.
///
/// [`RegionExt::region`]: crate::RegionExt::region
///
/// ```
/// use region_core::{Outcome, Region, RegionCache, RegionExt};
/// use region_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> region_core::Result<()> {
/// let cache = RegionCache::builder(MemoryStore::new()).root("shop").build()?;
/// cache.region("org:42")?.set("name", &"Acme".to_owned()).await?;
///
/// // One request.
/// let request = cache.root().memo();
/// let org = request.region("org:42")?;
/// for _ in 0..10 {
///     assert!(org.get::<String>("name").await?.is_some());
/// }
/// assert_eq!(cache.stats().hits, 1);
/// assert_eq!(org.get_answer::<String>("name").await?.outcome(), Outcome::Remembered);
///
/// org.set("name", &"Acme Ltd".to_owned()).await?;
/// assert_eq!(org.get::<String>("name").await?.as_deref().map(String::as_str), Some("Acme Ltd"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Memo<R> {
    inner: R,
    memory: Arc<Memory>,
    space: u64,
}

/// Forgets the keys of a write, when it ends or is dropped too.
struct Writing<'a> {
    memory: &'a Memory,
    region: &'a RegionPath,
    keys: Vec<Box<str>>,
}

/// Forgets everything, when a verb ends or is dropped too.
struct Ending<'a>(&'a Memory);

impl<R: Region> Memo<R> {
    /// Creates a memo of the regions that are reached from `inner`. It remembers nothing yet.
    #[must_use]
    pub fn new(inner: R) -> Self {
        Self { inner, memory: Arc::new(Memory::new(MAX_MEMO_KEYS)), space: 0 }
    }

    /// Returns a memo that remembers nothing yet, and will remember at most so many keys.
    #[must_use]
    pub fn with_max_keys(self, keys: usize) -> Self {
        Self { memory: Arc::new(Memory::new(keys)), ..self }
    }

    /// Returns the handle underneath, which remembers nothing.
    #[must_use]
    pub const fn inner(&self) -> &R {
        &self.inner
    }

    fn with(&self, inner: R) -> Self {
        Self { inner, memory: Arc::clone(&self.memory), space: self.space }
    }

    fn place<V: Value>(&self, key: &str) -> Place {
        let (region, of) = (self.inner.path().clone(), TypeId::of::<V>());
        Place { region, key: key.into(), of, space: self.space }
    }

    fn writing<'k>(&self, keys: impl IntoIterator<Item = &'k str>) -> Writing<'_> {
        let keys = keys.into_iter().map(Box::from).collect();
        let writing = Writing { memory: &self.memory, region: self.inner.path(), keys };
        writing.forget();
        writing
    }

    /// Does `call`, which looks `key` up, for a caller that shares nothing, and remembers what it finds.
    async fn look_up_apart<V: Value>(
        &self,
        key: &str,
        kind: Kind,
        call: impl Future<Output = Result<Answer<Option<Arc<V>>>>>,
    ) -> Result<Answer<Option<Arc<V>>>> {
        let forgotten = self.memory.forgotten();
        let answer = call.await?;
        self.memory.remember(&self.place::<V>(key), kind, erased(answer.clone()), forgotten);
        Ok(answer)
    }

    /// What `make` brings, a call that loads, or what is remembered of it.
    async fn compute<V: Value, Fut>(
        &self,
        key: &str,
        wanted: Wanted,
        make: impl FnOnce(R, String) -> Fut + Send,
    ) -> Result<Answer<Option<Arc<V>>>>
    where
        Fut: Future<Output = Result<Answer<Option<Arc<V>>>>> + Send + 'static,
    {
        let place = self.place::<V>(key);
        if Chain::current().is_some() {
            return match self.memory.known(&place, wanted) {
                Some(known) => Ok(remembered(known)),
                None => {
                    let call = make(self.inner.clone(), key.to_owned());
                    self.look_up_apart(key, Kind::Load, call).await
                }
            };
        }
        let mut make = Some(make);
        loop {
            let begin = || match make.take() {
                Some(make) => looked_up(make(self.inner.clone(), key.to_owned())),
                None => std::future::ready(Err(called_before(key))).boxed(),
            };
            match self.memory.join(&place, wanted, begin) {
                Way::Known(known) => return Ok(remembered(known)),
                Way::Waits(lookup) => {
                    let known = self.memory.wait(&place, &lookup).await?;
                    match lookup.is_own {
                        true => return Ok(typed(known)),
                        false if lookup.is_enough(&known, wanted) => return Ok(remembered(known)),
                        false => {}
                    }
                }
            }
        }
    }
}

impl<R: Region> Region for Memo<R> {
    fn path(&self) -> &RegionPath {
        self.inner.path()
    }

    fn descend(&self, segments: &[Segment], policies: &[Policy]) -> Result<Self> {
        Ok(self.with(self.inner.descend(segments, policies)?))
    }

    fn descend_text(&self, relative: &str) -> Result<Self> {
        Ok(self.with(self.inner.descend_text(relative)?))
    }

    fn descend_typed<T: Regioned>(&self, path: &TypedPath<T>) -> Result<Self> {
        Ok(self.with(self.inner.descend_typed(path)?))
    }

    fn with_policy(&self, policy: Policy) -> Result<Self> {
        let inner = self.inner.with_policy(policy)?;
        Ok(Self { space: self.memory.new_space(), ..self.with(inner) })
    }

    async fn get_many<V: Value>(&self, keys: &[&str]) -> Result<Vec<Option<Arc<V>>>> {
        let mut values: HashMap<&str, Option<Arc<V>>> = HashMap::with_capacity(keys.len());
        let mut missing = Vec::new();
        for key in keys {
            if values.contains_key(key) {
                continue;
            }
            let known = self.memory.known(&self.place::<V>(key), Wanted::Read);
            if known.is_none() {
                missing.push(*key);
            }
            values.insert(key, known.and_then(|known| typed(known).into_value()));
        }
        if let [key] = missing[..] {
            values.insert(key, self.get(key).await?);
        } else if !missing.is_empty() {
            let forgotten = self.memory.forgotten();
            let found = self.inner.get_many::<V>(&missing).await?;
            for (key, value) in missing.into_iter().zip(found) {
                let known = erased(Answer::new(value.clone(), Outcome::Remembered));
                self.memory.remember(&self.place::<V>(key), Kind::Read, known, forgotten);
                values.insert(key, value);
            }
        }
        Ok(keys.iter().map(|key| values.get(key).cloned().flatten()).collect())
    }

    async fn get<V: Value>(&self, key: &str) -> Result<Option<Arc<V>>> {
        Ok(self.get_answer(key).await?.into_value())
    }

    async fn get_answer<V: Value>(&self, key: &str) -> Result<Answer<Option<Arc<V>>>> {
        let place = self.place::<V>(key);
        if Chain::current().is_some() {
            return match self.memory.known(&place, Wanted::Read) {
                Some(known) => Ok(remembered(known)),
                None => self.look_up_apart(key, Kind::Read, self.inner.get_answer(key)).await,
            };
        }
        let begin = || {
            let (inner, key) = (self.inner.clone(), key.to_owned());
            looked_up(async move { inner.get_answer::<V>(&key).await })
        };
        match self.memory.join_read(&place, begin) {
            Some(Way::Known(known)) => Ok(remembered(known)),
            Some(Way::Waits(lookup)) => {
                let known = self.memory.wait(&place, &lookup).await?;
                Ok(if lookup.is_own { typed(known) } else { remembered(known) })
            }
            None => self.inner.get_answer(key).await,
        }
    }

    async fn contains(&self, key: &str) -> Result<bool> {
        Ok(self.memory.has_value(self.inner.path(), key) || self.inner.contains(key).await?)
    }

    async fn set_many_with<V: Value>(
        &self,
        values: &[(&str, &V)],
        options: SetOptions,
    ) -> Result<()> {
        let _writing = self.writing(values.iter().map(|(key, _)| *key));
        self.inner.set_many_with(values, options).await
    }

    async fn set_if_absent<V: Value>(&self, key: &str, value: &V) -> Result<bool> {
        let _writing = self.writing([key]);
        self.inner.set_if_absent(key, value).await
    }

    async fn remove_many(&self, keys: &[&str]) -> Result<usize> {
        let _writing = self.writing(keys.iter().copied());
        self.inner.remove_many(keys).await
    }

    async fn take<V: Value>(&self, key: &str) -> Result<Option<Arc<V>>> {
        let _writing = self.writing([key]);
        self.inner.take(key).await
    }

    async fn len(&self) -> Result<u64> {
        self.inner.len().await
    }

    async fn is_empty(&self) -> Result<bool> {
        self.inner.is_empty().await
    }

    fn keys(&self) -> Listing<String> {
        self.inner.keys()
    }

    fn entries<V: Value>(&self) -> Listing<(String, Arc<V>)> {
        self.inner.entries()
    }

    fn children(&self) -> Listing<Segment> {
        self.inner.children()
    }

    async fn apply(&self, batch: Batch) -> Result<()> {
        let _writing = self.writing(batch.keys());
        self.inner.apply(batch).await
    }

    async fn get_or_compute<V, F, Fut, E>(&self, key: &str, load: F) -> Result<Arc<V>>
    where
        V: Value,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        Ok(self.get_or_compute_answer(key, load).await?.into_value())
    }

    async fn get_or_compute_answer<V, F, Fut, E>(
        &self,
        key: &str,
        load: F,
    ) -> Result<Answer<Arc<V>>>
    where
        V: Value,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        let make = |inner: R, key: String| async move {
            let answer = inner.get_or_compute_answer(&key, load).await?;
            Ok(answer.map(Some))
        };
        let answer = self.compute(key, Wanted::Value, make).await?;
        answer
            .transpose()
            .ok_or_else(|| Error::new(ErrorKind::Load, "the load made no value").at_key(key))
    }

    async fn get_or_compute_with<V, F, Fut, E>(
        &self,
        key: &str,
        options: LoadOptions,
        load: F,
    ) -> Result<Option<Arc<V>>>
    where
        V: Value,
        F: FnOnce(Option<Arc<V>>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        Ok(self.get_or_compute_answer_with(key, options, load).await?.into_value())
    }

    async fn get_or_compute_answer_with<V, F, Fut, E>(
        &self,
        key: &str,
        options: LoadOptions,
        load: F,
    ) -> Result<Answer<Option<Arc<V>>>>
    where
        V: Value,
        F: FnOnce(Option<Arc<V>>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        let wanted = if options.is_reload() { Wanted::Reload } else { Wanted::Answer };
        let make = |inner: R, key: String| async move {
            inner.get_or_compute_answer_with(&key, options, load).await
        };
        self.compute(key, wanted, make).await
    }

    async fn get_or_compute_many<V, F, Fut, E, S>(
        &self,
        keys: &[&str],
        load: F,
    ) -> Result<Vec<Option<Arc<V>>>>
    where
        V: Value,
        F: FnMut(Vec<String>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<HashMap<String, V, S>, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
        S: BuildHasher + Send + 'static,
    {
        self.get_or_compute_many_with(keys, LoadOptions::new(), load).await
    }

    async fn get_or_compute_many_with<V, F, Fut, E, S>(
        &self,
        keys: &[&str],
        options: LoadOptions,
        load: F,
    ) -> Result<Vec<Option<Arc<V>>>>
    where
        V: Value,
        F: FnMut(Vec<String>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<HashMap<String, V, S>, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
        S: BuildHasher + Send + 'static,
    {
        let wanted = if options.is_reload() { Wanted::Reload } else { Wanted::Value };
        let mut values: Vec<Option<Arc<V>>> = Vec::with_capacity(keys.len());
        let mut missing = Vec::new();
        for (at, key) in keys.iter().enumerate() {
            let known = self.memory.known(&self.place::<V>(key), wanted);
            if known.is_none() {
                missing.push((at, *key));
            }
            values.push(known.and_then(|known| typed(known).into_value()));
        }
        if !missing.is_empty() {
            let forgotten = self.memory.forgotten();
            let names: Vec<&str> = missing.iter().map(|(_, key)| *key).collect();
            let loaded = self.inner.get_or_compute_many_with(&names, options, load).await?;
            for ((at, key), value) in missing.into_iter().zip(loaded) {
                let known = erased(Answer::new(value.clone(), Outcome::Remembered));
                // The load has left a key without a value out: another call may load it.
                self.memory.remember(&self.place::<V>(key), Kind::Read, known, forgotten);
                values[at] = value;
            }
        }
        Ok(values)
    }

    async fn end(&self, verb: Verb) -> Result<()> {
        self.memory.forget_all();
        let _ending = Ending(&self.memory);
        self.inner.end(verb).await
    }

    async fn restart_region_ttl(&self) -> Result<bool> {
        self.inner.restart_region_ttl().await
    }
}

impl Writing<'_> {
    fn forget(&self) {
        self.keys.iter().for_each(|key| self.memory.forget(self.region, key));
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.forget();
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.forget_all();
    }
}

impl<R: Region> fmt::Debug for Memo<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memo").field("path", self.inner.path()).finish_non_exhaustive()
    }
}

fn called_before(key: &str) -> Error {
    Error::new(ErrorKind::Load, "the load function was called before").at_key(key)
}

fn looked_up<V: Value>(
    call: impl Future<Output = Result<Answer<Option<Arc<V>>>>> + Send + 'static,
) -> BoxFuture<'static, Result<Known>> {
    call.map(|answer| answer.map(erased)).boxed()
}

fn erased<V: Value>(answer: Answer<Option<Arc<V>>>) -> Known {
    answer.map(|value| value.map(|value| value as _))
}

/// The type is part of the place, so it always fits.
fn typed<V: Value>(known: Known) -> Answer<Option<Arc<V>>> {
    known.map(|value| value.and_then(|value| value.downcast().ok()))
}

/// The answer of a call that has looked nothing up.
fn remembered<V: Value>(known: Known) -> Answer<Option<Arc<V>>> {
    Answer::new(typed(known).into_value(), Outcome::Remembered)
}
