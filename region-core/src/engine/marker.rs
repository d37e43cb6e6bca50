//! Markers: the entry of a region that the values of other regions hang on.
//!
//! A marker holds a random id. A load reads it before it begins, and its value is valid while the
//! region's marker has that id. `invalidate` and `touch` drop the marker as they drop every entry, and
//! `expire` makes it stale; a marker that is lost takes all that hangs on it along. No id is ever
//! written again but by a write which shows that the marker has been there all the time: a guard is not
//! enough, for the store may lose the marker and keep the lease.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};

use super::{Accept, Context, Found, Started};
use crate::error::{Error, Result};
use crate::lifetime::{Lifetime, MAX_LIFETIME};
use crate::path::{MARKER_KEY, RegionPath};
use crate::policy::{Policy, ResolvedPolicy};
use crate::stats::MissReason;
use crate::store::Put;
use crate::value::codec::Codec;
use crate::value::serializer::{AnySerializer, Postcard};

/// The version of the marker's meaning.
const VERSION: u32 = 1;

/// A marker lives longer than what hangs on it by at least this, so that few loads have to extend it.
const MARGIN: Duration = Duration::from_secs(60 * 60);

/// The most markers that one call asks for at the same time.
const AT_ONCE: usize = 256;

/// The markers of some regions, as one call has found them.
pub(crate) type Markers = HashMap<RegionPath, Found<Marker>>;

/// The marker of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    pub(crate) id: u64,
    /// The lifetime that it was put with, in milliseconds; `None`: no limit.
    fresh_ms: Option<u64>,
    /// The time for which it is stale after that, in milliseconds.
    stale_ms: u64,
    previous: Option<Previous>,
}

/// The marker that had expired when another took its place. What hangs on it is stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Previous {
    id: u64,
    /// The time since it had expired, in milliseconds.
    expired_ms: u64,
}

/// The state of a dependency, by the marker that the region has now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing has ended; the marker lives this long.
    Holds(Lifetime),
    /// The region has expired this long ago.
    Expired(Duration),
    Ended,
}

/// The times for which a marker has to live for the sake of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    fresh: Lifetime,
    stale: Duration,
}

impl Need {
    pub(crate) fn of(policy: &ResolvedPolicy) -> Self {
        let stale = policy.stale_for;
        let fresh = match policy.ttl.duration() {
            Some(ttl) => limited(ttl.saturating_add(stale)),
            // The age of a marker without a limit cannot be told, and stale values need it.
            None if stale > Duration::ZERO => limited(MAX_LIFETIME / 4),
            None => Lifetime::Unlimited,
        };
        Self { fresh, stale }
    }

    /// Returns true if a marker that is fresh for `left` lives long enough.
    pub(crate) fn is_met(self, marker: &Marker, left: Lifetime) -> bool {
        self.fresh.shorter(left) == self.fresh && marker.stale() >= self.stale
    }
}

impl Marker {
    /// A new marker for a region that has none.
    pub(crate) fn new(id: u64, need: Need) -> Self {
        let fresh_ms = need.fresh.duration().map(|fresh| millis(with_margin(fresh)));
        Self { id, fresh_ms, stale_ms: millis(need.stale.saturating_mul(2)), previous: None }
    }

    /// The same marker with a life that is long enough. Only for a write in the place of this one: anything
    /// that ended it meanwhile would be undone.
    pub(crate) fn extended(&self, need: Need, left: Lifetime) -> Self {
        let need = Need { stale: need.stale.max(self.stale() / 2), ..need };
        let previous = self.previous.and_then(|previous| {
            let expired = previous.expired_ms.checked_add(millis(self.age(left)?))?;
            Some(Previous { expired_ms: expired, ..previous })
        });
        Self { previous, ..Self::new(self.id, need) }
    }

