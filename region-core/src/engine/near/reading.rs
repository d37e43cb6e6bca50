//! Reads through the near cache.

use std::any::TypeId;
use std::sync::Arc;

use tokio::time::Instant;

use super::NearHandle;
use super::known::{Shown, Sources, Validity};
use super::region::{Judgement, TrustedLineage};
use super::round::Verified;
use super::values::{Form, Held, Label, NearEntry, Place};
use crate::engine::Context;
use crate::error::Result;
use crate::lifetime::Lifetime;
use crate::store::{Entry, Freshness, Read, ReadTerms, Trust};
use crate::value::serializer::Value;

/// What a look into the near cache found at a key.
pub(crate) enum Looked<V> {
    /// The value, and the end of its freshness.
    Hit(Arc<V>, Option<Instant>),
    /// There is a value, but nothing trusted tells that it is still the store's.
    Doubted,
    Nothing,
}

impl Context {
    /// Looks for a trusted value at `key`. It does no I/O, and counts nothing.
    pub(crate) fn look_near<V: Value>(&self, key: &str) -> Looked<V> {
        match &self.near {
            Some(near) => self.look(near, key, |entry| near.region.judge(entry, key)),
            None => Looked::Nothing,
        }
    }

    /// Returns the trusted value at `key`, and counts the hit. It does no I/O.
    pub(crate) fn near_hit<V: Value>(&self, key: &str) -> Option<Arc<V>> {
        let Looked::Hit(value, _) = self.look_near(key) else { return None };
        self.counters().near_hits.add(1);
        Some(value)
    }

    /// Asks the store for the region's lineage and changes, and looks again for those of `keys` that were in
    /// doubt. Several callers share one question.
    pub(crate) async fn verify_near<V: Value>(
        &self,
        keys: &[&str],
        looked: &mut [Looked<V>],
    ) -> Result<()> {
        let is_doubted = |looked: &Looked<V>| matches!(looked, Looked::Doubted);
        let Some(near) = self.near.as_ref().filter(|_| looked.iter().any(is_doubted)) else {
            return Ok(());
        };
        let shown = self.verify(near).await?;
        for (key, looked) in keys.iter().zip(looked).filter(|(_, looked)| is_doubted(looked)) {
            *looked = match &shown {
                Some(shown) => self.look(near, key, |entry| judge(shown, entry, key)),
                None => Looked::Nothing,
            };
        }
        Ok(())
    }

