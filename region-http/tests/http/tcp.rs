//! A service on a port, with real clients.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get as route;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use region_core::RegionExt;
use region_http::{CacheLayer, Health, RegionOf, ResponseCacheLayer};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::extract::Project;
use crate::kit::{Answer, Count, Lines, cache, is_stored, layer, request, until};

/// Serves `app` on a port until the test ends.
pub(crate) async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Sends a request to a service on a port.
pub(crate) async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: Lines<'_>,
) -> Answer {
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let request = request(method, &format!("http://{address}{path}"), headers);
    Answer::of(client.request(request).await.unwrap().map(Body::new)).await
}

#[tokio::test]
async fn a_whole_service_answers_over_http() {
    let cache = cache();
    let calls = Count::default();
    let count = calls.clone();
    let page = move |region: RegionOf<Project>| {
        use region_core::Region;
        let body = format!("{} {}", region.path(), count.next());
        async move { ([("cache-control", "max-age=60"), ("etag", "\"1\"")], body) }
    };
    let app = Router::new()
        .route("/{org}/{project}", route(page))
        .layer(ResponseCacheLayer::of::<Project>(cache.clone()))
        .layer(CacheLayer::new(cache.clone()))
        .route("/health", Health::new(cache.clone()).route());
    let address = serve(app).await;
    let ask = async |method: &str, path: &str, headers: Lines<'_>| {
        ask(address, method, path, headers).await
    };
    for has_age in [false, true] {
        let answer = ask("GET", "/42/a?q=1", &[]).await;
        assert_eq!(answer.body, "shop.org:42.project:a 1");
        assert_eq!((is_stored(&answer), answer.header("content-length")), (has_age, Some("23")));
    }
    let head = ask("HEAD", "/42/a?q=1", &[]).await;
    assert_eq!((head.body.as_str(), head.header("content-length")), ("", Some("23")));
    let known = ask("GET", "/42/a?q=1", &[("if-none-match", "W/\"1\"")]).await;
    assert_eq!((known.status.as_u16(), known.body.as_str(), calls.get()), (304, "", 1));
    let region = cache.region_of(&Project(42, "a".to_owned())).unwrap();
    region.invalidate().await.unwrap();
    assert_eq!(ask("GET", "/42/a?q=1", &[]).await.body, "shop.org:42.project:a 2");
    assert_eq!(ask("GET", "/health", &[]).await.status, 200);
}

/// Counts calls that do not come to their end.
struct Guard(Count);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.next();
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_the_call() {
    let (begun, dropped) = (Count::default(), Count::default());
    let (started, guarded) = (begun.clone(), dropped.clone());
    let closed = watch::Sender::new(());
    let never = move || {
        let (started, guard, mut closed) =
            (started.clone(), Guard(guarded.clone()), closed.subscribe());
        async move {
            let _guard = guard;
            started.next();
            let _ = tokio::time::timeout(Duration::from_secs(600), closed.changed()).await;
            "late"
        }
    };
    let app = Router::new().route("/", route(never)).layer(layer(&cache().root()));
    let address = serve(app).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    until("the service is called", || begun.get() == 1).await;
    drop(client);
    until("the call is dropped", || dropped.get() == 1).await;
}
