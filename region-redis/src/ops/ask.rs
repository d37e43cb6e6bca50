//! Asking a primary that may have lost what this process did.

use std::sync::Arc;

use redis::Value;
use region_core::{Error, RegionPath, Result, Source};
use tokio::time::Instant;

use crate::error::Failure;
use crate::net::connections::{Connections, Request};
use crate::net::link::Response;
use crate::protocol::reply::{Replies, number};
use crate::topology::shard::Shard;

/// How often a call that finds the server has forgotten this process's changes is tried.
pub(crate) const ATTEMPTS: usize = 10;

/// In which form a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyForm {
    /// Each command by itself.
    PerCommand,
    /// A single script, with a list.
    OneScript,
}

impl Shard {
    /// Asks the primary something whose answer begins with the ids along the path, and the count of
    /// writes where that matters; gives back the ids and the other answers. If it turns out to have lost what this process did, it is told again first.
    pub(crate) async fn ask(
        &self,
        region: &RegionPath,
        deadline: Instant,
        form: ReplyForm,
        request: impl Fn(Option<&str>) -> Request,
    ) -> Result<(Vec<Value>, Replies<'_>, Option<Source>)> {
        let shared = self.primary.shared();
        for _ in 0..ATTEMPTS {
            let (counted, needed) = self.recovery.recent_writes().needed(region);
            let request = |connections: &Connections| {
                request((needed > 0).then_some(connections.count_key.as_str()))
            };
            let Response { values, connections, source } =
                self.primary.call(deadline, request).await?;
            let values = match form {
                ReplyForm::PerCommand => values,
                ReplyForm::OneScript => Replies::new(&shared.server, values).list()?,
            };
            let (ids, shown, rest) = match ids_and_count(values, region, needed) {
                Ok(found) => found,
                Err(values) => {
                    // Not the ids, then: an error, or nonsense.
                    let mut replies = Replies::new(&shared.server, values);
                    replies.list()?;
                    return Err(replies.unexpected());
                }
            };
            if self.check_own_writes(&connections, (counted, needed), shown) {
                return Ok((ids, Replies::new(&shared.server, rest), source));
            }
        }
        Err(self.lost_writes())
    }

    /// Whether the primary shows what this process had counted. If not it has lost what was written to
    /// it, and is told again before the next call.
    pub(crate) fn check_own_writes(
        &self,
        connections: &Arc<Connections>,
        (counted, needed): (u128, u64),
        shown: u64,
    ) -> bool {
        // What was counted over an earlier channel is covered by the first count of this one.
        let needed = match needed {
            0 => 0,
            _ if counted == connections.count_id => needed,
            _ => connections.first_count,
        };
        if shown >= needed {
            return true;
        }
        let shared = self.primary.shared();
        if let Some(left_out) = self.logs.lost_changes.pass() {
            tracing::warn!(server = %shared.server, left_out, "changes of this process are gone from the server");
        }
        shared.distrust(connections);
        false
    }

    /// The error for a server that loses things again and again.
    pub(crate) fn lost_writes(&self) -> Error {
        Failure::unavailable(&self.primary.shared().server, "loses what is written to it").error
    }
}

/// The ids along the path, the count of writes that the server shows if it was asked, and the other
/// answers; all answers if the first is something else.
pub(crate) fn ids_and_count(
    values: Vec<Value>,
    region: &RegionPath,
    needed: u64,
) -> Result<(Vec<Value>, u64, Vec<Value>), Vec<Value>> {
    let asked = usize::from(needed > 0);
    match values.first() {
        Some(Value::Array(found)) if found.len() == region.depth() + asked => {}
        _ => return Err(values),
    }
    let mut values = values.into_iter();
    let Some(Value::Array(mut ids)) = values.next() else { return Err(values.collect()) };
    let shown =
        if asked == 0 { 0 } else { ids.pop().and_then(|count| number(&count)).unwrap_or(0) };
    Ok((ids, shown, values.collect()))
}
