//! Looks into the near cache, which ask no store.

use std::sync::Arc;

use super::depends::NearDependencies;
use super::region::Judgement;
use super::values::{Form, Held, NearEntry, Place};
use super::{NearHandle, NearTimes};
use crate::engine::depends::Depending;
use crate::engine::lookup::times;
use crate::engine::{Accept, Context, CountsAs};
use crate::value::codec::Decoded;
use crate::value::serializer::Value;

/// The result of a look into the near cache at a key.
pub(crate) enum Looked<V> {
    Hit(Arc<V>, NearTimes),
    /// The same for a value that is neither trusted nor verified, which the policy allows.
    Unverified(Arc<V>, NearTimes),
    /// The record that there is no value.
    Absent,
    /// The same for a record that is neither trusted nor verified, which the policy allows.
    UnverifiedAbsent,
    /// There is a value or such a record, but nothing trusted tells that it is still the store's.
    Doubted,
    /// There is a value or such a record, but the markers near do not tell if its dependencies hold.
    Depending(Box<Depending<V>>),
    Nothing,
}

impl<V> Looked<V> {
    /// Returns true if there is nothing to serve.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Doubted | Self::Nothing)
    }

    /// Returns true for the record that there is no value.
    pub(crate) fn is_absence(&self) -> bool {
        match self {
            Self::Absent | Self::UnverifiedAbsent => true,
            Self::Depending(depending) => depending.is_absence(),
            Self::Hit(..) | Self::Unverified(..) | Self::Doubted | Self::Nothing => false,
        }
    }

    /// Returns true for what is neither trusted nor verified.
    pub(crate) fn is_unverified(&self) -> bool {
        match self {
            Self::Unverified(..) | Self::UnverifiedAbsent => true,
            Self::Depending(depending) => depending.is_unverified(),
            Self::Hit(..) | Self::Absent | Self::Doubted | Self::Nothing => false,
        }
    }
}

impl Context {
    /// Looks for a value at `key` that may be served without a question. It does no I/O, and counts nothing.
    #[inline]
    pub(crate) fn look_near<V: Value>(&self, key: &str) -> Looked<V> {
        let Some(near) = &self.near else { return Looked::Nothing };
        match self.verified_hit(near, key) {
            Some((value, times)) => Looked::Hit(value, times),
            None => self.look_closer(near, key),
        }
    }

    fn look_closer<V: Value>(&self, near: &NearHandle, key: &str) -> Looked<V> {
        match self.look(near, key, |entry| near.region.judge(entry, key)) {
            Looked::Doubted => self.look_unverified(near, key),
            looked => looked,
        }
    }

    /// Looks for a trusted value at `key`.
    pub(super) fn look_trusted<V: Value>(&self, key: &str) -> Looked<V> {
        match &self.near {
            Some(near) => self.look(near, key, |entry| near.region.judge(entry, key)),
            None => Looked::Nothing,
        }
    }

    /// Returns the value at `key` that may be served without a question, and counts the hit. It does no I/O.
    #[inline]
    pub(crate) fn near_hit<V: Value>(&self, key: &str) -> Option<Arc<V>> {
        let near = self.near.as_ref()?;
        if let Some((value, _)) = self.verified_hit(near, key) {
            self.count_one(CountsAs::NearHit);
            return Some(value);
        }
        let (value, counts_as) = match self.look_closer(near, key) {
            Looked::Hit(value, _) => (value, CountsAs::NearHit),
            Looked::Unverified(value, _) => (value, CountsAs::NearUnverifiedHit),
            Looked::Absent | Looked::UnverifiedAbsent => return None,
            Looked::Doubted | Looked::Depending(_) | Looked::Nothing => return None,
        };
        self.count_one(counts_as);
        Some(value)
    }

    /// As [`near_hit`](Self::near_hit), and returns `Some(None)` for the record that there is no value. Either is
    /// counted, as by a read that returns what `accept` says.
    #[inline]
    pub(crate) fn near_answer<V: Value>(
        &self,
        key: &str,
        accept: Accept,
    ) -> Option<Option<Arc<V>>> {
        let near = self.near.as_ref()?;
        if let Some((value, _)) = self.verified_hit(near, key) {
            self.count_one(CountsAs::NearHit);
            return Some(Some(value));
        }
        self.closer_answer(near, key, accept)
    }

