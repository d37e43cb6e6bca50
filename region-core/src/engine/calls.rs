//! The calls to the store. All calls of a cache go through this module, so that failures are logged in
//! one place.

use std::future::Future;

use tokio::time::Instant;

use super::{Chain, Context};
use crate::error::Result;
use crate::path::Segment;
use crate::store::{
    Begun, LeaseTerms, LeaseToken, Page, PageTerms, Read, ReadTerms, ScanItem, Verb, Write, Written,
};

impl Context {
    /// Reads `keys` from the primary or a replica, as the policy says.
    ///
    /// Inside a load that has just met an outage of this store, the read fails with that outage
    /// and does not ask the store again.
    pub(crate) async fn read(&self, keys: &[&str]) -> Result<Read> {
        if let Some(outage) = Chain::recent_outage(&self.engine.store) {
            return Err(outage);
        }
        let call = self.engine.store.read(&self.path, keys, ReadTerms::new(self.policy.read_from));
        let read = self.observed(call).await;
        if let Err(error) = &read {
            Chain::remember_outage(&self.engine.store, error);
        }
        read
    }

    pub(crate) async fn begin(&self, keys: &[&str], terms: LeaseTerms) -> Result<Begun> {
        self.observed(self.engine.store.begin(&self.path, keys, terms)).await
    }

    pub(crate) async fn write(&self, write: Write<'_>) -> Result<Written> {
        self.observed(self.engine.store.write(&self.path, write)).await
    }

    pub(crate) async fn end(&self, verb: Verb) -> Result<()> {
        self.observed(self.engine.store.end(&self.path, verb.into())).await.map(drop)
    }

    pub(crate) async fn scan(&self, terms: PageTerms) -> Result<Page<ScanItem>> {
        self.observed(self.engine.store.scan(&self.path, terms)).await
    }

    pub(crate) async fn children(&self, terms: PageTerms) -> Result<Page<Segment>> {
        self.observed(self.engine.store.children(&self.path, terms)).await
    }

    pub(crate) async fn len(&self) -> Result<u64> {
        self.observed(self.engine.store.len(&self.path)).await
    }

    /// Releases the leases of `keys` that `token` holds, in the background.
    pub(crate) fn release(&self, keys: &[&str], token: LeaseToken) {
        self.engine.store.release(&self.path, keys, token);
    }

    async fn observed<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let result = call.await;
        match &result {
            Ok(_) => self.engine.failures.succeeded(Instant::now),
            Err(error) if error.is_outage() => {
                self.engine.failures.failed(&self.path, error, Instant::now());
            }
            Err(_) => {}
        }
        result
    }
}
