//! The requests to a server and its replies: a folder for each operation, with its requests, its replies
//! and its scripts.

pub(crate) mod begin;
pub(crate) mod call;
pub(crate) mod children;
pub(crate) mod confirm;
pub(crate) mod end;
pub(crate) mod hold;
pub(crate) mod layout;
pub(crate) mod prepare;
pub(crate) mod read;
pub(crate) mod reclaim;
pub(crate) mod release;
pub(crate) mod reply;
pub(crate) mod scan;
pub(crate) mod scripts;
pub(crate) mod write;
