//! A link's share of the connections to a server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::SemaphorePermit;

use crate::net::node::Node;
use crate::net::on_demand::Closable;
use crate::net::origin::Place;
use crate::net::transports::Transports;

/// A link's share of the connections to a server: they are all its own, or those of a node, which others use too.
/// It ends when the link gives them up, or drops this. What others send over them goes on.
pub(crate) struct Membership {
    pub(crate) transports: Arc<Transports>,
    place: Place,
    /// The node that watches the shared connections, and the number under which it knows the link.
    node: Option<(Arc<Node>, u64)>,
    is_over: AtomicBool,
}

impl Membership {
    /// The connections are the link's own.
    pub(crate) fn alone(transports: Transports, place: Place) -> Arc<Self> {
        let (transports, is_over) = (Arc::new(transports), AtomicBool::new(false));
        Arc::new(Self { transports, place, node: None, is_over })
    }

    /// The connections are the node's.
    pub(crate) fn of(
        node: &Arc<Node>,
        number: u64,
        transports: Arc<Transports>,
        place: Place,
    ) -> Self {
        let node = Some((Arc::clone(node), number));
        Self { transports, place, node, is_over: AtomicBool::new(false) }
    }

    /// The node whose connections they are, unless they are the link's own.
    pub(crate) fn node(&self) -> Option<&Arc<Node>> {
        self.node.as_ref().map(|(node, _)| node)
    }

    /// Gives the connections up: they are closed if nobody else uses them, and what the link has read over them is
    /// not trusted any more.
    pub(crate) fn end(&self) {
        // First: who asks for the source of what is read now is told after that that there is none.
        let was_over = self.is_over.swap(true, Ordering::SeqCst);
        match &self.node {
            None => self.transports.close(),
            Some((node, number)) if !was_over => {
                node.leave(*number);
                self.transports.distrust(self.place.group());
            }
            Some(_) => {}
        }
    }

    /// Returns whether the link has given the connections up.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Returns whether the connections cannot be used any more, at least not by this link.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_over() || self.transports.is_closed()
    }

    /// Waits for the link's turn to prepare the connections: those who share them do not all at the same time. It may
    /// be dropped at any time.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        match self.node() {
            Some(node) => node.turn().await,
            None => None,
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.end();
    }
}