    /// A marker in the place of this one, which has expired and stays stale for `left`. Only for a write that shows
    /// that this one was there until then.
    pub(crate) fn replaced(&self, id: u64, need: Need, left: Lifetime) -> Self {
        let need = Need { stale: need.stale.max(self.stale() / 2), ..need };
        let expired = self.expired(left).map(millis);
        let previous = expired.map(|expired_ms| Previous { id: self.id, expired_ms });
        Self { previous, ..Self::new(id, need) }
    }

    fn stale(&self) -> Duration {
        Duration::from_millis(self.stale_ms)
    }

    /// The time since it was put, if it is fresh for `left`.
    fn age(&self, left: Lifetime) -> Option<Duration> {
        Some(Duration::from_millis(self.fresh_ms?).saturating_sub(left.duration()?))
    }

    /// The time since it expired, if it is stale for `left`.
    fn expired(&self, left: Lifetime) -> Option<Duration> {
        Some(self.stale().saturating_sub(left.duration()?))
    }

    /// The put that stores it as `bytes`.
    pub(crate) fn put(&self, bytes: bytes::Bytes) -> Put<'static> {
        let fresh = self.fresh_ms.map(Duration::from_millis).map_or(Lifetime::Unlimited, limited);
        Put::new(MARKER_KEY, bytes).fresh_for(fresh).stale_for(self.stale())
    }

    /// Returns true if what hangs on `id` is stale, not gone.
    pub(super) fn follows(&self, id: u64) -> bool {
        self.previous.is_some_and(|previous| previous.id == id)
    }
}

impl Found<Marker> {
    /// The state of what hangs on the marker `id`.
    pub(super) fn standing(&self, id: u64) -> Standing {
        let expired = match self {
            Self::Fresh(marker, times) if marker.id == id => return Standing::Holds(times.left),
            Self::Fresh(marker, times) => {
                let previous = marker.previous.filter(|previous| previous.id == id);
                previous.zip(marker.age(times.left)).map(|(previous, age)| {
                    age.saturating_add(Duration::from_millis(previous.expired_ms))
                })
            }
            Self::Stale(marker, times) if marker.id == id => marker.expired(times.left),
            _ => None,
        };
        expired.map_or(Standing::Ended, Standing::Expired)
    }
}

impl Context {
    /// The context of the marker of `region`, read as this region is.
    pub(crate) fn of_marker(&self, region: &RegionPath) -> Result<Arc<Self>> {
        let policy = Policy::new().serializer(Postcard).version(VERSION).within(&self.given);
        Self::new(Arc::clone(&self.engine), region.clone(), policy).map(Arc::new)
    }

    /// Reads the markers of `regions`, all at the same time; after an `outage` that the call has met, only
    /// near. Also returns the outage that the policy turns into misses.
    pub(crate) async fn markers<'a>(
        &self,
        regions: impl IntoIterator<Item = &'a RegionPath>,
        met: Option<&Error>,
        mut started: Started,
    ) -> Result<(Markers, Option<Error>)> {
        // In an order that does not hang on the hasher: it is that of the calls to the store.
        let regions: BTreeSet<RegionPath> = regions.into_iter().cloned().collect();
        let contexts = regions.iter().map(|region| self.of_marker(region));
        let contexts = contexts.collect::<Result<Vec<_>>>()?;
        // The later reads of many wait for the earlier ones.
        started.note();
        let read = |context| read_marker(context, met.cloned(), started);
        let reads = contexts.into_iter().map(read);
        let mut reads = stream::iter(reads).buffer_unordered(AT_ONCE);
        let (mut markers, mut outage) = (Markers::with_capacity(regions.len()), None);
        while let Some(read) = reads.next().await {
            let (region, found, failed) = read?;
            markers.insert(region, found);
            outage = outage.or(failed);
        }
        Ok((markers, outage))
    }
}

/// The identity of the codec of markers, as [`Codec::identity`].
pub(super) fn codec_identity(region: &RegionPath) -> u64 {
    codec(region).identity()
}

/// The codec of the marker of `region`.
pub(super) fn codec(region: &RegionPath) -> Codec {
    Codec::new(region, AnySerializer::new(Postcard), VERSION)
}

