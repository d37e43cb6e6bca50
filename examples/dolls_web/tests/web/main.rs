//! The example as its users see it: in a real browser, over HTTP, and as a program.

mod edits;
mod http;
mod kit;
mod program;
mod races;
mod text;
