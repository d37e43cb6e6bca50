use std::fmt;
use std::marker::PhantomData;

use super::{Regioned, SegmentId, TopLevel};
use crate::path::{PathError, RegionPath, Segment};

/// The path of a `T`'s region below the root, built from ids without a value of `T`.
///
/// An id that cannot be part of a segment (an empty string, say) is reported when a region is opened at
/// the path.
pub struct TypedPath<T> {
    segments: Result<Vec<Segment>, PathError>,
    of: PhantomData<fn() -> T>,
}

impl TypedPath<TopLevel> {
    /// Returns the empty path, from which all others are built.
    #[must_use]
    pub fn top() -> Self {
        Self { segments: Ok(Vec::new()), of: PhantomData }
    }
}

impl<T> TypedPath<T> {
    /// Returns the path of the child region `name:id`, of type `C`.
    #[must_use]
    pub fn child<C: Regioned<Parent = T>>(
        self,
        name: &str,
        id: &(impl SegmentId + ?Sized),
    ) -> TypedPath<C> {
        self.push(Segment::with_id(name, &id.segment_id()))
    }

    /// Returns the path of the child region `name`, of type `C`, which has no id.
    #[must_use]
    pub fn only_child<C: Regioned<Parent = T>>(self, name: &str) -> TypedPath<C> {
        self.push(Segment::new(name))
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
    pub fn segments(&self) -> Result<&[Segment], PathError> {
        self.segments.as_deref().map_err(Clone::clone)
    }

    fn push<C>(self, segment: Result<Segment, PathError>) -> TypedPath<C> {
        let segments = self.segments.and_then(|mut segments| {
            segments.push(segment?);
            Ok(segments)
        });
        TypedPath { segments, of: PhantomData }
    }
}

impl<T> Clone for TypedPath<T> {
    fn clone(&self) -> Self {
        Self { segments: self.segments.clone(), of: PhantomData }
    }
}

impl<T> PartialEq for TypedPath<T> {
    fn eq(&self, other: &Self) -> bool {
        self.segments == other.segments
    }
}

impl<T> Eq for TypedPath<T> {}

impl<T> fmt::Display for TypedPath<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let segments = match &self.segments {
            Ok(segments) => segments,
            Err(error) => return write!(f, "<{error}>"),
        };
        for (at, segment) in segments.iter().enumerate() {
            let dot = if at == 0 { "" } else { "." };
            write!(f, "{dot}{segment}")?;
        }
        Ok(())
    }
}

impl<T> fmt::Debug for TypedPath<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TypedPath({self})")
    }
}
