//! The regions that were opened lately, so that opening one again costs a look into a map.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use quick_cache::Equivalent;
use quick_cache::sync::Cache;

use super::Loaders;
use crate::engine::Context;
use crate::error::Result;
use crate::policy::Policy;
use crate::regioned::{Regioned, TypedPath};

/// The number of regions that are kept. Each takes about a kilobyte, and keeps its record in the near cache.
const MAX_REGIONS: usize = 4096;

/// Regions, by all that decides them. Those that are used least are dropped first.
pub(crate) struct OpenedRegions(Cache<Key, Opened>);

/// The state that handles of one region share.
#[derive(Clone)]
pub(super) struct Opened {
    pub(super) context: Arc<Context>,
    pub(super) loaders: Loaders,
}

/// Everything that decides a region and its settings: the context that it was opened from, and the path from
/// there, with the policies of its types. The path is a text, or the bytes of a typed path.
struct Key {
    from: u64,
    types: Types,
    relative: Box<[u8]>,
}

/// A [`Key`] that is looked for.
struct KeyRef<'p> {
    from: u64,
    types: Types,
    relative: &'p [u8],
}

/// The address of the function that gives the policies of a path's types. Two types may have one function;
/// then they have the same policies.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Types(usize);

impl Types {
    /// Of a path that is a text, whose segments have no types. No function has this address.
    const NONE: Self = Self(0);

    fn of<T: Regioned>() -> Self {
        let policies: fn(&mut Vec<Policy>) = T::policies;
        Self(policies as usize)
    }
}

impl OpenedRegions {
    pub(crate) fn new() -> Self {
        Self(Cache::new(MAX_REGIONS))
    }

    /// Returns the region at `path` below that of `from`; `open` makes it if it is not kept.
    #[inline]
    pub(super) fn get<T: Regioned>(
        &self,
        from: &Context,
        path: &TypedPath<T>,
        open: impl FnOnce() -> Result<Opened>,
    ) -> Result<Opened> {
        let relative = path.as_bytes();
        self.find(&KeyRef { from: from.id(), types: Types::of::<T>(), relative }, open)
    }

    /// Does the same for a path that is a text. A path has one text, so a text that is another path's is none.
    pub(super) fn get_text(
        &self,
        from: &Context,
        relative: &str,
        open: impl FnOnce() -> Result<Opened>,
    ) -> Result<Opened> {
        let relative = relative.as_bytes();
        self.find(&KeyRef { from: from.id(), types: Types::NONE, relative }, open)
    }

    #[inline]
    fn find(&self, key: &KeyRef<'_>, open: impl FnOnce() -> Result<Opened>) -> Result<Opened> {
        match self.0.get(key) {
            Some(opened) => Ok(opened),
            None => self.open(key, open),
        }
    }

    #[cold]
    fn open(&self, key: &KeyRef<'_>, open: impl FnOnce() -> Result<Opened>) -> Result<Opened> {
        let opened = open()?;
        let &KeyRef { from, types, relative } = key;
        self.0.insert(Key { from, types, relative: relative.into() }, opened.clone());
        Ok(opened)
    }
}

impl KeyRef<'_> {
    #[inline]
    fn hash_parts<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.from);
        state.write_usize(self.types.0);
        state.write(self.relative);
    }
}

impl Hash for KeyRef<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash_parts(state);
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_ref().hash_parts(state);
    }
}

impl Key {
    fn as_ref(&self) -> KeyRef<'_> {
        KeyRef { from: self.from, types: self.types, relative: &self.relative }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref().equivalent(other)
    }
}

impl Eq for Key {}

impl Equivalent<Key> for KeyRef<'_> {
    #[inline]
    fn equivalent(&self, key: &Key) -> bool {
        self.from == key.from && self.types == key.types && *self.relative == *key.relative
    }
}
