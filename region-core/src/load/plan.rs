//! The decisions of a load's task, without side effects.

use std::time::Duration;

use crate::lifetime::Lifetime;
use crate::policy::OnStale;

/// The entry that the store showed together with its answer about the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Fresh,
    /// Fresh, but to be refreshed early.
    Due,
    Stale,
    Nothing,
}

/// The holder of a key's lease, as the store's answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// This task.
    Us,
    /// Nobody: the store did not grant the lease because it showed a fresh entry.
    Nobody,
    /// The flight that this one comes after, under the lineage that the answer shows.
    Previous,
    /// Another load, here or in another process, for at most so long.
    Other { left: Duration },
}

/// The next step of a task for a flight, once the store has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Return the value that the store showed. The lease is not ours.
    Return,
    /// Return the value and release the lease, which is not needed.
    ReturnAndRelease,
    /// Return the stale value: another load brings the next one.
    ReturnStale,
    /// Load under the lease.
    Load,
    /// Take the result of the previous flight.
    Follow,
    /// Ask again, for the lease whatever entry there is: the one that is there cannot be read.
    InsistOnLease,
    /// Wait for the other load, but not longer than its lease lasts; then ask again.
    WaitAtMost(Duration),
}

/// Decides by the entry that can be read and the holder of the lease.
pub(super) fn decide(shown: Shown, holder: Holder) -> Step {
    match (shown, holder) {
        (Shown::Fresh, Holder::Us) => Step::ReturnAndRelease,
        (Shown::Fresh, _) => Step::Return,
        // Another load refreshes it.
        (Shown::Due, Holder::Previous | Holder::Other { .. }) => Step::Return,
        (_, Holder::Us) => Step::Load,
        (_, Holder::Nobody) => Step::InsistOnLease,
        (_, Holder::Previous) => Step::Follow,
        (Shown::Stale, Holder::Other { .. }) => Step::ReturnStale,
        (Shown::Nothing, Holder::Other { left }) => Step::WaitAtMost(left),
    }
}

/// The use that a call makes of a stale value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UseOfStale {
    /// Return it at once: its load has failed, and is not to be tried again yet.
    Return,
    /// Return it at once, and leave the load to the background.
    ReturnAndRefresh,
    /// Return it at once if another call loads. Else wait for the load, and return the value after the soft
    /// timeout or if the load fails.
    LoadUnlessUnderWay,
}

/// Decides by the policy, and by a load of the key that failed lately.
pub(super) fn use_stale(failed_lately: bool, on_stale: OnStale) -> UseOfStale {
    match (failed_lately, on_stale) {
        (true, _) => UseOfStale::Return,
        (false, OnStale::Refresh) => UseOfStale::ReturnAndRefresh,
        (false, OnStale::Wait) => UseOfStale::LoadUnlessUnderWay,
    }
}

/// The part of an entry's ttl for which it is not refreshed early again. Where a refresh does not
/// prolong its life, because the region's own TTL ends it, each read would else refresh it.
const LONGEST_PAUSE: f64 = 0.5;

/// The settings of early refreshes, and the measured time of a load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Early {
    pub(super) ttl: Lifetime,
    /// The share of the ttl after which an entry is refreshed.
    pub(super) at: f64,
    /// The weight of XFetch.
    pub(super) beta: f64,
    pub(super) load_time: Option<Duration>,
}

impl Early {
    /// The time before its end from which on an entry is refreshed, for a random number greater than
    /// zero and at most one.
    pub(super) fn lead(self, random: impl FnOnce() -> f64) -> Duration {
        let by_share = self.ttl.duration().map(|ttl| ttl.mul_f64(1.0 - self.at));
        let by_chance = self.load_time.filter(|_| self.beta > 0.0).map(|time| {
            // The distribution of XFetch: "Optimal Probabilistic Cache Stampede Prevention", 2015.
            Duration::try_from_secs_f64(time.as_secs_f64() * self.beta * -random().ln())
                .unwrap_or(Duration::MAX)
        });
        by_share.max(by_chance).unwrap_or_default()
    }

    /// The time for which an entry that was stored with `ttl` is not refreshed early.
    pub(super) fn pause(self, ttl: Lifetime) -> Duration {
        ttl.duration().map_or(Duration::ZERO, |ttl| ttl.mul_f64(self.at.min(LONGEST_PAUSE)))
    }
}

