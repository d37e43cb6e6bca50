//! The way from the task that receives to the handlers.

use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::Received;
use crate::signal::{Sent, Signal};

/// The values that wait for handlers at most. When there are more, handlers are told that they have missed some.
const MAX_DELIVERIES: usize = 1_024;

/// The values at most for which asynchronous handlers run at the same time.
const MAX_RUNNING: usize = 64;

/// Takes what handlers are to get. It never waits for them.
pub(super) struct Deliveries<T> {
    queue: mpsc::Sender<Received<T>>,
    /// Values were missed, which handlers are to be told at the end of the round.
    has_missed: bool,
    /// The queue was full: handlers are to be told that they have missed values once it is not.
    is_overflowing: bool,
}

impl<T: Send + Sync + 'static> Deliveries<T> {
    /// Starts the task that calls the handlers of `signal`. It ends when this is dropped and all is delivered.
    pub(super) fn start(signal: Signal<Received<T>>) -> Self {
        let (queue, deliveries) = mpsc::channel(MAX_DELIVERIES);
        tokio::spawn(deliver(signal, deliveries));
        Self { queue, has_missed: false, is_overflowing: false }
    }

    pub(super) fn value(&mut self, sent: Sent<T>) {
        if self.is_overflowing {
            self.give(Received::Missed);
        }
        // Otherwise what handlers will be told stands for this value too.
        if !self.is_overflowing {
            self.give(Received::Value(sent));
        }
    }

    /// Notes that values may have been missed.
    pub(super) fn missed(&mut self) {
        self.has_missed = true;
    }

    /// Has handlers told if values may have been missed: once, and after all that was found missing.
    pub(super) fn tell_missed(&mut self) {
        if std::mem::take(&mut self.has_missed) {
            self.give(Received::Missed);
        }
    }

    fn give(&mut self, received: Received<T>) {
        self.is_overflowing = matches!(self.queue.try_send(received), Err(TrySendError::Full(_)));
    }

    /// Waits until the queue is not full any more, and has handlers told what they have missed. Never ends if it
    /// was not full.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn settle(&mut self) {
        if !self.is_overflowing {
            std::future::pending::<()>().await;
        }
        if let Ok(permit) = self.queue.reserve().await {
            permit.send(Received::Missed);
        }
        self.is_overflowing = false;
    }
}

/// Calls the handlers. The synchronous ones get the values one after the other, and wait for no asynchronous one
/// unless too many of these run.
async fn deliver<T: Send + Sync + 'static>(
    signal: Signal<Received<T>>,
    mut deliveries: mpsc::Receiver<Received<T>>,
) {
    let mut running = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            Some(_) = running.next(), if !running.is_empty() => {}
            received = deliveries.recv(), if running.len() < MAX_RUNNING => match received {
                // Failures are logged.
                Some(received) => running.push(signal.send_all(Sent::new(Arc::new(received), None))),
                None => break,
            },
        }
    }
    while running.next().await.is_some() {}
}
