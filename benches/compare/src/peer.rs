//! One cache under comparison.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The bytes of each value.
pub const VALUE_BYTES: usize = 200;

/// The time that a load of a stampede takes.
pub const LOAD: Duration = Duration::from_millis(20);

/// The lifetime of entries, for those that want one: longer than the run.
pub const TTL: Duration = Duration::from_secs(3600);

/// More entries than are ever stored, for those that count entries.
pub const MAX_ENTRIES: usize = 200_000;

/// A cache, configured as its documentation recommends.
///
/// What a cache cannot do answers `None`; its cell of the table is empty then.
pub trait Peer: Send + Sync + Sized + 'static {
    /// The column's title.
    const NAME: &'static str;

    /// An instance of its own over this server, as another process would have it.
    fn connect(url: &str) -> impl Future<Output = Self> + Send;

    /// Reads a value that is held in the process, with all that keeps it coherent switched on; the
    /// number of its bytes.
    fn near_hit(&self, key: &str) -> impl Future<Output = Option<usize>> + Send;

    /// Writes a value into a cache without a server.
    fn set_near(&self, _key: &str, _value: &Value) -> impl Future<Output = Option<()>> + Send {
        async { None }
    }

    /// Reads a value from the server; the number of its bytes.
    fn store_hit(&self, _key: &str) -> impl Future<Output = Option<usize>> + Send {
        async { None }
    }

    /// Writes a value to the server, with the near tier on.
    fn set(&self, _key: &str, _value: &Value) -> impl Future<Output = Option<()>> + Send {
        async { None }
    }

    /// Writes an entry that belongs to a group.
    fn set_in_group(
        &self,
        _group: usize,
        _entry: usize,
        _value: &Value,
    ) -> impl Future<Output = Option<()>> + Send {
        async { None }
    }

    /// Invalidates all that belongs to a group.
    fn invalidate_group(&self, _group: usize) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Returns whether there is a valid entry.
    fn has_in_group(&self, _group: usize, _entry: usize) -> impl Future<Output = bool> + Send {
        async { false }
    }

    /// Reads a value, loaded from the source if there is none; the number of its bytes.
    fn load(
        &self,
        _key: &str,
        _source: &Arc<Source>,
    ) -> impl Future<Output = Option<usize>> + Send {
        async { None }
    }
}

/// A value, in both forms in which caches take one.
pub struct Value {
    pub text: String,
    pub shared: Arc<String>,
}

impl Default for Value {
    fn default() -> Self {
        let text = "v".repeat(VALUE_BYTES);
        Self { shared: Arc::new(text.clone()), text }
    }
}

/// The slow source of truth, which counts how often it is asked.
#[derive(Debug, Default)]
pub struct Source {
    loads: AtomicUsize,
}

impl Source {
    /// Loads a value.
    pub async fn load(&self) -> String {
        self.loads.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(LOAD).await;
        "v".repeat(VALUE_BYTES)
    }

    /// The number of loads so far.
    pub fn loads(&self) -> usize {
        self.loads.load(Ordering::Relaxed)
    }
}
