//! Taking the marker of a region that a value will depend on.

use std::sync::Arc;
use std::time::Duration;

use super::lease::Leases;
use crate::engine::{Accept, Context, Found, Marker, Need, Started};
use crate::error::Result;
use crate::path::MARKER_KEY;
use crate::stats::MissReason;
use crate::store::{
    BegunKey, Guard, Lease, LeaseTerms, LeaseToken, Op, OpOutcome, TakeLease, When, Write, Written,
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
        Some(Found::Fresh(marker, left)) if need.is_met(marker, *left) => {
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
        let entry = entry.ok_or(MissReason::Absent);
        let found = context.find_in::<Marker>(MARKER_KEY, entry, Accept::FreshOrStale, None);
        let new = match &found {
            Found::Fresh(marker, left) if need.is_met(marker, *left) => {
                return Ok(Some(marker.id));
            }
            // Another is at it; this one will do.
            Found::Fresh(marker, _) if matches!(lease, Lease::Held { .. }) => {
                return Ok(Some(marker.id));
            }
            Found::Fresh(marker, left) => marker.extended(need, *left),
            Found::Stale(marker, left) => marker.replaced(random.bits(), need, *left),
            _ => Marker::new(random.bits(), need),
        };
        match lease {
            Lease::Granted => {
                let put = new.put(context.codec().encode(MARKER_KEY, &new)?);
                let guard = Guard::new(&lineage, &[MARKER_KEY], token);
                let ops = [Op::Put(put)];
                let write = Write::new(&ops).guard(guard).started(started.note());
                let written = context.write(write).await?;
                if let Written::Applied(_) = written {
                    leases.settled(MARKER_KEY);
                    return Ok(Some(new.id));
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
