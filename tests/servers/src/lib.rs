//! Real servers for tests and benchmarks: started on free ports of the loopback interface, killed,
//! stopped, restarted and cut off.

mod certificates;
mod client;
mod cluster;
mod monitor;
mod process;
mod proxy;
mod sentinels;
mod server;

pub use certificates::Certificates;
pub use client::{Reply, ask, ask_as};
pub use cluster::{Cluster, Endpoint};
pub use monitor::{Monitor, Monitored};
pub use process::free_port;
pub use proxy::Proxy;
pub use sentinels::{Sentinel, SentinelSet, SentinelSettings, Sentinels};
pub use server::{Flavor, TestServer};

/// Runs each case, a function of the calling module, on Redis and on Valkey.
#[macro_export]
macro_rules! on_both {
    ($($case:ident)*) => {
        mod redis {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case($crate::Flavor::Redis).await;
                }
            )*
        }
        mod valkey {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case($crate::Flavor::Valkey).await;
                }
            )*
        }
    };
}
