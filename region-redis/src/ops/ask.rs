//! Requests to a primary that may have lost writes of this process.

use std::sync::Arc;

use redis::Value;
use region_core::{Error, RegionPath, Result, Source};
use tokio::time::Instant;

use crate::error::Failure;
use crate::net::connections::{Connections, half_way_to};
use crate::net::link::Response;
use crate::net::request::Request;
use crate::protocol::reply::{Replies, number};
use crate::topology::shard::Shard;

/// The most attempts of a call that finds writes of this process lost.
pub(crate) const ATTEMPTS: usize = 10;

/// The form of the answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyForm {
    /// Each command has an answer of its own.
    PerCommand,
    /// A single script answers with a list.
    OneScript,
    /// Each command has an answer of its own, and the ids are not asked for.
    WithoutIds,
}

impl Shard {
    /// Sends the primary a request whose answer begins with `regions` ids along the path (if the form has them), and
    /// the count of writes if the request asks for it. Returns the ids and the other answers. If the primary
    /// has lost writes of this process, recent changes are repeated and the request is sent again.
    pub(crate) async fn ask(
        &self,
        region: &RegionPath,
        regions: usize,
        deadline: Instant,
        form: ReplyForm,
        request: impl Fn(Option<&str>) -> Request,
    ) -> Result<(Vec<Value>, Replies, Option<Source>)> {
        for _ in 0..ATTEMPTS {
            let (counted, needed) = self.recovery.recent_writes().needed(region);
            let request = |connections: &Connections| {
                request((needed > 0).then_some(connections.count_key.as_str()))
            };
            let Response { values, connections, source, .. } =
                self.primary.call(deadline, request).await?;
            let values = match form {
                ReplyForm::PerCommand | ReplyForm::WithoutIds => values,
                ReplyForm::OneScript => Replies::new(&connections.server, values).list()?,
            };
            let asked = if form == ReplyForm::WithoutIds { 0 } else { regions };
            let (ids, shown, rest) = match ids_and_count(values, asked, needed) {
                Ok(found) => found,
                Err(values) => {
                    // The first answer is not the ids: it is an error, or of the wrong form.
                    let mut replies = Replies::new(&connections.server, values);
                    replies.list()?;
                    return Err(replies.unexpected());
                }
            };
            let counted = (counted, needed);
            if self.check_own_writes(&connections, counted, shown, deadline).await {
                return Ok((ids, Replies::new(&connections.server, rest), source));
            }
        }
        Err(self.lost_writes())
    }

    /// Returns whether the primary shows the count that this process needs. If not, it has lost writes:
    /// recent changes are repeated on it before the next call. Waits for writes in flight that leave it open.
    pub(crate) async fn check_own_writes(
        &self,
        connections: &Arc<Connections>,
        (counted, needed): (u128, u64),
        shown: u64,
        deadline: Instant,
    ) -> bool {
        // Writes over earlier connections come before the first count of these.
        let needed = match needed {
            0 => 0,
            _ if counted == connections.count_id => needed,
            _ => connections.first_count,
        };
        let is_believed = shown >= needed
            && (needed == 0 || {
                // A write whose future nobody polls is not waited for any longer: the rest of the time is
                // for new connections.
                let believing = connections.counted.is_believed(needed);
                tokio::time::timeout_at(half_way_to(deadline), believing).await.unwrap_or(false)
            });
        if !is_believed {
            self.distrust(connections);
        }
        is_believed
    }

    /// Checks the answer to a write, after the write was recorded. If two writes were answered with the same count the
    /// primary has lost the first of them: recent changes are repeated on it before the next call.
    pub(crate) fn check_for_loss(&self, connections: &Arc<Connections>) {
        if connections.counted.has_lost() {
            self.distrust(connections);
        }
    }

    pub(crate) fn distrust(&self, connections: &Arc<Connections>) {
        let shared = self.primary.shared();
        if let Some(left_out) = self.logs.lost_changes.pass() {
            tracing::warn!(server = %connections.server, left_out, "changes of this process are gone from the server");
        }
        shared.distrust(connections);
    }

    /// Returns the error for a server that loses writes again and again.
    pub(crate) fn lost_writes(&self) -> Error {
        Failure::unavailable(&self.primary.target(), "loses what is written to it").error
    }
}

/// Returns the ids of the `regions` regions that were asked for, the count of writes that the server shows if it
/// was asked for, and the other answers; all answers, as an error, if the first is something else.
pub(crate) fn ids_and_count(
    values: Vec<Value>,
    regions: usize,
    needed: u64,
) -> Result<(Vec<Value>, u64, Vec<Value>), Vec<Value>> {
    let asked = regions + usize::from(needed > 0);
    if asked == 0 {
        return Ok((Vec::new(), 0, values));
    }
    match values.first() {
        Some(Value::Array(found)) if found.len() == asked => {}
        _ => return Err(values),
    }
    let mut values = values.into_iter();
    let Some(Value::Array(mut ids)) = values.next() else { return Err(values.collect()) };
    let shown = ids.split_off(regions).first().and_then(number).unwrap_or(0);
    Ok((ids, shown, values.collect()))
}
