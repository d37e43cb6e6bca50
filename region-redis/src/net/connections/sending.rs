//! How a request goes over the connections, and what is left when its caller leaves.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use redis::{RedisResult, Value};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::Connections;
use crate::error::{Concerns, Failure};
use crate::net::request::{Lane, RawResponse, Request, Retry, Tracking};
use crate::net::transport::Transport;
use crate::protocol::reply::answered_count;

impl Connections {
    /// Sends a request and returns the answers, errors of the server among them. Gives up at `deadline`.
    pub(crate) async fn send(
        &self,
        request: &Request,
        deadline: Instant,
    ) -> Result<RawResponse, Failure> {
        let transports = &self.membership.transports;
        // It must not take effect later than what is sent after it.
        let is_ordered = request.retry != Retry::Safe;
        let extra = match request.lane {
            Lane::Main => None,
            Lane::Large if is_ordered && transports.has_late_on_main() => None,
            Lane::Large => match transports.large.get(half_way_to(deadline)).await {
                Ok(transport) => Some(transport),
                // The address leads to another server now: the main connection must be replaced too.
                Err(failure) if failure.concerns == Concerns::Server => return Err(failure),
                Err(_) => None,
            },
            Lane::Waiting => {
                let waiting = transports.waiting(self.place).get(half_way_to(deadline)).await;
                // That it cannot be opened says nothing of the main one, which others may use.
                Some(waiting.map_err(Failure::of_extra)?)
            }
        };
        let Some(extra) = extra else {
            let unanswered = is_ordered.then(|| Unanswered::over(self, Lane::Main));
            let main = &transports.main;
            let answers = match request.floor {
                Some(floor) => self.send_counted(floor, request, deadline).await?,
                None => {
                    let answers = main.send(&request.commands);
                    self.send_over(main, request, deadline, answers).await?
                }
            };
            unanswered.into_iter().for_each(Unanswered::answered);
            return Ok(answers);
        };
        let unanswered = is_ordered.then(|| Unanswered::over(self, request.lane));
        let answers = extra.send(&request.commands);
        match self.send_over(&extra, request, deadline, answers).await {
            Ok(answers) => {
                unanswered.into_iter().for_each(Unanswered::answered);
                Ok(answers)
            }
            Err(failure) => {
                if failure.concerns == Concerns::Connection {
                    extra.close();
                }
                Err(failure.of_extra())
            }
        }
    }

    /// Sends a write that raises the count. Its answer is looked at even if its caller is gone by then.
    async fn send_counted(
        &self,
        floor: u64,
        request: &Request,
        deadline: Instant,
    ) -> Result<RawResponse, Failure> {
        let main = self.main();
        let commands = Arc::clone(&request.commands);
        let sending = async move {
            let (in_flight, has_room) = (self.counted.begin(floor), main.has_room());
            let sending = main.send_shared(commands);
            let answering = Box::pin(async move {
                let answers = sending.await;
                if let Ok(answers) = &answers {
                    in_flight.answered(answered_count(answers));
                }
                answers
            });
            let runtime = has_room.then(|| self.runtime.clone());
            Answering { answering: Some(answering), runtime }.await
        };
        self.send_over(main, request, deadline, sending).await
    }

    /// Sends a request over a connection: polls `answers`, once what it needs is set up.
    async fn send_over(
        &self,
        transport: &Transport,
        request: &Request,
        deadline: Instant,
        answers: impl Future<Output = RedisResult<Vec<Value>>>,
    ) -> Result<RawResponse, Failure> {
        let server = &*self.server;
        let failed = |error| Failure::client(server, error);
        let sending = async {
            let source = match request.tracking {
                Tracking::Read | Tracking::Write(_) => {
                    self.membership.track(transport).await.map_err(failed)?
                }
                Tracking::No => None,
            };
            let own_write = match &request.tracking {
                Tracking::Write(region) => transport.begin_write(region),
                Tracking::Read | Tracking::No => None,
            };
            let values = answers.await.map_err(failed)?;
            Ok(RawResponse { values, source, own_write })
        };
        match tokio::time::timeout_at(deadline, sending).await {
            Ok(answers) => answers,
            Err(_) => Err(Failure::timed_out(server)),
        }
    }
}

/// The answer to a write. If its caller is gone it is still looked at, by a task; unless the write may still
/// have to wait until it is sent: it must not be sent later than what its caller sends after it.
struct Answering<F: Future<Output: Send> + Send + 'static> {
    answering: Option<Pin<Box<F>>>,
    /// Where the task runs; `None` if the write may have to wait.
    runtime: Option<Handle>,
}

impl<F: Future<Output: Send> + Send + 'static> Future for Answering<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(answering) = &mut self.answering else { return Poll::Pending };
        let answer = answering.as_mut().poll(context);
        if answer.is_ready() {
            self.answering = None;
        }
        answer
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Answering<F> {
    fn drop(&mut self) {
        if let (Some(answering), Some(runtime)) = (self.answering.take(), self.runtime.take()) {
            runtime.spawn(answering);
        }
    }
}

/// Half of the time that is left: the rest is for another connection.
pub(crate) fn half_way_to(deadline: Instant) -> Instant {
    let now = Instant::now();
    now + deadline.saturating_duration_since(now) / 2
}

/// Dropped when a write has not been answered: it failed, or its caller is gone.
struct Unanswered<'c> {
    connections: &'c Connections,
    lane: Lane,
    is_answered: bool,
}

impl<'c> Unanswered<'c> {
    fn over(connections: &'c Connections, lane: Lane) -> Self {
        Self { connections, lane, is_answered: false }
    }

    fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        match self.lane {
            _ if self.is_answered => {}
            Lane::Main => {
                self.connections.membership.transports.note_late_on_main();
            }
            Lane::Large | Lane::Waiting => {
                self.connections.has_late_write.store(true, Ordering::Release);
            }
        }
    }
}
