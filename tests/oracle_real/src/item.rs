//! What the processes store: values of two types, each of which carries its key and its maker.

use std::fmt::Debug;
use std::sync::Arc;

use region_cache::Value;
use serde::{Deserialize, Serialize};

use crate::event::Place;

/// Names a value; no two of a run have the same.
pub type ValueId = u64;

/// The place of the process's number in an id.
const PROCESS_SHIFT: u32 = 40;

/// The number of bytes that are added to one of [`LARGE_OF`] values: more than what is large for the store.
const LARGE: usize = 400;
const LARGE_OF: u64 = 8;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A [`Small`].
    Small,
    /// A [`Wide`].
    Wide,
}

/// A value of the one type.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Small {
    id: ValueId,
    place: Place,
    version: u64,
    filling: String,
}

/// A value of the other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Wide {
    place: Place,
    version: u64,
    is_wide: bool,
    id: ValueId,
}

/// What both types have.
pub trait Item: Value + Debug {
    /// The type.
    const KIND: Kind;

    /// Makes a value for a key, from a version of the truth.
    fn make(id: ValueId, place: Place, version: u64) -> Self;

    /// Its name.
    fn id(&self) -> ValueId;

    /// Its key.
    fn place(&self) -> Place;

    /// The version of the truth that it was made from.
    fn version(&self) -> u64;
}

impl Item for Small {
    const KIND: Kind = Kind::Small;

    fn make(id: ValueId, place: Place, version: u64) -> Self {
        let filling = if id.is_multiple_of(LARGE_OF) { "x".repeat(LARGE) } else { String::new() };
        Self { id, place, version, filling }
    }

    fn id(&self) -> ValueId {
        self.id
    }

    fn place(&self) -> Place {
        self.place
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Item for Wide {
    const KIND: Kind = Kind::Wide;

    fn make(id: ValueId, place: Place, version: u64) -> Self {
        Self { place, version, is_wide: true, id }
    }

    fn id(&self) -> ValueId {
        self.id
    }

    fn place(&self) -> Place {
        self.place
    }

    fn version(&self) -> u64 {
        self.version
    }
}

/// The name of a process's value number `number`.
#[must_use]
pub fn id_of(process: usize, number: u64) -> ValueId {
    ((process as u64) << PROCESS_SHIFT) | number
}

/// A value that was found for a key: its name, or a description if it is of another key.
///
/// # Errors
/// If it is of another key.
pub fn found<I: Item>(place: Place, item: Option<&Arc<I>>) -> Result<Option<ValueId>, String> {
    match item {
        Some(item) if item.place() != place => Err(format!("{item:?} at {place:?}")),
        item => Ok(item.map(|item| item.id())),
    }
}
