//! Which responses are stored, and what requests get.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{any, get as route};
use bytes::Bytes;
use futures_util::stream;
use region_core::testing::Method;
use region_core::{
    ErrorKind, LoadDependencies, ManualClock, OnOutage, Policy, Region, RegionCache, RegionExt,
    Regioned,
};
use region_http::ResponseCacheLayer;
use region_memory::MemoryStore;

use crate::extract::Project;
use crate::kit::{Count, Lines, cache, faulty, get, is_stored, layer, send, until, until_async};

/// A service that answers with the number of the call, these headers and this status.
pub(crate) fn numbered(
    layer: ResponseCacheLayer,
    status: u16,
    headers: Lines<'static>,
) -> (Router, Count) {
    let calls = Count::default();
    let count = calls.clone();
    let handler = move || {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let response = response.body(Body::from(format!("call {}", count.next()))).unwrap();
        async move { response }
    };
    (Router::new().route("/{*path}", any(handler)).layer(layer), calls)
}

pub(crate) const MINUTE: Lines<'static> = &[("cache-control", "max-age=60")];
const PUBLIC: Lines<'static> = &[("cache-control", "public, max-age=60")];

#[tokio::test]
async fn a_response_comes_from_its_region_until_that_ends() {
    let cache = cache();
    let region = cache.region("pages").unwrap();
    let (app, calls) = numbered(layer(&region), 200, MINUTE);
    let first = get(&app, "/a?x=1", &[]).await;
    assert_eq!(
        (first.status.as_u16(), first.body.as_str(), first.header("age")),
        (200, "call 1", None)
    );
    let second = get(&app, "/a?x=1", &[]).await;
    assert_eq!((second.body.as_str(), is_stored(&second)), ("call 1", true));
    assert_eq!(second.header("cache-control"), Some("max-age=60"));
    assert_eq!(second.header("date"), first.header("date"));
    // Other targets.
    for (n, (uri, host)) in
        [("/a?x=2", "h"), ("/a", "h"), ("/b?x=1", "h"), ("/a", "i")].iter().enumerate()
    {
        let expected = format!("call {}", n + 2);
        assert_eq!(get(&app, uri, &[("host", host)]).await.body, expected, "{uri} {host}");
        assert_eq!(get(&app, uri, &[("host", host)]).await.body, expected, "{uri} {host}");
    }
    assert!(region.keys_text().await.iter().all(|key| !key.contains("x=")), "queries are hashed");
    region.touch().await.unwrap();
    assert_eq!(get(&app, "/a?x=1", &[]).await.body, "call 6");
    cache.root().invalidate().await.unwrap();
    assert_eq!(get(&app, "/a?x=1", &[]).await.body, "call 7");
    assert_eq!(calls.get(), 7);
}

trait KeysText {
    async fn keys_text(&self) -> Vec<String>;
}

impl<R: Region> KeysText for R {
    async fn keys_text(&self) -> Vec<String> {
        use futures_util::TryStreamExt;
        self.keys().try_collect().await.unwrap()
    }
}

#[tokio::test]
async fn the_table_of_responses() {
    let stored = true;
    let table: &[(u16, Lines<'static>, Lines<'static>, bool)] = &[
        (200, MINUTE, &[], stored),
        (404, MINUTE, &[], stored),
        (200, &[], &[], !stored),
        (200, &[("cache-control", "no-store, max-age=60")], &[], !stored),
        (200, &[("cache-control", "private, max-age=60")], &[], !stored),
        (200, &[("cache-control", "PRIVATE, max-age=60")], &[], !stored),
        (200, &[("cache-control", "no-cache, max-age=60")], &[], !stored),
        (200, &[("cache-control", "max-age=60"), ("vary", "*")], &[], !stored),
        (500, MINUTE, &[], !stored),
        (503, PUBLIC, &[], !stored),
        (401, MINUTE, &[], !stored),
        (200, MINUTE, &[("authorization", "Basic x")], !stored),
        (200, PUBLIC, &[("authorization", "Basic x")], stored),
        (200, MINUTE, &[("cookie", "a=b")], !stored),
        (200, PUBLIC, &[("cookie", "a=b")], stored),
        (200, MINUTE, &[("x-api-key", "k")], !stored),
        (200, &[("cache-control", "max-age=60"), ("set-cookie", "a=b")], &[], !stored),
        (200, MINUTE, &[("cache-control", "no-store")], !stored),
        (200, MINUTE, &[("range", "bytes=0-1")], !stored),
    ];
    for (status, response, request, is_stored) in table {
        let region = cache().root();
        let layer = layer(&region).credential_header("x-api-key".parse().unwrap());
        let (app, calls) = numbered(layer, *status, response);
        for _ in 0..3 {
            assert_eq!(get(&app, "/a", request).await.status.as_u16(), *status);
        }
        let expected = if *is_stored { 1 } else { 3 };
        assert_eq!(calls.get(), expected, "{status} {response:?} to {request:?}");
    }
}

