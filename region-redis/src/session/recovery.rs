//! What has to happen on a new connection to the primary before anything is read over it.

use parking_lot::Mutex;
use redis::{Cmd, Pipeline};
use region_core::{Error, ErrorKind, Op, RegionPath, RegionTimeout, Verb, Write};

use crate::error::Failure;
use crate::net::connection::{Channel, first_error};
use crate::protocol::commands;
use crate::protocol::scripts::{SCRIPTS, is_unknown_script, with_sources};
use crate::server::Server;
use crate::session::queue::Queue;
use crate::session::recent_writes::{Change, OwnChanges, Verbs};

/// How many invalidations are sent in one trip.
const BATCH: usize = 64;

/// What this process changed, and what it still has to.
#[derive(Debug)]
pub(crate) struct Recovery {
    own: Mutex<OwnChanges>,
    queue: Mutex<Queue>,
}

impl Recovery {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { own: Mutex::default(), queue: Mutex::new(Queue::new(capacity)) }
    }

    /// The changes of this process.
    pub(crate) fn own(&self) -> parking_lot::MutexGuard<'_, OwnChanges> {
        self.own.lock()
    }

    /// Keeps an invalidation that could not be sent; whether there was room.
    pub(crate) fn queue(&self, region: &RegionPath, verb: Verb) -> bool {
        self.queue.lock().push(region, verb)
    }

    /// How many invalidations have been queued: a channel that has replayed less must not be used.
    pub(crate) fn queued(&self) -> u64 {
        self.queue.lock().pushed()
    }

    /// Whether something has to be done before anything is read, from whatever server.
    pub(crate) fn has_queued(&self) -> bool {
        !self.queue.lock().is_empty()
    }

    /// Makes a new channel fit to read from: what is queued is done, and if the server is not the one
    /// it was, or has lost something, what was done lately is done again.
    pub(crate) async fn run(&self, server: &Server, channel: &mut Channel) -> Result<(), Failure> {
        load_scripts(server, channel).await?;
        let knows_all = {
            let own = self.own.lock();
            own.identity.as_ref().is_none_or(|earlier| channel.identity.continues(earlier))
        };
        if !knows_all {
            let recent = self.own.lock().recent();
            tracing::warn!(%server, regions = recent.len(), "another server, or one that lost data: invalidating again");
            self.repeat(server, channel, &recent).await?;
        }
        channel.replayed = self.replay(server, channel).await?;
        send_all(server, channel, &[commands::prepare::<&str>(&channel.count, &[])]).await?;
        let mut own = self.own.lock();
        own.start(channel.number);
        own.identity = Some(channel.identity.clone());
        Ok(())
    }

    /// Says that the present server has lost what was written to it.
    pub(crate) fn distrust(&self) {
        self.own.lock().identity = Some(crate::net::identity::Identity::default());
    }

    async fn repeat(
        &self,
        server: &Server,
        channel: &Channel,
        recent: &[Change],
    ) -> Result<(), Failure> {
        let mut commands = Vec::new();
        for Change { region, verbs, keys, .. } in recent {
            let ends = verbs.needed().into_iter();
            commands.extend(ends.map(|verb| commands::end(region, verb, channel.write_count())));
            if !keys.is_empty() {
                let ops: Vec<_> = keys.iter().map(|key| Op::Remove { key }).collect();
                let write = Write { ops: &ops, guard: None, timeout: RegionTimeout::Leave };
                commands.push(commands::write(region, &write, channel.write_count()));
            }
        }
        for batch in commands.chunks(BATCH) {
            send_all(server, channel, batch).await?;
        }
        Ok(())
    }

    /// Does what is queued; how many invalidations had been by then.
    async fn replay(&self, server: &Server, channel: &Channel) -> Result<u64, Failure> {
        loop {
            let batch = {
                let queue = self.queue.lock();
                if queue.is_empty() {
                    return Ok(queue.pushed());
                }
                queue.first(BATCH)
            };
            tracing::info!(%server, regions = batch.len(), "invalidating what was queued");
            let commands: Vec<_> = batch
                .iter()
                .flat_map(|(region, verbs)| {
                    verbs.needed().into_iter().map(move |verb| (region, verb))
                })
                .map(|(region, verb)| commands::end(region, verb, channel.write_count()))
                .collect();
            send_all(server, channel, &commands).await?;
            self.queue.lock().remove(&batch);
        }
    }
}

/// Loads the scripts. A server that does not permit it gets them with their first calls.
async fn load_scripts(server: &Server, channel: &Channel) -> Result<(), Failure> {
    let mut commands = Pipeline::with_capacity(SCRIPTS.all().len());
    for script in SCRIPTS.all() {
        commands.cmd("SCRIPT").arg("LOAD").arg(&script.source);
    }
    match send(server, channel, &commands).await {
        Err(failure) if failure.error.kind() == ErrorKind::Denied => {
            tracing::debug!(%server, error = %failure.error, "scripts are not loaded ahead");
            Ok(())
        }
        loaded => loaded,
    }
}

async fn send_all(server: &Server, channel: &Channel, commands: &[Cmd]) -> Result<(), Failure> {
    let mut pipeline = Pipeline::with_capacity(commands.len());
    commands.iter().for_each(|command| {
        pipeline.add_command(command.clone());
    });
    send(server, channel, &pipeline).await
}

/// Sends commands that may be repeated.
async fn send(server: &Server, channel: &Channel, commands: &Pipeline) -> Result<(), Failure> {
    let answers = channel.send_unbounded(commands).await;
    let answers = match answers {
        Ok(answers) if answers.iter().any(is_unknown_script) => {
            channel.send_unbounded(&with_sources(commands)).await
        }
        answers => answers,
    };
    let answers = answers.and_then(first_error);
    answers.map(drop).map_err(|error| Failure::client(server, error))
}

/// The error of an invalidation that neither reached the server nor found room in the queue.
pub(crate) fn queue_is_full(capacity: usize, cause: Error) -> Error {
    let message =
        format!("the queue of invalidations is full: {capacity} regions wait for the server");
    Error::new(ErrorKind::Unavailable, message).with_source(cause)
}

/// A queued region and what is to be done to it.
pub(crate) type Queued = (RegionPath, Verbs);
