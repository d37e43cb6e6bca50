//! Whole responses in regions.

mod body;
mod cacheable;
mod conditional;
mod directives;
mod entry;
mod exchange;
mod forget;
mod key;
mod produce;
mod settings;
mod wish;

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderName, Request};
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use region_core::{RegionCache, RegionHandle, Regioned};
use serde::de::DeserializeOwned;
use tower::{Layer, Service};

use crate::region_of::{RegionRejection, region_of_path};
use settings::Settings;
use wish::Demands;

/// Caches responses in regions: what ends a region ends the responses in it.
///
/// The layer is a shared cache in the sense of RFC 9111, within the service. Add it to the routes whose responses
/// say in `Cache-Control` or `Expires` how long they are fresh:
///
/// ```
/// use axum::{Router, body::Body, http::{Request, header::CACHE_CONTROL}, routing::get};
/// use region_core::{RegionCache, RegionExt};
/// use region_http::ResponseCacheLayer;
/// use region_memory::MemoryStore;
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = RegionCache::builder(MemoryStore::new()).root("shop").build()?;
/// let pages = cache.region("pages")?;
/// let region = pages.clone();
/// let layer = ResponseCacheLayer::new(move |_request| Ok(Some(region.clone())));
/// let home = async || ([(CACHE_CONTROL, "public, max-age=60")], "a page");
/// let app: Router = Router::new().route("/", get(home).layer(layer));
///
/// for loads in [1, 1] {
///     let request = Request::get("/").body(Body::empty())?;
///     assert_eq!(app.clone().oneshot(request).await?.status(), 200);
///     assert_eq!(cache.stats().loads, loads);
/// }
/// pages.invalidate().await?;
/// app.oneshot(Request::get("/").body(Body::empty())?).await?;
/// assert_eq!(cache.stats().loads, 2);
/// # Ok(())
/// # }
/// ```
///
/// # What is stored
///
/// Responses to `GET` without content, with a status of 200, 203, 204, 300, 301, 302, 307, 308, 404, 405, 410 or
/// 414, that are fresh for some time by `s-maxage`, `max-age` or `Expires`, less their age by `Age` and `Date`. For so
/// long they are stored, whatever the `ttl` of the region's policy; its `region_ttl` bounds all. Not stored are
///
/// - responses with other statuses, errors of the server (5xx) among them, and those whose body fails or does not
///   have its `Content-Length`;
/// - responses with `no-store`, `no-cache` or `private`, in any form;
/// - responses to requests with credentials (`Authorization`, `Proxy-Authorization` or `Cookie`, and what
///   [`credential_header`](Self::credential_header) adds), and responses with `Set-Cookie`, unless they are
///   `public`. Even then what is stored is without `Set-Cookie`, and for other requests with credentials only;
/// - responses with `Vary: *` or more than eight headers there, or a body over the
///   [limit](Self::body_limit), which is passed on as it comes.
///
/// A handler may name further regions that its response depends on, by
/// [`LoadDependencies`](region_core::LoadDependencies); its `current` is an error where the response will not be
/// stored.
///
/// # What a request gets
///
/// One response is produced for all requests that come meanwhile for the same host, path, query and values of
/// the headers in `Vary`. So a response that hangs on any other header of the request, a forwarded host or the
/// address of the client has to say so, or be `private`. If it turns out not to be for all, each of the others
/// is passed to the service. A response is stored only if its region was neither invalidated nor touched while
/// it was produced.
///
/// `no-cache`, `max-age`, `min-fresh` and `only-if-cached` of requests are
/// [honoured](Self::ignore_request_directives); `no-store`, ranges, `If-Match` and credentials in the target pass by the
/// cache. `HEAD` is answered from the response to `GET`, if that is stored. `If-None-Match` and
/// `If-Modified-Since` are answered with 304; the service does not see them. Answers from the cache have an `Age`.
/// A request with another method than `GET`, `HEAD`, `OPTIONS` and `TRACE` that succeeds removes what is stored for its
/// target. A handler that changes more than that invalidates the regions itself, and learns of an error.
///
/// While the store fails, and whatever else the cache cannot do, requests pass to the service.
///
/// # Cancel safety
///
/// The service runs in a task of its own. It is dropped when nobody waits for its response any more.
#[derive(Clone, Debug)]
pub struct ResponseCacheLayer {
    settings: Arc<Settings>,
}