#[tokio::test]
async fn other_methods_pass_and_head_is_answered_from_get() {
    let (app, calls) = numbered(layer(&cache().root()), 200, MINUTE);
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        send(&app, method, "/a", &[]).await;
        send(&app, method, "/a", &[]).await;
    }
    send(&app, "HEAD", "/a", &[]).await;
    assert_eq!(send(&app, "HEAD", "/a", &[]).await.body, "");
    assert_eq!(calls.get(), 10);
    assert_eq!(get(&app, "/a", &[]).await.body, "call 11");
    let head = send(&app, "HEAD", "/a", &[]).await;
    assert_eq!((head.body.as_str(), head.header("content-length")), ("", Some("7")));
    assert_eq!(calls.get(), 11);
}

#[tokio::test]
async fn what_requests_demand_is_honoured() {
    let (app, calls) = numbered(layer(&cache().root()), 200, MINUTE);
    let demand = async |value: &str| {
        let answer = get(&app, "/a", &[("cache-control", value)]).await;
        (answer.status.as_u16(), answer.body)
    };
    assert_eq!(demand("only-if-cached").await.0, 504);
    assert_eq!(calls.get(), 0);
    assert_eq!(demand("max-age=0").await.1, "call 1");
    assert_eq!(demand("only-if-cached").await, (200, "call 1".to_owned()));
    assert_eq!(demand("max-age=60, min-fresh=30").await.1, "call 1");
    assert_eq!(demand("max-age=0").await.1, "call 2");
    assert_eq!(demand("min-fresh=61").await.1, "call 3");
    assert_eq!(demand("no-cache").await.1, "call 4");
    assert_eq!(get(&app, "/a", &[("pragma", "no-cache")]).await.body, "call 5");
    assert_eq!(get(&app, "/a", &[]).await.body, "call 5", "it is stored");
}

#[tokio::test]
async fn what_requests_demand_can_be_ignored() {
    let layer = layer(&cache().root()).ignore_request_directives();
    let (app, calls) = numbered(layer, 200, MINUTE);
    for value in ["max-age=0", "no-cache", "no-store", "only-if-cached", "min-fresh=99"] {
        assert_eq!(get(&app, "/a", &[("cache-control", value)]).await.body, "call 1", "{value}");
    }
    assert_eq!(calls.get(), 1);
}

#[tokio::test]
async fn a_change_of_a_target_ends_its_responses() {
    let (app, calls) = numbered(layer(&cache().root()), 200, PUBLIC);
    let cookie: Lines<'_> = &[("cookie", "a=b")];
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        get(&app, "/other", &[]).await;
        let before = [get(&app, "/a", &[]).await.body, get(&app, "/a", cookie).await.body];
        assert_eq!(get(&app, "/a", &[]).await.body, before[0]);
        let count = calls.get();
        send(&app, method, "/a", &[]).await;
        assert_eq!(get(&app, "/a", &[]).await.body, format!("call {}", count + 2), "{method}");
        assert_eq!(get(&app, "/a", cookie).await.body, format!("call {}", count + 3), "{method}");
    }
    assert_eq!(get(&app, "/other", &[]).await.body, "call 1");
    send(&app, "OPTIONS", "/other", &[]).await;
    assert_eq!(get(&app, "/other", &[]).await.body, "call 1");
}

