use std::fmt;
use std::marker::PhantomData;

use super::{Regioned, SegmentId, TopLevel};
use crate::path::{PathError, RegionPath, RelativePath, Segment};

/// The path of a `T`'s region below the root, built from ids without a value of `T`.
///
/// An id that cannot be part of a segment (an empty string, say) is reported when a region is opened at
/// the path.
pub struct TypedPath<T> {
    relative: RelativePath,
    of: PhantomData<fn() -> T>,
}

impl TypedPath<TopLevel> {
    /// Returns the empty path, from which all others are built.
    #[must_use]
    #[inline]
    pub fn top() -> Self {
        Self { relative: RelativePath::empty(), of: PhantomData }
    }
}

impl<T> TypedPath<T> {
    /// Returns the path of the child region `name:id`, of type `C`.
    #[must_use]
    #[inline]
    pub fn child<C: Regioned<Parent = T>>(
        mut self,
        name: &str,
        id: &(impl SegmentId + ?Sized),
    ) -> TypedPath<C> {
        self.relative.push_with_id(name, |text| id.append_to(text));
        TypedPath { relative: self.relative, of: PhantomData }
    }

    /// Returns the path of the child region `name`, of type `C`, which has no id.
    #[must_use]
    #[inline]
    pub fn only_child<C: Regioned<Parent = T>>(mut self, name: &str) -> TypedPath<C> {
        self.relative.push(name);
        TypedPath { relative: self.relative, of: PhantomData }
    }

    /// Appends the path to `root`.
    ///
    /// # Errors
    /// If an id cannot be a segment or the path would be too long.
    pub fn below(&self, root: &RegionPath) -> Result<RegionPath, PathError> {
        let segments = self.segments()?;
        segments.iter().try_fold(root.clone(), |path, segment| path.join(segment))
    }

    /// Returns the segments, the outermost first.
    ///
    /// # Errors
    /// If an id cannot be a segment.
    pub fn segments(&self) -> Result<Vec<Segment>, PathError> {
        self.relative.segments()
    }

    /// The names and ids that the path is built from.
    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.relative.as_bytes()
    }
}

impl<T> Clone for TypedPath<T> {
    fn clone(&self) -> Self {
        Self { relative: self.relative.clone(), of: PhantomData }
    }
}

impl<T> PartialEq for TypedPath<T> {
    fn eq(&self, other: &Self) -> bool {
        // Ids of different types may have the same text.
        self.as_bytes() == other.as_bytes() || self.segments() == other.segments()
    }
}

impl<T> Eq for TypedPath<T> {}

impl<T> fmt::Display for TypedPath<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.segments() {
            Ok(segments) => {
                for (at, segment) in segments.iter().enumerate() {
                    let separator = if at == 0 { "" } else { "." };
                    write!(f, "{separator}{segment}")?;
                }
                Ok(())
            }
            Err(fault) => write!(f, "<{fault}>"),
        }
    }
}

impl<T> fmt::Debug for TypedPath<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TypedPath({self})")
    }
}
