//! The layer that puts the cache into requests.

use std::task::{Context, Poll};

use axum::extract::MatchedPath;
use axum::http::{Request, Response};
use futures_util::future::BoxFuture;
use region_core::RegionCache;
use tower::{Layer, Service};
use tracing::field::Empty;
use tracing::{Instrument, Span};

/// Puts the cache into each request, for the extractors [`Cache`](crate::Cache) and
/// [`RegionOf`](crate::RegionOf), and runs the request in a `tracing` span.
///
/// The span is `request` at level `INFO`. Its fields are `method`, `route`, the pattern of the route such as
/// `/orgs/{org}`, and, at the end, `status`. It has neither the path nor the query of the request, which may
/// hold secrets. Without axum's router, or around it, there is no `route`: add the layer by `Router::layer`.
///
/// ```
/// use axum::{Router, routing::get};
/// use region_core::RegionCache;
/// use region_http::{Cache, CacheLayer};
/// use region_memory::MemoryStore;
///
/// # fn main() -> region_core::Result<()> {
/// let cache = RegionCache::builder(MemoryStore::new()).root("shop").build()?;
/// let hits = async |cache: Cache| cache.stats().hits.to_string();
/// let app: Router = Router::new().route("/hits", get(hits)).layer(CacheLayer::new(cache));
/// # drop(app);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CacheLayer {
    cache: RegionCache,
}

/// The service of a [`CacheLayer`].
#[derive(Clone, Debug)]
pub struct CacheService<S> {
    inner: S,
    cache: RegionCache,
}

impl CacheLayer {
    /// Creates a layer that puts `cache` into requests.
    #[must_use]
    pub fn new(cache: RegionCache) -> Self {
        Self { cache }
    }
}

impl<S> Layer<S> for CacheLayer {
    type Service = CacheService<S>;

    fn layer(&self, inner: S) -> CacheService<S> {
        CacheService { inner, cache: self.cache.clone() }
    }
}

impl<S, B, C> Service<Request<B>> for CacheService<S>
where
    S: Service<Request<B>, Response = Response<C>>,
    S::Future: Send + 'static,
{
    type Response = Response<C>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<C>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let span = span_of(&request);
        request.extensions_mut().insert(self.cache.clone());
        // What the inner service does before its future is polled belongs to the request too.
        let responding = span.in_scope(|| self.inner.call(request));
        let responding = async move {
            let responded = responding.await;
            if let Ok(response) = &responded {
                Span::current().record("status", response.status().as_u16());
            }
            responded
        };
        Box::pin(responding.instrument(span))
    }
}

fn span_of<B>(request: &Request<B>) -> Span {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    tracing::info_span!("request", method = request.method().as_str(), route, status = Empty)
}
