//! Connections to one server at a time: how it is found, and how they are opened, watched and replaced.

pub(crate) mod connections;
pub(crate) mod covered;
pub(crate) mod dialer;
pub(crate) mod epoch;
pub(crate) mod extra;
pub(crate) mod identity;
pub(crate) mod keeper;
pub(crate) mod link;
pub(crate) mod locator;
pub(crate) mod membership;
pub(crate) mod node;
pub(crate) mod on_demand;
pub(crate) mod origin;
pub(crate) mod outage;
pub(crate) mod own_pushes;
pub(crate) mod pending;
pub(crate) mod pool;
pub(crate) mod pushes;
pub(crate) mod role;
pub(crate) mod sign;
pub(crate) mod slot_probes;
pub(crate) mod state;
pub(crate) mod traffic;
pub(crate) mod transport;
pub(crate) mod transports;
pub(crate) mod watched;
