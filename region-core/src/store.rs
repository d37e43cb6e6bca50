//! The contract of a backend.

mod entry;
mod event;
mod forward;
mod lease;
mod page;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use futures_core::stream::BoxStream;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::path::{RegionPath, Segment};

pub use entry::{Entry, Freshness, Read};
pub use event::Event;
pub use lease::{Begun, BegunKey, Lease, LeaseTerms, LeaseToken, TakeLease};
pub use page::{Cursor, Page, ScanItem};
pub use write::{Guard, Op, OpOutcome, Put, RegionTimeout, When, Write, Written};

/// The stores' pushes, as [`Store::events`] gives them.
pub type EventStream = BoxStream<'static, Event>;

/// A backend: keeps the entries of regions, bytes in and bytes out, and judges what is valid.
///
/// # The model
///
/// For every region a store keeps three random ids, its [`Incarnations`](crate::Incarnations), and
/// the *lineage* its entries were stored under. A region none of whose ids are kept is *not born*;
/// it is born with new ids, never with old ones. These rules make up the contract:
///
/// 1. An entry is **valid** while the region's current [`Lineage`](crate::Lineage) has the
///    [`same life`](crate::Lineage::same_life) as the one it was stored under, its own lifetime is not
///    over, and the region's timeout is not over. What is not valid is never returned by any method.
/// 2. A valid entry is **fresh** until its `fresh_for` is over or the lineage's
///    [`soft_mark`](crate::Lineage::soft_mark) differs from the one it was stored under. From that moment it
///    is **stale**, for its `stale_for`; then it is not valid any more.
/// 3. Time is the store's own, the same for all clients: [`now`](Self::now).
/// 4. Losing anything (eviction, a crash, a flush) may only turn entries into misses: a region that
///    lost its ids is born anew, so that entries kept under the old ones are never valid again.
/// 5. Each method is atomic for one region: no other call sees half of it. [`end`](Self::end) is
///    atomic for the subtree.
/// 6. What a call did before it returned is seen by every later call through this store value and
///    its clones, a [`ReadFrom::Replica`] read included.
/// 7. Keys and paths within the limits ([`MAX_KEY_BYTES`](crate::MAX_KEY_BYTES),
///    [`MAX_PATH_BYTES`](crate::MAX_PATH_BYTES)) are all accepted and all distinct.
///
/// # Errors
///
/// A method that cannot do its work returns an [`Error`](crate::Error) whose kind is
/// [`Unavailable`](crate::ErrorKind::Unavailable) when the store cannot be reached,
/// [`Timeout`](crate::ErrorKind::Timeout) when it is not known whether the work was done, and
/// [`TooLarge`](crate::ErrorKind::TooLarge) when an entry does not fit. It never waits without a
/// bound.
///
/// # Cancel safety
///
/// A future may be dropped at any await point. What it asked for has then happened wholly or not at
/// all.
///
/// # Forwarding
///
/// `&S`, `Box<S>` and `Arc<S>` of a store are stores. A wrapper forwards *every* method; deny
/// `clippy::missing_trait_methods` on its `impl` so that a method added later is not forgotten.
///
/// The module `conformance` (feature of the same name) checks all of this.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Reads the region's current lineage and, of `keys`, the entries valid under it, in the order
    /// asked. Creates nothing: the lineage of a region that is not born, or has an ancestor that is
    /// not, is `None`, and so is each of its entries.
    async fn read(&self, region: &RegionPath, keys: &[&str], from: ReadFrom) -> Result<Read>;

    /// What a miss calls before it loads: gives birth to the region and its ancestors where needed,
    /// reads as [`read`](Self::read) does from the primary, and for each key takes its lease as
    /// `terms` say or tells who holds it.
    ///
    /// A lease is held by one token, under the lineage (soft mark included) at which it was taken,
    /// for at most its duration. It is void once the lineage differs, once the time is over, and
    /// once the key is put, removed or released. Asking again with the token that holds the lease
    /// extends it.
    async fn begin(&self, region: &RegionPath, keys: &[&str], terms: LeaseTerms) -> Result<Begun>;

    /// Applies every operation of `write`, in order and in one step, if its guard holds; otherwise
    /// reports [`Written::Fenced`] and changes nothing.
    ///
    /// A guard holds when the region's lineage equals the guard's, soft mark included, and each of
    /// its keys is leased to the given token. Without a guard the region is born where needed, and
    /// what is put is stored under the lineage at that moment. Entries of an earlier life are
    /// dropped first. Every put and remove voids the key's lease, whoever holds it.
    ///
    /// A region that is put to becomes a child of its parent, and so on up to the root.
    async fn write(&self, region: &RegionPath, write: Write<'_>) -> Result<Written>;

    /// Ends the life of what `verb` covers, in one step whose cost does not depend on how much that
    /// is. A region that is not born may stay so.
    async fn end(&self, region: &RegionPath, verb: Verb) -> Result<()>;

    /// Lists the region's valid entries, about `limit` of them a page; begins where `cursor`, from
    /// the page before, says.
    ///
    /// An entry that is valid from before the first page until after the last is listed at least
    /// once. An entry that comes or goes meanwhile may be listed or not.
    async fn scan(
        &self,
        region: &RegionPath,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<ScanItem>>;

    /// Lists the region's children, about `limit` a page, as [`scan`](Self::scan) lists entries.
    ///
    /// A child is listed if it, or a region below it, was put to since the life of the listed region
    /// began (its own or an ancestor's last `invalidate`) and still holds a valid entry. A child
    /// that was emptied since may be listed too.
    async fn children(
        &self,
        region: &RegionPath,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Segment>>;

    /// Counts the region's fresh entries. Not one step: what comes or goes meanwhile may be counted
    /// or not.
    async fn len(&self, region: &RegionPath) -> Result<u64>;

    /// A stream of pushes that end trust in what was read before, or `None` if this store has none.
    /// It covers what happens after this call returns.
    fn events(&self) -> Option<EventStream>;

    /// The time by the store's clock.
    async fn now(&self) -> Result<Timestamp>;
}

/// A store that is shared and not named.
pub type SharedStore = Arc<dyn Store>;

/// Where a read may be answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReadFrom {
    /// By the primary: what was completed before the read began is seen.
    #[default]
    Primary,
    /// By a replica where there is one: what others did lately may not be seen yet. What this
    /// process did is.
    Replica,
}

/// What [`Store::end`] ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// The region and all below it are gone: a new `tree`, own entries dropped.
    Invalidate,
    /// The region's own entries and those of every ancestor are gone; children and siblings stay: a
    /// new `own` for the region and each ancestor.
    Touch,
    /// What the region and all below it hold becomes stale: a new `soft`.
    Expire,
}
