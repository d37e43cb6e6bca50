//! What the library holds. Each type has a region for each of its values, and the regions nest as the values do.

use region_cache::Regioned;

/// The most characters of a name.
pub const LONGEST_NAME: usize = 100;

/// The whole library: the outermost doll.
///
/// The policy holds for all that is inside. A fragment ends when something in it is edited; the `ttl` is the longest
/// that one survives an edit whose end could not be told to the store. The `version` changes with the HTML: so a new
/// release beside an old one does not show the old one's fragments.
#[derive(Regioned)]
#[region(name = "library", no_id, ttl = "1h", version = 1)]
pub struct Library;

/// A room of the library.
#[derive(Regioned)]
#[region(name = "room", parent = Library)]
pub struct Room {
    /// Its id.
    #[region(id)]
    pub id: i64,
}

/// A shelf in a room.
#[derive(Regioned)]
#[region(name = "shelf", parent = Room)]
pub struct Shelf {
    /// The room that it stands in.
    #[region(parent_id)]
    pub room: i64,
    /// Its id.
    #[region(id)]
    pub id: i64,
}

/// A book on a shelf: the innermost doll.
#[derive(Regioned)]
#[region(name = "book", parent = Shelf)]
pub struct Book {
    /// The room that its shelf stands in.
    #[region(parent_id)]
    pub room: i64,
    /// The shelf that it stands on.
    #[region(parent_id)]
    pub shelf: i64,
    /// Its id.
    #[region(id)]
    pub id: i64,
}
