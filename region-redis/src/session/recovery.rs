//! The preparation of new connections to the primary, before anything is read over them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use parking_lot::Mutex;
use redis::Cmd;
use region_core::{Error, ErrorKind, Op, RegionPath, Verb, Write};

use crate::error::Failure;
use crate::net::connections::Connections;
use crate::net::counted::CountedWrites;
use crate::net::identity::Identity;
use crate::net::outage::LogLimit;
use crate::protocol::end::{drop_entries, end};
use crate::protocol::layout::{Anchor, CountNames};
use crate::protocol::write::write;
use crate::random;
use crate::server::Server;
use crate::session::counts::UsedCounts;
use crate::session::queue::{Queue, Queued};
use crate::session::recent_writes::{Change, RecentWrites};
use crate::session::sender::{LARGEST_STEP, Prepared, Sender, StartedCount};
use crate::settings::Settings;

/// The least time that a count is kept on the server without being refreshed.
const SHORTEST_COUNT_LIFETIME: Duration = Duration::from_secs(600);

/// The most bytes of keys that are removed from one region again. A region with more is invalidated, so
/// that no step is too large for a slow connection.
const REMOVED_BYTES: usize = 8192;

/// The most times that a preparation begins again because the server lost data meanwhile.
const MOST_LOSSES: usize = 5;

/// Returns the time that a count of writes is kept on the server without being refreshed: signs of life
/// come more often.
pub(crate) fn count_lifetime(settings: &Settings) -> Duration {
    SHORTEST_COUNT_LIFETIME.max((settings.watch + settings.silence) * 8)
}

/// The changes that this process made, and the invalidations that it still has to make.
#[derive(Debug)]
pub(crate) struct Recovery {
    recent: Mutex<RecentWrites>,
    queue: Mutex<Queue>,
    repetition: Mutex<Repetition>,
    counts: Mutex<UsedCounts>,
    /// The id of the last count that was begun, and the writes under it.
    counted: Mutex<Option<(u128, Arc<CountedWrites>)>>,
    /// The same of the count that recent changes were counted with.
    in_use: Mutex<Option<(u128, Arc<CountedWrites>)>>,
    /// Counts on the server that nobody keeps any more, as it last said.
    overdue: Mutex<Vec<String>>,
    count_names: CountNames,
    anchor: Anchor,
    probe: String,
    /// The number of commands that the next step sends: fewer after a step that was not answered in time, so
    /// that a slow connection answers some.
    step: AtomicUsize,
    /// The limit of the lines about changes that are repeated.
    repetitions: Arc<LogLimit>,
}

/// The changes that still have to be repeated on a server which lost data.
#[derive(Debug, Default)]
struct Repetition {
    /// The server. What it has acknowledged is not sent again at the next attempt.
    target: Option<Identity>,
    left: VecDeque<Change>,
    /// The number of times that data was found to be lost.
    losses: u64,
}

impl Repetition {
    /// Begins from the start next time.
    fn forget(&mut self) {
        self.target = None;
        self.left.clear();
    }
}

impl Recovery {
    pub(crate) fn new(
        settings: &Settings,
        count_names: CountNames,
        repetitions: Arc<LogLimit>,
    ) -> Self {
        Self {
            recent: Mutex::new(RecentWrites::new(settings.max_lag, settings.servers.anchor())),
            queue: Mutex::new(Queue::new(settings.queue)),
            repetition: Mutex::default(),
            counts: Mutex::default(),
            counted: Mutex::default(),
            in_use: Mutex::default(),
            overdue: Mutex::default(),
            count_names,
            anchor: settings.servers.anchor(),
            probe: count_names.of(random::long_bits()),
            step: AtomicUsize::new(LARGEST_STEP),
            repetitions,
        }
    }

