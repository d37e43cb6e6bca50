use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::certificates::Certificates;
use crate::client::{Reply, ask, ask_in};
use crate::monitor::Monitor;
use crate::process::{ATTEMPTS, Process, START_LIMIT, free_port, log_in, wait_for};

/// The kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// `redis-server`.
    Redis,
    /// `valkey-server`.
    Valkey,
}

impl Flavor {
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Redis => "redis-server",
            Self::Valkey => "valkey-server",
        }
    }

    /// The Debian package that installs it.
    pub(crate) fn install(self) -> &'static str {
        match self {
            Self::Redis => "apt-get install redis-server",
            Self::Valkey => "apt-get install valkey-server (on Debian 12: from bookworm-backports)",
        }
    }
}

/// The argument by which nodes of a cluster speak TLS to each other.
pub(crate) const TLS_CLUSTER: &str = "--tls-cluster";

/// The option of a server that speaks TLS to its replicas or its primary.
const TLS_REPLICATION: &str = "--tls-replication";

/// A server process of its own, in a folder of its own. Ends with this value.
#[derive(Debug)]
pub struct TestServer {
    flavor: Flavor,
    port: u16,
    folder: PathBuf,
    args: Vec<String>,
    /// The port that it speaks TLS on, if it does.
    tls_port: Option<u16>,
    process: Option<Process>,
}

/// The ports that a server listens on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ports {
    Plain,
    PlainAndTls,
}

impl TestServer {
    /// Starts a server that keeps nothing on disk.
    ///
    /// # Panics
    /// When the program is not installed (the message says how to install it) or does not start.
    #[must_use]
    pub fn start(flavor: Flavor) -> Self {
        Self::start_with(flavor, &[])
    }

