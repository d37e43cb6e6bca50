//! Requests that meet each other, invalidations, and their own end.

use std::future::Future;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::get as route;
use region_core::{RegionCache, RegionExt};
use region_memory::MemoryStore;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::kit::{Answer, Count, Lines, cache, get, layer, send, until, until_async};

/// A service that greets the user in `x-user`, once a test lets it.
#[derive(Clone)]
struct Greeter {
    begun: Count,
    dropped: Count,
    changed: Count,
    gate: watch::Sender<bool>,
    status: u16,
    headers: Lines<'static>,
    outcome: Outcome,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Response,
    Panic,
}

/// Counts calls that do not come to their end.
struct Guard(Option<Count>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(count) = &self.0 {
            count.next();
        }
    }
}

impl Greeter {
    fn new(status: u16, headers: Lines<'static>) -> Self {
        let (begun, dropped, gate) =
            (Count::default(), Count::default(), watch::Sender::new(false));
        let changed = Count::default();
        Self { begun, dropped, changed, gate, status, headers, outcome: Outcome::Response }
    }

    fn app(&self, cache: &RegionCache) -> Router {
        let this = self.clone();
        let handler = move |request: Request| this.clone().greet(request);
        let changed = self.changed.clone();
        // It changes something, and then takes a while to answer.
        let change = move |request: Request| {
            changed.next();
            async move {
                if request.headers().contains_key("x-slow") {
                    std::future::pending::<()>().await;
                }
            }
        };
        let methods = route(handler).put(change);
        Router::new().route("/", methods).layer(layer(&cache.root()))
    }

    async fn greet(self, request: Request) -> Response {
        let number = self.begun.next();
        let mut guard = Guard(Some(self.dropped.clone()));
        self.gate.subscribe().wait_for(|is_open| *is_open).await.unwrap();
        guard.0 = None;
        assert!(self.outcome == Outcome::Response || number > 1, "the first call panics");
        let user = request.headers().get("x-user").map_or("nobody", |user| user.to_str().unwrap());
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(*name, *value);
        }
        response.body(Body::from(format!("{user} {number}"))).unwrap()
    }

    fn open(&self) {
        self.gate.send_replace(true);
    }
}

fn spawn(app: &Router, user: &'static str) -> JoinHandle<Answer> {
    let app = app.clone();
    tokio::spawn(async move { get(&app, "/", &[("x-user", user)]).await })
}

/// Three requests that wait for the first one's response.
async fn three(greeter: &Greeter, cache: &RegionCache) -> Vec<Answer> {
    let app = greeter.app(cache);
    let mut tasks = vec![spawn(&app, "ann")];
    until("the service is called", || greeter.begun.get() == 1).await;
    tasks.extend([spawn(&app, "bob"), spawn(&app, "eve")]);
    until("the others wait", || cache.stats().joined_loads == 2).await;
    assert_eq!(greeter.begun.get(), 1);
    greeter.open();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

#[tokio::test]
async fn one_response_is_for_all_who_wait() {
    let greeter = Greeter::new(200, &[("cache-control", "max-age=60")]);
    for answer in three(&greeter, &cache()).await {
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "ann 1"));
    }
    assert_eq!(greeter.begun.get(), 1);
}

