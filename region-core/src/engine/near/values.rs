//! The values that are held near: a concurrent cache bounded by bytes.

use std::any::{Any, TypeId};
use std::hash::{Hash, Hasher};
use std::num::NonZeroU64;
use std::sync::Arc;

use bytes::Bytes;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Equivalent, Lifecycle, Weighter};
use smallvec::SmallVec;
use tokio::time::Instant;

use super::depends::NearDependencies;
use super::history::Since;
use super::region::NearRegion;
use super::word::Mark;
use crate::lineage::{Lineage, LineageDigest};
use crate::stats::CountersByRegion;
use crate::store::ChangeId;
use crate::value::made::MadeAt;
use crate::value::serializer::Value;

/// The bytes that an entry is counted with beside its key and its encoded value: the entry itself, its
/// place in the cache, and its part of the history of its region.
const ENTRY_OVERHEAD: usize = 320;

/// The bytes that each dependency of an entry is counted with, beside those of the encoded value.
const DEPENDENCY_OVERHEAD: usize = 128;

/// The size of an entry that the number of entries is estimated by.
const TYPICAL_ENTRY: u64 = 512;

/// The longest key that is held in the place of its entry: a hit then reads no other memory for it. It is the
/// most that fits into 32 bytes.
const SHORT_KEY: usize = 23;

/// The most entries that room is estimated for.
const MAX_ESTIMATE: u64 = 4_000_000;

/// Near entries, bounded by bytes.
pub(super) struct Values {
    cache: Cache<Slot, NearEntry, ByWeight, DefaultHashBuilder, Evictions>,
    counters: Arc<CountersByRegion>,
}

/// Collects what a call evicts.
#[derive(Clone)]
struct Evictions;

/// The entries that a call has evicted.
#[derive(Default)]
struct Evicted(Vec<(Slot, NearEntry)>);

/// The place of a near entry.
#[derive(Clone)]
struct Slot {
    place: Place,
    /// Its bytes.
    key: SmallVec<[u8; SHORT_KEY]>,
    /// Keeps the record for as long as it has entries. It is here, and not in the entry, because a hit copies
    /// the entry: threads that read one region would meet in this count.
    region: Arc<NearRegion>,
}

/// A [`Slot`] that is looked for.
struct SlotRef<'k> {
    place: Place,
    key: &'k str,
}

/// A [`Slot`] that holds a key decoded, whatever the type.
struct AnyDecoded<'k> {
    region: u64,
    codec: NonZeroU64,
    key: &'k str,
}

/// The region of a near entry, and the form in which it is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) region: u64,
    pub(super) form: Form,
}

/// The form in which a value is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it was written, whatever its type: the first read decodes it.
    Encoded,
    /// Decoded to a type, by a serializer and a version of the values' meaning.
    Decoded { of: TypeId, codec: NonZeroU64 },
}

/// A value that is held near, or the record that there is none, and the moment at which the store had it. A hit
/// copies it.
#[derive(Clone, Debug)]
pub(super) struct NearEntry {
    pub(super) value: Held,
    /// The regions that the value depends on, if it is decoded.
    depends: Option<Arc<NearDependencies>>,
    pub(super) lineage: LineageDigest,
    /// A change of the region, the last at some moment at which the store had the value.
    pub(super) change: ChangeId,
    /// Its place in the region's history.
    pub(super) since: Since,
    pub(super) times: NearTimes,
    /// The sum of the marks at which it was found to be valid.
    verified: Mark,
    weight: u32,
}

/// The times of a value that is held near.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NearTimes {
    /// The end of its freshness; `None`: never.
    pub(in crate::engine) until: Option<Instant>,
    /// The time at which it was made, if that is known: it was recorded, and the value is decoded.
    pub(in crate::engine) made: Option<MadeAt>,
}

/// The value of a near entry, encoded or decoded as the entry's [`Form`] says, or the record that there is no
/// value of the entry's type.
#[derive(Clone)]
pub(super) struct Held(Arc<dyn Any + Send + Sync>);

/// The bytes of an encoded value: a type that no decoded value has.
struct Encoded(Bytes);

/// The record that there is no value: another such type.
struct Absence;

/// The moment of a store at which it had an entry, as an answer named it.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    pub(super) lineage: Arc<Lineage>,
    pub(super) change: ChangeId,
    /// Its place in the region's history.
    pub(super) since: Since,
    /// The time at which the call was sent.
    pub(super) sent: Instant,
}

#[derive(Clone)]
struct ByWeight;

