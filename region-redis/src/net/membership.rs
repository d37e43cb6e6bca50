//! A link's share of the connections to a server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::RedisResult;
use region_core::Source;
use tokio::sync::SemaphorePermit;

use crate::net::node::Node;
use crate::net::on_demand::Closable;
use crate::net::origin::Place;
use crate::net::transport::Transport;
use crate::net::transports::Transports;

/// A link's share of the connections to a server: they are all its own, or those of a node, which others use too.
/// It ends when the link gives them up, or drops this. What others send over them goes on.
pub(crate) struct Membership {
    pub(crate) transports: Arc<Transports>,
    place: Place,
    /// The node that watches the shared connections, and the number under which it knows the link.
    node: Option<(Arc<Node>, u64)>,
    is_over: AtomicBool,
    /// Something was read over them that may be trusted.
    has_source: AtomicBool,
}

/// Says what a link does about the loss of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// It replaces them at once.
    Broken,
    /// It leaves the node alone for a while.
    GivenUp,
}

impl Membership {
    /// The connections are the link's own.
    pub(crate) fn alone(transports: Transports, place: Place) -> Arc<Self> {
        Arc::new(Self::new(Arc::new(transports), place, None))
    }

    /// The connections are the node's.
    pub(crate) fn of(
        node: &Arc<Node>,
        number: u64,
        transports: Arc<Transports>,
        place: Place,
    ) -> Self {
        Self::new(transports, place, Some((Arc::clone(node), number)))
    }

    fn new(transports: Arc<Transports>, place: Place, node: Option<(Arc<Node>, u64)>) -> Self {
        let (is_over, has_source) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { transports, place, node, is_over, has_source }
    }

    /// The node whose connections they are, unless they are the link's own.
    pub(crate) fn node(&self) -> Option<&Arc<Node>> {
        self.node.as_ref().map(|(node, _)| node)
    }

    /// Gives the connections up: they are closed if nobody else uses them, and what the link has read over them is
    /// not trusted any more.
    pub(crate) fn end(&self) {
        // First: from now on no source is named to who reads.
        let was_over = self.is_over.swap(true, Ordering::SeqCst);
        match &self.node {
            None => self.transports.close(),
            Some((node, number)) if !was_over => {
                node.leave(*number);
                if self.has_source.load(Ordering::SeqCst) {
                    self.transports.distrust(self.place.group());
                }
            }
            Some(_) => {}
        }
    }

    /// Makes the server track what is read over `transport` from now on, if anybody listens. Returns the source of its
    /// pushes, while it is watched whether they tell of everything.
    pub(crate) async fn track(&self, transport: &Transport) -> RedisResult<Option<Source>> {
        let source = transport.track(self.place.group()).await?;
        if source.is_some() {
            self.has_source.store(true, Ordering::SeqCst);
        }
        // After the source was named: its name is told, and this says so, or a later name must not be used.
        Ok(source.filter(|_| !self.is_over()))
    }

    fn is_over(&self) -> bool {
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
