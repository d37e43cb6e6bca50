//! Races of edits with loads and with clients, played step by step.

use axum::body::Body;
use axum::http::Request;
use dolls_web::app::App;
use dolls_web::error::AppError;
use dolls_web::fragments::fragment;
use dolls_web::model::{Book, Library};
use region_cache::testing::{Faulty, Method};
use region_cache::{MemoryStore, RegionCache};
use tower::ServiceExt;

use crate::kit::Place;

/// The first book of the first library.
const BOOK: (i64, i64, i64) = (1, 1, 1);

fn rename(name: &str) -> Request<Body> {
    Request::post("/rooms/1/shelves/1/books/1/rename")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(format!("name={name}")))
        .unwrap()
}

async fn library(app: &App) -> Result<String, AppError> {
    Ok(fragment::<Library>(app, ()).await?.html.clone())
}

/// A load has read the old row and is about to store what it rendered, when the edit comes.
#[tokio::test]
async fn what_was_rendered_from_an_old_row_is_not_stored() {
    let (place, store) = (Place::memory(), Faulty::new(MemoryStore::new()));
    let app = place.app_over(RegionCache::builder(store.clone()), "a");
    let service = dolls_web::router(app.clone());

    let fill = store.pause(Method::Write);
    let loading = tokio::spawn({
        let app = app.clone();
        async move { fragment::<Book>(&app, BOOK).await }
    });
    fill.reached().await;
    assert_eq!(service.oneshot(rename("The+Nose")).await.unwrap().status(), 303);
    fill.release();

    let old = loading.await.unwrap().unwrap();
    assert!(old.html.contains("Dead Souls"));
    assert_eq!(app.cache.stats().fenced_fills, 1);
    assert!(library(&app).await.unwrap().contains("The Nose"));
}

/// The client goes away between the write to the database and the end of the regions.
#[tokio::test]
async fn an_edit_whose_client_goes_away_is_shown() {
    let (place, store) = (Place::memory(), Faulty::new(MemoryStore::new()));
    let app = place.app_over(RegionCache::builder(store.clone()), "a");
    assert!(library(&app).await.unwrap().contains("Dead Souls"));

    let end = store.pause(Method::End);
    let request = tokio::spawn(dolls_web::router(app.clone()).oneshot(rename("The+Nose")));
    end.reached().await;
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    end.release();

    app.edits.close();
    app.edits.wait().await;
    assert!(library(&app).await.unwrap().contains("The Nose"));
}

/// A fragment is asked for while what it shows is deleted: it is left out, and nobody gets an error.
#[tokio::test]
async fn a_book_that_is_deleted_while_its_shelf_is_rendered_is_left_out() {
    let (place, store) = (Place::memory(), Faulty::new(MemoryStore::new()));
    let app = place.app_over(RegionCache::builder(store.clone()), "a");
    // Only the books are left to load, and the first of them waits before it begins.
    for book in [(1, 1, 2), (1, 2, 3), (2, 3, 4), (2, 3, 5)] {
        fragment::<Book>(&app, book).await.unwrap();
    }
    let begin = store.on(Method::Begin).within(&path_of(&app)).pause();
    let loading = tokio::spawn({
        let app = app.clone();
        async move { library(&app).await }
    });
    begin.reached().await;
    app.database.delete_book(BOOK).await.unwrap();
    begin.release();
    let html = loading.await.unwrap().unwrap();
    assert!(!html.contains("Dead Souls") && html.contains("The Idiot"));
}

fn path_of(app: &App) -> region_cache::RegionPath {
    use region_cache::Region;
    let (room, shelf, id) = BOOK;
    app.cache.region_at(Book::path(room, shelf, id)).unwrap().path().clone()
}
