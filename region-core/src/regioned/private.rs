//! Functions that only the derive's output calls.

use super::{Regioned, SegmentId};

/// Every type is the same as itself. The derive uses the bound to report parent ids that do not fit.
#[diagnostic::on_unimplemented(
    message = "these parent ids have the type `{Self}`, but the ids of the parent have the type `{T}`",
    label = "not the ids of the parent",
    note = "mark one field with #[region(parent_id)] for each id of the parent, of the same types, the \
            outermost ancestor's first"
)]
pub trait SameAs<T> {
    /// Returns this value.
    fn same(self) -> T;
}

impl<T> SameAs<T> for T {
    #[inline]
    fn same(self) -> T {
        self
    }
}

/// Returns `ids`, whose type must be that of the ids of `P`.
#[inline]
pub fn parent_ids<P: Regioned, I: SameAs<P::Ids>>(ids: I) -> P::Ids {
    ids.same()
}

/// Returns `id`. The derive calls it once for a field, so that a type that is not a `SegmentId` is reported
/// once, at the field.
#[inline]
pub fn id<T: SegmentId + ?Sized>(id: &T) -> &T {
    id
}