    fn read_terms(&self) -> ReadTerms<'static> {
        ReadTerms::new(self.policy.read_from)
    }

    async fn verify(&self, near: &NearHandle) -> Verified {
        let region = &near.region;
        let trusted = || region.trusted(region.marks());
        let ask = || async {
            self.counters().near_verifications.add(1);
            Ok(self.read_shown(near, &[]).await?.1.map(|(shown, _)| shown))
        };
        region.rounds.ask(trusted, ask).await
    }

    fn look<V: Value>(
        &self,
        near: &NearHandle,
        key: &str,
        judge: impl Fn(&NearEntry) -> Judgement,
    ) -> Looked<V> {
        let Some(values) = self.engine.near.values() else { return Looked::Nothing };
        for place in [near.decoded::<V>(), near.encoded()] {
            let Some(entry) = values.get(place, key) else { continue };
            match judge(&entry) {
                Judgement::Valid if entry.is_fresh() => {
                    if let Some(value) = self.open(near, key, &entry) {
                        return Looked::Hit(value, entry.fresh_until);
                    }
                }
                Judgement::Doubted if entry.is_fresh() => return Looked::Doubted,
                Judgement::Valid | Judgement::Doubted | Judgement::Outdated => {
                    values.remove(place, key);
                }
            }
        }
        Looked::Nothing
    }

    /// Returns the value of `entry`, which is valid. `None`: it is of another type.
    fn open<V: Value>(&self, near: &NearHandle, key: &str, entry: &NearEntry) -> Option<Arc<V>> {
        match &entry.value {
            Held::Decoded(value) => Arc::clone(value).downcast().ok(),
            Held::Encoded(bytes) => {
                // What cannot be decoded is counted and logged when the store shows it.
                let value = Arc::new(self.codec.decode::<V>(key, bytes).ok()?);
                let values = self.engine.near.values()?;
                let decoded = entry.with_value(Held::Decoded(Arc::clone(&value) as _));
                values.insert(near.decoded::<V>(), key, decoded);
                values.remove(near.encoded(), key);
                Some(value)
            }
        }
    }

    /// Reads `keys`, and learns what the answer shows of the region.
    pub(crate) async fn read_near(&self, keys: &[&str]) -> Result<(Read, Option<Label>)> {
        let Some(near) = &self.near else {
            return Ok((self.read(keys, self.read_terms()).await?, None));
        };
        let (read, shown) = self.read_shown(near, keys).await?;
        Ok((read, shown.and_then(|(shown, sent)| near.label(&shown, sent))))
    }

    /// Reads `keys`; also returns what the answer showed of the region and when the call was sent.
    async fn read_shown(
        &self,
        near: &NearHandle,
        keys: &[&str],
    ) -> Result<(Read, Option<(Shown, Instant)>)> {
        let region = &near.region;
        let (under, sent) = (region.marks(), Instant::now());
        let mut assumed = region.trusted_lineage(under);
        let terms = self.read_terms().trust(Trust::Kept);
        let lineage = assumed.as_ref().map(|assumed| &*assumed.lineage);
        let mut read = self.read(keys, terms.lineage(lineage)).await?;
        let (mut under, mut sent) = (under, sent);
        if assumed.is_some() && !region.marks().has_lineage_of(under) {
            // The answer assumed a lineage that was not trusted to the end.
            (under, sent, assumed) = (region.marks(), Instant::now(), None);
            read = self.read(keys, terms).await?;
        }
        let shown = self.shown_by(&read, assumed);
        if let Some(shown) = &shown {
            region.learn(shown, under);
        }
        Ok((read, shown.map(|shown| (shown, sent))))
    }

    fn shown_by(&self, read: &Read, assumed: Option<TrustedLineage>) -> Option<Shown> {
        let lineage = read.lineage.as_ref()?;
        let source = read.source.filter(|_| self.engine.near.is_listening());
        let same = assumed.filter(|assumed| *assumed.lineage == *lineage);
        let (lineage, of_lineage) = match same {
            Some(assumed) => (assumed.lineage, Some(assumed.source)),
            None => (Arc::new(lineage.clone()), source),
        };
        let sources = source.zip(of_lineage).map(|(ring, lineage)| Sources { lineage, ring });
        Some(Shown { lineage, ring: read.changes.clone(), sources })
    }

    /// Keeps `value`, which the entry at `key` of an answer decodes to. The entry has `size` bytes, and `left`
    /// is what is left of its freshness.
    pub(crate) fn keep_near<V: Value>(
        &self,
        key: &str,
        (size, left): (usize, Lifetime),
        value: &Arc<V>,
        label: Option<&Label>,
    ) {
        let near = self.near.as_ref().zip(label).zip(self.engine.near.values());
        if let Some(((near, label), values)) = near {
            let value = Held::Decoded(Arc::clone(value) as _);
            let fresh_until = label.end_of(left.duration());
            let entry = NearEntry::new(value, label, fresh_until, key.len() + size);
            values.insert(near.decoded::<V>(), key, entry);
        }
    }

    /// Keeps the bytes of `entry`, which an answer showed at `key`.
    pub(super) fn keep_bytes(&self, near: &NearHandle, key: &str, entry: &Entry, label: &Label) {
        if let (Some(values), Freshness::Fresh { left }) =
            (self.engine.near.values(), entry.freshness)
        {
            let (value, size) = (Held::Encoded(entry.bytes.clone()), entry.bytes.len());
            let fresh_until = label.end_of(left.duration());
            let entry = NearEntry::new(value, label, fresh_until, key.len() + size);
            values.insert(near.encoded(), key, entry);
        }
    }
}

fn judge(shown: &Shown, entry: &NearEntry, key: &str) -> Judgement {
    match shown.judge(&entry.lineage, entry.change, key) {
        Validity::Valid => Judgement::Valid,
        Validity::Outdated => Judgement::Outdated,
    }
}

impl NearHandle {
    fn decoded<V: Value>(&self) -> Place {
        let form = Form::Decoded { of: TypeId::of::<V>(), codec: self.codec };
        Place { region: self.region.id(), form }
    }

    pub(super) fn encoded(&self) -> Place {
        Place { region: self.region.id(), form: Form::Encoded }
    }

    /// Names the moment that an answer showed, if it shows enough to judge entries by later.
    pub(super) fn label(&self, shown: &Shown, sent: Instant) -> Option<Label> {
        let (lineage, change) = (Arc::clone(&shown.lineage), shown.ring.as_ref()?.last());
        Some(Label { region: Arc::clone(&self.region), lineage, change, sent })
    }
}

impl Label {
    /// The end of a lifetime that begins no earlier than when the call was sent.
    pub(super) fn end_of(&self, lifetime: Option<std::time::Duration>) -> Option<Instant> {
        // An instant that cannot be named is later than any process lives.
        lifetime.and_then(|lifetime| self.sent.checked_add(lifetime))
    }
}
