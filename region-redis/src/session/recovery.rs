//! What has to happen on a new connection to the primary before anything is read over it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use redis::{Cmd, Pipeline, Value};
use region_core::{Error, ErrorKind, Op, RegionPath, Verb, Write};

use crate::error::Failure;
use crate::net::connection::{Channel, first_error};
use crate::net::identity::Identity;
use crate::protocol::commands;
use crate::protocol::reply::number;
use crate::protocol::scripts::{SCRIPTS, is_unknown_script, with_sources};
use crate::server::Server;
use crate::session::queue::{Queue, Queued};
use crate::session::recent_writes::{Change, RecentWrites};

/// The most commands that are sent in one step.
const LARGEST_STEP: usize = 64;

/// The most bytes of keys that are removed from one region again. A region with more is invalidated, so
/// that no step is too large for a slow connection.
const REMOVED_BYTES: usize = 8192;

/// What this process changed, and what it still has to.
#[derive(Debug)]
pub(crate) struct Recovery {
    recent: Mutex<RecentWrites>,
    queue: Mutex<Queue>,
    repetition: Mutex<Repetition>,
    /// How many commands the next step sends: fewer after a step that was not answered in time, so that a
    /// slow connection answers some.
    step: AtomicUsize,
}

/// The changes that a server which lost data has yet to be told again.
#[derive(Debug, Default)]
struct Repetition {
    /// The server. What it has acknowledged is not sent again at the next attempt.
    target: Option<Identity>,
    left: VecDeque<Change>,
    /// How often data was found to be lost.
    losses: u64,
}

impl Recovery {
    /// Queues up to `capacity` regions, and remembers changes for at least `max_lag`.
    pub(crate) fn new(capacity: usize, max_lag: Duration) -> Self {
        Self {
            recent: Mutex::new(RecentWrites::new(max_lag)),
            queue: Mutex::new(Queue::new(capacity)),
            repetition: Mutex::default(),
            step: AtomicUsize::new(LARGEST_STEP),
        }
    }

    /// The changes of this process.
    pub(crate) fn own(&self) -> parking_lot::MutexGuard<'_, RecentWrites> {
        self.recent.lock()
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
    ///
    /// Goes in steps, none of which takes longer than `limit`. It may be dropped or fail at any step: what
    /// the server has acknowledged by then is not sent to it again.
    pub(crate) async fn run(
        &self,
        server: &Server,
        channel: &mut Channel,
        limit: Duration,
    ) -> Result<(), Failure> {
        let sender = Sender { server, limit, step: &self.step };
        sender.load_scripts(channel).await?;
        loop {
            let losses = self.begin_repetition(server, &channel.identity);
            self.repeat(&sender, channel).await?;
            channel.replayed = self.replay(&sender, channel).await?;
            let count = sender.begin_count(channel, &[]).await?;
            let mut repetition = self.repetition.lock();
            // A loss that was found meanwhile may be a later one.
            if repetition.losses != losses {
                continue;
            }
            repetition.target = None;
            let mut recent = self.recent.lock();
            recent.start(channel.number, count);
            recent.identity = Some(channel.identity.clone());
            return Ok(());
        }
    }

    /// Says that the present server has lost what was written to it.
    pub(crate) fn distrust(&self) {
        let mut repetition = self.repetition.lock();
        repetition.losses += 1;
        repetition.target = None;
        self.recent.lock().identity = Some(Identity::default());
    }

    /// Determines what the server with this identity has yet to be told again. Gives back how often
    /// data was found to be lost so far.
    fn begin_repetition(&self, server: &Server, identity: &Identity) -> u64 {
        let mut repetition = self.repetition.lock();
        let recent = self.recent.lock();
        if recent.identity.as_ref().is_none_or(|earlier| identity.continues(earlier)) {
            repetition.left.clear();
        } else if !repetition.target.as_ref().is_some_and(|target| identity.continues(target)) {
            // Nothing was sent since to any server: whatever was changed meanwhile has failed.
            repetition.left = recent.recent().into();
            repetition.target = Some(identity.clone());
            let regions = repetition.left.len();
            tracing::warn!(%server, regions, "another server, or one that lost data: invalidating again");
        }
        repetition.losses
    }

    async fn repeat(&self, sender: &Sender<'_>, channel: &Channel) -> Result<(), Failure> {
        loop {
            let (commands, regions) = {
                let repetition = self.repetition.lock();
                let (mut commands, mut regions) = (Vec::new(), 0);
                for change in repetition.left.iter().take(sender.step()) {
                    commands.extend(again(change, channel));
                    regions += 1;
                    if commands.len() >= sender.step() {
                        break;
                    }
                }
                (commands, regions)
            };
            if regions == 0 {
                return Ok(());
            }
            sender.send_all(channel, &commands).await?;
            // Nobody else takes from it.
            self.repetition.lock().left.drain(..regions);
        }
    }

