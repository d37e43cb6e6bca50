//! Values come back as they were.

use proptest::prelude::*;
use region_core::{Region, RegionCache, RegionExt};
use region_memory::MemoryStore;

use super::shapes::{self, Choice, Described, Everything};
use super::{Named, all, self_describing, written};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_value_of_every_shape_comes_back(value in shapes::everything()) {
        for Named { name, serializer, .. } in all() {
            let bytes = written(&serializer, &value);
            let read: Everything = serializer.deserialize(&bytes).map_err(|error| {
                TestCaseError::fail(format!("{name}: {error}"))
            })?;
            prop_assert_eq!(&read, &value, "{}", name);
        }
    }

    #[test]
    fn shapes_that_need_a_description_come_back(value in shapes::described()) {
        for Named { name, serializer, .. } in self_describing() {
            let bytes = written(&serializer, &value);
            let read: Described = serializer.deserialize(&bytes).map_err(|error| {
                TestCaseError::fail(format!("{name}: {error}"))
            })?;
            prop_assert_eq!(&read, &value, "{}", name);
        }
    }
}

/// Through a region, which also checks that what it stores can be read back.
#[tokio::test]
async fn regions_take_each_serializer() {
    let cache = RegionCache::builder(MemoryStore::new()).root("r").build().unwrap();
    let value = vec![Choice::Nothing, Choice::One(-1), Choice::Two(2, "zwei".to_owned())];
    let mut before: Vec<&str> = Vec::new();
    for Named { name, policy, .. } in all() {
        let region = cache.region("a").unwrap().with_policy(policy).unwrap();
        if !before.is_empty() {
            let others = region.get::<Vec<Choice>>("k").await.unwrap();
            assert!(others.is_none(), "{name} read what {before:?} wrote");
        }
        region.set("k", &value).await.unwrap();
        assert_eq!(*region.get::<Vec<Choice>>("k").await.unwrap().unwrap(), value, "{name}");
        before.push(name);
    }
    assert_eq!(cache.stats().bad_bytes, before.len() as u64 - 1);
}

/// Elements that take no bytes are limited by the format inside, of which compressed bytes do not tell.
#[tokio::test]
async fn lists_that_are_not_read_back_are_not_stored_compressed_either() {
    let cache = RegionCache::builder(MemoryStore::new()).root("r").build().unwrap();
    for Named { name, policy, .. } in all().into_iter().filter(|named| !named.describes_itself) {
        let region = cache.region("a").unwrap().with_policy(policy).unwrap();
        for _ in 0..20 {
            region.set("k", &vec![(); 3]).await.unwrap();
        }
        assert!(region.set("k", &vec![(); 5000]).await.is_err(), "{name}");
        let numbers = vec![7u8; 100_000];
        region.set("k", &numbers).await.unwrap();
        assert_eq!(region.get::<Vec<u8>>("k").await.unwrap().as_deref(), Some(&numbers), "{name}");
    }
}
