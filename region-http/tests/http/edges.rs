//! What is easily cached and must not be, and what is asked in unusual ways.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get as route};
use bytes::Bytes;
use futures_util::stream;
use region_core::{ManualClock, Policy, Region, RegionExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::kit::{Count, Lines, cache, get, is_stored, layer, send, until, until_async};
use crate::responses::{MINUTE, cache_by, numbered};
use crate::tcp::serve;

const SECOND: Duration = Duration::from_secs(1);

const MINUTE_HEADER: [(&str, &str); 1] = [("cache-control", "max-age=60")];

#[tokio::test]
async fn a_default_ttl_is_for_answers_and_not_for_redirections_of_the_moment() {
    for (status, is_kept) in [(200, true), (301, true), (404, true), (302, false), (307, false)] {
        let layer = layer(&cache().root()).default_ttl(60 * SECOND);
        let (app, calls) = numbered(layer, status, &[("location", "/sign-in")]);
        get(&app, "/a", &[]).await;
        get(&app, "/a", &[]).await;
        assert_eq!(calls.get(), if is_kept { 1 } else { 2 }, "{status}");
    }
}

#[tokio::test]
async fn a_part_of_a_response_is_never_stored() {
    let headers: Lines<'static> =
        &[("cache-control", "public, max-age=60"), ("content-range", "bytes 0-5/100")];
    let (app, calls) = numbered(layer(&cache().root()), 206, headers);
    for request in [&[("range", "bytes=0-5")][..], &[]].repeat(2) {
        assert_eq!(get(&app, "/a", request).await.status, 206);
    }
    assert_eq!(calls.get(), 4);
}

/// A whole response is stored, and a part of it is asked of the service.
#[tokio::test]
async fn ranges_and_preconditions_are_for_the_service() {
    let (app, calls) = numbered(layer(&cache().root()), 200, MINUTE);
    assert_eq!(get(&app, "/a", &[]).await.body, "call 1");
    let preconditions: [(&str, &str); 4] = [
        ("range", "bytes=0-3"),
        ("if-range", "\"a\""),
        ("if-match", "\"a\""),
        ("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ];
    for (n, condition) in preconditions.into_iter().enumerate() {
        let answer = get(&app, "/a", &[condition]).await;
        assert_eq!((answer.body, is_stored_at(&app).await), (format!("call {}", n + 2), true));
    }
    assert_eq!(calls.get(), 5);
}

async fn is_stored_at(app: &Router) -> bool {
    let answer = get(app, "/a", &[]).await;
    is_stored(&answer) && answer.body == "call 1"
}

#[tokio::test]
async fn a_body_that_is_shorter_than_it_says_is_not_stored() {
    let headers: Lines<'static> = &[("cache-control", "max-age=60"), ("content-length", "100")];
    let (app, calls) = numbered(layer(&cache().root()), 200, headers);
    for n in 1..=2 {
        assert_eq!(get(&app, "/a", &[]).await.body, format!("call {n}"));
    }
    assert_eq!(calls.get(), 2);
}

/// Bug: only `Age` told how old a response was. Effect: one that a proxy's service had got a minute ago, by its `Date`,
/// was fresh for its whole `max-age` again. Fix: the apparent age of RFC 9111, section 4.2.3.
#[tokio::test]
async fn a_response_is_as_old_as_its_date() {
    let ago = |seconds: u32| httpdate::fmt_http_date(SystemTime::now() - seconds * SECOND);
    for (seconds, is_kept) in [(30, true), (90, false)] {
        let (calls, dated) = (Count::default(), ago(seconds));
        let count = calls.clone();
        let handler = move || {
            count.next();
            let response = Response::builder().header("cache-control", "max-age=60");
            let response = response.header("date", &dated).body(Body::from("old")).unwrap();
            async move { response }
        };
        let app = Router::new().route("/", route(handler)).layer(layer(&cache().root()));
        get(&app, "/", &[]).await;
        let second = get(&app, "/", &[]).await;
        assert_eq!((is_stored(&second), calls.get()), (is_kept, if is_kept { 1 } else { 2 }));
        let age: Option<u64> = second.header("age").map(|age| age.parse().unwrap());
        assert!(age.is_none_or(|age| (30..60).contains(&age)), "{age:?}");
    }
}

/// Bug: with `stale_while_revalidate` set, a response that did not allow it was served once more after its region had
/// expired. Fix: whoever finds it has it produced anew.
#[tokio::test]
async fn a_response_that_may_not_be_stale_is_not_served_after_an_expiry() {
    let table: [(Lines<'static>, bool); 3] = [
        (MINUTE, false),
        (&[("cache-control", "max-age=60, stale-while-revalidate=60, must-revalidate")], false),
        (&[("cache-control", "max-age=60, stale-while-revalidate=60")], true),
    ];
    for (headers, is_served) in table {
        let region = cache().root();
        let layer = layer(&region).stale_while_revalidate(60 * SECOND);
        let (app, calls) = numbered(layer, 200, headers);
        assert_eq!(get(&app, "/a", &[]).await.body, "call 1");
        region.expire().await.unwrap();
        let found = get(&app, "/a", &[]).await.body;
        assert_eq!(found == "call 1", is_served, "{headers:?}: {found}");
        until_async("it is refreshed", async || get(&app, "/a", &[]).await.body != "call 1").await;
        assert!((2..=3).contains(&calls.get()), "{headers:?}: {}", calls.get());
    }
}

/// The response's own word goes over the ttl of its region's entries, and not over that of the region.
#[tokio::test]
async fn a_response_lives_as_long_as_it_says_if_its_region_does() {
    let short = Policy::new().ttl(10 * SECOND);
    for (policy, lives) in [(short, 59), (Policy::new().region_ttl(10 * SECOND), 9)] {
        let clock = ManualClock::new();
        let region = cache_by(&clock).root().with_policy(policy).unwrap();
        let (app, _) = numbered(layer(&region), 200, MINUTE);
        assert_eq!(get(&app, "/a", &[]).await.body, "call 1");
        clock.advance(lives * SECOND);
        assert_eq!(get(&app, "/a", &[]).await.body, "call 1");
        clock.advance(SECOND);
        assert_eq!(get(&app, "/a", &[]).await.body, "call 2");
    }
}

#[tokio::test]
async fn the_order_of_a_query_and_an_empty_one_are_told_apart() {
    let (app, calls) = numbered(layer(&cache().root()), 200, MINUTE);
    for (n, uri) in ["/a?x=1&y=2", "/a?y=2&x=1", "/a", "/a?", "/a/", "/%61"].iter().enumerate() {
        for _ in 0..2 {
            assert_eq!(get(&app, uri, &[]).await.body, format!("call {}", n + 1), "{uri}");
        }
    }
    assert_eq!(calls.get(), 6);
}

/// Bug: the key had only the target that the client had sent. Effect: a part of the service that rewrites targets by a
/// header of the request had one response for all. Fix: a key has both.
#[tokio::test]
async fn a_target_that_is_rewritten_is_another_one() {
    let inner = Router::new()
        .route("/{tenant}/page", route(|uri: Uri| async move { (MINUTE_HEADER, uri.to_string()) }))
        .layer(layer(&cache().root()));
    let rewriting = tower::service_fn(move |mut request: Request| {
        let tenant = request.headers()["x-tenant"].to_str().unwrap().to_owned();
        *request.uri_mut() = format!("/{tenant}/page").parse().unwrap();
        let inner = inner.clone();
        async move {
            Ok::<_, Infallible>(tower::ServiceExt::oneshot(inner, request).await.into_response())
        }
    });
    let app = Router::new().route_service("/page", rewriting);
    for tenant in ["ann", "bob", "ann", "bob"] {
        let answer = get(&app, "/page", &[("x-tenant", tenant)]).await;
        assert_eq!(answer.body, format!("/{tenant}/page"));
    }
}

#[tokio::test]
async fn credentials_in_the_target_pass() {
    let region = cache().root();
    let (app, calls) = numbered(layer(&region), 200, MINUTE);
    for _ in 0..2 {
        get(&app, "http://ann:secret@example.org/a", &[]).await;
    }
    assert_eq!((calls.get(), region.len().await.unwrap()), (2, 0));
    get(&app, "http://example.org/a", &[]).await;
    send(&app, "PUT", "http://ann:secret@example.org/a", &[]).await;
    assert_eq!(get(&app, "http://example.org/a", &[]).await.body, "call 5", "it was changed");
}

/// What `HEAD` gets without a stored response is the service's, and is not stored for `GET`.
#[tokio::test]
async fn a_response_to_head_is_not_one_to_get() {
    let calls = Count::default();
    let count = calls.clone();
    let handler = move |request: Request| {
        let body =
            if request.method() == "HEAD" { String::new() } else { count.next().to_string() };
        async move { (MINUTE_HEADER, body) }
    };
    let app = Router::new().route("/", any(handler)).layer(layer(&cache().root()));
    assert_eq!(send(&app, "HEAD", "/", &[]).await.body, "");
    assert_eq!(get(&app, "/", &[]).await.body, "1");
    assert_eq!((get(&app, "/", &[]).await.body.as_str(), calls.get()), ("1", 1));
}

/// Sends `request` as it is, and returns all that comes until the server closes.
async fn raw(app: &Router, request: &str) -> String {
    let mut client = TcpStream::connect(serve(app.clone()).await).await.unwrap();
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    answer.to_ascii_lowercase()
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_whole_bodies() {
    let (app, calls) = numbered(layer(&cache().root()), 200, MINUTE);
    for has_age in [false, true] {
        let answer = raw(&app, "GET /a HTTP/1.0\r\n\r\n").await;
        assert!(answer.starts_with("http/1.0 200"), "{answer}");
        assert!(answer.contains("content-length: 6") && !answer.contains("transfer-encoding"));
        assert!(
            answer.ends_with("\r\n\r\ncall 1") && answer.contains("age: ") == has_age,
            "{answer}"
        );
    }
    let answer = raw(&app, "GET /a HTTP/1.0\r\nPragma: no-cache\r\n\r\n").await;
    assert!(answer.ends_with("call 2"), "{answer}");
    assert_eq!(calls.get(), 2);
}

/// Counts bodies that are dropped.
struct Guard(Count);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.next();
    }
}

/// A body over the limit is streamed; when its client goes away it ends, and nothing is stored of it.
#[tokio::test]
async fn a_client_that_goes_away_in_the_middle_of_a_body_ends_it() {
    let (begun, dropped) = (Count::default(), Count::default());
    let (count, guarded) = (begun.clone(), dropped.clone());
    let handler = move || {
        count.next();
        let endless = stream::unfold(Guard(guarded.clone()), async |guard| {
            tokio::task::yield_now().await;
            Some((Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 1024])), guard))
        });
        async move { (MINUTE_HEADER, Body::from_stream(endless)) }
    };
    let region = cache().root();
    let app = Router::new().route("/", route(handler)).layer(layer(&region).body_limit(10_000));
    for n in 1..=2 {
        let mut client = TcpStream::connect(serve(app.clone()).await).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut some = vec![0; 50_000];
        client.read_exact(&mut some).await.unwrap();
        drop(client);
        until("the body is dropped", || dropped.get() == n).await;
    }
    assert_eq!(begun.get(), 2);
}
