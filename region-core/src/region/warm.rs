//! Loading a list of keys ahead of their readers.

use std::fmt;
use std::future::Future;

use futures_util::stream::{self, StreamExt};

use super::Region;
use crate::error::{BoxError, Error, Result};
use crate::value::serializer::Value;

/// The number of keys that are loaded at once, unless [`Warm::concurrency`] says another.
const CONCURRENCY: usize = 8;

/// A list of keys to load ahead of their readers. [`RegionExt::warm`](crate::RegionExt::warm) creates it.
///
/// ```
/// use std::convert::Infallible;
/// use region_core::{Region, RegionExt, RegionCache};
/// use region_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> region_core::Result<()> {
/// let cache = RegionCache::builder(MemoryStore::new()).build()?;
/// let load = |key: String| async move { Ok::<_, Infallible>(key.len()) };
/// let warm = cache.root().warm(["one", "three"]).concurrency(2);
/// let progress = warm.on_progress(|progress| println!("{}", progress.ready)).load(load).await;
/// assert_eq!((progress.ready, progress.failed), (2, 0));
/// assert_eq!(cache.root().get::<usize>("three").await?.as_deref(), Some(&5));
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is loaded before `load` is called"]
pub struct Warm<R> {
    region: R,
    keys: Vec<String>,
    concurrency: usize,
    on_progress: Box<dyn FnMut(&WarmProgress) + Send>,
}

/// The progress of a [`Warm`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WarmProgress {
    /// The number of keys in the list.
    pub total: usize,
    /// Keys whose value was there or has been loaded.
    pub ready: usize,
    /// Keys whose load has failed.
    pub failed: usize,
    /// The last error.
    pub last_error: Option<Error>,
}

impl<R: Region> Warm<R> {
    pub(crate) fn new(region: R, keys: Vec<String>) -> Self {
        Self { region, keys, concurrency: CONCURRENCY, on_progress: Box::new(|_| {}) }
    }

    /// Sets the number of keys that are loaded at once, at least one. The default is 8.
    pub fn concurrency(self, concurrency: usize) -> Self {
        Self { concurrency: concurrency.max(1), ..self }
    }

    /// Calls `on_progress` after each key. It should return soon: nothing else goes on meanwhile.
    pub fn on_progress(self, on_progress: impl FnMut(&WarmProgress) + Send + 'static) -> Self {
        Self { on_progress: Box::new(on_progress), ..self }
    }

    /// Calls [`get_or_compute`](Region::get_or_compute) for each key, and `load` for those that are
    /// missing. A key that fails does not keep the others from being loaded.
    ///
    /// # Cancel safety
    /// Values that were loaded stay. Loads under way go on only if others wait for them.
    pub async fn load<V, F, Fut, E>(self, load: F) -> WarmProgress
    where
        V: Value,
        F: FnOnce(String) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        let Self { region, keys, concurrency, mut on_progress } = self;
        let mut progress = WarmProgress { total: keys.len(), ..WarmProgress::default() };
        let calls = stream::iter(keys).map(|key| {
            let (region, load) = (region.clone(), load.clone());
            async move {
                let of_key = key.clone();
                region.get_or_compute(&key, move || load(of_key)).await.map(drop)
            }
        });
        let mut results = std::pin::pin!(calls.buffer_unordered(concurrency));
        while let Some(result) = results.next().await {
            match result {
                Ok(()) => progress.ready += 1,
                Err(error) => {
                    progress.failed += 1;
                    progress.last_error = Some(error);
                }
            }
            on_progress(&progress);
        }
        progress
    }
}

impl<R: fmt::Debug> fmt::Debug for Warm<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warm")
            .field("region", &self.region)
            .field("keys", &self.keys.len())
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}
