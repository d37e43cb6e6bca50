use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::certificates::Certificates;
use crate::client::{Reply, ask, ask_as};
use crate::process::{
    ATTEMPTS, FAILOVER_LIMIT, Process, START_LIMIT, free_port, log_in, wait_for, wait_within,
};
use crate::server::{Flavor, TestServer};

/// The name that the sentinels have for the primary.
const SERVICE: &str = "main";

/// The number of sentinels, and the number that has to agree.
const SENTINELS: usize = 3;
const QUORUM: usize = 2;

/// Settings of sentinels.
#[derive(Clone, Debug)]
pub struct SentinelSettings {
    /// The silence of a server after which a sentinel takes it for down.
    pub down_after: Duration,
    /// The password that the sentinels ask for.
    pub password: Option<String>,
    /// Further lines of their configuration.
    pub lines: Vec<String>,
    /// The certificates with which they speak TLS, to clients on a further port and to the servers.
    pub certificates: Option<Arc<Certificates>>,
}

impl Default for SentinelSettings {
    /// A failover takes two seconds.
    fn default() -> Self {
        let (password, lines, certificates) = (None, Vec::new(), None);
        Self { down_after: Duration::from_millis(1000), password, lines, certificates }
    }
}

/// Three sentinels of one primary, each a process of its own. They end with this value.
#[derive(Debug)]
pub struct Sentinels {
    all: Vec<Sentinel>,
}

/// One sentinel.
#[derive(Debug)]
pub struct Sentinel {
    flavor: Flavor,
    port: u16,
    tls_port: Option<u16>,
    folder: PathBuf,
    password: Option<String>,
    process: Option<Process>,
}

impl Sentinels {
    /// Starts sentinels of the primary behind `port`, and waits until each knows the others and the `replicas`.
    ///
    /// # Panics
    /// When they do not start, or do not find each other in time.
    #[must_use]
    pub fn start(flavor: Flavor, port: u16, replicas: usize, settings: &SentinelSettings) -> Self {
        let all = (0..SENTINELS).map(|_| Sentinel::start(flavor, port, settings)).collect();
        let this = Self { all };
        for sentinel in &this.all {
            wait_for("the sentinels to find all", || {
                let number = |field| sentinel.field(field).parse::<usize>().unwrap_or_default();
                number("num-slaves") == replicas && number("num-other-sentinels") == SENTINELS - 1
            });
        }
        this
    }

    /// The address of a store, as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.all.iter().map(|one| format!("127.0.0.1:{}", one.port)).collect();
        format!("redis-sentinel://{}/{SERVICE}", hosts.join(","))
    }

    /// The address of a store whose connections are all over TLS, as a URL.
    ///
    /// # Panics
    /// When the sentinels do not speak TLS.
    #[must_use]
    pub fn tls_url(&self) -> String {
        let port = |one: &Sentinel| one.tls_port.unwrap_or_else(|| panic!("they speak no TLS"));
        let hosts: Vec<_> = self.all.iter().map(|one| format!("localhost:{}", port(one))).collect();
        format!("rediss-sentinel://{}/{SERVICE}", hosts.join(","))
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Sentinel] {
        &self.all
    }

    /// As [`all`](Self::all).
    pub fn all_mut(&mut self) -> &mut [Sentinel] {
        &mut self.all
    }

    /// Waits until all sentinels that answer name another primary than the one behind `port`. Returns its port.
    ///
    /// # Panics
    /// When they do not in time.
    #[must_use]
    pub fn wait_until_other_than(&self, port: u16) -> u16 {
        let mut named = port;
        wait_within(FAILOVER_LIMIT, "another primary", || {
            let ports: Vec<_> = self.all.iter().filter_map(Sentinel::primary_port).collect();
            named = ports.first().copied().unwrap_or(port);
            named != port && ports.iter().all(|other| *other == named)
        });
        named
    }
}

impl Sentinel {
    fn start(flavor: Flavor, primary: u16, settings: &SentinelSettings) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("sentinel-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
        let password = settings.password.clone();
        let mut sentinel =
            Self { flavor, port: 0, tls_port: None, folder, password, process: None };
        for _ in 0..ATTEMPTS {
            sentinel.port = free_port();
            sentinel.tls_port = settings.certificates.as_ref().map(|_| free_port());
            sentinel.configure(primary, settings);
            if sentinel.run() {
                return sentinel;
            }
        }
        panic!("the sentinel does not start: see {:?}", sentinel.folder.join("log"));
    }

