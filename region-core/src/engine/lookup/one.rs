//! Lookups of one key.

use super::left;
use crate::engine::found::{Accept, CountsAs, Found, FoundOne};
use crate::engine::{Context, Looked, Started};
use crate::error::{Error, Result};
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
    ) -> Result<(Found<V>, Option<Error>)> {
        match self.served_near(self.look_near(key), accept) {
            Ok(found) => return Ok((found, None)),
            Err(Looked::Nothing) => {}
            Err(_) => {
                // Boxed, so that the future of a plain read stays small.
                started.note();
                let (mut found, outage) =
                    Box::pin(self.find_many(&[key], accept, *started)).await?;
                return Ok((found.pop().unwrap_or(Found::Nothing(MissReason::Absent)), outage));
            }
        }
        check_key(key)?;
        let (entry, label) = match self.read_one(key, started).await {
            Ok(read) => read,
            Err(error) if self.is_miss(&error) => {
                self.counters().misses(MissReason::Unavailable).add(1);
                return Ok((Found::Nothing(MissReason::Unavailable), Some(error)));
            }
            Err(error) => return Err(error),
        };
        let found = self.find_in(key, entry, accept, label.as_ref());
        if let Found::Depending(_) = found {
            return Box::pin(self.resolve_counted(found, accept, *started)).await;
        }
        self.count_one(CountsAs::of(&found));
        Ok((found, None))
    }

    /// Finds and counts what is held near at `key` and may be served without a question.
    pub(crate) fn find_near<V: Value>(&self, key: &str, accept: Accept) -> Option<Found<V>> {
        self.served_near(self.look_near(key), accept).ok()
    }

    /// Counts what a look has found near, if it may be served without a question; else gives it back.
    #[inline]
    fn served_near<V>(&self, looked: Looked<V>, accept: Accept) -> Result<Found<V>, Looked<V>> {
        let (found, counts_as) = match looked {
            Looked::Hit(value, until) => (Found::Fresh(value, left(until)), CountsAs::NearHit),
            Looked::Unverified(value, until) => {
                (Found::Fresh(value, left(until)), CountsAs::NearUnverifiedHit)
            }
            absent @ (Looked::Absent | Looked::UnverifiedAbsent) => {
                (accept.absence(), CountsAs::absence(&absent, accept))
            }
            other @ (Looked::Doubted | Looked::Depending(_) | Looked::Nothing) => {
                return Err(other);
            }
        };
        self.count_one(counts_as);
        Ok(found)
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
            let (mut found, outage, tally) = self.find_uncounted(&[key], accept, started).await?;
            let found = found.pop().unwrap_or(Found::Nothing(MissReason::Absent));
            let counts_as = tally.of_one(&found);
            return Ok(FoundOne { found, outage, counts_as });
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
    ) -> Result<(Found<V>, Option<Error>)> {
        self.resolve_counted(self.find_in(key, entry, accept, None), accept, started).await
    }

    /// Asks for the dependencies of what was found, and counts a hit or a miss.
    async fn resolve_counted<V: Value>(
        &self,
        found: Found<V>,
        accept: Accept,
        started: Started,
    ) -> Result<(Found<V>, Option<Error>)> {
        let one = self.resolve_one(found, accept, started).await?;
        self.count_one(one.counts_as);
        Ok((one.found, one.outage))
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
