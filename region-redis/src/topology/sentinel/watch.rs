//! The task that hears of changes from a sentinel.

use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::Pipeline;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::{Found, Sentinels};
use crate::error::{Failure, within};
use crate::net::pushes::Pushes;
use crate::net::request::first_error;
use crate::net::transport::Transport;
use crate::random;
use crate::server::Server;
use crate::topology::shard::Shard;

/// The messages of a sentinel after which a store looks anew.
const MESSAGES: [&str; 7] = [
    "+switch-master",
    "+slave",
    "+sdown",
    "-sdown",
    "+convert-to-slave",
    "+reboot",
    "+failover-end",
];

/// The time between two looks of which no message told the need.
const ROUND: Duration = Duration::from_secs(5);

/// The time in which messages gather before a look.
const GATHERING: Duration = Duration::from_millis(100);

/// After a sentinel that is lost sooner than this the next one is asked later.
const STEADY: Duration = Duration::from_secs(10);

/// Starts the task. It runs as long as the shard exists.
///
/// It makes a failover quicker, and keeps the list of replicas. That a link leads to the primary does not depend on
/// it: a link that is in trouble asks for itself.
pub(crate) fn start(
    sentinels: Arc<Sentinels>,
    shard: &Arc<Shard>,
    runtime: &Handle,
) -> AbortHandle {
    let watch = Watch { sentinels, shard: Arc::downgrade(shard) };
    runtime.spawn(watch.run()).abort_handle()
}

struct Watch {
    sentinels: Arc<Sentinels>,
    shard: Weak<Shard>,
}

impl Watch {
    async fn run(self) {
        let all = &self.sentinels.servers.sentinels;
        // Not all processes listen to the same one.
        let first = random::bits() as usize % all.len();
        let mut attempt = 0;
        for sentinel in all.iter().cycle().skip(first) {
            let began = Instant::now();
            if let Err(failure) = self.listen_to(sentinel).await {
                tracing::debug!(%sentinel, error = %failure.error, "nothing is heard from a sentinel");
            }
            if began.elapsed() >= STEADY {
                attempt = 0;
            }
            self.look().await;
            let backoff = self.sentinels.settings.backoff;
            tokio::time::sleep(random::draw(|mut rng| backoff.delay(attempt, &mut rng))).await;
            attempt = attempt.saturating_add(1);
        }
    }

    /// Listens to one sentinel until that fails.
    async fn listen_to(&self, sentinel: &Server) -> Result<(), Failure> {
        let settings = &self.sentinels.settings;
        let pushes = Arc::new(Pushes::default());
        let link = within(settings.connect, self.subscribe(sentinel, &pushes), || sentinel).await?;
        // What was said before is not said again.
        self.look().await;
        let mut round = Instant::now() + ROUND;
        loop {
            tokio::select! {
                biased;
                () = pushes.message() => {
                    tokio::time::sleep(GATHERING).await;
                    self.look().await;
                }
                () = tokio::time::sleep_until(round.min(Instant::now() + settings.watch)) => {
                    let mut ping = Pipeline::with_capacity(1);
                    ping.cmd("PING");
                    link.send_while_alive(sentinel, &ping, settings.silence).await?;
                }
            }
            if Instant::now() >= round {
                round = Instant::now() + ROUND;
                let asking = self.sentinels.ask(sentinel, &link);
                let answer = within(settings.silence, asking, || sentinel).await?;
                let replicas = answer.replicas.iter().cloned();
                let replicas = replicas.filter(|replica| *replica != answer.primary);
                let found = Found {
                    primary: self.sentinels.server(answer.primary.clone()),
                    replicas: replicas.map(|host| self.sentinels.server(host)).collect(),
                };
                if !self.is_as_it_was(&found) {
                    self.look().await;
                }
            }
        }
    }

    async fn subscribe(
        &self,
        sentinel: &Server,
        pushes: &Arc<Pushes>,
    ) -> Result<Transport, Failure> {
        let link = self.sentinels.open(sentinel, pushes).await?;
        let mut commands = Pipeline::with_capacity(MESSAGES.len());
        for message in MESSAGES {
            commands.cmd("SUBSCRIBE").arg(message);
        }
        let answers = link.send(&commands).await.and_then(first_error);
        answers.map_err(|error| Failure::client(sentinel, error))?;
        Ok(link)
    }

    fn is_as_it_was(&self, found: &Found) -> bool {
        self.shard.upgrade().is_none_or(|shard| {
            shard.leads_to(&found.primary) && shard.has_replicas(&found.replicas)
        })
    }

    /// Asks all sentinels, and has the shard follow. If none is of use the shard stays as it is.
    async fn look(&self) {
        let found = match self.sentinels.find().await {
            Ok(found) => found,
            Err(failure) => {
                tracing::debug!(error = %failure.error, "sentinels are of no use");
                return;
            }
        };
        let Some(shard) = self.shard.upgrade() else { return };
        match shard.primary.target().server() {
            Some(present) if !present.is_at(&found.primary) => {
                tracing::info!(primary = %found.primary, former = %present, "another primary");
                shard.primary.relocate();
            }
            // It may have become one just now.
            _ => shard.primary.hurry(),
        }
        shard.set_replicas(found.replicas);
    }
}
