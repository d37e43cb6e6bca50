//! The key of a load, and maps by such keys.

use std::any::TypeId;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::sync::Mutex;

use crate::engine::Context;
use crate::path::RegionPath;
use crate::value::serializer::Value;

/// The number of maps that the keys are spread over, so that different keys rarely meet.
const SHARDS: usize = 16;

/// The keys of a region, as they are read with one codec.
#[derive(Clone, Copy)]
pub(crate) struct KeySpace<'a> {
    region: &'a RegionPath,
    /// See [`Codec::identity`](crate::value::codec::Codec::identity).
    codec: u64,
}

/// Names a load. The same key read as two types, versions or by two serializers is two loads.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct FlightKey {
    region: RegionPath,
    codec: u64,
    key: Box<str>,
    of: TypeId,
}

impl<'a> KeySpace<'a> {
    pub(crate) fn of(context: &'a Context) -> Self {
        Self { region: context.path(), codec: context.codec().identity() }
    }

    /// Of a region whose values have one codec.
    #[cfg(test)]
    pub(super) fn of_region(region: &'a RegionPath) -> Self {
        Self { region, codec: 0 }
    }
}

/// Things under way, by key.
pub(super) struct ByKey<T> {
    shards: [Mutex<HashMap<FlightKey, T>>; SHARDS],
    hasher: RandomState,
}

impl FlightKey {
    pub(super) fn new<V: Value>(within: KeySpace<'_>, key: &str) -> Self {
        let KeySpace { region, codec } = within;
        Self { region: region.clone(), codec, key: key.into(), of: TypeId::of::<V>() }
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
