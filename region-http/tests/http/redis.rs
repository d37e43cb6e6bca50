//! Responses that processes share over a server.

use axum::Router;
use axum::extract::Request;
use axum::routing::get as route;
use region_core::{RegionCache, RegionExt};
use region_redis::RedisStore;
use servers::{Flavor, TestServer};
use tokio::sync::watch;

use crate::kit::{Count, get, is_stored, layer, until, until_async};

async fn process(server: &TestServer) -> RegionCache {
    let store = RedisStore::connect(&server.url()).await.unwrap();
    RegionCache::builder(store).root("shop").near(1 << 20).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_invalidates_is_stored_by_none() {
    for flavor in [Flavor::Redis, Flavor::Valkey] {
        let server = TestServer::start(flavor);
        let (one, other) = (process(&server).await, process(&server).await);
        let calls = Count::default();
        let gate = watch::Sender::new(true);
        let app = |cache: &RegionCache| {
            let (count, gate) = (calls.clone(), gate.clone());
            let handler = move |_: Request| {
                let (number, mut gate) = (count.next(), gate.subscribe());
                async move {
                    gate.wait_for(|is_open| *is_open).await.unwrap();
                    ([("cache-control", "max-age=60")], format!("call {number}"))
                }
            };
            Router::new().route("/", route(handler)).layer(layer(&cache.root()))
        };
        let (one_app, other_app) = (app(&one), app(&other));
        assert_eq!(get(&one_app, "/", &[]).await.body, "call 1");
        assert_eq!(get(&other_app, "/", &[]).await.body, "call 1");
        assert!(is_stored(&get(&other_app, "/", &[]).await));
        assert_eq!(calls.get(), 1);

        one.root().invalidate().await.unwrap();
        gate.send_replace(false);
        let slow = other_app.clone();
        // It may see what it holds near until the push has come.
        until_async("the other process calls the service", async || {
            let slow = slow.clone();
            let early = tokio::spawn(async move { get(&slow, "/", &[]).await.body });
            until("it is answered or called", || early.is_finished() || calls.get() == 2).await;
            calls.get() == 2
        })
        .await;
        one.root().invalidate().await.unwrap();
        gate.send_replace(true);
        until("the response is fenced", || other.stats().fenced_fills == 1).await;
        assert_eq!(get(&one_app, "/", &[]).await.body, "call 3");
        until_async("both have the new one", async || {
            get(&other_app, "/", &[]).await.body == "call 3"
        })
        .await;
        assert_eq!(calls.get(), 3);
    }
}
