//! Taking the marker of a region that a value will depend on.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::lease::Leases;
use crate::engine::{Accept, Context, Found, Marker, Need, Started};
use crate::error::Result;
use crate::lifetime::Lifetime;
use crate::path::MARKER_KEY;
use crate::stats::MissReason;
use crate::store::{
    BegunKey, Guard, Lease, LeaseTerms, LeaseToken, Op, OpOutcome, TakeLease, When, Write,
};

/// The time for which nobody else may replace a marker while one caller does.
const LEASE: Duration = Duration::from_secs(2);

/// The number of times that a caller tries to replace a marker, or to put one.
const ATTEMPTS: u32 = 6;

/// The first wait for another that replaces the marker; each is longer by as much.
const WAIT: Duration = Duration::from_millis(4);

/// The id of the marker of the region of `context`, which the store is known to hold: the caller's load
/// may begin. `seen` is what an earlier read of this call has found. `None`: there is none that is certain.
/// All calls to the store share the limit of an operation that began at `started`.
///
/// # Errors
/// The store's.
///
/// # Cancel safety
/// A marker may have been put that nothing hangs on.
pub(super) async fn take(
    context: &Arc<Context>,
    need: Need,
    seen: Option<&Found<Marker>>,
    mut started: Started,
) -> Result<Option<u64>> {
    match seen {
        Some(Found::Fresh(marker, times)) if need.is_met(marker, times.left) => {
            return Ok(Some(marker.id));
        }
        Some(Found::Nothing(_)) => return create(context, need, started).await,
        _ => {}
    }
    let random = &context.engine().random;
    let token = LeaseToken::from_bits(random.bits());
    let mut leases = Leases::new(context, token);
    let mut take = TakeLease::UnlessFresh;
    for attempt in 1..=ATTEMPTS {
        leases.asked([MARKER_KEY]);
        let terms = LeaseTerms::new(token, LEASE).take(take).started(started.note());
        let begun = context.begin(&[MARKER_KEY], terms).await?;
        let lineage = begun.lineage;
        let Some(BegunKey { entry, lease, .. }) = begun.keys.into_iter().next() else { break };
        if lease != Lease::Granted {
            leases.settled(MARKER_KEY);
        }
        let held = entry.as_ref().map(|entry| entry.bytes.clone());
        let entry = entry.ok_or(MissReason::Absent);
        let found = context.find_in::<Marker>(MARKER_KEY, entry, Accept::FreshOrStale, None);
        match &found {
            Found::Fresh(marker, times) if need.is_met(marker, times.left) => {
                return Ok(Some(marker.id));
            }
            // Another is at it; this one will do.
            Found::Fresh(marker, _) if matches!(lease, Lease::Held { .. }) => {
                return Ok(Some(marker.id));
            }
            _ => {}
        }
        match lease {
            Lease::Granted => {
                let guard = Guard::new(&lineage, &[MARKER_KEY], token);
                let putting =
                    Putting { context, need, guard: Some(guard), started: started.note() };
                let put = match (&found, held) {
                    (Found::Fresh(marker, times), Some(held)) => {
                        putting.instead(held, &marker.extended(need, times.left)).await?
                    }
                    (Found::Stale(marker, times), Some(held)) => {
                        putting.after_stale(held, marker, times.left).await?
                    }
                    _ => putting.new_one().await?,
                };
                if let Put::Done(id) = put {
                    leases.settled(MARKER_KEY);
                    return Ok(Some(id));
                }
            }
            Lease::NotTaken => take = TakeLease::Always,
            Lease::Held { .. } => {
                tokio::time::sleep(random.jittered(WAIT * attempt)).await;
            }
        }
    }
    create(context, need, started).await
}

/// The outcome of a put.
enum Put {
    /// The store holds the marker with this id.
    Done(u64),
    /// The guard does not hold, or another has put one.
    Prevented,
}

