//! The nodes of a cluster, and what they say of its slots.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio::time::{Duration, Instant};

use super::slot_map::{SlotMap, View, choose};
use crate::error::Failure;
use crate::net::transport::Transport;
use crate::random;
use crate::server::Server;
use crate::servers::{ClusterServers, Servers};
use crate::settings::Settings;
use crate::url::Host;

/// Asking the nodes takes at most this part of the limit on an attempt to connect.
const PARTS: u32 = 4;

/// The most nodes that are asked at a time.
const MOST_ASKED: usize = 8;

/// The least time that slower nodes get after the first has answered: one of them may know more.
const LEAST_GRACE: Duration = Duration::from_millis(20);

/// The nodes of a cluster, which all shards of a store share.
///
/// Nodes agree on the slots only after a while, and some may be down, or belong to no cluster any more. So several
/// are asked at the same time. What they say is an address and no more: a node that has not got a slot refuses all
/// that concerns it.
pub(super) struct Nodes {
    pub(super) servers: ClusterServers,
    settings: Arc<Settings>,
    name: Arc<str>,
    map: RwLock<Option<Arc<SlotMap>>>,
    /// Held while the nodes are asked: all who doubt wait for one answer.
    asking: tokio::sync::Mutex<()>,
    /// The number of times that the map was doubted, and how many of these came before it was asked for.
    doubts: AtomicU64,
    settled: AtomicU64,
    /// A node that has refused what the map promised.
    doubted: Mutex<Option<Arc<Server>>>,
    has_doubts: Notify,
}

impl Nodes {
    pub(super) fn new(servers: ClusterServers, settings: &Arc<Settings>) -> Self {
        let name = Servers::Cluster(servers.clone()).to_string().into();
        Self {
            servers,
            settings: Arc::clone(settings),
            name,
            map: RwLock::default(),
            asking: tokio::sync::Mutex::default(),
            doubts: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            doubted: Mutex::default(),
            has_doubts: Notify::new(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn shared_name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn server(&self, host: &Host) -> Arc<Server> {
        Arc::new(self.servers.access.server(host.clone()))
    }

    /// The map as it was last known.
    pub(super) fn present(&self) -> Option<Arc<SlotMap>> {
        self.map.read().clone()
    }

    /// Notes that a node was not what the map says.
    pub(super) fn doubt(&self, server: Option<Arc<Server>>) {
        *self.doubted.lock() = server;
        self.grow_old();
        self.has_doubts.notify_one();
    }

    /// Makes the next who needs the map ask for it.
    pub(super) fn grow_old(&self) {
        self.doubts.fetch_add(1, Ordering::AcqRel);
    }

    /// Waits until somebody doubts.
    pub(super) async fn doubts(&self) {
        self.has_doubts.notified().await;
    }

    /// Returns the map, which is asked for if it has been doubted since. If no node answers it is the former one:
    /// what was in doubt may be a connection alone. It may be dropped at any time.
    pub(super) async fn map(&self) -> Result<Arc<SlotMap>, Failure> {
        let doubts = self.doubts.load(Ordering::Acquire);
        let settled = || self.present().filter(|_| self.settled.load(Ordering::Acquire) >= doubts);
        if let Some(map) = settled() {
            return Ok(map);
        }
        let _asking = self.asking.lock().await;
        if let Some(map) = settled() {
            return Ok(map);
        }
        let covered = self.doubts.load(Ordering::Acquire);
        match self.ask_all().await {
            Ok(map) => {
                let map = self.keep(map);
                self.settled.fetch_max(covered, Ordering::AcqRel);
                Ok(map)
            }
            Err(failure) => self.present().ok_or(failure),
        }
    }

    fn keep(&self, map: SlotMap) -> Arc<SlotMap> {
        let mut present = self.map.write();
        match &*present {
            // The same one, so that nobody has to follow it.
            Some(same) if **same == map => Arc::clone(same),
            _ => Arc::clone(present.insert(Arc::new(map))),
        }
    }

    /// Asks several nodes, and returns the best answer.
    async fn ask_all(&self) -> Result<SlotMap, Failure> {
        let start = Instant::now();
        let limit = start + self.settings.connect / PARTS;
        let nodes = self.nodes_to_ask();
        let all = nodes.len();
        let mut asked: FuturesUnordered<_> = nodes
            .iter()
            .map(|node| async move {
                match tokio::time::timeout_at(limit, self.ask(node)).await {
                    Ok(view) => view,
                    Err(_) => Err(Failure::unavailable(&**node, "has not told its slots in time")),
                }
            })
            .collect();
        let (mut views, mut failure) = (Vec::new(), None);
        let mut until = limit;
        while let Ok(Some(answer)) = tokio::time::timeout_at(until, asked.next()).await {
            match answer {
                Ok(view) => {
                    if views.is_empty() {
                        let grace = start.elapsed().max(LEAST_GRACE);
                        until = limit.min(Instant::now() + grace);
                    }
                    views.push(view);
                }
                Err(other) => {
                    tracing::debug!(error = %other.error, "a node is passed over");
                    failure = Some(other);
                }
            }
        }
        let known = self.present().map_or(0, |map| map.epoch());
        choose(views, all, known).ok_or_else(|| {
            failure.unwrap_or_else(|| {
                Failure::unavailable(&*self.name, "is known to none but out-of-date nodes")
            })
        })
    }

    /// The node that is in doubt, some of those that are known to have slots, and of those that the URL names.
    fn nodes_to_ask(&self) -> Vec<Arc<Server>> {
        let mut chosen: Vec<Arc<Server>> = Vec::new();
        let doubted = self.doubted.lock().take();
        let known = self.present();
        let known = known.iter().flat_map(|map| map.primaries()).map(|host| self.server(host));
        let named = self.servers.nodes.iter().cloned().map(Arc::new);
        let mut known: Vec<_> = known.collect();
        // Not all processes ask the same ones.
        let turn = random::bits() as usize % known.len().max(1);
        known.rotate_left(turn);
        let most = if known.is_empty() { usize::MAX } else { MOST_ASKED };
        for node in doubted.into_iter().chain(known).chain(named) {
            if chosen.len() < most && !chosen.iter().any(|other| other.is_at(&node)) {
                chosen.push(node);
            }
        }
        chosen
    }

    async fn ask(&self, node: &Arc<Server>) -> Result<View, Failure> {
        let link = Transport::open(node, &self.settings, &Arc::default()).await?;
        let answers = link.send(&View::questions()).await;
        View::parse(node, answers.map_err(|error| Failure::client(node, error))?)
    }
}
