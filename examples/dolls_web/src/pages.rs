//! The pages that show something.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderName, header};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use maud::{Markup, PreEscaped};
use region_cache::http::ResponseCacheLayer;

use crate::app::App;
use crate::error::AppError;
use crate::fragments::{Fragment, fragment};
use crate::layout::{edit_forms, page};
use crate::model::{Library, Room};

/// Shared caches, such as the layer here, may keep a page for an hour; edits end it there. Browsers ask each time
/// whether the page that they have is still right, as nobody could tell them of an edit.
const FOR_ALL: &str = "public, max-age=0, s-maxage=3600";

/// The routes of this module.
pub fn routes(app: &App) -> Router<App> {
    let cache = || app.cache.clone();
    // Whole responses lie in the regions of what they show, beside its fragment, and end with it. Browsers that
    // reload ask for a new response: an edit is the only reason for one here.
    let library = ResponseCacheLayer::of::<Library>(cache()).ignore_request_directives();
    let room = ResponseCacheLayer::of::<Room>(cache()).ignore_request_directives();
    Router::new()
        .route("/", get(show_library).layer(library))
        .route("/rooms/{room}", get(show_room).layer(room))
        .route("/rooms/{room}/edit", get(edit_room))
        .route("/rooms/{room}/shelves/{shelf}/edit", get(edit_shelf))
        .route("/rooms/{room}/shelves/{shelf}/books/{book}/edit", get(edit_book))
}

async fn show_library(State(app): State<App>) -> Result<impl IntoResponse, AppError> {
    let library = fragment::<Library>(&app, ()).await?;
    Ok(shown("Library", &library))
}

async fn show_room(
    State(app): State<App>,
    Path(room): Path<(i64,)>,
) -> Result<impl IntoResponse, AppError> {
    let room = fragment::<Room>(&app, room).await?;
    Ok(shown("Room", &room))
}

/// A page around a fragment. A new rendering has a new stamp, so the stamp is the page's tag as well: a browser that
/// has this page is told so, without the page.
fn shown(title: &str, fragment: &Fragment) -> impl IntoResponse + use<> {
    let html = page(title, &PreEscaped(fragment.html.clone()));
    let tag = format!("\"{}\"", fragment.stamp);
    ([(header::CACHE_CONTROL, FOR_ALL.to_owned()), (header::ETAG, tag)], Html(html.into_string()))
}

/// The forms list places elsewhere in the library, so they are not cached: their region would not end with those.
fn edited(
    url: &str,
    name: &str,
    moving: Option<(&[(i64, String)], i64)>,
) -> impl IntoResponse + use<> {
    const NOT_CACHED: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];
    let html: Markup = page(name, &edit_forms(url, name, moving));
    (NOT_CACHED, Html(html.into_string()))
}

async fn edit_room(
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<impl IntoResponse, AppError> {
    let room = app.database.room(id).await?;
    Ok(edited(&format!("/rooms/{id}"), &room.name, None))
}

async fn edit_shelf(
    State(app): State<App>,
    Path(ids): Path<(i64, i64)>,
) -> Result<impl IntoResponse, AppError> {
    let (room, id) = ids;
    let shelf = app.database.shelf(ids).await?;
    let rooms = app.database.rooms_by_name().await?;
    Ok(edited(&format!("/rooms/{room}/shelves/{id}"), &shelf.name, Some((&rooms, room))))
}

async fn edit_book(
    State(app): State<App>,
    Path(ids): Path<(i64, i64, i64)>,
) -> Result<impl IntoResponse, AppError> {
    let (room, shelf, id) = ids;
    let name = app.database.book(ids).await?;
    let shelves = app.database.shelves_by_name().await?;
    let url = format!("/rooms/{room}/shelves/{shelf}/books/{id}");
    Ok(edited(&url, &name, Some((&shelves, shelf))))
}
