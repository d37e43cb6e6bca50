use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::certificates::Certificates;
use crate::client::{Reply, ask};
use crate::process::{FAILOVER_LIMIT, free_port, wait_for, wait_within};
use crate::server::{Flavor, TLS_CLUSTER, TestServer};

/// The number of primaries, each with one replica.
const PRIMARIES: usize = 3;

/// The number of slots.
const SLOTS: u16 = 16384;

/// The silence in milliseconds after which nodes take one for down.
const NODE_TIMEOUT: &str = "1500";

/// The time in which a failover that an operator asks for succeeds, or is given up.
const FAILOVER: Duration = Duration::from_secs(5);

/// The way in which nodes of a cluster name each other to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// By their addresses, which certificates do not name.
    Address,
    /// By the name `localhost`.
    Name,
}

/// A cluster of three primaries with a replica each. It ends with this value.
#[derive(Debug)]
pub struct Cluster {
    /// First the nodes that began as primaries, then the replicas, in the same order.
    pub nodes: Vec<TestServer>,
}

impl Cluster {
    /// Starts the nodes, and waits until all agree on the slots and the replicas follow.
    ///
    /// # Panics
    /// When they do not in time.
    #[must_use]
    pub fn start(flavor: Flavor) -> Self {
        Self::start_as(|| start_node(flavor))
    }