impl Weighter<Slot, NearEntry> for ByWeight {
    fn weight(&self, _: &Slot, entry: &NearEntry) -> u64 {
        u64::from(entry.weight)
    }
}

/// The form of an entry is left out: a key is held in few of them, and a look for any of them finds it.
#[inline]
fn hash_slot<H: Hasher>(region: u64, key: &[u8], state: &mut H) {
    state.write_u64(region);
    state.write(key);
}

impl Hash for Slot {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_slot(self.place.region, &self.key, state);
    }
}

impl Hash for SlotRef<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_slot(self.place.region, self.key.as_bytes(), state);
    }
}

impl Hash for AnyDecoded<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_slot(self.region, self.key.as_bytes(), state);
    }
}

impl PartialEq for Slot {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place && self.key == other.key
    }
}

impl Eq for Slot {}

impl Lifecycle<Slot, NearEntry> for Evictions {
    type RequestState = Evicted;

    fn on_evict(&self, evicted: &mut Evicted, slot: Slot, entry: NearEntry) {
        evicted.0.push((slot, entry));
    }
}

impl Equivalent<Slot> for SlotRef<'_> {
    #[inline]
    fn equivalent(&self, slot: &Slot) -> bool {
        self.place == slot.place && *self.key.as_bytes() == *slot.key
    }
}

impl Equivalent<Slot> for AnyDecoded<'_> {
    fn equivalent(&self, slot: &Slot) -> bool {
        let is_form = matches!(slot.place.form, Form::Decoded { codec, .. } if codec == self.codec);
        is_form && self.region == slot.place.region && *self.key.as_bytes() == *slot.key
    }
}

impl Values {
    /// A cache of at most `bytes` bytes.
    pub(super) fn new(bytes: u64, counters: Arc<CountersByRegion>) -> Self {
        let estimate = (bytes / TYPICAL_ENTRY).clamp(1, MAX_ESTIMATE);
        let estimate = usize::try_from(estimate).unwrap_or(1);
        let hasher = DefaultHashBuilder::default();
        Self { cache: Cache::with(estimate, bytes, ByWeight, hasher, Evictions), counters }
    }

    #[inline]
    pub(super) fn get(&self, place: Place, key: &str) -> Option<NearEntry> {
        self.cache.get(&SlotRef { place, key })
    }

    /// One of the entries that hold `key` decoded by this codec, whatever their types.
    pub(super) fn get_any_decoded(
        &self,
        region: u64,
        codec: NonZeroU64,
        key: &str,
    ) -> Option<NearEntry> {
        self.cache.get(&AnyDecoded { region, codec, key })
    }

    /// Removes such an entry, perhaps another than [`get_any_decoded`](Self::get_any_decoded) has returned.
    pub(super) fn remove_any_decoded(&self, region: u64, codec: NonZeroU64, key: &str) {
        if let Some((slot, _)) = self.cache.remove(&AnyDecoded { region, codec, key }) {
            Self::left(slot);
        }
    }

    /// As [`get`](Self::get), and leaves the order of evictions as it is.
    pub(super) fn peek(&self, place: Place, key: &str) -> Option<NearEntry> {
        self.cache.peek(&SlotRef { place, key })
    }

    /// Keeps `entry`, of `region`.
    pub(super) fn insert(
        &self,
        region: &Arc<NearRegion>,
        place: Place,
        key: &str,
        entry: NearEntry,
    ) {
        let mut evicted = Evicted::default();
        let slot = Slot { place, key: key.as_bytes().into(), region: Arc::clone(region) };
        self.cache.insert_with_lifecycle(slot, entry, &mut evicted);
        for (slot, _) in evicted.0 {
            // An entry that is too large comes back itself.
            if slot.place != place || *slot.key != *key.as_bytes() {
                let region = slot.region.path();
                self.counters.count(region, |counters| counters.near_evictions.add(1));
            }
            Self::left(slot);
        }
    }

    pub(super) fn remove(&self, place: Place, key: &str) {
        if let Some((slot, _)) = self.cache.remove(&SlotRef { place, key }) {
            Self::left(slot);
        }
    }

    fn left(Slot { region, .. }: Slot) {
        region.entry_left();
    }

    /// The bytes that the entries are counted with.
    pub(super) fn bytes(&self) -> u64 {
        self.cache.weight()
    }

    /// The number of entries.
    pub(super) fn len(&self) -> usize {
        self.cache.len()
    }
}

impl NearTimes {
    /// The times of a value of which it is not known when it was made, or not yet.
    pub(super) fn until(until: Option<Instant>) -> Self {
        Self { until, made: None }
    }
}

