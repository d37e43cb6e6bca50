use std::fmt;

use parking_lot::RwLock;

use crate::data::Data;

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
}

/// What a replica shows while it is held back.
struct Snapshot {
    data: Data,
    /// The last change it is sure to show.
    shows: u64,
}

impl Replica {
    pub(crate) fn new() -> Self {
        Self { held: RwLock::new(None) }
    }

    pub(crate) fn hold(&self, primary: &Data, copy: Data) {
        // The number first: what changes while the copy is made may be in it or not.
        let shows = primary.latest_change();
        copy.copy_from(primary);
        *self.held.write() = Some(Snapshot { data: copy, shows });
    }

    pub(crate) fn release(&self) {
        *self.held.write() = None;
    }

    /// Reads from the replica if it lags, yet shows every change up to `needed`.
    pub(crate) fn read<T>(&self, needed: u64, read: impl FnOnce(&Data) -> T) -> Option<T> {
        let held = self.held.read();
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
