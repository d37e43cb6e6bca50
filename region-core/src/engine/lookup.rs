//! Lookups: fetch entries from the store, decode them, and count hits and misses.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::depends::{Depending, Resolved};
use super::found::{Accept, CountsAs, Found, FoundOne, NearAbsence, Tally};
use super::near::{Label, LookedMany, Moment, is_one};
use super::{Context, Looked, Started};
use crate::error::{Error, Result};
use crate::lifetime::Lifetime;
use crate::path::check_key;
use crate::stats::MissReason;
use crate::store::{Entry, Freshness};
use crate::value::codec::Decoded;
use crate::value::envelope::BadBytes;
use crate::value::serializer::Value;

/// The shortest time that can be left of something.
const SHORTEST: Duration = Duration::from_millis(1);

/// The entries of a read, with the moment that the near cache knows them by, or the outage that the policy turns into misses.
pub(crate) enum Fetched {
    Entries(Vec<Option<Entry>>, Option<Label>),
    Outage(Error),
}

/// Values that were read from the store in one step, the moment of that, and the outage if there was one.
struct Stored<V> {
    found: Vec<Found<V>>,
    moment: Option<Moment>,
    outage: Option<Error>,
}

/// The values at several keys.
pub(super) struct Lookup<V> {
    pub(super) found: Vec<Found<V>>,
    /// The number of values that were held near.
    near: usize,
    /// The number of records, held near, that there is no value.
    near_absences: usize,
    /// The number of both that were neither trusted nor verified.
    unverified: usize,
    pub(super) outage: Option<Error>,
}

impl<V> Lookup<V> {
    /// The values that were held near; `stored` gives the others.
    fn new(near: LookedMany<V>, accept: Accept, mut stored: impl FnMut() -> Found<V>) -> Self {
        let mut lookup = Self::stored(Vec::with_capacity(near.looked.len()));
        for looked in near.looked {
            lookup.unverified += usize::from(looked.is_unverified());
            lookup.near_absences += usize::from(looked.is_absence());
            lookup.near += usize::from(!looked.is_missing() && !looked.is_absence());
            lookup.found.push(match looked {
                Looked::Hit(value, until) | Looked::Unverified(value, until) => {
                    Found::Fresh(value, left(until))
                }
                Looked::Absent | Looked::UnverifiedAbsent => accept.absence(),
                Looked::Depending(depending) => Found::Depending(depending),
                Looked::Doubted | Looked::Nothing => stored(),
            });
        }
        lookup
    }

    fn stored(found: Vec<Found<V>>) -> Self {
        Self { found, near: 0, near_absences: 0, unverified: 0, outage: None }
    }
}

impl Context {
    /// Reads the entries at `keys`, which were checked, as a part of an operation that began at `started`.
    pub(crate) async fn fetch(&self, keys: &[&str], started: &mut Started) -> Result<Fetched> {
        match self.fetch_or_outage(keys, started).await? {
            Fetched::Outage(error) if !self.is_miss(&error) => Err(error),
            fetched => Ok(fetched),
        }
    }

    /// Does the same, and leaves it to the caller what becomes of an outage.
    async fn fetch_or_outage(&self, keys: &[&str], started: &mut Started) -> Result<Fetched> {
        match self.read_near(keys, started).await {
            Ok((read, label)) => Ok(Fetched::Entries(read.entries, label)),
            Err(error) if error.is_outage() => Ok(Fetched::Outage(error)),
            Err(error) => Err(error),
        }
    }

    /// Looks up the values at `keys`, in the order of the keys, and counts hits and misses. Returns the outage
    /// too, if there was one. All calls share the limit of an operation that began at `started`.
    pub(crate) async fn find_many<V: Value>(
        &self,
        keys: &[&str],
        accept: Accept,
        started: Started,
    ) -> Result<(Vec<Found<V>>, Option<Error>)> {
        keys.iter().try_for_each(|key| check_key(key))?;
        let (found, outage, tally) = self.find_uncounted(keys, accept, started).await?;
        self.count(&found, &tally);
        Ok((found, outage))
    }

    /// As [`find_many`](Self::find_many), and returns the counts.
    async fn find_uncounted<V: Value>(
        &self,
        keys: &[&str],
        accept: Accept,
        mut started: Started,
    ) -> Result<(Vec<Found<V>>, Option<Error>, Tally)> {
        let mut lookup = self.look_up(keys, accept, &mut started).await?;
        let outage = lookup.outage.as_ref();
        let resolved = self.resolve_all(&mut lookup.found, accept, outage, started).await?;
        self.tally(lookup, resolved)
    }

