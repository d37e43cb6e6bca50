//! A `Region` of a user's own: application code that is generic over `R: Region` takes it.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex};

use futures_util::{StreamExt, TryStreamExt, stream};
use region_cache::{
    Answer, Batch, BatchWrite, BoxError, Error, ErrorKind, Lifetime, Listing, LoadOptions, Loaded,
    Memo, Outcome, Policy, Region, RegionExt, RegionPath, Result, Segment, SetOptions,
    UncachedReason, Value, Verb,
};

type Entries = BTreeMap<(RegionPath, String), Arc<dyn Any + Send + Sync>>;

/// A double for tests: it keeps values as they are, in this process, for ever.
#[derive(Clone)]
struct Double {
    path: RegionPath,
    entries: Arc<Mutex<Entries>>,
}

impl Double {
    fn new(name: &str) -> Self {
        Self { path: RegionPath::root(name).unwrap(), entries: Arc::default() }
    }

    fn at(&self, key: &str) -> (RegionPath, String) {
        (self.path.clone(), key.to_owned())
    }

    fn find<V: Value>(&self, key: &str) -> Option<Arc<V>> {
        let entry = self.entries.lock().unwrap().get(&self.at(key)).cloned()?;
        entry.downcast().ok()
    }

    fn put(&self, key: &str, value: Arc<dyn Any + Send + Sync>) {
        self.entries.lock().unwrap().insert(self.at(key), value);
    }

    /// A value need not be `Clone`, so it is copied through its serialized form.
    fn copy<V: Value>(value: &V) -> Arc<dyn Any + Send + Sync> {
        let bytes = postcard::to_stdvec(value).unwrap();
        let copy: V = postcard::from_bytes(&bytes).unwrap();
        Arc::new(copy)
    }

    fn own_keys(&self) -> Vec<String> {
        let entries = self.entries.lock().unwrap();
        let own = entries.keys().filter(|(path, _)| *path == self.path);
        own.map(|(_, key)| key.clone()).collect()
    }

    fn is_in(path: &RegionPath, region: &RegionPath) -> bool {
        path == region || path.as_str().starts_with(&format!("{region}."))
    }
}

impl Region for Double {
    fn path(&self) -> &RegionPath {
        &self.path
    }

    fn descend(&self, segments: &[Segment], _: &[Policy]) -> Result<Self> {
        let path = segments.iter().try_fold(self.path.clone(), |path, next| path.join(next))?;
        Ok(Self { path, ..self.clone() })
    }

    fn with_policy(&self, policy: Policy) -> Result<Self> {
        policy.check().map(|()| self.clone())
    }

    async fn get_many<V: Value>(&self, keys: &[&str]) -> Result<Vec<Option<Arc<V>>>> {
        Ok(keys.iter().map(|key| self.find(key)).collect())
    }

    async fn contains(&self, key: &str) -> Result<bool> {
        Ok(self.entries.lock().unwrap().contains_key(&self.at(key)))
    }

    async fn set_many_with<V: Value>(&self, values: &[(&str, &V)], _: SetOptions) -> Result<()> {
        values.iter().for_each(|(key, value)| self.put(key, Self::copy(*value)));
        Ok(())
    }

    async fn set_if_absent<V: Value>(&self, key: &str, value: &V) -> Result<bool> {
        let is_absent = self.find::<V>(key).is_none();
        if is_absent {
            self.put(key, Self::copy(value));
        }
        Ok(is_absent)
    }

    async fn remove_many(&self, keys: &[&str]) -> Result<usize> {
        let mut entries = self.entries.lock().unwrap();
        Ok(keys.iter().filter(|key| entries.remove(&self.at(key)).is_some()).count())
    }

    async fn take<V: Value>(&self, key: &str) -> Result<Option<Arc<V>>> {
        let value = self.find(key);
        self.remove(key).await?;
        Ok(value)
    }

    async fn len(&self) -> Result<u64> {
        Ok(self.own_keys().len() as u64)
    }

    fn keys(&self) -> Listing<String> {
        stream::iter(self.own_keys().into_iter().map(Ok)).boxed()
    }

    fn entries<V: Value>(&self) -> Listing<(String, Arc<V>)> {
        let found = self.own_keys().into_iter().filter_map(|key| Some((self.find(&key)?, key)));
        let found: Vec<_> = found.map(|(value, key)| Ok((key, value))).collect();
        stream::iter(found).boxed()
    }

    fn children(&self) -> Listing<Segment> {
        let depth = self.path.depth();
        let entries = self.entries.lock().unwrap();
        let below = entries.keys().filter(|(path, _)| Self::is_in(path, &self.path));
        let mut found: Vec<_> = below.filter_map(|(path, _)| path.segments().nth(depth)).collect();
        found.dedup();
        stream::iter(found.into_iter().map(Ok)).boxed()
    }

