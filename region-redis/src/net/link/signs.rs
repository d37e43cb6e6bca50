//! What a link makes of the signs of life of its server.

use std::sync::Arc;

use super::Shared;
use crate::error::{Concerns, Failure};
use crate::net::connections::Connections;
use crate::net::membership::{Loss, Membership};
use crate::net::node::NodeUser;
use crate::net::sign::Sign;

impl Shared {
    /// Has the server asked for a sign of life now.
    pub(super) fn ask_soon(&self, connections: &Connections) {
        match connections.membership().node() {
            Some(node) => node.ask_soon(),
            None => self.trouble.notify_one(),
        }
    }

    /// Takes a sign of life that was asked for over `connections`.
    pub(crate) fn note_sign(&self, connections: &Connections, sign: &Sign) -> Result<(), Failure> {
        if let Some(time) = sign.time {
            self.role.note_time(time, sign.asked);
        }
        let pulse = sign.pulse.as_ref().map_err(Clone::clone)?;
        self.role.note_pulse(&connections.server, pulse, sign.asked)?;
        if !self.role.is_current(self.origin.dialer.settings.max_lag) {
            connections.distrust();
        }
        Ok(())
    }

    /// The connections in use, if they are of this share.
    fn present_over(&self, membership: &Membership) -> Option<Arc<Connections>> {
        let state = self.state.borrow();
        let is_of = |up: &&Arc<Connections>| std::ptr::eq(&**up.membership(), membership);
        state.up().filter(is_of).cloned()
    }
}

impl NodeUser for Shared {
    fn hear(&self, membership: &Membership, sign: &Sign) {
        let Some(connections) = self.present_over(membership) else { return };
        match self.note_sign(&connections, sign) {
            Err(failure) if failure.concerns != Concerns::Call => {
                self.give_up(&connections, failure.error);
            }
            Ok(()) | Err(_) => {}
        }
    }

    fn lose(&self, membership: &Membership, failure: &Failure, loss: Loss) {
        let Some(connections) = self.present_over(membership) else { return };
        match loss {
            Loss::Broken => Self::lose(self, &connections, &failure.error),
            Loss::GivenUp => self.give_up(&connections, failure.error.clone()),
        }
    }
}
