//! The caller's load function, type-erased, with its panics turned into errors.

use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::hash::BuildHasher;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_util::FutureExt;
use parking_lot::Mutex;

use crate::error::{BoxError, Error, ErrorKind, Result, panic_message};
use crate::region::Loaded;
use crate::value::serializer::Value;

/// The results of a load, in the keys' order. For `None` the load function left the key out.
pub(super) type Results<V> = Vec<Option<Loaded<V>>>;

type Load<V> = BoxFuture<'static, Result<Results<V>>>;

/// A key to load, and the value that is there: stale, or to be replaced early.
pub(super) struct ToLoad<V> {
    pub(super) key: String,
    pub(super) previous: Option<Arc<V>>,
}

/// A load function for one key: it gets the value that is there, and brings a new one.
pub(crate) trait LoadOne<V>: Send + 'static {
    fn load(
        self,
        previous: Option<Arc<V>>,
    ) -> impl Future<Output = Result<Loaded<V>>> + Send + 'static;
}

/// A load function for several keys: it brings the values of those that have one.
pub(crate) trait LoadMany<V>: Send + 'static {
    fn load(&mut self, keys: Vec<String>) -> BoxFuture<'static, Result<Results<V>>>;
}

/// Loads the values of keys.
pub(super) struct Loader<V>(Box<dyn FnMut(Vec<ToLoad<V>>) -> Load<V> + Send>);

impl<V: Value> Loader<V> {
    /// A loader for one key, which can be called once: it takes the load function out of `load`.
    pub(super) fn one<F: LoadOne<V>>(load: Arc<Mutex<Option<F>>>) -> Self {
        Self(Box::new(move |mut keys| {
            let load = load.lock().take();
            let previous = keys.pop().and_then(|key| key.previous);
            Box::pin(async move {
                let load = load.ok_or_else(|| {
                    Error::new(ErrorKind::Load, "the load function was called before")
                })?;
                Ok(vec![Some(load.load(previous).await?)])
            })
        }))
    }

    /// A loader for several keys.
    pub(super) fn many(mut load: impl LoadMany<V>) -> Self {
        Self(Box::new(move |keys| {
            let keys = keys.into_iter().map(|key| key.key).collect();
            load.load(keys)
        }))
    }

    /// Runs the load. A panic in it is an error.
    pub(super) async fn load(&mut self, keys: Vec<ToLoad<V>>) -> Result<Results<V>> {
        // After a panic only the loader itself may see state that it left inconsistent, when it is called
        // again. Its author has to expect that of any `FnMut`.
        let loading = std::panic::catch_unwind(AssertUnwindSafe(|| (self.0)(keys)));
        match loading {
            Ok(loading) => AssertUnwindSafe(loading)
                .catch_unwind()
                .await
                .unwrap_or_else(|panic| Err(panicked(&*panic))),
            Err(panic) => Err(panicked(&*panic)),
        }
    }
}

impl<V, F, Fut, E> LoadOne<V> for F
where
    V: Value,
    F: FnOnce(Option<Arc<V>>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    E: Into<BoxError> + 'static,
{
    async fn load(self, previous: Option<Arc<V>>) -> Result<Loaded<V>> {
        self(previous).await.map_err(failed)
    }
}

impl<V, F, Fut, E, S> LoadMany<V> for F
where
    V: Value,
    F: FnMut(Vec<String>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<HashMap<String, V, S>, E>> + Send + 'static,
    E: Into<BoxError> + 'static,
    S: BuildHasher + Send + 'static,
{
    fn load(&mut self, keys: Vec<String>) -> Load<V> {
        let loading = self(keys.clone());
        Box::pin(async move {
            let mut values = loading.await.map_err(failed)?;
            Ok(keys.iter().map(|key| values.remove(key).map(Loaded::new)).collect())
        })
    }
}

fn failed(error: impl Into<BoxError> + 'static) -> Error {
    // Not marked as retryable: only the loader's own error, the source, shows if a retry can help.
    Error::new(ErrorKind::Load, "the load failed").with_source(error)
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let message = panic_message(panic);
    Error::new(ErrorKind::LoadPanicked, format!("the load panicked: {message}"))
}
