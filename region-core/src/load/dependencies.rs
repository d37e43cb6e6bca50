//! The regions that the value of a running load depends on.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::try_join_all;
use parking_lot::Mutex;

use super::flight::Group;
use super::marker;
use crate::engine::{Context, Markers, Need, Started};
use crate::error::{Error, ErrorKind, Result};
use crate::path::RegionPath;
use crate::region::Dependency;
use crate::value::dependencies::{DependsOn, MAX_DEPENDENCIES};

tokio::task_local! {
    static CURRENT: LoadDependencies;
}

/// The dependencies of the load that runs around a call, for a load function that learns while it runs
/// which regions its value depends on. If they are known before, use
/// [`LoadOptions::depends_on`](crate::LoadOptions::depends_on).
///
/// Each region has to be added *before* the load function reads from its source what belongs to that
/// region: what ends between the two would not be noticed.
///
/// It is there in the load functions of all methods that load. A value of
/// [`get_or_compute_many`](crate::Region::get_or_compute_many) depends on what was added by the call of
/// the load function that brought it. A task that the load function spawns needs a clone.
///
/// ```
/// use region_core::{LoadDependencies, Region, RegionCache, RegionExt, Result};
/// use region_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let cache = RegionCache::builder(MemoryStore::new()).root("blog").build()?;
/// let (post, author) = (cache.region("post:1")?, cache.region("author:7")?);
/// let page = || {
///     let author = author.clone();
///     post.get_or_compute("page", move || async move {
///         // The row of the post has said that author 7 wrote it. The author's row is read after this:
///         LoadDependencies::current()?.add(&author).await?;
///         Ok::<_, region_core::Error>("a page with the author's name".to_owned())
///     })
/// };
/// page().await?;
/// page().await?;
/// assert_eq!(cache.stats().loads, 1);
/// author.touch().await?;
/// page().await?;
/// assert_eq!(cache.stats().loads, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LoadDependencies(Arc<Inner>);

struct Inner {
    context: Arc<Context>,
    group: Arc<Group>,
    state: Mutex<State>,
}

struct State {
    /// In the order in which they were added; without a marker until that is taken.
    added: Vec<(RegionPath, Option<u64>)>,
    storing: Storing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Storing {
    /// The value will be stored, if the markers of all regions that were added are known.
    Possible,
    /// It will not be stored, so nothing is asked.
    Impossible,
    /// The load is over.
    Over,
}

/// The dependencies that a caller has declared, and markers that it has seen already.
pub(super) struct Declared {
    pub(super) regions: Vec<RegionPath>,
    pub(super) seen: Markers,
}

impl LoadDependencies {
    /// Returns the dependencies of the load around this call.
    ///
    /// # Errors
    /// [`Load`](crate::ErrorKind::Load) outside of any load function, and in a task that one has
    /// spawned.
    pub fn current() -> Result<Self> {
        CURRENT.try_with(Self::clone).map_err(|_| {
            Error::new(ErrorKind::Load, "dependencies can be added inside a load function alone")
        })
    }

    /// Adds a region: the value is a miss once that region has been invalidated, touched or expired, from
    /// now on. Costs a trip to the store. It costs nothing if the region was added before, or is the
    /// value's own.
    ///
    /// While the store does not serve, the value is not stored.
    ///
    /// # Errors
    /// [`InvalidPath`](crate::ErrorKind::InvalidPath) for a region outside of the cache's root;
    /// [`TooLarge`](crate::ErrorKind::TooLarge) beyond [`MAX_DEPENDENCIES`](crate::MAX_DEPENDENCIES)
    /// regions; [`Load`](crate::ErrorKind::Load) once the load is over; the store's, if the policy turns
    /// them into errors ([`Policy::on_outage`](crate::Policy::on_outage)).
    ///
    /// # Cancel safety
    /// If the future is dropped, the value is not stored.
    pub async fn add(&self, region: impl Into<Dependency> + Send) -> Result<()> {
        let region = region.into().region(&self.0.context.engine().root)?;
        self.add_region(region, &Markers::default(), Started::now()).await
    }

