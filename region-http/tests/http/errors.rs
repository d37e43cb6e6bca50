//! Errors as responses.

use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get as route;
use region_core::{Error, ErrorKind, Region, RegionPath};
use region_http::{Cache, CacheError, CacheLayer};

use crate::kit::{Answer, cache, get};

const SECRET: &str = "redis://user:hunter2@10.0.0.7";

async fn answer(error: Error) -> (u16, Option<String>, String) {
    let answer = Answer::of(CacheError::from(error).into_response()).await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let retry_after = answer.header("retry-after").map(str::to_owned);
    (answer.status.as_u16(), retry_after, answer.body)
}

#[tokio::test]
async fn each_kind_has_its_status_and_no_secret_is_shown() {
    use ErrorKind as Kind;
    let (bad, internal) = (r#"{"error":"bad_request"}"#, r#"{"error":"internal"}"#);
    let (down, late) = (r#"{"error":"unavailable"}"#, r#"{"error":"timeout"}"#);
    let table = [
        (Kind::InvalidPath, 400, None, bad),
        (Kind::InvalidKey, 400, None, bad),
        (Kind::InvalidPolicy, 500, None, internal),
        (Kind::InvalidConfig, 500, None, internal),
        (Kind::Encode, 500, None, internal),
        (Kind::TooLarge, 500, None, internal),
        (Kind::Load, 500, None, internal),
        (Kind::LoadPanicked, 500, None, internal),
        (Kind::LoadTimeout, 504, None, late),
        (Kind::LoadCycle, 500, None, internal),
        (Kind::Unavailable, 503, Some("1"), down),
        (Kind::Timeout, 504, Some("1"), late),
        (Kind::Overloaded, 503, Some("1"), down),
        (Kind::Denied, 503, None, down),
        (Kind::Protocol, 500, None, internal),
        (Kind::Store, 500, None, internal),
    ];
    let region = RegionPath::parse("shop.org:42").unwrap();
    for (kind, status, retry_after, body) in table {
        let error = Error::new(kind, SECRET).on("get", &region).at_key(SECRET);
        let expected = (status, retry_after.map(str::to_owned), body.to_owned());
        assert_eq!(answer(error).await, expected, "{kind:?}");
    }
}

#[tokio::test]
async fn retry_after_follows_the_error() {
    let permanent = Error::new(ErrorKind::Unavailable, "wrong port").permanent();
    assert_eq!(answer(permanent).await.1, None);
    let busy = CacheError::from(Error::new(ErrorKind::Overloaded, ""));
    let response = busy.retry_after(Duration::from_millis(1500)).into_response();
    assert_eq!(response.headers()["retry-after"], "2");
    let found = response.extensions().get::<Error>().map(Error::kind);
    assert_eq!(found, Some(ErrorKind::Overloaded));
}

#[tokio::test]
async fn a_load_that_failed_for_the_cache_has_that_status() {
    let load = |source: Error| Error::new(ErrorKind::Load, "the load failed").with_source(source);
    let inner = Error::new(ErrorKind::Unavailable, SECRET);
    let (status, retry_after, body) = answer(load(load(inner))).await;
    assert_eq!((status, retry_after.as_deref(), body.contains("hunter2")), (503, Some("1"), false));
    let other = Error::new(ErrorKind::Load, "").with_source(std::io::Error::other(SECRET));
    assert_eq!(answer(other).await.0, 500);
}

#[tokio::test]
async fn a_handler_returns_it() {
    async fn fails(cache: Cache) -> Result<String, CacheError> {
        let load = || async { Err::<String, _>(std::io::Error::other(SECRET)) };
        Ok(cache.region("a")?.get_or_compute("k", load).await?.to_string())
    }
    let app = Router::new().route("/", route(fails)).layer(CacheLayer::new(cache()));
    let answer = get(&app, "/", &[]).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (500, r#"{"error":"internal"}"#));
}
