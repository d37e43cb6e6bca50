use crate::error::{Error, ErrorKind, Result};
use crate::path::{PathError, RegionPath, Segment};
use crate::region::Region;
use crate::regioned::TypedPath;

/// A region that a loaded value depends on: see [`LoadOptions::depends_on`](crate::LoadOptions::depends_on).
///
/// It is made from a handle to the region, from its path (which begins at the cache's root), or from a
/// typed path (which begins below the root).
///
/// ```
/// use region_core::{Dependency, RegionPath};
///
/// let root = RegionPath::parse("shop")?;
/// let prices = root.child("prices")?;
/// assert_eq!(Dependency::from(&prices).region(&root)?, prices);
/// let elsewhere = RegionPath::parse("warehouse.prices")?;
/// assert!(Dependency::from(elsewhere).region(&root).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency(Inner);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Inner {
    At(RegionPath),
    Below(Result<Vec<Segment>, PathError>),
}

impl Dependency {
    /// Returns the path of the region in a cache with this root, for implementations of
    /// [`Region`](crate::Region).
    ///
    /// # Errors
    /// [`InvalidPath`](crate::ErrorKind::InvalidPath) if the region lies outside of `root`, or the typed
    /// path is invalid.
    pub fn region(&self, root: &RegionPath) -> Result<RegionPath> {
        match &self.0 {
            Inner::At(path) if path.is_within(root) => Ok(path.clone()),
            Inner::At(path) => {
                let message =
                    format!("a value cannot depend on {path}: it lies outside of the root {root}");
                Err(Error::new(ErrorKind::InvalidPath, message))
            }
            Inner::Below(segments) => {
                let segments = segments.as_deref().map_err(Clone::clone)?;
                let path = segments.iter().try_fold(root.clone(), |path, it| path.join(it));
                Ok(path?)
            }
        }
    }
}

impl From<RegionPath> for Dependency {
    fn from(path: RegionPath) -> Self {
        Self(Inner::At(path))
    }
}

impl From<&RegionPath> for Dependency {
    fn from(path: &RegionPath) -> Self {
        path.clone().into()
    }
}

impl<R: Region> From<&R> for Dependency {
    fn from(region: &R) -> Self {
        region.path().clone().into()
    }
}

impl<T> From<TypedPath<T>> for Dependency {
    fn from(path: TypedPath<T>) -> Self {
        Self(Inner::Below(path.segments()))
    }
}