async fn read_marker(
    context: Arc<Context>,
    met: Option<Error>,
    mut started: Started,
) -> Result<(RegionPath, Found<Marker>, Option<Error>)> {
    let keys = [MARKER_KEY];
    let mut lookup = match met {
        Some(outage) => context.look_up_near(&keys, Accept::FreshOrStale, outage),
        None => context.look_up(&keys, Accept::FreshOrStale, &mut started).await?,
    };
    let found = lookup.found.pop().unwrap_or(Found::Nothing(MissReason::Absent));
    match lookup.outage {
        Some(error) if matches!(found, Found::Nothing(_)) && !context.is_miss(&error) => Err(error),
        outage => Ok((context.path().clone(), found, outage)),
    }
}

fn with_margin(need: Duration) -> Duration {
    need.saturating_mul(2).max(need.saturating_add(MARGIN)).min(MAX_LIFETIME)
}

fn limited(duration: Duration) -> Lifetime {
    Lifetime::of(duration.min(MAX_LIFETIME)).unwrap_or_default()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Times;

    const SECOND: Duration = Duration::from_secs(1);

    fn need(ttl: Option<u32>, stale: u32) -> Need {
        let policy = Policy::new().stale_for(SECOND * stale);
        let policy = ttl.map_or(policy.clone(), |ttl| policy.ttl(SECOND * ttl));
        Need::of(&ResolvedPolicy::new(&policy).unwrap())
    }

    fn seconds(seconds: u32) -> Lifetime {
        limited(SECOND * seconds)
    }

    #[test]
    fn a_marker_outlives_what_hangs_on_it() {
        for need in [need(Some(1), 0), need(Some(100_000), 60), need(None, 60), need(None, 0)] {
            let marker = Marker::new(1, need);
            let left = marker.put(bytes::Bytes::new()).fresh_for;
            assert!(need.is_met(&marker, left), "{need:?} {marker:?}");
        }
        let marker = Marker::new(1, need(Some(1), 1));
        assert!(need(Some(1), 1).is_met(&marker, seconds(2)));
        assert!(!need(Some(1), 1).is_met(&marker, seconds(1)));
        assert!(!need(Some(1), 3).is_met(&marker, seconds(60)), "not stale for long enough");
        assert!(!need(None, 0).is_met(&marker, seconds(60)));
    }

    #[test]
    fn the_marker_tells_what_became_of_a_dependency() {
        let need = need(Some(10), 30);
        let first = Marker::new(1, need);
        let found = |marker, left| Found::Fresh(Arc::new(marker), Times::of(left));
        let stale = |marker, left| Found::Stale(Arc::new(marker), Times::of(seconds(left)));
        assert_eq!(found(first, seconds(9)).standing(1), Standing::Holds(seconds(9)));
        assert_eq!(found(first, seconds(9)).standing(2), Standing::Ended);
        assert_eq!(stale(first, 50).standing(1), Standing::Expired(10 * SECOND));
        assert_eq!(stale(first, 50).standing(2), Standing::Ended);
        assert_eq!(Found::<Marker>::Nothing(MissReason::Absent).standing(1), Standing::Ended);

        // Replaced ten seconds after it expired, and looked at five seconds later.
        let second = first.replaced(2, need, seconds(50));
        let left = limited(with_margin(need.fresh.duration().unwrap()) - 5 * SECOND);
        assert_eq!(found(second, left).standing(1), Standing::Expired(15 * SECOND));
        assert_eq!(found(second, left).standing(2), Standing::Holds(left));
        assert_eq!(stale(second, 60).standing(1), Standing::Ended);

        // Extended then, and looked at seven seconds later.
        let extended = second.extended(need, left);
        let left = limited(with_margin(need.fresh.duration().unwrap()) - 7 * SECOND);
        assert_eq!(found(extended, left).standing(1), Standing::Expired(22 * SECOND));
        assert_eq!(found(extended, left).standing(2), Standing::Holds(left));
    }
}
