//! `moka`: a concurrent cache in memory, without a server.

use std::sync::Arc;

use moka::future::Cache;

use crate::peer::{MAX_ENTRIES, Peer, Source, TTL, Value};

/// A cache, and one whose entries can be invalidated by a predicate.
pub struct Moka {
    values: Cache<String, Arc<String>>,
    groups: Cache<String, Arc<String>>,
}

impl Peer for Moka {
    const NAME: &'static str = "moka";

    async fn connect(_: &str) -> Self {
        let builder = || Cache::builder().max_capacity(MAX_ENTRIES as u64).time_to_live(TTL);
        Self {
            values: builder().build(),
            groups: builder().support_invalidation_closures().build(),
        }
    }

    async fn near_hit(&self, key: &str) -> Option<usize> {
        self.values.get(key).await.map(|value| value.len())
    }

    async fn set_near(&self, key: &str, value: &Value) -> Option<()> {
        self.values.insert(key.to_owned(), Arc::clone(&value.shared)).await;
        Some(())
    }

    async fn set_in_group(&self, group: usize, entry: usize, value: &Value) -> Option<()> {
        self.groups.insert(format!("{group}:{entry}"), Arc::clone(&value.shared)).await;
        Some(())
    }

    async fn invalidate_group(&self, group: usize) {
        let prefix = format!("{group}:");
        let is_inside = move |key: &String, _: &Arc<String>| key.starts_with(&prefix);
        self.groups.invalidate_entries_if(is_inside).expect("closures are supported");
    }

    async fn has_in_group(&self, group: usize, entry: usize) -> bool {
        self.groups.get(&format!("{group}:{entry}")).await.is_some()
    }

    async fn load(&self, key: &str, source: &Arc<Source>) -> Option<usize> {
        let load = async { Arc::new(source.load().await) };
        Some(self.values.entry_by_ref(key).or_insert_with(load).await.value().len())
    }
}
