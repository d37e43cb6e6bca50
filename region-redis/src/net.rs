//! Connections to one server at a time: how it is found, and how they are opened, watched and replaced.

pub(crate) mod answered;
pub(crate) mod connections;
pub(crate) mod counted;
pub(crate) mod covered;
pub(crate) mod extra;
pub(crate) mod identity;
pub(crate) mod keeper;
pub(crate) mod link;
pub(crate) mod locator;
pub(crate) mod origin;
pub(crate) mod outage;
pub(crate) mod own_pushes;
pub(crate) mod pending;
pub(crate) mod pushes;
pub(crate) mod role;
pub(crate) mod state;
pub(crate) mod traffic;
pub(crate) mod transport;
pub(crate) mod watched;