#[tokio::test]
async fn a_change_that_fails_ends_nothing() {
    let calls = Count::default();
    let count = calls.clone();
    let handler = move |request: Request| {
        let status = if request.method() == "GET" { 200 } else { 409 };
        let response = Response::builder().status(status).header("cache-control", "max-age=60");
        let response = response.body(Body::from(count.next().to_string())).unwrap();
        async move { response }
    };
    let app = Router::new().route("/", any(handler)).layer(layer(&cache().root()));
    assert_eq!(get(&app, "/", &[]).await.body, "1");
    assert_eq!(send(&app, "PUT", "/", &[]).await.status, 409);
    assert_eq!(get(&app, "/", &[]).await.body, "1");
}

/// Bug: a response with any status that is not stored was remembered as one that cannot be stored.
/// Effect: a client with a bad header kept others from the cache, and replaced what was stored.
/// Fix: only what a response to a good request says is remembered.
#[tokio::test]
async fn a_bad_request_changes_nothing_for_others() {
    let calls = Count::default();
    let count = calls.clone();
    let handler = move |request: Request| {
        let is_good = !request.headers().contains_key("x-bad");
        let response = Response::builder().status(if is_good { 200 } else { 400 });
        let response = response.header("cache-control", "max-age=60");
        let response = response.body(Body::from(count.next().to_string())).unwrap();
        async move { response }
    };
    let app = Router::new().route("/", route(handler)).layer(layer(&cache().root()));
    let bad: Lines<'_> = &[("x-bad", "1"), ("cache-control", "no-cache")];
    assert_eq!(get(&app, "/", bad).await.status, 400);
    assert_eq!(get(&app, "/", &[]).await.body, "2");
    assert_eq!(get(&app, "/", bad).await.status, 400);
    assert_eq!(get(&app, "/", &[]).await.body, "2");
}