    async fn apply(&self, batch: Batch) -> Result<()> {
        for write in batch {
            match write {
                BatchWrite::Set { key, value, .. } => self.put(&key, value.into_any()),
                BatchWrite::Remove { key } => drop(self.remove(&key).await?),
            }
        }
        Ok(())
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
        if let Some(value) = self.find(key) {
            return Ok(Answer::new(value, Outcome::Hit));
        }
        let value = Arc::new(load().await.map_err(failed)?);
        self.put(key, Arc::clone(&value) as _);
        Ok(Answer::new(value, Outcome::Loaded).with_left(Lifetime::Unlimited))
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
        let found = self.find(key);
        if found.is_some() && !options.is_reload() {
            return Ok(Answer::new(found, Outcome::Hit));
        }
        let declined = Outcome::Uncached(UncachedReason::Declined);
        Ok(match load(None).await.map_err(failed)? {
            Loaded::Value { value, .. } => {
                let value = Arc::new(value);
                self.put(key, Arc::clone(&value) as _);
                Answer::new(Some(value), Outcome::Loaded)
            }
            Loaded::DontStore(value) => Answer::new(Some(Arc::new(value)), declined),
            // It remembers no absence, and has given the load function no value.
            _ => Answer::new(None, declined),
        })
    }

    /// It keeps nothing that a value could depend on: its values depend on nothing.
    async fn get_or_compute_many_with<V, F, Fut, E, S>(
        &self,
        keys: &[&str],
        options: LoadOptions,
        mut load: F,
    ) -> Result<Vec<Option<Arc<V>>>>
    where
        V: Value,
        F: FnMut(Vec<String>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<HashMap<String, V, S>, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
        S: BuildHasher + Send + 'static,
    {
        let is_missing = |key: &&&str| options.is_reload() || self.find::<V>(key).is_none();
        let missing = keys.iter().filter(is_missing);
        let missing = missing.map(|key| (*key).to_owned()).collect();
        for (key, value) in load(missing).await.map_err(failed)? {
            self.put(&key, Arc::new(value));
        }
        self.get_many(keys).await
    }

    async fn end(&self, verb: Verb) -> Result<()> {
        let ends = |path: &RegionPath| match verb {
            Verb::Invalidate | Verb::Expire => Self::is_in(path, &self.path),
            Verb::Touch => Self::is_in(&self.path, path),
            Verb::InvalidateAndTouch => {
                Self::is_in(path, &self.path) || Self::is_in(&self.path, path)
            }
        };
        self.entries.lock().unwrap().retain(|(path, _), _| !ends(path));
        Ok(())
    }

    async fn restart_region_ttl(&self) -> Result<bool> {
        Ok(false)
    }
}

fn failed(error: impl Into<BoxError> + 'static) -> Error {
    Error::new(ErrorKind::Load, "the load failed").with_source(error)
}

/// An application's own code.
async fn visits(region: &impl Region) -> Result<u32> {
    let today = region.child_with_id("day", "today")?;
    let before = today.get::<u32>("visits").await?.map_or(0, |visits| *visits);
    today.set("visits", &(before + 1)).await?;
    let load = || async { Ok::<_, Infallible>("counted".to_owned()) };
    today.get_or_compute("report", load).await?;
    let again = today.get_or_compute_answer("report", load).await?;
    assert_eq!(again.value().as_str(), "counted");
    assert_ne!(again.outcome(), Outcome::Loaded);
    let mut transaction = today.transaction();
    transaction.set("a", 1u32).set("text", "x".to_owned()).remove("b");
    transaction.commit().await?;
    Ok(before + 1)
}

/// All that the code above does, and what follows from it, holds for any region.
async fn check(region: &impl Region) {
    assert_eq!(visits(region).await.unwrap(), 1);
    assert_eq!(visits(region).await.unwrap(), 2);
    let days: Vec<String> = region.child_ids("day").try_collect().await.unwrap();
    assert_eq!(days, ["today"]);
    let today = region.region("day:today").unwrap();
    assert_eq!(today.get::<String>("text").await.unwrap().as_deref(), Some(&"x".to_owned()));
    let mut keys: Vec<_> = today.keys().try_collect().await.unwrap();
    keys.sort();
    assert_eq!(keys, ["a", "report", "text", "visits"]);
    let numbers = today.entries::<u32>().try_collect::<Vec<_>>().await.unwrap();
    assert_eq!((numbers.len(), today.len().await.unwrap()), (2, 4));
    assert!(today.get_answer::<u32>("a").await.unwrap().value().is_some());
    assert!(today.remove("a").await.unwrap() && !today.remove("a").await.unwrap());
    assert!(!today.get_answer::<u32>("a").await.unwrap().outcome().is_hit());
    let page = region.child("page").unwrap();
    page.set_many(&[("1", &1u8), ("2", &2)]).await.unwrap();
    region.set("whole", &1u8).await.unwrap();
    today.invalidate_and_touch().await.unwrap();
    assert!(region.is_empty().await.unwrap() && today.is_empty().await.unwrap());
    assert_eq!(page.take::<u8>("2").await.unwrap().as_deref(), Some(&2));
    region.invalidate().await.unwrap();
    assert!(page.is_empty().await.unwrap());
}

#[tokio::test]
async fn application_code_takes_any_region() {
    check(&Double::new("double")).await;
    check(&Memo::new(Double::new("double"))).await;
    #[cfg(feature = "memory")]
    {
        let store = region_cache::MemoryStore::new();
        let cache = region_cache::RegionCache::builder(store).build().unwrap();
        check(&cache.root()).await;
        cache.root().invalidate().await.unwrap();
        check(&cache.root().memo()).await;
    }
}
