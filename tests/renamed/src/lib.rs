//! The macros in a package that knows the facade under another name, with types and modules around
//! them that are called like those the macros mean.

use cache::{RegionHandle, Regioned, cached};

/// Not the standard library.
pub mod std {}

/// Not the prelude's.
pub struct Option;

/// Not the prelude's.
pub struct Result;

/// An organisation.
#[derive(Regioned)]
#[region(crate = "cache", ttl = "1m", on_update = "keep", read_from = "primary")]
pub struct Policy {
    /// Its id.
    #[region(id)]
    pub id: u64,
}

/// Something in it.
#[derive(Regioned)]
#[region(crate = cache)]
pub enum Inner {
    /// One.
    A {
        /// The region around it.
        #[region(parent)]
        policy: Policy,
    },
    /// Another.
    B(#[region(parent)] Policy, #[region(id)] u8),
}

/// Memoised.
#[cached(crate = "cache", region = region, skip(region))]
pub async fn double(region: RegionHandle, number: u32) -> u32 {
    number * 2
}

#[cfg(test)]
mod tests {
    use super::{Inner, Policy, double};
    use cache::{MemoryStore, RegionCache, Regioned};

    #[test]
    fn paths_are_the_same_under_any_name() {
        let policy = || Policy { id: 7 };
        assert_eq!(Policy::path(7), policy().region_path());
        let inner = Inner::B(policy(), 3);
        assert_eq!(inner.region_path().to_string(), "policy:7.b:3");
        assert_eq!(Inner::b_path(Policy::path(7), 3), inner.region_path());
        let inner = Inner::A { policy: policy() };
        assert_eq!(Inner::a_path(Policy::path(7)), inner.region_path());
    }

    #[tokio::test]
    async fn functions_are_memoised_under_any_name() {
        let cache = RegionCache::builder(MemoryStore::new()).build().unwrap();
        assert_eq!(*double(cache.root(), 4).await.unwrap(), 8);
    }
}