    /// Starts a server with further arguments.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn start_with(flavor: Flavor, args: &[&str]) -> Self {
        Self::start_at(flavor, args, Ports::Plain)
    }

    /// Starts a server that speaks TLS on a further port, with one of `certificates`. If `wants_client` is true it wants
    /// one of its clients too.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn start_tls(flavor: Flavor, certificates: &Certificates, wants_client: bool) -> Self {
        Self::start_tls_with(flavor, certificates, wants_client, &[])
    }

    /// Starts a server that speaks TLS on a further port, to its replicas too.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn start_tls_replication(flavor: Flavor, certificates: &Certificates) -> Self {
        Self::start_tls_with(flavor, certificates, false, &[TLS_REPLICATION, "yes"])
    }

    pub(crate) fn start_tls_with(
        flavor: Flavor,
        certificates: &Certificates,
        wants_client: bool,
        more: &[&str],
    ) -> Self {
        let path = |name: &str| certificates.path(name).display().to_string();
        let clients = if wants_client { "yes" } else { "no" };
        let args = [
            ("--tls-cert-file", path("server.pem")),
            ("--tls-key-file", path("server.key")),
            ("--tls-ca-cert-file", path("ca.pem")),
            ("--tls-auth-clients", clients.to_owned()),
        ];
        let args = args.iter().flat_map(|(name, value)| [*name, value.as_str()]);
        let args: Vec<&str> = args.chain(more.iter().copied()).collect();
        Self::start_at(flavor, &args, Ports::PlainAndTls)
    }

    fn start_at(flavor: Flavor, args: &[&str], ports: Ports) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("server-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let mut server = Self { flavor, port: 0, tls_port: None, folder, args, process: None };
        for _ in 0..ATTEMPTS {
            server.port = free_port();
            server.tls_port = (ports == Ports::PlainAndTls).then(free_port);
            if server.run() {
                return server;
            }
        }
        panic!("{} does not start:\n{}", flavor.program(), log_in(&server.folder));
    }

    /// Starts a replica of this server and waits until it follows.
    ///
    /// # Panics
    /// As [`start`](Self::start), and when it does not follow in time.
    #[must_use]
    pub fn replica(&self) -> Self {
        let replicates_by_tls = self.args.iter().any(|arg| arg == TLS_REPLICATION);
        let port = if replicates_by_tls { self.tls_port() } else { self.port }.to_string();
        let replica_of = ["--replicaof", "127.0.0.1", &port];
        let replica = match self.tls_port {
            None => Self::start_with(self.flavor, &replica_of),
            Some(_) => {
                let args = self.args.iter().map(String::as_str);
                let args: Vec<_> = args.chain(replica_of).collect();
                Self::start_at(self.flavor, &args, Ports::PlainAndTls)
            }
        };
        replica.wait_until_following();
        replica
    }

    /// Makes this server a replica of the one behind `port`, and waits until it follows.
    ///
    /// # Panics
    /// When it does not follow in time.
    pub fn follow(&self, port: u16) {
        self.command(&["REPLICAOF", "127.0.0.1", &port.to_string()]);
        self.wait_until_following();
    }

    /// Waits until this replica follows its primary.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn wait_until_following(&self) {
        wait_for("the replica to follow", || {
            self.command(&["INFO", "replication"]).text().contains("master_link_status:up")
        });
    }

    /// Starts the process on its port; whether it listens.
    fn run(&mut self) -> bool {
        // It adds to what an earlier one has written.
        let _ = std::fs::remove_file(self.folder.join("log"));
        let port = self.port.to_string();
        let mut args: Vec<&str> = vec![self.flavor.program(), "--port", &port];
        args.extend(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        args.extend(["--repl-diskless-sync-delay", "0", "--databases", "1000"]);
        args.extend(["--logfile", "log", "--unixsocket", "socket"]);
        args.extend(["--enable-debug-command", "yes"]);
        args.extend(self.args.iter().map(String::as_str));
        let tls_port = self.tls_port.map(|port| port.to_string());
        args.extend(tls_port.iter().flat_map(|port| ["--tls-port", port]));
        self.process = Some(Process::start(&args, &self.folder));
        let deadline = Instant::now() + START_LIMIT;
        while Instant::now() < deadline {
            // If another process was faster it is that one which answers on the port.
            let log = log_in(&self.folder);
            if log.contains("Failed listening") || !self.is_running() {
                break;
            }
            let is_ready = log.contains("eady to accept connections");
            match ask(self.port, &[b"PING"]) {
                Ok(Reply::Bytes(_)) if is_ready => return true,
                // One that wants a password listens too.
                Ok(Reply::Error(text)) if is_ready && text.starts_with("NOAUTH") => return true,
                _ => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        self.kill();
        false
    }

    /// Returns whether the process is there.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.process.as_ref().is_some_and(Process::is_running)
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its address as a URL of connections over TLS.
    ///
    /// # Panics
    /// When it does not speak TLS.
    #[must_use]
    pub fn tls_url(&self) -> String {
        format!("rediss://localhost:{}", self.tls_port())
    }

    /// The port on which it speaks TLS.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn tls_port(&self) -> u16 {
        self.tls_port.unwrap_or_else(|| panic!("{} does not speak TLS", self.url()))
    }

    /// The port that other nodes of its cluster know it by.
    pub(crate) fn cluster_port(&self) -> u16 {
        let is_secured = self.args.iter().any(|arg| arg == TLS_CLUSTER);
        self.tls_port.filter(|_| is_secured).unwrap_or(self.port)
    }

    /// Returns whether this is one of the ports that it listens on.
    #[must_use]
    pub fn listens_on(&self, port: u16) -> bool {
        self.port == port || self.tls_port == Some(port)
    }

    /// The unix socket it listens on.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Sends a command and gives back the answer, an error of the server included.
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn command(&self, args: &[&str]) -> Reply {
        let args: Vec<_> = args.iter().map(|arg| arg.as_bytes()).collect();
        self.bytes(&args)
    }

    /// As [`command`](Self::command), with arguments that need not be text.
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn bytes(&self, args: &[&[u8]]) -> Reply {
        ask(self.port, args).unwrap_or_else(|error| panic!("{}: {error}", self.url()))
    }

    /// As [`command`](Self::command), in one of the databases.
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn command_in(&self, database: u32, args: &[&str]) -> Reply {
        let args: Vec<_> = args.iter().map(|arg| arg.as_bytes()).collect();
        let reply = ask_in(self.port, database, &args);
        reply.unwrap_or_else(|error| panic!("{}/{database}: {error}", self.url()))
    }

    /// Shows what clients send from now on.
    ///
    /// # Panics
    /// When the server does not answer.
    #[must_use]
    pub fn monitor(&self) -> Monitor {
        Monitor::start(self.port).unwrap_or_else(|error| panic!("{}: {error}", self.url()))
    }

    /// Kills the process, as a crash does.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts the process again, on the same port, with what it finds in its folder.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.kill();
        if !self.run() {
            panic!("{} does not start again:\n{}", self.url(), log_in(&self.folder));
        }
    }

    /// Stops the process: it keeps its connections and takes new ones, but answers nothing.
    pub fn pause(&self) {
        if let Some(process) = &self.process {
            process.signal("STOP");
        }
    }

    /// Lets a stopped process go on.
    pub fn resume(&self) {
        if let Some(process) = &self.process {
            process.signal("CONT");
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.kill();
        // What is left behind in the temporary folder does no harm.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bug: whatever answered on a server's port was taken for it. Effect: two tests that drew the same port at the
    /// same time shared one server. Fix: the server's own log says that it listens.
    #[test]
    fn a_server_whose_port_is_taken_does_not_run() {
        for flavor in [Flavor::Redis, Flavor::Valkey] {
            let (first, mut second) = (TestServer::start(flavor), TestServer::start(flavor));
            let own = std::mem::replace(&mut second.port, first.port);
            second.kill();
            assert!(!second.run());
            second.port = own;
            assert!(second.run());
        }
    }
}
