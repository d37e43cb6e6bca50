//! Listing children.

mod reply;
mod request;

pub(crate) use reply::{children, is_list_of};
pub(crate) use request::{page, stamp};
