//! Cached HTML: each fragment holds those of the things inside.

use std::sync::Arc;

use futures_util::future::join_all;
use maud::{Markup, PreEscaped, html};
use region_cache::{Region, Regioned};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::error::AppError;
use crate::layout::{add_form, edit_link};
use crate::model::{Book, Library, Room, Shelf};

/// The key of a fragment in its region.
const KEY: &str = "fragment";

/// What is stored.
#[derive(Debug, Serialize, Deserialize)]
pub struct Fragment {
    /// The HTML, those of the things inside included.
    pub html: String,
    /// When, where and as which it was rendered.
    pub stamp: String,
}

/// What has a fragment.
pub trait Doll: Regioned<Ids: Copy + Send + 'static> + 'static {
    /// Renders it anew.
    ///
    /// It runs inside the load, and there it reads the database. A row that was read before the load began could be
    /// old already when the load begins, and nothing would keep it from being stored.
    fn render(
        app: App,
        ids: Self::Ids,
        stamp: &str,
    ) -> impl Future<Output = Result<Markup, AppError>> + Send;
}

/// Returns the fragment of the `T` with these ids, and renders it if there is none.
///
/// # Errors
/// [`AppError::Missing`] if there is no such `T`; nothing is stored then.
pub async fn fragment<T: Doll>(app: &App, ids: T::Ids) -> Result<Arc<Fragment>, AppError> {
    let region = app.cache.region_at(T::path_from(ids))?;
    let app = app.clone();
    let load = move || async move {
        let stamp = app.stamp();
        let html = T::render(app, ids, &stamp).await?.into_string();
        Ok::<_, AppError>(Fragment { html, stamp })
    };
    Ok(region.get_or_compute(KEY, load).await?)
}

/// The fragments of the things inside another, each from the cache if it is there.
async fn inside<T: Doll>(
    app: &App,
    ids: impl Iterator<Item = T::Ids>,
) -> Result<Vec<Markup>, AppError> {
    let all = join_all(ids.map(|ids| fragment::<T>(app, ids))).await;
    // What was deleted after the ids were read is left out. The deletion keeps the outer fragment from being stored.
    let there = all.into_iter().filter(|it| !matches!(it, Err(AppError::Missing)));
    there.map(|it| Ok(PreEscaped(it?.html.clone()))).collect()
}

impl Doll for Library {
    async fn render(app: App, (): (), stamp: &str) -> Result<Markup, AppError> {
        let rooms = app.database.rooms().await?;
        let rooms = inside::<Room>(&app, rooms.into_iter().map(|id| (id,))).await?;
        Ok(html! {
            section #library .doll data-rendered=(stamp) {
                header { h1 { "Library" } (rendered(stamp)) }
                @for room in rooms { (room) }
                (add_form("/rooms", "room"))
            }
        })
    }
}

impl Doll for Room {
    async fn render(app: App, (id,): (i64,), stamp: &str) -> Result<Markup, AppError> {
        let room = app.database.room(id).await?;
        let shelves = room.inside.into_iter().map(|shelf| (id, shelf));
        let shelves = inside::<Shelf>(&app, shelves).await?;
        let url = format!("/rooms/{id}");
        Ok(html! {
            section id={ "room-" (id) } .doll data-rendered=(stamp) {
                header { h2 { a href=(url) { (room.name) } } (edit_link(&url)) (rendered(stamp)) }
                @for shelf in shelves { (shelf) }
                (add_form(&format!("{url}/shelves"), "shelf"))
            }
        })
    }
}

impl Doll for Shelf {
    async fn render(app: App, ids: (i64, i64), stamp: &str) -> Result<Markup, AppError> {
        let (room, id) = ids;
        let shelf = app.database.shelf(ids).await?;
        let books = inside::<Book>(&app, shelf.inside.into_iter().map(|it| (room, id, it))).await?;
        let url = format!("/rooms/{room}/shelves/{id}");
        Ok(html! {
            section id={ "shelf-" (id) } .doll data-rendered=(stamp) {
                header { h3 { (shelf.name) } (edit_link(&url)) (rendered(stamp)) }
                @for book in books { (book) }
                (add_form(&format!("{url}/books"), "book"))
            }
        })
    }
}

impl Doll for Book {
    async fn render(app: App, ids: (i64, i64, i64), stamp: &str) -> Result<Markup, AppError> {
        let (room, shelf, id) = ids;
        let name = app.database.book(ids).await?;
        let url = format!("/rooms/{room}/shelves/{shelf}/books/{id}");
        Ok(html! {
            article id={ "book-" (id) } .doll data-rendered=(stamp) {
                header { h4 { (name) } (edit_link(&url)) (rendered(stamp)) }
            }
        })
    }
}

fn rendered(stamp: &str) -> Markup {
    html! { small .stamp title="time / process / number of the rendering" { (stamp) } }
}
