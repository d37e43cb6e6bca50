//! [`RegionHandle`], the implementation of [`Region`] over a store.

mod dictionary;
mod explain;
mod listing;
mod loaders;
mod opened;
mod shared;
mod steps;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::BuildHasher;
use std::sync::Arc;

use crate::engine::{Accept, Context, Engine, Found, Started};
use crate::error::{BoxError, Result};
use crate::load;
use crate::memo::Memo;
use crate::path::{RegionPath, Segment};
use crate::policy::Policy;
use crate::region::{Answer, Batch, Listing, LoadOptions, Loaded, Region, SetOptions};
use crate::regioned::{Regioned, TypedPath};
use crate::stats::Stats;
use crate::store::{Op, RegionTtl, Verb, Write};
use crate::value::serializer::Value;

pub use loaders::LoadRequest;
pub(crate) use loaders::Loaders;
pub(crate) use shared::Shared;

use opened::Opened;

/// A [`Region`] over a store. A [`RegionCache`](crate::RegionCache) creates it.
#[derive(Clone)]
pub struct RegionHandle {
    context: Arc<Context>,
    shared: Arc<Shared>,
    /// Those of this region alone.
    loaders: Loaders,
}

impl RegionHandle {
    pub(crate) fn root(
        engine: Arc<Engine>,
        shared: Arc<Shared>,
        path: RegionPath,
        policy: Policy,
    ) -> Result<Self> {
        let loaders = shared.loaders(&path);
        Ok(Self { context: Arc::new(Context::new(engine, path, policy)?), shared, loaders })
    }

    /// Returns a handle of the same cache for another path or policy.
    fn with(&self, path: RegionPath, policy: Policy, loaders: Loaders) -> Result<Self> {
        let context = Context::new(Arc::clone(self.context.engine()), path, policy)?;
        Ok(Self { context: Arc::new(context), shared: Arc::clone(&self.shared), loaders })
    }

    /// Returns the statistics of this region alone: what all handles of it have counted. See
    /// [`RegionCache::region_stats`](crate::RegionCache::region_stats).
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.context.engine().counters.of(self.context.path())
    }

    /// Returns a [`Memo`] of this region and those below it: a handle that looks each key up once, for the time
    /// of one request.
    #[must_use]
    pub fn memo(&self) -> Memo<Self> {
        Memo::new(self.clone())
    }

    #[cold]
    fn open_text(&self, relative: &str) -> Result<Opened> {
        let from = self.context.path();
        let below = from.descend(relative)?;
        let segments: Vec<_> = below.segments().skip(from.depth()).collect();
        let Self { context, loaders, .. } = self.descend(&segments, &[])?;
        Ok(Opened { context, loaders })
    }

    #[cold]
    fn open_typed<T: Regioned>(&self, path: &TypedPath<T>) -> Result<Opened> {
        let mut policies = Vec::new();
        T::policies(&mut policies);
        let Self { context, loaders, .. } = self.descend(&path.segments()?, &policies)?;
        Ok(Opened { context, loaders })
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }
}

impl Region for RegionHandle {
    fn path(&self) -> &RegionPath {
        self.context.path()
    }

    fn descend(&self, segments: &[Segment], policies: &[Policy]) -> Result<Self> {
        let mut path = self.context.path().clone();
        let mut policy = self.context.given_policy().clone();
        let mut of_types = policies.iter();
        for segment in segments {
            path = path.join(segment)?;
            if let Some(of_type) = of_types.next() {
                policy = of_type.within(&policy);
            }
            if let Some(given) = self.shared.region_policy(&path) {
                policy = given.within(&policy);
            }
        }
        let loaders = self.shared.loaders(&path);
        self.with(path, policy, loaders)
    }

    fn descend_text(&self, relative: &str) -> Result<Self> {
        let open = || self.open_text(relative);
        let Opened { context, loaders } =
            self.shared.opened.get_text(&self.context, relative, open)?;
        Ok(Self { context, shared: Arc::clone(&self.shared), loaders })
    }

    fn descend_typed<T: Regioned>(&self, path: &TypedPath<T>) -> Result<Self> {
        let opened = self.shared.opened.get(&self.context, path, || self.open_typed(path))?;
        let Opened { context, loaders } = opened;
        Ok(Self { context, shared: Arc::clone(&self.shared), loaders })
    }

    fn with_policy(&self, policy: Policy) -> Result<Self> {
        let policy = policy.within(self.context.given_policy());
        self.with(self.context.path().clone(), policy, self.loaders.clone())
    }

