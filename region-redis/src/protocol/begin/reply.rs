use std::time::Duration;

use redis::Value;
use region_core::{Lease, LeaseToken, Result, Timestamp};

use crate::protocol::layout::{PathIds, big_endian};
use crate::protocol::reply::{Replies, borrowed};

/// The answer to [`begin`](super::begin).
pub(crate) struct BeginReply {
    /// The count of writes.
    pub(crate) count: u64,
    /// Says whether something was created.
    pub(crate) created: bool,
    /// The count that the server had before.
    pub(crate) shown: u64,
    pub(crate) now: Timestamp,
    pub(crate) ids: PathIds,
    /// The stamp, then the entries.
    pub(crate) fields: Vec<Value>,
    pub(crate) leases: Vec<Lease>,
}

impl BeginReply {
    pub(crate) fn parse(mut replies: Replies) -> Result<Self> {
        let (count, created) = (replies.number()?, replies.number()? > 0);
        let shown = replies.number()?;
        let now = replies.micros()?;
        let ids = replies.path_ids()?.ok_or_else(|| replies.unexpected())?;
        let mut fields = vec![replies.next()?];
        fields.extend(replies.list()?);
        let leases: Option<Vec<_>> = replies.list()?.iter().map(lease_of).collect();
        let leases = leases.ok_or_else(|| replies.unexpected())?;
        if fields.len() != leases.len() + 1 {
            return Err(replies.unexpected());
        }
        Ok(Self { count, created, shown, now, ids, fields, leases })
    }
}

fn lease_of(value: &Value) -> Option<Lease> {
    match value {
        Value::Int(0) => Some(Lease::NotTaken),
        Value::Int(1) => Some(Lease::Granted),
        held => {
            let (token, left) = borrowed(held)?.split_first_chunk()?;
            Some(Lease::Held {
                by: LeaseToken::from_bits(u64::from_le_bytes(*token)),
                left: Duration::from_millis(big_endian(left)),
            })
        }
    }
}
