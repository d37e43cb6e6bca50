//! The caller's load function, type-erased, with its panics turned into errors.

use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::hash::BuildHasher;
use std::panic::AssertUnwindSafe;

use futures_core::future::BoxFuture;
use futures_util::FutureExt;

use crate::error::{BoxError, Error, ErrorKind, Result, panic_message};

type Load<V> = BoxFuture<'static, Result<Vec<Loaded<V>>>>;

/// The result of a load for one key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Loaded<V> {
    /// A value, to be stored with the policy's ttl.
    Value(V),
    /// The load function returned no value for the key. Nothing is stored.
    Absent,
}

/// Loads the values of keys, in the keys' order.
pub(super) struct Loader<V>(Box<dyn FnMut(Vec<String>) -> Load<V> + Send>);

impl<V: Send + 'static> Loader<V> {
    /// A loader for one key, which can be called once.
    pub(super) fn one<F, Fut, E>(load: F) -> Self
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        let mut load = Some(load);
        Self(Box::new(move |_| {
            let load = load.take();
            Box::pin(async move {
                let load = load.ok_or_else(|| {
                    Error::new(ErrorKind::Load, "the load function was called before")
                })?;
                Ok(vec![Loaded::Value(load().await.map_err(failed)?)])
            })
        }))
    }

    /// A loader for several keys.
    pub(super) fn many<F, Fut, E, S>(mut load: F) -> Self
    where
        F: FnMut(Vec<String>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<HashMap<String, V, S>, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
        S: BuildHasher + Send + 'static,
    {
        Self(Box::new(move |keys| {
            let loading = load(keys.clone());
            Box::pin(async move {
                let mut values = loading.await.map_err(failed)?;
                Ok(keys.iter().map(|key| Loaded::of(values.remove(key))).collect())
            })
        }))
    }

    /// Runs the load. A panic in it is an error.
    pub(super) async fn load(&mut self, keys: Vec<String>) -> Result<Vec<Loaded<V>>> {
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

impl<V> Loaded<V> {
    fn of(value: Option<V>) -> Self {
        value.map_or(Self::Absent, Self::Value)
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
