//! Listings, item by item.

use std::fmt;
use std::sync::Arc;

use futures_util::StreamExt;

use super::runtime::OwnedRuntime;
use crate::error::Result;
use crate::region::Listing;

/// The items of a listing; the next page is read when the last one is used up. It ends after an error.
pub struct BlockingListing<T> {
    runtime: Arc<OwnedRuntime>,
    /// `None` once it has ended.
    listing: Option<Listing<T>>,
}

impl<T> BlockingListing<T> {
    pub(super) fn new(runtime: &Arc<OwnedRuntime>, listing: Listing<T>) -> Self {
        Self { runtime: Arc::clone(runtime), listing: Some(listing) }
    }
}

impl<T> Iterator for BlockingListing<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        let listing = self.listing.as_mut()?;
        let item = self.runtime.wait(listing.next());
        if !matches!(item, Some(Ok(_))) {
            self.listing = None;
        }
        item
    }
}

impl<T> fmt::Debug for BlockingListing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingListing")
            .field("has_ended", &self.listing.is_none())
            .finish_non_exhaustive()
    }
}
