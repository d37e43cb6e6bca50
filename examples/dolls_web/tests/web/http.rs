//! What the service answers, without a browser.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::request::Builder;
use axum::http::{Request, Response, StatusCode, header};
use dolls_web::database::MOST_INSIDE;
use dolls_web::model::LONGEST_NAME;
use region_cache::testing::{Faulty, Method};
use region_cache::{ErrorKind, MemoryStore, RegionCache};
use tower::ServiceExt;

use crate::kit::{Place, app_in_memory};

async fn send(service: &Router, request: Builder, body: &str) -> Response<Body> {
    let request = request.body(Body::from(body.to_owned())).unwrap();
    service.clone().oneshot(request).await.unwrap()
}

async fn get(service: &Router, path: &str) -> Response<Body> {
    send(service, Request::get(path), "").await
}

async fn post(service: &Router, path: &str, form: &str) -> Response<Body> {
    let kind = "application/x-www-form-urlencoded";
    send(service, Request::post(path).header(header::CONTENT_TYPE, kind), form).await
}

async fn text(response: Response<Body>) -> String {
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn is_page(response: &Response<Body>) -> bool {
    response.headers()[header::CONTENT_TYPE] == "text/html; charset=utf-8"
}

#[tokio::test]
async fn a_browser_that_has_the_page_does_not_get_it_again_until_an_edit() {
    let app = app_in_memory();
    let service = dolls_web::router(app.clone());
    let first = get(&service, "/").await;
    let tag = first.headers()[header::ETAG].clone();
    let again = || Request::get("/").header(header::IF_NONE_MATCH, &tag);

    let loads = app.cache.stats().loads;
    assert_eq!(send(&service, again(), "").await.status(), StatusCode::NOT_MODIFIED);
    // A reload as browsers ask for one is served from the cache too.
    let reload = again().header(header::CACHE_CONTROL, "max-age=0");
    assert_eq!(send(&service, reload, "").await.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(app.cache.stats().loads, loads);

    let moved = post(&service, "/rooms/1/shelves/1/books/1/rename", "name=Other").await;
    assert_eq!(moved.status(), StatusCode::SEE_OTHER);
    assert_eq!(moved.headers()[header::LOCATION], "/#book-1");
    let edited = send(&service, again(), "").await;
    assert_eq!(edited.status(), StatusCode::OK);
    assert_ne!(edited.headers()[header::ETAG], tag);
    assert!(text(edited).await.contains("Other"));
}

#[tokio::test]
async fn forms_that_are_wrong_change_nothing() {
    let service = dolls_web::router(app_in_memory());
    let first = get(&service, "/").await.headers()[header::ETAG].clone();
    let long = format!("name={}", "x".repeat(LONGEST_NAME + 1));
    for (path, form, status) in [
        ("/rooms/1/rename", long.as_str(), StatusCode::UNPROCESSABLE_ENTITY),
        ("/rooms/1/rename", "other=1", StatusCode::UNPROCESSABLE_ENTITY),
        ("/rooms/99/rename", "name=x", StatusCode::NOT_FOUND),
        ("/rooms/one/rename", "name=x", StatusCode::BAD_REQUEST),
        // Each of these exists, but at another place.
        ("/rooms/2/shelves/1/rename", "name=x", StatusCode::NOT_FOUND),
        ("/rooms/2/shelves/1/delete", "", StatusCode::NOT_FOUND),
        ("/rooms/2/shelves/1/books", "name=x", StatusCode::NOT_FOUND),
        ("/rooms/1/shelves/2/books/1/rename", "name=x", StatusCode::NOT_FOUND),
        ("/rooms/1/shelves/2/books/1/delete", "", StatusCode::NOT_FOUND),
        ("/rooms/1/shelves/2/books/1/move", "to=3", StatusCode::NOT_FOUND),
        ("/rooms/1/shelves/1/books/1/move", "to=99", StatusCode::NOT_FOUND),
        ("/rooms/1/shelves/1/move", "to=99", StatusCode::NOT_FOUND),
        ("/rooms/1/shelves/1/move", "to=there", StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let response = post(&service, path, form).await;
        assert_eq!(response.status(), status, "{path} {form:.20}");
        assert!(is_page(&response), "{path}");
    }
    let wrong_method = get(&service, "/rooms/1/rename").await;
    assert_eq!(wrong_method.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(wrong_method.headers()[header::ALLOW], "POST");
    assert_eq!(get(&service, "/").await.headers()[header::ETAG], first);
}

#[tokio::test]
async fn a_name_may_be_as_long_as_it_may_in_characters() {
    let service = dolls_web::router(app_in_memory());
    let longest = "%C3%A4".repeat(LONGEST_NAME);
    let response = post(&service, "/rooms/1/rename", &format!("name=+{longest}+")).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert!(text(get(&service, "/").await).await.contains(&"ä".repeat(LONGEST_NAME)));
}

#[tokio::test]
async fn a_full_shelf_takes_no_more_books() {
    let service = dolls_web::router(app_in_memory());
    for number in 1..MOST_INSIDE {
        let form = format!("name=Volume {number}");
        let response = post(&service, "/rooms/1/shelves/2/books", &form).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
    }
    let added = post(&service, "/rooms/1/shelves/2/books", "name=One more").await;
    let moved = post(&service, "/rooms/1/shelves/1/books/1/move", "to=2").await;
    for response in [added, moved] {
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(text(response).await.contains("There is room for 40 here"));
    }
}

#[tokio::test]
async fn health_is_told_as_json() {
    let service = dolls_web::router(app_in_memory());
    let response = get(&service, "/health").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    assert!(text(response).await.contains(r#""status":"ready""#));
}

/// Pages are rendered without the store. An edit is saved, and its user learns that others may not see it.
#[tokio::test]
async fn while_the_store_is_away_pages_are_shown_and_edits_say_so() {
    let (place, store) = (Place::memory(), Faulty::new(MemoryStore::new()));
    let app = place.app_over(RegionCache::builder(store.clone()), "a");
    let service = dolls_web::router(app);
    let outage = store.on_any().fail(ErrorKind::Unavailable);
    assert_eq!(get(&service, "/").await.status(), StatusCode::OK);
    let response = post(&service, "/rooms/1/rename", "name=Poetry").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(text(response).await.contains("It is saved"));
    assert!(text(get(&service, "/").await).await.contains("Poetry"));
    outage.lift();

    // One that is over soon is not noticed.
    store.on(Method::End).first(3).fail(ErrorKind::Unavailable);
    let response = post(&service, "/rooms/1/rename", "name=Drama").await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert!(text(get(&service, "/").await).await.contains("Drama"));
}
