//! The facts of an explanation. Nothing is counted, kept or taken.

use std::any::type_name;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::Context;
use super::found::{Found, Times};
use super::lookup::miss_reason;
use super::marker::{self, Marker, Standing};
use crate::error::Result;
use crate::explain::{
    DependencyStanding, DependencyState, EntryState, Explanation, StoreFacts, StoreState, outcome,
};
use crate::path::{MARKER_KEY, check_key};
use crate::stats::MissReason;
use crate::store::{
    Entry, Freshness, Lease, LeaseTerms, LeaseToken, Read, ReadTerms, TakeLease, Trust,
};
use crate::value::dependencies::DependsOn;
use crate::value::envelope::BadBytes;
use crate::value::serializer::Value;

/// The duration of the lease that is asked about. None is taken, so it does not matter.
const NO_LEASE: Duration = Duration::from_millis(1);

impl Context {
    /// Explains what a read of `key` would find. All calls to the store share one limit.
    pub(crate) async fn explain<V: Value>(&self, key: &str) -> Result<Explanation> {
        check_key(key)?;
        let started = Instant::now();
        let terms = ReadTerms::new(self.policy.read_from).trust(Trust::Kept).started(started);
        let read = self.engine.read(&self.path, &[key], terms).await;
        let (near, near_facts) = self.explain_near::<V>(key, read.as_ref().ok()).unzip();
        let (store, facts) = match read {
            Ok(read) => {
                let (store, facts) = self.explain_store::<V>(key, read, started).await;
                (Ok(store), facts)
            }
            Err(error) if error.is_outage() => (Err(error), StoreFacts::Outage),
            Err(error) => (Err(error), StoreFacts::Failure),
        };
        Ok(Explanation {
            region: self.path.clone(),
            key: key.to_owned(),
            type_name: type_name::<V>(),
            outcome: outcome(near_facts.flatten(), facts, self.policy.on_outage),
            near,
            store,
            is_loading: false,
            policy: self.policy.clone(),
        })
    }

    async fn explain_store<V: Value>(
        &self,
        key: &str,
        read: Read,
        started: Instant,
    ) -> (StoreState, StoreFacts) {
        let missed = read.miss_reason(0);
        let Read { lineage, changes, mut entries, leftovers, .. } = read;
        let (entry, facts) = match entries.pop().flatten() {
            None => (None, StoreFacts::Nothing(missed)),
            Some(entry) => {
                let (entry, facts) = self.explain_entry::<V>(key, &entry, started).await;
                (Some(entry), facts)
            }
        };
        // A region that is missing has no leases, and asking for them would create it.
        let lease = match lineage.is_some() {
            true => self.explain_lease(key, started).await,
            false => None,
        };
        let leftover = leftovers.first().map(|(_, leftover)| *leftover);
        (StoreState { lineage, changes, entry, leftover, lease }, facts)
    }

    async fn explain_entry<V: Value>(
        &self,
        key: &str,
        entry: &Entry,
        started: Instant,
    ) -> (EntryState, StoreFacts) {
        let header = self.codec.header::<V>(key, &entry.bytes);
        let decoded = self.codec.decode::<V>(key, &entry.bytes);
        let list = decoded.as_ref().ok().and_then(|decoded| decoded.dependencies.clone());
        let list = list.as_deref().unwrap_or_default();
        let dependencies = list.iter().map(|on| self.explain_dependency(on, started));
        let dependencies = join_all(dependencies).await;
        let is_any = |state| dependencies.iter().any(|dependency| dependency.state == state);
        let facts = match &decoded {
            _ if !entry.is_fresh() => StoreFacts::Nothing(MissReason::Expired),
            Err(bad) => StoreFacts::Nothing(miss_reason(bad)),
            Ok(decoded) if decoded.value.is_none() => StoreFacts::Nothing(MissReason::Absent),
            Ok(_) if is_any(DependencyStanding::Unknown) => StoreFacts::Outage,
            Ok(_) if is_any(DependencyStanding::Ended) => {
                StoreFacts::Nothing(MissReason::Dependency)
            }
            Ok(_) if is_any(DependencyStanding::Expired) => {
                StoreFacts::Nothing(MissReason::Expired)
            }
            Ok(_) => StoreFacts::Value,
        };
        let fault = decoded.err().map(|bad: BadBytes| bad.to_string());
        let (freshness, bytes) = (entry.freshness, entry.bytes.len());
        (EntryState { freshness, bytes, header, fault, dependencies }, facts)
    }

    async fn explain_dependency(&self, on: &DependsOn, started: Instant) -> DependencyState {
        let terms = ReadTerms::new(self.policy.read_from).started(started);
        let state = match self.engine.read(&on.region, &[MARKER_KEY], terms).await {
            Err(_) => DependencyStanding::Unknown,
            Ok(mut read) => on.standing(read.entries.pop().flatten().as_ref()),
        };
        DependencyState { region: on.region.clone(), state }
    }

    /// Asks who holds the lease of `key`, without taking it.
    async fn explain_lease(&self, key: &str, started: Instant) -> Option<Lease> {
        let token = LeaseToken::from_bits(self.engine.random.bits());
        let terms = LeaseTerms::new(token, NO_LEASE).take(TakeLease::Extend).started(started);
        let begun = self.engine.store.begin(&self.path, &[key], terms).await.ok()?;
        Some(begun.keys.first()?.lease)
    }
}

impl DependsOn {
    /// Returns the state of this dependency by `marker`, the valid entry that a store has at
    /// [`MARKER_KEY`](crate::MARKER_KEY) in the [`region`](Self::region). It is never
    /// [`Unknown`](DependencyStanding::Unknown).
    ///
    /// [`RegionHandle::explain`](crate::RegionHandle::explain) tells the same of a value whose type is known.
    #[must_use]
    pub fn standing(&self, marker: Option<&Entry>) -> DependencyStanding {
        let marker = marker.and_then(|entry| marker_of(self, entry));
        match marker.map(|marker| marker.standing(self.marker)) {
            Some(Standing::Holds(_)) => DependencyStanding::Holds,
            Some(Standing::Expired(_)) => DependencyStanding::Expired,
            Some(Standing::Ended) | None => DependencyStanding::Ended,
        }
    }
}

/// The marker in `entry`, if it can be read.
fn marker_of(on: &DependsOn, entry: &Entry) -> Option<Found<Marker>> {
    let decoded = marker::codec(&on.region).decode::<Marker>(MARKER_KEY, &entry.bytes).ok()?;
    let marker = Arc::new(decoded.value?);
    Some(match entry.freshness {
        Freshness::Fresh { left } => Found::Fresh(marker, Times::of(left)),
        Freshness::Stale { left } => Found::Stale(marker, Times::of(left)),
    })
}
