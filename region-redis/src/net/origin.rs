//! The parts that every connection to one server needs.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::net::outage::LogLimit;
use crate::net::pushes::Pushes;
use crate::server::Server;
use crate::settings::Settings;

/// A server, and the settings for connections to it.
pub(crate) struct Origin {
    pub(crate) server: Server,
    pub(crate) settings: Arc<Settings>,
    pub(crate) pushes: Arc<Pushes>,
    /// The runtime that the store was made on. It runs all tasks of the store.
    pub(crate) runtime: Handle,
    pub(crate) refused_extra: LogLimit,
}