/// Returns true if an entry with so much time left is to be refreshed.
pub(super) fn is_due(left: Lifetime, lead: Duration) -> bool {
    lead > Duration::ZERO && left.duration().is_some_and(|left| left <= lead)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn early(at: f64, beta: f64, load_time: Option<Duration>) -> Early {
        Early { ttl: Lifetime::of(100 * SECOND).unwrap(), at, beta, load_time }
    }

    #[test]
    fn every_use_of_a_stale_value() {
        for on_stale in [OnStale::Wait, OnStale::Refresh] {
            assert_eq!(use_stale(true, on_stale), UseOfStale::Return);
        }
        assert_eq!(use_stale(false, OnStale::Wait), UseOfStale::LoadUnlessUnderWay);
        assert_eq!(use_stale(false, OnStale::Refresh), UseOfStale::ReturnAndRefresh);
    }

    #[test]
    fn the_lead_is_the_greater_of_both() {
        let load = Some(2 * SECOND);
        let (e, far) = ((-1.0f64).exp(), (-50.0f64).exp());
        let table = [
            (early(1.0, 0.0, load), e, Duration::ZERO),
            (early(0.8, 0.0, load), e, 20 * SECOND),
            (early(1.0, 1.0, None), e, Duration::ZERO),
            (early(1.0, 1.0, load), 1.0, Duration::ZERO),
            (early(1.0, 1.0, load), e, 2 * SECOND),
            (early(1.0, 0.5, load), e, SECOND),
            (early(0.8, 1.0, load), e, 20 * SECOND),
            (early(0.8, 1.0, load), far, 100 * SECOND),
        ];
        for (early, random, lead) in table {
            let off = early.lead(|| random).abs_diff(lead);
            assert!(off < SECOND / 1000, "{early:?} {random}: {off:?} off {lead:?}");
        }
        let unlimited = Early { ttl: Lifetime::Unlimited, ..early(0.5, 0.0, load) };
        assert_eq!(unlimited.lead(|| e), Duration::ZERO);
        assert_eq!(early(1.0, 1e300, Some(Duration::MAX)).lead(|| far), Duration::MAX);
    }

    #[test]
    fn due_is_what_ends_within_the_lead() {
        let left = |millis| Lifetime::of(Duration::from_millis(millis)).unwrap();
        assert!(is_due(left(1000), SECOND) && !is_due(left(1001), SECOND));
        assert!(!is_due(left(1), Duration::ZERO) && !is_due(Lifetime::Unlimited, SECOND));
    }

    #[test]
    fn the_pause_never_outlasts_the_time_until_the_share() {
        let ttl = Lifetime::of(10 * SECOND).unwrap();
        assert_eq!(early(0.1, 0.0, None).pause(ttl), SECOND);
        assert_eq!(early(0.8, 0.0, None).pause(ttl), 5 * SECOND);
        assert_eq!(early(0.8, 0.0, None).pause(Lifetime::Unlimited), Duration::ZERO);
    }

    const LEFT: Duration = Duration::from_secs(3);

    #[test]
    fn every_answer_has_its_step() {
        let other = Holder::Other { left: LEFT };
        let table = [
            (Shown::Fresh, Holder::Us, Step::ReturnAndRelease),
            (Shown::Fresh, Holder::Nobody, Step::Return),
            (Shown::Fresh, Holder::Previous, Step::Return),
            (Shown::Fresh, other, Step::Return),
            (Shown::Due, Holder::Us, Step::Load),
            (Shown::Due, Holder::Nobody, Step::InsistOnLease),
            (Shown::Due, Holder::Previous, Step::Return),
            (Shown::Due, other, Step::Return),
            (Shown::Stale, Holder::Us, Step::Load),
            (Shown::Stale, Holder::Nobody, Step::InsistOnLease),
            (Shown::Stale, Holder::Previous, Step::Follow),
            (Shown::Stale, other, Step::ReturnStale),
            (Shown::Nothing, Holder::Us, Step::Load),
            (Shown::Nothing, Holder::Nobody, Step::InsistOnLease),
            (Shown::Nothing, Holder::Previous, Step::Follow),
            (Shown::Nothing, other, Step::WaitAtMost(LEFT)),
        ];
        for (shown, holder, step) in table {
            assert_eq!(decide(shown, holder), step, "{shown:?}, {holder:?}");
        }
    }
}
