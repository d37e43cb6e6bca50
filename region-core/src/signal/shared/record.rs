//! The bytes that the store keeps of a signal.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::engine::Context;
use crate::error::Result;
use crate::lifetime::Lifetime;
use crate::random::process_bits;
use crate::signal::Sent;
use crate::value::serializer::Value;

/// The key of the entry that shows that the region has kept all it was given: a random id, which is lost with the
/// other entries and never comes back. It tells a receiver of losses that it would not notice otherwise.
pub(super) const CONTINUITY_KEY: &str = "continuity";

/// The time that this entry is kept if it is not renewed. Long beside the time for which values are kept, so
/// that it is seldom renewed.
pub(super) const CONTINUITY_TTL: Duration = Duration::from_secs(6 * 3600);

/// The first part of the keys of senders.
const SENDER: &str = "sender:";

/// Everything that the store keeps of one sending process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record<T> {
    /// The number of the first value. The first value that a process sends has number 1.
    pub(super) first: u64,
    /// Values before the first were dropped because there were too many, less than their TTL ago.
    pub(super) has_dropped_early: bool,
    pub(super) values: Vec<Letter<T>>,
}

/// A value and its sender.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Letter<T> {
    value: Arc<T>,
    sender: Option<Arc<str>>,
}

impl<T> Record<T> {
    /// The number of the last value.
    pub(super) fn last(&self) -> u64 {
        // A corrupt record may have any number; one of a sender has never no values.
        self.first.saturating_add(self.values.len() as u64).saturating_sub(1)
    }
}

impl<T> Letter<T> {
    pub(super) fn new(sent: &Sent<T>) -> Self {
        Self { value: Arc::clone(sent.value()), sender: sent.sender().map(Into::into) }
    }

    pub(super) fn into_sent(self) -> Sent<T> {
        Sent::new(self.value, self.sender)
    }
}

/// A key for a sending process, which no other has.
pub(super) fn new_sender_key() -> String {
    format!("{SENDER}{:016x}{:016x}", process_bits(), process_bits())
}

/// Returns true if a sending process has this key.
pub(super) fn is_sender(key: &str) -> bool {
    key.starts_with(SENDER)
}

/// A new id for [`CONTINUITY_KEY`].
pub(super) fn new_continuity(context: &Context) -> Result<Bytes> {
    context.codec().encode(CONTINUITY_KEY, &process_bits())
}

/// Reads a sender's record. `None`: other code has written it, or it is damaged.
pub(super) fn decode<T: Value>(context: &Context, key: &str, bytes: &[u8]) -> Option<Record<T>> {
    let decoded = context.codec().decode::<Record<T>>(key, bytes);
    match decoded.map(|decoded| decoded.value) {
        Ok(Some(record)) => Some(record),
        Ok(None) => None,
        Err(error) => {
            let region = context.path();
            tracing::warn!(%region, %key, ?error, "a signal cannot be decoded; it counts as missed");
            None
        }
    }
}

/// `duration` as the lifetime of an entry.
pub(super) fn lifetime(duration: Duration) -> Lifetime {
    // Neither zero nor beyond the limit.
    Lifetime::of(duration).unwrap_or_default()
}
