//! Decodes the entries that the store has shown. Bytes that cannot be decoded are a miss.

use std::sync::Arc;

use tokio::time::Instant;

use crate::engine::Context;
use crate::engine::depends::Depending;
use crate::engine::found::{Accept, Found, Times};
use crate::engine::near::Label;
use crate::stats::MissReason;
use crate::store::{Entry, Freshness, Leftover, Read};
use crate::value::codec::Decoded;
use crate::value::envelope::BadBytes;
use crate::value::serializer::Value;

impl Context {
    /// Decodes the entry that was found at `key`, or says why there was none, and keeps it near if it is
    /// fresh and the answer has a label. Its dependencies have to be asked for.
    pub(crate) fn find_in<V: Value>(
        &self,
        key: &str,
        entry: Result<Entry, MissReason>,
        accept: Accept,
        label: Option<&Label>,
    ) -> Found<V> {
        let entry = match entry {
            Err(reason) => return Found::Nothing(reason),
            Ok(entry) if accept == Accept::Fresh && !entry.is_fresh() => {
                return Found::Nothing(MissReason::Expired);
            }
            Ok(entry) => entry,
        };
        let Decoded { value, made, dependencies } = match self.codec.decode(key, &entry.bytes) {
            Ok(decoded) => decoded,
            Err(bad) => return Found::Nothing(self.bad_bytes(key, &bad)),
        };
        let value = value.map(Arc::new);
        if let Freshness::Fresh { left } = entry.freshness {
            let size = entry.bytes.len();
            let times = Times { left, made };
            self.keep_near(key, (size, times), value.as_ref(), dependencies.as_ref(), label);
        }
        let is_wanted = entry.is_fresh() && accept == Accept::FreshStaleOrAbsent;
        match (value, dependencies, entry.freshness) {
            (None, ..) if !is_wanted => Found::Nothing(MissReason::Absent),
            (value, Some(on), freshness) => Depending::new(value, freshness, made, on).into(),
            (None, None, _) => Found::Absent,
            (Some(value), None, Freshness::Fresh { left }) => {
                Found::Fresh(value, Times { left, made })
            }
            (Some(value), None, Freshness::Stale { left }) => {
                Found::Stale(value, Times { left, made })
            }
        }
    }

    /// Decodes `entry`, found at `key`. Returns `None` if its bytes are bad, which is counted and logged.
    pub(crate) fn decode_or_miss<V: Value>(&self, key: &str, entry: &Entry) -> Option<Decoded<V>> {
        let decoded = self.codec.decode(key, &entry.bytes);
        match decoded {
            Ok(decoded) => Some(decoded),
            Err(bad) => {
                self.bad_bytes(key, &bad);
                None
            }
        }
    }

    /// Counts and logs an entry that cannot be decoded. Returns the reason for which it is a miss.
    #[cold]
    fn bad_bytes(&self, key: &str, bad: &BadBytes) -> MissReason {
        self.counters().bad_bytes.add(1);
        if let Some(unlogged) = self.engine.limiter.allow(bad.reason(), Instant::now()) {
            let reason = bad.reason();
            tracing::warn!(region = %self.path, key, reason, %bad, unlogged, "undecodable entry");
        }
        miss_reason(bad)
    }
}

impl Read {
    /// The reason for which a read that found no entry at the key at this position is a miss.
    #[cold]
    pub(in crate::engine) fn miss_reason(&self, at: usize) -> MissReason {
        match self.leftovers.binary_search_by_key(&at, |(at, _)| *at) {
            Ok(found) => match self.leftovers[found].1 {
                Leftover::Expired => MissReason::Expired,
                Leftover::Fenced => MissReason::Fenced,
            },
            Err(_) => MissReason::Absent,
        }
    }

    /// Takes the entry at the only key out, or says why there is none.
    #[inline]
    pub(in crate::engine) fn pop_entry(&mut self) -> Result<Entry, MissReason> {
        self.entries.pop().flatten().ok_or_else(|| self.miss_reason(0))
    }
}

/// The reason for which these bytes are a miss.
pub(in crate::engine) fn miss_reason(bad: &BadBytes) -> MissReason {
    match bad {
        BadBytes::Type | BadBytes::Serializer(_) => MissReason::OtherType,
        BadBytes::Absent => MissReason::Absent,
        _ => MissReason::BadBytes,
    }
}
