//! What lies on the server, byte by byte: LAYOUT.md beside this package says it in words.

mod entry;
mod ids;
mod names;
mod stamp;

pub(crate) use entry::{Moment, Unsure};
pub(crate) use ids::Path;
pub(crate) use names::{Kind, NameBuffer, count, graves, parse};
pub(crate) use stamp::deadline_of;
