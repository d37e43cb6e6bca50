//! `region explain`: why a read of a key would be a hit or a miss.

use std::fmt;
use std::time::Duration;

use region_cache::{
    DependencyStanding, DependsOn, Entry, Lease, LeaseTerms, LeaseToken, MARKER_KEY, ReadFrom,
    ReadTerms, RegionPath, Store, TakeLease, Trust,
};
use serde::Serialize;

use crate::args::Key;
use crate::commands::entry::{self, EntryReport};
use crate::commands::get::reason;
use crate::exit::{Code, Failure};
use crate::output::Output;
use crate::target::{Target, check_key};
use crate::text;

/// The duration of the lease that is asked about. None is taken, so it does not matter.
const NO_LEASE: Duration = Duration::from_millis(1);

/// The state of a key on the server.
#[derive(Debug, Serialize)]
pub(crate) struct ExplainReport {
    region: String,
    key: String,
    /// `hit` or `miss`.
    pub(crate) outcome: &'static str,
    pub(crate) reason: String,
    /// The outermost region on the path that does not exist.
    missing_region: Option<String>,
    entry: Option<EntryReport>,
    dependencies: Vec<DependencyReport>,
    /// The time for which a load of another process holds the lease, in milliseconds; `null`: it is free.
    leased_for_ms: Option<u64>,
}

/// A region that the value depends on.
#[derive(Debug, Serialize)]
struct DependencyReport {
    region: String,
    /// `holds`, `expired`, `ended` or `unknown`.
    state: &'static str,
    #[serde(skip)]
    standing: DependencyStanding,
}

pub(crate) async fn run(target: &Target, at: &Key, output: Output) -> Result<Code, Failure> {
    output.print(&explain(target, at).await?)?;
    Ok(Code::Done)
}

/// Asks the server for what decides about a read of a key.
pub(crate) async fn explain(target: &Target, at: &Key) -> Result<ExplainReport, Failure> {
    let region = target.root.region(&at.path)?;
    let key = check_key(&at.key)?;
    let terms = ReadTerms::new(ReadFrom::Primary).trust(Trust::Kept);
    let read = target.store.read(&region, &[key], terms).await?;
    let exists = read.lineage.is_some();
    let leftover = read.leftovers.first().map(|(_, leftover)| *leftover);
    let found = read.entries.into_iter().next().flatten();
    let (entry, dependencies, verdict) = match &found {
        None if !exists => (None, Vec::new(), Err("the region does not exist")),
        None => (None, Vec::new(), Err(reason(leftover))),
        Some(found) => explain_entry(target, &region, key, found).await,
    };
    Ok(ExplainReport {
        region: target.root.name(&region),
        key: key.to_owned(),
        outcome: if verdict.is_ok() { "hit" } else { "miss" },
        reason: verdict.unwrap_or_else(|why| why).to_owned(),
        missing_region: if exists { None } else { missing(target, &region).await? },
        entry,
        dependencies,
        // A region that is missing has no leases, and asking for them would create it.
        leased_for_ms: if exists { lease(target, &region, key).await? } else { None },
    })
}

type Explained = (Option<EntryReport>, Vec<DependencyReport>, Result<&'static str, &'static str>);

async fn explain_entry(
    target: &Target,
    region: &RegionPath,
    key: &str,
    found: &Entry,
) -> Explained {
    let opened = entry::open(&target.root, region, key, found);
    let mut dependencies = Vec::new();
    for on in opened.envelope.iter().flat_map(|envelope| envelope.depends_on()) {
        dependencies.push(dependency(target, on).await);
    }
    let is_any = |standing| dependencies.iter().any(|found| found.standing == standing);
    let verdict = match (opened.report.content, opened.report.state) {
        ("damaged", _) => Err("the bytes are damaged, or from another place"),
        (_, "stale") => Err("the value has expired, and is kept as stale for a while"),
        ("absence", _) => Err("the entry is the record that a load has found no value"),
        _ if is_any(DependencyStanding::Unknown) => {
            Err("a region that the value depends on cannot be read")
        }
        _ if is_any(DependencyStanding::Ended) => {
            Err("a region that the value depends on has ended since")
        }
        _ if is_any(DependencyStanding::Expired) => {
            Err("a region that the value depends on has expired since")
        }
        _ => {
            Ok("the store has a value; it is a miss for who reads another type, version or format")
        }
    };
    (Some(opened.report), dependencies, verdict)
}

async fn dependency(target: &Target, on: &DependsOn) -> DependencyReport {
    let read = target.store.read(&on.region, &[MARKER_KEY], ReadTerms::default()).await;
    let standing = match read {
        Err(_) => DependencyStanding::Unknown,
        Ok(read) => on.standing(read.entries.first().and_then(Option::as_ref)),
    };
    let state = match standing {
        DependencyStanding::Holds => "holds",
        DependencyStanding::Expired => "expired",
        DependencyStanding::Ended => "ended",
        _ => "unknown",
    };
    DependencyReport { region: target.root.name(&on.region), state, standing }
}

/// The outermost region on the path that does not exist.
async fn missing(target: &Target, region: &RegionPath) -> Result<Option<String>, Failure> {
    for prefix in region.prefixes() {
        let prefix = RegionPath::parse(prefix).map_err(region_cache::Error::from)?;
        let terms = ReadTerms::new(ReadFrom::Primary).trust(Trust::Kept);
        let read = target.store.read(&prefix, &[MARKER_KEY], terms).await?;
        if read.lineage.is_none() {
            return Ok(Some(target.root.name(&prefix)));
        }
    }
    Ok(None)
}

/// Asks who holds the lease of a key, without taking it.
async fn lease(target: &Target, region: &RegionPath, key: &str) -> Result<Option<u64>, Failure> {
    let terms = LeaseTerms::new(LeaseToken::random(), NO_LEASE).take(TakeLease::Extend);
    let begun = target.store.begin(region, &[key], terms).await?;
    Ok(match begun.keys.first().map(|key| key.lease) {
        Some(Lease::Held { left, .. }) => Some(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
        _ => None,
    })
}

impl fmt::Display for ExplainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?} of {}: a {}: {}", self.key, self.region, self.outcome, self.reason)?;
        if let Some(missing) = &self.missing_region {
            writeln!(
                f,
                "{missing} has no ids: nothing was written there since it was invalidated, or ever"
            )?;
        }
        for line in self.entry.iter().flat_map(EntryReport::lines) {
            writeln!(f, "{line}")?;
        }
        for DependencyReport { region, state, .. } in &self.dependencies {
            writeln!(f, "dependency {region}: {state}")?;
        }
        match self.leased_for_ms {
            None => writeln!(f, "lease: free"),
            Some(left) => {
                let left = text::duration(Duration::from_millis(left));
                writeln!(f, "lease: held by a load, for {left} unless it is extended")
            }
        }
    }
}
