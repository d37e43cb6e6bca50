//! The values that are held near: a concurrent cache bounded by bytes.

use std::any::{Any, TypeId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use bytes::Bytes;
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};
use tokio::time::Instant;

use super::depends::NearDependencies;
use super::history::{Era, Since};
use super::region::NearRegion;
use super::word::Mark;
use crate::lineage::Lineage;
use crate::store::ChangeId;

/// The bytes that an entry is counted with beside its key and its encoded value: the entry itself, and
/// its place in the cache.
const ENTRY_OVERHEAD: usize = 256;

/// The bytes that each dependency of an entry is counted with, beside those of the encoded value.
const DEPENDENCY_OVERHEAD: usize = 128;

/// The size of an entry that the number of entries is estimated by.
const TYPICAL_ENTRY: u64 = 512;

/// The most entries that room is estimated for.
const MAX_ESTIMATE: u64 = 4_000_000;

/// The sum of no settled marks: it counts a change under way.
const UNVERIFIED: u64 = 1;

/// Near entries, bounded by bytes.
pub(super) struct Values(Cache<Slot, Arc<NearEntry>, ByWeight>);

/// The place of a near entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Slot {
    place: Place,
    key: Box<str>,
}

/// A [`Slot`] that is looked for.
#[derive(Hash)]
struct SlotRef<'k> {
    place: Place,
    key: &'k str,
}

/// The region of a near entry, and the form in which it is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) region: u64,
    pub(super) form: Form,
}

/// The form in which a value is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// As it was written, whatever its type: the first read decodes it.
    Encoded,
    /// Decoded to a type, by a serializer and a version of the values' meaning.
    Decoded { of: TypeId, codec: u64 },
}

/// A value that is held near, and the moment at which the store had it.
#[derive(Debug)]
pub(super) struct NearEntry {
    pub(super) value: Held,
    /// The regions that the value depends on, if it is decoded.
    depends: Option<Arc<NearDependencies>>,
    /// Keeps the record for as long as it has entries.
    _region: Arc<NearRegion>,
    pub(super) lineage: Arc<Lineage>,
    /// A change of the region, the last at some moment at which the store had the value.
    change: AtomicU32,
    /// The era of the history that the change is from.
    era: Era,
    /// The end of its freshness; `None`: never.
    pub(super) fresh_until: Option<Instant>,
    /// The sum of the marks at which it was found to be valid.
    verified: AtomicU64,
    weight: u64,
}

/// The value of a near entry.
pub(super) enum Held {
    Encoded(Bytes),
    Decoded(Arc<dyn Any + Send + Sync>),
}

/// The moment of a store at which it had an entry, as an answer named it.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    pub(super) region: Arc<NearRegion>,
    pub(super) lineage: Arc<Lineage>,
    pub(super) change: ChangeId,
    /// The era of the region's history when the answer had been learned from.
    pub(super) era: Era,
    /// The time at which the call was sent.
    pub(super) sent: Instant,
}

#[derive(Clone)]
struct ByWeight;

impl Weighter<Slot, Arc<NearEntry>> for ByWeight {
    fn weight(&self, _: &Slot, entry: &Arc<NearEntry>) -> u64 {
        entry.weight
    }
}

impl Equivalent<Slot> for SlotRef<'_> {
    fn equivalent(&self, slot: &Slot) -> bool {
        self.place == slot.place && *self.key == *slot.key
    }
}

impl Values {
    /// A cache of at most `bytes` bytes.
    pub(super) fn new(bytes: u64) -> Self {
        let estimate = (bytes / TYPICAL_ENTRY).clamp(1, MAX_ESTIMATE);
        Self(Cache::with_weighter(usize::try_from(estimate).unwrap_or(1), bytes, ByWeight))
    }

    pub(super) fn get(&self, place: Place, key: &str) -> Option<Arc<NearEntry>> {
        self.0.get(&SlotRef { place, key })
    }

    pub(super) fn insert(&self, place: Place, key: &str, entry: NearEntry) {
        self.0.insert(Slot { place, key: key.into() }, Arc::new(entry));
    }

    pub(super) fn remove(&self, place: Place, key: &str) {
        self.0.remove(&SlotRef { place, key });
    }

    /// The bytes that the entries are counted with.
    pub(super) fn bytes(&self) -> u64 {
        self.0.weight()
    }

    /// The number of entries.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl NearEntry {
    /// An entry whose key and encoded value have `size` bytes.
    pub(super) fn new(
        value: Held,
        label: &Label,
        fresh_until: Option<Instant>,
        size: usize,
    ) -> Self {
        Self {
            value,
            depends: None,
            _region: Arc::clone(&label.region),
            lineage: Arc::clone(&label.lineage),
            change: AtomicU32::new(label.change.to_bits()),
            era: label.era,
            fresh_until,
            verified: AtomicU64::new(UNVERIFIED),
            weight: (size + ENTRY_OVERHEAD) as u64,
        }
    }

    /// The same entry, of a value with these dependencies.
    pub(super) fn depending(self, depends: Option<Arc<NearDependencies>>) -> Self {
        let regions = depends.as_ref().map_or(0, |depends| depends.len());
        let weight = self.weight + (regions * DEPENDENCY_OVERHEAD) as u64;
        Self { depends, weight, ..self }
    }

    /// The regions that the value depends on; `None` unless it is decoded and has some.
    pub(super) fn depends(&self) -> Option<&NearDependencies> {
        self.depends.as_deref()
    }

    /// The same value in another form.
    pub(super) fn with_value(&self, value: Held) -> Self {
        Self {
            value,
            depends: None,
            _region: Arc::clone(&self._region),
            lineage: Arc::clone(&self.lineage),
            change: AtomicU32::new(self.since().1.to_bits()),
            era: self.era,
            fresh_until: self.fresh_until,
            verified: AtomicU64::new(UNVERIFIED),
            weight: self.weight,
        }
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.fresh_until.is_none_or(|until| Instant::now() < until)
    }

    /// A change of the region, the last at some moment at which the store had the value.
    pub(super) fn since(&self) -> Since {
        (self.era, ChangeId::from_bits(self.change.load(Ordering::Relaxed)))
    }

    /// Notes that the store still had the value after `change`.
    pub(super) fn unchanged_at(&self, change: ChangeId) {
        // Each moment that is noted here is true, in whatever order threads note them.
        self.change.store(change.to_bits(), Ordering::Relaxed);
    }

    /// Notes that the entry is valid for as long as the sum of its region's marks is `sum`.
    pub(super) fn verified_at(&self, sum: Mark) {
        // The number says all by itself; nothing else is read on the strength of it.
        self.verified.store(sum.to_bits(), Ordering::Relaxed);
    }

    pub(super) fn is_verified_at(&self, sum: Mark) -> bool {
        self.verified.load(Ordering::Relaxed) == sum.to_bits()
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Encoded(_) => "Encoded(..)",
            Self::Decoded(_) => "Decoded(..)",
        })
    }
}
