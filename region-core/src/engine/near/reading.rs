//! Reads through the near cache.

use std::any::TypeId;
use std::future::Future;
use std::sync::Arc;

use tokio::time::Instant;

use super::NearHandle;
use super::depends::NearDependencies;
use super::known::{Moment, Shown, Validity};
use super::question::Question;
use super::region::Judgement;
use super::round::Verified;
use super::values::{Form, Held, Label, NearEntry, Place};
use crate::engine::depends::Depending;
use crate::engine::lookup::left;
use crate::engine::{Accept, Context, CountsAs, Started};
use crate::error::Result;
use crate::lifetime::Lifetime;
use crate::store::{Entry, Freshness, Read, ReadTerms};
use crate::value::codec::Decoded;
use crate::value::dependencies::Dependencies;
use crate::value::serializer::Value;

/// What a look into the near cache found at a key.
pub(crate) enum Looked<V> {
    /// The value, and the end of its freshness.
    Hit(Arc<V>, Option<Instant>),
    /// The same for a value that is neither trusted nor verified, which the policy allows.
    Unverified(Arc<V>, Option<Instant>),
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
            Some((value, until)) => Looked::Hit(value, until),
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
        let (value, counts_as) = match self.look_near(key) {
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
        let (value, counts_as) = match self.look_near(key) {
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

    /// Asks the store for the region's lineage and changes, and looks again for those of `keys` that were in
    /// doubt. Several callers share one question, and each waits for it no longer than its own limit says.
    /// Returns the moment that the answer showed.
    pub(in crate::engine) async fn verify_near<V: Value>(
        &self,
        keys: &[&str],
        looked: &mut [Looked<V>],
        started: &mut Started,
    ) -> Result<Option<Moment>> {
        let is_doubted = |looked: &Looked<V>| matches!(looked, Looked::Doubted);
        let Some(near) = self.near.as_ref().filter(|_| looked.iter().any(is_doubted)) else {
            return Ok(None);
        };
        let doubts = looked.iter().filter(|looked| is_doubted(looked)).count();
        self.counters().near_doubts.add(doubts);
        let shown = self.verify(near, started).await?;
        let mut retrusted = 0;
        for (key, looked) in keys.iter().zip(looked).filter(|(_, looked)| is_doubted(looked)) {
            *looked = match &shown {
                Some(shown) => self.look(near, key, |entry| judge(near, shown, entry, key)),
                None => Looked::Nothing,
            };
            retrusted += usize::from(!looked.is_missing());
        }
        self.counters().near_retrusted.add(retrusted);
        Ok(shown.as_ref().and_then(Shown::moment))
    }

    /// The moment of the store that is trusted to be the present one.
    pub(in crate::engine) fn trusted_moment(&self) -> Option<Moment> {
        let region = &self.near.as_ref()?.region;
        region.trusted(region.marks())?.moment()
    }

    pub(in crate::engine) fn read_terms(&self) -> ReadTerms<'static> {
        ReadTerms::new(self.policy.read_from)
    }

    async fn verify(&self, near: &NearHandle, started: &mut Started) -> Verified {
        let known = {
            let region = Arc::clone(&near.region);
            move || region.trusted(region.marks())
        };
        let ask = {
            let (engine, path) = (Arc::clone(&self.engine), self.path.clone());
            let counters = Arc::clone(self.region_counters());
            let (region, terms) = (Arc::clone(&near.region), self.read_terms());
            move |mut started: Started| async move {
                counters.here().near_verifications.add(1);
                let question = Question { engine: &engine, path: &path, region: &region, terms };
                Ok(question.ask(&[], &mut started).await?.1.map(|(shown, _)| shown))
            }
        };
        let limit = self.engine.store.limit();
        self.unless_out(near.region.rounds.ask(started, limit, known, ask)).await
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
        let until = entry.fresh_until;
        let depends = entry.depends().cloned();
        if entry.value.is_absence() {
            return self.unless_ended((place, key), None, depends, until);
        }
        let Some(bytes) = entry.value.bytes() else {
            let value = entry.value.into_value()?;
            return self.unless_ended((place, key), Some(value), depends, until);
        };
        // What cannot be decoded is counted and logged when the store shows it.
        let Decoded { value, dependencies } = self.codec.decode::<V>(key, bytes).ok()?;
        let (value, values) = (value.map(Arc::new), self.engine.near.values()?);
        let depends = dependencies.map(|list| self.near_dependencies(&list));
        let held = Held::decoded(value.as_ref());
        let decoded = entry.with_value(held).depending(depends.clone());
        let place = near.decoded::<V>();
        // First out, then in: otherwise another entry would be evicted to make room for both.
        values.remove(near.encoded(), key);
        values.insert(&near.region, place, key, decoded);
        // The read that found the bytes counts for the value, which would be evicted sooner as a new one.
        values.get(place, key);
        self.unless_ended((place, key), value, depends, until)
    }

    /// Judges a value, or the record that there is none, by the regions that it depends on, if there are some.
    fn unless_ended<V: Value>(
        &self,
        (place, key): (Place, &str),
        value: Option<Arc<V>>,
        depends: Option<Arc<NearDependencies>>,
        until: Option<Instant>,
    ) -> Option<Looked<V>> {
        let served = |value| match value {
            Some(value) => Looked::Hit(value, until),
            None => Looked::Absent,
        };
        let Some(depends) = depends else { return Some(served(value)) };
        match self.judge_dependencies(&depends) {
            Judgement::Valid | Judgement::ValidAt(_) => Some(served(value)),
            Judgement::Doubted => {
                let (left, on) = (left(until), Arc::clone(&depends.list));
                Some(Looked::Depending(Box::new(Depending::near(value, left, on))))
            }
            Judgement::Outdated => {
                if let Some(values) = self.engine.near.values() {
                    values.remove(place, key);
                }
                None
            }
        }
    }

    /// Reads `keys`, and learns what the answer shows of the region. It is a part of an operation that began
    /// at `started`.
    pub(crate) async fn read_near(
        &self,
        keys: &[&str],
        started: &mut Started,
    ) -> Result<(Read, Option<Label>)> {
        let Some(near) = &self.near else {
            return Ok((self.read(keys, started).await?, None));
        };
        self.learn_read(near, self.question(near).ask(keys, started)).await
    }

    /// Does the same as [`read_near`](Self::read_near) for one key.
    pub(in crate::engine) async fn read_one(
        &self,
        key: &str,
        started: &mut Started,
    ) -> Result<(Option<Entry>, Option<Label>)> {
        let keys = &[key];
        let Some(near) = &self.near else {
            let mut read = self.read(keys, started).await?;
            return Ok((read.entries.pop().flatten(), None));
        };
        let question = self.question(near);
        // Boxed, so that the future of a hit stays small.
        let asking = self.learn_read(near, question.ask(keys, started));
        let (mut read, label) = Box::pin(asking).await?;
        Ok((read.entries.pop().flatten(), label))
    }

    async fn learn_read(
        &self,
        near: &NearHandle,
        answer: impl Future<Output = Result<(Read, Option<(Shown, Instant)>)>>,
    ) -> Result<(Read, Option<Label>)> {
        let (read, shown) = self.unless_out(answer).await?;
        Ok((read, shown.and_then(|(shown, sent)| near.label(&shown, sent))))
    }

    fn question<'a>(&'a self, near: &'a NearHandle) -> Question<'a> {
        let (engine, path) = (&self.engine, &self.path);
        Question { engine, path, region: &near.region, terms: self.read_terms() }
    }

    /// Keeps `value`, which the entry at `key` of an answer decodes to; `None` is the record that there is none.
    /// The entry has `size` bytes, and `left` is what is left of its freshness.
    pub(crate) fn keep_near<V: Value>(
        &self,
        key: &str,
        (size, left): (usize, Lifetime),
        value: Option<&Arc<V>>,
        dependencies: Option<&Dependencies>,
        label: Option<&Label>,
    ) {
        let near = self.near.as_ref().zip(label).zip(self.engine.near.values());
        if let Some(((near, label), values)) = near {
            let value = Held::decoded(value);
            let fresh_until = label.end_of(left.duration());
            let entry = NearEntry::new(value, label, fresh_until, key.len() + size);
            let depends = dependencies.map(|list| self.near_dependencies(list));
            let place = near.decoded::<V>();
            values.insert(&near.region, place, key, entry.depending(depends));
        }
    }

    /// Keeps the bytes of `entry`, which an answer showed at `key`.
    pub(super) fn keep_bytes(&self, near: &NearHandle, key: &str, entry: &Entry, label: &Label) {
        if let (Some(values), Freshness::Fresh { left }) =
            (self.engine.near.values(), entry.freshness)
        {
            let (value, size) = (Held::encoded(entry.bytes.clone()), entry.bytes.len());
            let fresh_until = label.end_of(left.duration());
            let entry = NearEntry::new(value, label, fresh_until, key.len() + size);
            values.insert(&near.region, near.encoded(), key, entry);
        }
    }
}

fn judge(near: &NearHandle, shown: &Shown, entry: &mut NearEntry, key: &str) -> Judgement {
    match near.region.judge_by(&shown.lineage, shown.ring.as_ref(), entry, key) {
        Validity::Valid => Judgement::Valid,
        Validity::Outdated => Judgement::Outdated,
    }
}

impl NearHandle {
    #[inline]
    pub(super) fn decoded<V: Value>(&self) -> Place {
        let form = Form::Decoded { of: TypeId::of::<V>(), codec: self.codec };
        Place { region: self.region.id(), form }
    }

    pub(super) fn encoded(&self) -> Place {
        Place { region: self.region.id(), form: Form::Encoded }
    }

    /// Names the moment that an answer showed, if it shows enough to judge entries by later.
    pub(super) fn label(&self, shown: &Shown, sent: Instant) -> Option<Label> {
        let ring = shown.ring.as_ref()?;
        let since = self.region.place(&shown.lineage, ring);
        Some(Label { lineage: Arc::clone(&shown.lineage), change: ring.last(), since, sent })
    }
}

impl Label {
    /// The moment that it names.
    pub(in crate::engine) fn moment(&self) -> Moment {
        Moment::new(&self.lineage, self.change)
    }

    /// The end of a lifetime that begins no earlier than when the call was sent.
    pub(super) fn end_of(&self, lifetime: Option<std::time::Duration>) -> Option<Instant> {
        // An instant that cannot be named is later than any process lives.
        lifetime.and_then(|lifetime| self.sent.checked_add(lifetime))
    }
}