    /// The changes of this process.
    pub(crate) fn recent_writes(&self) -> parking_lot::MutexGuard<'_, RecentWrites> {
        self.recent.lock()
    }

    /// Queues an invalidation that could not be sent. Returns whether there was room.
    pub(crate) fn queue(&self, region: &RegionPath, verb: Verb) -> bool {
        self.queue.lock().push(region, verb)
    }

    /// Returns the number of invalidations that have been queued: connections that have replayed fewer must
    /// not be used.
    pub(crate) fn queued(&self) -> u64 {
        self.queue.lock().pushed()
    }

    /// Returns whether queued invalidations have to be replayed before anything is read from any server.
    pub(crate) fn has_queued(&self) -> bool {
        !self.queue.lock().is_empty()
    }

    /// The names of the counts of writes.
    pub(crate) fn count_names(&self) -> CountNames {
        self.count_names
    }

    /// The name of a count that shows whether a server takes writes again.
    pub(crate) fn probe(&self) -> &str {
        &self.probe
    }

    /// The names of all counts that this process may have on a server.
    pub(crate) fn used_counts(&self) -> Vec<String> {
        let mut names = self.counts.lock().names();
        names.push(self.probe.clone());
        names
    }

    /// Notes counts that nobody keeps any more: they are retired with the next sign of life.
    pub(crate) fn note_overdue(&self, counts: Vec<String>) {
        *self.overdue.lock() = counts;
    }

    /// The counts on the server that nobody keeps any more, as it last said.
    pub(crate) fn overdue(&self) -> Vec<String> {
        self.overdue.lock().clone()
    }

    /// Returns whether a replica that shows the count `count` with this id has what was answered with it, as far as is
    /// known now.
    pub(crate) fn is_believed(&self, count_id: u128, count: u64) -> bool {
        let in_use = self.in_use.lock();
        let counted = in_use.as_ref().filter(|(in_use, _)| *in_use == count_id);
        counted.is_none_or(|(_, counted)| counted.is_believed_now(count))
    }

    /// Records a change of a region's own entries that was answered with `count`.
    pub(crate) fn written(&self, region: &RegionPath, connections: &Connections, count: u64) {
        self.recent.lock().written(region, connections.count_id, count);
    }

    /// Records an ended region that was answered with `count`.
    pub(crate) fn ended(
        &self,
        region: &RegionPath,
        verb: Verb,
        connections: &Connections,
        count: u64,
    ) {
        self.recent.lock().ended(region, verb, connections.count_id, count);
    }

    /// Prepares new connections: makes the server refuse writes over earlier connections, replays the queue,
    /// and repeats recent changes if the server is another one than before, or has lost data.
    ///
    /// Each step has a limit of time. The preparation may be dropped or fail at any step: changes that the
    /// server has acknowledged by then are not sent to it again. Where a server refuses all writes, the
    /// connections are prepared for reads alone, unless something has to be written before these.
    pub(crate) async fn prepare(
        &self,
        settings: &Settings,
        connections: &mut Connections,
    ) -> Result<(), Failure> {
        let server = Arc::clone(&connections.server);
        let sender = Sender::new(&server, settings, &self.step);
        sender.load_scripts(connections).await?;
        for _ in 0..MOST_LOSSES {
            if let Prepared::Ready = self.try_to_prepare(&sender, settings, connections).await? {
                return Ok(());
            }
            self.distrust();
            *connections = connections.with_new_count();
        }
        Err(Failure::unavailable(&*server, "loses what is written to it"))
    }

    async fn try_to_prepare(
        &self,
        sender: &Sender<'_>,
        settings: &Settings,
        connections: &mut Connections,
    ) -> Result<Prepared, Failure> {
        let mut earlier = self.counts.lock().begin(&connections.count_key);
        earlier.push(self.probe.clone());
        let former = self.counted.lock().clone();
        let former_key = former.as_ref().map(|(count_id, _)| self.count_names.of(*count_id));
        match sender.begin_count(connections, former_key.as_deref(), &earlier).await? {
            StartedCount::At(counts) => {
                self.note_overdue(counts.overdue);
                if former
                    .is_some_and(|(_, former)| counts.shown < former.highest() || former.has_lost())
                {
                    self.distrust();
                }
                connections.counted.go_on_from(counts.count);
                *self.counted.lock() =
                    Some((connections.count_id, Arc::clone(&connections.counted)));
            }
            StartedCount::Refused(refusal) => return self.prepare_for_reads(connections, refusal),
        }
        // Only now: the count is there, and data that is lost from here on takes the count with it.
        connections.identify(settings, sender.limit()).await?;
        connections.identity.check_primary(sender.server)?;
        let losses = self.begin_repetition(sender.server, &connections.identity);
        if let Prepared::Lost = self.repeat(sender, connections).await? {
            return Ok(Prepared::Lost);
        }
        let Some(replayed) = self.replay(sender, connections).await? else {
            return Ok(Prepared::Lost);
        };
        let count = match sender.begin_count(connections, None, &[]).await? {
            StartedCount::At(counts) if counts.count > connections.counted.highest() => {
                counts.count
            }
            StartedCount::At(_) => return Ok(Prepared::Lost),
            StartedCount::Refused(refusal) => return Err(refusal),
        };
        let mut repetition = self.repetition.lock();
        // A loss that was found meanwhile may be a later one.
        if repetition.losses != losses {
            return Ok(Prepared::Lost);
        }
        repetition.forget();
        let mut recent = self.recent.lock();
        recent.start(connections.count_id, count);
        recent.identity = Some(connections.identity.clone());
        connections.counted.go_on_from(count);
        *self.in_use.lock() = Some((connections.count_id, Arc::clone(&connections.counted)));
        connections.first_count = count;
        connections.replayed = replayed;
        Ok(Prepared::Ready)
    }

    /// Prepares connections to a server that refuses all writes for reads. They are checked against the
    /// count of the former connections, which the server must still have.
    fn prepare_for_reads(
        &self,
        connections: &mut Connections,
        refusal: Failure,
    ) -> Result<Prepared, Failure> {
        let (repetition, queue) = (self.repetition.lock(), self.queue.lock());
        let mut recent = self.recent.lock();
        let knows_all =
            recent.identity.as_ref().is_none_or(|earlier| connections.identity.continues(earlier));
        let must_tell = if knows_all {
            repetition.target.is_some() && !repetition.left.is_empty()
        } else {
            !recent.recent().is_empty()
        };
        if must_tell || !queue.is_empty() {
            return Err(refusal);
        }
        if !knows_all || recent.identity.is_none() {
            recent.start_without_count(connections.count_id);
        }
        let former = self.in_use.lock().clone();
        let counted = former.filter(|(count_id, _)| *count_id == recent.count_id());
        let counted =
            counted.map_or_else(|| Arc::new(CountedWrites::new()), |(_, counted)| counted);
        connections.restrict_to_reads(recent.count_id(), counted);
        connections.replayed = queue.pushed();
        recent.identity = Some(connections.identity.clone());
        tracing::warn!(error = %refusal.error, "connected for reads alone");
        Ok(Prepared::Ready)
    }

    /// Notes that the present server has lost writes.
    pub(crate) fn distrust(&self) {
        let mut repetition = self.repetition.lock();
        repetition.losses += 1;
        repetition.forget();
        self.recent.lock().identity = Some(Identity::default());
    }

    /// Determines the changes to repeat on the server with this identity. Returns the number of times that
    /// data was found to be lost so far.
    fn begin_repetition(&self, server: &Server, identity: &Identity) -> u64 {
        let mut repetition = self.repetition.lock();
        let recent = self.recent.lock();
        if recent.identity.as_ref().is_none_or(|earlier| identity.continues(earlier)) {
            repetition.forget();
        } else if !repetition.target.as_ref().is_some_and(|target| identity.continues(target)) {
            // No server has been used since, so no change has been sent meanwhile.
            repetition.left = recent.recent().into();
            repetition.target = Some(identity.clone());
            let regions = repetition.left.len();
            if let Some(left_out) = self.repetitions.pass() {
                tracing::warn!(%server, regions, left_out, "another server, or one that lost data: repeating recent changes");
            }
        }
        repetition.losses
    }

    /// Repeats recent changes that the server has not acknowledged.
    async fn repeat(
        &self,
        sender: &Sender<'_>,
        connections: &Connections,
    ) -> Result<Prepared, Failure> {
        loop {
            let (commands, regions) = {
                let repetition = self.repetition.lock();
                let (mut commands, mut regions) = (Vec::new(), 0);
                for change in repetition.left.iter().take(sender.step()) {
                    commands.extend(repeat_commands(change, self.anchor, connections));
                    regions += 1;
                    if commands.len() >= sender.step() {
                        break;
                    }
                }
                (commands, regions)
            };
            if regions == 0 {
                return Ok(Prepared::Ready);
            }
            if let Prepared::Lost = sender.send_all(connections, &commands).await? {
                return Ok(Prepared::Lost);
            }
            // Empty if a loss was found meanwhile: then it begins again.
            let left = &mut self.repetition.lock().left;
            left.drain(..regions.min(left.len()));
        }
    }

    /// Replays the queue. Returns the number of invalidations that had been queued by then; `None` if the
    /// server has lost data.
    async fn replay(
        &self,
        sender: &Sender<'_>,
        connections: &Connections,
    ) -> Result<Option<u64>, Failure> {
        loop {
            let batch = {
                let queue = self.queue.lock();
                if queue.is_empty() {
                    return Ok(Some(queue.pushed()));
                }
                queue.first(sender.step())
            };
            tracing::info!(server = %sender.server, regions = batch.len(), "invalidating what was queued");
            let ends = |Queued { region, verbs, .. }: &Queued| {
                let verbs = verbs.needed().into_iter();
                let at = self.anchor.locate(region);
                verbs.map(|verb| end(at, verb, connections.write_count())).collect::<Vec<_>>()
            };
            let commands: Vec<_> = batch.iter().flat_map(ends).collect();
            if let Prepared::Lost = sender.send_all(connections, &commands).await? {
                return Ok(None);
            }
            self.queue.lock().remove(&batch);
        }
    }
}