#[tokio::test]
async fn conditions_are_answered_by_the_cache() {
    let headers: Lines<'static> = &[
        ("cache-control", "max-age=60"),
        ("etag", r#"W/"1""#),
        ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("content-type", "text/plain"),
    ];
    let (app, calls) = numbered(layer(&cache().root()), 200, headers);
    let matching: Lines<'_> = &[("if-none-match", r#""0", "1""#)];
    for has_age in [false, true] {
        let answer = get(&app, "/a", matching).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (304, ""));
        assert_eq!(answer.header("etag"), Some(r#"W/"1""#));
        assert_eq!(answer.header("cache-control"), Some("max-age=60"));
        assert_eq!((answer.header("content-type"), is_stored(&answer)), (None, has_age));
    }
    let since = [("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")];
    assert_eq!(get(&app, "/a", &since).await.status, 304);
    let other = get(&app, "/a", &[("if-none-match", r#""2""#)]).await;
    assert_eq!((other.status.as_u16(), other.body.as_str(), calls.get()), (200, "call 1", 1));
}

#[tokio::test]
async fn a_cookie_is_for_the_request_that_got_it() {
    let headers: Lines<'static> =
        &[("cache-control", "public, max-age=60"), ("set-cookie", "session=secret")];
    let (app, calls) = numbered(layer(&cache().root()), 200, headers);
    assert_eq!(get(&app, "/a", &[]).await.header("set-cookie"), Some("session=secret"));
    let other = get(&app, "/a", &[]).await;
    assert_eq!((other.header("set-cookie"), other.body.as_str(), calls.get()), (None, "call 1", 1));
}

#[tokio::test]
async fn requests_with_credentials_and_others_do_not_share_responses() {
    for (headers, of_one, of_other) in [(MINUTE, "call 2", "call 3"), (PUBLIC, "call 2", "call 2")]
    {
        let (app, _) = numbered(layer(&cache().root()), 200, headers);
        assert_eq!(get(&app, "/a", &[]).await.body, "call 1");
        assert_eq!(get(&app, "/a", &[("cookie", "user=ann")]).await.body, of_one);
        assert_eq!(get(&app, "/a", &[("cookie", "user=bob")]).await.body, of_other);
        assert_eq!(get(&app, "/a", &[]).await.body, "call 1");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_passes() {
    let calls = Count::default();
    let count = calls.clone();
    let handler = move |request: Request| {
        count.next();
        let parts = ["one", "two", "three"].map(|part| Ok::<_, std::io::Error>(Bytes::from(part)));
        let body = match request.uri().path() {
            "/streamed" => Body::from_stream(stream::iter(parts)),
            _ => Body::from("onetwothree"),
        };
        let response = Response::builder().header("cache-control", "max-age=60").body(body);
        async move { response.unwrap() }
    };
    let app = |limit| {
        let layer = layer(&cache().root()).body_limit(limit);
        Router::new().route("/{path}", route(handler.clone()).layer(layer))
    };
    for (limit, expected) in [(10, 8), (11, 2)] {
        let (app, before) = (app(limit), calls.get());
        for uri in ["/streamed", "/known"].repeat(4) {
            assert_eq!(get(&app, uri, &[]).await.body, "onetwothree");
        }
        assert_eq!(calls.get() - before, expected, "{limit}");
    }
}

#[tokio::test]
async fn a_broken_body_is_not_stored() {
    let calls = Count::default();
    let count = calls.clone();
    let handler = move || {
        let part = match count.next() {
            1 => Err(std::io::Error::other("lost")),
            _ => Ok(Bytes::from("whole")),
        };
        let response = Response::builder().header("cache-control", "max-age=60");
        let response = response.body(Body::from_stream(stream::iter([part]))).unwrap();
        async move { response }
    };
    let app = Router::new().route("/", route(handler)).layer(layer(&cache().root()));
    let broken = tower::ServiceExt::oneshot(app.clone(), crate::kit::request("GET", "/", &[]));
    let broken = broken.await.unwrap().into_body();
    assert!(axum::body::to_bytes(broken, 100).await.is_err());
    assert_eq!(get(&app, "/", &[]).await.body, "whole");
    assert_eq!((get(&app, "/", &[]).await.body.as_str(), calls.get()), ("whole", 2));
}

#[tokio::test]
async fn requests_pass_while_the_store_fails() {
    for on_outage in [OnOutage::Miss, OnOutage::Error] {
        let (store, _) = faulty();
        let policy = Policy::new().on_outage(on_outage);
        let cache = RegionCache::builder(store.clone()).policy(policy).build().unwrap();
        let (app, _) = numbered(layer(&cache.root()), 200, MINUTE);
        for kind in [ErrorKind::Unavailable, ErrorKind::Denied, ErrorKind::Store] {
            let outage = store.on_any().fail(kind);
            let before = get(&app, "/a", &[]).await;
            let after = get(&app, "/a", &[]).await;
            assert_eq!((before.status, after.status), (StatusCode::OK, StatusCode::OK));
            assert_ne!(before.body, after.body, "nothing is stored: {on_outage:?} {kind:?}");
            outage.lift();
        }
        let full = store.on(Method::Write).fail(ErrorKind::TooLarge);
        assert_ne!(get(&app, "/a", &[]).await.body, get(&app, "/a", &[]).await.body);
        full.lift();
        // Loads remember an outage for a moment.
        until_async("it is stored again", async || {
            get(&app, "/a", &[]).await.body == get(&app, "/a", &[]).await.body
        })
        .await;
    }
}

#[tokio::test]
async fn requests_without_a_region_pass() {
    let root = cache().root();
    let layer = ResponseCacheLayer::new(move |request| match request.uri.path() {
        "/none" => Ok(None),
        "/bad" => root.region("a..b").map(Some),
        _ => Ok(Some(root.clone())),
    });
    let (app, calls) = numbered(layer, 200, MINUTE);
    for (uri, expected) in [("/none", 2), ("/bad", 4), ("/other", 5)] {
        get(&app, uri, &[]).await;
        get(&app, uri, &[]).await;
        assert_eq!(calls.get(), expected, "{uri}");
    }
}

#[tokio::test]
async fn a_region_is_found_by_the_ids_in_the_path() {
    let cache = cache();
    let calls = Count::default();
    let count = calls.clone();
    let handler = move || {
        let body = count.next().to_string();
        async move { ([("cache-control", "max-age=60")], body) }
    };
    let layer = ResponseCacheLayer::of::<Project>(cache.clone());
    let app = Router::new().route("/{org}/{project}", route(handler)).layer(layer);
    for (uri, expected) in
        [("/1/a", "1"), ("/1/a", "1"), ("/1/b", "2"), ("/x/a", "3"), ("/x/a", "4")]
    {
        assert_eq!(get(&app, uri, &[]).await.body, expected, "{uri}");
    }
    cache.region_at(Project::path_from((1, "a".to_owned()))).unwrap().invalidate().await.unwrap();
    assert_eq!(get(&app, "/1/a", &[]).await.body, "5");
    assert_eq!(get(&app, "/1/b", &[]).await.body, "2");
}

/// Bug: nested routers see what is left of the path after their prefix.
/// Effect: `/a/page` and `/b/page` were one response.
/// Fix: the key has the path as the client has sent it.
#[tokio::test]
async fn nested_routers_do_not_share_responses() {
    let region = cache().root();
    let inner = |name: &'static str| {
        let handler = async move || ([("cache-control", "max-age=60")], name);
        Router::new().route("/page", route(handler)).layer(layer(&region))
    };
    let app = Router::new().nest("/a", inner("a")).nest("/b", inner("b"));
    for name in ["a", "b", "a", "b"] {
        assert_eq!(get(&app, &format!("/{name}/page"), &[]).await.body, name);
    }
}

#[tokio::test]
async fn a_handler_names_what_its_response_depends_on() {
    let cache = cache();
    let (page, author) = (cache.region("page").unwrap(), cache.region("author:7").unwrap());
    let calls = Count::default();
    let (count, other) = (calls.clone(), author.clone());
    let handler = move || {
        let (count, other) = (count.clone(), other.clone());
        async move {
            LoadDependencies::current().unwrap().add(&other).await.unwrap();
            ([("cache-control", "max-age=60")], count.next().to_string())
        }
    };
    let app = Router::new().route("/", route(handler)).layer(layer(&page));
    assert_eq!(get(&app, "/", &[]).await.body, "1");
    assert_eq!(get(&app, "/", &[]).await.body, "1");
    author.touch().await.unwrap();
    assert_eq!(get(&app, "/", &[]).await.body, "2");
}

pub(crate) fn cache_by(clock: &ManualClock) -> RegionCache {
    let store = MemoryStore::builder().clock(clock.clone()).build();
    RegionCache::builder(store).build().unwrap()
}

#[tokio::test]
async fn a_response_ends_with_its_freshness() {
    let clock = ManualClock::new();
    let (app, _) = numbered(layer(&cache_by(&clock).root()), 200, MINUTE);
    assert_eq!(get(&app, "/a", &[]).await.body, "call 1");
    clock.advance(Duration::from_secs(59));
    assert_eq!(get(&app, "/a", &[]).await.body, "call 1");
    clock.advance(Duration::from_secs(1));
    assert_eq!(get(&app, "/a", &[]).await.body, "call 2");
}

#[tokio::test]
async fn a_stale_response_is_served_while_it_is_refreshed() {
    let headers: Lines<'static> = &[("cache-control", "max-age=60, stale-while-revalidate=60")];
    let clock = ManualClock::new();
    let window = Duration::from_secs(60);
    let layer = layer(&cache_by(&clock).root()).stale_while_revalidate(window);
    let (app, calls) = numbered(layer, 200, headers);
    assert_eq!(get(&app, "/a", &[]).await.body, "call 1");
    clock.advance(Duration::from_secs(61));
    assert_eq!(get(&app, "/a", &[]).await.body, "call 1", "stale");
    until("it is refreshed in the background", || calls.get() == 2).await;
    until_async("the new one is served", async || get(&app, "/a", &[]).await.body == "call 2")
        .await;
    clock.advance(Duration::from_secs(121));
    assert_eq!(get(&app, "/a", &[]).await.body, "call 3", "too old to be served");
}
