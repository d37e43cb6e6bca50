//! The promises of the near cache against races, lost pushes and callers that do not keep going.

mod cases;
mod kit;
mod stress;