impl NearEntry {
    /// An entry whose key and encoded value have `size` bytes.
    pub(super) fn new(value: Held, label: &Label, times: NearTimes, size: usize) -> Self {
        Self {
            value,
            depends: None,
            lineage: label.lineage.digest(),
            change: label.change,
            since: label.since,
            times,
            verified: Mark::UNSETTLED,
            weight: u32::try_from(size + ENTRY_OVERHEAD).unwrap_or(u32::MAX),
        }
    }

    /// The same entry, of a value with these dependencies.
    pub(super) fn depending(self, depends: Option<Arc<NearDependencies>>) -> Self {
        let regions = depends.as_ref().map_or(0, |depends| depends.len());
        let more = u32::try_from(regions * DEPENDENCY_OVERHEAD).unwrap_or(u32::MAX);
        let weight = self.weight.saturating_add(more);
        Self { depends, weight, ..self }
    }

    /// The regions that the value depends on; `None` unless it is decoded and has some.
    pub(super) fn depends(&self) -> Option<&Arc<NearDependencies>> {
        self.depends.as_ref()
    }

    /// The same value decoded, which was made at the time `made`.
    pub(super) fn decoded(self, value: Held, made: Option<MadeAt>) -> Self {
        Self { value, depends: None, times: NearTimes { made, ..self.times }, ..self }
    }

    /// Notes that the entry is valid for as long as the sum of its region's marks is `sum`.
    pub(super) fn verified_at(self, sum: Mark) -> Self {
        Self { verified: sum, ..self }
    }

    #[inline]
    pub(super) fn is_fresh(&self) -> bool {
        self.times.until.is_none_or(|until| Instant::now() < until)
    }

    #[inline]
    pub(super) fn is_verified_at(&self, sum: Mark) -> bool {
        self.verified == sum
    }
}

impl Held {
    pub(super) fn encoded(bytes: Bytes) -> Self {
        Self(Arc::new(Encoded(bytes)))
    }

    /// `None` is the record that there is no value.
    pub(super) fn decoded<V: Value>(value: Option<&Arc<V>>) -> Self {
        match value {
            Some(value) => Self(Arc::clone(value) as _),
            // One for each entry: threads that read several would meet in the count of a shared one.
            None => Self(Arc::new(Absence)),
        }
    }

    pub(super) fn is_absence(&self) -> bool {
        self.0.is::<Absence>()
    }

    /// Returns the bytes of an encoded value.
    pub(super) fn bytes(&self) -> Option<&Bytes> {
        self.0.downcast_ref().map(|Encoded(bytes)| bytes)
    }

    /// Returns the decoded value. `None`: it is of another type.
    #[inline]
    pub(super) fn into_value<V: Value>(self) -> Option<Arc<V>> {
        self.0.downcast().ok()
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Held(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::super::registry::Registry;
    use super::*;
    use crate::lineage::{Incarnation, Incarnations};
    use crate::path::RegionPath;

    fn entry() -> NearEntry {
        let id = Incarnation::from_bits;
        let lineage = Lineage::new([Incarnations { tree: id(1), soft: id(2) }]).unwrap();
        let (lineage, change) = (Arc::new(lineage), ChangeId::from_bits(3));
        let label = Label { lineage, change, since: Since::default(), sent: Instant::now() };
        NearEntry::new(Held::encoded(Bytes::new()), &label, NearTimes::until(None), 0)
    }

    #[test]
    fn keys_are_told_apart_whether_they_are_held_in_place_or_not() {
        let region = Arc::new(Registry::new()).intern(&RegionPath::parse("r").unwrap());
        let values = Values::new(1 << 20, Arc::new(CountersByRegion::new(1)));
        let place = Place { region: region.id(), form: Form::Encoded };
        let keys = (SHORT_KEY - 1..=SHORT_KEY + 2).map(|length| "k".repeat(length));
        let keys: Vec<_> = keys.collect();
        for (at, key) in keys.iter().enumerate() {
            assert!(values.get(place, key).is_none(), "{key}");
            values.insert(&region, place, key, entry());
            assert_eq!(values.len(), at + 1);
        }
        for key in &keys {
            assert!(values.get(place, key).is_some(), "{key}");
            values.remove(place, key);
            assert!(values.get(place, key).is_none(), "{key}");
        }
        assert_eq!(values.len(), 0);
    }

    /// A hit reads and copies them.
    #[test]
    fn what_a_hit_reads_is_small() {
        assert!(size_of::<Slot>() <= 72, "{}", size_of::<Slot>());
        assert!(size_of::<NearEntry>() <= 96, "{}", size_of::<NearEntry>());
    }
}