/// The service of a [`ResponseCacheLayer`].
#[derive(Clone, Debug)]
pub struct ResponseCache<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl ResponseCacheLayer {
    /// Creates a layer that keeps the response to a request in the region that `region_of` returns; `None`, or an
    /// error, passes the request to the service.
    #[must_use]
    pub fn new<F>(region_of: F) -> Self
    where
        F: Fn(&Parts) -> region_core::Result<Option<RegionHandle>> + Send + Sync + 'static,
    {
        Self::with_settings(Settings::new(move |parts| Box::pin(ready(region_of(parts)))))
    }

    /// Creates a layer that keeps the response to a request in the region of the `T` that the parameters of its path
    /// identify, as [`RegionOf`](crate::RegionOf) does. A request whose parameters are no ids of a `T` passes to the
    /// service.
    #[must_use]
    pub fn of<T>(cache: RegionCache) -> Self
    where
        T: Regioned + 'static,
        T::Ids: DeserializeOwned + Send,
    {
        Self::with_settings(Settings::new(move |parts| {
            let cache = cache.clone();
            Box::pin(async move {
                match region_of_path::<T, ()>(&cache, parts, &()).await {
                    Ok(region) => Ok(Some(region)),
                    Err(RegionRejection::Region(error)) => Err(error.error().clone()),
                    Err(_) => Ok(None),
                }
            })
        }))
    }

    fn with_settings(settings: Settings) -> Self {
        Self { settings: Arc::new(settings) }
    }

    /// Sets the largest body that is stored, in bytes. The default is 1 MiB. Up to that a response is held back
    /// until its body is complete.
    #[must_use]
    pub fn body_limit(self, bytes: usize) -> Self {
        self.with(|settings| settings.body_limit = bytes)
    }

    /// Stores responses that do not say how long they are fresh, for so long; not those with a status of 302 or 307.
    /// Without it they are not stored.
    #[must_use]
    pub fn default_ttl(self, ttl: Duration) -> Self {
        self.with(|settings| settings.default_ttl = Some(ttl))
    }

    /// Honours `stale-while-revalidate` of responses, up to this time: a response that is not fresh any more is served
    /// at once, and refreshed in the background. The default is zero. So is one
    /// that an [`expire`](region_core::RegionExt::expire) has ended, if it allows to be used stale; else it is produced
    /// anew. How old a response is, is told by the clocks of the
    /// processes.
    #[must_use]
    pub fn stale_while_revalidate(self, at_most: Duration) -> Self {
        self.with(|settings| settings.stale_for = at_most)
    }

    /// Sets the time for which it is remembered that a response could not be stored. Meanwhile requests for its key
    /// pass to the service, and do not wait for one another. The default is ten seconds; zero remembers nothing.
    #[must_use]
    pub fn remember_uncacheable(self, time: Duration) -> Self {
        self.with(|settings| settings.remember_uncacheable = time)
    }

    /// Adds a header that shows who sends a request, as `Authorization` does: such as that of an API key.
    #[must_use]
    pub fn credential_header(self, name: HeaderName) -> Self {
        self.with(|settings| settings.credentials.push(name))
    }

    /// Ignores `Cache-Control` and `Pragma` of requests, so that clients cannot have responses produced anew.
    #[must_use]
    pub fn ignore_request_directives(self) -> Self {
        self.with(|settings| settings.demands = Demands::Ignored)
    }

    fn with(self, set: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Arc::unwrap_or_clone(self.settings);
        set(&mut settings);
        Self { settings: Arc::new(settings) }
    }
}

impl<S> Layer<S> for ResponseCacheLayer {
    type Service = ResponseCache<S>;

    fn layer(&self, inner: S) -> ResponseCache<S> {
        ResponseCache { inner, settings: Arc::clone(&self.settings) }
    }
}

impl<S> Service<Request<Body>> for ResponseCache<S>
where
    S: Service<Request<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The clone may not be ready; the one that was asked is.
        let clone = self.inner.clone();
        let service = std::mem::replace(&mut self.inner, clone);
        let settings = Arc::clone(&self.settings);
        Box::pin(async move { Ok(exchange::respond(service, settings, request).await) })
    }
}
