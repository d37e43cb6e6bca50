//! The same stores, through pointers and wrappers.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::{Able, Harness};
use crate::path::RegionPath;
use crate::policy::NearCache;
use crate::testing::{Faulty, Recorder};

/// Defines a harness whose stores are those of another, wrapped by `$wrap` and unwrapped by
/// `$inner`.
macro_rules! wrapped {
    ($(#[$doc:meta])* $name:ident, $store:ty, $wrap:expr, $inner:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<H>(pub H);

        #[deny(clippy::missing_trait_methods)]
        impl<H: Harness> Harness for $name<H> {
            type Store = $store;

            async fn store(&self) -> Self::Store {
                ($wrap)(self.0.store().await)
            }

            async fn client(&self, store: &Self::Store) -> Self::Store {
                ($wrap)(self.0.client(($inner)(store)).await)
            }

            async fn advance(&self, store: &Self::Store, by: Duration) {
                self.0.advance(($inner)(store), by).await;
            }

            async fn lose_all(&self, store: &Self::Store) -> Able {
                self.0.lose_all(($inner)(store)).await
            }

            async fn lose_incarnations(&self, store: &Self::Store, region: &RegionPath) -> Able {
                self.0.lose_incarnations(($inner)(store), region).await
            }

            async fn hold_replica(&self, store: &Self::Store) -> Able {
                self.0.hold_replica(($inner)(store)).await
            }

            async fn cut_pushes(&self, store: &Self::Store) -> Able {
                self.0.cut_pushes(($inner)(store)).await
            }

            fn keeps_paths_together(&self) -> Able {
                self.0.keeps_paths_together()
            }

            fn near(&self) -> NearCache {
                self.0.near()
            }

            fn runtime(&self) -> Runtime {
                self.0.runtime()
            }
        }
    };
}

wrapped!(
    /// The stores of another harness behind `&'static`. Each is leaked.
    Referenced, &'static H::Store, |store| &*Box::leak(Box::new(store)), |store: &&'static _| *store
);
wrapped!(
    /// The stores of another harness behind `Box`.
    Boxed, Box<H::Store>, Box::new, AsRef::<H::Store>::as_ref
);
wrapped!(
    /// The stores of another harness behind `Arc`.
    Arced, Arc<H::Store>, Arc::new, AsRef::<H::Store>::as_ref
);
wrapped!(
    /// The stores of another harness in a [`Faulty`] without a script.
    InFaulty, Faulty<H::Store>, Faulty::new, Faulty::inner
);
wrapped!(
    /// The stores of another harness in a [`Recorder`].
    InRecorder, Recorder<H::Store>, Recorder::new, Recorder::inner
);

/// The stores of another harness, with the near cache in front of them.
#[derive(Clone, Copy, Debug)]
pub struct Near<H>(pub H);

#[deny(clippy::missing_trait_methods)]
impl<H: Harness> Harness for Near<H> {
    type Store = H::Store;

    async fn store(&self) -> Self::Store {
        self.0.store().await
    }

    async fn client(&self, store: &Self::Store) -> Self::Store {
        self.0.client(store).await
    }

    async fn advance(&self, store: &Self::Store, by: Duration) {
        self.0.advance(store, by).await;
    }

    async fn lose_all(&self, store: &Self::Store) -> Able {
        self.0.lose_all(store).await
    }

    async fn lose_incarnations(&self, store: &Self::Store, region: &RegionPath) -> Able {
        self.0.lose_incarnations(store, region).await
    }

    async fn hold_replica(&self, store: &Self::Store) -> Able {
        self.0.hold_replica(store).await
    }

    async fn cut_pushes(&self, store: &Self::Store) -> Able {
        self.0.cut_pushes(store).await
    }

    fn keeps_paths_together(&self) -> Able {
        self.0.keeps_paths_together()
    }

    fn runtime(&self) -> Runtime {
        self.0.runtime()
    }

    fn near(&self) -> NearCache {
        NearCache::On
    }
}
