//! The contract of a backend.

#[macro_use]
mod setters;

mod change;
mod coverage;
mod entry;
mod forward;
mod health;
mod lease;
mod listen;
mod page;
mod terms;
mod verb;
mod write;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::path::{RegionPath, Segment};

pub use change::{Change, ChangeId, ChangeRing, ChangedKey, MAX_CHANGES};
pub use coverage::Coverage;
pub use entry::{Entry, Freshness, Leftover, Read};
pub use health::{StoreHealth, StoreProblem};
pub use lease::{Begun, BegunKey, Lease, LeaseTerms, LeaseToken, TakeLease};
pub use listen::{Event, Listener, Listeners, Listening, Source};
pub use page::{Cursor, Page, ScanItem};
pub use terms::{EndTerms, PageTerms, ReadFrom, ReadTerms, Show, Trust};
pub use verb::Verb;
pub use write::{Applied, Ended, Guard, Op, OpOutcome, Put, RegionTtl, When, Write, Written};

/// A backend: keeps the entries of regions, bytes in and bytes out, and decides what is valid.
///
/// # The model
///
/// For every region a store keeps two random ids, its [`Incarnations`](crate::Incarnations), and
/// the *lineage* its entries were stored under. A region none of whose ids are kept is *missing*;
/// it is created with new ids, never with old ones. These rules make up the contract:
///
/// 1. An entry is **valid** while the region's current [`Lineage`](crate::Lineage) has the
///    [`same life`](crate::Lineage::same_life) as the one it was stored under, its own lifetime is not
///    over, and the region's TTL is not over. What is not valid is never returned by any method.
/// 2. A valid entry is **fresh** until its `fresh_for` is over or the lineage's
///    [`soft_mark`](crate::Lineage::soft_mark) differs from the one it was stored under. From that moment it
///    is **stale**, for its `stale_for`; then it is not valid any more.
/// 3. Time is the store's own, the same for all clients: [`now`](Self::now).
/// 4. Losing anything (eviction, a crash, a flush) may only turn entries into misses: a region that
///    lost its ids is created anew, so that entries kept under the old ones are never valid again.
/// 5. Each method is atomic for one region: no other call sees half of it. [`end`](Self::end) is
///    atomic for all that it covers; but a store that keeps the regions of a path in several places may end what
///    lies outside after what lies inside, so that whoever sees the end of an outer region sees that of the inner ones.
/// 6. What a call did before it returned is seen by every later call through this store value and
///    its clones, a [`ReadFrom::Replica`] read included.
/// 7. Keys and paths within the limits ([`MAX_KEY_BYTES`](crate::MAX_KEY_BYTES),
///    [`MAX_PATH_BYTES`](crate::MAX_PATH_BYTES)) are all accepted and all distinct.
/// 8. The entry at [`MARKER_KEY`](crate::MARKER_KEY) is an entry like any other, but [`scan`](Self::scan) does not list it,
///    [`len`](Self::len) does not count it, and [`children`](Self::children) does not list a region that holds
///    nothing else, itself and below.
///
/// # Trust
///
/// A caller that keeps what it read ([`Trust::Kept`]) needs to know when it may have changed. Every
/// answer that shows or changes a region's entries says so in three parts: the lineage, the
/// [`ChangeRing`], and the [`Source`] whose pushes tell of later changes. A store may leave each of
/// them out; then nothing of the answer is trusted. These rules bind a store that does not:
///
/// 1. The lineage and the changes of an answer are those of the moment at which its entries were
///    read, or its changes made.
/// 2. A write that changes one key adds one change, of that key; a write that changes more keys adds
///    one change, of all. A write that makes the region's TTL end sooner, a first one included, is a
///    change of all. Each has a new random id.
/// 3. Entries that begin anew (the region held none, or they belonged to another life, or a `touch`,
///    a loss or the region's TTL has dropped them) have one change, of all.
/// 4. `expire` changes the lineage and not the ring. An entry that ends by its own lifetime, or is
///    evicted, need not change anything.
/// 5. While a [`Source`] is not [lost](Event::Lost), each change of what was read over it is pushed:
///    a change of the lineage as [`Event::Lineage`] of the region or an ancestor, a change of entries
///    as [`Event::Entries`]. [`begin`](Self::begin) reads too, and so does a
///    [`write`](Self::write) whose answer names a source.
/// 6. The change of entries by such a write itself need not be pushed to its client. While it is under
///    way, pushes of changes to the same region's entries may be held back until it has answered, for
///    the answer shows them; if it fails or is dropped, they are made up for at that moment.
///
/// # Errors
///
/// A method that cannot do its work returns an [`Error`](crate::Error) whose kind is
/// [`Unavailable`](crate::ErrorKind::Unavailable) when the store cannot be reached,
/// [`Timeout`](crate::ErrorKind::Timeout) when it is not known whether the work was done, and
/// [`TooLarge`](crate::ErrorKind::TooLarge) when an entry does not fit. It never waits without a
/// bound. Where a store has a [limit](Self::limit) for a call and the terms say when the operation
/// `started`, the limit counts from there: so all calls of one operation share one limit.
///
/// # Cancel safety
///
/// A future may be dropped at any await point. What it asked for has then happened wholly or not at
/// all. A `begin` that failed or was dropped may have taken leases: [`release`](Self::release) them.
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
    /// asked. Creates nothing: the lineage of a region that is missing, or has an ancestor that is,
    /// is `None`, and so is each of its entries. It may name the [leftovers](Read::leftovers) that it met at
    /// keys without a valid entry.
    ///
    /// Where the terms assume a [lineage](ReadTerms::lineage), the store may take it for the current
    /// one. Every entry of the answer is valid under the lineage that the answer names.
    async fn read(&self, region: &RegionPath, keys: &[&str], terms: ReadTerms<'_>) -> Result<Read>;

    /// Begins a load: creates the region and its ancestors where needed, reads as
    /// [`read`](Self::read) does from the primary, and for each key takes its lease as `terms` say or
    /// tells who holds it.
    ///
    /// A lease is held by one token, under the lineage (soft mark included) at which it was taken,
    /// for at most its duration. It is void once the lineage differs, once the time is over, once
    /// the key is put, removed or [released](Self::release), and once `end` covers it. Asking again
    /// with the token that holds the lease extends it.
    async fn begin(&self, region: &RegionPath, keys: &[&str], terms: LeaseTerms) -> Result<Begun>;

    /// Applies every operation of `write`, in order and in one step, if its guard holds; otherwise
    /// reports [`Written::Fenced`] and changes nothing.
    ///
    /// A guard holds when the region's lineage equals the guard's, soft mark included, and each of
    /// its keys is leased to the given token. Without a guard the region is created where needed, and
    /// what is put is stored under the lineage at that moment. Entries of an earlier life are
    /// dropped first. Every put and remove voids the key's lease, whoever holds it.
    ///
    /// A region that is put to becomes a child of its parent, and so on up to the root; unless all that is
    /// put is the entry at [`MARKER_KEY`](crate::MARKER_KEY).
    async fn write(&self, region: &RegionPath, write: Write<'_>) -> Result<Written>;

    /// Ends what the verb covers, in one step whose cost does not depend on how much that is; voids
    /// the leases on it. A region that is missing may stay so.
    async fn end(&self, region: &RegionPath, terms: EndTerms) -> Result<Ended>;

    /// Gives back the leases of `keys` that `token` holds; one that another holds stays.
    ///
    /// Returns at once and does no I/O itself: a store that has to send something does so in the
    /// background, tries again until it is done or the longest lease is over, and bounds what waits.
    /// It never fails and never panics, and may be called from `Drop` and outside any runtime.
    fn release(&self, region: &RegionPath, keys: &[&str], token: LeaseToken);

    /// Lists the region's valid entries, about as many a page as the terms say, fewer where they are
    /// large; begins where the cursor, from the page before, says.
    ///
    /// An entry that is valid from before the first page until after the last is listed at least
    /// once. An entry that comes or goes meanwhile may be listed or not.
    async fn scan(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<ScanItem>>;

    /// Lists the region's children, as [`scan`](Self::scan) lists entries; what is to be shown does
    /// not matter.
    ///
    /// A child is listed if it, or a region below it, was put to since the life of the listed region
    /// began (its own or an ancestor's last `invalidate`) and still holds a valid entry. A child
    /// that was emptied since may be listed too; where the list is kept in another place than the child, so may one for a
    /// while that was written to in vain. The entry at [`MARKER_KEY`](crate::MARKER_KEY) does not
    /// count.
    async fn children(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<Segment>>;

    /// Counts the region's fresh entries. Not one step: what comes or goes meanwhile may be counted
    /// or not.
    async fn len(&self, region: &RegionPath) -> Result<u64>;

    /// Has `listener` hear the pushes that end trust in what was read, until the returned value is
    /// dropped; `None` if this store never pushes. What is read after this returns is covered.
    fn listen(&self, listener: Arc<dyn Listener>) -> Option<Listening>;

    /// The limit of time that the store sets to its calls, an operation of several calls included;
    /// `None`: it sets none. A caller that shares the call of another waits no longer than this.
    fn limit(&self) -> Option<Duration> {
        None
    }

    /// The condition of the store, as far as it knows without asking a server. Returns at once and does no
    /// I/O. A store that knows of no problem has none to tell.
    fn health(&self) -> StoreHealth {
        StoreHealth::default()
    }

    /// The time by the store's clock.
    async fn now(&self) -> Result<Timestamp>;
}

/// A store that is shared and not named.
pub type SharedStore = Arc<dyn Store>;