/// What puts a marker.
struct Putting<'a> {
    context: &'a Context,
    need: Need,
    guard: Option<Guard<'a>>,
    started: Instant,
}

impl Putting<'_> {
    fn draw(&self) -> Marker {
        Marker::new(self.context.engine().random.bits(), self.need)
    }

    fn encode(&self, marker: &Marker) -> Result<Bytes> {
        self.context.codec().encode(MARKER_KEY, marker)
    }

    async fn apply(&self, ops: &[Op<'_>]) -> Result<Option<Vec<OpOutcome>>> {
        let write = Write { guard: self.guard, ..Write::new(ops).started(self.started) };
        Ok(self.context.write(write).await?.outcomes())
    }

    /// Puts a marker that nothing hangs on.
    async fn new_one(&self) -> Result<Put> {
        let marker = self.draw();
        let applied = self.apply(&[Op::Put(marker.put(self.encode(&marker)?))]).await?;
        Ok(applied.map_or(Put::Prevented, |_| Put::Done(marker.id)))
    }

    /// Puts `marker` in the place of one with the bytes `held`. Where that is not there any more, for the store may
    /// lose it and keep the lease, one that nothing hangs on: its loss must not be undone.
    async fn instead(&self, held: Bytes, marker: &Marker) -> Result<Put> {
        let spare = self.draw();
        let unless_there = spare.put(self.encode(&spare)?).when(When::Absent);
        let in_place = marker.put(self.encode(marker)?).when(When::AbsentOrHolding(held));
        let applied = self.apply(&[Op::Put(unless_there), Op::Put(in_place)]).await?;
        Ok(match applied.as_deref() {
            Some([OpOutcome::Stored, _]) => Put::Done(spare.id),
            Some([_, OpOutcome::Stored]) => Put::Done(marker.id),
            _ => Put::Prevented,
        })
    }

    /// Puts a new marker where `stale` has expired, whose bytes are `held` and which stays stale for `left`. What
    /// hangs on that one is stale, but only if it is there to the end.
    async fn after_stale(&self, held: Bytes, stale: &Marker, left: Lifetime) -> Result<Put> {
        let marker = self.draw();
        let bytes = self.encode(&marker)?;
        let take = Op::Take { key: MARKER_KEY };
        let applied = self.apply(&[take, Op::Put(marker.put(bytes.clone()))]).await?;
        match applied.as_deref() {
            None => Ok(Put::Prevented),
            Some([OpOutcome::Taken(Some(taken)), _]) if taken.bytes == held => {
                let linked = stale.replaced(marker.id, self.need, left);
                // The put has voided the lease; the bytes tell as much.
                let unguarded = Putting { guard: None, ..*self };
                unguarded.instead(bytes, &linked).await
            }
            Some(_) => Ok(Put::Done(marker.id)),
        }
    }
}

/// Puts a marker unless there is one; the id of the one that is there. It ends what hung on a marker that
/// has expired.
async fn create(context: &Context, need: Need, mut started: Started) -> Result<Option<u64>> {
    let new = Marker::new(context.engine().random.bits(), need);
    let mut put = new.put(context.codec().encode(MARKER_KEY, &new)?);
    put.when = When::Absent;
    for _ in 0..ATTEMPTS {
        let ops = [Op::Put(put.clone())];
        let outcomes = context.write(Write::new(&ops).started(started.note())).await?.outcomes();
        match outcomes.and_then(|mut outcomes| outcomes.pop()) {
            Some(OpOutcome::Stored) => return Ok(Some(new.id)),
            Some(OpOutcome::Exists(entry)) => {
                // Bytes that are no marker are replaced.
                put.when = When::AbsentOrHolding(entry.bytes.clone());
                match context.find_in::<Marker>(MARKER_KEY, Ok(entry), Accept::Fresh, None) {
                    Found::Fresh(marker, _) => return Ok(Some(marker.id)),
                    _ => continue,
                }
            }
            _ => break,
        }
    }
    Ok(None)
}
