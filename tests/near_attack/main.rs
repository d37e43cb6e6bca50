//! The promises of the near cache against races, lost pushes and callers that do not keep going.

mod cases;
mod keys;
mod kit;
mod large;
mod listeners;
mod mixed;
mod runtimes;
mod steps;
mod stress;
mod untracked;
