//! The counts of hits and misses.

use super::many::Lookup;
use crate::engine::Context;
use crate::engine::depends::Resolved;
use crate::engine::found::{CountsAs, Found, NearAbsence, Tally};
use crate::error::{Error, Result};
use crate::stats::MissReason;

impl Context {
    /// Counts hits and misses. An outage is an error if the policy does not turn it into a miss.
    pub(in crate::engine) fn counted<V>(
        &self,
        lookup: Lookup<V>,
        resolved: Resolved,
    ) -> Result<(Vec<Found<V>>, Option<Error>, Tally)> {
        let (found, outage, tally) = self.tally(lookup, resolved)?;
        self.count(&found, &tally);
        Ok((found, outage, tally))
    }

    /// As [`counted`](Self::counted), but leaves the counting to the caller.
    pub(super) fn tally<V>(
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

    pub(super) fn count<V>(&self, found: &[Found<V>], tally: &Tally) {
        let &Tally { near, near_absences, unverified, hits, absent } = tally;
        self.tell_reads(found.len(), tally);
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
        self.tell_read(counts_as);
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
}
