//! Cases about the reasons of misses.

use std::convert::Infallible;

use super::super::Harness;
use super::super::fixture::SHORT;
use super::super::gate::cache;
use crate::explain::ReadOutcome;
use crate::handle::RegionHandle;
use crate::region::{Region, RegionExt, SetOptions};
use crate::stats::{MissReason, Stats};

/// The ways to end a value.
#[derive(Clone, Copy, Debug)]
enum End {
    InvalidateAround,
    ExpireAround,
    Invalidate,
    Touch,
    Remove,
    Lifetime,
}

impl End {
    const ALL: [Self; 6] = [
        Self::InvalidateAround,
        Self::ExpireAround,
        Self::Invalidate,
        Self::Touch,
        Self::Remove,
        Self::Lifetime,
    ];

    /// The reason of a miss after it, if the store still has the entry and says so.
    fn reason(self) -> MissReason {
        match self {
            Self::Remove => MissReason::Absent,
            Self::Lifetime => MissReason::Expired,
            _ => MissReason::Fenced,
        }
    }
}

/// An ended value counts as one miss, for a reason that its end explains: a store need not know that anything
/// was there. An explanation gives the same reason, and asking if there is a value counts nothing.
pub async fn a_miss_has_one_reason<H: Harness>(harness: &H) {
    let store = harness.store().await;
    let cache = cache(harness, harness.client(&store).await);
    let (around, region) = (cache.region("a").unwrap(), cache.region("a.b").unwrap());
    for end in End::ALL {
        region.set_with("k", &1u32, SetOptions::new().ttl(SHORT)).await.unwrap();
        match end {
            End::InvalidateAround => around.invalidate().await.unwrap(),
            End::ExpireAround => around.expire().await.unwrap(),
            End::Invalidate => region.invalidate().await.unwrap(),
            End::Touch => region.touch().await.unwrap(),
            End::Remove => drop(region.remove("k").await.unwrap()),
            End::Lifetime => harness.advance(&store, SHORT).await,
        }
        assert_reason(&region, end).await;
    }
}

async fn assert_reason(region: &RegionHandle, end: End) {
    let start = region.stats();
    let explanation = region.explain::<u32>("k").await.unwrap();
    assert!(!region.contains("k").await.unwrap(), "{end:?}");
    assert_eq!(region.stats().misses, start.misses, "{end:?}");
    assert_eq!(region.get::<u32>("k").await.unwrap(), None, "{end:?}");
    let mut counted = vec![missed(&start, &region.stats())];
    let before = region.stats();
    assert_eq!(region.get_many::<u32>(&["k"]).await.unwrap(), [None], "{end:?}");
    counted.push(missed(&before, &region.stats()));
    let before = region.stats();
    let load = || async { Ok::<_, Infallible>(2u32) };
    assert_eq!(*region.get_or_compute("k", load).await.unwrap(), 2, "{end:?}");
    counted.push(missed(&before, &region.stats()));

    // Once the store has freed the entry, no read knows of it.
    let ReadOutcome::Miss(explained) = explanation.outcome else { panic!("{explanation}") };
    let mut possible = vec![explained];
    for reason in counted {
        let is_possible = reason == explained || reason == MissReason::Absent;
        assert!(
            is_possible && [MissReason::Absent, end.reason()].contains(&reason),
            "{end:?}: {reason:?}"
        );
        possible.push(reason);
    }
    assert!(possible.is_sorted_by_key(|reason| *reason == MissReason::Absent), "{possible:?}");
}

/// The reason of the only miss in between.
fn missed(before: &Stats, after: &Stats) -> MissReason {
    let reads = |stats: &Stats| stats.hits + stats.absent_hits + stats.misses;
    assert_eq!((reads(after), after.misses), (reads(before) + 1, before.misses + 1));
    let counts = |stats: &Stats| [stats.absent_misses, stats.expired_misses, stats.fenced_misses];
    let raised =
        counts(after).into_iter().zip(counts(before)).map(|(after, before)| after - before);
    match raised.collect::<Vec<_>>()[..] {
        [1, 0, 0] => MissReason::Absent,
        [0, 1, 0] => MissReason::Expired,
        [0, 0, 1] => MissReason::Fenced,
        ref other => panic!("another reason, or several: {other:?}"),
    }
}
