//! The package as a service uses it.

mod concurrency;
mod edges;
mod errors;
mod extract;
mod health;
mod kit;
mod redis;
mod responses;
mod tcp;
mod variants;
