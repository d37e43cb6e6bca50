//! The steps in which new connections are prepared.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis::{Cmd, Pipeline, Value};
use region_core::ErrorKind;

use crate::error::Failure;
use crate::net::connections::Connections;
use crate::net::request::first_error;
use crate::protocol::prepare::{Counts, prepare};
use crate::protocol::reply::number;
use crate::protocol::scripts::{SCRIPTS, is_refused_as_lost, is_unknown_script, with_sources};
use crate::server::Server;
use crate::session::recovery::count_lifetime;
use crate::settings::Settings;

/// The most commands that are sent in one step.
pub(crate) const LARGEST_STEP: usize = 64;

/// The errors of servers that refuse every write.
const REFUSALS: [&str; 2] = ["NOREPLICAS", "MISCONF"];

/// Sends the commands that prepare connections.
pub(crate) struct Sender<'r> {
    pub(crate) server: &'r Server,
    limit: Duration,
    lifetime: Duration,
    step: &'r AtomicUsize,
}

/// The result of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prepared {
    Ready,
    /// The server lost data meanwhile: the preparation begins again.
    Lost,
}

/// The answer to the command that starts a count of writes.
pub(crate) enum StartedCount {
    At(Counts),
    /// The server refuses all writes at present.
    Refused(Failure),
}

impl<'r> Sender<'r> {
    pub(crate) fn new(server: &'r Server, settings: &Settings, step: &'r AtomicUsize) -> Self {
        let limit = settings.connect.max(settings.call);
        Self { server, limit, lifetime: count_lifetime(settings), step }
    }

    /// Returns the longest that a step takes.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// Returns the number of commands that the next step may send.
    pub(crate) fn step(&self) -> usize {
        self.step.load(Ordering::Relaxed)
    }

    /// Loads the scripts that the server does not know. A server that does not permit it gets them with
    /// their first calls.
    pub(crate) async fn load_scripts(&self, connections: &Connections) -> Result<(), Failure> {
        let transports = &connections.membership().transports;
        if !transports.has_scripts() {
            self.load_missing_scripts(connections).await?;
            transports.note_scripts();
        }
        Ok(())
    }

    async fn load_missing_scripts(&self, connections: &Connections) -> Result<(), Failure> {
        let mut exists = Pipeline::with_capacity(1);
        exists.cmd("SCRIPT").arg("EXISTS");
        for script in SCRIPTS.all() {
            exists.arg(&script.digest);
        }
        let known = match self.send(connections, &exists).await {
            Ok(mut answers) => answers.pop(),
            Err(failure) => return self.unless_denied(failure),
        };
        let Some(Value::Array(known)) = known else {
            return Err(Failure::unexpected(self.server, "SCRIPT EXISTS in another form"));
        };
        for (script, known) in SCRIPTS.all().into_iter().zip(known) {
            if number(&known) == Some(1) {
                continue;
            }
            let mut load = Pipeline::with_capacity(1);
            load.cmd("SCRIPT").arg("LOAD").arg(&script.source);
            if let Err(failure) = self.send(connections, &load).await {
                return self.unless_denied(failure);
            }
        }
        Ok(())
    }

    fn unless_denied(&self, failure: Failure) -> Result<(), Failure> {
        if failure.error.kind() != ErrorKind::Denied {
            return Err(failure);
        }
        tracing::debug!(server = %self.server, error = %failure.error, "scripts are not loaded ahead");
        Ok(())
    }

    /// Begins the connections' count of writes, or raises it by one, and deletes the counts of earlier
    /// connections. Returns also what the server shows of the count `earlier`.
    pub(crate) async fn begin_count(
        &self,
        connections: &Connections,
        earlier: Option<&str>,
        retired: &[String],
    ) -> Result<StartedCount, Failure> {
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline.add_command(prepare(
            connections.count_names(),
            &connections.count_key,
            earlier,
            retired,
            self.lifetime,
        ));
        match self.ask(connections, &pipeline).await?.first() {
            Some(Value::ServerError(error)) => {
                let failure = Failure::server_error(self.server, error);
                let is_refusal = REFUSALS.contains(&error.code());
                if is_refusal { Ok(StartedCount::Refused(failure)) } else { Err(failure) }
            }
            answer => {
                let count = answer.and_then(Counts::parse).map(StartedCount::At);
                count.ok_or_else(|| Failure::unexpected(self.server, "a count in another form"))
            }
        }
    }

    /// Sends commands in one step, and adapts the size of the next step to the answer.
    pub(crate) async fn send_all(
        &self,
        connections: &Connections,
        commands: &[Cmd],
    ) -> Result<Prepared, Failure> {
        let mut pipeline = Pipeline::with_capacity(commands.len());
        commands.iter().for_each(|command| {
            pipeline.add_command(command.clone());
        });
        // One that is dropped meanwhile is taken for one that was too slow.
        let step = self.step();
        self.step.store((step / 4).max(1), Ordering::Relaxed);
        let answers = self.ask(connections, &pipeline).await?;
        self.step.store((step + 1).min(LARGEST_STEP), Ordering::Relaxed);
        if answers.iter().any(is_refused_as_lost) {
            return Ok(Prepared::Lost);
        }
        first_error(answers).map_err(|error| Failure::client(self.server, error))?;
        Ok(Prepared::Ready)
    }

    async fn send(
        &self,
        connections: &Connections,
        commands: &Pipeline,
    ) -> Result<Vec<Value>, Failure> {
        let answers = self.ask(connections, commands).await?;
        first_error(answers).map_err(|error| Failure::client(self.server, error))
    }

    /// Sends commands that may be repeated, and gives back the answers, errors of the server among them.
    async fn ask(
        &self,
        connections: &Connections,
        commands: &Pipeline,
    ) -> Result<Vec<Value>, Failure> {
        let main = connections.main();
        let answers = main.send_while_alive(self.server, commands, self.limit).await?;
        if !answers.iter().any(is_unknown_script) {
            return Ok(answers);
        }
        main.send_while_alive(self.server, &with_sources(commands), self.limit).await
    }
}
