//! Real servers under real faults.

mod acknowledgements;
mod across;
mod assumed;
#[path = "../shared/calls.rs"]
mod calls;
mod churn;
mod connections;
mod depends;
mod errors;
mod eviction;
mod failover;
mod health;
mod in_flight;
mod kit;
mod lanes;
mod late;
mod layout;
mod leftovers;
mod loads;
mod logs;
mod near_outage;
mod outage;
#[path = "../shared/permissions.rs"]
mod permissions;
mod pushes;
mod reclaim;
mod refusals;
mod replicas;
mod runtimes;
mod sentinel;
mod shared_store;
mod silence;
mod stampede;
mod steps;
#[path = "../shared/storm.rs"]
mod storm;
mod tracking;
