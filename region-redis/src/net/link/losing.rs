//! How the connections of a link are given up, and how its state changes.

use std::sync::Arc;

use region_core::Error;

use super::Shared;
use crate::net::connections::Connections;
use crate::net::state::Event;

impl Shared {
    /// Drops connections that broke, unless that has been done: the next calls wait for new ones.
    pub(crate) fn lose(&self, connections: &Arc<Connections>, error: &Error) {
        self.drop_connections(connections, error, Event::Lost(Arc::clone(connections)));
    }

    /// Drops connections and leaves the server alone for a while.
    pub(crate) fn give_up(&self, connections: &Arc<Connections>, error: Error) {
        let given_up = Event::GivenUp(Arc::clone(connections), error.clone());
        self.drop_connections(connections, &error, given_up);
    }

    fn drop_connections(
        &self,
        connections: &Arc<Connections>,
        error: &Error,
        event: Event<Connections>,
    ) {
        if self.change(event) {
            connections.close();
            self.stats.note_error(error);
            self.outage.note(&self.target(), error);
            self.origin.locator.doubt(error);
        }
    }

    /// Drops the present connections: the next calls wait for new ones.
    pub(crate) fn start_over(&self, error: &Error) {
        let present = self.state.borrow().up().cloned();
        present.into_iter().for_each(|connections| self.lose(&connections, error));
    }

    /// Ends the connections for good.
    pub(crate) fn end(&self) {
        let present = self.state.borrow().up().cloned();
        self.change(Event::Ended);
        present.into_iter().for_each(|connections| connections.close());
    }

    /// Makes the next calls wait until the connections have a new count and have been prepared.
    pub(crate) fn renew_count(&self, connections: &Arc<Connections>) {
        self.change_with(Event::Lost(Arc::clone(connections)), || {
            *self.to_renew.lock() = Some(Arc::clone(connections));
        });
    }

    /// As [`renew_count`](Self::renew_count), for a server that has lost writes: recent changes are repeated
    /// on it first. Connections that are not in use any more tell nothing about the server.
    pub(crate) fn distrust(&self, connections: &Arc<Connections>) {
        connections.counted.note_lost();
        self.change_with(Event::Lost(Arc::clone(connections)), || {
            self.role.distrust();
            *self.to_renew.lock() = Some(Arc::clone(connections));
        });
    }

    /// Reacts to a write that was refused because the server lacks earlier ones, or because the connections
    /// were not prepared for writes.
    pub(super) fn refused_as_lost(&self, connections: &Arc<Connections>) {
        if connections.is_read_only() {
            self.renew_count(connections)
        } else {
            self.distrust(connections)
        }
    }

    /// Changes the state. Returns whether it was another before.
    pub(crate) fn change(&self, event: Event<Connections>) -> bool {
        self.change_with(event, || {})
    }

    /// Changes the state, and calls `then` if it was another, before anybody can see the new state.
    fn change_with(&self, event: Event<Connections>, then: impl FnOnce()) -> bool {
        let mut former = None;
        self.state.send_if_modified(|state| {
            former = state.after(event).map(|next| std::mem::replace(state, next));
            if former.is_some() {
                then();
            }
            former.is_some()
        });
        self.trouble.notify_one();
        // Dropped here, without the lock: with its last owner a connection ends, and listeners are called.
        former.is_some()
    }
}
