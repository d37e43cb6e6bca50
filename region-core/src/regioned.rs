//! Region paths of domain types: what `#[derive(Regioned)]` implements.

mod id;
mod ids;
pub mod private;
mod typed_path;

use crate::policy::Policy;

pub use id::{ParseSegmentId, SegmentId};
pub use ids::{AppendId, PathFn};
pub use typed_path::TypedPath;

/// A type whose values each have a region.
///
/// Derive it; the derive's documentation lists the attributes. By hand it looks like this:
///
/// ```
/// use region_core::{AppendId, Policy, Regioned, TopLevel, TypedPath};
///
/// struct Org { id: u64 }
/// struct Project { id: u64, org: Org }
///
/// impl Regioned for Org {
///     type Parent = TopLevel;
///     type Id = u64;
///     const NAME: &'static str = "org";
///     type Ids = (u64,);
///     fn path_from((id,): (u64,)) -> TypedPath<Self> {
///         TypedPath::top().child("org", &id)
///     }
///     fn region_path(&self) -> TypedPath<Self> {
///         Self::path_from((self.id,))
///     }
/// }
///
/// impl Regioned for Project {
///     type Parent = Org;
///     type Id = u64;
///     const NAME: &'static str = "project";
///     type Ids = <<Org as Regioned>::Ids as AppendId<u64>>::Ids;
///     fn path_from(ids: Self::Ids) -> TypedPath<Self> {
///         let (org, id) = AppendId::split(ids);
///         Org::path_from(org).child("project", &id)
///     }
///     fn region_path(&self) -> TypedPath<Self> {
///         self.org.region_path().child("project", &self.id)
///     }
/// }
///
/// let project = Project { id: 7, org: Org { id: 42 } };
/// assert_eq!(project.region_path().to_string(), "org:42.project:7");
/// assert_eq!(Project::path_from((42, 7)), project.region_path());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no region",
    label = "this type does not say which region it belongs to",
    note = "add `#[derive(Regioned)]` to `{Self}`"
)]
pub trait Regioned: Sized {
    /// The type whose region this one's lies in; [`TopLevel`] for those right below the root.
    type Parent: Regioned;

    /// The id that tells regions of this type in one parent from each other; `()` where there is just
    /// one.
    type Id;

    /// The name of the type's segment.
    const NAME: &'static str;

    /// The ids that name one region of this type, as a tuple, the outermost ancestor's first. Types
    /// without an id add nothing.
    type Ids;

    /// The path of the region that `ids` name.
    fn path_from(ids: Self::Ids) -> TypedPath<Self>;

    /// The path of this value's region.
    fn region_path(&self) -> TypedPath<Self>;

    /// What the type says of its regions' policy; the rest is inherited.
    #[must_use]
    fn policy() -> Policy {
        Policy::new()
    }

    /// Appends the policies of the type's ancestors, outermost first, and its own.
    fn policies(into: &mut Vec<Policy>) {
        Self::Parent::policies(into);
        into.push(Self::policy());
    }
}

/// The parent of the types whose regions lie right below the root. It has no values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopLevel {}

impl Regioned for TopLevel {
    type Parent = Self;
    type Id = ();
    type Ids = ();
    const NAME: &'static str = "";

    fn path_from((): ()) -> TypedPath<Self> {
        TypedPath::top()
    }

    fn region_path(&self) -> TypedPath<Self> {
        match *self {}
    }

    fn policies(_into: &mut Vec<Policy>) {}
}
