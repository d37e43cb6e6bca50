//! The parts that every connection of one link needs.

use std::sync::Arc;

use redis::Cmd;

use crate::net::dialer::Dialer;
use crate::net::locator::Locator;
use crate::net::outage::OutageLines;
use crate::net::pool::Pool;
use crate::net::pushes::Group;
use crate::protocol::layout::{CountNames, Slot};

/// Where a link leads to, and how connections to it are opened.
pub(crate) struct Origin {
    pub(crate) locator: Arc<dyn Locator>,
    pub(crate) dialer: Arc<Dialer>,
    pub(crate) place: Place,
    /// The connections that the link shares with others, unless it has its own.
    pub(crate) pool: Option<Arc<Pool>>,
    pub(crate) lines: Arc<OutageLines>,
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

    /// The slot, if the server has not all.
    pub(crate) fn slot(self) -> Option<Slot> {
        match self {
            Self::Alone => None,
            Self::Primary(slot) | Self::Replica(slot) => Some(slot),
        }
    }

    /// The links whose trust ends together when one of them gives up connections that others go on with.
    pub(crate) fn group(self) -> Group {
        self.slot().map_or(Group::default(), Group::of)
    }
}
