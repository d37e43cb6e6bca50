//! The regions that signals name, and that are still to be invalidated.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::error::Result;
use crate::path::RegionPath;
use crate::region::{Region, RegionExt};
use crate::regioned::{Regioned, TypedPath};

/// The most regions that wait to be invalidated for one binding to a signal. When there are more, the region
/// around them all is invalidated instead.
pub const MAX_PENDING_REGIONS: usize = 1_000;

/// A path that a signal's value names, below the region that is bound to the signal.
///
/// It is a typed path, a path as text, or `None` for a value that concerns no region.
pub trait PathBelow {
    /// Opens the region at this path below `base`.
    ///
    /// # Errors
    /// [`InvalidPath`](crate::ErrorKind::InvalidPath) and [`InvalidPolicy`](crate::ErrorKind::InvalidPolicy),
    /// as opening the region in any other way.
    fn open_below<R: Region>(self, base: &R) -> Result<Option<R>>;
}

impl<T: Regioned> PathBelow for TypedPath<T> {
    fn open_below<R: Region>(self, base: &R) -> Result<Option<R>> {
        base.region_at(self).map(Some)
    }
}

impl PathBelow for String {
    fn open_below<R: Region>(self, base: &R) -> Result<Option<R>> {
        base.region(&self).map(Some)
    }
}

impl PathBelow for &'static str {
    fn open_below<R: Region>(self, base: &R) -> Result<Option<R>> {
        base.region(self).map(Some)
    }
}

impl<P: PathBelow> PathBelow for Option<P> {
    fn open_below<R: Region>(self, base: &R) -> Result<Option<R>> {
        self.map_or(Ok(None), |path| path.open_below(base))
    }
}

/// Regions to be invalidated, each once; at most [`MAX_PENDING_REGIONS`] of them.
pub(super) struct Regions<R> {
    base: R,
    all: BTreeMap<RegionPath, R>,
}

impl<R: Region> Regions<R> {
    pub(super) fn new(base: R) -> Self {
        Self { base, all: BTreeMap::new() }
    }

    /// Adds a region in `base`. Nothing is ever left out: beyond the bound all of `base` stands for it.
    pub(super) fn add(&mut self, region: R) {
        if self.all.contains_key(self.base.path()) || self.all.contains_key(region.path()) {
            return;
        }
        if self.all.len() >= MAX_PENDING_REGIONS {
            self.add_base();
        } else {
            self.all.insert(region.path().clone(), region);
        }
    }

    /// Adds all of `base`, which covers every region in it.
    pub(super) fn add_base(&mut self) {
        self.all.clear();
        self.all.insert(self.base.path().clone(), self.base.clone());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn take(&mut self) -> BTreeMap<RegionPath, R> {
        std::mem::take(&mut self.all)
    }
}

/// The regions that handlers add, and a task takes.
pub(super) struct Pending<R> {
    regions: Mutex<Regions<R>>,
    added: Notify,
}

impl<R: Region> Pending<R> {
    pub(super) fn new(base: R) -> Self {
        Self { regions: Mutex::new(Regions::new(base)), added: Notify::new() }
    }

    /// Adds a region; `None`: the whole base.
    pub(super) fn add(&self, region: Option<R>) {
        let mut regions = self.regions.lock();
        match region {
            Some(region) => regions.add(region),
            None => regions.add_base(),
        }
        drop(regions);
        // One that nobody waits for yet is kept for the next wait.
        self.added.notify_one();
    }

    /// Waits until there are regions, and takes them.
    ///
    /// # Cancel safety
    /// No region is lost: they are taken when the future resolves.
    pub(super) async fn take(&self) -> BTreeMap<RegionPath, R> {
        loop {
            let taken = self.regions.lock().take();
            if !taken.is_empty() {
                return taken;
            }
            self.added.notified().await;
        }
    }
}
