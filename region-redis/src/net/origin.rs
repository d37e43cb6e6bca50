//! The parts that every connection of one link needs.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::net::locator::Locator;
use crate::net::outage::LogLimit;
use crate::net::pushes::Pushes;
use crate::settings::Settings;

/// Where a link leads to, and the settings for connections to it.
pub(crate) struct Origin {
    pub(crate) locator: Arc<dyn Locator>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) pushes: Arc<Pushes>,
    /// The runtime that the store was made on. It runs all tasks of the store.
    pub(crate) runtime: Handle,
    pub(crate) refused_extra: LogLimit,
}
