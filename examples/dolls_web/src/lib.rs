//! A library of rooms, shelves and books, as a web service: the fragments of its pages nest like Russian dolls.
//!
//! Each thing has a region, and its fragment of HTML is an entry there. The fragment holds those of the things inside.
//! An edit *touches* the region of what was edited: that drops the fragments on the path from there to the root, and
//! only those are rendered again, from inner fragments that are still right. Each fragment shows when it was rendered.
//!
//! | module | what it shows |
//! |---|---|
//! | [`model`] | regions of domain types, by `#[derive(Regioned)]` |
//! | [`fragments`] | values that are made of the values of inner regions |
//! | [`edits`] | write to the database first, then end what is out of date |
//! | [`pages`] | extractors, cached responses, errors and health of `region_cache::http` |
//! | [`database`] | SQLite, embedded; it knows nothing of the cache |

pub mod app;
pub mod database;
pub mod edits;
pub mod error;
pub mod fragments;
pub mod layout;
pub mod model;
pub mod pages;

use axum::Router;
use axum::middleware::map_response;
use region_cache::http::{CacheLayer, Health};

use crate::app::App;

/// The whole service.
pub fn router(app: App) -> Router {
    let cache = app.cache.clone();
    Router::new()
        .merge(pages::routes(&app))
        .merge(edits::routes())
        .with_state(app)
        // For `RegionOf`, the extractor of a region by the ids in a request's path.
        .layer(CacheLayer::new(cache.clone()))
        .layer(map_response(layout::error_as_page))
        // Below the layer of error pages, as load balancers want JSON.
        .route("/health", Health::new(cache).route())
}
