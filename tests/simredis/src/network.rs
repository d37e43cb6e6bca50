//! The network between processes and servers.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use region_redis::testing::{Connect, Connecting, Stream};
use tokio::time::Instant;

use crate::connection::{BUFFER, serve};
use crate::link::{Link, Way};
use crate::server::Server;

/// The network: servers by the names of their hosts, and all connections. Clones are the same.
#[derive(Clone)]
pub struct Network(Arc<Mutex<State>>);

struct State {
    rng: StdRng,
    latency: Duration,
    hosts: BTreeMap<String, Server>,
    links: Vec<Connection>,
    /// The processes that cannot connect, and until when.
    refused: BTreeMap<usize, Instant>,
}

struct Connection {
    process: usize,
    link: Weak<Link>,
}

impl Network {
    /// A network on which bytes take up to `latency` each way. All its random numbers follow from the seed.
    #[must_use]
    pub fn new(seed: u64, latency: Duration) -> Self {
        let state = State {
            rng: StdRng::seed_from_u64(seed),
            latency,
            hosts: BTreeMap::new(),
            links: Vec::new(),
            refused: BTreeMap::new(),
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Lets a host's name lead to a server; connections that are open stay.
    pub fn bind(&self, host: &str, server: &Server) {
        self.0.lock().hosts.insert(host.to_owned(), server.clone());
    }

    /// What opens connections for the process with this number.
    #[must_use]
    pub fn connector(&self, process: usize) -> Arc<dyn Connect> {
        Arc::new(Process { network: self.clone(), process })
    }

    /// The process cannot connect for a while.
    pub fn refuse(&self, process: usize, duration: Duration) {
        self.0.lock().refused.insert(process, Instant::now() + duration);
    }

    /// Breaks the connections of a process, each after so many more bytes to the client.
    pub fn cut(&self, process: usize, after: usize) {
        self.links_of(process).iter().for_each(|link| link.cut(after));
    }

    /// Lets nothing pass over the present connections of a process for a while, in one way.
    pub fn hold(&self, process: usize, way: Way, duration: Duration) {
        let until = Instant::now() + duration;
        self.links_of(process).iter().for_each(|link| link.hold(way, until));
    }

    /// Lets nothing pass for a while over the connection of a process that was opened last, if it has others.
    pub fn silence_newest(&self, process: usize, duration: Duration) {
        let until = Instant::now() + duration;
        if let [_, .., link] = &self.links_of(process)[..] {
            link.hold(Way::There, until);
            link.hold(Way::Back, until);
        }
    }

    /// Waits until all that is on its way to the process by now has reached it, or never will; `None` if nothing is.
    /// Returns whether it has.
    #[must_use]
    pub fn settling(&self, process: usize) -> Option<impl Future<Output = bool> + Send + use<>> {
        let settling: Vec<_> =
            self.links_of(process).iter().filter_map(|link| link.settling()).collect();
        (!settling.is_empty())
            .then_some(async move { join_all(settling).await.into_iter().all(|is_told| is_told) })
    }

    fn links_of(&self, process: usize) -> Vec<Arc<Link>> {
        let mut state = self.0.lock();
        state.links.retain(|one| one.link.upgrade().is_some_and(|link| !link.has_ended()));
        let mine = state.links.iter().filter(|one| one.process == process);
        mine.filter_map(|one| one.link.upgrade()).collect()
    }

    fn connect(&self, process: usize, host: &str) -> io::Result<Box<dyn Stream>> {
        let mut state = self.0.lock();
        if state.refused.get(&process).is_some_and(|until| Instant::now() < *until) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let server = state.hosts.get(host).cloned();
        let server = server.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let link = Arc::new(Link::new(state.rng.random(), state.latency));
        state.links.push(Connection { process, link: Arc::downgrade(&link) });
        drop(state);
        let (near, far) = tokio::io::duplex(BUFFER);
        serve(&server, process, link, far);
        Ok(Box::new(near))
    }
}

struct Process {
    network: Network,
    process: usize,
}

impl Connect for Process {
    fn connect(&self, host: &str, _port: u16) -> Connecting {
        let (network, process, host) = (self.network.clone(), self.process, host.to_owned());
        Box::pin(async move { network.connect(process, &host) })
    }
}
