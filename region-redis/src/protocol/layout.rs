//! The keys and values on the server, byte by byte. LAYOUT.md beside this package describes them in words.

mod entry;
mod ids;
mod names;
mod stamp;

pub(crate) use entry::{Unsure, Validator, leftover};
pub(crate) use ids::{PathIds, big_endian};
pub(crate) use names::{
    HIDDEN_CHILD, Kind, NameBuffer, count, count_list, parse, region_work, tombstone,
    tombstone_work, work_list,
};
pub(crate) use stamp::Stamp;