    async fn get_many<V: Value>(&self, keys: &[&str]) -> Result<Vec<Option<Arc<V>>>> {
        let found = self.context.find_many(keys, Accept::Fresh, Started::default()).await;
        let (found, _) = found.map_err(self.context.during("get"))?;
        Ok(found.into_iter().map(Found::fresh).collect())
    }

    async fn get<V: Value>(&self, key: &str) -> Result<Option<Arc<V>>> {
        if !self.loaders.is_empty()
            && let Some(refreshed) = self.get_and_refresh(key).await
        {
            return refreshed.map(Answer::into_value);
        }
        if let Some(answer) = self.context.near_answer(key, Accept::Fresh) {
            return Ok(answer);
        }
        let found = self.context.find(key, Accept::Fresh, &mut Started::default()).await;
        Ok(found.map_err(self.context.during("get"))?.found.fresh())
    }

    async fn get_answer<V: Value>(&self, key: &str) -> Result<Answer<Option<Arc<V>>>> {
        if !self.loaders.is_empty()
            && let Some(refreshed) = self.get_and_refresh(key).await
        {
            return refreshed;
        }
        let found = self.context.find(key, Accept::Fresh, &mut Started::default()).await;
        Ok(found.map_err(self.context.during("get_answer"))?.answer())
    }

    async fn contains(&self, key: &str) -> Result<bool> {
        self.has_fresh(key).await.map_err(self.context.during("contains"))
    }

    async fn set_many_with<V: Value>(
        &self,
        values: &[(&str, &V)],
        options: SetOptions,
    ) -> Result<()> {
        self.put(values, options).await.map_err(self.context.during("set"))
    }

    async fn set_if_absent<V: Value>(&self, key: &str, value: &V) -> Result<bool> {
        self.put_if_absent(key, value).await.map_err(self.context.during("set_if_absent"))
    }

    async fn remove_many(&self, keys: &[&str]) -> Result<usize> {
        self.delete(keys).await.map_err(self.context.during("remove"))
    }

    async fn take<V: Value>(&self, key: &str) -> Result<Option<Arc<V>>> {
        self.take_fresh(key).await.map_err(self.context.during("take"))
    }

    async fn len(&self) -> Result<u64> {
        self.context.len().await.map_err(self.context.during("len"))
    }

    fn keys(&self) -> Listing<String> {
        listing::keys(Arc::clone(&self.context))
    }

    fn entries<V: Value>(&self) -> Listing<(String, Arc<V>)> {
        listing::entries(Arc::clone(&self.context))
    }

    fn children(&self) -> Listing<Segment> {
        listing::children(Arc::clone(&self.context))
    }

    async fn apply(&self, batch: Batch) -> Result<()> {
        self.apply_batch(batch).await.map_err(self.context.during("commit"))
    }

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
        load::one(&self.context, &self.shared.flights, key, load)
    }

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
        load::one_with(&self.context, &self.shared.flights, key, options, load)
    }

    fn get_or_compute_answer<V, F, Fut, E>(
        &self,
        key: &str,
        load: F,
    ) -> impl Future<Output = Result<Answer<Arc<V>>>> + Send
    where
        V: Value,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        load::answer(&self.context, &self.shared.flights, key, load)
    }

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
        E: Into<BoxError> + 'static,
    {
        load::answer_with(&self.context, &self.shared.flights, key, options, load)
    }

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
        let (flights, options) = (&self.shared.flights, LoadOptions::new());
        load::many(&self.context, flights, "get_or_compute_many", keys, options, load)
    }

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
        S: BuildHasher + Send + 'static,
    {
        let flights = &self.shared.flights;
        load::many(&self.context, flights, "get_or_compute_many_with", keys, options, load)
    }

    async fn end(&self, verb: Verb) -> Result<()> {
        let operation = match verb {
            Verb::Invalidate => "invalidate",
            Verb::Touch => "touch",
            Verb::Expire => "expire",
            Verb::InvalidateAndTouch => "invalidate_and_touch",
        };
        self.context.end(verb).await.map_err(self.context.during(operation))
    }

    async fn restart_region_ttl(&self) -> Result<bool> {
        let Some(ttl) = self.context.policy().region_ttl.duration() else {
            return Ok(false);
        };
        let no_ops: &[Op<'_>] = &[];
        let write = Write::new(no_ops).region_ttl(RegionTtl::Restart(ttl));
        let written = self.context.write(write).await;
        written.map_err(self.context.during("restart_region_ttl"))?;
        Ok(true)
    }
}

impl fmt::Debug for RegionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegionHandle")
            .field("path", self.context.path())
            .field("policy", self.context.given_policy())
            .finish_non_exhaustive()
    }
}
