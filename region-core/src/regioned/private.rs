//! For the code that the derive writes, and nobody else.

use std::borrow::Cow;

use super::{Regioned, SegmentId};

/// Is the same type: what the ids in a type's fields and its parent's ids must be.
#[diagnostic::on_unimplemented(
    message = "these parent ids are `{Self}`, but the parent's region is named by `{T}`",
    label = "not the ids of the parent",
    note = "mark one field with #[region(parent_id)] for each id of the parent, of the same types, the \
            outermost ancestor's first"
)]
pub trait SameAs<T> {
    /// This value.
    fn same(self) -> T;
}

impl<T> SameAs<T> for T {
    fn same(self) -> T {
        self
    }
}

/// `ids`, which must be those of `P`.
pub fn parent_ids<P: Regioned, I: SameAs<P::Ids>>(ids: I) -> P::Ids {
    ids.same()
}

/// `id`, which must be one, as a type that always is: so what is wrong is said once.
pub fn id<T: SegmentId + ?Sized>(id: &T) -> Cow<'_, str> {
    id.segment_id()
}
