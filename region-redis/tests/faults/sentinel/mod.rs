//! Stores whose primary sentinels know.

mod failover;
mod kit;
mod liar;
mod mishaps;
mod near;
mod replicas;
mod sentinels;
