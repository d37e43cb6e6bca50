//! Verifications of a region, shared by all callers that may have their answer.

use crate::sync::atomic::{AtomicBool, Ordering};
#[cfg(all(test, region_shuttle))]
mod models;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::sync::Mutex;
use futures_util::future::{BoxFuture, FutureExt, Shared, WeakShared};
use tokio::time::{Instant, timeout_at};

use super::known::Shown;
use crate::engine::Started;
use crate::error::{Error, ErrorKind, Result};
use crate::timers::has_timers;

/// A caller leaves this long after its limit: the store ends a call at the limit by itself, and notes it.
const GRACE: Duration = Duration::from_millis(5);

/// The answer of a verification: what it showed, and the sum of marks at which that is trusted.
pub(super) type Verified = Result<Option<Shown>>;

/// The verifications of one region: at most one is under way, and a caller shares the answer of any
/// that was sent after it came.
///
/// Whoever waits for an answer also drives the question on. So a caller that is not polled any more
/// holds up nobody.
#[derive(Debug, Default)]
pub(super) struct Rounds(Mutex<Option<Round>>);

/// A question. Its callers keep it: it ends with the last of them.
#[derive(Debug)]
struct Round {
    /// True once it is about to be sent.
    sent: Arc<AtomicBool>,
    /// The latest start of those who will share the answer: the question's limit counts from there.
    latest: Arc<Mutex<Instant>>,
    verified: WeakShared<BoxFuture<'static, Verified>>,
}

impl Rounds {
    /// Returns the answer of `ask`, or that of a round that was sent after this call. `known` is asked
    /// first, once it is this caller's turn.
    ///
    /// A caller whose operation began at `started` waits no longer than its `limit`. The question goes on for
    /// those who still wait.
    ///
    /// # Errors
    /// Those of `ask`, and [`ErrorKind::Timeout`].
    ///
    /// # Cancel safety
    /// Dropping the future ends the wait. The question ends with the last that waits for it.
    pub(super) async fn ask<F>(
        &self,
        started: &mut Started,
        limit: Option<Duration>,
        known: impl FnOnce() -> Option<Shown> + Send + 'static,
        ask: impl FnOnce(Started) -> F + Send + 'static,
    ) -> Verified
    where
        F: Future<Output = Verified> + Send + 'static,
    {
        let deadline = started.deadline(limit);
        let verified = self.join_or_start(started.note(), known, ask);
        match deadline.and_then(|deadline| deadline.checked_add(GRACE)) {
            // Without timers the store says so itself.
            Some(deadline) if has_timers() => {
                timeout_at(deadline, verified).await.unwrap_or_else(|_| Err(late()))
            }
            _ => verified.await,
        }
    }

    fn join_or_start<F>(
        &self,
        started: Instant,
        known: impl FnOnce() -> Option<Shown> + Send + 'static,
        ask: impl FnOnce(Started) -> F + Send + 'static,
    ) -> Shared<BoxFuture<'static, Verified>>
    where
        F: Future<Output = Verified> + Send + 'static,
    {
        let mut last = self.0.lock();
        let previous = last.as_ref().and_then(|round| {
            // First: were it looked at after the upgrade, the round could be sent in between.
            let is_sent = round.sent.load(Ordering::SeqCst);
            let verified = round.verified.upgrade()?;
            if !is_sent {
                let mut latest = round.latest.lock();
                *latest = started.max(*latest);
            }
            Some((is_sent, verified))
        });
        let previous = match previous {
            Some((false, verified)) => return verified,
            Some((true, verified)) => Some(verified),
            None => None,
        };
        let sent = Arc::new(AtomicBool::new(false));
        let latest = Arc::new(Mutex::new(started));
        let (is_sent, latest_of_all) = (Arc::clone(&sent), Arc::clone(&latest));
        let round = async move {
            if let Some(previous) = previous {
                // Its answer may be older than this caller. But a question that ran into its limit has cost
                // this caller time too, and there is no reason to think that another fares better.
                match previous.await {
                    Err(error) if error.kind() == ErrorKind::Timeout => return Err(error),
                    _ => {}
                }
            }
            is_sent.store(true, Ordering::SeqCst);
            match known() {
                Some(shown) => Ok(Some(shown)),
                None => {
                    let latest = *latest_of_all.lock();
                    ask(Started::at(Some(latest))).await
                }
            }
        };
        let verified = round.boxed().shared();
        *last = verified.downgrade().map(|verified| Round { sent, latest, verified });
        verified
    }
}

fn late() -> Error {
    let message = "the verification of values held near took longer than the limit of the call";
    Error::new(ErrorKind::Timeout, message).retryable()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use futures_util::poll;
    use tokio::sync::Semaphore;
    use tokio::task::JoinHandle;

    use super::*;

    async fn count(asked: Arc<AtomicU64>, gate: Arc<Semaphore>) -> Verified {
        asked.fetch_add(1, Ordering::SeqCst);
        drop(gate.acquire().await);
        Ok(None)
    }

    fn spawn_caller(
        rounds: &Arc<Rounds>,
        asked: &Arc<AtomicU64>,
        gate: &Arc<Semaphore>,
    ) -> JoinHandle<Verified> {
        let (rounds, asked, gate) = (Arc::clone(rounds), Arc::clone(asked), Arc::clone(gate));
        tokio::spawn(async move {
            let mut started = Started::now();
            rounds.ask(&mut started, None, || None, |_| count(asked, gate)).await
        })
    }

    /// Callers that come while a question is under way share the next one, and never that one.
    #[tokio::test]
    async fn callers_share_questions_that_were_sent_after_they_came() {
        let (rounds, asked) = (Arc::new(Rounds::default()), Arc::new(AtomicU64::new(0)));
        let gate = Arc::new(Semaphore::new(0));
        let caller = || spawn_caller(&rounds, &asked, &gate);
        let first = caller();
        while asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let late: Vec<_> = (0..10).map(|_| caller()).collect();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        gate.add_permits(1);
        first.await.unwrap().unwrap();
        for caller in late {
            caller.await.unwrap().unwrap();
        }
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_question_that_is_dropped_is_asked_again() {
        let (rounds, asked) = (Arc::new(Rounds::default()), Arc::new(AtomicU64::new(0)));
        let gate = Arc::new(Semaphore::new(0));
        let caller = || spawn_caller(&rounds, &asked, &gate);
        let dropped = caller();
        while asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let waiting = caller();
        dropped.abort();
        gate.add_permits(1);
        waiting.await.unwrap().unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    /// A lock was held while the store was asked: a caller that was not polled any more kept it for good.
    #[tokio::test]
    async fn a_caller_that_is_not_polled_holds_up_no_other() {
        let (rounds, asked) = (Rounds::default(), Arc::new(AtomicU64::new(0)));
        let gate = Arc::new(Semaphore::new(0));
        let ask = |started| {
            let (asked, gate) = (Arc::clone(&asked), Arc::clone(&gate));
            rounds.ask(started, None, || None, |_| count(asked, gate))
        };
        let (mut first, mut second) = (Started::now(), Started::now());
        let mut unpolled = Box::pin(ask(&mut first));
        assert!(poll!(&mut unpolled).is_pending());
        gate.add_permits(1);
        ask(&mut second).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        drop(unpolled);
        let last = rounds.0.lock();
        assert!(last.as_ref().is_none_or(|round| round.verified.upgrade().is_none()));
    }
}
