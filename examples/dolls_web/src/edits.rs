//! The edits: each writes to the database, and ends exactly the regions that show what was there before.
//!
//! | edit | ends |
//! |---|---|
//! | rename | `touch`: the fragments of the thing and of all around it |
//! | add | `touch` of the thing that it is added to; the new one has no fragment yet |
//! | delete | `invalidate_and_touch`: the thing, all inside it, and the fragments around it |
//! | move | the same, of the place where it was and of the place where it is now |

use axum::Router;
use axum::extract::{FromRequest, Path, Request, State};
use axum::response::Redirect;
use axum::routing::post;
use region_cache::http::RegionOf;
use region_cache::{RegionHandle, Verb};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::error::AppError;
use crate::model::{Book, LONGEST_NAME, Library, Room, Shelf};

/// The page that shows the edit: the browser gets it by a `GET`, so that a reload does not send the form again.
type Done = Result<Redirect, AppError>;

/// The routes of this module.
pub fn routes() -> Router<App> {
    let (room, shelf) = ("/rooms/{room}", "/rooms/{room}/shelves/{shelf}");
    let book = "/rooms/{room}/shelves/{shelf}/books/{book}";
    Router::new()
        .route("/rooms", post(add_room))
        .route(&format!("{room}/rename"), post(rename_room))
        .route(&format!("{room}/delete"), post(delete_room))
        .route(&format!("{room}/shelves"), post(add_shelf))
        .route(&format!("{shelf}/rename"), post(rename_shelf))
        .route(&format!("{shelf}/move"), post(move_shelf))
        .route(&format!("{shelf}/delete"), post(delete_shelf))
        .route(&format!("{shelf}/books"), post(add_book))
        .route(&format!("{book}/rename"), post(rename_book))
        .route(&format!("{book}/move"), post(move_book))
        .route(&format!("{book}/delete"), post(delete_book))
}

async fn add_room(State(app): State<App>, library: RegionOf<Library>, form: Form<Name>) -> Done {
    let name = form.0.checked()?;
    app.edit([touch(library)], |database| async move { database.add_room(name).await }).await?;
    shown("library")
}

async fn add_shelf(
    State(app): State<App>,
    room: RegionOf<Room>,
    Path(id): Path<i64>,
    form: Form<Name>,
) -> Done {
    let name = form.0.checked()?;
    app.edit([touch(room)], move |database| async move { database.add_shelf(id, name).await })
        .await?;
    shown(&format!("room-{id}"))
}

async fn add_book(
    State(app): State<App>,
    shelf: RegionOf<Shelf>,
    Path(ids): Path<(i64, i64)>,
    form: Form<Name>,
) -> Done {
    let name = form.0.checked()?;
    app.edit([touch(shelf)], move |database| async move { database.add_book(ids, name).await })
        .await?;
    shown(&format!("shelf-{}", ids.1))
}

async fn rename_room(
    State(app): State<App>,
    room: RegionOf<Room>,
    Path(id): Path<i64>,
    form: Form<Name>,
) -> Done {
    let name = form.0.checked()?;
    app.edit([touch(room)], move |database| async move { database.rename_room(id, name).await })
        .await?;
    shown(&format!("room-{id}"))
}

async fn rename_shelf(
    State(app): State<App>,
    shelf: RegionOf<Shelf>,
    Path(ids): Path<(i64, i64)>,
    form: Form<Name>,
) -> Done {
    let name = form.0.checked()?;
    app.edit([touch(shelf)], move |database| async move { database.rename_shelf(ids, name).await })
        .await?;
    shown(&format!("shelf-{}", ids.1))
}

async fn rename_book(
    State(app): State<App>,
    book: RegionOf<Book>,
    Path(ids): Path<(i64, i64, i64)>,
    form: Form<Name>,
) -> Done {
    let name = form.0.checked()?;
    app.edit([touch(book)], move |database| async move { database.rename_book(ids, name).await })
        .await?;
    shown(&format!("book-{}", ids.2))
}

async fn delete_room(State(app): State<App>, room: RegionOf<Room>, Path(id): Path<i64>) -> Done {
    app.edit([end(room)], move |database| async move { database.delete_room(id).await }).await?;
    shown("library")
}

async fn delete_shelf(
    State(app): State<App>,
    shelf: RegionOf<Shelf>,
    Path(ids): Path<(i64, i64)>,
) -> Done {
    app.edit([end(shelf)], move |database| async move { database.delete_shelf(ids).await }).await?;
    shown(&format!("room-{}", ids.0))
}

async fn delete_book(
    State(app): State<App>,
    book: RegionOf<Book>,
    Path(ids): Path<(i64, i64, i64)>,
) -> Done {
    app.edit([end(book)], move |database| async move { database.delete_book(ids).await }).await?;
    shown(&format!("shelf-{}", ids.1))
}

async fn move_shelf(
    State(app): State<App>,
    shelf: RegionOf<Shelf>,
    Path(ids): Path<(i64, i64)>,
    form: Form<Place>,
) -> Done {
    let to = form.0.to;
    let moved = app.cache.region_at(Shelf::path(to, ids.1))?;
    let ends = [end(shelf), (moved, Verb::InvalidateAndTouch)];
    app.edit(ends, move |database| async move { database.move_shelf(ids, to).await }).await?;
    shown(&format!("shelf-{}", ids.1))
}

async fn move_book(
    State(app): State<App>,
    book: RegionOf<Book>,
    Path(ids): Path<(i64, i64, i64)>,
    form: Form<Place>,
) -> Done {
    let shelf = form.0.to;
    // The shelf may move in this moment. The write looks again, and refuses the place if it is not right any more.
    let to = (app.database.room_of_shelf(shelf).await?, shelf);
    let moved = app.cache.region_at(Book::path(to.0, to.1, ids.2))?;
    let ends = [end(book), (moved, Verb::InvalidateAndTouch)];
    app.edit(ends, move |database| async move { database.move_book(ids, to).await }).await?;
    shown(&format!("book-{}", ids.2))
}

fn touch<T>(region: RegionOf<T>) -> (RegionHandle, Verb) {
    (region.into_inner(), Verb::Touch)
}

fn end<T>(region: RegionOf<T>) -> (RegionHandle, Verb) {
    (region.into_inner(), Verb::InvalidateAndTouch)
}

fn shown(element: &str) -> Done {
    Ok(Redirect::to(&format!("/#{element}")))
}

/// What forms send that name something.
#[derive(Deserialize)]
struct Name {
    name: String,
}

impl Name {
    /// The name, if it is one. Forms check it as well, but not all that sends one is a form.
    fn checked(self) -> Result<String, AppError> {
        let name = self.name.trim();
        match name.chars().count() {
            0 => Err(AppError::Invalid("A name has at least one character.".to_owned())),
            1..=LONGEST_NAME => Ok(name.to_owned()),
            _ => {
                let most = format!("A name has at most {LONGEST_NAME} characters.");
                Err(AppError::Invalid(most))
            }
        }
    }
}

/// What forms send that move something: the id of the thing that it is put into.
#[derive(Deserialize)]
struct Place {
    to: i64,
}

/// axum's, with this service's error.
struct Form<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = AppError;

    async fn from_request(request: Request, state: &S) -> Result<Self, AppError> {
        let axum::Form(form) = axum::Form::from_request(request, state).await?;
        Ok(Self(form))
    }
}
