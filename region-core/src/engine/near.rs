//! The near cache: decoded values in this process, which are served while nothing was heard that could
//! concern them and the channel that would tell is up.
//!
//! Each region in use has a record of what is known of it, its lineage and its last changes, and of the
//! marks under which that is trusted ([`known`]). Everything that ends trust raises a word that the
//! marks are made of ([`word`]): a push ([`registry`]), a lost connection ([`losses`]), an own change
//! under way ([`change`]). A near entry remembers the lineage and the last change from when it was
//! read; so it can be judged by whatever is known later ([`values`], [`history`]). Where nothing is trusted the store is
//! asked for lineage and changes alone, once for all callers ([`round`]).
//!
//! Beside trust lies evidence of when values were last known to be the store's ([`evidence`]). By that a
//! policy may have them served without trust for a while ([`unverified`]).

mod asking;
mod change;
mod contains;
mod depends;
mod evidence;
mod explain;
mod history;
mod hit;
mod keeping;
mod known;
mod latest_changes;
mod losses;
#[cfg(all(test, region_loom))]
mod models;
mod own_writes;
mod question;
mod reading;
mod region;
mod registry;
mod round;
mod unverified;
mod values;
mod word;
mod writing;

use std::num::NonZeroU64;
use std::sync::{Arc, OnceLock};

use crate::path::RegionPath;
use crate::store::{Listener, Listening, SharedStore};

pub(super) use change::{Covers, OwnChange};
pub(super) use known::Moment;
pub(crate) use reading::Looked;
pub(super) use region::NearRegion;
pub(super) use unverified::{LookedMany, is_one};
pub(super) use values::Label;
pub(crate) use values::NearTimes;

use super::wakes::Wakes;
use crate::stats::{CountersByRegion, NearUse};
use registry::Registry;
use values::Values;

/// The bound on the bytes of a near cache that is switched on by a policy alone.
pub(crate) const DEFAULT_NEAR_BYTES: u64 = 64 * 1024 * 1024;

/// The near cache that all regions of a cache share.
pub(crate) struct Near {
    registry: Arc<Registry>,
    bytes: u64,
    counters: Arc<CountersByRegion>,
    /// The values, once a region is held near.
    values: OnceLock<Values>,
    /// The listening to the store, once anyone needs it; `None` within: the store never pushes, so
    /// nothing is trusted.
    listening: OnceLock<Option<Listening>>,
}

/// The near cache as a region with the policy for it uses it.
pub(super) struct NearHandle {
    region: Arc<NearRegion>,
    /// Tells apart what different serializers and versions would decode.
    codec: NonZeroU64,
}

impl Near {
    pub(crate) fn new(bytes: u64, counters: Arc<CountersByRegion>) -> Self {
        let (values, listening) = (OnceLock::new(), OnceLock::new());
        Self { registry: Arc::new(Registry::new()), bytes, counters, values, listening }
    }

    /// Returns the handle of the region at `path`; begins to listen to `store` if nobody has.
    pub(super) fn open(&self, store: &SharedStore, path: &RegionPath, codec: u64) -> NearHandle {
        self.listen(store);
        self.values.get_or_init(|| Values::new(self.bytes, Arc::clone(&self.counters)));
        // A codec's number has far fewer bits than the type, so this gives each a number of its own.
        let codec = NonZeroU64::MIN.saturating_add(codec);
        NearHandle { region: self.registry.intern(path), codec }
    }

    /// Returns the record of the region at `path`, unless no region is held near.
    pub(super) fn record(&self, path: &RegionPath) -> Option<Arc<NearRegion>> {
        self.values.get()?;
        Some(self.registry.intern(path))
    }

    pub(crate) fn memory_use(&self) -> NearUse {
        let regions = self.registry.len() as u64;
        let values = self.values();
        let (bytes, entries) =
            values.map_or((0, 0), |values| (values.bytes(), values.len() as u64));
        NearUse { bytes, entries, regions }
    }

    /// Begins to listen to `store`, unless it is listened to already or never pushes; then returns true.
    pub(crate) fn listen(&self, store: &SharedStore) -> bool {
        let mut has_begun = false;
        let listening = self.listening.get_or_init(|| {
            has_begun = true;
            let listening = store.listen(Arc::clone(&self.registry) as Arc<dyn Listener>);
            // Before anybody can trust an answer.
            let coverage = listening.as_ref().and_then(Listening::coverage);
            coverage.into_iter().for_each(|coverage| self.registry.losses.cover(coverage));
            listening
        });
        has_begun && listening.is_some()
    }

    pub(crate) fn is_listening(&self) -> bool {
        self.listening.get().is_some_and(Option::is_some)
    }

    /// The loads that pushes wake.
    pub(crate) fn wakes(&self) -> &Wakes {
        &self.registry.wakes
    }

    #[inline]
    fn values(&self) -> Option<&Values> {
        self.values.get()
    }

    /// Ends an own change that began when no region was held near, so that nothing counted it.
    ///
    /// If a region is held near by now, all trust ends. While the change was under way it was as
    /// another's: its answer is not trusted, so the store pushes it. But a push may come later than the
    /// answer, and this process must not read anything older once that has come. Whoever read what was
    /// there before the change asked the store before the change was done, and was held near before
    /// that: so it is seen here.
    #[inline]
    fn end_uncounted_change(&self) {
        if self.values.get().is_some() {
            self.registry.losses.lose_all();
        }
    }
}

impl std::fmt::Debug for Near {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Near")
            .field("use", &self.memory_use())
            .field("is_listening", &self.is_listening())
            .finish_non_exhaustive()
    }
}
