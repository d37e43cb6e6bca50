//! What the Python library `region_cache` does, on memory, on Redis, and on Redis with a replica.
//!
//! The cases follow its own test-suite and its document; `docs/from-python.md` names them. Where it looked at the
//! server's keys to see that something is stored, a second cache of another process looks instead.

mod cases;
mod kit;
mod outages;
mod page;
mod variables;
