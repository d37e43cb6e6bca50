//! Region paths of domain types: what `#[derive(Regioned)]` implements.

mod id;
mod ids;
pub mod private;
mod typed_path;

use crate::policy::Policy;

pub use id::{ParseSegmentId, SegmentId};
pub use ids::{AppendId, PathFn};
pub use typed_path::TypedPath;

/// A type whose values each have a region of their own.
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
    label = "this type is not `Regioned`",
    note = "add `#[derive(Regioned)]` to `{Self}`"
)]
pub trait Regioned: Sized {
    /// The type of the parent region; [`TopLevel`] if the parent is the root.
    type Parent: Regioned;

    /// The id that distinguishes regions of this type within one parent; `()` if there is only one.
    type Id;

    /// The name in the type's path segment.
    const NAME: &'static str;

    /// The ids that identify one region of this type, as a tuple: the ancestors' from the outermost on, then
    /// the type's own. Types without an id contribute none.
    type Ids;

    /// Returns the path of the region that `ids` identify.
    fn path_from(ids: Self::Ids) -> TypedPath<Self>;

    /// Returns the path of this value's region.
    fn region_path(&self) -> TypedPath<Self>;

    /// Returns the policy of the type's regions. Settings that it leaves out are inherited.
    ///
    /// It must be the same at every call: a cache remembers what it got.
    #[must_use]
    fn policy() -> Policy {
        Policy::new()
    }

    /// Appends the policies of the type's ancestors, the outermost first, and then its own.
    fn policies(into: &mut Vec<Policy>) {
        Self::Parent::policies(into);
        into.push(Self::policy());
    }
}

/// The parent of types whose regions are children of the root. It has no values.
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
