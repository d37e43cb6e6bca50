//! The task of a signal in one process: it sends, receives, and watches over what it has sent.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::deliveries::Deliveries;
use super::journal::Journal;
use super::record::lifetime;
use super::rounds::{Answer, Extent, OwnRecord, Rounds};
use super::wake::Wake;
use super::{MAX_SIGNAL_BYTES, Received, SHARED_SIGNAL_TTL};
use crate::engine::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::random::process_jittered;
use crate::signal::{Sent, Signal};
use crate::store::{Listener, Listening, Op, Put, Write};
use crate::value::serializer::Value;

/// The most values that are sent in one step. Far fewer than are kept, so that receivers have time to read
/// each.
const MAX_BATCH: usize = 32;

/// The time between rounds where the store pushes changes. All senders are looked at then, and what this process
/// has sent.
const FULL_INTERVAL: Duration = Duration::from_secs(30);

/// The time between rounds where nobody would push a change.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The wait after a round has failed. It doubles each time. All waits are shortened by chance, by half at most.
const FIRST_RETRY: Duration = Duration::from_millis(50);

/// The longest such wait.
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// A value on its way to the task.
pub(super) struct Posting<T> {
    pub(super) sent: Sent<T>,
    pub(super) bytes: usize,
    pub(super) reply: oneshot::Sender<Result<()>>,
}

/// Tells how many bytes a value takes.
pub(super) struct Sizes(Arc<Context>);

impl Sizes {
    /// Returns the bytes of a value in the store, its sender's name included.
    pub(super) fn of<T: Value>(&self, sent: &Sent<T>) -> Result<usize> {
        let encoded = self.0.codec().encode("value", &**sent.value());
        let bytes = encoded.map_err(self.0.during("send"))?.len();
        let bytes = bytes + sent.sender().map_or(0, str::len);
        if bytes > MAX_SIGNAL_BYTES {
            let message = format!(
                "a signal of {bytes} bytes exceeds the limit of {MAX_SIGNAL_BYTES}: store large values in a \
                 region, and send their keys"
            );
            return Err(self.0.during("send")(Error::new(ErrorKind::TooLarge, message)));
        }
        Ok(bytes)
    }
}

/// Starts the task.
pub(super) fn start<T: Value>(
    context: &Arc<Context>,
    received: &Signal<Received<T>>,
    queue: mpsc::Receiver<Posting<T>>,
) -> Arc<Sizes> {
    let wake = Arc::new(Wake::new(context.path().clone()));
    let task = Task {
        context: Arc::clone(context),
        queue,
        held: None,
        journal: Journal::new(),
        rounds: Rounds::new(Arc::clone(context)),
        deliveries: Deliveries::start(received.clone()),
        // Before the first read, so that nothing changes unheard after it.
        listening: context.engine().store.listen(Arc::clone(&wake) as Arc<dyn Listener>),
        wake,
        next_round: Instant::now(),
        retry: None,
    };
    tokio::spawn(task.run());
    Arc::new(Sizes(Arc::clone(context)))
}

struct Task<T> {
    context: Arc<Context>,
    queue: mpsc::Receiver<Posting<T>>,
    /// A value that did not fit into the last step.
    held: Option<Posting<T>>,
    journal: Journal<T>,
    rounds: Rounds<T>,
    deliveries: Deliveries<T>,
    listening: Option<Listening>,
    wake: Arc<Wake>,
    next_round: Instant,
    /// The wait before the last round is tried again; `None`: it has succeeded.
    retry: Option<Duration>,
}

impl<T: Value> Task<T> {
    /// Ends when all handles of the signal are gone, and what they have posted is sent.
    async fn run(mut self) {
        loop {
            // In no order: neither values to send nor pushes keep the other waiting.
            tokio::select! {
                posting = next_posting(&mut self.held, &mut self.queue) => match posting {
                    Some(posting) => self.post(posting).await,
                    None => return,
                },
                // While rounds fail, pushes do not make them come sooner.
                () = self.wake.woken(), if self.retry.is_none() => self.round(Extent::Changes).await,
                () = sleep_until(self.next_round) => self.round(Extent::All).await,
                () = self.deliveries.settle() => {}
            }
        }
    }

