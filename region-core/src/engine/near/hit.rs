//! The shortest way to a value that is held near.

use std::sync::Arc;

use super::{NearHandle, NearTimes};
use crate::engine::Context;
use crate::value::serializer::Value;

impl Context {
    /// Returns the value at `key`, and its times, if it is held decoded and was found to be valid
    /// under the marks of now.
    ///
    /// Everything else is left to the slower look, values that depend on other regions too. No lock and no
    /// count is taken that all entries of a region share, and nothing is allocated.
    #[inline]
    pub(super) fn verified_hit<V: Value>(
        &self,
        near: &NearHandle,
        key: &str,
    ) -> Option<(Arc<V>, NearTimes)> {
        let entry = self.engine.near.values()?.get(near.decoded::<V>(), key)?;
        // The marks are read after the entry: it was verified before that.
        if !entry.is_verified_at(near.region.marks().sum()) || !entry.is_fresh() {
            return None;
        }
        if entry.depends().is_some() {
            return None;
        }
        let times = entry.times;
        Some((entry.value.into_value()?, times))
    }
}
