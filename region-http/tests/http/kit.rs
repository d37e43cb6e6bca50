//! What the tests share.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::Response;
use region_core::testing::Faulty;
use region_core::{RegionCache, RegionHandle};
use region_http::ResponseCacheLayer;
use region_memory::MemoryStore;
use tower::ServiceExt;

/// The longest time that something is waited for.
const DEADLINE: Duration = Duration::from_secs(30);

/// The headers of a request or a response.
pub(crate) type Lines<'a> = &'a [(&'a str, &'a str)];

/// A response that was read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn of(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Self { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// Returns true if the response was in the cache.
pub(crate) fn is_stored(answer: &Answer) -> bool {
    answer.header("age").is_some()
}

pub(crate) fn request(method: &str, uri: &str, headers: Lines<'_>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

pub(crate) async fn send(app: &Router, method: &str, uri: &str, headers: Lines<'_>) -> Answer {
    Answer::of(app.clone().oneshot(request(method, uri, headers)).await.unwrap()).await
}

pub(crate) async fn get(app: &Router, uri: &str, headers: Lines<'_>) -> Answer {
    send(app, "GET", uri, headers).await
}

/// A cache over a store that fails as a test says.
pub(crate) fn faulty() -> (Faulty<MemoryStore>, RegionCache) {
    let store = Faulty::new(MemoryStore::new());
    let cache = RegionCache::builder(store.clone()).root("shop").build().unwrap();
    (store, cache)
}

pub(crate) fn cache() -> RegionCache {
    faulty().1
}

/// A layer that keeps all responses in one region.
pub(crate) fn layer(region: &RegionHandle) -> ResponseCacheLayer {
    let region = region.clone();
    ResponseCacheLayer::new(move |_| Ok(Some(region.clone())))
}

/// Counts what happens.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count(Arc<AtomicUsize>);

impl Count {
    /// Counts one more, and returns its number, from 1 on.
    pub(crate) fn next(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Waits until `is_so`.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    until_async(what, || std::future::ready(is_so())).await;
}

/// Waits until `is_so`.
pub(crate) async fn until_async<F: Future<Output = bool>>(
    what: &str,
    mut is_so: impl FnMut() -> F,
) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < DEADLINE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
