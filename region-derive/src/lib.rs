//! The macros of region-cache. Use them through the facade, which re-exports them.

mod arguments;
mod ast;
mod attr;
mod cached;
mod derive;
mod duration;
mod expand;
mod fallback;
#[cfg(test)]
mod golden;
mod method;
mod names;
mod nesting;
mod policy;
mod returned;
mod valid;
mod value;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `Regioned`: gives each value of a type a region of its own.
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
/// | `name = "org"` | the name of the path segment; default: the type's name in snake case |
/// | `parent = Org` | the type of the parent region; default: the parent is the root |
/// | `no_id` | the type has one region in each parent region, not one for each id |
/// | `constructor = "path_of"` | the name of the generated function; default: `path`. For an enum, the suffix of the names |
/// | `crate = "cache"` | the path of the crate `region-cache`; default: `::region_cache` |
/// | `ttl`, `absent_ttl`, `region_ttl`, `stale_for`, `soft_timeout`, `load_retry_after`, `load_timeout`, `lease`, `near_unverified_for`, `near_outage_for` `= "1h30m"` | the `Policy` settings of these names; units `ms`, `s`, `m`, `h`, `d` |
/// | `no_ttl`, `no_region_ttl`, `no_soft_timeout`, `no_load_timeout` | the `Policy` settings of these names |
/// | `on_update = "restart"` or `"keep"` | a write restarts `region_ttl`, or leaves it running |
/// | `on_stale = "wait"` or `"refresh"` | a caller waits for the load of a stale value, or gets it at once while the load runs in the background |
/// | `ttl_jitter`, `early_refresh_at`, `early_refresh_beta` `= 10` | the `Policy` settings of these names, in percent |
/// | `read_from = "primary"` or `"replica"` | the servers that reads go to |
/// | `on_outage = "miss"` or `"error"` | the result of a read while the store is unavailable |
/// | `near = "off"` or `"on"` | whether decoded values are held in this process |
/// | `age = "unknown"` or `"recorded"` | whether values are stored with the time at which they were made |
/// | `serializer = Json` | the serializer, an expression |
/// | `version = 3` | the version of the values; change it when their meaning changes |
/// | `policy = function` | a function that returns the whole `Policy`, instead of single settings |
///
/// # On fields
///
/// | attribute | meaning |
/// |---|---|
/// | `#[region(id)]` | the id of the region; its type implements `SegmentId` |
/// | `#[region(parent_id)]` | the id of an ancestor; one field for each id, in order, the outermost ancestor's first |
/// | `#[region(parent)]` | the parent as a value: a type that implements `Regioned`, or a reference, `Box`, `Rc` or `Arc` of one |
///
/// # Enums
///
/// Each variant has a segment of its own. Its name is the variant's name in snake case, unless
/// `#[region(name = "..")]` on the variant sets another; it has an id if one of its fields is marked as
/// `id`. Instead of `path` there is a function for each variant, such as `Page::article_path(7)`. Where an
/// enum is the parent of another type, its path takes the place of its ids:
/// `Comment::path(Page::article_path(7), 3)`.
///
/// # What is generated
///
/// The derive generates an implementation of `Regioned`, and an associated function `path`, which takes
/// the ids of the ancestors, the outermost first, and then the type's own id. With `#[region(parent)]` it is
/// a constant that holds a function, and is called the same way. `RegionExt::ids_of::<Project>()` lists
/// the ids of a parent's children.
#[proc_macro_derive(Regioned, attributes(region))]
pub fn derive_regioned(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    derive::derive(&input).into()
}

/// Memoises an async function or method: stores its results in a region, under a key made of its serialized
/// arguments.
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
/// The function then returns the stored value if the region has one; otherwise it runs the body and stores the
/// result. Concurrent calls with the same arguments run the body once.
///
/// | the function returns | it becomes | stored |
/// |---|---|---|
/// | `V` | `region_cache::Result<Arc<V>>` | the values |
/// | `Result<V, E>` | `region_cache::Result<Arc<V>>` | the values; an error is returned, see `Error::load_error` |
/// | `Option<V>` | `region_cache::Result<Option<Arc<V>>>` | the values, and that there is none, for the policy's `absent_ttl` |
/// | `Result<Option<V>, E>` | `region_cache::Result<Option<Arc<V>>>` | the same; an error is returned |
///
/// The macro goes by the names `Result` and `Option`, so aliases of other names count as a `V`.
///
/// | attribute | meaning |
/// |---|---|
/// | `region = expression` | required: the region; the expression may borrow the arguments and use `?`, as in `cache.region_of(&project)?` |
/// | `name = "report"` | the name that the keys begin with; default: the function's name. Functions that share a region need different names |
/// | `skip(db, ..)` | arguments that are not part of the key |
/// | `ttl = "5m"`, `policy = function`, .. | settings of the policy, over those of the region: each attribute of `#[derive(Regioned)]` that is one |
/// | `crate = "cache"` | the path of the crate `region-cache`; default: `::region_cache` |
///
/// Arguments must be owned and `'static`, because the body may outlive the call: take `String` and `Arc`, not
/// references. The arguments that are part of the key implement `Serialize`. Generic functions are refused, because
/// two instances of one would share their entries; so would the instances of a generic type with a memoised method:
/// give them different regions.
///
/// # Methods
///
/// `self` is an argument as all others: part of the key, unless it is skipped. It may be taken by value, by
/// reference or in an `Arc`; one behind a reference is cloned for a load, which may outlive the call.
///
/// ```
/// use region_cache::{MemoryStore, RegionCache, RegionExt, Regioned, cached};
///
/// #[derive(Regioned)]
/// struct Project {
///     #[region(id)]
///     id: u64,
/// }
///
/// #[derive(Clone)]
/// struct Tasks {
///     cache: RegionCache,
/// }
///
/// impl Tasks {
///     /// The title of a task, if there is such a task.
///     #[cached(region = self.cache.region_at(Project::path(project))?, skip(self, project), ttl = "5m")]
///     async fn title(&self, project: u64, task: u64) -> Option<String> {
///         (task < 100).then(|| format!("task {task} of project {project}"))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> region_cache::Result<()> {
/// let tasks = Tasks { cache: RegionCache::builder(MemoryStore::new()).build()? };
/// assert_eq!(tasks.title(7, 1).await?.as_deref().map(String::as_str), Some("task 1 of project 7"));
/// assert_eq!(tasks.title(7, 100).await?, None);
/// tasks.cache.region_of(&Project { id: 7 })?.invalidate().await?;
/// # Ok(())
/// # }
/// ```
///
/// The body moves to a hidden method, `__title_uncached`, in the same `impl` block. So a method of an
/// implementation of a trait cannot be memoised: let it call one that is.
#[proc_macro_attribute]
pub fn cached(attributes: TokenStream, item: TokenStream) -> TokenStream {
    cached::expand(attributes.into(), item.into()).into()
}
