//! The keys and values on the server, byte by byte. LAYOUT.md beside this package describes them in words.

mod anchor;
mod claim;
mod entry;
mod ids;
mod names;
mod slots;
mod stamp;

pub(crate) use anchor::{Anchor, Located};
pub(crate) use claim::Claim;
pub(crate) use entry::{Unsure, Validator, leftover};
pub(crate) use ids::{Id, PathIds, big_endian};
pub(crate) use names::{
    CountNames, HIDDEN_CHILD, Kind, NameBuffer, parse, record, region_work, tombstone,
    tombstone_work, work_list,
};
pub(crate) use slots::{SLOTS, Slot};
pub(crate) use stamp::Stamp;
