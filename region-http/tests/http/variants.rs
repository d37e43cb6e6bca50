//! Responses that vary by headers of requests.

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::get as route;

use crate::kit::{Count, Lines, cache, get, layer, send};

/// A service that greets in the language of the request. Which headers a response varies by, it says itself.
fn greeter(vary: impl Fn(&str) -> &'static str + Clone + Send + Sync + 'static) -> (Router, Count) {
    let calls = Count::default();
    let count = calls.clone();
    let handler = move |request: Request| {
        let value = |name| {
            request.headers().get(name).map_or("none", |value| value.to_str().unwrap()).to_owned()
        };
        let (language, theme) = (value("accept-language"), value("x-theme"));
        let vary = vary(&language);
        let body = format!("{language} {theme} {}", count.next());
        let response = Response::builder()
            .header("cache-control", "max-age=60")
            .header("vary", vary)
            .body(axum::body::Body::from(body));
        async move { response.unwrap() }
    };
    let methods = route(handler).put(async || "changed");
    (Router::new().route("/", methods).layer(layer(&cache().root())), calls)
}

async fn greet(app: &Router, headers: Lines<'_>) -> String {
    get(app, "/", headers).await.body
}

#[tokio::test]
async fn each_variant_is_stored_for_its_own_requests() {
    let (app, calls) = greeter(|_| "Accept-Language");
    let (de, fr): (Lines<'_>, Lines<'_>) =
        (&[("accept-language", "de")], &[("accept-language", "fr")]);
    // The first response tells what others vary by; it is not stored itself.
    assert_eq!(greet(&app, de).await, "de none 1");
    assert_eq!(greet(&app, de).await, "de none 2");
    assert_eq!(greet(&app, fr).await, "fr none 3");
    assert_eq!(greet(&app, &[]).await, "none none 4");
    for _ in 0..2 {
        assert_eq!(greet(&app, de).await, "de none 2");
        assert_eq!(greet(&app, fr).await, "fr none 3");
        assert_eq!(greet(&app, &[("x-theme", "dark")]).await, "none none 4");
    }
    assert_eq!(calls.get(), 4);
    let head = send(&app, "HEAD", "/", fr).await;
    assert_eq!((head.header("content-length"), calls.get()), (Some("9"), 4));
    // A demand for a new one is for this variant, and keeps the others.
    let demand = [("accept-language", "de"), ("cache-control", "no-cache")];
    assert_eq!(greet(&app, &demand).await, "de none 5");
    assert_eq!(greet(&app, de).await, "de none 5");
    assert_eq!(greet(&app, fr).await, "fr none 3");
}

#[tokio::test]
async fn what_a_response_varies_by_may_grow() {
    let vary = |language: &str| if language == "de" { "x-theme" } else { "accept-language" };
    let (app, _) = greeter(vary);
    let ask = async |language: &str, theme: &str| {
        greet(&app, &[("accept-language", language), ("x-theme", theme)]).await
    };
    assert_eq!(ask("en", "dark").await, "en dark 1");
    assert_eq!(ask("en", "dark").await, "en dark 2");
    assert_eq!(ask("en", "light").await, "en dark 2", "it does not vary by the theme");
    assert_eq!(ask("de", "dark").await, "de dark 3");
    // From here on all are told apart by both.
    for language in ["en", "de"] {
        for theme in ["dark", "light"] {
            let first = ask(language, theme).await;
            assert!(first.starts_with(&format!("{language} {theme}")), "{first}");
            assert_eq!(ask(language, theme).await, first);
        }
    }
}

#[tokio::test]
async fn a_response_that_varies_by_everything_is_never_stored() {
    for vary in ["*", "accept-language, *", "a,b,c,d,e,f,g,h,i"] {
        let (app, calls) = greeter(move |_| vary);
        for _ in 0..3 {
            greet(&app, &[]).await;
        }
        assert_eq!(calls.get(), 3, "{vary}");
    }
}

/// Bug: the responses that vary stay where they are when the entry goes that leads to them.
/// Effect: once it was there again, they were served, though their target had changed.
/// Fix: each such entry leads to keys of its own.
#[tokio::test]
async fn no_variant_comes_back_after_a_change() {
    let (app, _) = greeter(|_| "accept-language");
    let (de, fr): (Lines<'_>, Lines<'_>) =
        (&[("accept-language", "de")], &[("accept-language", "fr")]);
    for headers in [de, de, fr] {
        greet(&app, headers).await;
    }
    assert_eq!(
        (greet(&app, de).await, greet(&app, fr).await),
        ("de none 2".into(), "fr none 3".into())
    );
    assert_eq!(send(&app, "PUT", "/", &[]).await.body, "changed");
    assert_eq!(greet(&app, de).await, "de none 4");
    assert_eq!(greet(&app, fr).await, "fr none 5");
    assert_eq!(greet(&app, de).await, "de none 6");
    assert_eq!(greet(&app, fr).await, "fr none 5");
}
