//! The parts that every connection of one link needs.

use std::sync::Arc;

use redis::Cmd;
use tokio::runtime::Handle;

use crate::net::locator::Locator;
use crate::net::outage::LogLimit;
use crate::net::pushes::Pushes;
use crate::protocol::layout::{CountNames, Slot};
use crate::settings::Settings;

/// Where a link leads to, and the settings for connections to it.
pub(crate) struct Origin {
    pub(crate) locator: Arc<dyn Locator>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) pushes: Arc<Pushes>,
    /// The runtime that the store was made on. It runs all tasks of the store.
    pub(crate) runtime: Handle,
    pub(crate) refused_extra: LogLimit,
    pub(crate) place: Place,
}

/// The place of a server among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It has all keys, or is a replica of one that has.
    Alone,
    /// The node of a cluster that has this slot.
    Primary(Slot),
    /// A node that follows that one.
    Replica(Slot),
}

impl Place {
    pub(crate) fn count_names(self) -> CountNames {
        match self {
            Self::Alone => CountNames::STANDALONE,
            Self::Primary(slot) | Self::Replica(slot) => CountNames::in_slot(slot),
        }
    }

    /// The place of a replica of the server in this place.
    pub(crate) fn of_replica(self) -> Self {
        match self {
            Self::Alone => Self::Alone,
            Self::Primary(slot) | Self::Replica(slot) => Self::Replica(slot),
        }
    }

    /// The command by which a node lets a connection read what it has from its primary.
    pub(crate) fn opening_command(self) -> Option<Cmd> {
        matches!(self, Self::Replica(_)).then(|| redis::cmd("READONLY"))
    }

    /// The command whose answer is an error once the server has lost the slot to another: then nothing is pushed of
    /// later changes.
    pub(crate) fn slot_command(self) -> Option<Cmd> {
        (self != Self::Alone).then(|| {
            let mut exists = redis::cmd("EXISTS");
            exists.arg(self.count_names().list());
            exists
        })
    }
}
