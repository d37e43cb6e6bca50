//! The runtime that blocking calls run on.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, ErrorKind, Result};

/// Callers poll their own calls; these do the rest: connections, timers, background refreshes.
const WORKERS: usize = 2;

/// A runtime that may be dropped anywhere, on a thread of another runtime too.
pub(super) struct OwnedRuntime(Option<Runtime>);

impl OwnedRuntime {
    pub(super) fn start() -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("region-cache")
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| {
            Error::new(
                ErrorKind::Unavailable,
                "the threads of the cache's runtime cannot be started",
            )
            .with_source(error)
        })?;
        Ok(Self(Some(runtime)))
    }

    /// Polls `future` on this thread until it is done. Unlike tokio's own way, this does not panic on a thread of a
    /// runtime.
    pub(super) fn wait<F: Future>(&self, future: F) -> F::Output {
        let _entered = self.0.as_ref().map(Runtime::enter);
        pollster::block_on(future)
    }
}

impl Drop for OwnedRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // To wait for it would panic on a thread of another runtime.
            runtime.shutdown_background();
        }
    }
}
