//! The key of a load, and maps by such keys.

use std::any::TypeId;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::sync::Mutex;

use crate::path::RegionPath;
use crate::value::serializer::Value;

/// The number of maps that the keys are spread over, so that different keys rarely meet.
const SHARDS: usize = 16;

/// Names a load. The same key read as two types is two loads.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct FlightKey {
    region: RegionPath,
    key: Box<str>,
    of: TypeId,
}

/// Things under way, by key.
pub(super) struct ByKey<T> {
    shards: [Mutex<HashMap<FlightKey, T>>; SHARDS],
    hasher: RandomState,
}

impl FlightKey {
    pub(super) fn new<V: Value>(region: &RegionPath, key: &str) -> Self {
        Self { region: region.clone(), key: key.into(), of: TypeId::of::<V>() }
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }
}

impl<T> ByKey<T> {
    /// The map that has `key`, if it is there.
    pub(super) fn of(&self, key: &FlightKey) -> &Mutex<HashMap<FlightKey, T>> {
        // The remainder is less than the number of shards, so it fits.
        &self.shards[(self.hasher.hash_one(key) % SHARDS as u64) as usize]
    }
}

impl<T> Default for ByKey<T> {
    fn default() -> Self {
        let shards = std::array::from_fn(|_| Mutex::default());
        Self { shards, hasher: RandomState::new() }
    }
}
