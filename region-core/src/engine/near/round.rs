//! Verifications of a region, shared by all callers that may have their answer.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use super::known::Shown;
use crate::error::Result;

/// The answer of a verification: what it showed, and the sum of marks at which that is trusted.
pub(super) type Verified = Result<Option<Shown>>;

/// The verifications of one region: at most one is under way, and a caller shares the answer of any
/// that was sent after it came.
///
/// The lock is held while the store is asked, by those alone who wait for that answer.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// The number of questions that were about to be sent.
    sent: AtomicU64,
    last: Mutex<Option<(u64, Verified)>>,
}

impl Rounds {
    /// Returns the answer of `ask`, or that of a round that was sent after this call. `known` is asked
    /// first, once it is this caller's turn.
    ///
    /// # Cancel safety
    /// Dropping the future drops the question; the next in the queue asks again.
    pub(super) async fn ask<F>(
        &self,
        known: impl FnOnce() -> Option<Shown>,
        ask: impl FnOnce() -> F,
    ) -> Verified
    where
        F: Future<Output = Verified>,
    {
        let came = self.sent.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if let Some((number, verified)) = &*last
            && *number > came
        {
            return verified.clone();
        }
        if let Some(shown) = known() {
            return Ok(Some(shown));
        }
        let number = self.sent.fetch_add(1, Ordering::SeqCst) + 1;
        let verified = ask().await;
        *last = Some((number, verified.clone()));
        verified
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    async fn count(asked: &AtomicU64, gate: &Semaphore) -> Verified {
        asked.fetch_add(1, Ordering::SeqCst);
        drop(gate.acquire().await);
        Ok(None)
    }

    /// Callers that come while a question is under way share the next one, and never that one.
    #[tokio::test]
    async fn callers_share_questions_that_were_sent_after_they_came() {
        let (rounds, asked) = (Arc::new(Rounds::default()), Arc::new(AtomicU64::new(0)));
        let gate = Arc::new(Semaphore::new(0));
        let caller = || {
            let (rounds, asked, gate) =
                (Arc::clone(&rounds), Arc::clone(&asked), Arc::clone(&gate));
            tokio::spawn(async move { rounds.ask(|| None, || count(&asked, &gate)).await })
        };
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
        let caller = || {
            let (rounds, asked, gate) =
                (Arc::clone(&rounds), Arc::clone(&asked), Arc::clone(&gate));
            tokio::spawn(async move { rounds.ask(|| None, || count(&asked, &gate)).await })
        };
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
}
