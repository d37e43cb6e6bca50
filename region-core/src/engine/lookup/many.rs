//! Lookups of several keys: near first, then in the store, all values of one moment.

use super::{Fetched, times};
use crate::engine::found::{Accept, Found, Tally};
use crate::engine::near::{LookedMany, Moment, is_one};
use crate::engine::{Context, Looked, Started};
use crate::error::{Error, Result};
use crate::path::check_key;
use crate::stats::MissReason;
use crate::store::{Entry, Read};
use crate::value::serializer::Value;

/// The values at several keys.
pub(in crate::engine) struct Lookup<V> {
    pub(in crate::engine) found: Vec<Found<V>>,
    /// The number of values that were held near.
    pub(super) near: usize,
    /// The number of records, held near, that there is no value.
    pub(super) near_absences: usize,
    /// The number of both that were neither trusted nor verified.
    pub(super) unverified: usize,
    pub(in crate::engine) outage: Option<Error>,
}

/// Values that were read from the store in one step, the moment of that, and the outage if there was one.
struct Stored<V> {
    found: Vec<Found<V>>,
    moment: Option<Moment>,
    outage: Option<Error>,
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
                Looked::Hit(value, near) | Looked::Unverified(value, near) => {
                    Found::Fresh(value, times(near))
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
    pub(super) async fn find_uncounted<V: Value>(
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

    /// Looks in the near cache first, verifies what is in doubt there, and reads the rest from the store.
    /// The keys were checked. What is found depends on other regions perhaps, and is not counted.
    ///
    /// No reader sees one half of a write: if the region has changed in between, all is read from the store.
    pub(in crate::engine) async fn look_up<V: Value>(
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
    pub(in crate::engine) fn look_up_near<V: Value>(
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

    /// Reads the values at `keys` from the store, in one step.
    async fn find_stored<V: Value>(
        &self,
        keys: &[&str],
        accept: Accept,
        started: &mut Started,
    ) -> Result<Stored<V>> {
        let (mut read, label, outage) = match self.fetch_or_outage(keys, started).await? {
            Fetched::Read(read, label) => (read, label, None),
            Fetched::Outage(error) => (Read::nothing(keys.len()), None, Some(error)),
        };
        let entries = std::mem::take(&mut read.entries).into_iter().enumerate();
        let of_key = |(key, (at, entry)): (&&str, (usize, Option<Entry>))| {
            let entry = entry.ok_or_else(|| read.miss_reason(at));
            self.find_in(key, entry, accept, label.as_ref())
        };
        let found = keys.iter().zip(entries).map(of_key).collect();
        Ok(Stored { found, moment: label.map(|label| label.moment()), outage })
    }
}
