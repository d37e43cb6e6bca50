//! What is sent to a server and what it answers.

pub(crate) mod commands;
pub(crate) mod layout;
pub(crate) mod reply;
pub(crate) mod scripts;
