//! Random operations of several clients against a model, while something goes wrong again and again.

mod client;
mod faults;
mod model;
