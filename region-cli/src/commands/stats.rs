//! `region stats`: numbers of the servers and of the root.

use std::fmt;

use region_cache::{RegionPath, Server, Store};
use serde::Serialize;

use crate::exit::{Code, Failure};
use crate::output::Output;
use crate::raw::{self, Raw};
use crate::target::Target;
use crate::text;

/// The numbers of the servers and of the root.
#[derive(Debug, Serialize)]
struct StatsReport {
    root: String,
    /// The number of entries of the root itself.
    entries: u64,
    /// The number of regions that wait to be freed. Of a cluster: among the keys of the root's slot.
    to_reclaim: Option<u64>,
    servers: Vec<ServerReport>,
}

/// The numbers of a primary, as `INFO` tells them; `null` where it does not.
#[derive(Debug, Serialize)]
struct ServerReport {
    server: String,
    version: Option<String>,
    uptime_seconds: Option<u64>,
    clients: Option<u64>,
    replicas: Option<u64>,
    used_memory: Option<u64>,
    /// 0: no limit.
    max_memory: Option<u64>,
    eviction_policy: Option<String>,
    evicted_keys: Option<u64>,
    /// The number of connections of caches whose writes are counted.
    writers: Option<u64>,
}

pub(crate) async fn run(target: &Target, output: Output) -> Result<Code, Failure> {
    let root = target.root.path();
    let entries = target.store.len(root).await?;
    let (mut servers, mut to_reclaim) = (Vec::new(), None);
    for server in raw::primaries(&target.store, target.timeout).await? {
        let raw = Raw::connect(&server, target.timeout).await?;
        to_reclaim = to_reclaim.or(due(&raw, root).await.ok());
        servers.push(report(&server, &raw).await);
    }
    output.print(&StatsReport { root: root.to_string(), entries, to_reclaim, servers })?;
    Ok(Code::Done)
}

/// The number of regions below a root that wait to be freed. Of a cluster, another node refuses to tell.
async fn due(raw: &Raw, root: &RegionPath) -> redis::RedisResult<u64> {
    let (seconds, micros): (u64, u64) = raw.ask(&redis::cmd("TIME")).await?;
    let tag = root.prefixes().next().unwrap_or_default();
    let mut count = redis::cmd("ZCOUNT");
    // The score says when each is to be looked at, in milliseconds.
    count.arg(format!("rc1:g{{{tag}}}")).arg("-inf").arg(seconds * 1000 + micros / 1000);
    raw.ask(&count).await
}

async fn report(server: &Server, raw: &Raw) -> ServerReport {
    // A user that may not ask for it sees fewer numbers.
    let info = raw.info("default").await.unwrap_or_default();
    let text = |name| info.text(name).map(str::to_owned);
    ServerReport {
        server: server.to_string(),
        version: info.version().map(|(program, version)| format!("{program} {version}")),
        uptime_seconds: info.number("uptime_in_seconds"),
        clients: info.number("connected_clients"),
        replicas: info.number("connected_slaves"),
        used_memory: info.number("used_memory"),
        max_memory: info.number("maxmemory"),
        eviction_policy: text("maxmemory_policy"),
        evicted_keys: info.number("evicted_keys"),
        writers: raw.ask(redis::cmd("ZCARD").arg("rc1:w")).await.ok(),
    }
}

impl fmt::Display for StatsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "root {}", self.root)?;
        writeln!(f, "  entries of its own  {}", self.entries)?;
        row(f, "to be reclaimed", self.to_reclaim)?;
        self.servers.iter().try_for_each(|server| server.fmt(f))
    }
}

impl fmt::Display for ServerReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "server {}", self.server)?;
        row(f, "version", self.version.as_deref())?;
        let up = self.uptime_seconds.map(std::time::Duration::from_secs);
        row(f, "up for", up.map(text::duration))?;
        row(f, "clients", self.clients)?;
        row(f, "writers", self.writers)?;
        row(f, "replicas", self.replicas)?;
        let memory = self.used_memory.zip(self.max_memory).map(|(used, max)| match max {
            0 => format!("{}, no limit", text::bytes(used)),
            max => format!("{} of {}", text::bytes(used), text::bytes(max)),
        });
        row(f, "memory", memory)?;
        row(f, "eviction policy", self.eviction_policy.as_deref())?;
        row(f, "evicted keys", self.evicted_keys)
    }
}

/// A line, if there is something to say.
fn row(f: &mut fmt::Formatter<'_>, name: &str, value: Option<impl fmt::Display>) -> fmt::Result {
    value.map_or(Ok(()), |value| writeln!(f, "  {name:<18}  {value}"))
}