    /// Does what is queued; how many invalidations had been by then.
    async fn replay(&self, sender: &Sender<'_>, channel: &Channel) -> Result<u64, Failure> {
        loop {
            let batch = {
                let queue = self.queue.lock();
                if queue.is_empty() {
                    return Ok(queue.pushed());
                }
                queue.first(sender.step())
            };
            tracing::info!(server = %sender.server, regions = batch.len(), "invalidating what was queued");
            let ends = |Queued { region, verbs, .. }: &Queued| {
                let verbs = verbs.needed().into_iter();
                verbs
                    .map(|verb| commands::end(region, verb, channel.write_count()))
                    .collect::<Vec<_>>()
            };
            let commands: Vec<_> = batch.iter().flat_map(ends).collect();
            sender.send_all(channel, &commands).await?;
            self.queue.lock().remove(&batch);
        }
    }
}

/// The commands that do a change again.
fn again(change: &Change, channel: &Channel) -> Vec<Cmd> {
    let Change { region, mut verbs, keys } = change.clone();
    let is_small = keys.iter().map(|key| key.len()).sum::<usize>() <= REMOVED_BYTES;
    if !is_small {
        verbs.add(Verb::Invalidate);
    }
    let ends = verbs.needed().into_iter();
    let mut commands: Vec<_> =
        ends.map(|verb| commands::end(&region, verb, channel.write_count())).collect();
    if is_small && !keys.is_empty() {
        let ops: Vec<_> = keys.iter().map(|key| Op::Remove { key }).collect();
        let write = Write::new(&ops);
        commands.push(commands::write(&region, &write, channel.write_count()));
    }
    commands
}

/// Sends what prepares a channel.
struct Sender<'r> {
    server: &'r Server,
    limit: Duration,
    step: &'r AtomicUsize,
}

impl Sender<'_> {
    /// How many commands the next step may send.
    fn step(&self) -> usize {
        self.step.load(Ordering::Relaxed)
    }

    /// Loads the scripts that the server does not know. A server that does not permit it gets them with
    /// their first calls.
    async fn load_scripts(&self, channel: &Channel) -> Result<(), Failure> {
        let mut exists = Pipeline::with_capacity(1);
        exists.cmd("SCRIPT").arg("EXISTS");
        for script in SCRIPTS.all() {
            exists.arg(&script.digest);
        }
        let known = match self.send(channel, &exists).await {
            Ok(mut answers) => answers.pop(),
            Err(failure) => return self.unless_denied(failure),
        };
        let Some(Value::Array(known)) = known else {
            return Err(Failure::garbled(self.server, "SCRIPT EXISTS in another form"));
        };
        for (script, known) in SCRIPTS.all().into_iter().zip(known) {
            if number(&known) == Some(1) {
                continue;
            }
            let mut load = Pipeline::with_capacity(1);
            load.cmd("SCRIPT").arg("LOAD").arg(&script.source);
            if let Err(failure) = self.send(channel, &load).await {
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

    /// Begins the channel's count of writes, or raises it by one, and retires those of earlier channels.
    async fn begin_count(&self, channel: &Channel, retired: &[String]) -> Result<u64, Failure> {
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline.add_command(commands::prepare(&channel.count, retired));
        let answers = self.send(channel, &pipeline).await?;
        let count = answers.first().and_then(number);
        count.ok_or_else(|| Failure::garbled(self.server, "a count in another form"))
    }

    /// Sends commands in one step, and learns how many a step may have.
    async fn send_all(&self, channel: &Channel, commands: &[Cmd]) -> Result<(), Failure> {
        let mut pipeline = Pipeline::with_capacity(commands.len());
        commands.iter().for_each(|command| {
            pipeline.add_command(command.clone());
        });
        // One that is dropped meanwhile is taken for one that was too slow.
        let step = self.step();
        self.step.store((step / 4).max(1), Ordering::Relaxed);
        self.send(channel, &pipeline).await?;
        self.step.store((step * 2).min(LARGEST_STEP), Ordering::Relaxed);
        Ok(())
    }

    /// Sends commands that may be repeated.
    async fn send(&self, channel: &Channel, commands: &Pipeline) -> Result<Vec<Value>, Failure> {
        let main = channel.main();
        let mut answers = main.send_while_alive(self.server, commands, self.limit).await?;
        if answers.iter().any(is_unknown_script) {
            let commands = with_sources(commands);
            answers = main.send_while_alive(self.server, &commands, self.limit).await?;
        }
        first_error(answers).map_err(|error| Failure::client(self.server, error))
    }
}

/// The error of an invalidation that neither reached the server nor found room in the queue.
pub(crate) fn queue_is_full(capacity: usize, cause: Error) -> Error {
    let message =
        format!("the queue of invalidations is full: {capacity} regions wait for the server");
    Error::new(ErrorKind::Unavailable, message).with_source(cause)
}
