//! Tuples of ids: the ancestors' ids, with the type's own id appended.

use super::{Regioned, TypedPath};

/// A tuple of ids to which one more can be appended.
///
/// ```
/// use region_core::AppendId;
///
/// type Ids = <(u64, String) as AppendId<u32>>::Ids;
/// let ids: Ids = (42, "a".to_owned(), 7);
/// let (ancestors, own) = AppendId::split(ids);
/// assert_eq!((ancestors, own), ((42, "a".to_owned()), 7));
/// ```
pub trait AppendId<Id>: Sized {
    /// This tuple with `Id` appended.
    type Ids;

    /// Splits the longer tuple into this tuple and the appended id.
    fn split(ids: Self::Ids) -> (Self, Id);
}

/// The type of the derived function `T::path`, which takes the ids in this tuple as arguments.
pub trait PathFn<T> {
    /// A function with one argument for each id, the outermost ancestor's first.
    type Fn;

    /// The function.
    const PATH: Self::Fn;
}

macro_rules! tuples {
    ($(($($id:ident),*))*) => {$(
        impl<$($id,)* Id> AppendId<Id> for ($($id,)*) {
            type Ids = ($($id,)* Id,);

            #[allow(non_snake_case, clippy::unused_unit)]
            #[inline]
            fn split(($($id,)* id,): Self::Ids) -> (Self, Id) {
                (($($id,)*), id)
            }
        }

        impl<T: Regioned<Ids = Self>, $($id),*> PathFn<T> for ($($id,)*) {
            type Fn = fn($($id),*) -> TypedPath<T>;

            #[allow(non_snake_case)]
            const PATH: Self::Fn = |$($id),*| T::path_from(($($id,)*));
        }
    )*};
}

tuples! {
    ()
    (A)
    (A, B)
    (A, B, C)
    (A, B, C, D)
    (A, B, C, D, E)
    (A, B, C, D, E, F)
    (A, B, C, D, E, F, G)
    (A, B, C, D, E, F, G, H)
    (A, B, C, D, E, F, G, H, I)
    (A, B, C, D, E, F, G, H, I, J)
    (A, B, C, D, E, F, G, H, I, J, K)
    (A, B, C, D, E, F, G, H, I, J, K, L)
}
