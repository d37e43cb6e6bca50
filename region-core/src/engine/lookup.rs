//! Lookups: fetch entries from the store, decode them, and count hits and misses.

mod count;
mod decode;
mod many;
mod one;

use std::time::Duration;

use tokio::time::Instant;

use super::near::{Label, NearTimes};
use super::{Context, Started, Times};
use crate::error::{Error, Result};
use crate::lifetime::Lifetime;
use crate::store::Read;

pub(super) use decode::miss_reason;

/// The shortest time that can be left of something.
const SHORTEST: Duration = Duration::from_millis(1);

/// The answer of a read, with the moment that the near cache knows its entries by, or the outage that
/// the policy turns into misses.
pub(crate) enum Fetched {
    Read(Read, Option<Label>),
    Outage(Error),
}

impl Context {
    /// Reads the entries at `keys`, which were checked, as a part of an operation that began at `started`.
    pub(crate) async fn fetch(&self, keys: &[&str], started: &mut Started) -> Result<Fetched> {
        match self.fetch_or_outage(keys, started).await? {
            Fetched::Outage(error) if !self.is_miss(&error) => Err(error),
            fetched => Ok(fetched),
        }
    }

    /// Does the same, and leaves it to the caller what becomes of an outage.
    async fn fetch_or_outage(&self, keys: &[&str], started: &mut Started) -> Result<Fetched> {
        match self.read_near(keys, started).await {
            Ok((read, label)) => Ok(Fetched::Read(read, label)),
            Err(error) if error.is_outage() => Ok(Fetched::Outage(error)),
            Err(error) => Err(error),
        }
    }
}

/// The times of a value that is held near, and fresh.
pub(super) fn times(near: NearTimes) -> Times {
    Times { left: left(near.until), made: near.made }
}

/// The time left until `end`, which has not come; `None`: it never comes.
pub(super) fn left(end: Option<Instant>) -> Lifetime {
    let left = |end: Instant| end.saturating_duration_since(Instant::now()).max(SHORTEST);
    end.map_or(Lifetime::Unlimited, |end| Lifetime::of(left(end)).unwrap_or_default())
}
