use std::num::NonZeroU64;
use std::sync::Arc;

use region_core::{Clock, SystemClock};

use crate::data::Data;
use crate::data::ids::Ids;
#[cfg(feature = "testing")]
use crate::replica::{Replica, ReplicaReader};
use crate::store::MemoryStore;

/// Builds a [`MemoryStore`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct MemoryStoreBuilder {
    clock: Arc<dyn Clock>,
    max_bytes: Option<NonZeroU64>,
    ids: Ids,
    #[cfg(feature = "testing")]
    replica: Option<Arc<Replica>>,
}

impl MemoryStoreBuilder {
    fn new() -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            max_bytes: None,
            ids: Ids::Random,
            #[cfg(feature = "testing")]
            replica: None,
        }
    }

    /// The store's clock: [`SystemClock`] if not given, a
    /// [`ManualClock`](region_core::ManualClock) or [`TokioClock`](region_core::TokioClock) for tests
    /// of expiry.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// About how many bytes the entries may take, keys and bookkeeping included; beyond that, those
    /// not read for long are evicted. Zero means no bound, as does not saying.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = NonZeroU64::new(bytes);
        self
    }

    /// Makes every run draw the same incarnations, for simulations.
    pub fn seed(mut self, seed: u64) -> Self {
        self.ids = Ids::seeded(seed);
        self
    }

    /// Adds a read replica that a test can make lag: see [`Replica`].
    #[cfg(feature = "testing")]
    pub fn replica(mut self) -> Self {
        self.replica = Some(Arc::new(Replica::new()));
        self
    }

    /// The store.
    #[must_use]
    pub fn build(self) -> MemoryStore {
        MemoryStore {
            #[cfg(feature = "testing")]
            replica: self.replica.map(ReplicaReader::new),
            ..MemoryStore::over(Data::new(self.clock, self.max_bytes, self.ids))
        }
    }
}

impl MemoryStore {
    /// Creates a store that uses the system's clock and has no bound on its size.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Returns a builder, to create a store with settings.
    pub fn builder() -> MemoryStoreBuilder {
        MemoryStoreBuilder::new()
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}