/// Returns the commands that repeat a change.
fn repeat_commands(change: &Change, anchor: Anchor, connections: &Connections) -> Vec<Cmd> {
    let Change { region, mut verbs, keys } = change.clone();
    let is_small = keys.iter().map(|key| key.len()).sum::<usize>() <= REMOVED_BYTES;
    if !is_small {
        verbs.add(Verb::Invalidate);
    }
    let (at, ends) = (anchor.locate(&region), verbs.needed().into_iter());
    let mut commands: Vec<_> = ends.map(|verb| end(at, verb, connections.write_count())).collect();
    if is_small && !keys.is_empty() && at.above() > 0 {
        // What lies above is not known here: all entries of the region go, whatever they were filled under.
        commands.push(drop_entries(at, connections.write_count()));
    } else if is_small && !keys.is_empty() {
        let ops: Vec<_> = keys.iter().map(|key| Op::Remove { key }).collect();
        let removal = Write::new(&ops);
        commands.push(write(at, &removal, connections.write_count()));
    }
    commands
}

/// The error of an invalidation that neither reached the server nor found room in the queue.
pub(crate) fn queue_is_full(capacity: usize, cause: Error) -> Error {
    let message =
        format!("the queue of invalidations is full: {capacity} regions wait for the server");
    Error::new(ErrorKind::Unavailable, message).with_source(cause)
}
