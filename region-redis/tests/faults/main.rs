//! Real servers under real faults.

mod acknowledgements;
mod assumed;
mod churn;
mod connections;
mod depends;
mod errors;
mod eviction;
mod failover;
mod kit;
mod lanes;
mod late;
mod layout;
mod leftovers;
mod loads;
mod logs;
mod near_outage;
mod outage;
mod pushes;
mod reclaim;
mod refusals;
mod replicas;
mod runtimes;
mod silence;
mod stampede;
mod steps;
mod tracking;
