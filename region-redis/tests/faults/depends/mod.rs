//! Values that depend on other regions, on real servers.

mod chaos;
mod failover;
mod kit;
mod outage;
mod replicas;
mod trips;
