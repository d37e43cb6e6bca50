use std::fmt;
use std::marker::PhantomData;

use super::{Regioned, SegmentId, TopLevel};
use crate::path::{IdText, PathError, RegionPath, RelativePath, Segment};

/// The path of a `T`'s region below the root, built from ids without a value of `T`.
///
/// An id that cannot be part of a segment (an empty string, say) is reported when a region is opened at
/// the path.
pub struct TypedPath<T> {
    relative: RelativePath,
    /// The first id or name that cannot be part of a segment.
    fault: Option<Box<PathError>>,
    of: PhantomData<fn() -> T>,
}

impl TypedPath<TopLevel> {
    /// Returns the empty path, from which all others are built.
    #[must_use]
    pub fn top() -> Self {
        Self { relative: RelativePath::empty(), fault: None, of: PhantomData }
    }
}

impl<T> TypedPath<T> {
    /// Returns the path of the child region `name:id`, of type `C`.
    #[must_use]
    #[inline]
    pub fn child<C: Regioned<Parent = T>>(
        self,
        name: &str,
        id: &(impl SegmentId + ?Sized),
    ) -> TypedPath<C> {
        self.push(name, Some(|text: &mut IdText<'_>| id.append_to(text)))
    }

    /// Returns the path of the child region `name`, of type `C`, which has no id.
    #[must_use]
    #[inline]
    pub fn only_child<C: Regioned<Parent = T>>(self, name: &str) -> TypedPath<C> {
        self.push(name, None::<fn(&mut IdText<'_>)>)
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
        Ok(self.relative()?.segments().collect())
    }

    /// The path as text, unless an id cannot be a segment.
    #[inline]
    pub(crate) fn relative(&self) -> Result<&RelativePath, PathError> {
        match &self.fault {
            None => Ok(&self.relative),
            Some(fault) => Err((**fault).clone()),
        }
    }

    #[inline]
    fn push<C>(
        mut self,
        name: &str,
        push_id: Option<impl FnOnce(&mut IdText<'_>)>,
    ) -> TypedPath<C> {
        if self.fault.is_none() {
            self.fault = self.relative.push(name, push_id).err().map(Box::new);
        }
        TypedPath { relative: self.relative, fault: self.fault, of: PhantomData }
    }
}

impl<T> Clone for TypedPath<T> {
    fn clone(&self) -> Self {
        Self { relative: self.relative.clone(), fault: self.fault.clone(), of: PhantomData }
    }
}

impl<T> PartialEq for TypedPath<T> {
    fn eq(&self, other: &Self) -> bool {
        (&self.relative, &self.fault) == (&other.relative, &other.fault)
    }
}

impl<T> Eq for TypedPath<T> {}

impl<T> fmt::Display for TypedPath<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            None => f.write_str(self.relative.as_str()),
            Some(fault) => write!(f, "<{fault}>"),
        }
    }
}

impl<T> fmt::Debug for TypedPath<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TypedPath({self})")
    }
}