    pub(super) fn new(context: &Arc<Context>, group: &Arc<Group>, is_stored: bool) -> Self {
        let storing = if is_stored { Storing::Possible } else { Storing::Impossible };
        let state = Mutex::new(State { added: Vec::new(), storing });
        let (context, group) = (Arc::clone(context), Arc::clone(group));
        Self(Arc::new(Inner { context, group, state }))
    }

    /// Adds what was declared, as a part of an operation that began at `started`, then runs `load` with these
    /// dependencies as the current ones.
    pub(super) async fn run<T>(
        &self,
        declared: Option<&Declared>,
        mut started: Started,
        load: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        if let Some(declared) = declared {
            started.note();
            let regions = declared.regions.iter().cloned();
            let adding = regions.map(|region| self.add_region(region, &declared.seen, started));
            try_join_all(adding).await?;
        }
        CURRENT.scope(self.clone(), load).await
    }

    /// Runs a part of the load that does not wait, with these dependencies as the current ones.
    #[cfg(feature = "blocking")]
    pub(super) fn run_here<T>(self, part: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self, part)
    }

    /// Ends the adding. Returns the dependencies of what was loaded; `None`: it must not be stored.
    pub(super) fn close(&self) -> Option<Vec<DependsOn>> {
        let mut state = self.0.state.lock();
        let was = std::mem::replace(&mut state.storing, Storing::Over);
        let added = std::mem::take(&mut state.added);
        let list =
            added.into_iter().map(|(region, marker)| Some(DependsOn { region, marker: marker? }));
        list.collect::<Option<_>>().filter(|_| was == Storing::Possible)
    }

    async fn add_region(&self, region: RegionPath, seen: &Markers, started: Started) -> Result<()> {
        let Inner { context, group, .. } = &*self.0;
        if !self.begin_adding(&region)? {
            return Ok(());
        }
        // Before the marker is read: who joins from now on may have seen this region end.
        group.depends_on_others();
        let of_marker = context.of_marker(&region)?;
        let need = Need::of(context.policy());
        match marker::take(&of_marker, need, seen.get(&region), started).await {
            Ok(marker) => {
                let mut state = self.0.state.lock();
                let mut added = state.added.iter_mut();
                if let Some((_, place)) = added.find(|(added, _)| *added == region) {
                    *place = marker;
                }
                Ok(())
            }
            // Without a marker the value is not stored.
            Err(error) if context.is_miss(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Notes that `region` is being added. Returns false if there is nothing to do.
    fn begin_adding(&self, region: &RegionPath) -> Result<bool> {
        let mut state = self.0.state.lock();
        if state.storing == Storing::Over {
            return Err(Error::new(ErrorKind::Load, "the load is over: it takes no dependencies"));
        }
        let is_own = region == self.0.context.path();
        if is_own || state.added.iter().any(|(added, _)| added == region) {
            return Ok(false);
        }
        if state.added.len() == MAX_DEPENDENCIES {
            return Err(too_many());
        }
        state.added.push((region.clone(), None));
        Ok(state.storing == Storing::Possible)
    }
}

impl Declared {
    /// `None`: there are none beside the value's own region.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPath`] and [`ErrorKind::TooLarge`].
    pub(super) fn new(context: &Context, dependencies: &[Dependency]) -> Result<Option<Box<Self>>> {
        let mut regions = Vec::with_capacity(dependencies.len());
        for dependency in dependencies {
            let region = dependency.region(&context.engine().root)?;
            if region != *context.path() && !regions.contains(&region) {
                regions.push(region);
            }
        }
        if regions.len() > MAX_DEPENDENCIES {
            return Err(too_many());
        }
        let declared = (!regions.is_empty()).then(|| Self { regions, seen: Markers::default() });
        Ok(declared.map(Box::new))
    }
}

fn too_many() -> Error {
    let message = format!("a value cannot depend on more than {MAX_DEPENDENCIES} regions");
    Error::new(ErrorKind::TooLarge, message)
}

impl fmt::Debug for LoadDependencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadDependencies")
            .field("added", &self.0.state.lock().added)
            .finish_non_exhaustive()
    }
}
