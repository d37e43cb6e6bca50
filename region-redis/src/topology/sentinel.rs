//! A primary and its replicas that sentinels know.

mod answer;
mod choice;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{FuturesOrdered, FuturesUnordered};
use redis::{Pipeline, Value};
use region_core::{Error, ErrorKind};
use tokio::time::Instant;

use crate::error::{Concerns, Failure, within};
use crate::net::identity::ReportedRole;
use crate::net::locator::{Locator, Target};
use crate::net::pushes::Pushes;
use crate::net::transport::Transport;
use crate::server::Server;
use crate::servers::{SentinelServers, Servers};
use crate::settings::Settings;
use crate::url::Host;
pub(crate) use answer::Answer;
use choice::{Candidate, candidates, is_settled};
pub(crate) use watch::start;

/// The number of parts of the limit on an attempt to connect. One part is for asking the sentinels, one for
/// asking what they name, and the rest for the connection itself.
const PARTS: u32 = 4;

/// The part of a sentinel's time that it still has when most others agree.
const MOMENT: u32 = 8;

/// The sentinels of one primary.
///
/// All are asked at the same time. What they say is only believed of a server that says itself that it is a
/// primary. Among several such the one of the newest configuration counts.
pub(crate) struct Sentinels {
    servers: SentinelServers,
    settings: Arc<Settings>,
    /// The epoch of the newest configuration whose primary was found to be one. An older one is believed only
    /// if most sentinels have it: they were reset.
    epoch: AtomicU64,
    name: Arc<str>,
}

/// The servers that are to be called now.
struct Found {
    primary: Arc<Server>,
    replicas: Vec<Arc<Server>>,
}

impl Sentinels {
    pub(crate) fn new(servers: SentinelServers, settings: &Arc<Settings>) -> Arc<Self> {
        let name = Servers::Sentinel(servers.clone()).to_string().into();
        let settings = Arc::clone(settings);
        Arc::new(Self { servers, settings, epoch: AtomicU64::new(0), name })
    }

    /// Returns the servers that are to be called now. It takes no longer than half an attempt to connect.
    async fn find(&self) -> Result<Found, Failure> {
        let answers = self.ask_all().await?;
        let all = self.servers.sentinels.len();
        let epoch = self.epoch.load(Ordering::Relaxed);
        let candidates = candidates(&answers, all, epoch);
        let mut failure =
            Failure::unavailable(&*self.name, "is known to none but out-of-date sentinels");
        let mut asked: FuturesOrdered<_> =
            candidates.into_iter().map(|candidate| self.ask_whether_primary(candidate)).collect();
        // In their order, whoever answers first: the newest configuration that is true.
        while let Some(found) = asked.next().await {
            match found {
                Ok((candidate, primary)) => {
                    self.epoch.fetch_max(candidate.epoch, Ordering::Relaxed);
                    let replicas = candidate.replicas.into_iter().map(|host| self.server(host));
                    return Ok(Found { primary, replicas: replicas.collect() });
                }
                Err(other) => failure = other,
            }
        }
        Err(failure)
    }

    /// Asks all sentinels. Once most agree, the others have only a moment left: one may know of a failover that these
    /// have not heard of.
    async fn ask_all(&self) -> Result<Vec<Answer>, Failure> {
        let limit = self.part_of_attempt();
        let sentinels = &self.servers.sentinels;
        let mut asked: FuturesUnordered<_> = sentinels
            .iter()
            .map(|sentinel| async move {
                let asking = async {
                    let link = self.open(sentinel, &Arc::default()).await?;
                    self.ask(sentinel, &link).await
                };
                within(limit, asking, || sentinel).await
            })
            .collect();
        let (mut answers, mut failures) = (Vec::new(), Vec::new());
        // Each question has its own limit, and its own failure.
        let mut until = Instant::now() + limit * 2;
        while let Ok(Some(answer)) = tokio::time::timeout_at(until, asked.next()).await {
            match answer {
                Ok(answer) => answers.push(answer),
                Err(failure) => failures.push(failure),
            }
            if is_settled(&answers, sentinels.len()) {
                until = until.min(Instant::now() + limit / MOMENT);
            }
        }
        for failure in &failures {
            tracing::debug!(name = %self.name, error = %failure.error, "a sentinel is passed over");
        }
        if answers.is_empty() { Err(self.unknown(failures)) } else { Ok(answers) }
    }

