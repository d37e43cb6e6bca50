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
pub(crate) struct StatsReport {
    root: String,
    /// The number of entries of the root itself.
    entries: u64,
    /// The number of regions that wait to be freed. Of a cluster: among the keys of the root's slot.
    to_reclaim: Option<u64>,
    pub(crate) servers: Vec<ServerReport>,
}

/// The numbers of a primary, as `INFO` tells them; `null` where it does not.
#[derive(Debug, Default, Serialize)]
pub(crate) struct ServerReport {
    pub(crate) server: String,
    version: Option<String>,
    uptime_seconds: Option<u64>,
    clients: Option<u64>,
    replicas: Option<u64>,
    used_memory: Option<u64>,
    /// 0: no limit.
    max_memory: Option<u64>,
    eviction_policy: Option<String>,
    evicted_keys: Option<u64>,
    /// Of the keys that were asked for since the server started, the number that were there.
    keys_found: Option<u64>,
    /// The number of those that were not there.
    keys_missed: Option<u64>,
    /// The number of connections of caches whose writes are counted.
    writers: Option<u64>,
}

/// A number in words, and its name.
pub(crate) type Row = (&'static str, String);

pub(crate) async fn run(target: &Target, output: Output) -> Result<Code, Failure> {
    output.print(&gather(target).await?)?;
    Ok(Code::Done)
}

/// Asks the servers for their numbers.
pub(crate) async fn gather(target: &Target) -> Result<StatsReport, Failure> {
    let root = target.root.path();
    let entries = target.store.len(root).await?;
    let (mut servers, mut to_reclaim) = (Vec::new(), None);
    for server in raw::primaries(&target.store, target.timeout).await? {
        let raw = Raw::connect(&server, target.timeout).await?;
        to_reclaim = to_reclaim.or(due(&raw, root).await.ok());
        servers.push(report(&server, &raw).await);
    }
    Ok(StatsReport { root: root.to_string(), entries, to_reclaim, servers })
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
        keys_found: info.number("keyspace_hits"),
        keys_missed: info.number("keyspace_misses"),
        writers: raw.ask(redis::cmd("ZCARD").arg("rc1:w")).await.ok(),
    }
}

impl StatsReport {
    /// The numbers of the root, each with its name.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let rows = [
            ("entries of its own", Some(self.entries.to_string())),
            ("to be reclaimed", self.to_reclaim.map(|number| number.to_string())),
        ];
        told(rows)
    }
}

impl ServerReport {
    /// The numbers of the server, each with its name.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        let up = self.uptime_seconds.map(std::time::Duration::from_secs);
        let memory = self.used_memory.zip(self.max_memory).map(|(used, max)| match max {
            0 => format!("{}, no limit", text::bytes(used)),
            max => format!("{} of {}", text::bytes(used), text::bytes(max)),
        });
        told([
            ("version", self.version.clone()),
            ("up for", up.map(text::duration)),
            ("clients", number(self.clients)),
            ("writers", number(self.writers)),
            ("replicas", number(self.replicas)),
            ("memory", memory),
            ("eviction policy", self.eviction_policy.clone()),
            ("evicted keys", number(self.evicted_keys)),
            ("keys found", self.hit_ratio()),
        ])
    }

    /// The hit ratio since the server started; `None` if nothing was asked for.
    fn hit_ratio(&self) -> Option<String> {
        let (found, missed) = self.keys_found.zip(self.keys_missed)?;
        let asked = found.saturating_add(missed);
        let percent = (asked > 0).then(|| found as f64 * 100.0 / asked as f64)?;
        Some(format!("{percent:.0}% of {asked} asked for"))
    }
}

/// The rows that have something to say.
fn told<const N: usize>(rows: [(&'static str, Option<String>); N]) -> Vec<Row> {
    rows.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

impl fmt::Display for StatsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "root {}", self.root)?;
        write_rows(f, &self.rows())?;
        self.servers.iter().try_for_each(|server| {
            writeln!(f, "server {}", server.server)?;
            write_rows(f, &server.rows())
        })
    }
}

fn write_rows(f: &mut fmt::Formatter<'_>, rows: &[Row]) -> fmt::Result {
    rows.iter().try_for_each(|(name, value)| writeln!(f, "  {name:<18}  {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hit_ratio_needs_reads() {
        let report = |found, missed| ServerReport {
            keys_found: found,
            keys_missed: missed,
            ..ServerReport::default()
        };
        assert_eq!(report(Some(0), Some(0)).hit_ratio(), None);
        assert_eq!(report(Some(3), None).hit_ratio(), None);
        assert_eq!(report(Some(3), Some(1)).hit_ratio().as_deref(), Some("75% of 4 asked for"));
    }
}
