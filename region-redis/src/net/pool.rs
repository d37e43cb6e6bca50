//! The nodes whose connections are shared.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::net::dialer::Dialer;
use crate::net::epoch::NewestEpoch;
use crate::net::node::Node;
use crate::net::origin::Place;
use crate::net::pushes::Pushes;
use crate::protocol::layout::Slot;
use crate::server::Server;
use crate::settings::Settings;

/// The nodes of a cluster that are in use. Primaries and replicas are apart, as a connection is opened for reads from
/// a replica or not.
pub(crate) struct Pool {
    primaries: Nodes,
    replicas: Nodes,
    newest_epoch: Arc<NewestEpoch>,
}

struct Nodes {
    dialer: Arc<Dialer>,
    known: Mutex<Vec<Known>>,
}

/// A node that is in use, or was.
struct Known {
    server: Arc<Server>,
    node: Weak<Node>,
    /// The number of attempts to connect.
    connects: Arc<AtomicU64>,
}

/// The number of nodes beyond which those are forgotten that are not in use.
const MOST_KNOWN: usize = 256;

impl Pool {
    pub(crate) fn new(settings: &Arc<Settings>, pushes: &Arc<Pushes>, runtime: &Handle) -> Self {
        let nodes = |place| {
            let dialer = Arc::new(Dialer::new(settings, pushes, runtime, place));
            Nodes { dialer, known: Mutex::default() }
        };
        let any = Slot::of_tag("");
        Self {
            primaries: nodes(Place::Primary(any)),
            replicas: nodes(Place::Replica(any)),
            newest_epoch: Arc::default(),
        }
    }

    /// The newest epoch that the nodes in use have told of.
    pub(crate) fn newest_epoch(&self) -> &Arc<NewestEpoch> {
        &self.newest_epoch
    }

    pub(crate) fn dialer(&self, place: Place) -> &Arc<Dialer> {
        &self.nodes(place).dialer
    }

    /// Returns the node at the address of `server`.
    pub(crate) fn node(&self, server: &Arc<Server>, place: Place) -> Arc<Node> {
        let nodes = self.nodes(place);
        let mut known = nodes.known.lock();
        if known.len() >= MOST_KNOWN {
            known.retain(|known| known.node.strong_count() > 0);
        }
        let Some(found) = known.iter_mut().find(|known| known.server.is_at(server)) else {
            let connects = Arc::default();
            let node = Node::new(&nodes.dialer, server, &connects, &self.newest_epoch);
            let (server, weak) = (Arc::clone(server), Arc::downgrade(&node));
            known.push(Known { server, node: weak, connects });
            return node;
        };
        found.node.upgrade().unwrap_or_else(|| {
            let node = Node::new(&nodes.dialer, server, &found.connects, &self.newest_epoch);
            found.node = Arc::downgrade(&node);
            node
        })
    }

    /// The number of attempts to connect to the node that is printed so.
    pub(crate) fn connects_to(&self, server: &str, place: Place) -> u64 {
        let known = self.nodes(place).known.lock();
        let found = known.iter().find(|known| known.server.to_string() == server);
        found.map_or(0, |known| known.connects.load(Ordering::Relaxed))
    }

    fn nodes(&self, place: Place) -> &Nodes {
        match place {
            Place::Alone | Place::Primary(_) => &self.primaries,
            Place::Replica(_) => &self.replicas,
        }
    }
}
