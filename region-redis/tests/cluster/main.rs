//! Faults of clusters: three primaries with a replica each, real servers of both kinds.

mod anchors;
#[path = "../shared/calls.rs"]
mod calls;
mod failover;
mod kit;
mod moves;
mod near;
mod nodes;
mod operators;
mod outage;
#[path = "../shared/permissions.rs"]
mod permissions;
mod roots;
mod slots;
#[path = "../shared/storm.rs"]
mod storm;
mod storms;
#[cfg(feature = "tls")]
mod tls;
