//! Tuples of ids: an ancestor's ids and one more.

use super::{Regioned, TypedPath};

/// A tuple of ids that can be made one longer.
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
    /// This tuple and `Id`.
    type Ids;

    /// Takes the longer tuple apart.
    fn split(ids: Self::Ids) -> (Self, Id);
}

/// The function from the ids in a tuple to the path of a `T`: what `T::path` is.
pub trait PathFn<T> {
    /// Its type: one argument for each id, the outermost ancestor's first.
    type Fn;

    /// The function.
    const PATH: Self::Fn;
}

macro_rules! tuples {
    ($(($($id:ident),*))*) => {$(
        impl<$($id,)* Id> AppendId<Id> for ($($id,)*) {
            type Ids = ($($id,)* Id,);

            #[allow(non_snake_case, clippy::unused_unit)]
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
