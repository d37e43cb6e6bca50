//! The near cache's part of an explanation. Nothing is counted or kept, and no value is dropped.

use std::sync::Arc;
use std::time::Duration;

use super::NearHandle;
use super::depends::NearDependencies;
use super::known::{Known, Marks, Validity};
use super::region::{Judgement, NearRegion};
use super::values::NearEntry;
use crate::engine::Context;
use crate::engine::lookup::left;
use crate::explain::{NearFacts, NearState, NearTrust, NearValidity, NearValue};
use crate::store::{Read, Source};
use crate::value::envelope::{BadBytes, EnvelopeContent};
use crate::value::serializer::Value;

/// A fresh near entry.
struct HeldNear {
    entry: NearEntry,
    is_decoded: bool,
    content: EnvelopeContent,
    depends: Result<Option<Arc<NearDependencies>>, BadBytes>,
}

impl Context {
    /// The state of `key` in the near cache, and what is known of its value. `read` is what the store shows
    /// now.
    pub(in crate::engine) fn explain_near<V: Value>(
        &self,
        key: &str,
        read: Option<&Read>,
    ) -> Option<(NearState, Option<NearFacts>)> {
        let near = self.near.as_ref()?;
        let (lineage, changes) = near.region.explain_trust();
        let held = self.held_near::<V>(near, key, read);
        let facts = held.as_ref().map(|held| self.near_facts(near, held, key, read));
        let value = held.zip(facts).map(|(held, facts)| NearValue {
            content: held.content,
            is_decoded: held.is_decoded,
            left: left(held.entry.times.until),
            validity: facts.validity,
        });
        let is_listening = self.engine.near.is_listening();
        Some((NearState { is_listening, lineage, changes, value }, facts))
    }

    /// The fresh entry at `key` that a read would use, or the first that it would drop.
    fn held_near<V: Value>(
        &self,
        near: &NearHandle,
        key: &str,
        read: Option<&Read>,
    ) -> Option<HeldNear> {
        let values = self.engine.near.values()?;
        let peek = |place| values.peek(place, key).filter(NearEntry::is_fresh);
        let is_outdated = |entry: &NearEntry| {
            near.region.judge(&mut entry.clone(), key) == Judgement::Outdated
                || shown(near, read, entry, key) == Some(Validity::Outdated)
        };
        let (entry, is_decoded) = match (peek(near.decoded::<V>()), peek(near.encoded())) {
            (Some(decoded), Some(encoded)) if is_outdated(&decoded) => (encoded, false),
            (Some(decoded), _) => (decoded, true),
            (None, encoded) => (encoded?, false),
        };
        let content = match entry.value.bytes() {
            Some(bytes) => self.codec.header::<V>(key, bytes).map(|header| header.content),
            None => entry.value.is_absence().then_some(EnvelopeContent::Absence),
        };
        let content = content.unwrap_or(EnvelopeContent::Value);
        let depends = self.dependencies_of::<V>(&entry, key);
        Some(HeldNear { entry, is_decoded, content, depends })
    }

    /// What a near entry depends on: where its bytes are held, they tell, if they are of this type.
    fn dependencies_of<V: Value>(
        &self,
        entry: &NearEntry,
        key: &str,
    ) -> Result<Option<Arc<NearDependencies>>, BadBytes> {
        let Some(bytes) = entry.value.bytes() else { return Ok(entry.depends().cloned()) };
        let decoded = self.codec.decode::<V>(key, bytes)?;
        Ok(decoded.dependencies.map(|list| self.near_dependencies(&list)))
    }

    fn near_facts(
        &self,
        near: &NearHandle,
        HeldNear { entry, content, depends, .. }: &HeldNear,
        key: &str,
        read: Option<&Read>,
    ) -> NearFacts {
        let judge =
            |judge: &dyn Fn(&mut NearEntry) -> Judgement| validity(judge(&mut entry.clone()));
        let own = judge(&|entry| near.region.judge(entry, key));
        let of_dependencies = match depends {
            Ok(Some(depends)) => validity(self.judge_dependencies(depends)),
            Ok(None) => NearValidity::Valid,
            // No read returns what it cannot decode: the store is asked.
            Err(_) => NearValidity::Outdated,
        };
        let is_served = |longest: Duration| {
            let unverified = near.region.unverified(longest);
            let judged = unverified.map(|unverified| {
                judge(&|entry| near.region.judge_unverified(&unverified, entry, key))
            });
            judged == Some(NearValidity::Valid) && of_dependencies == NearValidity::Valid
        };
        let policy = &self.policy;
        NearFacts {
            is_absence: *content == EnvelopeContent::Absence,
            validity: match (own, of_dependencies) {
                (NearValidity::Outdated, _) | (_, NearValidity::Outdated) => NearValidity::Outdated,
                (NearValidity::Valid, NearValidity::Valid) => NearValidity::Valid,
                _ => NearValidity::Doubted,
            },
            is_served_unverified: is_served(policy.near_unverified_for),
            is_served_in_outage: is_served(policy.near_outage_for.max(policy.near_unverified_for)),
            is_shown_valid: shown(near, read, entry, key) == Some(Validity::Valid),
        }
    }
}

/// The state of `entry` by what the store shows.
fn shown(near: &NearHandle, read: Option<&Read>, entry: &NearEntry, key: &str) -> Option<Validity> {
    let Read { lineage, changes, .. } = read?;
    let lineage = Arc::new(lineage.clone()?);
    Some(near.region.judge_by(&lineage, changes.as_ref(), &mut entry.clone(), key))
}

impl NearRegion {
    /// Trust in the region's lineage, and in what is known of its changes.
    fn explain_trust(&self) -> (NearTrust, NearTrust) {
        let now = self.heard_marks();
        let known = self.known().read();
        let Some(known) = known.as_ref() else { return (NearTrust::Unknown, NearTrust::Unknown) };
        (self.trust_of_lineage(known, now), self.trust_of_changes(known, now))
    }

    fn trust_of_lineage(&self, known: &Known, now: Marks) -> NearTrust {
        if !now.is_lineage_settled() {
            return NearTrust::OwnChange;
        }
        if known.under.lineage != now.lineage {
            return NearTrust::Changed;
        }
        self.trust_over(known.sources.lineage, known, now)
    }

    fn trust_of_changes(&self, known: &Known, now: Marks) -> NearTrust {
        if known.ring.is_none() {
            return NearTrust::Unknown;
        }
        if !now.ring.is_settled() || !now.engine.is_settled() {
            return NearTrust::OwnChange;
        }
        if known.under.ring != now.ring {
            return NearTrust::Changed;
        }
        self.trust_over(known.sources.ring, known, now)
    }

    fn trust_over(&self, source: Source, known: &Known, now: Marks) -> NearTrust {
        let losses = self.losses();
        match losses.spared(source, known.under.engine, now.engine) && !losses.is_uncovered() {
            true => NearTrust::Trusted,
            false => NearTrust::ConnectionLost,
        }
    }
}

fn validity(judgement: Judgement) -> NearValidity {
    match judgement {
        Judgement::Valid | Judgement::ValidAt(_) => NearValidity::Valid,
        Judgement::Doubted => NearValidity::Doubted,
        Judgement::Outdated => NearValidity::Outdated,
    }
}
