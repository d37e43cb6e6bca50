use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::ops::Range;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::server::Flavor;

/// The longest time that a server may take to start, or to follow another.
pub(crate) const START_LIMIT: Duration = Duration::from_secs(20);

/// The longest wait for a failover. An attempt may fail, for want of votes or of a replica that is known to be well,
/// and the next one begins some ten seconds later.
pub(crate) const FAILOVER_LIMIT: Duration = Duration::from_secs(60);

/// The number of attempts to start a server when another process takes its port.
pub(crate) const ATTEMPTS: usize = 5;

/// A server's process, below a shell that kills it when this process ends, however it does.
#[derive(Debug)]
pub(crate) struct Process {
    shell: Child,
    pid: String,
}

impl Process {
    pub(crate) fn start(args: &[&str], folder: &Path) -> Self {
        const SCRIPT: &str = r#"
            command -v "$1" >/dev/null || { echo missing; exit; }
            "$@" </dev/null >/dev/null 2>&1 &
            echo $!
            read -r end
            kill -KILL $!
        "#;
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "sh"])
            .args(args)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("no shell: {error}"));
        let mut pid = String::new();
        if let Some(output) = shell.stdout.take() {
            let read = BufReader::new(output).read_line(&mut pid);
            read.unwrap_or_else(|error| panic!("the shell says nothing: {error}"));
        }
        let pid = pid.trim().to_owned();
        if pid == "missing" {
            let flavor =
                [Flavor::Redis, Flavor::Valkey].into_iter().find(|f| f.program() == args[0]);
            let install = flavor.map(Flavor::install).unwrap_or_default();
            panic!("{} is not installed; install it: {install}", args[0]);
        }
        Self { shell, pid }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.signal("0")
    }

    /// Returns whether there is a process to take the signal.
    pub(crate) fn signal(&self, signal: &str) -> bool {
        let args = [format!("-{signal}"), self.pid.clone()];
        let status = Command::new("kill").args(args).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal("KILL");
        // The shell ends once nothing can be written to it any more.
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// What the process in this folder has logged. It may contain whatever bytes were sent to it.
pub(crate) fn log_in(folder: &Path) -> String {
    let log = std::fs::read(folder.join("log")).unwrap_or_default();
    String::from_utf8_lossy(&log).into_owned()
}

pub(crate) fn wait_for(what: &str, done: impl FnMut() -> bool) {
    wait_within(START_LIMIT, what, done);
}

pub(crate) fn wait_within(limit: Duration, what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !done() {
        assert!(Instant::now() < deadline, "waited for {what} in vain");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The ports that servers get. The system gives none of them to outgoing connections, which might take the port of a
/// server while that is down.
const PORTS: Range<u16> = 10_000..32_000;

/// The ports that were given to servers of this program. None is given twice: its server may be down, and start again.
static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

/// A port that nobody listens on, outside of the range of outgoing connections, and that was not given before.
///
/// # Panics
/// When there seems to be none.
pub fn free_port() -> u16 {
    let random = || RandomState::new().build_hasher().finish();
    let mut drawn = (0..1_000).map(|_| {
        let at = random() % u64::from(PORTS.end - PORTS.start);
        PORTS.start + u16::try_from(at).unwrap_or_default()
    });
    let is_new = |port: &u16| GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(*port);
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    drawn
        .find(|port| is_free(port) && is_new(port))
        .unwrap_or_else(|| panic!("no free port in {PORTS:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bug: a port was free while its server was down. Effect: another server of the same program took it, and that one
    /// could not start again. Fix: a port is given once.
    #[test]
    fn no_port_is_given_twice() {
        let ports: HashSet<_> = (0..2_000).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 2_000);
    }
}
