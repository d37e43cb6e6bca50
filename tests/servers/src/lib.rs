//! Real servers for tests and benchmarks: started on free ports of the loopback interface, killed,
//! stopped, restarted and cut off.

mod client;
mod monitor;
mod proxy;
mod server;

pub use client::{Reply, ask, ask_as};
pub use monitor::{Monitor, Monitored};
pub use proxy::Proxy;
pub use server::{Flavor, TestServer};
