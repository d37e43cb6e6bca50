//! Explanations, for people who debug.

use super::RegionHandle;
use crate::error::Result;
use crate::explain::Explanation;
use crate::load::KeySpace;
use crate::value::serializer::Value;

impl RegionHandle {
    /// Says why a [`get`](crate::Region::get) of `key` as a `V` would find a value now, or not: what the near
    /// cache holds and trusts, what the store shows, and what the entry's bytes say.
    ///
    /// It is for people who debug. It asks the store several things, one after the other, so a change in
    /// between may make them disagree. It counts nothing in the statistics, and changes nothing: no lease is
    /// taken, no load begins, and no value is kept near or dropped. While the store is unavailable it says so,
    /// and what the near cache holds.
    ///
    /// # Errors
    /// [`InvalidKey`](crate::ErrorKind::InvalidKey). An error of the store is part of the explanation.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    ///
    /// ```
    /// use region_core::{Region, RegionCache, RegionExt};
    /// use region_memory::MemoryStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> region_core::Result<()> {
    /// let cache = RegionCache::builder(MemoryStore::new()).build()?;
    /// cache.root().set("answer", &42u32).await?;
    /// let explanation = cache.root().explain::<String>("answer").await?;
    /// assert!(explanation.to_string().contains("another type"));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn explain<V: Value>(&self, key: &str) -> Result<Explanation> {
        let explained = self.context.explain::<V>(key).await;
        let mut explanation = explained.map_err(self.context.during("explain"))?;
        explanation.is_loading =
            self.shared.flights.is_loading::<V>(KeySpace::of(&self.context), key);
        Ok(explanation)
    }
}
