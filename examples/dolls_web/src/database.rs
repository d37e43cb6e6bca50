//! The source of truth: SQLite in this process. It knows nothing of the cache.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::{Connection, Params, Row, TransactionBehavior, params};
use tokio::task::spawn_blocking;

use crate::error::AppError;

/// The most things that lie in one other. It bounds the size of pages and the time to render them.
pub const MOST_INSIDE: i64 = 40;

type Result<T> = std::result::Result<T, AppError>;

/// Ids are never used again (`AUTOINCREMENT`), so the region of a new thing was never that of another.
const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA foreign_keys = ON;
    BEGIN IMMEDIATE;
    CREATE TABLE IF NOT EXISTS identity (id TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS room (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS shelf (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        room INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
        name TEXT NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS book (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        shelf INTEGER NOT NULL REFERENCES shelf ON DELETE CASCADE,
        name TEXT NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS shelf_of_room ON shelf (room);
    CREATE INDEX IF NOT EXISTS book_of_shelf ON book (shelf);";

/// A first library, to have something to look at.
const SAMPLE: &str = "
    INSERT INTO room (id, name) VALUES (1, 'Novels'), (2, 'Science');
    INSERT INTO shelf (id, room, name) VALUES (1, 1, 'Russian'), (2, 1, 'French'), (3, 2, 'Physics');
    INSERT INTO book (id, shelf, name) VALUES
        (1, 1, 'Dead Souls'), (2, 1, 'The Idiot'), (3, 2, 'Germinal'),
        (4, 3, 'Opticks'), (5, 3, 'On the Electrodynamics of Moving Bodies');
    INSERT INTO identity (id) VALUES (lower(hex(randomblob(8))));";

/// The columns that say where a shelf is. A thing is found only at the place that a request names: the request's path
/// is the region's path too, and a thing must have no region but its own.
const SHELF: &str = "room = ?1 AND id = ?2";
const BOOK: &str = "shelf = (SELECT id FROM shelf WHERE room = ?1 AND id = ?2) AND id = ?3";

/// A name, and the ids of what lies inside.
pub struct Named {
    /// The name.
    pub name: String,
    /// The ids, in order.
    pub inside: Vec<i64>,
}

/// The database, cheap to clone.
#[derive(Clone)]
pub struct Database {
    connection: Arc<Mutex<Connection>>,
    identity: Arc<str>,
}

impl Database {
    /// Opens the database in a file, and creates it if there is none. `:memory:` is one that ends with the process.
    ///
    /// # Errors
    /// [`AppError::Database`] if the file cannot be used.
    pub fn open(file: &Path) -> Result<Self> {
        let connection = Connection::open(file)?;
        connection.execute_batch(SCHEMA)?;
        let is_new = "SELECT NOT EXISTS (SELECT 1 FROM identity)";
        if connection.query_row(is_new, [], |row| row.get(0))? {
            connection.execute_batch(SAMPLE)?;
        }
        connection.execute_batch("COMMIT")?;
        let identity: String =
            connection.query_row("SELECT id FROM identity", [], |row| row.get(0))?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), identity: identity.into() })
    }

    /// A name that no other database has.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The ids of all rooms.
    ///
    /// # Errors
    /// [`AppError::Database`], as from all that follow.
    pub async fn rooms(&self) -> Result<Vec<i64>> {
        self.run(|it| all(it, "SELECT id FROM room ORDER BY id", [], |row| row.get(0))).await
    }

    /// A room, and its shelves.
    ///
    /// # Errors
    /// [`AppError::Missing`] if there is none, as from all that follow.
    pub async fn room(&self, id: i64) -> Result<Named> {
        self.run(move |it| {
            let name = one(it, "SELECT name FROM room WHERE id = ?1", [id])?;
            let shelves = "SELECT id FROM shelf WHERE room = ?1 ORDER BY id";
            Ok(Named { name, inside: all(it, shelves, [id], |row| row.get(0))? })
        })
        .await
    }

    /// A shelf, and its books.
    pub async fn shelf(&self, (room, id): (i64, i64)) -> Result<Named> {
        self.run(move |it| {
            let name = one(it, &format!("SELECT name FROM shelf WHERE {SHELF}"), (room, id))?;
            let books = "SELECT id FROM book WHERE shelf = ?1 ORDER BY id";
            Ok(Named { name, inside: all(it, books, [id], |row| row.get(0))? })
        })
        .await
    }

    /// The name of a book.
    pub async fn book(&self, book: (i64, i64, i64)) -> Result<String> {
        self.run(move |it| one(it, &format!("SELECT name FROM book WHERE {BOOK}"), book)).await
    }

    /// All rooms with their names: where a shelf can move to.
    pub async fn rooms_by_name(&self) -> Result<Vec<(i64, String)>> {
        let rooms = "SELECT id, name FROM room ORDER BY name, id";
        self.run(|it| all(it, rooms, [], |row| Ok((row.get(0)?, row.get(1)?)))).await
    }

    /// All shelves with their names and those of their rooms: where a book can move to.
    pub async fn shelves_by_name(&self) -> Result<Vec<(i64, String)>> {
        let shelves = "SELECT shelf.id, room.name || ' / ' || shelf.name
            FROM shelf JOIN room ON room.id = shelf.room ORDER BY 2, 1";
        self.run(|it| all(it, shelves, [], |row| Ok((row.get(0)?, row.get(1)?)))).await
    }

    /// The room that a shelf stands in.
    pub async fn room_of_shelf(&self, shelf: i64) -> Result<i64> {
        self.run(move |it| one(it, "SELECT room FROM shelf WHERE id = ?1", [shelf])).await
    }

    /// Adds a room.
    ///
    /// # Errors
    /// [`AppError::Invalid`] if there are [`MOST_INSIDE`], as from all that add or move.
    pub async fn add_room(&self, name: String) -> Result<()> {
        self.write(move |it| {
            refuse_if_full(it, "SELECT count(*) FROM room", [])?;
            changed(it, "INSERT INTO room (name) VALUES (?1)", [name])
        })
        .await
    }

    /// Adds a shelf to a room.
    pub async fn add_shelf(&self, room: i64, name: String) -> Result<()> {
        self.write(move |it| {
            refuse_if_full(it, "SELECT count(*) FROM shelf WHERE room = ?1", [room])?;
            let insert = "INSERT INTO shelf (room, name) SELECT id, ?2 FROM room WHERE id = ?1";
            changed(it, insert, params![room, name])
        })
        .await
    }

    /// Adds a book to a shelf.
    pub async fn add_book(&self, (room, shelf): (i64, i64), name: String) -> Result<()> {
        self.write(move |it| {
            refuse_if_full(it, "SELECT count(*) FROM book WHERE shelf = ?1", [shelf])?;
            let insert =
                format!("INSERT INTO book (shelf, name) SELECT id, ?3 FROM shelf WHERE {SHELF}");
            changed(it, &insert, params![room, shelf, name])
        })
        .await
    }

    /// Gives a room another name.
    pub async fn rename_room(&self, id: i64, name: String) -> Result<()> {
        self.write(move |it| {
            changed(it, "UPDATE room SET name = ?2 WHERE id = ?1", params![id, name])
        })
        .await
    }

    /// Gives a shelf another name.
    pub async fn rename_shelf(&self, (room, id): (i64, i64), name: String) -> Result<()> {
        let update = format!("UPDATE shelf SET name = ?3 WHERE {SHELF}");
        self.write(move |it| changed(it, &update, params![room, id, name])).await
    }

    /// Gives a book another name.
    pub async fn rename_book(&self, book: (i64, i64, i64), name: String) -> Result<()> {
        let (room, shelf, id) = book;
        let update = format!("UPDATE book SET name = ?4 WHERE {BOOK}");
        self.write(move |it| changed(it, &update, params![room, shelf, id, name])).await
    }

    /// Deletes a room with all that is inside.
    pub async fn delete_room(&self, id: i64) -> Result<()> {
        self.write(move |it| changed(it, "DELETE FROM room WHERE id = ?1", [id])).await
    }

    /// Deletes a shelf with its books.
    pub async fn delete_shelf(&self, shelf: (i64, i64)) -> Result<()> {
        let delete = format!("DELETE FROM shelf WHERE {SHELF}");
        self.write(move |it| changed(it, &delete, shelf)).await
    }

    /// Deletes a book.
    pub async fn delete_book(&self, book: (i64, i64, i64)) -> Result<()> {
        let delete = format!("DELETE FROM book WHERE {BOOK}");
        self.write(move |it| changed(it, &delete, book)).await
    }

    /// Moves a shelf to another room.
    pub async fn move_shelf(&self, (room, id): (i64, i64), to: i64) -> Result<()> {
        self.write(move |it| {
            one::<i64>(it, "SELECT id FROM room WHERE id = ?1", [to])?;
            refuse_if_full(it, "SELECT count(*) FROM shelf WHERE room = ?1", [to])?;
            let update = format!("UPDATE shelf SET room = ?3 WHERE {SHELF}");
            changed(it, &update, (room, id, to))
        })
        .await
    }

    /// Moves a book to another shelf, if that still stands in the room of `to`.
    pub async fn move_book(&self, book: (i64, i64, i64), to: (i64, i64)) -> Result<()> {
        let (room, shelf, id) = book;
        self.write(move |it| {
            one::<i64>(it, &format!("SELECT id FROM shelf WHERE {SHELF}"), to)?;
            refuse_if_full(it, "SELECT count(*) FROM book WHERE shelf = ?1", [to.1])?;
            let update = format!("UPDATE book SET shelf = ?4 WHERE {BOOK}");
            changed(it, &update, (room, shelf, id, to.1))
        })
        .await
    }

    /// Runs `work` as one transaction. It is dropped, and so rolled back, if `work` fails.
    async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let connection = Arc::clone(&self.connection);
        let write = move || {
            let mut connection = connection.lock();
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        spawn_blocking(write).await?
    }

    /// Runs `work` where it may block. It goes on if nobody waits for it any more.
    async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let connection = Arc::clone(&self.connection);
        spawn_blocking(move || work(&connection.lock())).await?
    }
}

fn one<T: rusqlite::types::FromSql>(it: &Connection, sql: &str, ids: impl Params) -> Result<T> {
    Ok(it.prepare(sql)?.query_row(ids, |row| row.get(0))?)
}

fn all<T>(
    it: &Connection,
    sql: &str,
    ids: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>> {
    let mut statement = it.prepare(sql)?;
    let rows = statement.query_map(ids, read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Changes a row. If there is none, that is an error.
fn changed(it: &Connection, sql: &str, values: impl Params) -> Result<()> {
    match it.prepare(sql)?.execute(values)? {
        0 => Err(AppError::Missing),
        _ => Ok(()),
    }
}

fn refuse_if_full(it: &Connection, count: &str, ids: impl Params) -> Result<()> {
    if one::<i64>(it, count, ids)? >= MOST_INSIDE {
        return Err(AppError::Invalid(format!("There is room for {MOST_INSIDE} here, not more.")));
    }
    Ok(())
}
