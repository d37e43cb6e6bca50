//! region-cache in axum and tower services.
//!
//! | to | see |
//! |---|---|
//! | use the cache in handlers | [`CacheLayer`], which puts it into each request, and the extractor [`Cache`] |
//! | get the region that a request's path names | the extractor [`RegionOf`] |
//! | answer with a cache's errors | [`CacheError`] |
//! | tell load balancers if the service is ready | [`Health`] |
//! | cache whole responses | [`ResponseCacheLayer`] |
//!
//! ```
//! use axum::{Router, extract::Path, http::Request, routing::get};
//! use region_core::{Region, RegionCache, RegionExt};
//! use region_http::{Cache, CacheError, CacheLayer, Health};
//! use region_memory::MemoryStore;
//! use tower::ServiceExt;
//!
//! async fn summary(cache: Cache, Path(org): Path<u64>) -> Result<String, CacheError> {
//!     let region = cache.region("org")?.child(&org.to_string())?;
//!     let load = || async { Ok::<_, std::io::Error>("from the database".to_owned()) };
//!     Ok(region.get_or_compute("summary", load).await?.to_string())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cache = RegionCache::builder(MemoryStore::new()).root("shop").build()?;
//! let app: Router = Router::new()
//!     .route("/orgs/{org}/summary", get(summary))
//!     .layer(CacheLayer::new(cache.clone()))
//!     .route("/health", Health::new(cache).route());
//!
//! let request = Request::get("/orgs/42/summary").body(axum::body::Body::empty())?;
//! assert_eq!(app.oneshot(request).await?.status(), 200);
//! # Ok(())
//! # }
//! ```

mod error;
mod extract;
mod health;
mod layer;
mod region_of;
mod responses;

pub use error::CacheError;
pub use extract::{Cache, MissingCache};
pub use health::{Condition, Health, HealthReport, StoreReport};
pub use layer::{CacheLayer, CacheService};
pub use region_of::{RegionOf, RegionRejection};
pub use responses::{ResponseCache, ResponseCacheLayer};
