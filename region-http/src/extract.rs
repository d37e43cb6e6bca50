//! The cache in a handler's arguments.

use std::convert::Infallible;
use std::fmt;
use std::ops::Deref;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use region_core::RegionCache;

use crate::error::error_response;

/// The cache that [`CacheLayer`](crate::CacheLayer) has put into the request.
///
/// A router whose *state* holds the cache needs neither: there
/// [`State<RegionCache>`](axum::extract::State) is the extractor, by axum's `FromRef`.
///
/// ```
/// use region_core::RegionExt;
/// use region_http::{Cache, CacheError};
///
/// async fn forget_org(cache: Cache) -> Result<(), CacheError> {
///     cache.region("org:42")?.invalidate().await?;
///     Ok(())
/// }
/// # let app: axum::Router = axum::Router::new().route("/", axum::routing::delete(forget_org));
/// ```
#[derive(Clone, Debug)]
pub struct Cache(pub RegionCache);

/// The request has no cache: the route is outside of every [`CacheLayer`](crate::CacheLayer). The response
/// is 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingCache;

impl Deref for Cache {
    type Target = RegionCache;

    fn deref(&self) -> &RegionCache {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Cache {
    type Rejection = MissingCache;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, MissingCache> {
        parts.extensions.get::<RegionCache>().cloned().map(Self).ok_or(MissingCache)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Cache {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<RegionCache>().cloned().map(Self))
    }
}

impl IntoResponse for MissingCache {
    fn into_response(self) -> Response {
        tracing::error!("{self}");
        error_response(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl fmt::Display for MissingCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request has no cache: add a `CacheLayer` around its route")
    }
}

impl std::error::Error for MissingCache {}