    /// Starts nodes that speak TLS on a further port, and to each other, with one of `certificates`. They tell clients
    /// their addresses, or the name `localhost`.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn start_tls(flavor: Flavor, certificates: &Certificates, tells: Endpoint) -> Self {
        let name = ["--cluster-announce-hostname", "localhost"];
        let preferred = ["--cluster-preferred-endpoint-type", "hostname"];
        let more: &[&str] = match tells {
            Endpoint::Address => &[],
            Endpoint::Name => &[name, preferred].concat(),
        };
        let node = || {
            let (bus, mut args) = node_args();
            args.extend([TLS_CLUSTER, "yes", "--tls-replication", "yes"].map(str::to_owned));
            args.extend(more.iter().map(|&arg| arg.to_owned()));
            let args: Vec<_> = args.iter().map(String::as_str).collect();
            (TestServer::start_tls_with(flavor, certificates, false, &args), bus)
        };
        Self::start_as(node)
    }

    /// Starts nodes that can be [cut off](Self::cut_off) from each other.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn start_divisible(flavor: Flavor, certificates: &Certificates) -> Self {
        Self::start_as(|| {
            let (bus, args) = node_args();
            let args: Vec<_> = args.iter().map(String::as_str).collect();
            (TestServer::start_tls_with(flavor, certificates, false, &args), bus)
        })
    }

    /// Cuts a primary off from the other nodes, which then give its slots to its replica. It still answers clients, and
    /// does not notice: it has to be one of a [divisible](Self::start_divisible) cluster.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn cut_off(&self, node: &TestServer) {
        ok(node, &["CONFIG", "SET", "cluster-node-timeout", "600000"]);
        ok(node, &["ACL", "SETUSER", "default", "-psync", "-sync"]);
        node.command(&["CLIENT", "KILL", "TYPE", "replica"]);
        // It speaks TLS to nodes that do not.
        ok(node, &["CONFIG", "SET", "tls-cluster", "yes"]);
        for other in self.nodes.iter().filter(|other| other.port() != node.port()) {
            // Redis 7.0 crashes if there is no link, as there may be none on the other side by then.
            ok(node, &["DEBUG", "CLUSTERLINK", "KILL", "all", &id(other)]);
        }
    }

    /// Ends [`cut_off`](Self::cut_off).
    ///
    /// # Panics
    /// When the node does not answer.
    pub fn rejoin(&self, node: &TestServer) {
        ok(node, &["ACL", "SETUSER", "default", "+psync", "+sync"]);
        ok(node, &["CONFIG", "SET", "cluster-node-timeout", NODE_TIMEOUT]);
        ok(node, &["CONFIG", "SET", "tls-cluster", "no"]);
    }

    fn start_as(start_node: impl Fn() -> (TestServer, String)) -> Self {
        let nodes: Vec<_> = (0..2 * PRIMARIES).map(|_| start_node()).collect();
        let share = SLOTS.div_ceil(PRIMARIES as u16);
        for (at, (node, _)) in nodes.iter().enumerate() {
            ok(node, &["CLUSTER", "SET-CONFIG-EPOCH", &(at + 1).to_string()]);
            if at < PRIMARIES {
                let from = share * at as u16;
                let to = (from + share).min(SLOTS) - 1;
                ok(node, &["CLUSTER", "ADDSLOTSRANGE", &from.to_string(), &to.to_string()]);
            }
        }
        let (first, others) = nodes.split_first().unwrap_or_else(|| unreachable!("it has nodes"));
        for (node, bus) in others {
            let port = node.cluster_port().to_string();
            ok(&first.0, &["CLUSTER", "MEET", "127.0.0.1", &port, bus]);
        }
        let this = Self { nodes: nodes.into_iter().map(|(node, _)| node).collect() };
        let ids: Vec<_> = this.nodes.iter().map(id).collect();
        for (replica, primary) in this.nodes[PRIMARIES..].iter().zip(&ids) {
            wait_for("the nodes to meet", || {
                let args = [&b"CLUSTER"[..], b"REPLICATE", primary.as_bytes()];
                ask(replica.port(), &args).is_ok_and(|reply| reply.text() == "OK")
            });
        }
        this.wait_until_ok();
        this.wait_until_shards_agree();
        this
    }

    /// Starts a node that belongs to no other.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn lone_node(flavor: Flavor) -> TestServer {
        start_node(flavor).0
    }

    /// Starts another node, and waits until all know it. It has no slots. Returns its port.
    ///
    /// # Panics
    /// When a node does not hear of it in time.
    pub fn add_node(&mut self, flavor: Flavor) -> u16 {
        let (node, bus) = start_node(flavor);
        let port = node.port();
        ok(&self.nodes[0], &["CLUSTER", "MEET", "127.0.0.1", &port.to_string(), &bus]);
        self.nodes.push(node);
        let known = format!("cluster_known_nodes:{}\r\n", self.nodes.len());
        wait_for("the nodes to meet", || {
            let running = self.nodes.iter().filter(|node| node.is_running());
            let mut infos = running.map(|node| node.command(&["CLUSTER", "INFO"]));
            infos.all(|info| info.text().contains(&known))
        });
        self.wait_until_ok();
        port
    }

    /// Makes the node on `port`, which has no slots, a replica of the node on `primary`.
    ///
    /// # Panics
    /// When it does not follow in time.
    pub fn make_replica(&self, port: u16, primary: u16) {
        ok(self.at(port), &["CLUSTER", "REPLICATE", &id(self.at(primary))]);
        self.at(port).wait_until_following();
        self.wait_until_shards_agree();
    }

    /// The address of a store, as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<_> =
            self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis-cluster://{}", hosts.join(","))
    }

    /// As [`url`](Self::url), over TLS.
    ///
    /// # Panics
    /// When the nodes do not speak TLS.
    #[must_use]
    pub fn tls_url(&self) -> String {
        let hosts: Vec<_> =
            self.nodes.iter().map(|node| format!("localhost:{}", node.tls_port())).collect();
        format!("rediss-cluster://{}", hosts.join(","))
    }

    /// Waits until each node that answers sees all slots served, by the same primaries, and each replica follows.
    ///
    /// # Panics
    /// When that is not so in time.
    pub fn wait_until_ok(&self) {
        wait_for("the cluster to be ok", || self.is_ok());
    }

    /// Waits until each node has noted that a replica is of the same shard as its primary. A node of Valkey 8.0 that is
    /// killed before that refuses its own notes when it starts again (valkey-io/valkey#774).
    fn wait_until_shards_agree(&self) {
        let running = || self.nodes.iter().filter(|node| node.is_running());
        wait_for("the nodes to agree on shards", || running().all(shards_agree));
    }

    fn is_ok(&self) -> bool {
        let mut seen: Option<Vec<(u16, u16, u16)>> = None;
        for node in self.nodes.iter().filter(|node| node.is_running()) {
            let Ok(info) = ask(node.port(), &[b"CLUSTER", b"INFO"]) else { return false };
            if !info.text().contains("cluster_state:ok") {
                return false;
            }
            let Ok(role) = ask(node.port(), &[b"ROLE"]) else { return false };
            let is_replica = role.list().first().is_some_and(|role| role.text() == "slave");
            if is_replica && role.list().get(3).is_none_or(|state| state.text() != "connected") {
                return false;
            }
            let Some(owners) = owners(node.port()) else { return false };
            if owners.iter().map(|(from, to, _)| to - from + 1).sum::<u16>() != SLOTS {
                return false;
            }
            if seen.get_or_insert_with(|| owners.clone()) != &owners {
                return false;
            }
        }
        seen.is_some()
    }

    /// The primary of a slot, as the first node that answers says.
    ///
    /// # Panics
    /// When none knows one.
    #[must_use]
    pub fn primary_of(&self, slot: u16) -> &TestServer {
        let running = self.nodes.iter().filter(|node| node.is_running());
        let owner = running.filter_map(|node| owners(node.port())).find_map(|owners| {
            let owner = owners.iter().find(|(from, to, _)| (*from..=*to).contains(&slot));
            owner.map(|(.., port)| *port)
        });
        let owner = owner.unwrap_or_else(|| panic!("slot {slot} has no primary"));
        self.at(owner)
    }

    /// The replica of a node.
    ///
    /// # Panics
    /// When it has none that answers.
    #[must_use]
    pub fn replica_of(&self, primary: &TestServer) -> &TestServer {
        let port = primary.cluster_port().to_string();
        let follows = |node: &&TestServer| {
            let role = ask(node.port(), &[b"ROLE"]);
            role.is_ok_and(|role| role.list().get(2).is_some_and(|of| of.text() == port))
        };
        let mut running = self.nodes.iter().filter(|node| node.is_running());
        running.find(follows).unwrap_or_else(|| panic!("{port} has no replica"))
    }

    /// The node that listens on `port`.
    ///
    /// # Panics
    /// When none does.
    #[must_use]
    pub fn at(&self, port: u16) -> &TestServer {
        let found = self.nodes.iter().find(|node| node.port() == port);
        found.unwrap_or_else(|| panic!("no node of the cluster listens on {port}"))
    }

    /// As [`at`](Self::at).
    ///
    /// # Panics
    /// When none does.
    pub fn at_mut(&mut self, port: u16) -> &mut TestServer {
        let found = self.nodes.iter_mut().find(|node| node.port() == port);
        found.unwrap_or_else(|| panic!("no node of the cluster listens on {port}"))
    }

    /// Waits until a slot has another primary than the node on `former`. Returns its port.
    ///
    /// # Panics
    /// When that is not so in time.
    #[must_use]
    pub fn wait_for_other_primary(&self, slot: u16, former: u16) -> u16 {
        let mut found = former;
        wait_within(FAILOVER_LIMIT, "another primary of a slot", || {
            let running =
                self.nodes.iter().filter(|node| node.is_running() && node.port() != former);
            let mut all = running.filter_map(|node| owners(node.port()));
            found = former;
            all.all(|owners| {
                let owner = owners.iter().find(|(from, to, _)| (*from..=*to).contains(&slot));
                let owner = owner.map_or(former, |(.., port)| *port);
                let is_same = found == former || found == owner;
                found = owner;
                is_same && owner != former
            })
        });
        found
    }

    /// Makes the replica of a slot's primary the primary, as an operator does. Returns its port.
    ///
    /// # Panics
    /// When that does not succeed in time.
    pub fn fail_over(&self, slot: u16) -> u16 {
        let former = self.primary_of(slot).port();
        let replica = self.replica_of(self.at(former));
        let mut asked = None;
        wait_within(FAILOVER_LIMIT, "a failover", || {
            // The nodes give it up when they are too busy.
            if asked.is_none_or(|asked: Instant| asked.elapsed() > FAILOVER) {
                asked = Some(Instant::now());
                let reply = replica.command(&["CLUSTER", "FAILOVER"]).text();
                assert!(
                    reply == "OK" || reply.contains("send the command to a replica"),
                    "{reply}"
                );
            }
            self.primary_of(slot).port() == replica.port()
        });
        self.wait_for_other_primary(slot, former)
    }

    /// Begins to move a slot to the node behind `to`.
    ///
    /// # Panics
    /// When a node refuses.
    pub fn begin_to_move(&self, slot: u16, to: &TestServer) {
        let from = self.primary_of(slot);
        let slot = slot.to_string();
        ok(to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(from)]);
        ok(from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)]);
    }

    /// Moves up to `most` keys of a slot that is being moved. Returns the number of keys that were moved.
    ///
    /// # Panics
    /// When a node refuses.
    pub fn move_keys(&self, slot: u16, to: &TestServer, most: usize) -> usize {
        let from = self.primary_of(slot);
        let (slot, most, port) =
            (slot.to_string(), most.to_string(), to.cluster_port().to_string());
        let names = from.command(&["CLUSTER", "GETKEYSINSLOT", &slot, &most]);
        let names: Vec<_> = names.list().iter().map(Reply::text).collect();
        if names.is_empty() {
            return 0;
        }
        let mut command = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "REPLACE", "KEYS"];
        command.extend(names.iter().map(String::as_str));
        let moved = from.command(&command).text();
        assert!(matches!(moved.as_str(), "OK" | "NOKEY"), "{moved}");
        names.len()
    }

    /// Moves the rest of a slot that is being moved, and makes all nodes know.
    ///
    /// # Panics
    /// When a node refuses.
    pub fn end_move(&self, slot: u16, to: &TestServer) {
        let from = self.primary_of(slot);
        let deadline = Instant::now() + Duration::from_secs(20);
        let (target, number) = (id(to), slot.to_string());
        loop {
            while self.move_keys(slot, to, 100) > 0 {
                assert!(Instant::now() < deadline, "the keys of slot {slot} do not end");
            }
            ok(to, &["CLUSTER", "SETSLOT", &number, "NODE", &target]);
            // Refused while it still has keys.
            if from.command(&["CLUSTER", "SETSLOT", &number, "NODE", &target]).text() == "OK" {
                break;
            }
        }
        for node in self.nodes.iter().filter(|node| node.is_running()) {
            // Replicas hear of it by themselves.
            let _ = ask(
                node.port(),
                &[b"CLUSTER", b"SETSLOT", number.as_bytes(), b"NODE", target.as_bytes()],
            );
        }
    }

    /// Moves a slot to the node behind `to`.
    ///
    /// # Panics
    /// When a node refuses.
    pub fn move_slot(&self, slot: u16, to: &TestServer) {
        self.begin_to_move(slot, to);
        self.end_move(slot, to);
    }

    /// Sends a command to each primary.
    ///
    /// # Panics
    /// When one does not answer.
    pub fn on_primaries(&self, args: &[&str]) {
        for node in self.nodes.iter().filter(|node| node.is_running()) {
            let role = node.command(&["ROLE"]);
            if role.list().first().is_some_and(|role| role.text() == "master") {
                node.command(args);
            }
        }
    }
}

