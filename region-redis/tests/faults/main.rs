//! Real servers under real faults.

mod acknowledgements;
mod assumed;
mod connections;
mod depends;
mod errors;
mod eviction;
mod failover;
mod kit;
mod lanes;
mod late;
mod layout;
mod loads;
mod logs;
mod near_outage;
mod outage;
mod pushes;
mod reclaim;
mod refusals;
mod replicas;
mod runtimes;
mod silence;
mod stampede;
mod steps;
mod tracking;

/// Runs each case on Redis and on Valkey.
macro_rules! on_both {
    ($($case:ident)*) => {
        mod redis {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case(servers::Flavor::Redis).await;
                }
            )*
        }
        mod valkey {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case(servers::Flavor::Valkey).await;
                }
            )*
        }
    };
}
pub(crate) use on_both;
