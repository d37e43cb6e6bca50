//! A read replica that a test can make lag.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use crate::data::Data;
use crate::data::ids::Ids;

/// A read replica that a test can make lag.
///
/// Left alone it shows what the primary holds. Held back, it shows what the primary held at that
/// moment, until it is held back anew or let go. What a client did itself it never fails to see: a
/// replica that does not show that yet is passed over.
///
/// ```
/// use region_core::{Policy, ReadFrom, Region, RegionExt, RegionCache};
/// use region_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> region_core::Result<()> {
/// let store = MemoryStore::builder().replica().build();
/// let from_replica = Policy::new().read_from(ReadFrom::Replica);
/// let writer = RegionCache::builder(store.client()).policy(from_replica.clone()).build()?;
/// let reader = RegionCache::builder(store.client()).policy(from_replica).build()?;
///
/// store.hold_replica();
/// writer.root().set("key", &1u32).await?;
/// assert!(writer.root().contains("key").await?);
/// assert!(!reader.root().contains("key").await?);
/// store.release_replica();
/// assert!(reader.root().contains("key").await?);
/// # Ok(())
/// # }
/// ```
pub struct Replica {
    held: RwLock<Option<Snapshot>>,
    /// The number of changes of the primary so far.
    changes: AtomicU64,
}

/// A replica as one client reads from it.
#[derive(Clone)]
pub(crate) struct ReplicaReader {
    pub(crate) replica: Arc<Replica>,
    /// The number of the last change that this client made.
    own_changes: Arc<AtomicU64>,
}

/// The data that a replica shows while it is held back.
struct Snapshot {
    data: Data,
    /// The last change it is sure to show.
    shows: u64,
}

impl Replica {
    pub(crate) fn new() -> Self {
        Self { held: RwLock::new(None), changes: AtomicU64::new(0) }
    }

    /// Makes the replica show what `primary` holds at this moment.
    pub(crate) fn hold(&self, primary: &Data) {
        // The number first: what changes while the copy is made may be in it or not.
        let shows = self.changes.load(Ordering::SeqCst);
        let data = Data::new(Arc::clone(&primary.clock), None, Ids::Random);
        data.copy_from(primary);
        *self.held.write() = Some(Snapshot { data, shows });
    }

    pub(crate) fn release(&self) {
        *self.held.write() = None;
    }
}

impl ReplicaReader {
    pub(crate) fn new(replica: Arc<Replica>) -> Self {
        Self { replica, own_changes: Arc::default() }
    }

    /// The same replica as another client reads from it.
    pub(crate) fn another(&self) -> Self {
        Self::new(Arc::clone(&self.replica))
    }

    /// Remembers that this client has changed something.
    pub(crate) fn note_change(&self) {
        let number = self.replica.changes.fetch_add(1, Ordering::SeqCst) + 1;
        self.own_changes.fetch_max(number, Ordering::SeqCst);
    }

    /// Reads from the replica if it lags, yet shows every change that this client made.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Data) -> T) -> Option<T> {
        let needed = self.own_changes.load(Ordering::SeqCst);
        let held = self.replica.held.read();
        held.as_ref()
            .filter(|snapshot| snapshot.shows >= needed)
            .map(|snapshot| read(&snapshot.data))
    }
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_held = self.held.read().is_some();
        f.debug_struct("Replica").field("is_held", &is_held).finish()
    }
}