/// Starts a node. Returns it with the port that other nodes speak to.
fn start_node(flavor: Flavor) -> (TestServer, String) {
    let (bus, args) = node_args();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    (TestServer::start_with(flavor, &args), bus)
}

/// The port that other nodes speak to, and the arguments of a node.
fn node_args() -> (String, Vec<String>) {
    // The default is the port and 10,000, which may be no port.
    let bus = free_port().to_string();
    let args = ["--cluster-enabled", "yes", "--cluster-port", &bus];
    let timeout = ["--cluster-node-timeout", NODE_TIMEOUT];
    let replicas = ["--cluster-replica-validity-factor", "0"];
    let args = [&args[..], &timeout, &replicas].concat().into_iter().map(str::to_owned).collect();
    (bus, args)
}

/// The ranges of slots, and the ports of their primaries.
fn owners(port: u16) -> Option<Vec<(u16, u16, u16)>> {
    let slots = ask(port, &[b"CLUSTER", b"SLOTS"]).ok()?;
    let number = |reply: &Reply| reply.text().parse::<u16>().ok();
    let range = |range: &Reply| {
        let fields = range.list();
        let owner = fields.get(2)?.list().get(1)?;
        Some((number(fields.first()?)?, number(fields.get(1)?)?, number(owner)?))
    };
    let mut ranges: Vec<_> = slots.list().iter().map(range).collect::<Option<_>>()?;
    ranges.sort_unstable();
    Some(ranges)
}

/// Returns true if a node has noted of each replica that it is of the shard of its primary. Redis 7.0 knows no shards.
fn shards_agree(node: &TestServer) -> bool {
    let notes = std::fs::read_to_string(node.folder().join("nodes.conf")).unwrap_or_default();
    let nodes = notes.lines().filter_map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
        [id, addresses, _, primary, ..] => {
            let shard = addresses.split(',').find(|field| field.starts_with("shard-id="));
            Some((id, (primary, shard)))
        }
        _ => None,
    });
    let nodes: HashMap<_, _> = nodes.collect();
    nodes.values().all(|(primary, shard)| nodes.get(primary).is_none_or(|(_, of)| of == shard))
}

fn id(node: &TestServer) -> String {
    node.command(&["CLUSTER", "MYID"]).text()
}

fn ok(node: &TestServer, args: &[&str]) {
    let reply = node.command(args).text();
    assert_eq!(reply, "OK", "{args:?}");
}
