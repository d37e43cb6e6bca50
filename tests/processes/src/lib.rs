//! A process with a cache, and the handle by which a test commands it.
//!
//! The program `cache-process` serves one command after another from its standard input; [`Worker`]
//! starts it, and ends it when it is dropped.

mod message;
mod worker;

pub use message::{Answer, Command, Line, Place, Request, Setup, micros_now};
pub use worker::Worker;