    /// Opens a connection. The caller limits the time.
    async fn open(&self, server: &Server, pushes: &Arc<Pushes>) -> Result<Transport, Failure> {
        Transport::open(server, &self.settings, pushes).await
    }

    /// Asks one sentinel for all that it knows.
    async fn ask(&self, sentinel: &Server, link: &Transport) -> Result<Answer, Failure> {
        let questions = answer::questions(&self.servers.service);
        let answers = link.send(&questions).await;
        let answers = answers.map_err(|error| Failure::client(sentinel, error))?;
        Answer::parse(sentinel, answers)
    }

    /// Asks whether the server that a candidate names is a primary.
    async fn ask_whether_primary(
        &self,
        candidate: Candidate,
    ) -> Result<(Candidate, Arc<Server>), Failure> {
        let server = self.server(candidate.primary.clone());
        let asking = async {
            let link = self.open(&server, &Arc::default()).await?;
            let mut commands = Pipeline::with_capacity(1);
            commands.cmd("ROLE");
            let answers = link.send(&commands).await;
            let answers = answers.map_err(|error| Failure::client(&server, error))?;
            is_primary(&server, answers.into_iter().next().unwrap_or_default())
        };
        let asked = within(self.part_of_attempt(), asking, || &*server).await;
        asked.map_err(|failure| self.named_in_vain(failure))?;
        Ok((candidate, server))
    }

    /// The failure of a server that sentinels name. Its address is in no setting of this process.
    fn named_in_vain(&self, failure: Failure) -> Failure {
        let Failure { error, concerns } = failure;
        let message = format!("{}: of the primary that the sentinels name: {error}", self.name);
        let named = Error::new(error.kind(), message);
        let named = if error.can_retry() { named.retryable() } else { named.permanent() };
        Failure { error: named.with_source(error), concerns }
    }

    fn server(&self, host: Host) -> Arc<Server> {
        Arc::new(self.servers.access.server(host))
    }

    fn part_of_attempt(&self) -> Duration {
        self.settings.connect / PARTS
    }

    /// The failure when no sentinel has told anything of use.
    fn unknown(&self, mut failures: Vec<Failure>) -> Failure {
        // A refusal is the most telling: only a person can mend it.
        failures.sort_by_key(|failure| failure.error.kind() == ErrorKind::Denied);
        let Some(Failure { error, concerns }) = failures.pop() else {
            return Failure::unavailable(&*self.name, "has no sentinels");
        };
        let message = format!("{} is known to no sentinel that answers", self.name);
        Failure { error: Error::new(error.kind(), message).with_source(error), concerns }
    }
}

#[async_trait]
impl Locator for Sentinels {
    async fn locate(&self) -> Result<Arc<Server>, Failure> {
        Ok(self.find().await?.primary)
    }

    fn target(&self) -> Target {
        Target::Name(Arc::clone(&self.name))
    }
}

/// Refuses a server whose answer to `ROLE` is not that of a primary. One that does not take the question is asked
/// in another way when the connection is prepared.
fn is_primary(server: &Server, role: Value) -> Result<(), Failure> {
    match ReportedRole::of_reply(&role) {
        Some(ReportedRole::Primary) => Ok(()),
        Some(ReportedRole::Replica) => {
            Err(Failure::unavailable(server, "is a replica, not a primary"))
        }
        None => match role {
            Value::ServerError(error) => {
                let failure = Failure::server_error(server, &error);
                if failure.concerns == Concerns::Call { Ok(()) } else { Err(failure) }
            }
            _ => Err(Failure::unexpected(server, "ROLE in another form")),
        },
    }
}
