//! Operating system processes with near caches over one server. Figures go to the error output:
//! `cargo test -p processes` prints them.

mod crowd;
mod faults;
mod kit;
mod races;
mod seen;
mod stampede;

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
