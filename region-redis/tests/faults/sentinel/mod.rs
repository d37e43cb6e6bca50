//! Stores whose primary sentinels know.

mod failover;
mod kit;
mod liar;
mod near;
mod replicas;
mod sentinels;
