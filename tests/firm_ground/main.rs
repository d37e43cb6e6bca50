//! The promises of the public API against servers and networks that misbehave, as a user sees them.

mod cancellation;
mod chaos;
mod kit;
mod limits;
mod load_races;
mod loads;
mod memory;
mod nesting;
mod outages;
mod panics;
mod pushes;
mod races;
mod redis_writes;
mod values;
mod way;