    /// Counts hits and misses. An outage is an error if the policy does not turn it into a miss.
    pub(super) fn counted<V>(
        &self,
        lookup: Lookup<V>,
        resolved: Resolved,
    ) -> Result<(Vec<Found<V>>, Option<Error>)> {
        let (found, outage, tally) = self.tally(lookup, resolved)?;
        self.count(&found, &tally);
        Ok((found, outage))
    }

    /// As [`counted`](Self::counted), but returns the counts.
    fn tally<V>(
        &self,
        lookup: Lookup<V>,
        resolved: Resolved,
    ) -> Result<(Vec<Found<V>>, Option<Error>, Tally)> {
        let Lookup { found, near, near_absences, unverified, outage } = lookup;
        let near = near - resolved.near_lost;
        let near_absences = near_absences - resolved.absences_lost;
        let unverified = unverified - resolved.unverified_lost;
        let hits = found.iter().filter(|found| matches!(found, Found::Fresh(..))).count();
        let absent = found.iter().filter(|found| matches!(found, Found::Absent)).count();
        // That there is no value is not for want of the store: it was held near.
        let is_lacking = |found: &Found<V>| matches!(found, Found::Nothing(reason) if *reason != MissReason::Absent);
        if let Some(error) = &outage
            && found.iter().any(is_lacking)
            && !self.is_miss(error)
        {
            return Err(error.clone());
        }
        let tally = Tally { near, near_absences, unverified, hits, absent };
        Ok((found, outage.or(resolved.outage), tally))
    }

    fn count<V>(&self, found: &[Found<V>], tally: &Tally) {
        let &Tally { near, near_absences, unverified, hits, absent } = tally;
        self.counters().near_hits.add(near);
        self.counters().near_absences.add(near_absences);
        self.counters().near_unverified_hits.add(unverified);
        self.counters().store_hits.add(hits - near);
        self.counters().absent_hits.add(absent);
        if hits + absent < found.len() {
            for reason in MissReason::ALL {
                let misses = found.iter().filter(|found| found.miss_reason() == Some(*reason));
                self.counters().misses(*reason).add(misses.count());
            }
        }
    }

    /// Counts a lookup of one key.
    #[inline]
    pub(crate) fn count_one(&self, counts_as: CountsAs) {
        match counts_as {
            CountsAs::NearHit => self.counters().near_hits.add(1),
            CountsAs::NearUnverifiedHit => {
                self.counters().near_hits.add(1);
                self.counters().near_unverified_hits.add(1);
            }
            CountsAs::Hit => self.counters().store_hits.add(1),
            CountsAs::AbsentHit => self.counters().absent_hits.add(1),
            CountsAs::NearAbsence(absence) => self.count_near_absence(absence),
            CountsAs::Miss(reason) => self.counters().misses(reason).add(1),
        }
    }

    fn count_near_absence(&self, NearAbsence { is_hit, is_unverified }: NearAbsence) {
        let counters = self.counters();
        counters.near_absences.add(1);
        counters.near_unverified_hits.add(usize::from(is_unverified));
        match is_hit {
            true => counters.absent_hits.add(1),
            false => counters.misses(MissReason::Absent).add(1),
        }
    }

