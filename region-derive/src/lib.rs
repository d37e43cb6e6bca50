//! The macros of region-cache. Use them through the facade, which re-exports them.

mod ast;
mod attr;
mod cached;
mod duration;
mod expand;
mod fallback;
#[cfg(test)]
mod golden;
mod names;
mod policy;
mod valid;
mod value;

use proc_macro::TokenStream;
use syn::{DeriveInput, ItemFn, parse_macro_input};

/// Gives the values of a type a region each.
///
/// ```
/// use region_cache::{MemoryStore, Region, RegionExt, RegionCache, Regioned};
///
/// #[derive(Regioned)]
/// #[region(name = "org", ttl = "10m")]
/// struct Org {
///     #[region(id)]
///     id: u64,
/// }
///
/// #[derive(Regioned)]
/// #[region(name = "project", parent = Org)]
/// struct Project {
///     #[region(parent_id)]
///     org_id: u64,
///     #[region(id)]
///     id: u64,
/// }
///
/// # fn main() -> region_cache::Result<()> {
/// let cache = RegionCache::builder(MemoryStore::new()).root("shop").build()?;
/// let region = cache.region_of(&Project { org_id: 42, id: 7 })?;
/// assert_eq!(region.path().as_str(), "shop.org:42.project:7");
/// // The same, without a value:
/// let region = cache.region_at(Project::path(42, 7))?;
/// assert_eq!(region.path().as_str(), "shop.org:42.project:7");
/// # Ok(())
/// # }
/// ```
///
/// # On the type: `#[region(..)]`
///
/// | attribute | meaning |
/// |---|---|
/// | `name = "org"` | the segment's name; the type's name in snake case if not given |
/// | `parent = Org` | the type whose region this one lies in; right below the root if not given |
/// | `no_id` | there is one region of this type in its parent, not one for each id |
/// | `constructor = "path_of"` | another name for the generated `path`; for an enum, a suffix |
/// | `crate = "cache"` | where the facade is, if not at `::region_cache` |
/// | `ttl`, `region_ttl`, `stale_for`, `load_timeout`, `lease` `= "1h30m"` | the `Policy` settings of these names; units `ms`, `s`, `m`, `h`, `d` |
/// | `no_ttl`, `no_region_ttl`, `no_load_timeout` | likewise |
/// | `on_update = "restart"` or `"keep"` | whether a write starts `region_ttl` again |
/// | `read_from = "primary"` or `"replica"` | where reads go |
/// | `on_outage = "miss"` or `"error"` | what reads do when the store cannot be asked |
/// | `serializer = Json` | an expression for the serializer |
/// | `version = 3` | the version of the value's meaning |
/// | `policy = function` | a function that returns the whole `Policy`, in place of single settings |
///
/// # On fields
///
/// | attribute | meaning |
/// |---|---|
/// | `#[region(id)]` | the id; its type is a `SegmentId` |
/// | `#[region(parent_id)]` | an id of an ancestor, on one field each, the outermost ancestor's first |
/// | `#[region(parent)]` | a parent that is itself `Regioned`, or a reference or `Box`, `Rc`, `Arc` of one |
///
/// # Enums
///
/// Each variant is a segment of its own: its name in snake case, or `#[region(name = "..")]` on
/// it, and its id if a field is marked. In place of `path` there is a constructor for each variant,
/// such as `Page::article_path(7)`. As the parent of other types an enum stands for its path:
/// `Comment::path(Page::article_path(7), 3)`.
///
/// # What is generated
///
/// An implementation of `Regioned`, and `path`: a function of exactly the ancestors' ids, the
/// outermost first, and the own one. With `#[region(parent)]` it is a constant of a function type,
/// which is called the same way. `RegionExt::ids_of::<Project>()` lists the ids under a parent.
#[proc_macro_derive(Regioned, attributes(region))]
pub fn derive_regioned(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    match valid::Model::of(&input) {
        Ok(model) => expand::expand(&model).into(),
        Err(error) => fallback::fallback(&input, &error).into(),
    }
}

/// Memoises an async function in a region, by its serialized arguments.
///
/// ```
/// use std::sync::Arc;
/// use region_cache::{MemoryStore, Region, RegionExt, RegionCache, cached};
///
/// struct Db;
///
/// #[cached(region = cache.region("reports")?, skip(cache, db))]
/// async fn report(cache: RegionCache, db: Arc<Db>, org: u64) -> Result<String, std::io::Error> {
///     let _ = db;
///     Ok(format!("all about {org}"))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> region_cache::Result<()> {
/// let cache = RegionCache::builder(MemoryStore::new()).build()?;
/// let report = report(cache, Arc::new(Db), 42).await?;
/// assert_eq!(*report, "all about 42");
/// # Ok(())
/// # }
/// ```
///
/// The function becomes one that returns `region_cache::Result<Arc<Report>>`: the value from the
/// region, or computed by the body and stored, once for all who ask at the same time.
///
/// | attribute | meaning |
/// |---|---|
/// | `region = expression` | the region, required; it may use the arguments by reference, and `?` |
/// | `name = "report"` | what tells this function's entries from others' in the region; the function's name if not given |
/// | `skip(db, ..)` | arguments that are not part of the key |
/// | `crate = "cache"` | where the facade is, if not at `::region_cache` |
///
/// A function that returns `Result<V, E>` caches its `V`s; one that returns anything else caches
/// that. Arguments are owned and `'static`, for the body may outlive the call: take `String` and
/// `Arc`, not references. The arguments that are part of the key implement `Serialize`. Generic
/// functions are refused, because two instances of one would share their entries.
#[proc_macro_attribute]
pub fn cached(attributes: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    cached::expand(attributes.into(), function).into()
}
