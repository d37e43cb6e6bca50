//! A `Region` of a user's own: application code that is generic over `R: Region` takes it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::BuildHasher;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use region_cache::{
    Batch, BoxError, Error, ErrorKind, Listing, Policy, Region, RegionPath, Regioned, Result,
    Segment, SetOptions, TypedPath, Value,
};

/// A cache that never holds anything.
#[derive(Clone)]
struct Null(RegionPath);

impl Region for Null {
    fn path(&self) -> &RegionPath {
        &self.0
    }

    fn region(&self, relative: &str) -> Result<Self> {
        Ok(Self(self.0.descend(relative)?))
    }

    fn child(&self, name: &str) -> Result<Self> {
        Ok(Self(self.0.child(name)?))
    }

    fn child_with_id(&self, name: &str, id: &str) -> Result<Self> {
        Ok(Self(self.0.child_with_id(name, id)?))
    }

    fn region_at<T: Regioned>(&self, path: TypedPath<T>) -> Result<Self> {
        Ok(Self(path.below(&self.0)?))
    }

    fn with_policy(&self, policy: Policy) -> Result<Self> {
        policy.check().map(|()| self.clone())
    }

    async fn get_many<V: Value>(&self, keys: &[&str]) -> Result<Vec<Option<Arc<V>>>> {
        Ok(vec![None; keys.len()])
    }

    async fn contains(&self, _key: &str) -> Result<bool> {
        Ok(false)
    }

    async fn set_with<V: Value>(&self, _: &str, _: &V, _: SetOptions) -> Result<()> {
        Ok(())
    }

    async fn set_if_absent<V: Value>(&self, _key: &str, _value: &V) -> Result<bool> {
        Ok(true)
    }

    async fn set_many<V: Value>(&self, _values: &[(&str, &V)]) -> Result<()> {
        Ok(())
    }

    async fn remove_many(&self, _keys: &[&str]) -> Result<usize> {
        Ok(0)
    }

    async fn take<V: Value>(&self, _key: &str) -> Result<Option<Arc<V>>> {
        Ok(None)
    }

    async fn len(&self) -> Result<u64> {
        Ok(0)
    }

    fn keys(&self) -> Listing<String> {
        stream::empty().boxed()
    }

    fn entries<V: Value>(&self) -> Listing<(String, Arc<V>)> {
        stream::empty().boxed()
    }

    fn children(&self) -> Listing<Segment> {
        stream::empty().boxed()
    }

    async fn apply(&self, _batch: Batch) -> Result<()> {
        Ok(())
    }

    async fn get_or_compute<V, F, Fut, E>(&self, _key: &str, load: F) -> Result<Arc<V>>
    where
        V: Value,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        load().await.map(Arc::new).map_err(failed)
    }

    async fn get_or_compute_many<V, F, Fut, E, S>(
        &self,
        keys: &[&str],
        mut load: F,
    ) -> Result<Vec<Option<Arc<V>>>>
    where
        V: Value,
        F: FnMut(Vec<String>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<HashMap<String, V, S>, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
        S: BuildHasher + Send + 'static,
    {
        let names = keys.iter().map(|key| (*key).to_owned()).collect();
        let mut values = load(names).await.map_err(failed)?;
        Ok(keys.iter().map(|key| values.remove(*key).map(Arc::new)).collect())
    }

    async fn invalidate(&self) -> Result<()> {
        Ok(())
    }

    async fn touch(&self) -> Result<()> {
        Ok(())
    }

    async fn expire(&self) -> Result<()> {
        Ok(())
    }

    async fn invalidate_and_touch(&self) -> Result<()> {
        self.invalidate().await
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
    let mut transaction = today.transaction();
    transaction.set("a", 1u32).remove("b");
    transaction.commit().await?;
    Ok(before + 1)
}

#[tokio::test]
async fn application_code_takes_any_region() {
    let null = Null(RegionPath::root("null").unwrap());
    assert_eq!(visits(&null).await.unwrap(), 1);
    assert_eq!(visits(&null).await.unwrap(), 1, "it never holds anything");
    assert!(null.is_empty().await.unwrap() && !null.remove("a").await.unwrap());
    #[cfg(feature = "memory")]
    {
        let store = region_cache::MemoryStore::new();
        let real = region_cache::RegionCache::builder(store).build().unwrap().root();
        assert_eq!(visits(&real).await.unwrap(), 1);
        assert_eq!(visits(&real).await.unwrap(), 2);
    }
}