    /// Does the same as [`find_many`](Self::find_many) for one key, without allocating vectors unless a value
    /// has to be verified.
    pub(crate) async fn find<V: Value>(
        &self,
        key: &str,
        accept: Accept,
        started: &mut Started,
    ) -> Result<(Found<V>, Option<Error>)> {
        match self.look_near(key) {
            Looked::Nothing => {}
            Looked::Hit(value, until) => {
                self.count_one(CountsAs::NearHit);
                return Ok((Found::Fresh(value, left(until)), None));
            }
            Looked::Unverified(value, until) => {
                self.count_one(CountsAs::NearUnverifiedHit);
                return Ok((Found::Fresh(value, left(until)), None));
            }
            looked @ (Looked::Absent | Looked::UnverifiedAbsent) => {
                self.count_one(CountsAs::absence(&looked, accept));
                return Ok((accept.absence(), None));
            }
            Looked::Doubted | Looked::Depending(_) => {
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

    /// What is held near at `key` and may be served without a question. It is counted.
    pub(crate) fn find_near<V: Value>(&self, key: &str, accept: Accept) -> Option<Found<V>> {
        let (found, counts_as) = match self.look_near(key) {
            Looked::Hit(value, until) => (Found::Fresh(value, left(until)), CountsAs::NearHit),
            Looked::Unverified(value, until) => {
                (Found::Fresh(value, left(until)), CountsAs::NearUnverifiedHit)
            }
            looked @ (Looked::Absent | Looked::UnverifiedAbsent) => {
                (accept.absence(), CountsAs::absence(&looked, accept))
            }
            Looked::Doubted | Looked::Depending(_) | Looked::Nothing => return None,
        };
        self.count_one(counts_as);
        Some(found)
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

    /// Reads the values at `keys` from the store, in one step.
    async fn find_stored<V: Value>(
        &self,
        keys: &[&str],
        accept: Accept,
        started: &mut Started,
    ) -> Result<Stored<V>> {
        let (entries, label, outage) = match self.fetch_or_outage(keys, started).await? {
            Fetched::Entries(entries, label) => (entries, label, None),
            Fetched::Outage(error) => (vec![None; keys.len()], None, Some(error)),
        };
        let of_key = |(key, entry): (&&str, _)| self.find_in(key, entry, accept, label.as_ref());
        let found = keys.iter().zip(entries).map(of_key).collect();
        Ok(Stored { found, moment: label.map(|label| label.moment()), outage })
    }

    /// Looks in the near cache first, verifies what is in doubt there, and reads the rest from the store.
    /// The keys were checked. What is found depends on other regions perhaps, and is not counted.
    ///
    /// No reader sees one half of a write: if the region has changed in between, all is read from the store.
    pub(super) async fn look_up<V: Value>(
        &self,
        keys: &[&str],
        accept: Accept,
        started: &mut Started,
    ) -> Result<Lookup<V>> {
        let mut near = self.look_near_many::<V>(keys);
        match self.verify_near(keys, &mut near.looked, started).await {
            Ok(moment) => near.moments.extend(moment.map(Some)),
            Err(error) if error.is_outage() => {
                return Ok(self.in_outage(keys, accept, near, error));
            }
            Err(error) => return Err(error),
        }
        let missing = keys.iter().zip(&near.looked);
        let missing = missing.filter(|(_, looked)| looked.is_missing()).map(|(key, _)| *key);
        let missing: Vec<&str> = missing.collect();
        let mut stored = Vec::new().into_iter();
        if !missing.is_empty() {
            let read = self.find_stored(&missing, accept, started).await?;
            if let Some(error) = read.outage {
                return Ok(self.in_outage(keys, accept, near, error));
            }
            if missing.len() < keys.len() {
                near.moments.push(read.moment);
            }
            stored = read.found.into_iter();
        }
        if keys.len() > 1 && !is_one(&near.moments) {
            let read = self.find_stored(keys, accept, started).await?;
            return Ok(match read.outage {
                Some(error) => self.in_outage(keys, accept, near, error),
                None => Lookup::stored(read.found),
            });
        }
        let stored = || stored.next().unwrap_or(Found::Nothing(MissReason::Absent));
        Ok(Lookup::new(near, accept, stored))
    }

    /// As [`look_up`](Self::look_up), after an outage that the same call has met: the store is not asked.
    pub(super) fn look_up_near<V: Value>(
        &self,
        keys: &[&str],
        accept: Accept,
        outage: Error,
    ) -> Lookup<V> {
        self.in_outage(keys, accept, self.look_near_many(keys), outage)
    }

    /// Returns the values that the near cache still has when the store does not serve.
    fn in_outage<V: Value>(
        &self,
        keys: &[&str],
        accept: Accept,
        mut near: LookedMany<V>,
        outage: Error,
    ) -> Lookup<V> {
        self.look_in_outage(keys, &mut near);
        if accept == Accept::FreshOrStale {
            // Who would load a value meets the outage, whatever there is instead of one.
            let absences = near.looked.iter_mut().filter(|looked| looked.is_absence());
            absences.for_each(|looked| *looked = Looked::Nothing);
        }
        Lookup {
            outage: Some(outage),
            ..Lookup::new(near, accept, || Found::Nothing(MissReason::Unavailable))
        }
    }

    /// Decodes the entry that was found at `key`, asks for its dependencies, and counts a hit or a miss.
    /// Returns the outage too, if that was one.
    pub(crate) async fn find_counted<V: Value>(
        &self,
        key: &str,
        entry: Option<Entry>,
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

    /// Decodes the entry that was found at `key`, and keeps it near if it is fresh and the answer has a label.
    /// Its dependencies have to be asked for.
    pub(crate) fn find_in<V: Value>(
        &self,
        key: &str,
        entry: Option<Entry>,
        accept: Accept,
        label: Option<&Label>,
    ) -> Found<V> {
        let entry = match entry {
            None => return Found::Nothing(MissReason::Absent),
            Some(entry) if accept == Accept::Fresh && !entry.is_fresh() => {
                return Found::Nothing(MissReason::Expired);
            }
            Some(entry) => entry,
        };
        let Decoded { value, dependencies } = match self.codec.decode(key, &entry.bytes) {
            Ok(decoded) => decoded,
            Err(bad) => return Found::Nothing(self.bad_bytes(key, &bad)),
        };
        let value = value.map(Arc::new);
        if let Freshness::Fresh { left } = entry.freshness {
            let size = entry.bytes.len();
            self.keep_near(key, (size, left), value.as_ref(), dependencies.as_ref(), label);
        }
        let is_wanted = entry.is_fresh() && accept == Accept::FreshStaleOrAbsent;
        match (value, dependencies, entry.freshness) {
            (None, ..) if !is_wanted => Found::Nothing(MissReason::Absent),
            (value, Some(on), freshness) => Depending::new(value, freshness, on).into(),
            (None, None, _) => Found::Absent,
            (Some(value), None, Freshness::Fresh { left }) => Found::Fresh(value, left),
            (Some(value), None, Freshness::Stale { left }) => Found::Stale(value, left),
        }
    }

    /// Decodes `entry`, found at `key`. Returns `None` if its bytes are bad, which is counted and logged.
    pub(crate) fn decode_or_miss<V: Value>(&self, key: &str, entry: &Entry) -> Option<Decoded<V>> {
        let decoded = self.codec.decode(key, &entry.bytes);
        match decoded {
            Ok(decoded) => Some(decoded),
            Err(bad) => {
                self.bad_bytes(key, &bad);
                None
            }
        }
    }

    /// Counts and logs an entry that cannot be decoded. Returns the reason for which it is a miss.
    #[cold]
    fn bad_bytes(&self, key: &str, bad: &BadBytes) -> MissReason {
        self.counters().bad_bytes.add(1);
        if let Some(unlogged) = self.engine.limiter.allow(bad.reason(), Instant::now()) {
            let reason = bad.reason();
            tracing::warn!(region = %self.path, key, reason, %bad, unlogged, "undecodable entry");
        }
        miss_reason(bad)
    }

    /// Counts and logs that a load failed and its callers get a stale value.
    pub(crate) fn serving_stale(&self, key: &str, error: &Error) {
        self.counters().stale_hits.add(1);
        if let Some(unlogged) = self.engine.limiter.allow("stale", Instant::now()) {
            tracing::warn!(region = %self.path, key, %error, unlogged, "serving stale");
        }
    }

    /// Logs that a load in the background failed. Its callers got the stale value when it began.
    pub(crate) fn refresh_failed(&self, key: &str, error: &Error) {
        if let Some(unlogged) = self.engine.limiter.allow("refresh", Instant::now()) {
            tracing::warn!(region = %self.path, key, %error, unlogged, "a refresh failed");
        }
    }

    /// Counts and logs that the value of a load was not stored because the store refused it.
    pub(crate) fn not_stored(&self, key: &str, error: &Error) {
        self.counters().store_failures.add(1);
        if let Some(unlogged) = self.engine.limiter.allow("not stored", Instant::now()) {
            tracing::warn!(region = %self.path, key, %error, unlogged, "a load was not stored");
        }
    }
}

/// The reason for which these bytes are a miss.
pub(super) fn miss_reason(bad: &BadBytes) -> MissReason {
    match bad {
        BadBytes::Type | BadBytes::Serializer(_) => MissReason::OtherType,
        BadBytes::Absent => MissReason::Absent,
        _ => MissReason::BadBytes,
    }
}

/// The time left until `end`, which has not come; `None`: it never comes.
pub(super) fn left(end: Option<Instant>) -> Lifetime {
    let left = |end: Instant| end.saturating_duration_since(Instant::now()).max(SHORTEST);
    end.map_or(Lifetime::Unlimited, |end| Lifetime::of(left(end)).unwrap_or_default())
}
