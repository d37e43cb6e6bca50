//! The handle that joins a store and a serializer.

mod dictionary;
mod listing;
mod steps;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::BuildHasher;
use std::sync::Arc;

use crate::cache::Shared;
use crate::error::{BoxError, Error, Result};
use crate::load;
use crate::path::{RegionPath, Segment};
use crate::policy::{Policy, ResolvedPolicy};
use crate::region::{Batch, Listing, Region, SetOptions};
use crate::regioned::{Regioned, TypedPath};
use crate::store::{Op, RegionTtl, Verb, Write};
use crate::value::codec::Codec;
use crate::value::serializer::Value;

/// A [`Region`] over a store: see [`RegionCache`](crate::RegionCache).
#[derive(Clone)]
pub struct RegionHandle(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    path: RegionPath,
    /// As given and inherited: what child regions inherit.
    policy: Policy,
    resolved: ResolvedPolicy,
    codec: Codec,
}

impl RegionHandle {
    pub(crate) fn root(shared: Arc<Shared>, path: RegionPath, policy: &Policy) -> Result<Self> {
        Self::new(shared, path, policy.clone())
    }

    fn new(shared: Arc<Shared>, path: RegionPath, policy: Policy) -> Result<Self> {
        let resolved = ResolvedPolicy::new(&policy).map_err(|error| error.on("open", &path))?;
        let codec = Codec::new(&path, resolved.serializer.clone(), resolved.version);
        Ok(Self(Arc::new(Inner { shared, path, policy, resolved, codec })))
    }

    /// The handle of the child at `segment`, under `policy` where one is given by its type.
    fn join(&self, segment: &Segment, typed: Option<&Policy>) -> Result<Self> {
        let path = self.0.path.join(segment)?;
        let mut policy = match typed {
            Some(typed) => typed.within(&self.0.policy),
            None => self.0.policy.clone(),
        };
        if let Some(given) = self.0.shared.region_policy(&path) {
            policy = given.within(&policy);
        }
        Self::new(Arc::clone(&self.0.shared), path, policy)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    /// As [`Region::path`], for those who do not have the trait at hand.
    pub(crate) fn region_path(&self) -> &RegionPath {
        &self.0.path
    }

    pub(crate) fn resolved(&self) -> &ResolvedPolicy {
        &self.0.resolved
    }

    pub(crate) fn codec(&self) -> &Codec {
        &self.0.codec
    }

    /// Names this region and `operation` in an error.
    pub(crate) fn blame(&self, operation: &'static str) -> impl Fn(Error) -> Error + '_ {
        move |error| error.on(operation, &self.0.path)
    }

    async fn end(&self, verb: Verb, operation: &'static str) -> Result<()> {
        let ended = self.0.shared.store.end(&self.0.path, verb.into()).await;
        ended.map(drop).map_err(self.blame(operation))
    }
}

impl Region for RegionHandle {
    fn path(&self) -> &RegionPath {
        &self.0.path
    }

    fn region(&self, relative: &str) -> Result<Self> {
        let below = self.0.path.descend(relative)?;
        let mut segments = below.segments().skip(self.0.path.depth());
        segments.try_fold(self.clone(), |region, segment| region.join(&segment, None))
    }

    fn child(&self, name: &str) -> Result<Self> {
        self.join(&Segment::new(name).map_err(|e| e.within(self.0.path.as_str()))?, None)
    }

    fn child_with_id(&self, name: &str, id: &str) -> Result<Self> {
        self.join(&Segment::with_id(name, id).map_err(|e| e.within(self.0.path.as_str()))?, None)
    }

    fn region_at<T: Regioned>(&self, path: TypedPath<T>) -> Result<Self> {
        let mut policies = Vec::new();
        T::policies(&mut policies);
        let mut policies = policies.iter();
        let segments = path.segments()?;
        segments
            .iter()
            .try_fold(self.clone(), |region, segment| region.join(segment, policies.next()))
    }

    fn with_policy(&self, policy: Policy) -> Result<Self> {
        let policy = policy.within(&self.0.policy);
        Self::new(Arc::clone(&self.0.shared), self.0.path.clone(), policy)
    }

    async fn get_many<V: Value>(&self, keys: &[&str]) -> Result<Vec<Option<Arc<V>>>> {
        self.read_fresh(keys).await.map_err(self.blame("get"))
    }

    async fn get<V: Value>(&self, key: &str) -> Result<Option<Arc<V>>> {
        self.read_one(key).await.map_err(self.blame("get"))
    }

    async fn contains(&self, key: &str) -> Result<bool> {
        self.has_fresh(key).await.map_err(self.blame("contains"))
    }

    async fn set_with<V: Value>(&self, key: &str, value: &V, options: SetOptions) -> Result<()> {
        self.put(&[(key, value)], options).await.map_err(self.blame("set"))
    }

    async fn set_if_absent<V: Value>(&self, key: &str, value: &V) -> Result<bool> {
        self.put_if_absent(key, value).await.map_err(self.blame("set_if_absent"))
    }

    async fn set_many<V: Value>(&self, values: &[(&str, &V)]) -> Result<()> {
        self.put(values, SetOptions::new()).await.map_err(self.blame("set_many"))
    }

    async fn remove_many(&self, keys: &[&str]) -> Result<usize> {
        self.delete(keys).await.map_err(self.blame("remove"))
    }

    async fn take<V: Value>(&self, key: &str) -> Result<Option<Arc<V>>> {
        self.take_fresh(key).await.map_err(self.blame("take"))
    }

    async fn len(&self) -> Result<u64> {
        self.0.shared.store.len(&self.0.path).await.map_err(self.blame("len"))
    }

    fn keys(&self) -> Listing<String> {
        listing::keys(self.clone())
    }

    fn entries<V: Value>(&self) -> Listing<(String, Arc<V>)> {
        listing::entries(self.clone())
    }

    fn children(&self) -> Listing<Segment> {
        listing::children(self.clone())
    }

    async fn apply(&self, batch: Batch) -> Result<()> {
        self.apply_batch(batch).await.map_err(self.blame("commit"))
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
        load::one(self, key, load)
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
        load::many(self, keys, load)
    }

    async fn invalidate(&self) -> Result<()> {
        self.end(Verb::Invalidate, "invalidate").await
    }

    async fn touch(&self) -> Result<()> {
        self.end(Verb::Touch, "touch").await
    }

    async fn expire(&self) -> Result<()> {
        self.end(Verb::Expire, "expire").await
    }

    async fn invalidate_and_touch(&self) -> Result<()> {
        self.end(Verb::InvalidateAndTouch, "invalidate_and_touch").await
    }

    async fn restart_region_ttl(&self) -> Result<bool> {
        let Some(ttl) = self.0.resolved.region_ttl.duration() else {
            return Ok(false);
        };
        let no_ops: &[Op<'_>] = &[];
        let write = Write::new(no_ops).region_ttl(RegionTtl::Restart(ttl));
        let written = self.0.shared.store.write(&self.0.path, write).await;
        written.map_err(self.blame("restart_region_ttl"))?;
        Ok(true)
    }
}

impl fmt::Debug for RegionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegionHandle")
            .field("path", &self.0.path)
            .field("policy", &self.0.policy)
            .finish_non_exhaustive()
    }
}