    /// Sends a value, and those that wait behind it, in one step.
    async fn post(&mut self, first: Posting<T>) {
        self.journal.expire();
        let (mut replies, mut bytes, mut next) = (Vec::new(), 0, Some(first));
        while let Some(posting) = next {
            bytes += posting.bytes;
            if !replies.is_empty() && bytes > MAX_SIGNAL_BYTES {
                self.held = Some(posting);
                break;
            }
            self.journal.add(posting.sent, posting.bytes);
            replies.push(posting.reply);
            next = (replies.len() < MAX_BATCH).then(|| self.queue.try_recv().ok()).flatten();
        }
        let result = self.put().await.map_err(self.context.during("send"));
        match result.as_ref().map_err(Error::kind) {
            Ok(()) => {}
            // The store may have it, and others may have read it: it keeps its number.
            Err(ErrorKind::Timeout | ErrorKind::Store | ErrorKind::Protocol) => {
                let soon = Instant::now() + process_jittered(FIRST_RETRY);
                self.next_round = self.next_round.min(soon);
            }
            Err(_) => self.journal.take_back(replies.len()),
        }
        self.deliveries.tell_missed();
        for reply in replies {
            // The caller may be gone.
            let _ = reply.send(result.clone());
        }
    }

    /// Puts this process's record, and delivers to its own handlers what the store has now.
    async fn put(&mut self) -> Result<()> {
        let Some(record) = self.journal.record() else { return Ok(()) };
        let key = self.rounds.own();
        let bytes = self.context.codec().encode(key, &record)?;
        let ops = [Op::Put(Put::new(key, bytes).fresh_for(lifetime(SHARED_SIGNAL_TTL)))];
        self.context.engine().store.write(self.context.path(), Write::new(&ops)).await?;
        let own = self.journal.acknowledge();
        if own.has_missed {
            self.deliveries.missed();
        }
        own.values.into_iter().for_each(|sent| self.deliveries.value(sent));
        Ok(())
    }

    async fn round(&mut self, extent: Extent) {
        // One that has failed may have left something unread.
        let extent = if self.retry.is_some() { Extent::All } else { extent };
        let result = self.try_round(extent).await;
        self.deliveries.tell_missed();
        let wait = match result {
            Ok(answer) => {
                if self.retry.take().is_some() {
                    tracing::info!(region = %self.context.path(), "a signal is received again");
                }
                if answer.again {
                    self.wake.wake();
                }
                let is_covered = answer.is_covered && self.listening.is_some();
                if is_covered { FULL_INTERVAL } else { POLL_INTERVAL }
            }
            Err(error) => {
                if self.retry.is_none() {
                    let region = self.context.path();
                    tracing::warn!(%region, %error, "a signal cannot be received, trying again");
                }
                let wait = self.retry.unwrap_or(FIRST_RETRY);
                self.retry = Some((wait * 2).min(LONGEST_RETRY));
                wait
            }
        };
        self.next_round = Instant::now() + process_jittered(wait);
    }

    /// Reads what is new, and sends again what the store has lost.
    async fn try_round(&mut self, extent: Extent) -> Result<Answer> {
        let answer = self.rounds.run(extent, &mut self.deliveries).await?;
        self.journal.expire();
        let is_lost = match answer.own {
            OwnRecord::Unchanged => false,
            OwnRecord::Last(last) => last < self.journal.last(),
            OwnRecord::Absent => true,
        };
        if is_lost || self.journal.is_unsure() {
            self.put().await?;
        }
        Ok(answer)
    }
}

/// The next value to send. `None`: there will be none.
///
/// # Cancel safety
/// No value is lost.
async fn next_posting<T>(
    held: &mut Option<Posting<T>>,
    queue: &mut mpsc::Receiver<Posting<T>>,
) -> Option<Posting<T>> {
    match held.take() {
        Some(posting) => Some(posting),
        None => queue.recv().await,
    }
}
