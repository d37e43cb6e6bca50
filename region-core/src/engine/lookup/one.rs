//! Lookups of one key.

use super::times;
use crate::engine::found::{Accept, CountsAs, Found, FoundOne};
use crate::engine::{Context, Looked, Started};
use crate::error::Result;
use crate::path::check_key;
use crate::stats::MissReason;
use crate::store::Entry;
use crate::value::serializer::Value;

impl Context {
    /// Does the same as [`find_many`](Self::find_many) for one key, without allocating vectors unless a value
    /// has to be verified.
    pub(crate) async fn find<V: Value>(
        &self,
        key: &str,
        accept: Accept,
        started: &mut Started,
    ) -> Result<FoundOne<V>> {
        match self.served_near(self.look_near(key), accept) {
            Ok(found) => return Ok(found),
            Err(Looked::Nothing) => {}
            Err(_) => {
                // Boxed, so that the future of a plain read stays small.
                started.note();
                let one = Box::pin(self.find_in_doubt(key, accept, *started)).await?;
                self.count_one(one.counts_as);
                return Ok(one);
            }
        }
        check_key(key)?;
        let (entry, label) = match self.read_one(key, started).await {
            Ok(read) => read,
            Err(error) if self.is_miss(&error) => {
                let found = Found::Nothing(MissReason::Unavailable);
                let one = FoundOne::stored(found, Some(error));
                self.count_one(one.counts_as);
                return Ok(one);
            }
            Err(error) => return Err(error),
        };
        let found = self.find_in(key, entry, accept, label.as_ref());
        if let Found::Depending(_) = found {
            return Box::pin(self.resolve_counted(found, accept, *started)).await;
        }
        let one = FoundOne::stored(found, None);
        self.count_one(one.counts_as);
        Ok(one)
    }

    /// Finds and counts what is held near at `key` and may be served without a question.
    pub(crate) fn find_near<V: Value>(&self, key: &str, accept: Accept) -> Option<FoundOne<V>> {
        self.served_near(self.look_near(key), accept).ok()
    }

    /// As [`find_near`](Self::find_near), and leaves the record that there is no value to a lookup, if that is a
    /// miss to a read which returns what `accept` says.
    pub(crate) fn find_answer_near<V: Value>(
        &self,
        key: &str,
        accept: Accept,
    ) -> Option<FoundOne<V>> {
        let looked = self.look_near(key);
        let is_answer = !looked.is_absence() || accept == Accept::FreshStaleOrAbsent;
        is_answer.then(|| self.served_near(looked, accept).ok()).flatten()
    }

    /// Counts what a look has found near, if it may be served without a question; else gives it back.
    #[inline]
    fn served_near<V>(&self, looked: Looked<V>, accept: Accept) -> Result<FoundOne<V>, Looked<V>> {
        let (found, counts_as) = match looked {
            Looked::Hit(value, near) => (Found::Fresh(value, times(near)), CountsAs::NearHit),
            Looked::Unverified(value, near) => {
                (Found::Fresh(value, times(near)), CountsAs::NearUnverifiedHit)
            }
            absent @ (Looked::Absent | Looked::UnverifiedAbsent) => {
                (accept.absence(), CountsAs::absence(&absent, accept))
            }
            other @ (Looked::Doubted | Looked::Depending(_) | Looked::Nothing) => {
                return Err(other);
            }
        };
        self.count_one(counts_as);
        Ok(FoundOne::found(found, counts_as))
    }

    /// Looks up what is held near and has to be asked about. It is not counted.
    async fn find_in_doubt<V: Value>(
        &self,
        key: &str,
        accept: Accept,
        started: Started,
    ) -> Result<FoundOne<V>> {
        check_key(key)?;
        let (mut found, outage, tally) = self.find_uncounted(&[key], accept, started).await?;
        let found = found.pop().unwrap_or(Found::Nothing(MissReason::Absent));
        let counts_as = tally.of_one(&found);
        Ok(FoundOne { found, outage, counts_as })
    }

    /// As [`find`](Self::find), but leaves the counting to the caller. The operation began at `started`.
    pub(crate) async fn find_one<V: Value>(
        &self,
        key: &str,
        accept: Accept,
        mut started: Started,
    ) -> Result<FoundOne<V>> {
        check_key(key)?;
        if !matches!(self.look_near::<V>(key), Looked::Nothing) {
            return self.find_in_doubt(key, accept, started).await;
        }
        let (entry, label) = match self.read_one(key, &mut started).await {
            Ok(read) => read,
            Err(error) if self.is_miss(&error) => {
                return Ok(FoundOne::stored(Found::Nothing(MissReason::Unavailable), Some(error)));
            }
            Err(error) => return Err(error),
        };
        let found = self.find_in(key, entry, accept, label.as_ref());
        self.resolve_one(found, accept, started).await
    }

    /// Decodes the entry that was found at `key`, asks for its dependencies, and counts a hit or a miss.
    /// Returns the outage too, if that was one.
    pub(crate) async fn find_counted<V: Value>(
        &self,
        key: &str,
        entry: Result<Entry, MissReason>,
        accept: Accept,
        started: Started,
    ) -> Result<FoundOne<V>> {
        self.resolve_counted(self.find_in(key, entry, accept, None), accept, started).await
    }

    /// Asks for the dependencies of what was found, and counts a hit or a miss.
    async fn resolve_counted<V: Value>(
        &self,
        found: Found<V>,
        accept: Accept,
        started: Started,
    ) -> Result<FoundOne<V>> {
        let one = self.resolve_one(found, accept, started).await?;
        self.count_one(one.counts_as);
        Ok(one)
    }

    /// Asks for the dependencies of what was found.
    async fn resolve_one<V: Value>(
        &self,
        found: Found<V>,
        accept: Accept,
        started: Started,
    ) -> Result<FoundOne<V>> {
        let mut found = [found];
        let resolved = self.resolve_all(&mut found, accept, None, started).await?;
        let [found] = found;
        Ok(FoundOne::stored(found, resolved.outage))
    }
}
