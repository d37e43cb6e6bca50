//! `region doctor`: what is wrong with the servers, and what to do.

mod cluster;
mod finding;
mod identity;
mod memory;
mod permissions;
mod replication;
mod tracking;

use region_cache::{Error, ErrorKind, Incarnation, RedisStore, Server};

use crate::args::Common;
use crate::exit::{self, Code, Failure};
use crate::output::{Output, say};
use crate::raw::{self, Raw};
use crate::target::{Root, builder};
use finding::{DoctorReport, Finding, State};

/// A server under examination.
struct Patient<'a> {
    /// For messages, without a password.
    name: String,
    server: &'a Server,
    raw: Raw,
    limit: std::time::Duration,
    /// A hash tag that nobody uses.
    tag: String,
}

pub(crate) async fn run(common: &Common, output: Output) -> Result<Code, Failure> {
    Root::parse(&common.root)?;
    let opened = builder(common)?.connect().await;
    let (store, refusal) = match opened {
        Ok(store) => (store, None),
        // The settings are wrong, not the server.
        Err(error) if error.kind() == ErrorKind::InvalidConfig => return Err(error.into()),
        Err(error) => (builder(common)?.build()?, Some(error)),
    };
    let report = examine(&store, refusal, common).await;
    output.print(&report)?;
    Ok(match report.code {
        Code::Done => Code::Done,
        code => {
            say("region: something is wrong");
            code
        }
    })
}

/// Examines each primary, although the store may have been refused.
async fn examine(store: &RedisStore, refusal: Option<Error>, common: &Common) -> DoctorReport {
    let mut report = DoctorReport::default();
    let servers = match raw::primaries(store, common.timeout).await {
        Ok(servers) => servers,
        Err(error) => {
            report.unreachable("servers", refusal.as_ref().unwrap_or(&error));
            return report;
        }
    };
    let mut has_reached_all = true;
    for server in &servers {
        match Raw::connect(server, common.timeout).await {
            Ok(raw) => {
                let tag = format!("region-doctor-{:016x}", Incarnation::random().to_bits());
                let patient =
                    Patient { name: server.to_string(), server, raw, limit: common.timeout, tag };
                patient.examine(&mut report).await;
            }
            Err(error) => {
                has_reached_all = false;
                report.unreachable(&server.to_string(), &error);
            }
        }
    }
    // What is wrong with a server explains it.
    if let Some(error) = refusal.filter(|_| has_reached_all && report.code == Code::Done) {
        let advice = exit::advice(&error).unwrap_or("The message says what the server refuses.");
        report.add(Finding::wrong("store", "all servers", error.to_string(), advice));
    }
    report
}

impl Patient<'_> {
    async fn examine(&self, report: &mut DoctorReport) {
        report.add(self.finding("connection", State::Fine, "connected"));
        self.look_at_identity(report).await;
        self.look_at_clock(report).await;
        self.look_at_cluster(report).await;
        self.look_at_permissions(report).await;
        self.look_at_memory(report).await;
        self.look_at_replication(report).await;
        self.look_at_tracking(report).await;
    }

    fn finding(&self, check: &'static str, state: State, found: impl Into<String>) -> Finding {
        Finding::new(check, &self.name, state, found)
    }

    fn wrong(&self, check: &'static str, found: impl Into<String>, advice: &str) -> Finding {
        Finding::wrong(check, &self.name, found, advice)
    }

    /// The finding where the server refuses to tell.
    fn unknown(&self, check: &'static str, error: &redis::RedisError) -> Finding {
        let found = match raw::is_denied(error) {
            true => "this user may not ask for it".to_owned(),
            false => format!("the server does not tell: {error}"),
        };
        self.finding(check, State::Unknown, found)
    }

    /// A key that nobody uses, of a name that the permissions of a cache cover.
    fn key(&self) -> String {
        format!("rc1:i{{{}}}", self.tag)
    }
}
