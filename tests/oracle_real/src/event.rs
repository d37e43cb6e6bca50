//! What is recorded: a line of JSON for each event.

use serde::{Deserialize, Serialize};

use crate::clock::Micros;
use crate::item::{Kind, ValueId};

/// A key, by the number of its region and its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The region's number: see [`REGIONS`](crate::setup::REGIONS).
    pub region: usize,
    /// The key's number.
    pub key: usize,
}

/// Names an operation; no two of a run have the same.
pub type OpId = u64;

/// Names a load; no two of a run have the same.
pub type LoadId = u64;

/// An event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Its time.
    pub at: Micros,
    /// The number of the process that it happened in, or to.
    pub process: usize,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the variants say it")]
pub enum What {
    /// An operation begins.
    Begin {
        op: OpId,
        /// The number of the process's cache.
        cache: usize,
        action: Action,
    },
    /// It has ended.
    End {
        op: OpId,
        outcome: Outcome,
    },
    /// A load function begins.
    LoadBegin {
        load: LoadId,
        op: OpId,
        places: Vec<Place>,
        kind: Kind,
        /// The lifetime of what it brings, in milliseconds.
        ttl: Option<u64>,
    },
    /// The load depends on the region from now on.
    DependsOn {
        load: LoadId,
        region: usize,
    },
    /// The load brings these values; `None`: there is none.
    LoadEnd {
        load: LoadId,
        values: Vec<Option<ValueId>>,
    },
    /// The process is stopped, and goes on.
    Stopped,
    Continued,
    Killed,
    /// A fault, for the reader.
    Fault(String),
    /// From now on changes may be lost by a failover that is to come.
    CopyHeld,
    /// The primary is the copy that was held.
    FailedOver,
    /// No fault acts, nothing is under way, and each process has reached the servers since.
    Calm,
}

/// A verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "as the verbs of the store")]
pub enum Verb {
    Invalidate,
    Touch,
    InvalidateAndTouch,
    Expire,
}

impl From<Verb> for region_cache::Verb {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Invalidate => Self::Invalidate,
            Verb::Touch => Self::Touch,
            Verb::InvalidateAndTouch => Self::InvalidateAndTouch,
            Verb::Expire => Self::Expire,
        }
    }
}

/// The result of a load function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "as the results of a load")]
pub enum LoadResult {
    Value,
    Error,
    Absent,
    /// If the truth has not changed since the old value was made; else a value.
    NotModified,
    DontStore,
}

/// A load function.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Load {
    /// Its result.
    pub result: LoadResult,
    /// The time that it takes, in milliseconds.
    pub takes: u64,
    /// The lifetime of what it brings, in milliseconds, if not by the policy.
    pub ttl: Option<u64>,
    /// It loads although there is a value.
    pub reload: bool,
    /// A region that the value depends on, declared before.
    pub on: Option<usize>,
    /// A region that is added while it runs.
    pub adds: Option<usize>,
}

/// An operation. Values are named before they are stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named after the methods of Region")]
pub enum Action {
    Get(Place, Kind),
    GetMany(usize, Vec<usize>, Kind),
    Contains(Place),
    Compute(Place, Kind, Load),
    ComputeMany(usize, Vec<usize>, Kind, Load),
    Set(Place, ValueId, Option<u64>),
    SetMany(usize, Vec<(usize, ValueId)>),
    SetIfAbsent(Place, ValueId),
    Remove(Place),
    RemoveMany(usize, Vec<usize>),
    Take(Place, Kind),
    /// Each key with its new value, or to be removed.
    Transact(usize, Vec<(usize, Option<ValueId>)>),
    End(usize, Verb),
    RestartTtl(usize),
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It was dropped.
    Cancelled,
    /// It failed.
    Failed(String),
    /// It is done.
    Done,
    /// It answered yes or no.
    Said(bool),
    /// A value or none for each key.
    Values(Vec<Option<ValueId>>),
    /// A value that is of another key or type.
    Foreign(String),
}

impl Action {
    /// Its name, for counts.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Get(..) => "get",
            Self::GetMany(..) => "get_many",
            Self::Contains(..) => "contains",
            Self::Compute(_, _, load) if load.reload => "reload",
            Self::Compute(..) => "get_or_compute",
            Self::ComputeMany(..) => "get_or_compute_many",
            Self::Set(..) => "set",
            Self::SetMany(..) => "set_many",
            Self::SetIfAbsent(..) => "set_if_absent",
            Self::Remove(..) => "remove",
            Self::RemoveMany(..) => "remove_many",
            Self::Take(..) => "take",
            Self::Transact(..) => "transaction",
            Self::End(_, Verb::Invalidate) => "invalidate",
            Self::End(_, Verb::Touch) => "touch",
            Self::End(_, Verb::InvalidateAndTouch) => "invalidate_and_touch",
            Self::End(_, Verb::Expire) => "expire",
            Self::RestartTtl(..) => "restart_region_ttl",
        }
    }

    /// Returns true if it may return what a load brings, or a stale value.
    #[must_use]
    pub fn loads(&self) -> bool {
        matches!(self, Self::Compute(..) | Self::ComputeMany(..))
    }

    /// The places whose values it returns, in their order.
    #[must_use]
    pub fn read_places(&self) -> Vec<Place> {
        match self {
            Self::Get(place, _) | Self::Compute(place, ..) | Self::Take(place, _) => vec![*place],
            Self::GetMany(region, keys, _) | Self::ComputeMany(region, keys, ..) => {
                keys.iter().map(|key| Place { region: *region, key: *key }).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The values that it stores.
    #[must_use]
    pub fn stored(&self) -> Vec<(Place, ValueId)> {
        let of = |region: usize, key: usize| Place { region, key };
        match self {
            Self::Set(place, id, _) | Self::SetIfAbsent(place, id) => vec![(*place, *id)],
            Self::SetMany(region, values) => {
                values.iter().map(|(key, id)| (of(*region, *key), *id)).collect()
            }
            Self::Transact(region, writes) => {
                let sets = writes.iter().filter_map(|(key, id)| Some((of(*region, *key), (*id)?)));
                sets.collect()
            }
            _ => Vec::new(),
        }
    }
}
