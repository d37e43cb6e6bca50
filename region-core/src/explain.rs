//! Why a key would be a hit or a miss now: for people who debug.

mod outcome;
mod show;

use crate::error::Result;
use crate::lifetime::Lifetime;
use crate::lineage::Lineage;
use crate::path::RegionPath;
use crate::policy::ResolvedPolicy;
use crate::stats::MissReason;
use crate::store::{ChangeRing, Freshness, Lease, Leftover};
use crate::value::codec::EntryHeader;
use crate::value::envelope::EnvelopeContent;

pub(crate) use outcome::{NearFacts, StoreFacts, outcome};

/// The state of a key: why a read would find a value now, or not. See
/// [`RegionHandle::explain`](crate::RegionHandle::explain).
///
/// [`Display`](std::fmt::Display) prints it as lines of text.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// The region.
    pub region: RegionPath,
    /// The key.
    pub key: String,
    /// The name of the type that the value was asked for as.
    pub type_name: &'static str,
    /// The outcome of a [`get`](crate::Region::get) of this type, were it called now.
    pub outcome: ReadOutcome,
    /// The state in the near cache; `None`: the policy keeps nothing of the region near.
    pub near: Option<NearState>,
    /// The state in the store, or the error that it answered with.
    pub store: Result<StoreState>,
    /// True if a load of the key, as this type, is under way in this process.
    pub is_loading: bool,
    pub(crate) policy: ResolvedPolicy,
}

/// The outcome of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadOutcome {
    /// A trusted value is held near.
    NearHit,
    /// A value is held near, and the store says that it is still valid.
    VerifiedNearHit,
    /// A value is held near that the policy allows to be served without trust.
    UnverifiedNearHit,
    /// The store has a value.
    StoreHit,
    /// There is no value to return. With [`MissReason::Absent`] the store was perhaps not asked: the record that
    /// there is none may be held near.
    Miss(MissReason),
    /// The read fails with the error of the store.
    Error,
}

/// The state of a key in the near cache.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NearState {
    /// True if the store pushes changes to this cache. If not, nothing is trusted.
    pub is_listening: bool,
    /// Trust in the region's lineage.
    pub lineage: NearTrust,
    /// Trust in what is known of the changes of the region's own entries.
    pub changes: NearTrust,
    /// The value that is held, or the record that there is none.
    pub value: Option<NearValue>,
}

/// Trust in what is known of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NearTrust {
    /// The store would have told of any change.
    Trusted,
    /// Nothing is known: no answer has shown it yet.
    Unknown,
    /// A change by this process is under way.
    OwnChange,
    /// A push or a change by this process has concerned it since it was learned.
    Changed,
    /// The connection that would have told of changes is lost.
    ConnectionLost,
}

/// A value that is held near, or the record that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NearValue {
    /// A value, or the record that there is none.
    pub content: EnvelopeContent,
    /// True if it is held as a value of the requested type, false if as its bytes.
    pub is_decoded: bool,
    /// The time for which it is fresh.
    pub left: Lifetime,
    /// The state of the value.
    pub validity: NearValidity,
}

/// The state of a value that is held near.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NearValidity {
    /// It is trusted to be the store's.
    Valid,
    /// The store has to be asked.
    Doubted,
    /// It, or a region that it depends on, has changed since it was read.
    Outdated,
}

/// The state of a key in the store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreState {
    /// The region's lineage; `None`: the region or one around it does not exist, or the store leaves it out.
    pub lineage: Option<Lineage>,
    /// The last changes of the region's own entries; `None`: there are none, or the store leaves them out.
    pub changes: Option<ChangeRing>,
    /// The valid entry.
    pub entry: Option<EntryState>,
    /// The reason for which an entry that is still there is not valid; `None`: there is none, or the store
    /// does not tell.
    pub leftover: Option<Leftover>,
    /// The lease of a load; `None`: the store does not tell.
    pub lease: Option<Lease>,
}

/// A valid entry of a store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EntryState {
    /// Fresh or stale, and the remaining time.
    pub freshness: Freshness,
    /// The size in bytes, with the envelope.
    pub bytes: usize,
    /// The content that the envelope names; `None`: it cannot be read.
    pub header: Option<EntryHeader>,
    /// The reason why the bytes are not a value of the requested type.
    pub fault: Option<String>,
    /// The regions that the value depends on.
    pub dependencies: Vec<DependencyState>,
}

/// A region that a value depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DependencyState {
    /// The region.
    pub region: RegionPath,
    /// Its state.
    pub state: DependencyStanding,
}

/// The state of a dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DependencyStanding {
    /// Nothing has ended since the value was loaded.
    Holds,
    /// The region has expired since: the value is stale.
    Expired,
    /// The region was invalidated or touched since, or its marker is lost: the value is gone.
    Ended,
    /// The store could not be asked.
    Unknown,
}
