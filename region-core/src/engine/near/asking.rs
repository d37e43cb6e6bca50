//! Reads that ask the store, for entries or for what has become of those near.

use std::future::Future;
use std::sync::Arc;

use tokio::time::Instant;

use super::known::{Moment, Shown, Validity};
use super::question::Question;
use super::region::Judgement;
use super::round::Verified;
use super::values::{Label, NearEntry};
use super::{Looked, NearHandle};
use crate::engine::{Context, Started};
use crate::error::Result;
use crate::stats::MissReason;
use crate::store::{Entry, Read, ReadTerms};
use crate::value::serializer::Value;

impl Context {
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

    /// Reads `keys`, and learns what the answer shows of the region. It is a part of an operation that began
    /// at `started`.
    pub(crate) async fn read_near(
        &self,
        keys: &[&str],
        started: &mut Started,
    ) -> Result<(Read, Option<Label>)> {
        let Some(near) = &self.near else {
            return Ok((self.read(keys, started)?.await?, None));
        };
        self.learn_read(near, self.question(near).ask(keys, started)).await
    }

    /// Does the same as [`read_near`](Self::read_near) for one key.
    pub(in crate::engine) async fn read_one(
        &self,
        key: &str,
        started: &mut Started,
    ) -> Result<(Result<Entry, MissReason>, Option<Label>)> {
        let keys = &[key];
        let Some(near) = &self.near else {
            let mut read = self.read(keys, started)?.await?;
            return Ok((read.pop_entry(), None));
        };
        let question = self.question(near);
        // Boxed, so that the future of a hit stays small.
        let asking = self.learn_read(near, question.ask(keys, started));
        let (mut read, label) = Box::pin(asking).await?;
        Ok((read.pop_entry(), label))
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
}

fn judge(near: &NearHandle, shown: &Shown, entry: &mut NearEntry, key: &str) -> Judgement {
    match near.region.judge_by(&shown.lineage, shown.ring.as_ref(), entry, key) {
        Validity::Valid => Judgement::Valid,
        Validity::Outdated => Judgement::Outdated,
    }
}
