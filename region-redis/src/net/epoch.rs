//! The newest configuration of a cluster that any of its nodes has told of.

use std::sync::atomic::{AtomicU64, Ordering};

use redis::Value;
use tokio::sync::Notify;

use crate::net::identity::field_of;
use crate::protocol::reply::text;

/// The newest epoch that was heard of. It rises when a slot gets another primary, in a failover or because it was moved;
/// all nodes that are not cut off hear of it.
#[derive(Debug, Default)]
pub(crate) struct NewestEpoch {
    epoch: AtomicU64,
    risen: Notify,
}

impl NewestEpoch {
    /// Notes what a node has answered to `CLUSTER INFO`, if it could be asked.
    pub(crate) fn note(&self, answer: &Value) {
        let info = match answer {
            Value::VerbatimString { text, .. } => Some(text.as_str()),
            answer => text(answer),
        };
        let Some(epoch) = info.and_then(current_epoch) else { return };
        if self.epoch.fetch_max(epoch, Ordering::AcqRel) < epoch {
            self.risen.notify_one();
        }
    }

    /// Waits until a newer epoch than `known` is heard of, and returns it. It may be dropped at any time.
    pub(crate) async fn newer_than(&self, known: u64) -> u64 {
        loop {
            let epoch = self.epoch.load(Ordering::Acquire);
            if epoch > known {
                return epoch;
            }
            self.risen.notified().await;
        }
    }
}

/// The epoch of a node that has answered so to `CLUSTER INFO`.
pub(crate) fn current_epoch(info: &str) -> Option<u64> {
    field_of(info, "cluster_current_epoch").and_then(|epoch| epoch.parse().ok())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_newer_epoch_ends_the_wait() {
        let newest = NewestEpoch::default();
        let info = |epoch: &str| {
            let text = format!("cluster_state:ok\r\ncluster_current_epoch:{epoch}\r\n");
            Value::BulkString(text.into_bytes())
        };
        let is_newer =
            |known| tokio::time::timeout(Duration::from_secs(1), newest.newer_than(known));
        for odd in [Value::Nil, Value::Int(9), info("x"), Value::BulkString(b"state".to_vec())] {
            newest.note(&odd);
            assert!(is_newer(0).await.is_err(), "{odd:?}");
        }
        newest.note(&info("7"));
        newest.note(&info("6"));
        assert_eq!(is_newer(6).await, Ok(7));
        assert!(is_newer(7).await.is_err());
        let (waited, ()) = tokio::join!(is_newer(7), async { newest.note(&info("8")) });
        assert_eq!(waited, Ok(8));
    }
}