    /// Does the same for what takes more than a verified hit.
    fn closer_answer<V: Value>(
        &self,
        near: &NearHandle,
        key: &str,
        accept: Accept,
    ) -> Option<Option<Arc<V>>> {
        let (value, counts_as) = match self.look_closer(near, key) {
            Looked::Hit(value, _) => (Some(value), CountsAs::NearHit),
            Looked::Unverified(value, _) => (Some(value), CountsAs::NearUnverifiedHit),
            looked @ (Looked::Absent | Looked::UnverifiedAbsent) => {
                (None, CountsAs::absence(&looked, accept))
            }
            Looked::Doubted | Looked::Depending(_) | Looked::Nothing => return None,
        };
        self.count_one(counts_as);
        Some(value)
    }

    pub(super) fn look<V: Value>(
        &self,
        near: &NearHandle,
        key: &str,
        judge: impl Fn(&mut NearEntry) -> Judgement,
    ) -> Looked<V> {
        let Some(values) = self.engine.near.values() else { return Looked::Nothing };
        for place in [near.decoded::<V>(), near.encoded()] {
            let Some(mut entry) = values.get(place, key) else { continue };
            let since = entry.since;
            let entry = match judge(&mut entry) {
                // The less has changed since its place, the surer is the next judgement.
                Judgement::Valid if entry.is_fresh() && entry.since != since => {
                    self.note_verified(near, place, key, entry)
                }
                Judgement::Valid if entry.is_fresh() => entry,
                Judgement::ValidAt(sum) if entry.is_fresh() => {
                    self.note_verified(near, place, key, entry.verified_at(sum))
                }
                Judgement::Doubted if entry.is_fresh() => return Looked::Doubted,
                _ => {
                    values.remove(place, key);
                    continue;
                }
            };
            if let Some(looked) = self.open(near, place, key, entry) {
                return looked;
            }
        }
        Looked::Nothing
    }

    /// Keeps `entry` with the marks at which it was verified, so that the next hit need not look at the region's
    /// changes.
    #[cold]
    pub(super) fn note_verified(
        &self,
        near: &NearHandle,
        place: Place,
        key: &str,
        entry: NearEntry,
    ) -> NearEntry {
        // Another thread may have put a newer entry there meanwhile. It is lost, not taken for older: each entry
        // says itself what it is.
        if let (Some(values), Form::Decoded { .. }) = (self.engine.near.values(), place.form) {
            values.insert(&near.region, place, key, entry.clone());
        }
        entry
    }

    /// Returns the content of `entry`, which is valid as far as its own region tells. `None`: it is of
    /// another type, or a dependency has ended.
    fn open<V: Value>(
        &self,
        near: &NearHandle,
        place: Place,
        key: &str,
        entry: NearEntry,
    ) -> Option<Looked<V>> {
        let near_times = entry.times;
        let depends = entry.depends().cloned();
        if entry.value.is_absence() {
            return self.unless_ended((place, key), None, depends, near_times);
        }
        let Some(bytes) = entry.value.bytes() else {
            let value = entry.value.into_value()?;
            return self.unless_ended((place, key), Some(value), depends, near_times);
        };
        // What cannot be decoded is counted and logged when the store shows it.
        let Decoded { value, made, dependencies } = self.codec.decode::<V>(key, bytes).ok()?;
        let (value, values) = (value.map(Arc::new), self.engine.near.values()?);
        let depends = dependencies.map(|list| self.near_dependencies(&list));
        let held = Held::decoded(value.as_ref());
        let decoded = entry.decoded(held, made).depending(depends.clone());
        let place = near.decoded::<V>();
        // First out, then in: otherwise another entry would be evicted to make room for both.
        values.remove(near.encoded(), key);
        values.insert(&near.region, place, key, decoded);
        // The read that found the bytes counts for the value, which would be evicted sooner as a new one.
        values.get(place, key);
        self.unless_ended((place, key), value, depends, NearTimes { made, ..near_times })
    }

    /// Judges a value, or the record that there is none, by the regions that it depends on, if there are some.
    fn unless_ended<V: Value>(
        &self,
        (place, key): (Place, &str),
        value: Option<Arc<V>>,
        depends: Option<Arc<NearDependencies>>,
        near_times: NearTimes,
    ) -> Option<Looked<V>> {
        let served = |value| match value {
            Some(value) => Looked::Hit(value, near_times),
            None => Looked::Absent,
        };
        let Some(depends) = depends else { return Some(served(value)) };
        match self.judge_dependencies(&depends) {
            Judgement::Valid | Judgement::ValidAt(_) => Some(served(value)),
            Judgement::Doubted => {
                let on = Arc::clone(&depends.list);
                Some(Looked::Depending(Box::new(Depending::near(value, times(near_times), on))))
            }
            Judgement::Outdated => {
                if let Some(values) = self.engine.near.values() {
                    values.remove(place, key);
                }
                None
            }
        }
    }
}
