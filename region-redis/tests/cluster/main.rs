//! Faults of clusters: three primaries with a replica each, real servers of both kinds.

mod failover;
mod kit;
mod moves;
mod near;
mod nodes;
mod outage;
mod roots;
