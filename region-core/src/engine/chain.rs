//! The chain of nested loads around a call.

use std::any::TypeId;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Context;
use crate::error::Error;
use crate::path::RegionPath;
use crate::store::{LeaseToken, SharedStore};

/// The time for which an outage is remembered. Calls inside the same loads fail at once meanwhile.
const OUTAGE_MEMORY: Duration = Duration::from_secs(1);

/// The number of a load's keys that an error names.
const NAMED_KEYS: usize = 3;

tokio::task_local! {
    static CHAIN: Arc<Chain>;
}

/// The loads around the current task, from the innermost outwards. Calls made by a loader see the chain;
/// tasks that the loader spawns do not.
#[derive(Clone)]
pub(crate) struct Chain {
    load: Arc<LoadId>,
    outages: Arc<Outages>,
    outer: Option<Arc<Chain>>,
}

/// One load of one or more keys. Its lease token identifies it.
#[derive(Debug)]
pub(crate) struct LoadId {
    pub(crate) token: LeaseToken,
    store: usize,
    region: RegionPath,
    keys: Vec<Box<str>>,
    of: TypeId,
}

/// The outages that the loads of one chain met: at most one for each store that the chain uses.
#[derive(Debug, Default)]
pub(crate) struct Outages(Mutex<Vec<Outage>>);

#[derive(Debug)]
struct Outage {
    /// The address of the store, which is only compared.
    store: usize,
    seen: Instant,
    error: Error,
}

impl Chain {
    /// Returns the chain around this call, with `load` as its innermost load.
    pub(crate) fn extend(
        load: Arc<LoadId>,
        outages: Arc<Outages>,
        outer: Option<Arc<Self>>,
    ) -> Self {
        Self { load, outages, outer }
    }

    /// Returns the chain around this call, or `None` outside of any load.
    pub(crate) fn current() -> Option<Arc<Self>> {
        CHAIN.try_with(Arc::clone).ok()
    }

    /// The innermost load.
    pub(crate) fn load(&self) -> &Arc<LoadId> {
        &self.load
    }

    pub(crate) fn outages(&self) -> &Arc<Outages> {
        &self.outages
    }

    /// Returns the loads from the one that loads `key` of `context` as a `V` to the innermost, or `None` if no
    /// load of the chain loads it.
    pub(crate) fn loads_since<V: 'static>(
        &self,
        context: &Context,
        key: &str,
    ) -> Option<Vec<Arc<LoadId>>> {
        let mut loads = Vec::new();
        let mut chain = Some(self);
        while let Some(link) = chain {
            loads.push(Arc::clone(&link.load));
            if link.load.loads::<V>(context, key) {
                loads.reverse();
                return Some(loads);
            }
            chain = link.outer.as_deref();
        }
        None
    }

    /// Runs `loader` as the loader of the innermost load.
    pub(crate) async fn run<T>(self, loader: impl Future<Output = T>) -> T {
        CHAIN.scope(Arc::new(self), loader).await
    }

    /// Runs `part`, which does not wait, as a part of the same loads.
    #[cfg(feature = "blocking")]
    pub(crate) fn run_here<T>(self: Arc<Self>, part: impl FnOnce() -> T) -> T {
        CHAIN.sync_scope(self, part)
    }

    /// Returns the outage of `store` that the loads around this call met lately.
    pub(super) fn recent_outage(store: &SharedStore) -> Option<Error> {
        CHAIN.try_with(|chain| chain.outages.recent(store)).ok().flatten()
    }

    /// Remembers an outage of `store` for the loads around this call.
    pub(super) fn remember_outage(store: &SharedStore, error: &Error) {
        // Fails outside of any load, where nothing has to be remembered.
        let _ = CHAIN.try_with(|chain| chain.outages.remember(store, error));
    }
}

impl LoadId {
    pub(crate) fn new<'a, V: 'static>(
        token: LeaseToken,
        context: &Context,
        keys: impl Iterator<Item = &'a str>,
    ) -> Self {
        Self {
            token,
            store: address(&context.engine().store),
            region: context.path().clone(),
            keys: keys.map(Into::into).collect(),
            of: TypeId::of::<V>(),
        }
    }

    fn loads<V: 'static>(&self, context: &Context, key: &str) -> bool {
        self.of == TypeId::of::<V>()
            && self.store == address(&context.engine().store)
            && self.region == *context.path()
            && self.keys.iter().any(|mine| **mine == *key)
    }
}

impl fmt::Display for LoadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.region)?;
        for (at, key) in self.keys.iter().take(NAMED_KEYS).enumerate() {
            let separator = if at == 0 { " " } else { ", " };
            write!(f, "{separator}{key:?}")?;
        }
        match self.keys.len().saturating_sub(NAMED_KEYS) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl Outages {
    /// Returns the outage of `store` that was met less than [`OUTAGE_MEMORY`] ago.
    pub(crate) fn recent(&self, store: &SharedStore) -> Option<Error> {
        let mut outages = self.0.lock();
        outages.retain(|outage| outage.seen.elapsed() < OUTAGE_MEMORY);
        let outage = outages.iter().find(|outage| outage.store == address(store));
        outage.map(|outage| outage.error.clone())
    }

    /// Remembers `error` if it is an outage. An outage that is already remembered keeps its time.
    pub(crate) fn remember(&self, store: &SharedStore, error: &Error) {
        if error.is_outage() && self.recent(store).is_none() {
            let (store, seen) = (address(store), Instant::now());
            self.0.lock().push(Outage { store, seen, error: error.clone() });
        }
    }
}

fn address(store: &SharedStore) -> usize {
    Arc::as_ptr(store).cast::<()>().addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_named_by_its_first_keys() {
        let named = |keys: &[&str]| {
            let keys = keys.iter().map(|key| (*key).into()).collect();
            let region = RegionPath::parse("shop.org:1").unwrap();
            let (token, of) = (LeaseToken::from_bits(1), TypeId::of::<u32>());
            LoadId { token, store: 0, region, keys, of }.to_string()
        };
        assert_eq!(named(&["a"]), "shop.org:1 \"a\"");
        let many = named(&["a", "b", "c", "d", "e"]);
        assert_eq!(many, "shop.org:1 \"a\", \"b\", \"c\" and 2 more");
    }
}