    fn configure(&self, primary: u16, settings: &SentinelSettings) {
        let millis = settings.down_after.as_millis();
        let mut lines = vec![
            format!("port {}", self.port),
            "bind 127.0.0.1".to_owned(),
            "logfile log".to_owned(),
            format!("sentinel monitor {SERVICE} 127.0.0.1 {primary} {QUORUM}"),
            format!("sentinel down-after-milliseconds {SERVICE} {millis}"),
            format!("sentinel failover-timeout {SERVICE} 5000"),
            format!("sentinel parallel-syncs {SERVICE} 2"),
        ];
        if let Some(password) = &self.password {
            lines.push(format!("requirepass {password}"));
            lines.push(format!("sentinel sentinel-pass {password}"));
        }
        if let (Some(port), Some(certificates)) = (self.tls_port, &settings.certificates) {
            let path = |name| certificates.path(name).display().to_string();
            lines.push(format!("tls-port {port}"));
            lines.push(format!("tls-cert-file {}", path("server.pem")));
            lines.push(format!("tls-key-file {}", path("server.key")));
            lines.push(format!("tls-ca-cert-file {}", path("ca.pem")));
            lines.extend(["tls-auth-clients no", "tls-replication yes"].map(str::to_owned));
        }
        lines.extend(settings.lines.iter().cloned());
        let path = self.folder.join("sentinel.conf");
        std::fs::write(&path, lines.join("\n") + "\n")
            .unwrap_or_else(|error| panic!("{path:?}: {error}"));
    }

    /// Starts the process on its port; whether it listens.
    fn run(&mut self) -> bool {
        let _ = std::fs::remove_file(self.folder.join("log"));
        let args = [self.flavor.program(), "sentinel.conf", "--sentinel"];
        let process = self.process.insert(Process::start(&args, &self.folder));
        let deadline = Instant::now() + START_LIMIT;
        while Instant::now() < deadline && process.is_running() {
            let log = log_in(&self.folder);
            if log.contains("Sentinel ID is") && ask(self.port, &[b"PING"]).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.kill();
        false
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sends a command and gives back the answer, an error included; `None` if it does not answer.
    pub fn command(&self, args: &[&str]) -> Option<Reply> {
        self.process.as_ref()?;
        let args: Vec<_> = args.iter().map(|arg| arg.as_bytes()).collect();
        match &self.password {
            Some(password) => ask_as(self.port, password, &args).ok(),
            None => ask(self.port, &args).ok(),
        }
    }

    /// The port of the primary that it names; `None` if it does not answer.
    fn primary_port(&self) -> Option<u16> {
        let address = self.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE])?;
        address.list().get(1)?.text().parse().ok()
    }

    /// A field of what it knows of the primary.
    fn field(&self, name: &str) -> String {
        let Some(fields) = self.command(&["SENTINEL", "MASTER", SERVICE]) else {
            return String::new();
        };
        let mut pairs = fields.list().chunks(2);
        let pair = pairs.find(|pair| pair[0].text() == name);
        pair.and_then(|pair| pair.get(1)).map(Reply::text).unwrap_or_default()
    }

    /// Kills the process, as a crash does.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts the process again, on the same port, with what it remembers.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.kill();
        assert!(self.run(), "a sentinel does not start again: see {:?}", self.folder);
    }

    /// Stops the process: it keeps its connections and takes new ones, but answers nothing.
    pub fn pause(&self) {
        self.process.iter().for_each(|process| {
            process.signal("STOP");
        });
    }

    /// Lets a stopped process go on.
    pub fn resume(&self) {
        self.process.iter().for_each(|process| {
            process.signal("CONT");
        });
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.kill();
        // What is left behind in the temporary folder does no harm.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A primary, two replicas and three sentinels.
#[derive(Debug)]
pub struct SentinelSet {
    /// The primary first, as it was in the beginning, then the replicas.
    pub servers: Vec<TestServer>,
    /// The sentinels.
    pub sentinels: Sentinels,
}

impl SentinelSet {
    /// Starts all, and waits until each has found the others.
    ///
    /// # Panics
    /// As [`Sentinels::start`].
    #[must_use]
    pub fn start(flavor: Flavor, settings: &SentinelSettings) -> Self {
        let (primary, port) = match &settings.certificates {
            None => {
                let primary = TestServer::start(flavor);
                let port = primary.port();
                (primary, port)
            }
            Some(certificates) => {
                let primary = TestServer::start_tls_replication(flavor, certificates);
                let port = primary.tls_port();
                (primary, port)
            }
        };
        let replicas = [primary.replica(), primary.replica()];
        let sentinels = Sentinels::start(flavor, port, replicas.len(), settings);
        let mut servers = vec![primary];
        servers.extend(replicas);
        Self { servers, sentinels }
    }

    /// The server that listens on `port`, or speaks TLS on it.
    ///
    /// # Panics
    /// When none does.
    #[must_use]
    pub fn at(&self, port: u16) -> &TestServer {
        let found = self.servers.iter().find(|server| server.listens_on(port));
        found.unwrap_or_else(|| panic!("no server of the set listens on {port}"))
    }
}