#[tokio::test]
async fn a_response_that_is_private_or_failed_is_for_nobody_else() {
    let table: [(u16, Lines<'static>); 5] = [
        (200, &[("cache-control", "private, max-age=60")]),
        (200, &[("cache-control", "no-store")]),
        (200, &[]),
        (500, &[("cache-control", "max-age=60")]),
        (503, &[]),
    ];
    for (status, headers) in table {
        let greeter = Greeter::new(status, headers);
        let answers = three(&greeter, &cache()).await;
        let mut bodies: Vec<_> = answers.iter().map(|answer| &answer.body[..3]).collect();
        bodies.sort_unstable();
        assert_eq!(bodies, ["ann", "bob", "eve"], "{status} {headers:?}");
        assert!(answers.iter().all(|answer| answer.status.as_u16() == status));
        assert_eq!(greeter.begun.get(), 3);
    }
}

#[tokio::test]
async fn a_panic_is_for_nobody_else() {
    let mut greeter = Greeter::new(200, &[("cache-control", "max-age=60")]);
    greeter.outcome = Outcome::Panic;
    let answers = three(&greeter, &cache()).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses, [500, 200, 200]);
    assert_eq!(answers[0].body, r#"{"error":"internal"}"#);
}

/// The region ends while a response is produced: whoever asked before gets it, and nobody who asks later.
#[tokio::test]
async fn a_response_from_before_an_invalidation_is_not_stored() {
    for verb in ["invalidate", "touch", "expire"] {
        let cache = cache();
        let greeter = Greeter::new(200, &[("cache-control", "max-age=60")]);
        let app = greeter.app(&cache);
        let before = spawn(&app, "ann");
        until("the service is called", || greeter.begun.get() == 1).await;
        match verb {
            "invalidate" => cache.root().invalidate().await.unwrap(),
            "touch" => cache.root().touch().await.unwrap(),
            _ => cache.root().expire().await.unwrap(),
        }
        let after = spawn(&app, "bob");
        until("the later request has a call of its own", || greeter.begun.get() == 2).await;
        greeter.open();
        assert_eq!(before.await.unwrap().body, "ann 1", "{verb}");
        assert_eq!(after.await.unwrap().body, "bob 2", "{verb}");
        assert_eq!(get(&app, "/", &[]).await.body, "bob 2", "{verb}");
        assert_eq!(greeter.begun.get(), 2, "{verb}");
    }
}

#[tokio::test]
async fn a_late_response_is_fenced() {
    let cache = cache();
    let greeter = Greeter::new(200, &[("cache-control", "max-age=60")]);
    let app = greeter.app(&cache);
    let before = spawn(&app, "ann");
    until("the service is called", || greeter.begun.get() == 1).await;
    cache.root().invalidate().await.unwrap();
    greeter.open();
    assert_eq!(before.await.unwrap().body, "ann 1");
    assert_eq!(cache.stats().fenced_fills, 1);
    assert_eq!(get(&app, "/", &[("x-user", "bob")]).await.body, "bob 2");
}

#[tokio::test]
async fn a_response_from_before_a_change_of_its_target_is_not_stored() {
    let cache = cache();
    let greeter = Greeter::new(200, &[("cache-control", "max-age=60")]);
    let app = greeter.app(&cache);
    let before = spawn(&app, "ann");
    until("the service is called", || greeter.begun.get() == 1).await;
    assert_eq!(send(&app, "PUT", "/", &[]).await.status, 200);
    greeter.open();
    assert_eq!(before.await.unwrap().body, "ann 1");
    assert_eq!(get(&app, "/", &[("x-user", "bob")]).await.body, "bob 2");
}

#[tokio::test]
async fn a_change_that_is_dropped_ends_responses_too() {
    let cache = cache();
    let greeter = Greeter::new(200, &[("cache-control", "max-age=60")]);
    greeter.open();
    let app = greeter.app(&cache);
    assert_eq!(get(&app, "/", &[]).await.body, "nobody 1");
    let slow = app.clone();
    let change = tokio::spawn(async move { send(&slow, "PUT", "/", &[("x-slow", "1")]).await });
    until("it is changed", || greeter.changed.get() == 1).await;
    assert_eq!(get(&app, "/", &[]).await.body, "nobody 1");
    change.abort();
    until_async("the response is removed", async || get(&app, "/", &[]).await.body == "nobody 2")
        .await;
}

#[tokio::test]
async fn a_request_that_is_dropped_ends_the_call_unless_others_wait() {
    let cache = cache();
    let greeter = Greeter::new(200, &[("cache-control", "max-age=60")]);
    let app = greeter.app(&cache);
    let dropped = spawn(&app, "ann");
    until("the service is called", || greeter.begun.get() == 1).await;
    dropped.abort();
    until("the call is dropped", || greeter.dropped.get() == 1).await;

    let dropped = spawn(&app, "bob");
    until("the service is called again", || greeter.begun.get() == 2).await;
    let waits = spawn(&app, "eve");
    until("another waits", || cache.stats().joined_loads == 1).await;
    dropped.abort();
    assert!(dropped.await.unwrap_err().is_cancelled());
    greeter.open();
    assert_eq!(waits.await.unwrap().body, "bob 2");
    assert_eq!((greeter.begun.get(), greeter.dropped.get()), (2, 1));
}

/// A request that waits for a response that turns out not to be for it, and is dropped, leaves nothing behind.
#[tokio::test]
async fn requests_are_dropped_at_every_moment() {
    let cache = cache();
    let greeter = Greeter::new(200, &[("cache-control", "max-age=60"), ("vary", "x-user")]);
    greeter.open();
    let app = greeter.app(&cache);
    for polls in 0..40 {
        let request = get(&app, "/", &[("x-user", "ann")]);
        give_up_after(polls, request).await;
        cache.root().invalidate().await.unwrap();
    }
    let _ = get(&app, "/", &[("x-user", "ann")]).await;
    let stored = get(&app, "/", &[("x-user", "ann")]).await.body;
    assert_eq!(get(&app, "/", &[("x-user", "ann")]).await.body, stored);
    assert!(get(&app, "/", &[("x-user", "bob")]).await.body.starts_with("bob"));
}

/// Polls `future` so many times, and drops it.
async fn give_up_after<F: Future>(polls: usize, future: F) {
    let mut future = std::pin::pin!(future);
    for _ in 0..polls {
        if futures_util::poll!(future.as_mut()).is_ready() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Two processes over one store: what one of them must not show to others, the other does not get.
#[tokio::test]
async fn processes_share_what_is_for_all_and_nothing_else() {
    let table: [(u16, Lines<'static>, &str); 3] = [
        (200, &[("cache-control", "max-age=60")], "ann 1"),
        (200, &[("cache-control", "private, max-age=60")], "bob 2"),
        (500, &[("cache-control", "max-age=60")], "bob 2"),
    ];
    for (status, headers, expected) in table {
        let store = MemoryStore::new();
        let [one, other] = [store.clone(), store]
            .map(|store| RegionCache::builder(store).root("shop").build().unwrap());
        let greeter = Greeter::new(status, headers);
        let first = spawn(&greeter.app(&one), "ann");
        until("the service is called", || greeter.begun.get() == 1).await;
        let second = spawn(&greeter.app(&other), "bob");
        until("the other process waits", || other.stats().lease_waits == 1).await;
        greeter.open();
        assert_eq!(first.await.unwrap().body, "ann 1");
        assert_eq!(second.await.unwrap().body, expected, "{status} {headers:?}");
    }
}

/// Requests that are not cached do not wait for one another, once that is known.
#[tokio::test]
async fn requests_that_are_not_cached_run_side_by_side() {
    let cache = cache();
    let greeter = Greeter::new(200, &[("cache-control", "no-store")]);
    let app = greeter.app(&cache);
    greeter.open();
    get(&app, "/", &[]).await;
    greeter.gate.send_replace(false);
    let tasks = [spawn(&app, "ann"), spawn(&app, "bob"), spawn(&app, "eve")];
    until("all three are called", || greeter.begun.get() == 4).await;
    greeter.open();
    for task in tasks {
        tokio::time::timeout(Duration::from_secs(30), task).await.unwrap().unwrap();
    }
}
