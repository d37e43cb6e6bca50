//! The region that a request's path names.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use region_core::{RegionCache, RegionHandle, Regioned};
use serde::de::DeserializeOwned;

use crate::error::CacheError;
use crate::extract::{Cache, MissingCache};

/// The region of the `T` that the parameters of the request's path identify, in the cache of
/// [`CacheLayer`](crate::CacheLayer).
///
/// The parameters are `T`'s [ids](Regioned::Ids) in their order: the outermost ancestor's first, each exactly
/// once, whatever their names.
///
/// ```
/// use axum::{Router, http::Request, routing::get};
/// use region_core::{Region, RegionCache, Regioned, TopLevel, TypedPath};
/// use region_http::{CacheLayer, RegionOf};
/// # use region_memory::MemoryStore;
/// # use tower::ServiceExt;
///
/// struct Org(u64);
///
/// impl Regioned for Org { // or by #[derive(Regioned)]
///     # type Parent = TopLevel;
///     # type Id = u64;
///     # const NAME: &'static str = "org";
///     type Ids = (u64,);
///     # fn path_from((id,): (u64,)) -> TypedPath<Self> { TypedPath::top().child("org", &id) }
///     # fn region_path(&self) -> TypedPath<Self> { Self::path_from((self.0,)) }
///     // ..
/// }
///
/// async fn path(org: RegionOf<Org>) -> String {
///     org.path().to_string()
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = RegionCache::builder(MemoryStore::new()).root("shop").build()?;
/// let app: Router = Router::new().route("/orgs/{id}", get(path)).layer(CacheLayer::new(cache));
/// let request = Request::get("/orgs/42").body(axum::body::Body::empty())?;
/// let body = app.oneshot(request).await?.into_body();
/// assert_eq!(axum::body::to_bytes(body, 1024).await?, "shop.org:42");
/// # Ok(())
/// # }
/// ```
pub struct RegionOf<T> {
    region: RegionHandle,
    of: PhantomData<fn() -> T>,
}

/// Why there is no [`RegionOf`].
#[derive(Debug)]
#[non_exhaustive]
pub enum RegionRejection {
    /// The request has no cache. The response is 500.
    MissingCache(MissingCache),
    /// The path's parameters are not the ids. The response is axum's: 400 for a bad id, 500 for a wrong number of
    /// parameters.
    Path(PathRejection),
    /// An id cannot be part of a region's path.
    Region(CacheError),
}

impl<T> RegionOf<T> {
    /// The region.
    #[must_use]
    pub fn into_inner(self) -> RegionHandle {
        self.region
    }
}

impl<T> Deref for RegionOf<T> {
    type Target = RegionHandle;

    fn deref(&self) -> &RegionHandle {
        &self.region
    }
}

impl<T, S> FromRequestParts<S> for RegionOf<T>
where
    T: Regioned,
    T::Ids: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = RegionRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, RegionRejection> {
        let cache = <Cache as FromRequestParts<S>>::from_request_parts(parts, state).await;
        let Cache(cache) = cache.map_err(RegionRejection::MissingCache)?;
        let region = region_of_path::<T, S>(&cache, parts, state).await?;
        Ok(Self { region, of: PhantomData })
    }
}

/// The region in `cache` of the `T` that the parameters of the path identify.
pub(crate) async fn region_of_path<T, S>(
    cache: &RegionCache,
    parts: &mut Parts,
    state: &S,
) -> Result<RegionHandle, RegionRejection>
where
    T: Regioned,
    T::Ids: DeserializeOwned + Send,
    S: Send + Sync,
{
    let ids = Path::<T::Ids>::from_request_parts(parts, state).await;
    let Path(ids) = ids.map_err(RegionRejection::Path)?;
    let region = cache.region_at(T::path_from(ids));
    region.map_err(|error| RegionRejection::Region(error.into()))
}

impl IntoResponse for RegionRejection {
    fn into_response(self) -> Response {
        match self {
            Self::MissingCache(missing) => missing.into_response(),
            Self::Path(rejection) => rejection.into_response(),
            Self::Region(error) => error.into_response(),
        }
    }
}

impl fmt::Display for RegionRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingCache(missing) => missing.fmt(f),
            Self::Path(rejection) => rejection.fmt(f),
            Self::Region(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RegionRejection {}

impl<T> fmt::Debug for RegionOf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RegionOf").field(&self.region).finish()
    }
}
